"""Tables whose trials saw different data or code, although their configs name the same files."""

import json
from typing import Any

import pandas as pd

DATA, CODE = "data/digest", "provenance/code"


def mixed_inputs(frame: pd.DataFrame) -> tuple[str, ...]:
    """Find what changed between the trials of a table.

    Args:
        frame: The scalars of a `Table`, one row per record.

    Returns:
        A sentence per data set of a file, and per file of code, of which the trials saw several versions.

    Example:
        >>> frame = pd.DataFrame({"trial": ["a", "b"], "dataset/path": "my.csv", "data/digest": ["1", "2"]})
        >>> mixed_inputs(frame)[0][:42]
        'my.csv changed between trials: 2 versions '
    """
    return (*mixed_data(frame), *mixed_code(frame))


def mixed_data(frame: pd.DataFrame) -> list[str]:
    if DATA not in frame or "dataset/path" not in frame:
        return []
    settings = [column for column in frame.columns if str(column).startswith("dataset/")]
    rows: Any = frame[frame[DATA].notna() & frame["dataset/path"].notna()]
    if not len(rows):
        return []
    keys = rows[settings].astype(str).agg("\x1f".join, axis=1)
    return [
        sentence(str(group["dataset/path"].iloc[0]), group, DATA)
        for _, group in rows.groupby(keys)
        if len(set(group[DATA])) > 1
    ]


def mixed_code(frame: pd.DataFrame) -> list[str]:
    if CODE not in frame:
        return []
    rows: Any = frame[frame[CODE].notna()]
    seen: Any = pd.DataFrame(
        {"trial": trial, "path": path, "digest": digest}
        for trial, text in zip(rows["trial"], rows[CODE])
        for path, digest in json.loads(text).items()
    )
    groups = seen.groupby("path") if len(seen) else ()
    return [sentence(str(path), group, "digest") for path, group in groups if len(set(group["digest"])) > 1]


def sentence(path: str, rows: pd.DataFrame, column: str) -> str:
    trials = sorted((len(set(part["trial"])) for _, part in rows.groupby(column)), reverse=True)
    counts = " and ".join(map(str, trials))
    return f"{path} changed between trials: {len(trials)} versions were used, by {counts} trials. Compare within one."
