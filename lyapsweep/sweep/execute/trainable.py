"""What runs on a worker: one pack, one report per step. Imports neither Optuna nor MLflow."""

import math
import socket
import statistics
import traceback
from collections.abc import Callable, Generator, Iterator, Sequence
from dataclasses import dataclass, field, replace
from functools import cache
from typing import Any

import ray
import torch
from ray import tune

from lyapsweep.compiled.engine import choose_engine
from lyapsweep.config import Config
from lyapsweep.measures import MEASURES
from lyapsweep.process import small_networks
from lyapsweep.results.constraints import score_of
from lyapsweep.results.provenance import Provenance, commit, package_versions
from lyapsweep.results.record import Outcome, Record, latest, reopened
from lyapsweep.sweep.execute.pack import MemberReport, PackReport, PackSpec
from lyapsweep.sweep.plan.packing import split_evenly
from lyapsweep.training.checkpoint import Checkpoints, UnwrittenCheckpoint, name
from lyapsweep.trial import run_trials
from lyapsweep.user_code import described


class PackTrainable(tune.Trainable):
    """Trains a pack, saves its records, and reports each member's outcome, step, value and file to the driver."""

    def setup(self, config: dict[str, Any]) -> None:
        self.reset_config(config)

    def reset_config(self, new_config: dict[str, Any]) -> bool:
        """Start the next pack in the same process, which has imported everything already."""
        small_networks()
        self.spec = PackSpec.from_dict(new_config)
        choose_engine(self.spec.settings.engine)
        spec = self.spec
        self.checkpoints = Checkpoints(spec.settings.checkpoints, spec.parents, spec.ended, spec.start)
        given = {"until": spec.until, "final_measures": spec.settings.final_measures}
        self.training = PackTraining(spec.settings.device, self.latest, self.checkpoints, **given)
        self.records = self.training.run(self.spec.configs, self.spec.keys)
        self.remaining = set(self.spec.keys).difference(self.spec.ended)
        self.first_report = True
        return True

    def latest(self, key: str) -> Record | None:
        """A trial's last record, whoever trained it."""
        return latest(self.spec.settings.records, key)

    def step(self) -> dict[str, Any]:
        """Train to the next report."""
        return self.report().to_dict()

    def report(self) -> PackReport:
        """Save the next records of members that still train."""
        measure = MEASURES[self.spec.settings.objective]
        worst = PackReport(objective=measure.worst)
        try:
            records = [record for record in next(self.records, []) if record.trial in self.remaining]
            members = [self.save(record) for record in records]
        except UnwrittenCheckpoint as error:
            return replace(worst, error=f"{node()}: {error}", done=True)
        except OSError as error:  # no fault of a trial: the sweep ends here, to be resumed when the folder is available
            text = f"{node()} cannot write to {self.spec.settings.records} ({error})"
            return replace(worst, error=text, done=True)
        self.remaining -= {record.trial for record in records if self.training.over(record)}
        values = [member.value for member in members if not math.isnan(member.value)]
        best = min if measure.direction == "minimise" else max
        first, self.first_report = self.first_report, False
        return PackReport(
            objective=best(values, default=measure.worst),
            step=max((record.step for record in records), default=0),
            members=members,
            done=not self.remaining,
            checkpoint=name(self.training.members),
            resumed_from=self.checkpoints.taken if first else None,
            checkpoint_note=self.checkpoints.note if first else "",
            fitting=self.training.fitting(records),
            loss=running_loss(records),
        )

    def save(self, record: Record) -> MemberReport:
        """Save a record. Raises OSError where the folder is missing or full."""
        folder = self.spec.settings.records
        if not folder.is_dir():
            raise FileNotFoundError("no such folder on this node: it must be shared under the same path")
        record = replace(record, provenance=replace(record.provenance, node=node()))
        file = record.save(folder)
        value = record.measures.get(self.spec.settings.objective, math.nan)
        scores = {name: score_of(record, name) for name in self.spec.settings.scores}
        return MemberReport(record.trial, record.outcome, record.step, value, file.name, scores)

    def cleanup(self) -> None:
        self.records.close()


def running_loss(records: Sequence[Record]) -> float:
    """The median of the members' last training losses; NaN before the first update."""
    last = [float(record.traces["loss"][-1]) for record in records if len(record.traces.get("loss", ()))]
    return statistics.median(last) if last else math.nan


@cache
def node() -> str:
    """The machine's name and the first digits of Ray's id of the node."""
    return f"{socket.gethostname()}/{ray.get_runtime_context().get_node_id()[:6]}"


@dataclass
class PackTraining:
    """`run_trials` with errors as records: one member's error does not end its neighbours.

    Attributes:
        device: "cpu" or "cuda".
        latest: Returns a trial's last record that was saved.
        checkpoints: What to resume from.
        oversized: Sizes of packs that memory did not suffice for.
        until: Number of updates at which training ends with a checkpoint; None for the end of training.
        members: Keys of the members that train together now.
        final_measures: Measures of final records beside those of the configs.
    """

    device: str = "cpu"
    latest: Callable[[str], Record | None] = lambda key: None
    checkpoints: Checkpoints | None = None
    oversized: list[int] = field(default_factory=list)
    until: int | None = None
    members: list[str] = field(default_factory=list)
    final_measures: Sequence[str] = ()

    def over(self, record: Record) -> bool:
        """Whether this training makes no further record of the trial."""
        return record.outcome.final or (self.until is not None and record.step >= self.until)

    def fitting(self, records: Sequence[Record]) -> int | None:
        """How many members memory suffices for, where it did not suffice for the whole pack."""
        return max((r.provenance.pack or 1 for r in records), default=1) if self.oversized else None

    def run(
        self, configs: Sequence[Config], keys: Sequence[str], checkpoints: Checkpoints | None = None
    ) -> Generator[list[Record], None, None]:
        """Yield the records of each report. Raises `UnwrittenCheckpoint`.

        An error in a pack of several does not show its member: the unfinished members are split in halves and tried
        again until that member is alone. Each half resumes from the pack's checkpoint, if there is one.
        """
        checkpoints = checkpoints or self.checkpoints
        ended = checkpoints.known if checkpoints else ()
        remaining = {key: config for key, config in zip(keys, configs) if key not in ended}
        error = yield from self.attempt(configs, keys, checkpoints, remaining)
        if error is None or not remaining:
            return
        # After the handler, whose frames hold the memory of the failed pack.
        if self.device != "cpu":
            torch.cuda.empty_cache()
        if len(configs) == 1:
            yield [failed(config, key, self.latest(key), error) for key, config in remaining.items()]
            return
        halves = checkpoints.part(list(keys)) if checkpoints else None
        for half in split_evenly(list(remaining.items()), math.ceil(len(remaining) / 2)):
            yield from self.run([config for _, config in half], [key for key, _ in half], halves)

    def attempt(
        self,
        configs: Sequence[Config],
        keys: Sequence[str],
        checkpoints: Checkpoints | None,
        remaining: dict[str, Config],
    ) -> Generator[list[Record], None, dict[str, str] | None]:
        """Train a pack, removing members that end from `remaining`; return the error that ended it, if any."""
        try:
            self.members = list(keys)
            for records in run_trials(configs, self.device, checkpoints, keys, self.until, self.final_measures):
                for record in records:
                    if self.over(record):
                        remaining.pop(record.trial, None)
                yield records
            if remaining:
                raise RuntimeError(f"Training ended without a final record of {', '.join(remaining)}.")
        except UnwrittenCheckpoint:
            raise
        except Exception as error:
            if out_of_memory(error):
                self.oversized.append(len(configs))
            return {
                "error": described(error),
                "traceback": "".join(traceback.format_exception(error)),
            }


def train_pack(
    configs: Sequence[Config], device: str = "cpu", oversized: list[int] | None = None
) -> Iterator[list[Record]]:
    """The records of one pack, with errors as records; `oversized` as in `PackTraining`."""
    training = PackTraining(device, oversized=[] if oversized is None else oversized)
    return training.run(configs, [config.id for config in configs])


def out_of_memory(error: BaseException) -> bool:
    """Whether memory of the GPU or of the machine ran out; torch raises a RuntimeError for the latter."""
    return isinstance(error, (MemoryError, torch.OutOfMemoryError)) or "can't allocate memory" in str(error)


def failed(config: Config, key: str, last: Record | None, error: dict[str, str]) -> Record:
    """The final record of a trial that an error ended: its last measurements, and the error with its traceback."""
    if last is None:
        provenance = Provenance(seed=config.seed, versions=package_versions(), commit=commit())
        last = Record(config, 0, Outcome.FAILED, provenance=provenance, trial=key)
    return ended(reopened(last), Outcome.FAILED, **error)


def ended(last: Record, outcome: Outcome, **provenance: Any) -> Record:
    """`last` as the final record of a trial that was ended from outside, with changes of its provenance."""
    return replace(last, outcome=outcome, provenance=replace(last.provenance, **provenance))
