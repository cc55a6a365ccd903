"""The analyses that the page shows of one data set, each computed once, for the page and for the findings."""

from collections.abc import Callable
from functools import wraps
from typing import Any, TypeVar

from lyapsweep.analysis.networks import training_curves
from lyapsweep.analysis.settings import box_counting, importance, optimum, phase_plane, search_history, setting_curve
from lyapsweep.analysis.shared.rank_correlation import CorrelationFinding
from lyapsweep.analysis.shared.selection import HuntTableError, TooFew
from lyapsweep.analysis.spectra import correlation, partial_correlation, spectrum_beside_data, spectrum_history
from lyapsweep.atlas import verdict
from lyapsweep.atlas.view import MAIN_GROUP, AtlasView, is_numeric
from lyapsweep.registry import UnknownName

UNAVAILABLE = (TooFew, UnknownName, HuntTableError)  # what an analysis may raise in place of a finding
MOST_AXES = 4  # of which curves are drawn
EARLY = (0.0, 0.05, 0.1)  # of training
AT = EARLY[-1]
THRESHOLD = "measures/time_to_threshold"
PERMUTATIONS = 19  # of importances; p is then 0.05 or more
NOT_EARLY = "Fewer than 100 trials of a map have a spectrum from between their start and their end."

Found = TypeVar("Found")


def once(find: Callable[[AtlasView], Found]) -> Callable[[AtlasView], Found]:
    """Compute a finding of a view at its first use; a reason why there is none is kept, too."""

    @wraps(find)
    def found(view: AtlasView) -> Found:
        if find.__name__ not in view.cache:
            try:
                view.cache[find.__name__] = find(view)
            except UNAVAILABLE as reason:
                view.cache[find.__name__] = reason
        known: Any = view.cache[find.__name__]
        if isinstance(known, Exception):
            raise known
        return known

    return found


@once
def verdict_of(view: AtlasView) -> verdict.Verdict:
    return verdict.find(view)


@once
def curves(view: AtlasView) -> tuple[setting_curve.SettingCurveFinding, ...]:
    return tuple(view.curve(axis, view.objective) for axis in view.axes[:MOST_AXES])


@once
def best_place(view: AtlasView) -> optimum.OptimumFinding | None:
    """The best place of every group on the main axis; None where that is not numeric."""
    if not view.axes or not is_numeric(view.finals.column(view.axes[0])):
        return None
    return optimum.find(view.along(view.axes[0]).table, view.axes[0], view.objective, view.groups)


@once
def largest_exponent(view: AtlasView) -> setting_curve.SettingCurveFinding | None:
    """The largest exponent against the main axis."""
    if view.map is None or not view.axes:
        return None
    return view.curve(view.axes[0], f"spectra/{view.map}/maximum")


@once
def planes(view: AtlasView) -> tuple[phase_plane.PhasePlaneFinding, ...]:
    """The main axis against other numeric settings."""
    first, *others = numeric_axes(view) or [""]
    asked = view.objective, view.group, str(view.map)
    return tuple(phase_plane.find(view.table, first, other, *asked) for other in others[: MOST_AXES - 1])


@once
def border(view: AtlasView) -> box_counting.BoxCountingFinding | None:
    """The border between lost and other networks; None where the map is too coarse."""
    numeric = numeric_axes(view)
    try:
        return box_counting.find(view.table, numeric[0], numeric[1], view.objective, map=str(view.map))
    except (IndexError, ValueError):  # fewer axes, several trials at one place, too few places, no border
        return None


@once
def spectrum(view: AtlasView) -> spectrum_beside_data.SpectrumBesideDataFinding | None:
    """The spectrum of the best trial beside that of the data."""
    if view.map is None or view.best_trial is None:
        return None
    return spectrum_beside_data.find(view.table, view.best_trial, view.map)


@once
def search(view: AtlasView) -> search_history.SearchHistoryFinding | None:
    """The trials of a hunt in the order of the search; None of a map."""
    if view.table.description.intent != "hunt" or view.objective not in view.finals.frame:
        return None
    return search_history.find(view.table, view.objective)


@once
def learning(view: AtlasView) -> training_curves.TrainingCurvesFinding:
    """The training curves of the best setting of each group."""
    return training_curves.find(view.table, view.objective, view.groups)


@once
def history(view: AtlasView) -> spectrum_history.SpectrumHistoryFinding | None:
    """The spectrum of the best trial during training."""
    if view.best_trial is None or view.map is None:
        return None
    return spectrum_history.find(view.table, view.best_trial, view.map)


@once
def correlations(view: AtlasView) -> CorrelationFinding:
    return correlation.find(view.table, view.measures)


@once
def incremental_gains(view: AtlasView) -> tuple[Any, ...]:
    """What spectra add to settings and early scores at the times `EARLY`, and last what they add for tree ensembles."""
    from lyapsweep.analysis.prediction import incremental

    table = view.sample.table
    asked = {"map": view.map, "repeats": 2}
    linear = [incremental.find(table, view.objective, at, **asked, permutations=0) for at in EARLY[:-1]]
    linear.append(incremental.find(table, view.objective, EARLY[-1], **asked))  # p of the last is stated
    trees = incremental.find(table, view.objective, AT, map=view.map, learner="trees", repeats=1, folds=5)
    return *linear, trees


@once
def partial_correlations(view: AtlasView) -> partial_correlation.PartialCorrelationFinding:
    return partial_correlation.find(view.sample.table, view.objective, AT, map=view.map)


@once
def latent_space(view: AtlasView) -> Any:
    from lyapsweep.analysis.prediction import aelle

    return aelle.find(view.sample.table, view.objective, view.map, fraction=AT)


@once
def bands(view: AtlasView) -> Any:
    from lyapsweep.analysis.prediction import band_importance

    return band_importance.find(view.sample.table, view.objective, view.map, fraction=AT)


@once
def importances(view: AtlasView) -> importance.ImportanceFinding:
    """The importance of settings, and of statistics of early spectra where there are any, else of the last ones."""
    fraction = AT if view.has_early_spectra else None
    asked = {"fraction": fraction, "resamples": 10, "permutations": PERMUTATIONS}
    return importance.find(view.sample.table, view.objective, view.map, **asked)


@once
def learning_time(view: AtlasView) -> Any:
    from lyapsweep.analysis.prediction import survival

    if THRESHOLD not in view.table.frame:
        return None
    return survival.find(view.sample.table, view.objective, by=f"spectra/{view.map}/maximum")


@once
def transfer_between_cells(view: AtlasView) -> Any:
    from lyapsweep.analysis.prediction import transfer

    if MAIN_GROUP not in view.moving:
        return None
    return transfer.find(view.sample.table, view.objective, MAIN_GROUP, AT, map=view.map)


def numeric_axes(view: AtlasView) -> list[str]:
    return [a for a in view.axes if is_numeric(view.finals.column(a))]


ALWAYS: dict[str, Callable[[AtlasView], Any]] = {
    "verdict": verdict_of,
    "spectrum": spectrum,
    "search": search,
    "curves": curves,
    "optimum": best_place,
    "largest_exponent": largest_exponent,
    "planes": planes,
    "border": border,
    "importance": importances,
    "history": history,
    "training_curves": learning,
    "correlations": correlations,
}
OF_EARLY_SPECTRA: dict[str, Callable[[AtlasView], Any]] = {
    "incremental": incremental_gains,
    "partial_correlations": partial_correlations,
    "latent_space": latent_space,
    "bands": bands,
    "learning_time": learning_time,
    "transfer": transfer_between_cells,
}
