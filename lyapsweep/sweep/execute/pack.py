"""What the driver and a worker exchange: the pack to train, and a report per step."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from lyapsweep import in_memory
from lyapsweep.compiled.engine import chosen_engine
from lyapsweep.config import Config
from lyapsweep.results.record import Outcome
from lyapsweep.trust import code_named


@dataclass(frozen=True)
class PackSettings:
    """What all packs of a sweep share.

    Attributes:
        objective: The measure by which members are compared.
        device: "cpu" or "cuda".
        records: Folder that workers write records to.
        checkpoints: Folder that workers write checkpoints to.
        scores: Names of further scores that the driver needs.
        engine: What computes.
        final_measures: Measures of final records beside those of the configs.
    """

    objective: str
    device: str
    records: Path
    checkpoints: Path
    scores: Sequence[str] = ()
    engine: str = field(default_factory=chosen_engine)
    final_measures: tuple[str, ...] = ()


@dataclass(frozen=True)
class PackSpec:
    """A pack as a worker trains it.

    Attributes:
        number: Number of the pack within this run of the sweep.
        configs: One config per member.
        keys: One trial key per member.
        ended: Keys of members that have ended: they train along, since results depend bitwise on the composition of
            the pack, but are not reported.
        parents: Checkpoints of the packs that this one is a part of, the nearest first.
        settings: What all packs share.
        start: Updates that the members have made in packs that ended at a rung: beginning there is no resumption.
        until: Number of updates at which the pack ends with a checkpoint, to be continued in other packs; None for the
            end of training.
    """

    number: int
    configs: Sequence[Config]
    keys: Sequence[str]
    ended: Sequence[str]
    parents: Sequence[str]
    settings: PackSettings
    start: int = 0
    until: int | None = None

    def to_dict(self) -> dict[str, Any]:
        """The spec as a Ray config, with the classes and functions in memory that its configs name."""
        configs, settings = [config.to_dict() for config in self.configs], self.settings
        named = [configs, settings.objective, *settings.scores, *settings.final_measures]
        return {
            "number": self.number,
            "configs": configs,
            "objects": in_memory.pickled(code_named(named)),
            "keys": list(self.keys),
            "ended": list(self.ended),
            "parents": list(self.parents),
            "start": self.start,
            "until": self.until,
            "objective": self.settings.objective,
            "device": self.settings.device,
            "records": str(self.settings.records),
            "checkpoints": str(self.settings.checkpoints),
            "scores": list(self.settings.scores),
            "engine": self.settings.engine,
            "final_measures": list(self.settings.final_measures),
        }

    @classmethod
    def from_dict(cls, content: Mapping[str, Any]) -> "PackSpec":
        """The spec of a Ray config."""
        in_memory.receive(content["objects"])
        return cls(
            number=content["number"],
            configs=[Config.of(config) for config in content["configs"]],
            keys=content["keys"],
            ended=content["ended"],
            parents=content["parents"],
            settings=PackSettings(
                content["objective"],
                content["device"],
                Path(content["records"]),
                Path(content["checkpoints"]),
                tuple(content["scores"]),
                content["engine"],
                tuple(content["final_measures"]),
            ),
            start=content["start"],
            until=content["until"],
        )


@dataclass(frozen=True)
class MemberReport:
    """One trial at one step: its outcome, the objective's value, its record's file, and its further scores."""

    key: str
    outcome: Outcome
    step: int
    value: float
    file: str
    scores: Mapping[str, float] = field(default_factory=dict)


@dataclass(frozen=True)
class PackReport:
    """What a worker reports at one step.

    Attributes:
        objective: The best member's value, never NaN: a scheduler sorts it.
        step: Training step, 0 without records.
        members: A report per member that still trained.
        done: Whether all members have ended, or reached the pack's `until`.
        checkpoint: Name of the file that holds the state of members that reached it.
        resumed_from: With the first report: the step of the checkpoint that training resumed from.
        checkpoint_note: With the first report: why a checkpoint was not used.
        fitting: Number of members that memory suffices for, where it did not suffice for the pack.
        error: A folder that cannot be written; the sweep must end.
        loss: Median over the members of the last training loss; NaN if unknown.
    """

    objective: float
    step: int = 0
    members: Sequence[MemberReport] = ()
    done: bool = False
    checkpoint: str = ""
    resumed_from: int | None = None
    checkpoint_note: str = ""
    fitting: int | None = None
    error: str = ""
    loss: float = math.nan

    def to_dict(self) -> dict[str, Any]:
        """The report as a Ray result; its scheduler reads `objective` and `step`."""
        return asdict(self)

    @classmethod
    def from_dict(cls, result: Mapping[str, Any]) -> "PackReport":
        """The report of a Ray result, which holds further entries of Ray's own."""
        members = [MemberReport(**{**m, "outcome": Outcome(m["outcome"])}) for m in result["members"]]
        return cls(
            objective=result["objective"],
            step=result["step"],
            members=members,
            done=result["done"],
            checkpoint=result["checkpoint"],
            resumed_from=result["resumed_from"],
            checkpoint_note=result["checkpoint_note"],
            fitting=result["fitting"],
            error=result["error"],
            loss=result["loss"],
        )
