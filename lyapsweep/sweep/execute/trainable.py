"""What runs on a worker: one pack, one report a step. Imports neither Optuna nor MLflow."""

import math
import socket
import traceback
from collections.abc import Callable, Generator, Sequence
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import Any

import ray
import torch
from ray import tune

from lyapsweep.config import Config
from lyapsweep.measures import MEASURES
from lyapsweep.process import small_networks
from lyapsweep.results.provenance import Provenance, commit, package_versions
from lyapsweep.results.record import Outcome, Record, latest, reopened
from lyapsweep.sweep.plan.packing import cut
from lyapsweep.training.checkpoint import Checkpoints, UnwrittenCheckpoint
from lyapsweep.trial import run_trials


class PackTrainable(tune.Trainable):
    """Pulls the records of a pack, saves them, and tells the driver of each member: outcome, step, value and file."""

    def setup(self, config: dict[str, Any]) -> None:
        self.reset_config(config)

    def reset_config(self, new_config: dict[str, Any]) -> bool:
        """The next pack in the same process, which has imported everything already."""
        small_networks()
        self.configs = [Config.of(c) for c in new_config["configs"]]
        self.records, self.objective = Path(new_config["records"]), new_config["objective"]
        self.starved: list[int] = []
        known = new_config.get("known", ())
        self.checkpoints: Checkpoints | None = Checkpoints(
            Path(new_config["checkpoints"]), new_config.get("cut_from", ()), known
        )
        self.stream = outlast(self.configs, new_config["device"], self.starved, self.checkpoints, self.latest)
        self.left = {c.id for c in self.configs}.difference(known)
        return True

    def latest(self, trial: str) -> Record | None:
        """What a trial had reached, whoever trained it."""
        return latest(self.records, trial)

    def step(self) -> dict[str, Any]:
        """Train to the next report. The pack's own objective is its best member's, never NaN: a scheduler sorts it."""
        measure = MEASURES[self.objective]
        told: dict[str, Any] = {"objective": measure.worst, "step": 0, "members": {}, "trouble": ""}
        try:
            records = [record for record in next(self.stream, []) if record.trial in self.left]
        except UnwrittenCheckpoint as error:
            return told | {"trouble": f"{node()}: {error}", "done": True}
        told |= self.begun()
        if self.starved:  # how many fit into the memory that there is
            told["fits"] = max((r.provenance.pack or 1 for r in records), default=1)
        try:
            told["members"] = {record.trial: self.keep(record) for record in records}
        except OSError as error:  # no fault of a trial's: the sweep ends here, and is resumed when the folder is well
            return told | {"trouble": f"{node()} cannot write to {self.records} ({error})", "done": True}
        self.left -= {record.trial for record in records if record.outcome.final}
        values = [m["value"] for m in told["members"].values() if m["value"] == m["value"]]
        if values:
            told["objective"] = min(values) if measure.direction == "minimise" else max(values)
        return told | {"step": max((r.step for r in records), default=0), "done": not self.left}

    def begun(self) -> dict[str, Any]:
        """With the first report: the step from which training went on, and why it did not where it could have."""
        checkpoints, self.checkpoints = self.checkpoints, None
        return {"continued": checkpoints.taken, "note": checkpoints.note} if checkpoints else {}

    def keep(self, record: Record) -> dict[str, Any]:
        """Save a record; what the driver is told of it. Raises OSError where the folder is not there, or full."""
        if not self.records.is_dir():
            raise FileNotFoundError("no such folder on this node: it must be shared under the same path")
        record = replace(record, provenance=replace(record.provenance, node=node()))
        file = record.save(self.records)
        value = record.measures.get(self.objective, float("nan"))
        return {"outcome": record.outcome.value, "step": record.step, "value": value, "file": file.name}

    def cleanup(self) -> None:
        self.stream.close()


@cache
def node() -> str:
    """Where this runs: the machine's name and the first digits of Ray's name for the node."""
    return f"{socket.gethostname()}/{ray.get_runtime_context().get_node_id()[:6]}"


def outlast(
    configs: Sequence[Config],
    device: str,
    starved: list[int] | None = None,
    checkpoints: Checkpoints | None = None,
    latest: Callable[[str], Record | None] = lambda trial: None,
) -> Generator[list[Record], None, None]:
    """`run_trials`, with errors as records; to `starved` it adds the sizes of packs for which memory did not suffice.

    An error in a pack of several is no one's yet: the unfinished members are halved and tried again until the one
    that causes it is alone. Each then goes on from the pack's checkpoint, where there is one, else from step 0.
    `latest` tells a trial's last record of those that were kept. Raises `UnwrittenCheckpoint`.
    """
    left = {c.id: c for c in configs if checkpoints is None or c.id not in checkpoints.known}
    try:
        for records in run_trials(configs, device, checkpoints):
            for record in records:
                if record.outcome.final:
                    left.pop(record.trial, None)
            yield records
        if left:
            raise RuntimeError(f"Training ended without a final record of {', '.join(left)}.")
        return
    except UnwrittenCheckpoint:
        raise
    except Exception as error:
        said = account(error)
        if starved is not None and for_want_of_memory(error):
            starved.append(len(configs))
    # Out of the handler, which would hold on to the frames of the failed pack and to all memory that it had taken.
    if device != "cpu":
        torch.cuda.empty_cache()
    rest = list(left.values())
    if len(configs) == 1:
        yield [failed(c, latest(c.id), said) for c in rest]
        return
    halves = checkpoints and checkpoints.part([c.id for c in configs])
    for half in cut(rest, math.ceil(len(rest) / 2)) if rest else ():
        yield from outlast(half, device, starved, halves, latest)


def for_want_of_memory(error: BaseException) -> bool:
    """Of the GPU, or of the machine, which torch tells as a RuntimeError."""
    return isinstance(error, (MemoryError, torch.OutOfMemoryError)) or "can't allocate memory" in str(error)


def account(error: BaseException) -> dict[str, str]:
    """The error as a record keeps it."""
    return {"error": f"{type(error).__name__}: {error}", "traceback": "".join(traceback.format_exception(error))}


def failed(config: Config, last: Record | None, said: dict[str, str]) -> Record:
    """The final record of a trial that an error ended: what it had measured, and the error with its traceback."""
    if last is None:
        provenance = Provenance(seed=config.seed, versions=package_versions(), commit=commit())
        last = Record(config, 0, Outcome.FAILED, provenance=provenance)
    return ended(reopened(last), Outcome.FAILED, said)


def ended(last: Record, outcome: Outcome, told: dict[str, Any]) -> Record:
    """`last` as the trial's final record, ended from outside."""
    return replace(last, outcome=outcome, provenance=replace(last.provenance, **told))
