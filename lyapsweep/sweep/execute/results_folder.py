"""The results folder of a sweep: the truth about which trials have ended.

results/<name>/records/*.npz    every record, written whole or not at all, before anything else hears of it
               checkpoints/     one file for each pack that trains: where it goes on if it is cut short
               sweep.json       what was asked, with which command and versions
               optuna.journal   the Optuna study
               atlas.html       the report
"""

import contextlib
import fcntl
import secrets
import shutil
from collections.abc import Collection
from dataclasses import replace
from pathlib import Path
from typing import IO, Any

from lyapsweep.results.description import SweepDescription
from lyapsweep.results.experiment import PARTIAL_SUFFIX, ExperimentPaths
from lyapsweep.results.record import BadRecord, Outcome, Record, latest_files
from lyapsweep.sweep.plan.definition import SweepError
from lyapsweep.tracking import interrupted


class ResultsFolder:
    """`results/<name>`, held by one driver at a time until `release`."""

    def __init__(self, results: Path | str, name: str):
        self.path = Path(results).resolve() / name
        self.name = name
        self.paths = ExperimentPaths(self.path)
        self.records, self.checkpoints = self.paths.records, self.paths.checkpoints
        self.lock: IO[str] | None = None

    @property
    def places(self) -> dict[str, str]:
        """Where workers write."""
        return {"records": str(self.records), "checkpoints": str(self.checkpoints)}

    def hold(self) -> None:
        """Refuse a second driver on the same folder; the lock ends with the process, however it ends."""
        self.records.mkdir(parents=True, exist_ok=True)
        self.lock = self.paths.lock.open("w")
        try:
            fcntl.flock(self.lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            raise SweepError(
                f"{self.path}: another process runs this sweep. Wait for it, or use another name."
            ) from None

    def sweep_up(self) -> None:
        """Remove the halves of files that killed processes left. Only for the driver that holds the folder."""
        partial = [*self.path.glob(f"{self.paths.description.name}.*{PARTIAL_SUFFIX}")]
        for folder in (self.records, self.checkpoints):
            partial += folder.glob(f"*{PARTIAL_SUFFIX}")
        for file in partial:
            file.unlink(missing_ok=True)

    def forget(self, checkpoint: str = "") -> None:
        """Remove the checkpoint of a pack that ended, or all of them; what cannot be removed harms nobody."""
        if not checkpoint:
            shutil.rmtree(self.checkpoints, ignore_errors=True)
            return
        with contextlib.suppress(OSError):
            (self.checkpoints / checkpoint).unlink(missing_ok=True)

    def release(self) -> None:
        if self.lock:
            self.lock.close()

    def last(self) -> dict[str, Record]:
        """The last record of every trial, without its arrays: ten thousand networks would fill the memory."""
        try:
            return {trial: Record.load(file, arrays=False) for trial, file in latest_files(self.records).items()}
        except BadRecord as error:
            raise SweepError(f"{error} Remove it and resume.") from error

    def latest(self, trials: Collection[str]) -> dict[str, Path]:
        """The file of the last record of each of these trials that has one: one look at the folder for all of them."""
        return {t: file for t, file in latest_files(self.records).items() if t in trials} if trials else {}

    def ended(self) -> dict[str, Record]:
        """The last record of every trial that needs no more work: not interrupted, not failed, not half-way."""
        return {trial: record for trial, record in self.last().items() if settled(record)}

    def check(self, ended: Collection[str], planned: Collection[str] | None, resume: bool) -> None:
        """Nothing is overwritten: going on in a used folder must be meant, and must be the same sweep."""
        used = self.paths.has_records()
        if planned is not None and (strange := [trial for trial in ended if trial not in planned]):
            raise SweepError(
                f"{self.path} holds {len(strange)} trials that are not points of this sweep (such as {strange[0]}): "
                "the sweep, its base config or its seed changed. Give this one another --name."
            )
        complete = planned is not None and all(trial in ended for trial in planned)
        if used and not resume and not complete:
            raise SweepError(
                f"{self.path} already holds records ({len(ended)} trials have ended). "
                "Go on with --resume, or start anew under another --name."
            )

    def mark(self) -> str:
        """What tells this folder from every other one, whatever their names: drawn once and kept in sweep.json."""
        return self.describe(mark=self.description().mark or secrets.token_hex(8)).mark

    def description(self) -> SweepDescription:
        """Read sweep.json; an empty description where there is none."""
        return SweepDescription.load(self.paths.description)

    def describe(self, **changes: Any) -> SweepDescription:
        """Change fields of sweep.json and return it; `started` and `command` stay those of the first start."""
        before = self.description()
        kept = {k: getattr(before, k) for k in ("started", "command") if getattr(before, k)}
        description = replace(before, **(changes | kept))
        description.save(self.paths.description)
        return description


def settled(record: Record) -> bool:
    """Whether a trial's last record is its end, which no resumed sweep asks to be made again."""
    return record.outcome.final and record.outcome is not Outcome.FAILED and not interrupted(record)
