"""What a sweep tells of itself: sweep.json when it begins, a Summary when it ends."""

import importlib.metadata
import math
import platform
import shlex
import sys
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from lyapsweep.results.record import Outcome, Record
from lyapsweep.sweep.observe.progress import SweepProgress
from lyapsweep.tracking import redact
from lyapsweep.tracking.async_logger import AsyncLogger

if TYPE_CHECKING:
    from lyapsweep.sweep.execute.tune_callback import TuneCallback

PACKAGES = ("lyapsweep", "torch", "numpy", "ray", "optuna", "mlflow")


@dataclass(frozen=True)
class SweepSummary:
    """How a sweep ended: the last Progress, where its results lie, and in words what to do next (`message`).

    `notes` says what went wrong on the way and was overcome.
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


def command_line() -> str:
    """The command that started this process, without the passwords that its arguments may hold."""
    program = Path(sys.argv[0]).name
    return redact(shlex.join(["lyapsweep" if program == "__main__.py" else program, *sys.argv[1:]]))


def versions() -> dict[str, str | None]:
    """Versions of Python and of the packages that a sweep depends on; None for one that is not installed."""
    return {"python": platform.python_version()} | {p: version(p) for p in PACKAGES}


def version(package: str) -> str | None:
    try:
        return importlib.metadata.version(package)
    except importlib.metadata.PackageNotFoundError:
        return None


def overcome(watch: "TuneCallback | None", scribe: AsyncLogger | None, further: str = "") -> str:
    """What went wrong and cost no trial: packs that were cut short, a tracking server that was away; then `further`."""
    lost, continued = (watch.lost, watch.continued) if watch else (Counter(), Counter())
    notes = [f"{plural(n, 'pack')} came back unfinished because {why.value}." for why, n in lost.items()]
    if n := continued[True]:
        notes.append(f"{plural(n, 'pack')} went on from the last report.")
    if n := continued[False]:
        notes.append(f"{plural(n, 'pack')} started over: a checkpoint did not fit.")
    if scribe and scribe.outages:
        notes.append(f"MLflow was away {plural(scribe.outages, 'time')}.")
    return " ".join([*notes, *([further] if further else [])])


def plural(n: int, what: str) -> str:
    return f"{n} {what}" if n == 1 else f"{n} {what}s"


def known(ended: Mapping[str, Record], objective: str) -> dict[str, tuple[Outcome, float]]:
    """Outcome and objective of trials that an earlier driver brought to their end."""
    return {key: (r.outcome, r.measures.get(objective, math.nan)) for key, r in ended.items()}


def counts(progress: SweepProgress) -> dict[str, int]:
    return {outcome: getattr(progress, outcome) for outcome in ("finished", "diverged", "stopped", "failed")}


def numbers(progress: SweepProgress, objective: str) -> dict[str, float]:
    """The summary run's metrics."""
    told = {f"trials/{outcome}": float(n) for outcome, n in counts(progress).items()}
    told |= {"trials/asked": float(progress.asked), "seconds": progress.seconds}
    return told | ({f"best/{objective}": progress.best[0]} if progress.best else {})
