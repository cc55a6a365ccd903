"""A trial is a stream of records: at the initialisation, at every report, at the end. It knows nothing of Ray."""

import math
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import torch

from lyapsweep.config import Config
from lyapsweep.dynamics import Spectrum
from lyapsweep.evaluation.evaluation import Evaluation
from lyapsweep.measures import chosen
from lyapsweep.measures.bounds import Bounds
from lyapsweep.measures.evidence import Evidence
from lyapsweep.problems import Problem, problem_of
from lyapsweep.problems.kept import KeptNetworks, with_measures
from lyapsweep.problems.memory import check_memory
from lyapsweep.problems.network import build_network, initialise, load_weights
from lyapsweep.problems.series import forcing_schedule
from lyapsweep.process import fresh_torch_state, in_fresh_torch_state
from lyapsweep.regularisation import penalty
from lyapsweep.results.headline import headline_map
from lyapsweep.results.provenance import Provenance, code_digests, commit, package_versions
from lyapsweep.results.record import Outcome, Record
from lyapsweep.rollout import Network
from lyapsweep.training import TrainingProgress, train
from lyapsweep.training.checkpoint import Checkpoint, Checkpoints

TRACE_POINTS = 500  # at most, of a training curve
ORBIT_POINTS = 2000  # at most, of the true and generated series in a record


def run_trial(config: Config, device: str = "cpu", checkpoints: Checkpoints | None = None) -> Iterator[Record]:
    """Train one network and yield its records.

    Args:
        config: The trial.
        device: Where to train, such as "cpu" or "cuda".
        checkpoints: Where training resumes from and saves its checkpoint; None for no checkpoint.

    Yields:
        A record at the initialisation, at every report, and at the end.

    Raises:
        ValueError: As `run_trials`.

    Example:
        >>> henon = {"kind": "simulated", "system": "henon", "length": 300}
        >>> content = {"dataset": henon, "cell": {"kind": "vanilla", "units": 2}, "windows": {"length": 20}}
        >>> content |= {"training": {"steps": 2}, "lyapunov": {"steps": 10, "warmup": 2}, "measures": ["loss"]}
        >>> [(record.step, record.outcome.value) for record in run_trial(Config.of(content))]
        [(0, 'running'), (2, 'finished')]
    """
    for records in run_trials([config], device, checkpoints):
        yield from records


@in_fresh_torch_state
def run_trials(
    configs: Sequence[Config],
    device: str = "cpu",
    checkpoints: Checkpoints | None = None,
    keys: Sequence[str] | None = None,
    until: int | None = None,
    final_measures: Sequence[str] = (),
) -> Iterator[list[Record]]:
    """Train a pack of configs of one shape side by side.

    A diverged member gets one final record, at the report after its divergence. Closing the iterator stops the pack.

    Args:
        configs: The pack. Members may differ in seed, init, forcing, regularisation, lr, lr_end and clips.
        device: Where to train, such as "cpu" or "cuda".
        checkpoints: Where training resumes from. The pack saves a checkpoint when it is asked for the next report, so
            records must be kept before.
        keys: Ids of the trials in records and checkpoints; by default the configs' ids.
        until: A report at which the pack ends with a checkpoint, so that members can continue in other packs.
        final_measures: Measures of final records beside those of the configs, as far as they apply to the data.

    Yields:
        At each report, a record of every member that still trains.

    Raises:
        ValueError: If the configs differ in shape, or do not fit the data (`BadSeries`, `BadTask`, `ConfigError`).
        UnwrittenCheckpoint: If a checkpoint cannot be written.

    Example:
        >>> henon = {"kind": "simulated", "system": "henon", "length": 300}
        >>> content = {"dataset": henon, "cell": {"kind": "vanilla", "units": 2}, "windows": {"length": 20}}
        >>> content |= {"training": {"steps": 2}, "lyapunov": {"steps": 10, "warmup": 2}, "measures": ["loss"]}
        >>> pack = [Config.of(content | {"seed": seed}) for seed in (0, 1)]
        >>> [[record.step for record in records] for records in run_trials(pack)]
        [[0, 0], [2, 2]]
    """
    if len({c.shape for c in configs}) != 1:
        raise ValueError(
            "pack: its configs must share everything but seed, init, forcing, regularisation, lr, lr_end and clips. "
            "Train configs of other shapes in other packs."
        )
    check_memory(configs[0])
    began, problem = time.perf_counter(), problem_of(configs[0])
    network = build_network(configs, *problem.size).to(device)
    conditions, members = problem.conditions(network), list(keys or [c.id for c in configs])
    past = checkpoints.latest(members, conditions) if checkpoints else Checkpoint(members)
    if not past.state:
        initialise(network, configs)
    penalties = penalty(network, [c.regularisation for c in configs])
    objective, finished = problem.objective(network, configs, device), past.ended
    kept = KeptNetworks(network, problem, configs, past.state)
    for progress in train(network, objective, [c.training for c in configs], penalties, past.state):
        final = progress.step == configs[0].training.steps
        measured = with_measures(configs, final_measures) if final else configs
        shown = kept.evaluate(progress, measured)
        bounds = problem.bounds(configs[0])
        now, records = replace(past, seconds=past.seconds + time.perf_counter() - began), []
        for p in [p for p, over in enumerate(finished) if not over]:
            provenance = make_provenance(configs[p], problem, device, progress.engine, now, shown.steps[p])
            record = make_record(measured[p], progress, p, shown.evaluations[p], bounds, shown.network, provenance)
            finished[p] = record.outcome.final
            test_floors = dict(problem.bounds(configs[0], test=True).floors) if record.test else {}
            records.append(replace(record, config=configs[p], trial=members[p], test_floors=test_floors))
        now = replace(now, seconds=past.seconds + time.perf_counter() - began)
        if until is not None and progress.step >= until:  # what the report leads to needs the checkpoint
            if checkpoints:
                checkpoints.save(replace(now, state=shown.progress.state()), conditions)
            yield records
            return
        yield records
        if checkpoints and progress.step > 0 and not final:
            checkpoints.save(replace(now, state=shown.progress.state()), conditions)


@fresh_torch_state()
def network_spectrum(config: Config, weights: Mapping[str, np.ndarray] | None = None) -> Spectrum:
    """Compute the Lyapunov spectrum of one network.

    Args:
        config: The network and its data. A series is run in closed loop, or driven by its held-out inputs; a task
            drives its network by held-out inputs.
        weights: Weights of a final record; None for the initialisation of `config`.

    Returns:
        A `Spectrum`, measured as `config.lyapunov` says.

    Raises:
        ValueError: If weights are missing, of another shape, or not finite.

    Example:
        >>> henon = {"kind": "simulated", "system": "henon", "length": 300}
        >>> content = {"dataset": henon, "cell": {"kind": "vanilla", "units": 2}, "lyapunov": {"steps": 10}}
        >>> network_spectrum(Config.of(content)).map
        'closed loop'
    """
    network, problem = restore_network(config, weights)
    return problem.spectrum(network, config)


def restore_network(config: Config, weights: Mapping[str, np.ndarray] | None = None) -> tuple[Network, Problem]:
    """Return a population of one with the weights of a record, or as initialised, and its problem.

    Raises:
        ValueError: If weights are missing, of another shape, or not finite.
    """
    problem = problem_of(config)
    network = build_network([config], *problem.size)
    if weights is None:
        initialise(network, [config])
    else:
        load_weights(network, weights)
    return network, problem


def make_provenance(
    config: Config, problem: Problem, device: str, engine: str, checkpoint: Checkpoint, kept: int | None = None
) -> Provenance:
    """How a record of this process came about; a sweep adds the node."""
    dtype = torch.get_default_dtype()
    return Provenance(
        seed=config.seed,
        device=device,
        dtype=None if dtype == torch.float32 else str(dtype).removeprefix("torch."),
        engine=engine,
        pack=len(checkpoint.members),
        seconds=checkpoint.seconds,
        data=problem.description,
        continued=tuple(checkpoint.continued),
        kept=kept,
        forcing=problem.forcing_interval(config),
        versions=package_versions(),
        commit=commit(),
        code=code_digests(config.to_dict()),
    )


def make_record(
    config: Config,
    progress: TrainingProgress,
    p: int,
    evaluation: Evaluation,
    bounds: Bounds,
    network: Network,
    provenance: Provenance,
) -> Record:
    """The record of member p, with weights and orbits if its trial has ended."""
    evidence, measures = evaluation.evidence, {}
    for name, measure in chosen(config.measures).items():
        measures |= {name: measure(evidence)} | measure.details(evidence)
    outcome = outcome_of(progress, p, config, evaluation.spectra)
    step = progress.died_at[p] if outcome is Outcome.DIVERGED else progress.step
    assert step is not None, "a diverged member diverged at some step"
    traces, weights = make_traces(progress, p, evidence), {}
    if outcome.final:
        traces |= make_orbits(evidence)
        weights = {name: w[p].detach().cpu().numpy() for name, w in network.named_parameters() if w.numel()}
    return Record(
        config,
        step,
        outcome,
        evaluation.spectra,
        measures,
        dict(bounds.floors),
        traces,
        weights,
        provenance,
        dict(bounds.saturations),
        dict(bounds.surrogates),
        {} if outcome is Outcome.DIVERGED else scores_on_test_part(config, evaluation.test),
    )


def scores_on_test_part(config: Config, evidence: Evidence | None) -> dict[str, float]:
    """Scores on the test part, of the measures that depend on it."""
    if evidence is None:
        return {}
    scores = {name: measure(evidence) for name, measure in chosen(config.measures).items()}
    return {name: score for name, score in scores.items() if not math.isnan(score)}


def outcome_of(progress: TrainingProgress, p: int, config: Config, spectra: Mapping[str, Spectrum]) -> Outcome:
    """The state of member p; a network trained to the end is unbounded if its headline spectrum is."""
    if not progress.alive[p]:
        return Outcome.DIVERGED
    if progress.step < config.training.steps:
        return Outcome.RUNNING
    return Outcome.UNBOUNDED if spectra[headline_map(spectra) or ""].unbounded else Outcome.FINISHED


def make_traces(progress: TrainingProgress, p: int, evidence: Evidence) -> dict[str, np.ndarray]:
    """Curves over updates, over lags, and over the steps of a window."""
    traces = {
        "loss": thin(progress.losses[:, p].cpu().numpy()),
        "gradient_norm": thin(progress.gradient_norms[:, p].cpu().numpy()),
        "updates": thin(np.arange(len(progress.losses))),
        "lags": evidence.lags,
        "growth": evidence.growth,
    }
    errors = {"reset_error": evidence.reset, "unbroken_error": evidence.unbroken}
    return traces | {name: losses.mean(axis=1) for name, losses in errors.items() if losses.size}


def make_orbits(evidence: Evidence) -> dict[str, np.ndarray]:
    """The first rows of the true and the generated series, and the row at which each free run begins."""
    with np.errstate(over="ignore"):  # a diverging run exceeds single precision
        orbits = {k: getattr(evidence, k)[:ORBIT_POINTS].astype(np.float32) for k in ("truth", "generated")}
    orbits = {k: orbit for k, orbit in orbits.items() if orbit.size}
    if evidence.generated.size:  # beyond the rows that are kept, too
        orbits["runs"] = np.arange(evidence.orbits) * (len(evidence.generated) // evidence.orbits)
    return orbits


def thin(curve: np.ndarray) -> np.ndarray:
    """At most TRACE_POINTS values of a curve, evenly spaced, first and last included."""
    return curve[np.unique(np.linspace(0, len(curve) - 1, TRACE_POINTS).astype(int))] if len(curve) else curve


FORMER_NAMES: dict[str, Any] = {
    "aim": lambda network, problem, configs, device="cpu": problem.objective(network, configs, device),
    "build": build_network,
    "data": problem_of,
    "force": forcing_schedule,
    "load": load_weights,
    "rebuilt": restore_network,
    "sizes": lambda problem, windows=None: problem.size,
}


def __getattr__(name: str) -> Any:
    """The names of version 0.1."""
    if name not in FORMER_NAMES:
        raise AttributeError(f"module '{__name__}' has no attribute '{name}'")
    return FORMER_NAMES[name]
