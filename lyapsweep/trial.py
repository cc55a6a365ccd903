"""A trial is a stream of records: one at the initialisation, one at every report, one at the end. No Ray in it."""

import logging
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import torch

from lyapsweep import datasets
from lyapsweep.cells import CELLS
from lyapsweep.config import Config, ConfigError
from lyapsweep.datasets import Series, Task
from lyapsweep.dynamics import Spectrum
from lyapsweep.evaluation.series import evaluate, free_spectra
from lyapsweep.evaluation.stateful import CarriedWindows, fit_windows
from lyapsweep.evaluation.task import driven_spectra, examine
from lyapsweep.flossing import floss
from lyapsweep.forcing import FORCINGS, Schedule
from lyapsweep.inits import INITS
from lyapsweep.measures import chosen
from lyapsweep.measures.evidence import Evidence
from lyapsweep.problems.interval import forcing_settings
from lyapsweep.readouts import READOUTS
from lyapsweep.regularisation import penalty
from lyapsweep.results.provenance import about, conditions
from lyapsweep.results.record import Outcome, Record
from lyapsweep.rollout import Network
from lyapsweep.training import Objective, Progress, train
from lyapsweep.training.checkpoint import Checkpoint, Checkpoints
from lyapsweep.training.objectives import DrivenWindows, ForcedWindows
from lyapsweep.windows import Windows

log = logging.getLogger("lyapsweep")
FORCING_SEED = 2**40  # far from the seeds of weights and windows, so that no two streams are the same
TRACE_POINTS = 500  # at most, of a training curve
ORBIT_POINTS = 2000  # of true and generated series kept for pictures


def run_trial(config: Config, device: str = "cpu", checkpoints: Checkpoints | None = None) -> Iterator[Record]:
    """The records of one config."""
    for records in run_trials([config], device, checkpoints):
        yield from records


def run_trials(
    configs: Sequence[Config], device: str = "cpu", checkpoints: Checkpoints | None = None
) -> Iterator[list[Record]]:
    """Train a pack of configs of one shape side by side; yield, at each report, a record for each that still trains.

    A diverged member's final record comes at the report after its end, once. Closing the iterator stops the pack.
    It goes on after the report of the pack's checkpoint, where `checkpoints` hold one, and leaves one there whenever it
    is asked for the next report: by then the records of the last one are kept. Raises ValueError where the configs
    differ in shape, `BadSeries` or `ConfigError` where the data do not fit, `UnwrittenCheckpoint`.
    """
    if len({c.shape for c in configs}) != 1:
        raise ValueError(
            "The configs of a pack must share everything but seed, init, forcing, regularisation, lr, lr_end and clips."
        )
    began, first, members = time.perf_counter(), configs[0], [c.id for c in configs]
    known = data(first)
    network = build(configs, *sizes(known, first.windows)).to(device)
    made = conditions(network, known)
    past = checkpoints.latest(members, made) if checkpoints else Checkpoint(members)
    if not past.state:
        floss(network.cell, [c.flossing for c in configs])
    penalties = penalty(network, [c.regularisation for c in configs])
    finished, limits = past.ended, None
    seconds = lambda: past.seconds + time.perf_counter() - began  # noqa: E731
    objective = aim(network, known, configs, device)
    for progress in train(network, objective, [c.training for c in configs], penalties, past.state):
        evidence = look(network, progress, known, configs)
        limits = limits or bounds(first, evidence[0][1])
        records = []
        for p, config in enumerate(configs):
            if finished[p]:
                continue
            outcome = judge(progress, p, config)
            finished[p] = outcome.final
            provenance = about(config, known, device, len(configs), seconds(), past.continued)
            records.append(note(config, progress, p, outcome, evidence[p], limits, network, provenance))
        yield records
        if checkpoints and 0 < progress.step < first.training.steps:
            checkpoints.save(replace(past, state=progress.state(), seconds=seconds()), made)


def data(config: Config) -> Series | Task:
    """What the config's networks learn. Raises `ConfigError` where the rest of the config does not fit it."""
    known = datasets.build(**config.dataset)
    if isinstance(known, Task):
        fit_task(config, known)
        return known
    config.windows.fit(max(known.pieces))
    return known


def fit(config: Config) -> None:
    """Raise what would end the config's trial before its first update: data that cannot be had, or that do not fit.

    Trajectories too short for any window are no reason to end, and are told of.
    """
    known = data(config)
    build([config], *sizes(known, config.windows))
    if isinstance(known, Series):
        force([config], series=known)
        short = [n for n in known.pieces if n <= config.windows.steps]
        if short:
            log.warning(
                "%s: %d of %d trajectories are not trained on, their %s training steps are too few for windows/length "
                "%d. Shorten it to use them.",
                *(known.source, len(short), len(known.pieces), ", ".join(map(str, short)), config.windows.steps),
            )


def fit_task(config: Config, task: Task) -> None:
    """Raise `ConfigError` where windows or read-out do not suit the task's sequences."""
    length, readout = config.windows.length, config.readout["kind"]
    if task.stream and length is None:
        raise ConfigError(f"windows/length must be a number: {task.source} is one stream of {task.length} steps.")
    if length is not None and task.head == "last" and length != task.length:
        raise ConfigError(
            f"windows/length must be null for {task.source}, whose answers come after whole sequences, but is {length}."
        )
    if length is not None and length > task.length:
        raise ConfigError(f"windows/length <= {task.length} steps of {task.source} must hold, but got {length}.")
    if READOUTS[readout].whole and task.head != "last":
        raise ConfigError(
            f"readout/kind '{readout}' answers once a sequence, but {task.source} asks at every step. Take affine."
        )
    fit_windows(config.windows, task)


def aim(network: Network, known: Series | Task, configs: Sequence[Config], device: str) -> Objective:
    """What the pack descends, each member's windows drawn from its own seed."""
    windows = configs[0].windows
    generators = [torch.Generator().manual_seed(2 * c.seed + 1) for c in configs]
    if isinstance(known, Task):
        return (CarriedWindows if windows.carried else DrivenWindows)(network, known, windows, generators, device)
    own: dict[str, Any] = {"dtype": torch.get_default_dtype(), "device": device}
    values = torch.as_tensor(known.train, **own)
    inputs = torch.as_tensor(known.train_inputs, **own) if known.inputs else None
    return ForcedWindows(network, force(configs, device, known), values, windows, generators, known.pieces, inputs)


def look(
    network: Network, progress: Progress, known: Series | Task, configs: Sequence[Config]
) -> list[tuple[dict[str, Spectrum], Evidence]]:
    """Each member's spectra and evidence."""
    if isinstance(known, Task):
        return examine(network, progress, known, configs)
    return evaluate(network, progress, known, configs)


def network_spectrum(config: Config, weights: Mapping[str, np.ndarray] | None = None) -> Spectrum:
    """The spectrum of one network: as `config` draws it, or with a final record's `weights`.

    In closed loop where the data are a series, driven by held-out inputs where it has any or the data are a task.
    Raises ValueError where weights are missing, of another shape or not finite.
    """
    network, known = rebuilt(config, weights)
    if isinstance(known, Task):
        return driven_spectra(network, known, config.lyapunov, config.windows.held)[0]
    return free_spectra(network, known, config.lyapunov)[0]


def rebuilt(config: Config, weights: Mapping[str, np.ndarray] | None = None) -> tuple[Network, Series | Task]:
    """One network as `config` draws it, or with a record's `weights`, and its data. Errors as `network_spectrum`."""
    known = data(config)
    network = build([config], *sizes(known, config.windows))
    if weights is None:
        floss(network.cell, [config.flossing])
    else:
        load(network, weights)
    return network, known


def load(network: Network, weights: Mapping[str, np.ndarray]) -> None:
    """Give the one member of a network the weights of a record."""
    for name, parameter in network.named_parameters():
        if not parameter.numel():
            continue
        if name not in weights:
            raise ValueError(f"The weights hold no '{name}'; they hold {', '.join(weights) or 'nothing'}.")
        if weights[name].shape != parameter.shape[1:]:
            raise ValueError(
                f"{name} must be {tuple(parameter.shape[1:])}, but the weights hold {weights[name].shape}."
            )
        if not np.isfinite(weights[name]).all():
            raise ValueError(f"{name} holds values that are not finite.")
        parameter.data.copy_(torch.as_tensor(weights[name]))


def sizes(known: Series | Task, windows: Windows | None = None) -> tuple[int, int, int]:
    """What the data ask of a network: outputs, inputs (held targets too), and the steps that its answers come from."""
    if isinstance(known, Series):
        return known.features, known.inputs, 0
    return known.outputs, known.inputs + (known.outputs if windows and windows.held else 0), known.length


def build(configs: Sequence[Config], outputs: int, inputs: int = 0, steps: int = 0) -> Network:
    """The population {cell, readout} of a pack, each member drawn from its own seed."""
    first, population = configs[0], len(configs)
    cell = CELLS[first.cell["kind"]](inputs=inputs, population=population, **first.settings("cell"))
    make = READOUTS[first.readout["kind"]]
    readout = make(outputs, cell.units, cell.state, population, **({"steps": steps} if make.whole else {}))
    generators = [torch.Generator().manual_seed(2 * c.seed) for c in configs]
    cell.build([(draw(c), g) for c, g in zip(configs, generators)])
    readout.build(generators)
    return Network(cell, readout)


def draw(config: Config):
    init, knobs = INITS[config.init["kind"]], config.settings("init")
    return lambda rows, columns, generator: init(rows, columns, generator, **knobs)


def force(configs: Sequence[Config], device: str = "cpu", series: Series | None = None) -> Schedule:
    """Every member's forcing over its training."""
    first = configs[0]
    forcings = [FORCINGS[c.forcing["kind"]](**forcing_settings(c, series)) for c in configs]
    generators = [torch.Generator().manual_seed(FORCING_SEED + c.seed) for c in configs]
    return Schedule(forcings, first.windows.steps, first.training.steps, generators, device)


def judge(progress: Progress, p: int, config: Config) -> Outcome:
    if not progress.alive[p]:
        return Outcome.DIVERGED
    return Outcome.FINISHED if progress.step == config.training.steps else Outcome.RUNNING


def note(
    config: Config,
    progress: Progress,
    p: int,
    outcome: Outcome,
    evidence: tuple[dict[str, Spectrum], Evidence],
    limits: dict[str, dict[str, float]],
    network: Network,
    provenance: dict,
) -> Record:
    """One member's record: what was measured, with weights and pictures where the trial ends."""
    spectra, seen = evidence
    measures = {}
    for name, measure in chosen(config.measures).items():
        measures |= {name: measure(seen)} | measure.details(seen)
    traces = {
        "loss": thin(progress.losses[:, p].cpu().numpy()),
        "gradient_norm": thin(progress.gradient_norms[:, p].cpu().numpy()),
        "updates": thin(np.arange(len(progress.losses))),
        "lags": seen.lags,
        "growth": seen.growth,
    }
    ways = {"reset_error": seen.reset, "unbroken_error": seen.unbroken}  # at each step of a window
    traces |= {name: losses.mean(axis=1) for name, losses in ways.items() if losses.size}
    weights = {}
    if outcome.final:
        with np.errstate(over="ignore"):  # of a run that is far away
            orbits = {k: getattr(seen, k)[:ORBIT_POINTS].astype(np.float32) for k in ("truth", "generated")}
        traces |= {k: orbit for k, orbit in orbits.items() if orbit.size}
        if seen.generated.size:  # where each free run begins, beyond the rows that are kept too
            traces["runs"] = np.arange(seen.orbits) * (len(seen.generated) // seen.orbits)
        weights = {name: w[p].detach().cpu().numpy() for name, w in network.named_parameters() if w.numel()}
    step = progress.died_at[p] if outcome is Outcome.DIVERGED else progress.step
    assert step is not None, "a member that diverged died at some step"
    return Record(
        config,
        step,
        outcome,
        spectra,
        measures,
        floors=limits["floors"],
        saturations=limits["saturations"],
        traces=traces,
        weights=weights,
        provenance=provenance,
    )


def bounds(config: Config, seen: Evidence) -> dict[str, dict[str, float]]:
    """Floors and saturations of the measures: they know the data alone, so one network's serve all, at any report."""
    measures = chosen(config.measures)
    floors = {name: measure.floor(seen) for name, measure in measures.items()}
    saturations = {name: measure.saturation(seen) for name, measure in measures.items()}
    known = lambda found: {name: value for name, value in found.items() if value is not None}  # noqa: E731
    return {"floors": known(floors), "saturations": known(saturations)}


def thin(curve: np.ndarray) -> np.ndarray:
    """Every n-th value of a long curve, first and last included."""
    return curve[np.unique(np.linspace(0, len(curve) - 1, TRACE_POINTS).astype(int))] if len(curve) else curve
