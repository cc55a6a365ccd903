"""The results folder of a sweep: records are authoritative, everything else can be made again from them.

results/<name>/records/*.npz    every record, written whole or not at all before it is reported
               checkpoints/     one file per pack that trains, to resume it from
               points.jsonl     the planned points of a space
               sweep.json       what was requested, with which command and versions
               optuna.journal   the Optuna study
               atlas.html       the report
"""

import contextlib
import fcntl
import json
import logging
import secrets
import shutil
import zipfile
from collections.abc import Collection, Mapping, Sequence
from dataclasses import asdict, replace
from itertools import chain
from pathlib import Path
from typing import IO, Any

from lyapsweep.results.description import SweepDescription
from lyapsweep.results.experiment import LOCK, PARTIAL_SUFFIX, RECORDS, ExperimentPaths, atomic_write
from lyapsweep.results.header import BadRecord
from lyapsweep.results.json_types import check_types
from lyapsweep.results.record import Record, remove_records
from lyapsweep.results.record_files import files_by_trial, latest_files
from lyapsweep.setting_types import cut
from lyapsweep.sweep.plan.definition import SweepError
from lyapsweep.sweep.plan.resume import StoredPoint, complete

log = logging.getLogger("lyapsweep")


class ResultsFolder:
    """`results/<name>`, owned by one driver from `acquire` to `release`."""

    def __init__(self, results: Path | str, name: str):
        self.path = Path(results).resolve() / name
        self.name = name
        self.paths = ExperimentPaths(self.path)
        self.records, self.checkpoints = self.paths.records, self.paths.checkpoints
        self.lock: IO[str] | None = None
        self.made: list[Path] = []

    def acquire(self) -> None:
        """Refuse a second driver on the same folder; the lock ends with the process, however it ends."""
        self.made = [folder for folder in (self.records, self.path, self.path.parent) if not folder.exists()]
        self.records.mkdir(parents=True, exist_ok=True)
        self.lock = self.paths.lock.open("w")
        try:
            fcntl.flock(self.lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            raise SweepError(
                f"{self.path}: another process runs this sweep. Wait for it, or use another name."
            ) from None

    def release(self) -> None:
        """Give up the lock; folders that `acquire` made are removed where nothing was written into them."""
        if not self.lock:
            return
        if self.path in self.made and {each.name for each in self.path.iterdir()} == {RECORDS, LOCK}:
            self.paths.lock.unlink(missing_ok=True)
        with contextlib.suppress(OSError):
            for folder in self.made:
                folder.rmdir()
        self.lock.close()

    def remove_partial_files(self) -> None:
        """Remove what killed processes had begun to write. Only for the driver that owns the folder."""
        for folder in (self.path, self.records, self.checkpoints):
            for part in folder.glob(f"*{PARTIAL_SUFFIX}"):
                part.unlink(missing_ok=True)

    def remove_records(self, trials: Collection[str]) -> None:
        """Remove the records of trials that are trained anew."""
        remove_records(self.records, trials)

    def remove_checkpoint(self, name: str) -> None:
        """Remove the checkpoint of a pack that ended; best-effort."""
        with contextlib.suppress(OSError):
            (self.checkpoints / name).unlink(missing_ok=True)

    def remove_checkpoints(self) -> None:
        shutil.rmtree(self.checkpoints, ignore_errors=True)

    def last_records(self) -> dict[str, Record]:
        """The last record of every trial, without its arrays: those of ten thousand networks would fill the memory.

        Earlier records are only looked at: a file that was cut short would be found when the atlas is drawn.
        """
        for file in chain.from_iterable(files[:-1] for files in files_by_trial(self.records).values()):
            if not zipfile.is_zipfile(file):
                raise SweepError(f"{file} is not a lyapsweep record. Remove it and resume.")
        try:
            return {key: Record.load(file, arrays=False) for key, file in latest_files(self.records).items()}
        except BadRecord as error:
            raise SweepError(f"{error} Remove it and resume.") from error

    def latest_files(self, keys: Collection[str]) -> dict[str, Path]:
        """The file of the last record of each of these trials that has one; the folder is listed once."""
        return {key: file for key, file in latest_files(self.records).items() if key in keys} if keys else {}

    def ended(self) -> dict[str, Record]:
        """The last record of every trial that needs no more training."""
        return {key: record for key, record in self.last_records().items() if complete(record)}

    def check(self, ended: Collection[str], planned: Collection[str] | None, resume: bool) -> None:
        """Raise `SweepError` if the folder holds another sweep, or records that were not meant to be continued."""
        used = self.paths.has_records()
        if planned is not None and (foreign := [key for key in ended if key not in planned]):
            raise SweepError(
                f"{self.path} holds {len(foreign)} trials that are not points of this sweep (such as {foreign[0]}): "
                "the sweep, its base config or its seed changed. Give this one another --name."
            )
        all_ended = planned is not None and all(key in ended for key in planned)
        if used and not resume and not all_ended:
            raise SweepError(
                f"{self.path} already holds records ({len(ended)} trials have ended). "
                "Continue with --resume, or start anew under another --name."
            )

    def refuse_changed(self, changed: Mapping[str, str], remaining: int, intent: str, again: bool) -> None:
        """Raise `SweepError`, or log a warning where nothing remains to train, if trials keep other data or code."""
        if not changed or (again and intent == "map"):
            return
        files, n = ", ".join(sorted(set(changed.values()))), len(changed)
        told = f"{self.path}: {files} changed since; {n} trial{'s keep' if n > 1 else ' keeps'} the old."
        if intent == "hunt":
            told += " Use another --name, or restore the file: a hunt's study keeps the old scores."
        else:
            told += " Use another --name, train them again with --again, or restore the file."
        if remaining or again:
            raise SweepError(told)
        log.warning("%s", told)

    def stored_points(self) -> list[StoredPoint]:
        """The planned points of a space; none where they were never stored."""
        points, file = [], self.paths.points
        try:
            for line in file.read_text().splitlines() if file.exists() else []:
                point = StoredPoint(**json.loads(line))
                check_types(point, "point")
                points.append(point)
        except (ValueError, TypeError, RecursionError) as error:
            raise SweepError(
                f"{file}, line {len(points) + 1}: no stored point ({cut(str(error))}). Remove the file and resume: the "
                "points are then those of the records, and of the sweep's own sequence."
            ) from error
        return points

    def store_points(self, points: Sequence[StoredPoint]) -> None:
        with atomic_write(self.paths.points) as file:
            file.write("".join(f"{json.dumps(asdict(point))}\n" for point in points).encode())

    def id(self) -> str:
        """A random id of this folder, drawn once and kept in sweep.json."""
        return self.describe(mark=self.description().mark or secrets.token_hex(8)).mark

    def description(self) -> SweepDescription:
        """The content of sweep.json; an empty description where there is none."""
        return SweepDescription.load(self.paths.description)

    def describe(self, **changes: Any) -> SweepDescription:
        """Change fields of sweep.json and return it; `started` and `command` stay those of the first start."""
        before = self.description()
        kept = {name: getattr(before, name) for name in ("started", "command") if getattr(before, name)}
        description = replace(before, **(changes | kept))
        description.save(self.paths.description)
        return description
