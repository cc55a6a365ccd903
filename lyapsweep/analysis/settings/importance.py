"""Which settings and which statistics of the spectrum determine the outcome? Optuna's importances with p values."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import pandas as pd
import plotly.graph_objects as go
from plotly.subplots import make_subplots
from scipy import stats

from lyapsweep.analysis.settings.evaluators import MEANING, AbstractEvaluator, Evaluator, importances, make_evaluator
from lyapsweep.analysis.shared import theme
from lyapsweep.analysis.shared.axis import is_numeric
from lyapsweep.analysis.shared.early_records import SpectrumRows, spectrum_rows, varied_settings
from lyapsweep.analysis.shared.selection import direction, interval, label, left_out, refuse_hunt, require
from lyapsweep.analysis.shared.spectrum_features import summaries
from lyapsweep.analysis.shared.units import UnitCount, Units, enough_permutations
from lyapsweep.registry import unknown
from lyapsweep.results.table import Table, moves

STATISTICS = ("maximum", "mean", "std", "minimum", "kaplan_yorke")
LEVEL = 0.05  # the largest p of a significant importance


class ImportanceFinding(NamedTuple):
    """One row per setting, then one per statistic, each part by decreasing importance. Arrays (rows,).

    `importance` is the evaluator's, not normalised, in a study with the other rows of its part. [low, high] holds 95 %
    of the importances in `resamples` bootstrap resamples of settings with all their seeds. `p` is the share of studies,
    `permutations` and one, in which the most important permuted copy of a row was as important as the row (Kursa and
    Rudnicki 2010), adjusted for all rows of the part; `chance` is the 95th percentile of that copy's importance.
    `absent` names settings that some trials lack, which are left out.
    """

    column: str
    map: str
    which: str
    evaluator: Evaluator
    names: tuple[str, ...]
    spectral: np.ndarray
    importance: np.ndarray
    low: np.ndarray
    high: np.ndarray
    chance: np.ndarray
    p: np.ndarray
    count: UnitCount
    lost: int
    without: int
    absent: tuple[str, ...]
    resamples: int
    permutations: int


def find(
    table: Table,
    column: str,
    map: str | None = None,
    *,
    fraction: float | None = None,
    evaluator: Evaluator = "fanova",
    settings: Sequence[str] | None = None,
    statistics: Sequence[str] = STATISTICS,
    resamples: int = 50,
    permutations: int = 99,
    hunted: bool = False,
    seed: int = 0,
) -> ImportanceFinding:
    """Compute the importance of the varied settings (seeds excepted) and of statistics of the spectrum.

    Numbers enter as ranks among the trials, so that importances are averages over trials whatever the scale of an axis;
    names enter as names. The outcome is its rank, that of a lost trial the worst.

    Args:
        table: The trials of a sweep with spectra.
        column: The outcome, such as `measures/loss`.
        map: The map of the spectra; the closed loop or the first one by default.
        fraction: Of training, for early spectra; None for the last ones.
        evaluator: "fanova", "ped_anova", or "impurity" (mean decrease of impurity).
        settings: Columns; by default the settings that vary.
        statistics: Names of `spectrum_features.summaries`.
        resamples: Bootstrap resamples of settings.
        permutations: Studies with copies of the columns that are permuted between settings; 19 or more.
        hunted: Accept the trials of a hunt.
        seed: Of resamples, permutations and forests.

    Returns:
        An `ImportanceFinding`.

    Raises:
        HuntTableError: If the trials are those of a hunt and `hunted` is false.
        TooFew: With fewer than 40 trials, or if nothing varies.
        UnknownName: If a map, column, statistic or evaluator does not exist.
        ValueError: If no p of so few permutations can be significant.

    Example:
        >>> rng = np.random.default_rng(0)
        >>> frame = pd.DataFrame({"trial": np.arange(60), "step": 1, "outcome": "finished", "final": True})
        >>> frame["lr"] = rng.uniform(size=60)
        >>> table = Table(frame.assign(**{"measures/loss": frame["lr"]}), {"driven": rng.normal(size=(60, 2))})
        >>> found = find(table, "measures/loss", settings=["lr"], statistics=["maximum"], resamples=5, permutations=19)
        >>> found.names, found.importance[0].round(1)
        (('lr', 'maximum'), np.float64(1.0))
    """
    refuse_hunt(table, hunted)
    if evaluator not in MEANING:
        raise unknown("evaluator", evaluator, list(MEANING), "importance")
    enough_permutations(permutations, LEVEL)
    rows = spectrum_rows(table, column, map, fraction)
    swept, absent = setting_columns(rows.trials, settings)
    worse, units = -rows.values if direction(table, column) == "maximise" else rows.values, rows.units
    parts = [  # settings are compared across settings, however few they are
        (swept, units._replace(stratum=units.source)),
        (statistic_columns(rows, statistics), units),
    ]
    parts = [(part, own) for part, own in parts if len(part.columns)]
    require(len(parts), 1, "settings or statistics that vary")
    asked = evaluator, resamples, permutations, seed
    tested = [with_chance(part, worse, own, *asked).assign(spectral=part is not swept) for part, own in parts]
    found = pd.concat(tested)
    return ImportanceFinding(
        column=column,
        map=rows.map,
        which=rows.description,
        evaluator=evaluator,
        names=tuple(found.index),
        **{name: found[name].to_numpy() for name in ("spectral", "importance", "low", "high", "chance", "p")},
        count=units.count,
        lost=int(rows.lost.sum()),
        without=rows.without,
        absent=absent,
        resamples=resamples,
        permutations=permutations,
    )


def setting_columns(trials: Table, settings: Sequence[str] | None) -> tuple[pd.DataFrame, tuple[str, ...]]:
    """(the settings that vary and that all trials have; the names of those that some trials lack)."""
    names = [str(trials.column(c).name) for c in (settings if settings is not None else varied_settings(trials))]
    absent = tuple(c for c in names if trials.column(c).isna().any())
    return as_ranks(pd.DataFrame(trials.frame[[c for c in names if c not in absent]])), absent


def statistic_columns(rows: SpectrumRows, statistics: Sequence[str]) -> pd.DataFrame:
    """The statistics of the spectrum that every trial determines and that vary."""
    known = summaries(rows.spectra, stderr=rows.stderr)
    for name in statistics:
        if name not in known:
            raise unknown("statistic", name, [str(c) for c in known], "spectrum")
    return as_ranks(known.filter(items=list(statistics)).dropna(axis=1))


def as_ranks(columns: pd.DataFrame) -> pd.DataFrame:
    """The columns that vary: numbers as ranks in [0, 1], others as text."""
    kept = {str(c): columns[c] for c in columns if moves(columns[c])}
    return pd.DataFrame({c: v.rank(pct=True) if is_numeric(v) else v.astype(str) for c, v in kept.items()})


def with_chance(
    columns: pd.DataFrame,
    y: np.ndarray,
    units: Units,
    evaluator: Evaluator,
    resamples: int,
    permutations: int,
    seed: int,
) -> pd.DataFrame:
    """One row per column: importance, its bootstrap interval, and that of permuted copies."""
    generator, y = np.random.default_rng(seed), stats.rankdata(units.comparable(y))
    judge = make_evaluator(evaluator, seed)
    drawn = [units.resampled(generator) for _ in range(resamples)]
    resampled = np.array([importances(columns.iloc[rows], y[rows], judge) for rows in drawn])
    studies = [with_copies(columns, y, units, judge, generator) for _ in range(permutations)]
    real, copies = np.split(np.array(studies), 2, axis=1)
    most = copies.max(axis=1)
    frame = pd.DataFrame({"importance": importances(columns, y, judge)}, index=columns.columns)
    frame["low"], frame["high"] = np.percentile(resampled, (2.5, 97.5), axis=0)
    frame["chance"] = np.percentile(most, 95)
    frame["p"] = (1 + (most[:, None] >= real).sum(0)) / (1 + permutations)
    return frame.sort_values("importance", ascending=False, kind="stable")


def with_copies(
    columns: pd.DataFrame, y: np.ndarray, units: Units, judge: AbstractEvaluator, generator: np.random.Generator
) -> np.ndarray:
    """Importances (2 columns,) of columns and of copies of them that are permuted between units, in one study.

    All columns in one order, which keeps their correlations: the best of independent copies exceeds that of correlated
    columns (Westfall and Young 1993).
    """
    copies = columns.iloc[units.permuted(generator)].set_axis(columns.index).add_suffix(" permuted")
    return importances(pd.concat([columns, copies], axis=1), y, judge)


def significant(finding: ImportanceFinding) -> np.ndarray:
    """Whether each row (rows,) is more important than by chance, adjusted for all rows of its part."""
    return finding.p <= LEVEL


def sentence(finding: ImportanceFinding) -> str:
    """Name the most important settings and statistics that are significant."""
    parts = []
    for spectral, kind in ((False, "settings"), (True, f"statistics of the {finding.which}")):
        rows = np.flatnonzero(finding.spectral == spectral)
        firm = [r for r in rows if significant(finding)[r]]
        if firm:
            parts.append(f"of the {kind}, {' and '.join(row_text(finding, r) for r in firm[:2])}")
        elif rows.size:
            parts.append(f"of the {kind}, none is significant (largest: {row_text(finding, rows[0])})")
    absent = f"; left out because some trials lack them: {', '.join(finding.absent)}" if finding.absent else ""
    return (
        f"Most important for {label(finding.column)}: {'; '.join(parts)} ({MEANING[finding.evaluator]}, interval over "
        f"{finding.resamples} bootstrap resamples of {finding.count}, {finding.lost} of them lost"
        f"{left_out(finding.without)}{absent})."
    )


def row_text(finding: ImportanceFinding, row: int | np.integer) -> str:
    """The name of a row with its importance."""
    values = interval(finding.importance[row], finding.low[row], finding.high[row])
    return f"{row_name(finding, row)} {values}"


def row_name(finding: ImportanceFinding, row: int | np.integer) -> str:
    """The name of a setting or statistic."""
    return label(f"spectra/{finding.map}/{finding.names[row]}") if finding.spectral[row] else finding.names[row]


def draw(finding: ImportanceFinding) -> go.Figure:
    """Draw importances of settings and statistics with their intervals, coloured if significant; dashed is chance."""
    sides = [spectral for spectral in (False, True) if (finding.spectral == spectral).any()]
    fig = make_subplots(rows=1, cols=len(sides), horizontal_spacing=0.24, shared_xaxes=True)
    most = int(max((finding.spectral == spectral).sum() for spectral in sides))
    fig.update_layout(theme.figure(150 + 44 * most, legend=False).layout, showlegend=False)
    for col, spectral in enumerate(sides, start=1):
        rows = np.flatnonzero(finding.spectral == spectral)
        y = [theme.plain(row_name(finding, r)) for r in rows]
        value = finding.importance[rows]
        fig.add_bar(
            x=value,
            y=y,
            orientation="h",
            marker={"color": [theme.colour(col - 1) if s else theme.PALE for s in significant(finding)[rows]]},
            error_x=theme.error_bars(value, finding.low[rows], finding.high[rows]),
            customdata=finding.p[rows],
            hovertemplate="%{y}: %{x:.3g}, p = %{customdata:.2g}<extra></extra>",
            row=1,
            col=col,
        )
        axis = "" if col == 1 else str(col)
        line = {"color": "black", "width": 1.2, "dash": "dash"}
        chance = float(finding.chance[rows[0]])
        fig.add_shape(type="line", x0=chance, x1=chance, y0=0, y1=1, xref=f"x{axis}", yref=f"y{axis} domain", line=line)
        fig.update_xaxes(title=MEANING[finding.evaluator], rangemode="tozero", row=1, col=col)
        fig.update_yaxes(autorange="reversed", row=1, col=col)
    return theme.frame(fig)
