"""Checkpoints of packs: an interrupted pack resumes from its last report instead of update 0.

A checkpoint holds what updates change (`training.State`); what follows from the configs (data, shapes, schedules) is
made again. It is used under equal conditions only: members, versions, data, device type. On a CPU the numbers of a
resumed training are bitwise those of an uninterrupted one.
"""

import json
import logging
from collections.abc import Collection, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch

from lyapsweep.config.identity import digest
from lyapsweep.results.experiment import atomic_write
from lyapsweep.results.json_types import fits
from lyapsweep.setting_types import shown
from lyapsweep.training.trainer import State

log = logging.getLogger("lyapsweep")
FORMAT = 1
FIELDS = {"members": list[str], "seconds": float, "continued": list[int]}  # of the header
SUFFIX = ".checkpoint"  # not .npz: every .npz below a results folder is read as a record


class BadCheckpoint(ValueError):
    """A file from which no pack can resume; the message says why."""


class UnwrittenCheckpoint(OSError):
    """A checkpoint that cannot be written because the folder is full or missing: not an error of a trial."""


@dataclass(frozen=True)
class CheckpointConditions:
    """What must be equal for training to resume from a checkpoint, beside the configs of its members.

    Args:
        versions: Package versions.
        commit: Commit of this package's git checkout.
        device: Type of device.
        dtype: Floating-point type of the weights.
        data: Digest of the data.
        weights: Shape of each weight of one member, by name.
    """

    versions: Mapping[str, str]
    commit: str
    device: str
    dtype: str
    data: str
    weights: Mapping[str, list[int]]


@dataclass(frozen=True)
class Checkpoint:
    """A pack after a report.

    Args:
        members: Ids of the configs, in their order along the population.
        state: What training resumes from; empty for a pack that begins.
        seconds: Training time so far.
        continued: Steps from which training was resumed so far.
    """

    members: Sequence[str]
    state: State = field(default_factory=dict)
    seconds: float = 0.0
    continued: Sequence[int] = ()

    @property
    def step(self) -> int:
        return int(self.state["step"])

    @property
    def ended(self) -> list[bool]:
        """Whether each member has diverged, and was reported."""
        return (self.state["died_at"] >= 0).tolist() if self.state else [False] * len(self.members)

    def of(self, members: Sequence[str]) -> "Checkpoint":
        """The checkpoint of some members."""
        rows = torch.tensor([self.members.index(member) for member in members])
        return replace(self, members=members, state={k: v[rows] if v.dim() else v for k, v in self.state.items()})

    @classmethod
    def joined(cls, parts: Sequence["Checkpoint"]) -> "Checkpoint":
        """One checkpoint of the members of several, which must have made equally many updates."""
        if len(parts) == 1:
            return parts[0]
        if len(steps := {part.step for part in parts}) > 1:
            raise BadCheckpoint(f"its members have made {sorted(steps)} updates")
        states = [part.state for part in parts]
        state = {k: torch.cat([s[k] for s in states]) if v.dim() else v for k, v in states[0].items()}
        continued = sorted({step for part in parts for step in part.continued})
        seconds = max(part.seconds for part in parts)
        return cls([member for part in parts for member in part.members], state, seconds, continued)

    def save(self, path: Path, conditions: CheckpointConditions) -> None:
        """Write it atomically. Raises `UnwrittenCheckpoint`."""
        fields = {"members": list(self.members), "seconds": self.seconds, "continued": list(self.continued)}
        arrays: dict[str, Any] = {
            name: np.asarray(value.cpu().numpy(), order="C") for name, value in self.state.items()
        }
        header = json.dumps({"format": FORMAT, "made": asdict(conditions), "arrays": shapes(arrays)} | fields)
        try:
            path.parent.mkdir(exist_ok=True)
            with atomic_write(path) as file:
                np.savez(file, header=np.array(header), **arrays)
        except OSError as error:
            raise UnwrittenCheckpoint(f"{path}: cannot be written ({error}). Free or restore its folder.") from error

    @classmethod
    def load(cls, path: Path, conditions: CheckpointConditions) -> "Checkpoint":
        """Read one. Raises FileNotFoundError, `BadCheckpoint` if it is broken or was made under other conditions."""
        try:
            with np.load(path, allow_pickle=False) as file:
                header = json.loads(str(file["header"]))
                arrays = {name: file[name] for name in file.files if name != "header"}
            found = {"format": header["format"], **header["made"]}
            fields = {name: header[name] for name in FIELDS}
            if wrong := [name for name, kind in FIELDS.items() if not fits(fields[name], kind)]:
                raise ValueError(f"'{wrong[0]}' is {shown(fields[wrong[0]])}")
            if shapes(arrays) != header["arrays"]:
                raise ValueError("its arrays differ from its header")
        except FileNotFoundError:
            raise
        except Exception as error:  # numpy and zipfile raise many types
            raise BadCheckpoint(f"it is broken ({error})") from error
        for what, here in json.loads(json.dumps({"format": FORMAT, **asdict(conditions)})).items():
            if found.get(what) != here:
                raise BadCheckpoint(f"its {what} is {found.get(what)}, here it is {here}")
        return cls(state={name: torch.tensor(values) for name, values in arrays.items()}, **fields)


def shapes(arrays: Mapping[str, np.ndarray]) -> dict[str, list[int]]:
    return {name: list(values.shape) for name, values in arrays.items()}


def name(members: Sequence[str]) -> str:
    """The file name of a pack's checkpoint: a hash of its members in their order."""
    return digest({"members": list(members)}) + SUFFIX


@dataclass(frozen=True)
class SavedState:
    """Where the state of a member is: the name of a checkpoint file, and the number of updates that it has made."""

    file: str
    step: int


def saved_states(folder: Path) -> dict[str, SavedState]:
    """The latest state of every member of the checkpoints in a folder, by its id; broken files are left out."""
    found: dict[str, SavedState] = {}
    for path in sorted(folder.glob(f"*{SUFFIX}")):
        try:
            with np.load(path, allow_pickle=False) as file:
                state, members = SavedState(path.name, int(file["step"])), json.loads(str(file["header"]))["members"]
        except Exception:  # a pack whose checkpoint cannot be read starts over, and says why
            continue
        found |= {m: state for m in members if m not in found or state.step > found[m].step}
    return found


class Checkpoints:
    """The checkpoints of a results folder, seen from one pack.

    After `latest`, `taken` is the step from which training resumes, and `note` says why an existing checkpoint is not
    used.

    Args:
        folder: Holds one file per pack.
        cut_from: File names of the packs that this one is a part of, the nearest first: without a checkpoint of its
            own it resumes from its rows of theirs.
        known: Members whose end is recorded. A checkpoint in which others have ended is not used: their records are
            missing.
        start: The number of updates that the pack begins with: resuming there is not noted as a resumption.

    Example:
        >>> checkpoints = Checkpoints(Path("results/lorenz63/checkpoints"))
        >>> checkpoints.taken is None, checkpoints.note
        (True, '')
    """

    def __init__(self, folder: Path, cut_from: Sequence[str] = (), known: Collection[str] = (), start: int = 0):
        self.folder, self.cut_from, self.known, self.start = folder, list(cut_from), set(known), start
        self.taken: int | None = None
        self.note = ""

    def part(self, whole: Sequence[str]) -> "Checkpoints":
        """The checkpoints for a part of the pack `whole`."""
        return Checkpoints(self.folder, [name(whole), *self.cut_from], self.known, self.start)

    def latest(self, members: Sequence[str], conditions: CheckpointConditions) -> Checkpoint:
        """The checkpoint to resume from, without a state if none can be used: each member's from the nearest file."""
        parts: list[Checkpoint] = []
        missing = list(members)
        for file in (name(members), *self.cut_from):
            try:
                found = self.load(file, missing, conditions)
            except FileNotFoundError:
                continue
            except (BadCheckpoint, KeyError, ValueError, IndexError) as error:
                self.reject(f"{self.folder / file} is not used: {error}.")
                continue
            parts.append(found)
            missing = [member for member in missing if member not in found.members]
            if not missing:
                break
        if missing:
            return Checkpoint(members)
        try:
            found = Checkpoint.joined(parts).of(members)
        except BadCheckpoint as error:
            self.reject(f"The checkpoints of a pack are not used: {error}.")
            return Checkpoint(members)
        if found.step == self.start:
            return found
        self.taken = found.step
        return replace(found, continued=[*found.continued, found.step])

    def load(self, file: str, members: Sequence[str], conditions: CheckpointConditions) -> Checkpoint:
        """The rows of a file that belong to some of `members`. Raises as `Checkpoint.load`."""
        whole = Checkpoint.load(self.folder / file, conditions)
        here = [member for member in members if member in whole.members]
        if not here:
            raise BadCheckpoint("it holds no member of this pack")
        found = whole.of(here)
        if unrecorded := [m for m, ended in zip(found.members, found.ended) if ended and m not in self.known]:
            raise BadCheckpoint(f"in it {', '.join(unrecorded)} has ended without a record")
        return found

    def reject(self, note: str) -> None:
        """Note why a checkpoint is not used."""
        self.note = note
        log.warning("%s", note)

    def save(self, checkpoint: Checkpoint, conditions: CheckpointConditions) -> None:
        """Write a checkpoint of its members. Raises `UnwrittenCheckpoint`."""
        checkpoint.save(self.folder / name(checkpoint.members), conditions)

    def remove(self, members: Sequence[str]) -> None:
        (self.folder / name(members)).unlink(missing_ok=True)
