"""A sweep in words and tags: which trial won, of the sweep and of each cell, was it chaotic, does it match the data."""

import math
from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd

from lyapsweep.results.best import best_of_groups, direction, rank_trials
from lyapsweep.results.headline import headline_map
from lyapsweep.results.table import Table
from lyapsweep.tracking.metric_names import run_name, text

OF_ALL, OF_CELL = "of the sweep", "of its cell"
MOST_VALUES = 12  # of a setting, in the description of the space


def winners(table: Table) -> dict[str, str]:
    """Trial -> `of the sweep` or `of its cell`: the best that finished, by the sweep's objective.

    Data sets are not compared with each other: a sweep over several has a winner for each cell on each.
    """
    frame = table.finals.frame
    data = [c for c in ("dataset/kind", "dataset/system", "dataset/path") if c in frame]
    best = frame["trial"].iloc[best_of_groups(table, [*data, "cell/kind"])].astype(str)
    if not len(best):
        return {}
    one = len(best_of_groups(table, data)) == 1
    return dict.fromkeys(best, OF_CELL) | ({best.iloc[0]: OF_ALL} if one else {})


def space(table: Table) -> dict[str, str]:
    """Setting -> its values, or its range: the region that the trials fill."""
    told = {}
    for path in table.varied:
        values = np.asarray(pd.unique(table.column(path).dropna()))
        if len(values) <= MOST_VALUES:
            told[path] = ", ".join(text(v) for v in sorted((plain(v) for v in values), key=sortable))
        elif pd.api.types.is_numeric_dtype(table.column(path)):
            told[path] = f"{values.min():.4g} to {values.max():.4g} ({len(values)} values)"
        else:
            told[path] = f"{len(values)} values"
    return told


def plain(value: Any) -> Any:
    value = value.item() if isinstance(value, np.generic) else value
    return int(value) if isinstance(value, float) and value.is_integer() else value


def sortable(value: Any) -> tuple[bool, Any]:
    return isinstance(value, str), value


def story(table: Table) -> str:
    """The summary run's description, in Markdown, the answer first: pages show the first lines of it."""
    description, varied, crowned = table.description, space(table), winners(table)
    question = description.question.strip()
    lines = [question.partition("\n")[0]]
    if crowned:
        rows = podium(table, crowned)
        lines += [
            "",
            f"**{rows[0]['trial']}** won: " + ", ".join(f"{k} {v}" for k, v in rows[0].items() if v and k != "trial"),
        ]
        lines += [
            "",
            f"The best that finished, by `{description.objective}` ({direction(table, description.objective)}d):",
            "",
        ]
        lines += [
            "| " + " | ".join(cells) + " |" for cells in (rows[0], ["---"] * len(rows[0]), *(r.values() for r in rows))
        ]
    if len(table):
        counts = table.finals.frame["outcome"].value_counts()
        lines += ["", "Trials: " + ", ".join(f"{n} {outcome}" for outcome, n in counts.items()) + "."]
    if varied:
        lines += ["", "Varied:", "", *(f"- `{path}`: {values}" for path, values in varied.items())]
    rest = question.partition("\n")[2].strip()
    return "\n".join([*lines, "", rest]).strip()


def podium(table: Table, crowned: Mapping[str, str]) -> list[dict[str, str]]:
    """What is said of each winner, the best first."""
    name, finals = table.description.objective, table.finals
    told = []
    for i in (i for i in rank_trials(table) if finals.frame["trial"].iloc[i] in crowned):
        row = finals.frame.iloc[i].to_dict()
        largest, error, dt = leading(finals, i)
        told.append(
            {
                "trial": run_name(finals.networks[i][0], table.varied),
                name: number(row[f"measures/{name}"]),
                "floor": number(row.get(f"floors/{name}")),
                "chaotic": "yes" if largest > 2 * error else "no",
                "lambda_max": number(largest / dt),
                "of the data": number(row.get("data/lambda_max"), dt),
                "seconds": number(row["seconds"]),
            }
        )
    return told


def scale(table: Table) -> float | None:
    """The largest exponent of the data, nats per unit time; None where it is unknown or no data are chaotic."""
    if "data/lambda_max" not in table.frame:
        return None
    rates = table.frame["data/lambda_max"].astype(float) / table.frame["data/dt"].astype(float).fillna(1.0)
    return float(rates.max()) if rates.max() > 0 else None


def leading(table: Table, i: int) -> tuple[float, float, float]:
    """Row i's largest exponent and its standard error in nats per step, and the time of a step."""
    dt = table.frame["data/dt"].iloc[i] if "data/dt" in table.frame else None
    name = headline_map(m for m, values in table.spectra.items() if not np.isnan(values[i, 0]))
    if name is None:
        return math.nan, 0.0, 1.0
    error = np.nan_to_num(table.spectra_stderr[name][i, 0])
    return float(table.spectra[name][i, 0]), float(error), 1.0 if dt is None or pd.isna(dt) else float(dt)


def number(value: Any, per: float = 1.0) -> str:
    return "" if value is None or pd.isna(value) else f"{value / per:.4g}"
