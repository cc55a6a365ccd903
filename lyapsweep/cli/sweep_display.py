"""The progress of a sweep on a terminal: a live display, or lines where the output is no terminal."""

import contextlib
import time
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING

from lyapsweep.cli import printing

if TYPE_CHECKING:
    from rich.console import Console, RenderableType

    from lyapsweep.sweep.observe.progress import LeadingSetting, SweepProgress

LINE_INTERVAL = 5.0  # seconds between lines if the output is no terminal
MOST_PACKS = 8  # whose losses are shown


@contextlib.contextmanager
def display(objective: str, out: "Console") -> Iterator[Callable[["SweepProgress"], None]]:
    """A progress listener: a live display on a terminal, a line every few seconds elsewhere."""
    if not out.is_terminal:
        yield PlainProgress(objective, out)
        return
    from rich.live import Live

    screen = LiveProgress(objective)
    with Live(screen, console=out, refresh_per_second=4):
        yield screen


class PlainProgress:
    """Prints lines at most every LINE_INTERVAL seconds; the last state and each phase are always printed."""

    def __init__(self, objective: str, out: "Console"):
        self.objective, self.out = objective, out
        self.printed, self.text, self.phase = -LINE_INTERVAL, "", ""

    def __call__(self, progress: "SweepProgress") -> None:
        text, now = counts(progress), time.monotonic()
        complete = progress.done == progress.asked and progress.done > 0
        if text != self.text and (complete or now - self.printed >= LINE_INTERVAL):
            self.printed, self.text = now, text
            parts = text, best_text(progress, self.objective), pace_text(progress), time_text(progress, 0.0)
            self.out.print("; ".join(filter(None, parts)), soft_wrap=True)
        if progress.phase and progress.phase != self.phase:
            self.phase = progress.phase
            self.out.print(f"{progress.phase} ...", soft_wrap=True)


class LiveProgress:
    """Draws the latest progress; elapsed and remaining time advance between events."""

    def __init__(self, objective: str):
        self.objective, self.latest, self.received = objective, None, 0.0

    def __call__(self, progress: "SweepProgress") -> None:
        self.latest, self.received = progress, time.monotonic()

    def __rich__(self) -> "RenderableType":
        from rich.progress_bar import ProgressBar
        from rich.table import Table

        if self.latest is None:
            return "planning ..."
        latest, since = self.latest, time.monotonic() - self.received
        grid = Table.grid()
        grid.add_row(counts(latest))
        grid.add_row(ProgressBar(total=max(latest.asked, 1), completed=latest.done, width=60))
        texts = time_text(latest, since), pace_text(latest), loss_text(latest)
        for text in (*texts, f"{latest.phase} ..." if latest.phase else ""):
            if text:
                grid.add_row(text)
        grid.add_row(leading_table(latest.leading, self.objective) if latest.leading else f"no {self.objective} yet")
        return grid


def leading_table(leading: "tuple[LeadingSetting, ...]", objective: str) -> "RenderableType":
    """The best settings so far, the best first."""
    from rich.table import Table

    table = Table(box=None, pad_edge=False, header_style="bold")
    table.add_column("best settings so far", no_wrap=True, overflow="ellipsis")
    for heading in (f"median {objective}", "range", "seeds"):
        table.add_column(heading, justify="right", no_wrap=True)
    for each in leading:
        spread = f"{printing.number(each.low)} to {printing.number(each.high)}" if each.seeds > 1 else ""
        table.add_row(each.name, printing.number(each.median), spread, str(each.seeds))
    return table


def counts(progress: "SweepProgress") -> str:
    kinds = ("finished", "unbounded", "diverged", "failed", "stopped", "running")
    parts = [f"{n} {kind}" for kind in kinds if (n := getattr(progress, kind))]
    return f"{progress.done}/{progress.asked} trials" + (f" ({', '.join(parts)})" if parts else "")


def best_text(progress: "SweepProgress", objective: str) -> str:
    """The best setting so far by the median over the seeds that have ended."""
    if not progress.leading:
        return f"no {objective} yet"
    best = progress.leading[0]
    seeds = f", {best.seeds} seeds" if best.seeds > 1 else ""
    return f"best {objective} {printing.number(best.median)} ({best.name}{seeds})"


def pace_text(progress: "SweepProgress") -> str:
    return f"{printing.number(progress.pace)} updates per second" if progress.pace else ""


def loss_text(progress: "SweepProgress") -> str:
    """The running training losses of the packs; "" before the first."""
    if not progress.losses:
        return ""
    shown = ", ".join(f"pack {pack}: {printing.number(loss)}" for pack, loss in progress.losses[:MOST_PACKS])
    more = len(progress.losses) - MOST_PACKS
    return f"training loss of {shown}" + (f" and {more} more packs" if more > 0 else "")


def time_text(progress: "SweepProgress", since: float) -> str:
    elapsed = f"{printing.duration(progress.seconds + since)} elapsed"
    if progress.left is None or progress.done == progress.asked:
        return elapsed
    return f"{elapsed}, about {printing.duration(max(progress.left - since, 0))} remaining"
