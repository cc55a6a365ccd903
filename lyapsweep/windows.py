"""Training windows: how data are cut, and which state each window begins with."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from lyapsweep.registry import unknown
from lyapsweep.setting_types import Count, CountOrZero, check_fields

POLICIES = {"random": "fresh", "conditional": "fresh", "stateful": "carried", "sequential": "carried"}


@dataclass(frozen=True)
class Windows:
    """The windows of an update, and the policy by which they are drawn and begin (Xu et al. 2023).

    Policies:

    random       drawn uniformly, each from the zero state, or from the state inferred from a series
    conditional  drawn uniformly, each from the zero state, with the target of the step before as a further input
    stateful     `batch` contiguous streams side by side: update j trains their j-th windows, each from the last state
                 of the window before, without its gradient
    sequential   `batch` windows one after the other, each from the last state of the one before, also across updates

    Args:
        length: Steps of a window; None for whole sequences of a task.
        batch: Windows per update.
        state: "fresh" or "carried"; implied by the policy. Alone, "carried" means stateful.
        policy: One of the above; random by default.
        spin_up: First steps from the zero state that do not count in the training loss.

    Raises:
        ValueError: If a value is out of range, or policy and state contradict each other.

    Example:
        >>> Windows(length=20, batch=4, policy="stateful").carried
        True
    """

    length: Count | None = 200
    batch: Count = 16
    state: str | None = None
    policy: str | None = None
    spin_up: CountOrZero = 0

    def __post_init__(self) -> None:
        check_fields(self, "windows")
        if self.state not in (None, *POLICIES.values()):
            raise unknown("state of windows", self.state, ["fresh", "carried"], "windows/state")
        policy = self.policy or ("stateful" if self.state == "carried" else "random")
        if policy not in POLICIES:
            raise unknown("policy of windows", policy, list(POLICIES), "windows/policy")
        if self.state not in (None, POLICIES[policy]):
            raise ValueError(
                f"windows/state of policy '{policy}' is '{POLICIES[policy]}', but got '{self.state}'. Leave it out."
            )
        if not self.spin_up < self.steps:
            raise ValueError(
                f"windows/spin_up < windows/length must hold, but got spin_up={self.spin_up}, length={self.length}."
            )
        object.__setattr__(self, "policy", policy)
        object.__setattr__(self, "state", None)  # implied by the policy, so that a sweep may change the policy alone

    @property
    def carried(self) -> bool:
        """Whether a window begins with the last state of the window before."""
        return POLICIES[str(self.policy)] == "carried"

    @property
    def held(self) -> int | None:
        """Steps over which a target is a further input: the window of policy conditional, else None."""
        return self.length if self.policy == "conditional" else None

    @property
    def steps(self) -> int:
        """The length, 1 where it is None."""
        return 1 if self.length is None else self.length

    def check_series(self, series_length: int) -> None:
        """Raise ValueError if a series of so many steps holds no window."""
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
    """Draw first steps: every window of length + 1 observations within one piece of the series is equally likely.

    Args:
        windows: Length and batch.
        pieces: Lengths of the trajectories of the series, one after the other; or the length of the only one.
        updates: Number of updates.
        generator: Random numbers.

    Returns:
        First steps (updates, batch). No window crosses from one trajectory into the next.
    """
    lengths = torch.tensor([pieces] if isinstance(pieces, int) else list(pieces))
    windows.check_series(int(lengths.max()))
    counts = (lengths - windows.steps).clamp(min=0)
    ends = counts.cumsum(0)
    drawn = torch.randint(0, int(ends[-1]), (updates, windows.batch), generator=generator)
    skipped = (lengths - counts).cumsum(0) - (lengths - counts)  # steps of earlier pieces at which no window begins
    return drawn + skipped[torch.searchsorted(ends, drawn, right=True)]


class Segments(NamedTuple):
    """Segments of a window whose whole state is replaced at some steps: they run side by side.

    They begin at `cuts` and have the length of the longest. The further steps of shorter segments are not `counted`
    (None: all steps count).
    """

    cuts: Int[Tensor, "segments 1"]
    length: int
    counted: Bool[Tensor, " steps_segments_batch"] | None

    @classmethod
    def of(cls, cuts: list[int], windows: Windows, device: torch.device) -> "Segments":
        lengths = torch.tensor([*cuts[1:], windows.steps]) - torch.tensor(cuts)
        longest = int(lengths.max())
        counted = (torch.arange(longest)[:, None] < lengths).flatten().repeat_interleave(windows.batch)
        steps = torch.tensor(cuts)[:, None].to(device, non_blocking=True)
        return cls(steps, longest, None if counted.all() else counted.to(device, non_blocking=True))

    def first(self, first: Int[Tensor, "population batch"]) -> Int[Tensor, "population segments_batch"]:
        """The first steps of all segments of the windows that begin at `first`."""
        return (first.unsqueeze(1) + self.cuts).flatten(1)


def cut(
    series: Float[Tensor, "time features"], first: Int[Tensor, "*index"], length: int
) -> Float[Tensor, "time_plus_one *index features"]:
    """The windows that begin at `first`, time leading: steps first ... first + length, inclusive."""
    offsets = torch.arange(length + 1, device=series.device).reshape(-1, *[1] * first.dim())
    steps = (offsets + first).flatten()
    return series.index_select(0, steps).unflatten(0, (length + 1, *first.shape))  # half the time of series[...]


def driving(
    inputs: Float[Tensor, "time inputs"] | None, first: Int[Tensor, "*index"], steps: int
) -> Float[Tensor, "steps *index inputs"] | None:
    """The inputs of the `steps` steps from the observations at `first`: s_{first+1} ... s_{first+steps}; None without.

    z_{t+1} = f(z_t, s_{t+1}): a step is driven by the input of the time that it leads to.
    """
    return None if inputs is None else cut(inputs, first + 1, steps - 1)
