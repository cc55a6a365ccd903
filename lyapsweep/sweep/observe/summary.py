"""How a sweep was started (for sweep.json), and how it ended."""

import importlib.metadata
import math
import platform
import shlex
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from lyapsweep.redaction import redact
from lyapsweep.results.best import BestSetting
from lyapsweep.sweep.observe.progress import SweepProgress

ENDS = ("finished", "unbounded", "diverged", "stopped", "failed")

PACKAGES = ("lyapsweep", "torch", "numpy", "ray", "optuna", "mlflow")


@dataclass(frozen=True)
class SweepSummary:
    """How a sweep ended.

    Attributes:
        name: The sweep's name.
        folder: Its results folder.
        tracking_uri: Where MLflow has its runs.
        progress: The final counts.
        best_trial: Key of the best trial of the best setting; None if none has finished. Of an interrupted sweep, of
            the best trial so far.
        budget: How much of the budget was used, if trials remain for want of it.
        best_lines: The scores of the best setting, and those that are tied with it, as (name, sentence); none of an
            interrupted sweep.
        atlas: The report; None if it was not drawn.
        interrupted: Whether it ended early, to be resumed.
        cause: Why it ended early; empty for a signal.
        message: What to do next; empty if nothing is missing.
        notes: Failures that cost no trial.
    """

    name: str
    folder: Path
    tracking_uri: str
    progress: SweepProgress
    best_trial: str | None
    atlas: Path | None
    interrupted: bool
    message: str
    notes: str = ""
    cause: str = ""
    budget: str = ""
    best_lines: tuple[tuple[str, str], ...] = ()


def command_line() -> str:
    """The command that started this process, without passwords."""
    program = Path(sys.argv[0]).name
    return redact(shlex.join(["lyapsweep" if program == "__main__.py" else program, *sys.argv[1:]]))


def versions() -> dict[str, str | None]:
    """Versions of Python and of the packages that a sweep depends on; None for one that is not installed."""
    return {"python": platform.python_version()} | {package: version(package) for package in PACKAGES}


def version(package: str) -> str | None:
    try:
        return importlib.metadata.version(package)
    except importlib.metadata.PackageNotFoundError:
        return None


@dataclass(frozen=True)
class Recoveries:
    """Failures that a sweep recovered from.

    Attributes:
        losses: Number of lost packs, by the words for the cause.
        resumed: Number of packs that resumed from a checkpoint.
        restarted: Number of packs whose checkpoint could not be used.
        outages: How often MLflow stopped answering.
    """

    losses: Mapping[str, int]
    resumed: int = 0
    restarted: int = 0
    outages: int = 0

    @property
    def text(self) -> str:
        notes = [f"{plural(n, 'pack')} came back unfinished because {cause}." for cause, n in self.losses.items()]
        if self.resumed:
            notes.append(f"{plural(self.resumed, 'pack')} resumed from the last report.")
        if self.restarted:
            notes.append(f"{plural(self.restarted, 'pack')} restarted: a checkpoint did not fit.")
        if self.outages:
            notes.append(f"MLflow did not answer {plural(self.outages, 'time')}.")
        return " ".join(notes)


def plural(n: int, what: str) -> str:
    return f"{n} {what}" if n == 1 else f"{n} {what}s"


def outcome_counts(progress: SweepProgress) -> dict[str, int]:
    """Number of trials per final outcome."""
    return {outcome: getattr(progress, outcome) for outcome in ENDS}


def summary_metrics(progress: SweepProgress, objective: str, best: BestSetting | None = None) -> dict[str, float]:
    """The metrics of MLflow's summary run; `best` is the best setting, None of an interrupted sweep."""
    metrics = {f"trials/{outcome}": float(n) for outcome, n in outcome_counts(progress).items()}
    metrics |= {"trials/asked": float(progress.asked), "seconds": progress.seconds}
    if best is not None:
        spread = {"low": best.low, "high": best.high, "test": best.test, "test_low": best.test_low}
        spread |= {"test_high": best.test_high}
        known = {f"best/{name}/{objective}": value for name, value in spread.items()} | {"best/seeds": best.seeds}
        return metrics | {f"best/{objective}": best.median} | finite(known)
    return metrics | ({f"best/{objective}": progress.best[0]} if progress.best else {})


def finite(metrics: Mapping[str, float]) -> dict[str, float]:
    return {name: value for name, value in metrics.items() if math.isfinite(value)}
