"""How data are cut into training windows. Not a forcing: a forcing acts inside a window."""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from jaxtyping import Float, Int
from torch import Tensor


@dataclass(frozen=True)
class Windows:
    """Windows of `length` steps, `batch` of them an update, each from a state of its own (`fresh`).

    `length` is None where a task's whole sequences are the windows; a series needs one.
    """

    length: int | None = 200
    batch: int = 16
    state: str = "fresh"

    def __post_init__(self) -> None:
        if self.steps < 1 or self.batch < 1:
            raise ValueError(f"windows/length, windows/batch >= 1 must hold, but got {self.length}, {self.batch}.")
        if self.state != "fresh":
            raise ValueError(f"windows/state must be 'fresh', but got {self.state!r}.")

    @property
    def steps(self) -> int:
        """The length where there is one, else 1: of a window that nobody cuts."""
        return 1 if self.length is None else self.length

    def fit(self, series_length: int) -> None:
        """Raise ValueError where a series of so many steps holds no window."""
        if self.length is None:
            raise ValueError("windows/length must be a number for a series, but got null: only tasks have sequences.")
        if series_length < self.length + 1:
            raise ValueError(
                f"windows/length < steps in the training series must hold, but got length={self.length} for a series "
                f"of {series_length} steps. Shorten windows/length or give a longer series."
            )


def starts(
    windows: Windows, pieces: int | Sequence[int], updates: int, generator: torch.Generator
) -> Int[Tensor, "updates batch"]:
    """Random first steps: every window of length + 1 observations inside one piece of the series is equally likely.

    `pieces` are the lengths of the trajectories that the series holds one after the other, or the length of the only
    one. No window crosses from one into the next; a piece shorter than a window holds none.
    """
    lengths = torch.tensor([pieces] if isinstance(pieces, int) else list(pieces))
    windows.fit(int(lengths.max()))
    counts = (lengths - windows.steps).clamp(min=0)
    ends = counts.cumsum(0)
    drawn = torch.randint(0, int(ends[-1]), (updates, windows.batch), generator=generator)
    skipped = (lengths - counts).cumsum(0) - (lengths - counts)  # steps of earlier pieces at which no window begins
    return drawn + skipped[torch.searchsorted(ends, drawn, right=True)]


def cut(
    series: Float[Tensor, "time features"], first: Int[Tensor, "*index"], length: int
) -> Float[Tensor, "time_plus_one *index features"]:
    """The windows that begin at `first`, time leading: steps first ... first + length, both ends included."""
    offsets = torch.arange(length + 1, device=series.device).reshape(-1, *[1] * first.dim())
    return series[offsets + first]
