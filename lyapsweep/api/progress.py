"""Progress bars of a notebook or a terminal; elsewhere, such as in a log file, nothing is drawn."""

import contextlib
import sys
import warnings
from collections.abc import Callable, Iterator
from typing import Any

from lyapsweep.results.record import Record
from lyapsweep.sweep.observe.progress import SweepProgress


def in_notebook() -> bool:
    """Whether this process is the kernel of a notebook."""
    shell = getattr(sys.modules.get("IPython"), "get_ipython", lambda: None)()
    return shell is not None and hasattr(shell, "kernel")


def bar(total: int, unit: str, shown: bool | None) -> Any:
    """A bar of tqdm, as a widget where a notebook has them; `shown` None draws it in notebooks and terminals only."""
    with warnings.catch_warnings():  # of a notebook without ipywidgets, where tqdm writes text
        warnings.simplefilter("ignore")
        from tqdm.auto import tqdm

        visible = in_notebook() or sys.stderr.isatty() if shown is None else shown
        return tqdm(total=total, unit=f" {unit}", disable=not visible, dynamic_ncols=True, leave=True)


@contextlib.contextmanager
def sweep_bar(objective: str, shown: bool | None) -> Iterator[Callable[[SweepProgress], None]]:
    """A listener of a sweep's progress."""
    with bar(0, "trials", shown) as drawn:

        def listen(progress: SweepProgress) -> None:
            drawn.total, drawn.n = progress.asked, progress.done
            lost = progress.failed + progress.diverged
            words = [f"{n} {kind}" for n, kind in ((progress.running, "running"), (lost, "lost")) if n]
            words += [f"best {objective} {progress.best[0]:.4g}"] if progress.best else []
            drawn.set_postfix_str(", ".join(words), refresh=False)
            drawn.refresh()

        yield listen


@contextlib.contextmanager
def trial_bar(steps: int, shown: bool | None) -> Iterator[Callable[[Record], None]]:
    """A listener of one trial's records."""
    with bar(steps, "updates", shown) as drawn:

        def listen(record: Record) -> None:
            drawn.n = record.step
            spectrum = record.spectrum
            words = [f"lambda_max {spectrum.maximum:.3g}"] if spectrum is not None else []
            words += [f"{name} {value:.4g}" for name, value in list(record.measures.items())[:2]]
            drawn.set_postfix_str(", ".join(words), refresh=False)
            drawn.refresh()

        yield listen
