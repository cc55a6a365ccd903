"""The results folder of a sweep: the truth about which trials have ended.

results/<name>/records/*.npz    every record, written whole or not at all, before anything else hears of it
               checkpoints/     one file for each pack that trains: where it goes on if it is cut short
               sweep.json       what was asked, with which command and versions
               optuna.journal   the Optuna study
               atlas.html       the report
"""

import contextlib
import fcntl
import itertools
import json
import secrets
import shutil
from collections.abc import Collection, Mapping
from pathlib import Path
from typing import IO, Any

from lyapsweep.results.record import BadRecord, Outcome, Record
from lyapsweep.sweep.plan.definition import SweepError
from lyapsweep.tracking import ABOUT, ATLAS, RECORDS, interrupted

CHECKPOINTS = "checkpoints"


class ResultsFolder:
    """`results/<name>`, held by one driver at a time until `release`."""

    def __init__(self, results: Path | str, name: str):
        self.path = Path(results).resolve() / name
        self.name = name
        self.records, self.about, self.atlas = self.path / RECORDS, self.path / ABOUT, self.path / ATLAS
        self.journal = self.path / "optuna.journal"
        self.checkpoints, self.artifacts = self.path / CHECKPOINTS, self.path / "artifacts"
        self.lock: IO[str] | None = None

    @property
    def places(self) -> dict[str, str]:
        """Where workers write."""
        return {"records": str(self.records), "checkpoints": str(self.checkpoints)}

    def hold(self) -> None:
        """Refuse a second driver on the same folder; the lock ends with the process, however it ends."""
        self.records.mkdir(parents=True, exist_ok=True)
        self.lock = (self.path / ".lock").open("w")
        try:
            fcntl.flock(self.lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            raise SweepError(
                f"{self.path}: another process runs this sweep. Wait for it, or use another name."
            ) from None

    def sweep_up(self) -> None:
        """Remove the halves of files that killed processes left. Only for the driver that holds the folder."""
        for part in itertools.chain(self.records.glob("*.part"), self.checkpoints.glob("*.part")):
            part.unlink(missing_ok=True)

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
        files = {file.name.partition("-")[0]: file for file in sorted(self.records.glob("*.npz"))}
        try:
            return {trial: Record.load(file, arrays=False) for trial, file in files.items()}
        except BadRecord as error:
            raise SweepError(f"{error} Remove it and resume.") from error

    def latest(self, trials: Collection[str]) -> dict[str, Path]:
        """The file of the last record of each of these trials that has one: one look at the folder for all of them."""
        files: dict[str, Path] = {}
        for file in sorted(self.records.glob("*.npz")) if trials else ():
            if (trial := file.name.partition("-")[0]) in trials:
                files[trial] = file
        return files

    def ended(self) -> dict[str, Record]:
        """The last record of every trial that needs no more work: not interrupted, not failed, not half-way."""
        return {trial: record for trial, record in self.last().items() if settled(record)}

    def check(self, ended: Collection[str], planned: Collection[str] | None, resume: bool) -> None:
        """Nothing is overwritten: going on in a used folder must be meant, and must be the same sweep."""
        used = any(self.records.glob("*.npz"))
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
        return self.tell({"mark": self.told().get("mark") or secrets.token_hex(8)})["mark"]

    def told(self) -> dict[str, Any]:
        """What sweep.json says; nothing where there is none."""
        return json.loads(self.about.read_text()) if self.about.exists() else {}

    def tell(self, about: Mapping[str, Any]) -> dict[str, Any]:
        """Add to sweep.json and return all it says. When and how the sweep was first started is kept."""
        before = self.told()
        told = before | dict(about) | {k: before[k] for k in ("started", "command") if k in before}
        part = self.about.with_suffix(".part")
        part.write_text(json.dumps(told, indent=1, default=str))
        part.replace(self.about)
        return told


def settled(record: Record) -> bool:
    """Whether a trial's last record is its end, which no resumed sweep asks to be made again."""
    return record.outcome.final and record.outcome is not Outcome.FAILED and not interrupted(record)
