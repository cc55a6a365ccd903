"""From a series to a network: analysis, search, confirmation, forecasts, verdict."""

import math
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import Any

from threadpoolctl import threadpool_limits

from lyapsweep.data_files import dataset_section
from lyapsweep.datasets import BadSeries
from lyapsweep.fitting import page
from lyapsweep.fitting.budget import CONFIRMED, Budget, divide, measured_cost
from lyapsweep.fitting.export import save_torchscript
from lyapsweep.fitting.forecasts import Forecasts, forecast_test_part
from lyapsweep.fitting.plan import MINUTES, FitRequest, read_plan, write_plan
from lyapsweep.fitting.ranking import Criterion
from lyapsweep.fitting.reliability import Facts, judge
from lyapsweep.fitting.result import TORCHSCRIPT, FitResult
from lyapsweep.fitting.search import ConfirmedSetting, Listener, Place, confirm, search
from lyapsweep.fitting.search_space import HELD_OUT, SearchSpace, choose_space
from lyapsweep.fitting.sentences import analysis_sentences, plan_sentence, question
from lyapsweep.fitting.series_analysis import Column, SeriesAnalysis, analyse
from lyapsweep.fitting.sweep_files import SweepFiles
from lyapsweep.measures import MEASURES
from lyapsweep.measures.bounds import Bounds
from lyapsweep.process import small_networks
from lyapsweep.results.record import Outcome, Record
from lyapsweep.sweep.plan.errors import SweepError

SEEDS = 3  # of every setting that is confirmed


@dataclass(frozen=True)
class Observer:
    """What a fit reports while it runs.

    Args:
        tell: Called with a sentence whenever something is found or begun.
        stage: Called with what is being computed.
        listen: Called with the progress of search and confirmation.
    """

    tell: Callable[[str], None] = lambda text: None
    stage: Callable[[str], None] = lambda text: None
    listen: Listener = lambda progress: None


SILENT = Observer()


def fit(
    series: Any,
    *,
    dt: float | None = None,
    columns: Sequence[Column] | None = None,
    inputs: Sequence[Column] | None = None,
    minutes: float = MINUTES,
    trials: int | None = None,
    seed: int = 0,
    changes: Mapping[str, Any] = MappingProxyType({}),
    name: str | None = None,
    results: Path | str = "results",
    tracking_uri: str | None = None,
    jobs: int | None = None,
    resume: bool = False,
    quiet: bool = False,
) -> FitResult:
    """Find and train a network that reconstructs a series, and judge it.

    The series is analysed as by `lyapsweep suggest`; networks are searched in the time that there is; the best four
    settings are trained again from three fresh seeds each; the best by these is forecast beside five baselines and
    judged by rules. Everything is written to `results/<name>`; `results/<name>-confirmed` holds the fresh seeds.

    Args:
        series: A file, one row per time step, evenly spaced; or an array, a tensor (time, columns) or a frame of
            pandas, which is written to `results/<name>/data`.
        dt: Time between rows; None reads it off a time column or index, else 1.
        columns: Columns to predict, by name or position; None takes all but inputs and clocks.
        inputs: Columns that drive the system and are given.
        minutes: Time that the fit may take, 5 by default.
        trials: Networks of the search; the time is then what they take.
        seed: Seed of everything that is drawn, 0 by default.
        changes: {path: value} to set in the config, such as `{"training/steps": 3000}`.
        name: Name of the results folder; the file's name by default, "fit" for a series in memory.
        results: Parent of the results folder.
        tracking_uri: MLflow server or store; "none" logs nothing.
        jobs: Networks trained at a time; None for one per CPU.
        resume: Whether an interrupted fit is resumed.
        quiet: Whether nothing is printed on the way.

    Returns:
        The `FitResult`: tables, verdict, `forecast(history, steps)`, `to_torch()`.

    Raises:
        BadSeries: If the series cannot be used.
        ConfigError: If it is too short.
        SweepError: If the folder holds another fit, or no network ended bounded.

    Example:
        >>> found = fit("my.csv", dt=0.03)  # doctest: +SKIP
        >>> found.reliability.verdict, found.forecast(history, 100).shape  # doctest: +SKIP
        ('yes', (100, 3))
    """
    named = name or (FitRequest(str(series)).name if isinstance(series, str | Path) else "fit")
    place = Place(Path(results), named, tracking_uri, jobs)
    path = dataset_section(series, place.folder).get("path")
    if not isinstance(path, str):
        raise BadSeries("series: one recording is needed, but several are given. Fit one of them, or run a sweep.")
    observer = SILENT if quiet else Observer(tell=print)
    request = FitRequest(path, dt, columns, inputs, minutes, trials, seed, tuple(changes.items()))
    return run_fit(request, place, resume, observer)


@threadpool_limits.wrap(limits=1)  # small matrices: a second thread of BLAS waits more than it computes
def run_fit(request: FitRequest, place: Place, resume: bool = False, observer: Observer = SILENT) -> FitResult:
    """Fit a series.

    Args:
        request: What is asked.
        place: Where to write.
        resume: Whether a fit that was interrupted there is resumed.
        observer: What is called on the way.

    Returns:
        The result; records, config and sweep file are written.

    Raises:
        BadSeries: If the series cannot be used.
        ConfigError: If it is too short.
        SweepError: If the folder holds another fit, or no network ended.
    """
    began, before = time.monotonic(), read_plan(place.folder, request, resume)
    small_networks()
    given = {"dt": request.dt, "columns": request.columns}
    observer.tell(f"reading {request.path}")
    analysis = analyse(
        request.path, **given, inputs=request.inputs, reading=request.reading, seed=request.seed, tell=observer.stage
    )
    for text in analysis_sentences(analysis):
        observer.tell(text)
    space = choose_space(analysis, **given, seed=request.seed).changed(request.changes)
    budget = before or planned(request, space, place, began, observer)
    space = space.changed([("training/steps", budget.steps)])
    observer.tell(plan_sentence(space, budget))
    asked = question(request, analysis)
    files = SweepFiles.write(space, place.folder, place.name, asked, budget.trials)
    write_plan(place.folder, request, budget)
    criterion = criterion_of(space, analysis)
    records = search(files, place, request.seed, before is not None, observer.listen, budget.search_seconds)
    favourites = best_settings(records, criterion)
    observer.tell(f"searched {len(records)} networks; training the best {len(favourites)} from {SEEDS} fresh seeds")
    settings = confirm(favourites, criterion, files.config, place, SEEDS, before is not None, observer.listen)
    observer.tell("forecasting the test part")
    best = settings[0]
    forecasts = forecast_test_part(finished(best.records))
    found = FitResult(
        place=place,
        analysis=analysis,
        space=space,
        budget=budget.used(len(records)),
        criterion=criterion,
        settings=tuple(settings),
        model=min(best.records, key=lambda record: criterion.key([record])),
        forecasts=forecasts,
        reliability=judge(facts_of(analysis, budget.used(len(records)), criterion, best, forecasts)),
        searched=len(records),
        seconds=time.monotonic() - began,
    )
    write_files(found, observer)
    return found


def write_files(found: FitResult, observer: Observer) -> None:
    """Write the model as TorchScript, and the page; a cell that TorchScript cannot hold is told."""
    try:
        save_torchscript(found.model, found.place.folder / TORCHSCRIPT)
    except RuntimeError as error:
        observer.tell(
            f"the model could not be written as TorchScript ({str(error).splitlines()[0]}); its record is kept"
        )
    page.write(found)


def planned(request: FitRequest, space: SearchSpace, place: Place, began: float, observer: Observer) -> Budget:
    """How many networks are trained, and for how many updates."""
    if request.trials is not None:
        return Budget(request.trials, space.base.training.steps)
    observer.tell("measuring what a network costs")
    cost = measured_cost(space.base)
    remaining = 60 * request.minutes - (time.monotonic() - began)
    return divide(remaining, cost, space.base.training.steps, place.processes, CONFIRMED * SEEDS)


def criterion_of(space: SearchSpace, analysis: SeriesAnalysis) -> Criterion:
    """How settings are compared on this series."""
    if analysis.lambda_max is None:
        return Criterion(space.objective)
    low, high = analysis.lambda_interval
    return Criterion(space.objective, analysis.lambda_max * analysis.dt, (high - low) / 2 * analysis.dt)


def best_settings(records: Sequence[Record], criterion: Criterion) -> list[Record]:
    """The networks of the best settings; `SweepError` if no network ended bounded."""
    bounded = [record for record in records if record.outcome is Outcome.FINISHED]
    if not bounded:
        raise SweepError(
            f"None of {len(records)} networks ended bounded. Allow more --minutes, or look at the series with suggest."
        )
    return sorted(bounded, key=lambda record: criterion.key([record]))[:CONFIRMED]


def finished(records: Sequence[Record]) -> list[Record]:
    """The networks that ended bounded; all if there are none."""
    return [record for record in records if record.outcome is Outcome.FINISHED] or list(records)


def facts_of(
    analysis: SeriesAnalysis,
    budget: Budget,
    criterion: Criterion,
    best: ConfirmedSetting,
    forecasts: Forecasts,
) -> Facts:
    """What the rules of `reliability` see."""
    first, kept = best.records[0], [r for r in best.records if r.outcome is Outcome.FINISHED]
    measure = MEASURES[criterion.objective]
    bounds = Bounds(first.floors, first.saturations, first.surrogates)
    low, high = analysis.lambda_interval
    suggestion = analysis.suggestion.suggestion if analysis.suggestion else None
    return Facts(
        scores=tuple(criterion.score(record) for record in best.records),
        floor=(first.floors.get(criterion.objective, math.nan), criterion.floor(first)[1]),
        objective=measure.title,
        blind=" or ".join(bounds.alike(criterion.objective, measure.direction)),
        exponents=tuple(r.spectrum.maximum / analysis.dt for r in kept if r.spectrum is not None),
        lambda_max=analysis.lambda_max,
        lambda_low=low,
        lambda_high=high,
        verdict=suggestion.verdict if suggestion else "",
        lost=len(best.records) - len(kept),
        training_times=analysis.rows * (1 - HELD_OUT) / analysis.predictability_time,
        beaten_by=tuple(each.name for each in forecasts.beaten_by),
        coverage=float(forecasts.coverage.mean()),
        has_test=bool(first.test),
        favourite_lost=best.rank > 1,
        shortage=budget.shortage,
        driven=bool(analysis.inputs),
    )
