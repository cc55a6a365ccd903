"""Train one trial outside of a sweep: records and checkpoints on disk, logging to MLflow, resuming."""

import contextlib
import errno
import fcntl
import os
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from lyapsweep import trial, trust
from lyapsweep.config import Config
from lyapsweep.datasets.validation import AUTO
from lyapsweep.process import terminable
from lyapsweep.results.experiment import LOCK, ExperimentPaths
from lyapsweep.results.record import Outcome, Record, latest, remove_records, reopened
from lyapsweep.results.record_files import files_by_trial
from lyapsweep.tracking import AsyncLogger, NullLogger, OpeningThread, TrackingError
from lyapsweep.training.checkpoint import Checkpoints
from lyapsweep.user_code import described

if TYPE_CHECKING:
    from lyapsweep.tracking import MLflowLogger


class TrialRunning(RuntimeError):
    """Another process trains the same trial in the same folder."""


class SingleTrial:
    """One trial in a results folder; a reader finds it as a sweep of one.

    Args:
        config: The trial's configuration.
        folder: Its results folder.
        tracking_uri: The MLflow store; None logs nothing.
        device: Where to train: cpu, cuda, cuda:1.
        resume: Whether an interrupted trial resumes from its checkpoint; otherwise it starts over.

    Raises:
        TrackingError: If the store cannot be used.
    """

    def __init__(
        self, config: Config, folder: Path, tracking_uri: str | None = None, device: str = "cpu", resume: bool = False
    ):
        folder = folder.absolute()  # the caller, or code of a user's own, may change the current folder
        self.config, self.paths, self.uri, self.device = config, ExperimentPaths(folder), tracking_uri, device
        self.resume, self.checkpoints = resume, Checkpoints(self.paths.checkpoints)
        self.last: Record | None = None
        self.tracker: MLflowLogger | NullLogger = NullLogger()
        self.logger: AsyncLogger | None = None  # since the first record
        self.opening: OpeningThread | None = None
        if tracking_uri is not None:
            folder.mkdir(parents=True, exist_ok=True)
            self.opening = OpeningThread(folder.name, tracking_uri, self.paths.artifacts)

    @property
    def resumed_from(self) -> int | None:
        """The step of the checkpoint from which training resumed; None if it started over."""
        return self.checkpoints.taken

    def train(self, report: Callable[[Record], None] = lambda record: None) -> Record:
        """Train to the end, or until Ctrl-C, SIGTERM or SIGHUP, which end the trial with a record of outcome `stopped`.

        Args:
            report: Called with every record once it is saved.

        Returns:
            The final record.

        Raises:
            TrialRunning: If another process trains the same trial in the same folder.
            TrackingError: If MLflow lacks records in the end; all are on disk.
        """
        with only_process(self.paths.folder, self.config.id):
            return self._train(report)

    def _train(self, report: Callable[[Record], None]) -> Record:
        trust.remember()
        if not self.resume:
            self.checkpoints.remove([self.config.id])
        try:
            with terminable():
                for record in trial.run_trial(self.config, self.device, self.checkpoints):
                    if self.last is None:
                        self._start()
                    self._save(record)
                    report(record)
        except KeyboardInterrupt:
            if self.last is None or self.last.outcome.final:
                raise
            self._save(ended(self.last, Outcome.STOPPED, interrupted=True))
        except Exception as error:
            if self.last is not None:
                self._save(ended(self.last, Outcome.FAILED, error=described(error)))
            raise
        finally:
            self._close()
        assert self.last is not None, "a trial has at least one record"
        if self.last.outcome is not Outcome.STOPPED:
            self.checkpoints.remove([self.config.id])
        return self.last

    def _start(self) -> None:
        """Start the run; if training resumed, reset the interrupted record to RUNNING, else remove the old records."""
        if self.opening is not None:
            self.tracker = self.opening.result()
        self.logger = AsyncLogger(self.tracker)
        self.logger.start_run(self.config)
        if self.resumed_from is None:
            remove_records(self.paths.records, self.config.ids)
        before = latest(self.paths.records, self.config.id) if self.resumed_from is not None else None
        if before is not None and before.outcome.final:
            self._save(reopened(before))

    def _save(self, record: Record) -> None:
        assert self.logger is not None, "a trial is started before its first record is saved"
        self.logger.log_record(record.save(self.paths.records), record)
        self.last = record

    def _close(self) -> None:
        """Wait for the logger, and log again what a server outage left out."""
        if self.logger is None:
            return
        self.logger.close()
        if self.logger.error:
            try:
                self.tracker.sync(self.paths.folder)
            except Exception as error:
                raise TrackingError(
                    f"{self.uri}: MLflow lacks records of this trial ({error}). "
                    f"Log them with `lyapsweep sync {self.paths.folder}`."
                ) from error


@contextlib.contextmanager
def only_process(folder: Path, trial: str) -> Iterator[None]:
    """Hold the lock of a trial in a folder; without effect where the file system has no locks.

    Raises:
        TrialRunning: If another process holds it.
    """
    folder.mkdir(parents=True, exist_ok=True)
    file = folder / f".{trial}{LOCK}"
    with file.open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            # A process that just ended removed the file, so that a lock on it keeps nobody out.
            taken = not file.exists() or file.stat().st_ino != os.fstat(lock.fileno()).st_ino
        except OSError as error:
            taken = error.errno in (errno.EWOULDBLOCK, errno.EACCES)
        if taken:
            raise TrialRunning(
                f"{folder}: another process trains trial {trial} here. Wait for it, or give another --name."
            )
        try:
            yield
        finally:
            file.unlink(missing_ok=True)
            with contextlib.suppress(OSError):  # which it raises unless nothing was written
                folder.rmdir()


def completed(folder: Path, config: Config) -> Record | None:
    """The final record of a trial that an earlier run trained to an end of its own; None if there is none."""
    records = ExperimentPaths(folder).records
    ids = config.ids
    if config.dataset["validation"] == AUTO:  # trained by a version that had no validation part
        ids += config.changed({"dataset/validation": None}).ids
    files = [file for trial in ids for file in files_by_trial(records, trial).get(trial, ())]
    for file in sorted(files, reverse=True):
        record = Record.load(file)
        if record.outcome in (Outcome.FINISHED, Outcome.UNBOUNDED, Outcome.DIVERGED):
            return record
    return None


def ended(last: Record, outcome: Outcome, **facts: Any) -> Record:
    return replace(last, outcome=outcome, provenance=replace(last.provenance, **facts))
