"""The content of a sweep's summary run: best trials, varied settings, description, view."""

import contextlib
import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from lyapsweep.results.best import best_of_groups, direction, rank_settings
from lyapsweep.results.headline import headline_map
from lyapsweep.results.setting_values import listed
from lyapsweep.results.table import Table
from lyapsweep.results.winner import setting_name
from lyapsweep.tracking.experiment_view import ExperimentView
from lyapsweep.tracking.run_names import run_name

MAX_SETTINGS = 12  # of the summary's table
OF_SWEEP, OF_CELL = "of the sweep", "of its cell"
DATA_SETTINGS = ("dataset/kind", "dataset/system", "dataset/path")


@dataclass(frozen=True)
class BestTrial:
    """A best finished trial; `scope` says of what: the sweep or its cell."""

    trial: str
    scope: str


@dataclass(frozen=True)
class VariedSetting:
    """A setting and its values, or their range, as text."""

    path: str
    values: str


@dataclass(frozen=True)
class Exponent:
    """A largest exponent in nats per step, the verdict yes, no or unknown on chaos, and the time of a step."""

    value: float = math.nan
    chaotic: str = "unknown"
    dt: float = 1.0


def best_trials(table: Table) -> tuple[BestTrial, ...]:
    """The best finished trial of each cell on each data set by the sweep's objective, the best of all first.

    Scores on different data sets are not compared, so a sweep over several has no best of all.
    """
    trials = table.finals.frame["trial"].astype(str).tolist()
    data = [name for name in DATA_SETTINGS if name in table.frame]
    best = [trials[i] for i in best_of_groups(table, [*data, "cell/kind"])]
    single = len(best_of_groups(table, data)) == 1
    return tuple(BestTrial(trial, OF_SWEEP if single and i == 0 else OF_CELL) for i, trial in enumerate(best))


def varied_settings(table: Table) -> tuple[VariedSetting, ...]:
    """The settings that the sweep varies, each with its values, or with their range if there are many."""
    return tuple(VariedSetting(path, listed(table.column(path))) for path in table.varied)


def description(table: Table) -> str:
    """The summary run's description in Markdown, the result first, because pages show its first lines."""
    settings, best = varied_settings(table), best_trials(table)
    question, _, rest = table.description.question.strip().partition("\n")
    blocks = [question, *verdict_blocks(table), *(best_table(table, best) if best else [])]
    if len(table):
        counts = table.finals.frame["outcome"].value_counts()
        blocks.append("Trials: " + ", ".join(f"{n} {outcome}" for outcome, n in counts.items()) + ".")
    if settings:
        blocks += ["Varied:", "\n".join(f"- `{setting.path}`: {setting.values}" for setting in settings)]
    return "\n\n".join([*blocks, rest.strip()]).strip()


def best_table(table: Table, best: Sequence[BestTrial]) -> list[str]:
    """Markdown tables of the best settings, with the spread of their seeds, and of the best trials, the best first."""
    objective, finals = table.description.objective, table.finals
    rows = {str(trial): i for i, trial in enumerate(finals.frame["trial"])}
    columns = ("trial", objective, "test", "floor", "chaotic", "lambda_max", "of the data", "seconds")
    cells = [best_row(finals, rows[b.trial], table.varied) for b in best]
    heading = f"Best trials of the best settings by `{objective}` ({direction(table, objective)}d):"
    return [*settings_table(table), heading, markdown(columns, cells)]


def verdict_blocks(table: Table) -> list[str]:
    """The sentences of the verdict of each data set, as on the first screen of the atlas; none where there is none."""
    from lyapsweep.atlas.analyses import UNAVAILABLE  # loads plotly
    from lyapsweep.atlas.findings import findings

    blocks = []
    for name, part in findings(table).sources.items():
        with contextlib.suppress(*UNAVAILABLE):
            first, *remarks = part["verdict"].sentences
            lines = [f"**{name + ': ' if name else ''}{first}**", *(f"- {sentence}" for sentence in remarks)]
            blocks.append("\n".join(lines[:1]) + ("\n\n" + "\n".join(lines[1:]) if remarks else ""))
    return blocks


def settings_table(table: Table) -> list[str]:
    """The best settings with the spread of their scores over seeds, where there are several seeds."""
    ranked = rank_settings(table)
    if all(len(setting.scored) < 2 for setting in ranked):
        return []
    columns = ("setting", "median", "quartiles", "seeds", "lost")
    rows = [
        [
            setting_name(table, setting.rows[0]),
            number(setting.median),
            f"{number(setting.low)} to {number(setting.high)}",
            str(len(setting.scored)),
            str(setting.lost),
        ]
        for setting in ranked[:MAX_SETTINGS]
    ]
    heading = f"Best settings by `{table.description.objective}` over seeds ({len(rows)} of {len(ranked)}):"
    return [heading, markdown(columns, rows)]


def markdown(columns: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """A table in Markdown."""
    return "\n".join("| " + " | ".join(row) + " |" for row in (columns, ["---"] * len(columns), *rows))


def best_row(finals: Table, i: int, varied: Sequence[str]) -> list[str]:
    row, exponent, objective = finals.frame.iloc[i], leading_exponent(finals, i), finals.description.objective
    return [
        run_name(finals.networks[i][0], varied),
        number(row[f"measures/{objective}"]),
        number(row.get(f"test/{objective}")),
        number(row.get(f"floors/{objective}")),
        exponent.chaotic,
        number(exponent.value / exponent.dt),
        number(row.get("data/lambda_max"), exponent.dt),
        number(row["seconds"]),
    ]


def leading_exponent(table: Table, i: int) -> Exponent:
    """The largest exponent of the headline spectrum in row `i`."""
    dt = table.frame["data/dt"].iloc[i] if "data/dt" in table.frame else None
    name = headline_map(name for name, values in table.spectra.items() if not np.isnan(values[i, 0]))
    if name is None:
        return Exponent()
    value = float(table.spectra[name][i, 0])
    column = table.frame.get(f"spectra/{name}/positive")
    chaotic = "unknown"
    if column is not None and np.isfinite(table.spectra_stderr[name][i, 0]):
        chaotic = "yes" if column.iloc[i] > 0 else "no"
    return Exponent(value, chaotic, 1.0 if dt is None or pd.isna(dt) else float(dt))


def data_exponent(table: Table) -> float | None:
    """The largest exponent of the data, nats per unit time; None if it is unknown or no data are chaotic."""
    if "data/lambda_max" not in table.frame:
        return None
    rates = table.frame["data/lambda_max"].astype(float) / table.frame["data/dt"].astype(float).fillna(1.0)
    return float(rates.max()) if rates.max() > 0 else None


def view(table: Table) -> ExperimentView | None:
    """The experiment's view on MLflow's pages; None before there is an objective and a spectrum to show."""
    column, map = table.description.objective_column, headline_map(table.spectra)
    if not column or map is None:
        return None
    maximise = direction(table, column) == "maximise"
    return ExperimentView(column, maximise, tuple(table.varied), map, data_exponent(table))


def number(value: Any, per: float = 1.0) -> str:
    return "" if value is None or pd.isna(value) else f"{value / per:.4g}"
