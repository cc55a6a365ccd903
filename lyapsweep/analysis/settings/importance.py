"""Which settings decide the outcome, and which statistics of the spectrum? Optuna's importances of both, and chance."""

import warnings
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Literal, NamedTuple

import numpy as np
import pandas as pd
import plotly.graph_objects as go
from plotly.subplots import make_subplots
from scipy import stats

from lyapsweep.analysis.prediction import cross_validation
from lyapsweep.analysis.prediction.early_records import chosen
from lyapsweep.analysis.shared import theme
from lyapsweep.analysis.shared.selection import digits, direction, label, require
from lyapsweep.analysis.shared.spectrum_features import summaries
from lyapsweep.analysis.spectra.correlation import refuse
from lyapsweep.registry import unknown
from lyapsweep.results.table import Table, moves

if TYPE_CHECKING:
    from optuna.importance import BaseImportanceEvaluator

Evaluator = Literal["fanova", "ped_anova", "impurity"]
MEANING = {
    "fanova": "share of the variance of ranks, by itself",
    "ped_anova": "divergence of the best tenth from all",
    "impurity": "share of the impurity that a forest removes",
}
STATISTICS = ("maximum", "mean", "std", "minimum", "kaplan_yorke")
TREES, DEPTH = 16, 5  # of forests: deeper ones fit the noise, and fANOVA's time grows with the leaves squared
LEVEL = 0.05  # of p, above which an importance is called chance


class ImportanceFinding(NamedTuple):
    """One row a setting, then one a statistic, each part by falling importance. Arrays (rows,).

    `importance` is the evaluator's for the trials as they are, not scaled to any sum, with the other rows of its part
    beside it in one study. `low` to `high` hold 95 % of the importances of `draws` tables whose trials were drawn anew
    with replacement. `p` is how often a copy of any row of the part whose values were dealt out anew came out as
    important in a study that held rows and copies (Kursa and Rudnicki 2010): adjusted for all rows of the part.
    `chance` is the 95th percentile of the most important copy. `absent` names the settings that some trials do not
    have, which are not judged.
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
    n: int
    lost: int
    without: int
    absent: tuple[str, ...]
    draws: int


def find(
    table: Table,
    column: str,
    map: str | None = None,
    *,
    fraction: float | None = None,
    evaluator: Evaluator = "fanova",
    settings: Sequence[str] | None = None,
    statistics: Sequence[str] = STATISTICS,
    draws: int = 50,
    hunted: bool = False,
    seed: int = 0,
) -> ImportanceFinding:
    """Importances of what was varied, seeds aside, and of statistics of the spectrum (`features.summaries`),
    the last or that at a `fraction` of training.

    Numbers enter as ranks among the trials, so that the trials are what importances are averaged over, whatever the
    scale of an axis; names enter as names. The outcome is its rank, a lost trial's the worst.

    Raises `Hunted` for the trials of a hunt unless `hunted=True`, `UnknownName` for a map, column, statistic or
    evaluator that is not there, `TooFew` below 40 trials with a spectrum and an outcome or where nothing varies.
    """
    refuse(table, hunted)
    if evaluator not in MEANING:
        raise unknown("evaluator", evaluator, list(MEANING), "importance")
    rows = cross_validation.rows(table, column, map, fraction)
    swept, absent = varied(rows.trials, settings)
    parts = [part for part in (swept, described(rows.spectra, statistics)) if len(part.columns)]
    require(len(parts), 1, "settings or statistics that vary")
    worse = -rows.values if direction(table, column) == "maximise" else rows.values
    judge = lambda part: judged(part, stats.rankdata(worse), evaluator, draws, seed)  # noqa: E731
    found = pd.concat([judge(part).assign(spectral=part is not swept) for part in parts])
    return ImportanceFinding(
        column=column,
        map=rows.map,
        which=rows.which,
        evaluator=evaluator,
        names=tuple(found.index),
        **{name: found[name].to_numpy() for name in ("spectral", "importance", "low", "high", "chance", "p")},
        n=len(worse),
        lost=int(rows.lost.sum()),
        without=rows.without,
        absent=absent,
        draws=draws,
    )


def varied(trials: Table, settings: Sequence[str] | None) -> tuple[pd.DataFrame, tuple[str, ...]]:
    """(settings that vary and that all trials have, a column each; the names of those that some have not)."""
    names = [str(trials.column(c).name) for c in (settings if settings is not None else chosen(trials))]
    absent = tuple(c for c in names if trials.column(c).isna().any())
    return ready(pd.DataFrame(trials.frame[[c for c in names if c not in absent]])), absent


def described(spectra: np.ndarray, statistics: Sequence[str]) -> pd.DataFrame:
    known = summaries(spectra)
    for name in statistics:
        if name not in known:
            raise unknown("statistic", name, list(known), "spectrum")
    return ready(pd.DataFrame({name: known[name] for name in statistics}))


def ready(columns: pd.DataFrame) -> pd.DataFrame:
    """Those columns that vary: numbers as ranks in [0, 1], anything else as text."""
    kept = {str(c): columns[c] for c in columns if moves(columns[c])}
    return pd.DataFrame({c: v.rank(pct=True) if numeric(v) else v.astype(str) for c, v in kept.items()})


def numeric(values: Any) -> bool:
    return pd.api.types.is_numeric_dtype(values) and not pd.api.types.is_bool_dtype(values)


def judged(columns: pd.DataFrame, y: np.ndarray, evaluator: Evaluator, draws: int, seed: int) -> pd.DataFrame:
    """One row a column: importance, its spread over redrawn trials, and what shuffled outcomes give."""
    generator = np.random.default_rng(seed)
    judge = made(evaluator, seed)
    again = [generator.integers(len(y), size=len(y)) for _ in range(draws)]
    redrawn = np.array([importances(columns.iloc[rows], y[rows], judge) for rows in again])
    real, copies = np.split(np.array([doubled(columns, y, judge, generator) for _ in range(draws)]), 2, axis=1)
    most = copies.max(axis=1)
    frame = pd.DataFrame({"importance": importances(columns, y, judge)}, index=columns.columns)
    frame["low"], frame["high"] = np.percentile(redrawn, (2.5, 97.5), axis=0)
    frame["chance"] = np.percentile(most, 95)
    frame["p"] = (1 + (most[:, None] >= real).sum(0)) / (1 + draws)
    return frame.sort_values("importance", ascending=False, kind="stable")


def doubled(
    columns: pd.DataFrame, y: np.ndarray, judge: "BaseImportanceEvaluator", generator: np.random.Generator
) -> np.ndarray:
    """Importances (2 columns,) of columns and of copies of them whose values were dealt out anew."""
    copies = {f"{c} anew": generator.permutation(columns[c].to_numpy()) for c in columns}
    return importances(pd.concat([columns, pd.DataFrame(copies, index=columns.index)], axis=1), y, judge)


def made(evaluator: Evaluator, seed: int) -> "BaseImportanceEvaluator":
    from optuna import importance

    if evaluator == "ped_anova":
        return importance.PedAnovaImportanceEvaluator()
    if evaluator == "fanova":
        return importance.FanovaImportanceEvaluator(n_trees=TREES, max_depth=DEPTH, seed=seed)
    return importance.MeanDecreaseImpurityImportanceEvaluator(n_trees=TREES, max_depth=DEPTH, seed=seed)


def importances(columns: pd.DataFrame, y: np.ndarray, evaluator: "BaseImportanceEvaluator") -> np.ndarray:
    """The importance of each column (columns,), from a study in memory that holds these trials."""
    import optuna

    spaces: dict[str, Any] = {
        str(c): optuna.distributions.FloatDistribution(0, 1)
        if numeric(columns[c])
        else optuna.distributions.CategoricalDistribution(sorted(columns[c].unique()))
        for c in columns
    }
    fixed = [c for c in spaces if not moves(columns[c])]  # in a redrawn table
    spaces = {c: space for c, space in spaces.items() if c not in fixed}
    if not spaces or np.ptp(y) == 0:
        return np.zeros(len(columns.columns))
    kept: Any = columns[list(spaces)]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", optuna.exceptions.ExperimentalWarning)
        level = optuna.logging.get_verbosity()
        optuna.logging.set_verbosity(optuna.logging.WARNING)
        study = optuna.create_study()
        optuna.logging.set_verbosity(level)
        study.add_trials(
            [
                optuna.trial.create_trial(value=float(v), params=r, distributions=spaces)
                for v, r in zip(y, kept.to_dict("records"), strict=True)
            ]
        )
        found = optuna.importance.get_param_importances(study, evaluator=evaluator, normalize=False)
    return np.array([float(found.get(str(c), 0.0)) for c in columns])


def matters(finding: ImportanceFinding) -> np.ndarray:
    """Which rows are more than chance, over all of them."""
    return finding.p < LEVEL


def sentence(finding: ImportanceFinding) -> str:
    """What was found, in words."""
    said = []
    for spectral, kind in ((False, "settings"), (True, f"statistics of the {finding.which}")):
        rows = np.flatnonzero(finding.spectral == spectral)
        sure = [r for r in rows if matters(finding)[r]]
        if sure:
            said.append(f"of the {kind} {' and '.join(worth(finding, r) for r in sure[:2])}")
        elif rows.size:
            said.append(f"of the {kind} none beyond chance (most: {worth(finding, rows[0])})")
    left = f"; {finding.without} without a spectrum left out" if finding.without else ""
    absent = f"; not judged, for some trials lack them: {', '.join(finding.absent)}" if finding.absent else ""
    return (
        f"For {label(finding.column)} there matter {'; '.join(said)} ({MEANING[finding.evaluator]}, spread over "
        f"{finding.draws} redrawn tables of {finding.n} trials, {finding.lost} of them lost{left}{absent})."
    )


def worth(finding: ImportanceFinding, row: Any) -> str:
    low, high = digits(float(finding.low[row])), digits(float(finding.high[row]))
    return f"{named(finding, row)} {digits(float(finding.importance[row]))} [{low}, {high}]"


def named(finding: ImportanceFinding, row: Any) -> str:
    return label(f"spectra/{finding.map}/{finding.names[row]}") if finding.spectral[row] else finding.names[row]


def draw(finding: ImportanceFinding) -> go.Figure:
    """Settings beside statistics: importance with its spread, coloured where more than chance, the dashed line."""
    sides = [spectral for spectral in (False, True) if (finding.spectral == spectral).any()]
    fig = make_subplots(rows=1, cols=len(sides), horizontal_spacing=0.24, shared_xaxes=True)
    most = int(max((finding.spectral == spectral).sum() for spectral in sides))
    fig.update_layout(theme.figure(150 + 44 * most, legend=False).layout, showlegend=False)
    for col, spectral in enumerate(sides, start=1):
        rows = np.flatnonzero(finding.spectral == spectral)
        y = [theme.plain(named(finding, r)) for r in rows]
        value = finding.importance[rows]
        fig.add_bar(
            x=value,
            y=y,
            orientation="h",
            marker={"color": [theme.colour(col - 1) if s else "#d9d9d9" for s in matters(finding)[rows]]},
            error_x={
                "array": np.maximum(finding.high[rows] - value, 0),
                "arrayminus": np.maximum(value - finding.low[rows], 0),
                "color": theme.GREY,
                "thickness": 1.2,
            },
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
