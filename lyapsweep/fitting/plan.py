"""What a fit was asked and how its time was divided, as a file: a resumed fit searches the same networks."""

import json
import re
from collections.abc import Sequence
from dataclasses import asdict, dataclass, fields, replace
from pathlib import Path
from typing import Any

from lyapsweep.datasets.recording import Reading
from lyapsweep.fitting.budget import Budget
from lyapsweep.fitting.series_analysis import Column
from lyapsweep.results.experiment import atomic_write
from lyapsweep.sweep.plan.errors import SweepError

FILE = "fit.json"
MINUTES = 5.0


@dataclass(frozen=True)
class FitRequest:
    """What a user asks of a fit.

    Args:
        path: File of the series.
        dt: Time between rows; None reads it off a time column, else 1.
        columns: Columns to predict; None takes all but inputs and clocks.
        inputs: Columns that drive the system.
        minutes: Time that the fit may take.
        trials: Networks of the search instead; None divides the time.
        seed: Seed of everything that is drawn.
        changes: Settings of the config, (path, value).

    Example:
        >>> FitRequest("my data.csv").name
        'my-data'
    """

    path: str
    dt: float | None = None
    columns: Sequence[Column] | None = None
    inputs: Sequence[Column] | None = None
    minutes: float = MINUTES
    trials: int | None = None
    seed: int = 0
    changes: tuple[tuple[str, Any], ...] = ()

    @property
    def reading(self) -> Reading:
        """How the columns of the file are understood."""
        known = {field.name for field in fields(Reading)}
        given = {path.removeprefix("dataset/"): value for path, value in self.changes if path.startswith("dataset/")}
        return Reading(**{name: value for name, value in given.items() if name in known})

    @property
    def name(self) -> str:
        """The name of a results folder: the file's, without its ending."""
        stem = Path(self.path).name.partition(".")[0]
        return re.sub(r"[^\w-]+", "-", stem).strip("-") or "fit"

    @property
    def asked(self) -> str:
        """What decides which networks are trained, as JSON text."""
        return json.dumps(asdict(replace(self, minutes=MINUTES, trials=None)), sort_keys=True)


def read_plan(folder: Path, request: FitRequest, resume: bool) -> Budget | None:
    """The budget of the fit that a folder holds; None if there is none.

    Raises:
        SweepError: If it is to be resumed and is another fit, or is not to be resumed.
    """
    file = folder / FILE
    if not file.is_file():
        return None
    if not resume:
        raise SweepError(f"{folder}: it holds a fit. Resume it with --resume, or give this one another --name.")
    try:
        content = json.loads(file.read_text("utf-8"))
        before, budget = content["asked"], Budget(**content["budget"])
    except (ValueError, KeyError, TypeError) as error:
        raise SweepError(
            f"{file}: it describes no fit ({error}). Remove the folder, or give another --name."
        ) from error
    if before != request.asked:
        raise SweepError(f"{folder}: it holds a fit of {before}, not of {request.asked}. Give another --name.")
    return budget


def write_plan(folder: Path, request: FitRequest, budget: Budget) -> None:
    """Write what was asked and the budget."""
    folder.mkdir(parents=True, exist_ok=True)
    with atomic_write(folder / FILE) as file:
        file.write(json.dumps({"asked": request.asked, "budget": asdict(budget)}, indent=1).encode())
