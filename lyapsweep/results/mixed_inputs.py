"""Tables whose trials saw different data or code, although their configs name the same files."""

import json

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
    rows = frame[frame[DATA].notna() & frame["dataset/path"].notna()]
    keys = rows[settings].astype(str).agg("\x1f".join, axis=1) if len(rows) else pd.Series(dtype=str)
    return [
        sentence(str(group["dataset/path"].iloc[0]), group.groupby(DATA)["trial"].nunique())
        for _, group in rows.groupby(keys)
        if len(set(group[DATA])) > 1
    ]


def mixed_code(frame: pd.DataFrame) -> list[str]:
    if CODE not in frame:
        return []
    rows = frame[frame[CODE].notna()]
    seen = pd.DataFrame(
        [(trial, *file) for trial, text in zip(rows["trial"], rows[CODE]) for file in json.loads(text).items()],
        columns=["trial", "path", "digest"],
    )
    return [
        sentence(str(path), group.groupby("digest")["trial"].nunique())
        for path, group in seen.groupby("path")
        if len(set(group["digest"])) > 1
    ]


def sentence(path: str, trials: pd.Series) -> str:
    counts = " and ".join(map(str, sorted(trials.tolist(), reverse=True)))
    return f"{path} changed between trials: {len(trials)} versions were used, by {counts} trials. Compare within one."
