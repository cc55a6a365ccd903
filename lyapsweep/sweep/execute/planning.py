"""The plan of one run of a sweep: its points, and what its results folder already holds of them."""

import dataclasses
import logging
import math
import time
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from functools import cached_property
from itertools import chain
from pathlib import Path
from typing import Any

from lyapsweep.config import Config, ConfigError
from lyapsweep.config.command import format_config
from lyapsweep.datasets.validation import AUTO
from lyapsweep.packaged import short_name
from lyapsweep.problems.changed_inputs import changed_inputs
from lyapsweep.results.constraints import score_of
from lyapsweep.results.description import BaseConfig, Confirmation, SweepDescription
from lyapsweep.results.experiment import atomic_write
from lyapsweep.results.record import Outcome, Record
from lyapsweep.sweep.execute.dataset_check import check_datasets, check_objective
from lyapsweep.sweep.execute.optuna_study import recorded_params
from lyapsweep.sweep.execute.results_folder import ResultsFolder
from lyapsweep.sweep.observe.summary import command_line, versions
from lyapsweep.sweep.plan.confirmation import requested, without_confirmation
from lyapsweep.sweep.plan.definition import Sweep
from lyapsweep.sweep.plan.errors import SweepError
from lyapsweep.sweep.plan.points import Point, refuse_overridden, varied_paths
from lyapsweep.sweep.plan.refinement import Refinement
from lyapsweep.sweep.plan.resume import StoredPoint, complete, plan_parts, requested_counts
from lyapsweep.sweep.plan.sampling import draw
from lyapsweep.user_code import relative

log = logging.getLogger("lyapsweep")
HUNT_SAMPLE = 20  # points of a hunt's space from which its varied settings are read


@dataclass(frozen=True)
class SweepPlan:
    """What one run of a sweep trains.

    Attributes:
        sweep: The sweep; `trials` is the number of points of a space in all.
        base: Config of everything that is not varied.
        seed: Seed of the draws from a space.
        parts: Points of a map, in parts that are packed separately; empty for a hunt.
        extended: Sizes of the extensions.
        varied: Paths whose values differ between trials.
        records: The last record of every trial in the folder, without arrays.
        pack: Members per pack as requested now or before; None for the default.
        refinement: Of a map that is refined along borders.
        confirmation: How the best settings are confirmed; None if they are not.
        replaced: Trials that are trained again because their data or code changed; their records are to be removed.
    """

    sweep: Sweep
    base: Config
    seed: int
    parts: list[list[Point]]
    extended: list[int]
    varied: list[str]
    records: Mapping[str, Record]
    pack: int | None
    refinement: Refinement | None
    confirmation: Confirmation | None = None
    replaced: tuple[str, ...] = ()

    @cached_property
    def points(self) -> list[Point]:
        """All points of a map."""
        return list(chain.from_iterable(self.parts))

    @cached_property
    def ended(self) -> dict[str, Record]:
        """Trials of the search that need no more training, those among them that a confirmation trained included."""
        search = without_confirmation(self.records, self.confirmation)
        search |= {point.key: self.records[point.key] for point in self.points if point.key in self.records}
        return {key: record for key, record in search.items() if complete(record)}

    @property
    def fresh(self) -> list[str]:
        """Trials from fresh seeds that an earlier run planned."""
        return self.confirmation.fresh if self.confirmation else []

    def total(self, fresh: Collection[str]) -> int:
        """Number of trials requested, those of a confirmation included; one that both ask for counts once."""
        return self.asked + len(set(fresh).difference(point.key for point in self.points))

    @cached_property
    def confirmed(self) -> dict[str, Record]:
        """Trials from fresh seeds that need no more training."""
        return {key: self.records[key] for key in self.fresh if key in self.records and complete(self.records[key])}

    @cached_property
    def failed(self) -> set[str]:
        """Trials that an error ended."""
        return {key for key, record in self.records.items() if record.outcome is Outcome.FAILED}

    @cached_property
    def ended_before(self) -> dict[str, Record]:
        """Trials that ended and are trained again: failed or interrupted."""
        return {key: r for key, r in self.records.items() if r.outcome.final and not complete(r)}

    @cached_property
    def results(self) -> dict[str, tuple[Outcome, float]]:
        """Outcome and objective of trials that need no more training."""
        objective = self.sweep.objective
        return {key: (r.outcome, r.measures.get(objective, math.nan)) for key, r in self.ended.items()}

    @cached_property
    def scores(self) -> dict[str, dict[str, float]]:
        """The scores of these trials that further objectives and constraints need."""
        names = self.sweep.scores
        return {key: {name: score_of(r, name) for name in names} for key, r in self.ended.items()} if names else {}

    @cached_property
    def asked(self) -> int:
        """Number of trials requested; of a refinement those of the rounds so far."""
        if self.refinement and self.remaining >= 0:  # which replays the rounds
            return max(self.refinement.requested, len(self.ended))
        return len(self.points) if self.sweep.intent == "map" else self.sweep.trials or 0

    @cached_property
    def remaining(self) -> int:
        """Number of trials to train; of a refinement those of its next round."""
        return self.refinement.remaining(self.results) if self.refinement else self.asked - len(self.ended)


def plan_sweep(
    sweep: Sweep,
    base: Config,
    folder: ResultsFolder,
    seed: int = 0,
    *,
    resume: bool = False,
    extend: int = 0,
    refine: bool | None = None,
    storage: Path | str | None = None,
    again: bool = False,
    changes: Mapping[str, Any] | None = None,
) -> SweepPlan:
    """Plan a run of a sweep in its folder; `SweepError` if the folder belongs to another sweep.

    Args:
        sweep: What is varied.
        base: Config of everything that is not varied.
        folder: The sweep's results folder.
        seed: Seed of the draws from a space.
        resume: Whether a folder with records may be continued.
        extend: Number of points to add.
        refine: Whether a map is refined along borders; None continues as the folder's sweep was started.
        storage: The Optuna study's place; None for the journal in the folder.
        again: Whether trials whose data or code changed since are trained again.
        changes: Settings of `base` that were requested for this run; none of them may be varied by the sweep.
    """
    description, records = folder.description(), folder.last_records()
    base = as_begun(base, records)
    changed = changed_inputs(record for record in records.values() if complete(record))
    kept = {key: record for key, record in records.items() if not (again and key in changed)}
    counts = requested_counts(sweep, description.extended if description != SweepDescription() else None, extend)
    sweep = dataclasses.replace(sweep, trials=sum(counts) if sweep.space else None)
    parts = [] if sweep.intent == "hunt" else map_parts(sweep, base, folder, seed, records, storage)
    sample = list(chain.from_iterable(parts)) or draw(sweep, HUNT_SAMPLE, seed, base)
    refuse_overridden(sweep, base, changes or {}, sample)
    check_datasets(point.config for point in sample)
    check_objective((p.config for p in sample if p.key not in records), sweep.objective)
    refine = description.refined is not None if refine is None else refine
    planned = SweepPlan(
        sweep=sweep,
        base=base,
        seed=seed,
        parts=parts,
        extended=counts[1:],
        varied=varied_paths([point.config for point in sample]),
        records=kept,
        pack=sweep.pack or description.pack,
        refinement=Refinement(sweep, sample) if refine else None,
        confirmation=requested(sweep, description.confirmation),
        replaced=tuple(changed) if again else (),
    )
    if planned.confirmation:
        refuse_untrusted(records, folder)
    folder.refuse_changed(changed, planned.remaining, sweep.intent, again)
    folder.check(planned.ended, {p.key for p in planned.points} if sweep.intent == "map" else None, resume)
    return planned


def refuse_untrusted(records: Mapping[str, Record], folder: ResultsFolder) -> None:
    """Raise `SweepError` for records of settings that a confirmation could train and whose code is not trusted."""
    for key, record in records.items():
        if not record.config.trusted:
            raise SweepError(
                f"{folder.path}: trial {key} names code that this user has not run before, or that is not in memory "
                "here. Define it again with the same source, or give this sweep another --name."
            )


def map_parts(
    sweep: Sweep,
    base: Config,
    folder: ResultsFolder,
    seed: int,
    records: Mapping[str, Record],
    storage: Path | str | None,
) -> list[list[Point]]:
    """The points of a map: those planned before, then new ones."""
    stored = []
    if sweep.space and records:  # points that nothing was trained of do not bind a new start
        stored = folder.stored_points() or recorded_points(sweep, records, storage or folder.paths.optuna_journal)
    return plan_parts(sweep, base, seed, stored, {*records, *(point.key for point in stored)})


def as_begun(base: Config, records: Mapping[str, Record]) -> Config:
    """The base config by which a sweep with these records was begun: version 0.1 had no validation part."""
    before = bool(records) and all(record.config.dataset["validation"] is None for record in records.values())
    if base.dataset["validation"] != AUTO or not before:
        return base
    log.warning("The trials recorded so far have no validation part, so the sweep continues without one.")
    return base.changed({"dataset/validation": None})


def base_config(sweep: Sweep, folder: ResultsFolder) -> BaseConfig | None:
    """The base file as it is; one in the sweep's folder if the sweep names none.

    None for one that is a config only with the changes that the sweep makes to it.
    """
    try:
        config = Config.load(sweep.base)
    except ConfigError:
        return None
    if isinstance(sweep.base, Path | str):
        return BaseConfig(short_name(sweep.base), config.to_dict())
    with atomic_write(folder.paths.base) as file:
        file.write(f"{format_config(config)}\n".encode())
    return BaseConfig(relative(str(folder.paths.base)), config.to_dict())


def describe_plan(folder: ResultsFolder, planned: SweepPlan, asked: int) -> None:
    """Write to sweep.json what a reader of the results must know of the sweep.

    Args:
        folder: The sweep's results folder.
        planned: What the run trains.
        asked: Number of trials requested.
    """
    sweep, refinement = planned.sweep, planned.refinement
    folder.describe(
        name=folder.name,
        question=sweep.question or "",
        intent=sweep.intent,
        objective=sweep.objective,
        direction=sweep.direction,
        further=tuple(sweep.further),
        constraints=tuple(sweep.constraints),
        varied=tuple(planned.varied),
        base=base_config(sweep, folder),
        trials=asked,
        extended=tuple(planned.extended),
        seed=planned.seed,
        refined=refinement.description() if refinement else None,
        options=sweep.options,
        confirmation=planned.confirmation,
        command=command_line(),
        started=time.strftime("%Y-%m-%d %H:%M:%S %z"),
        versions=versions(),
    )


def recorded_points(sweep: Sweep, records: Mapping[str, Record], study: Path | str) -> list[StoredPoint]:
    """Points of a map over a space that stored none, as version 0.1: from its records and its Optuna study."""
    params = recorded_params(study, sweep.name or "sweep")
    params |= {key: record.config.flat for key, record in records.items() if key not in params}
    return [StoredPoint(key, values) for key, values in params.items()]
