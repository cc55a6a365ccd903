"""What a sweep writes when it ends: the atlas, and what MLflow misses. Neither may fail the sweep."""

import dataclasses
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

from lyapsweep.analysis.settings import search_history
from lyapsweep.analysis.shared.selection import digits
from lyapsweep.atlas import report
from lyapsweep.redaction import redact
from lyapsweep.results.best import BestSetting, best_setting
from lyapsweep.results.table import Table
from lyapsweep.results.winner import best_sentence, score_sentence, tie_sentence
from lyapsweep.sweep.execute.results_folder import ResultsFolder
from lyapsweep.sweep.execute.tune_callback import TuneCallback
from lyapsweep.sweep.observe.progress import SweepProgress
from lyapsweep.sweep.observe.summary import Recoveries, SweepSummary, outcome_counts, summary_metrics
from lyapsweep.tracking.async_logger import AsyncLogger
from lyapsweep.tracking.null_logger import NullLogger

if TYPE_CHECKING:
    from lyapsweep.tracking import MLflowLogger


FRONT = 5  # trials of a Pareto front that are printed


class SweepResults:
    """The results of a sweep that ended; `notes` are for its user."""

    def __init__(self, folder: ResultsFolder, logger: "MLflowLogger | NullLogger", interrupted: bool):
        self.folder, self.logger, self.interrupted = folder, logger, interrupted
        self.notes: list[str] = []

    @cached_property
    def table(self) -> Table:
        """All records, read once; none of an interrupted sweep."""
        return Table.of(()) if self.interrupted else Table.read(self.folder.path)

    def note_interruption(self, done: int, asked: int, cause: str) -> None:
        because = f" because {cause}" if cause else ""
        self.notes.append(f"Interrupted after {max(done, 0)} of {asked} trials{because}; continue with --resume.")

    def note_missing(self, done: int, asked: int, budget_used: bool) -> None:
        """Note trials that there are no points for; keep checkpoints of trials that remain for want of a budget."""
        if done >= asked or not budget_used:
            self.folder.remove_checkpoints()
        if done < asked and not budget_used:
            self.notes.append(f"Only {done} of {asked} trials: the space has no more points.")

    @cached_property
    def best(self) -> BestSetting | None:
        """The best setting; None where no trial can win, and of an interrupted sweep."""
        return best_setting(self.table)

    @property
    def best_trial(self) -> str | None:
        """Key of the best trial of the best setting."""
        return str(self.table.finals.frame["trial"].iloc[self.best.rows[0]]) if self.best else None

    @property
    def best_lines(self) -> tuple[tuple[str, str], ...]:
        """The scores of the best setting and its ties, in words."""
        if self.best is None:
            return ()
        ties, front = tie_sentence(self.table, self.best), self.pareto_front
        further = [("ties", ties)] * bool(ties) + [("Pareto front", front)] * bool(front)
        return (("setting", score_sentence(self.best)), *further)

    @property
    def pareto_front(self) -> str:
        """The trials of the Pareto front with their first two objectives; empty with one objective."""
        if not self.table.description.further:
            return ""
        found = search_history.find(self.table)
        pairs = zip(found.trials, found.values, found.second_values, found.front)
        shown = [f"{trial} ({digits(first)}, {digits(second)})" for trial, first, second, on in pairs if on]
        return f"{len(shown)} trials: {', '.join(shown[:FRONT])}" + ", ..." * (len(shown) > FRONT)

    def summary(self, progress: SweepProgress, tracking_uri: str, best_so_far: str | None) -> SweepSummary:
        """The summary of the sweep; `best_so_far` is the best trial of an interrupted one."""
        return SweepSummary(
            name=self.folder.name,
            folder=self.folder.path,
            tracking_uri=tracking_uri,
            progress=progress,
            best_trial=self.best_trial or best_so_far,
            atlas=None,
            interrupted=self.interrupted,
            message=" ".join(self.notes),
            best_lines=self.best_lines,
        )

    def draw_atlas(self) -> Path | None:
        try:
            page = report.write(self.logger.link_runs(self.table), self.folder.paths.atlas, self.folder.path)
        except Exception as error:  # the results are complete without their report
            reason = f"{type(error).__name__}: {error}".rstrip(".")
            draw = f"`lyapsweep atlas {self.folder.path}`"
            self.notes.append(f"The atlas could not be written ({reason}); {draw} writes it from the records.")
            return None
        self.notes += [page.message] if page.errors else []
        return page.path

    def log_summary(
        self, progress: SweepProgress, objective: str, atlas: Path | None, models: bool, sync: bool
    ) -> None:
        """Update sweep.json, and log to MLflow the summary run and, with `sync`, the records that it misses."""
        try:
            best = best_sentence(self.table, self.best)
            description = self.folder.describe(outcomes=outcome_counts(progress), best=best)
            if sync:
                self.logger.refresh()
                self.logger.sync(self.folder.path)
            self.logger.reconcile()
            files = [file for file in (self.folder.paths.description, atlas) if file]
            table = dataclasses.replace(self.table, description=description)
            self.logger.log_summary(table, files, summary_metrics(progress, objective, self.best), models)
        except Exception as error:
            command = f"`lyapsweep sync {self.folder.path}`"
            self.notes.append(f"MLflow lacks results ({redact(str(error))}): {command} logs them.")


def may_lack_records(callback: TuneCallback | None, logger: AsyncLogger | None) -> bool:
    """Whether MLflow may lack records of this driver or, where a pack was resumed, of an earlier one."""
    return logger is None or bool(logger.dropped or (callback and callback.resumed))


def recoveries(callback: TuneCallback | None, logger: AsyncLogger | None) -> Recoveries:
    """Failures that cost no trial."""
    outages = logger.outages if logger else 0
    if callback is None:
        return Recoveries({}, outages=outages)
    losses = {failure.value: n for failure, n in callback.failures.items()}
    return Recoveries(losses, callback.resumed, callback.restarted, outages)
