"""`run_sweep`: a sweep from Python."""

import dataclasses
import inspect
import logging
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from lyapsweep import packaged
from lyapsweep.api.base import Arrays, Base, Weights, base_config, experiment_name, measured
from lyapsweep.api.progress import sweep_bar
from lyapsweep.api.results import SweepResult
from lyapsweep.api.training import using_engine
from lyapsweep.measures import chosen
from lyapsweep.process import small_networks
from lyapsweep.registry import unknown
from lyapsweep.sweep.execute import runner
from lyapsweep.sweep.observe.summary import SweepSummary
from lyapsweep.sweep.plan.definition import Sweep, load
from lyapsweep.sweep.plan.errors import SweepError

log = logging.getLogger("lyapsweep")
OF_SWEEP = {field.name for field in dataclasses.fields(Sweep) if field.init} - {"base", "objective", "name"}
OF_RUN = set(inspect.signature(runner.run).parameters) - {"sweep", "results", "listen"}


def run_sweep(
    base: Base | Sweep,
    *,
    objective: Any = None,
    data: Any = None,
    dt: float | None = None,
    name: str | None = None,
    results: Path | str = "results",
    weights: Weights | None = None,
    engine: str | None = None,
    progress: bool | None = None,
    **settings: Any,
) -> SweepResult:
    """Train every trial of a sweep that its results folder does not hold yet, and return the results.

    Calling it again trains nothing that is there already, so that a cell of a notebook may be run again.

    Args:
        base: Config of everything that is not varied: a YAML file, the name of a packaged one, nested settings, or a
            `Config`. Or a whole sweep: a `Sweep`, its file, or the name of a packaged one.
        objective: The measure by which trials are compared: its name, a `Measure`, or a function of `Evidence`, which
            is minimised; of a hunt also a list of them. By default `state_space` of a series and `loss` of a task. It
            joins the measures of the base.
        data: A series or a task in memory, see `lyapsweep.data_files.dataset_section`; replaces the base's dataset.
        dt: Time between rows of the data.
        name: Name of the results folder; by default the config's and what the grid varies, as of `lyapsweep sweep
            --base` (lorenz63-interval), or "sweep". `lyapsweep.train` writes to the folder of the config's name.
        results: Folder of results folders.
        weights: What all trials start from, as of `lyapsweep.train`.
        engine: "auto", "torch" or "compiled"; by default LYAPSWEEP_ENGINE, else "auto".
        progress: Whether a progress bar is drawn; None draws it in notebooks and terminals.
        **settings: What is varied, as in `lyapsweep.sweep.Sweep` (grid, space, trials, seeds, intent, ...), and how it
            is run, as in `lyapsweep.sweep.execute.runner.run` (jobs, gpus, pack, resume, callbacks, address, ...).

    Returns:
        The results; `result.best` is the best trial.

    Raises:
        SweepError: If the sweep cannot be run, or ended early for another reason than an interruption.
        KeyboardInterrupt: If it was interrupted; `resume=True` resumes.

    Example:
        >>> import lyapsweep
        >>> grid = {"forcing/interval": range(4, 33, 4)}
        >>> result = lyapsweep.run_sweep("lorenz63", grid=grid, data=x, dt=0.03)  # doctest: +SKIP
        >>> result.best.config.forcing["interval"], result.best.spectrum.maximum  # doctest: +SKIP
    """
    small_networks()
    for key in settings:
        if key not in OF_SWEEP | OF_RUN:
            raise unknown("argument of run_sweep", key, sorted(OF_SWEEP | OF_RUN))
    varied = {key: value for key, value in settings.items() if key in OF_SWEEP}
    varied |= {key: value for key, value in (("name", name), ("objective", objective)) if value is not None}
    sweep = defined(base, Arrays(data, dt, weights), Path(results), varied)
    how = {key: value for key, value in settings.items() if key not in OF_SWEEP}
    with using_engine(engine), sweep_bar(sweep.objective, progress) as listen:
        summary = runner.run(sweep, results=results, listen=listen, **how)
    conclude(summary)
    return SweepResult.load(summary.folder, summary=summary)


def defined(base: Base | Sweep, arrays: Arrays, results: Path, varied: Mapping[str, Any]) -> Sweep:
    """The sweep that the arguments describe."""
    if isinstance(base, Path | str) and names_sweep(base):
        base = load(base)
    if isinstance(base, Sweep):
        sweep = dataclasses.replace(base, **varied)
        base = sweep.base
    else:
        varied = {**varied, "name": sweep_name(base, varied)}
        sweep = None
    config = base_config(base, arrays, results / str(sweep.name if sweep else varied["name"]))
    if sweep is None:
        objective = "state_space" if "state_space" in chosen(config.measures) else "loss"
        sweep = Sweep(**{"base": base, "objective": objective, **varied})
    complete = measured(config, sweep.objectives)
    return sweep if complete is config and not arrays.given else dataclasses.replace(sweep, base=complete)


def sweep_name(base: Base, varied: Mapping[str, Any]) -> str:
    """The name as given, else of the config's file and the varied settings, else "sweep"."""
    stem = experiment_name(base, varied.get("name"), "sweep")
    if "name" in varied or not isinstance(base, Path | str):
        return stem
    grid = varied.get("grid")
    words = [str(path).rpartition("/")[2] for path in grid] if isinstance(grid, Mapping) else []
    return "-".join([stem, *(words or ["sweep"])])


def names_sweep(base: Path | str) -> bool:
    """Whether a file or a name is that of a sweep and not of a config."""
    of_config = packaged.find_file("configs", base) is not None
    return Path(base).suffix == ".py" or (not of_config and packaged.find_file("sweeps", base) is not None)


def conclude(summary: SweepSummary) -> None:
    """Raise if the sweep ended early; log what else its user must know."""
    if summary.interrupted:
        message = in_python(summary.message)
        raise SweepError(message) if summary.cause else KeyboardInterrupt(message)
    if failed := summary.progress.failed:
        log.warning("%d of %d trials failed; resume=True trains them again.", failed, summary.progress.asked)
    for sentence in filter(None, (summary.message, summary.notes, summary.budget)):
        log.warning("%s", in_python(sentence))


def in_python(sentence: str) -> str:
    """A sentence that names an option of the command line, with the argument of `run_sweep` in its place."""
    return sentence.replace("--resume", "resume=True")
