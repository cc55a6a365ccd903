"""How far a pack is, in a file: one that was cut short goes on from its last report instead of update 0.

A checkpoint holds what the updates so far have moved (`training.State`); whatever follows from the configs (data,
shapes, schedules) is made anew. Only the members, versions, data and kind of device that it was made with take it up:
on a CPU nothing but time depends on whether there is one.
"""

import json
import logging
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch

from lyapsweep.config.identity import digest
from lyapsweep.results.experiment import atomic_write
from lyapsweep.training.trainer import State

log = logging.getLogger("lyapsweep")
FORMAT = 1
SUFFIX = ".checkpoint"  # an npz file by another name: readers take every .npz below a results folder for a record


class BadCheckpoint(ValueError):
    """A file that no pack can go on from; the message says why."""


class UnwrittenCheckpoint(OSError):
    """No fault of a trial's: the folder is full, or gone."""


@dataclass(frozen=True)
class Checkpoint:
    """A pack after the report at `step`: `state` to go on from, and `seconds` of training until then.

    `members` are ids in their order along the population; `continued` the steps from which training went on so far.
    Without a state it is a pack that begins.
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
        """Which members have diverged, and been reported as such."""
        return (self.state["died_at"] >= 0).tolist() if self.state else [False] * len(self.members)

    def of(self, members: Sequence[str]) -> "Checkpoint":
        """The rows of some members."""
        rows = torch.tensor([self.members.index(member) for member in members])
        return replace(self, members=members, state={k: v[rows] if v.dim() else v for k, v in self.state.items()})

    def save(self, path: Path, made: Mapping[str, Any]) -> None:
        """Write it whole or not at all; `made` says what must be the same where it is taken up."""
        told = {"members": list(self.members), "seconds": self.seconds, "continued": list(self.continued)}
        arrays: dict[str, Any] = {
            name: np.asarray(value.cpu().numpy(), order="C") for name, value in self.state.items()
        }
        header = json.dumps({"format": FORMAT, "made": made, "arrays": shapes(arrays)} | told)
        try:
            path.parent.mkdir(exist_ok=True)
            with atomic_write(path) as file:
                np.savez(file, header=np.array(header), **arrays)
        except OSError as error:
            raise UnwrittenCheckpoint(f"{path} cannot be written ({error})") from error

    @classmethod
    def load(cls, path: Path, made: Mapping[str, Any]) -> "Checkpoint":
        """Read one. Raises FileNotFoundError, `BadCheckpoint` where it is broken or was made under other conditions."""
        try:
            with np.load(path, allow_pickle=False) as file:
                header = json.loads(str(file["header"]))
                arrays = {name: file[name] for name in file.files if name != "header"}
            found = {"format": header["format"], **header["made"]}
            told = {name: header[name] for name in ("members", "seconds", "continued")}
            if shapes(arrays) != header["arrays"]:
                raise ValueError("its arrays are not those that it names")
        except FileNotFoundError:
            raise
        except Exception as error:  # numpy and zipfile have many words for it
            raise BadCheckpoint(f"it is broken ({error})") from error
        for what, here in json.loads(json.dumps({"format": FORMAT, **made})).items():
            if found.get(what) != here:
                raise BadCheckpoint(f"its {what} is {found.get(what)}, here it is {here}")
        return cls(state={name: torch.tensor(values) for name, values in arrays.items()}, **told)


def shapes(arrays: Mapping[str, np.ndarray]) -> dict[str, list[int]]:
    return {name: list(values.shape) for name, values in arrays.items()}


def name(members: Sequence[str]) -> str:
    """Of a pack's file: a hash of who shares it, and in which order."""
    return digest({"members": list(members)}) + SUFFIX


class Checkpoints:
    """Where a pack goes on, and where it leaves a checkpoint of its own.

    folder     of one file for each pack
    cut_from   names of the packs that this one is a part of, the nearest first: where it has no checkpoint of its own
               it goes on from its rows of theirs
    known      members whose end is recorded. Nothing is taken up in which others have ended: their record is missing

    `taken` is the step that training went on from, `note` says why a checkpoint that there was has not been used.
    """

    def __init__(self, folder: Path, cut_from: Sequence[str] = (), known: Collection[str] = ()):
        self.folder, self.cut_from, self.known = folder, list(cut_from), set(known)
        self.taken: int | None = None
        self.note = ""

    def part(self, whole: Sequence[str]) -> "Checkpoints":
        """For a part of the pack `whole`."""
        return Checkpoints(self.folder, [name(whole), *self.cut_from], self.known)

    def latest(self, members: Sequence[str], made: Mapping[str, Any]) -> Checkpoint:
        """What there is to go on from: a pack that begins where that is nothing that fits."""
        for file in (name(members), *self.cut_from):
            try:
                found = Checkpoint.load(self.folder / file, made).of(members)
                if strange := [m for m, ended in zip(members, found.ended) if ended and m not in self.known]:
                    raise BadCheckpoint(f"in it {', '.join(strange)} has ended, of which there is no record")
            except FileNotFoundError:
                continue
            except (BadCheckpoint, KeyError, ValueError, IndexError) as error:
                self.note = f"{self.folder / file} is not used: {error}."
                log.warning("%s", self.note)
                continue
            self.taken = found.step
            return replace(found, continued=[*found.continued, found.step])
        return Checkpoint(members)

    def save(self, checkpoint: Checkpoint, made: Mapping[str, Any]) -> None:
        """Raises `UnwrittenCheckpoint`."""
        checkpoint.save(self.folder / name(checkpoint.members), made)

    def remove(self, members: Sequence[str]) -> None:
        (self.folder / name(members)).unlink(missing_ok=True)
