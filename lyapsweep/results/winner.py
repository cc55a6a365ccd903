"""The best setting in words: the same sentences in the terminal, the atlas and MLflow."""

import math

import numpy as np

from lyapsweep.results.best import BestSetting
from lyapsweep.results.floors import floor_intervals, floor_of
from lyapsweep.results.headline import headline_map
from lyapsweep.results.table import Table

MOST_NAMED = 5  # tied settings


def setting_name(table: Table, row: int) -> str:
    """The varied settings of a final row without the seed, such as `vanilla interval=16`.

    Example:
        >>> import pandas as pd
        >>> frame = pd.DataFrame({"trial": ["a", "b"], "final": True, "cell/kind": "gru", "init/gain": [1.0, 2.0]})
        >>> setting_name(Table(frame), 1)
        'gain=2'
    """
    columns = [c for c in table.varied if c.rpartition("/")[2] != "seed"]
    leaves, words = [c.rpartition("/")[2] for c in columns], []
    for column, leaf in zip(columns, leaves):
        value = table.finals.frame[column].iloc[row]
        if value is None or value != value:
            continue
        text = f"{value:.6g}" if isinstance(value, float) else str(value)
        words.append(text if leaf == "kind" else f"{column if leaves.count(leaf) > 1 else leaf}={text}")
    return " ".join(words) or "the only setting"


def score_sentence(setting: BestSetting) -> str:
    """The scores of a setting on the validation part and on the test part.

    Example:
        >>> score_sentence(BestSetting((0, 1), 0.35, 0.31, 0.42, 0.36, 0.3, 0.45))
        'validation 0.35 (0.31 to 0.42), test 0.36 (0.3 to 0.45); median and quartiles of 2 seeds'
        >>> score_sentence(BestSetting((0,), 0.35, 0.35, 0.35))
        'test 0.35, by which it was chosen, so that this score is optimistic'
    """
    seeds = f"; median and quartiles of {setting.seeds} seeds" if setting.seeds > 1 else ""
    judged = with_interval(setting.median, setting.low, setting.high, setting.seeds)
    if math.isnan(setting.test):
        return f"test {judged}, by which it was chosen, so that this score is optimistic{seeds}"
    tested = with_interval(setting.test, setting.test_low, setting.test_high, setting.seeds)
    return f"validation {judged}, test {tested}{seeds}"


def best_sentence(table: Table, setting: BestSetting | None) -> str:
    """The best setting with its score on the validation part, for lists of experiments; "" without one.

    Example:
        >>> import pandas as pd
        >>> frame = pd.DataFrame({"trial": ["a", "b"], "final": True, "cell/kind": "gru", "init/gain": [1.0, 2.0]})
        >>> best_sentence(Table(frame), BestSetting((1,), 0.35, 0.35, 0.35))
        '0.35, gain=2'
    """
    if setting is None:
        return ""
    score = with_interval(setting.median, setting.low, setting.high, setting.seeds)
    return f"{score}, {setting_name(table, setting.rows[0])}"


def with_interval(value: float, low: float, high: float, seeds: int) -> str:
    return f"{value:.3g} ({low:.3g} to {high:.3g})" if seeds > 1 else f"{value:.3g}"


def tie_sentence(table: Table, setting: BestSetting, column: str = "") -> str:
    """Whether a setting is at the floor, and which others these trials do not tell from it; "" if neither holds.

    Args:
        table: Records of a sweep.
        setting: Its best setting by `column`.
        column: The column; the sweep's objective if empty.

    Returns:
        One or two sentences.
    """
    column = column or table.description.objective_column
    low, high = floor_of(floor_intervals(table.finals, column)[list(setting.rows)])
    floor = (
        f"At the floor ({low:.3g} to {high:.3g}): as good as the measure can tell on these data."
        if setting.at_floor
        else ""
    )
    floor += regular_sentence(table, setting) if setting.at_floor else ""
    names = [setting_name(table, rows[0]) for rows in setting.ties]
    if not names:
        return floor
    shown = ", ".join(names[:MOST_NAMED]) + (f" and {len(names) - MOST_NAMED} more" * (len(names) > MOST_NAMED))
    return f"{floor} Tied with {shown}: these trials do not tell them apart.".strip()


def regular_sentence(table: Table, setting: BestSetting) -> str:
    """Whether networks that a measure cannot tell from chaotic data are not chaotic; "" if all are or nothing is known.

    An exponent counts as positive if it is more than two standard errors above zero.
    """
    frame, rows, map = table.finals.frame, list(setting.rows), headline_map(table.spectra)
    if map is None or "data/lambda_max" not in frame:
        return ""
    data, unsure = (
        np.asarray(frame[c], float)[rows] if c in frame else np.zeros(len(rows))
        for c in ("data/lambda_max", "data/lambda_stderr")
    )
    if not (data > 2 * np.nan_to_num(unsure)).all():
        return ""
    own, error = (values[map][rows, 0] for values in (table.finals.spectra, table.finals.spectra_stderr))
    known = ~np.isnan(own)
    chaotic, count = int((own > 2 * np.nan_to_num(error))[known].sum()), int(known.sum())
    if chaotic == count:
        return ""
    lacking, verb = count - chaotic, "is" if count - chaotic == 1 else "are"
    return (
        f" {lacking} of the {count} networks of this setting {verb} not chaotic (largest exponent "
        f"{np.median(own[known]):.3g} per step, median of all), although the data are ({data[0]:.3g})."
    )
