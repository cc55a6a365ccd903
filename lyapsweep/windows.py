"""How data are cut into training windows. Not a forcing: a forcing acts inside a window."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from lyapsweep.registry import unknown

POLICIES = {"random": "fresh", "conditional": "fresh", "stateful": "carried", "sequential": "carried"}


@dataclass(frozen=True)
class Windows:
    """Windows of `length` steps, `batch` of them an update, drawn and begun as the policy says.

    `length` is None where a task's whole sequences are the windows; a series needs one. Policies (Xu et al. 2023):

    random       anywhere, each from a state of its own: zero, or what a series says of it
    conditional  anywhere, each from the zero state, with the target at the step before as a further input
    stateful     `batch` contiguous streams side by side: update j trains their j-th windows, each from the last state
                 of the same stream's window before, whose gradient ends there
    sequential   `batch` windows one after the other, each from the last state of the one before, across updates too

    `state` (fresh | carried) is implied by the policy; alone, `carried` means stateful. The first `spin_up` steps from
    the zero state do not count in the loss of training.
    """

    length: int | None = 200
    batch: int = 16
    state: str | None = None
    policy: str | None = None
    spin_up: int = 0

    def __post_init__(self) -> None:
        if self.steps < 1 or self.batch < 1:
            raise ValueError(f"windows/length, windows/batch >= 1 must hold, but got {self.length}, {self.batch}.")
        if self.state not in (None, *POLICIES.values()):
            raise unknown("state of windows", self.state, ["fresh", "carried"], "windows/state")
        policy = self.policy or ("stateful" if self.state == "carried" else "random")
        if policy not in POLICIES:
            raise unknown("policy of windows", policy, list(POLICIES), "windows/policy")
        if self.state not in (None, POLICIES[policy]):
            raise ValueError(
                f"windows/state of policy '{policy}' is '{POLICIES[policy]}', but got '{self.state}'. Leave it out."
            )
        if not 0 <= self.spin_up < max(self.steps, 1):
            raise ValueError(
                f"0 <= windows/spin_up < windows/length must hold, but got spin_up={self.spin_up}, "
                f"length={self.length}."
            )
        object.__setattr__(self, "policy", policy)
        object.__setattr__(self, "state", None)  # said by the policy: a sweep that moves one need not move the other

    @property
    def carried(self) -> bool:
        """Whether a window begins with the state that the one before it ended in."""
        return POLICIES[str(self.policy)] == "carried"

    @property
    def held(self) -> int | None:
        """For how many steps a target is a further input: a window's, where windows are told the one before them."""
        return self.length if self.policy == "conditional" else None

    @property
    def steps(self) -> int:
        """The length where there is one, else 1: of a window that nobody cuts."""
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
    """Random first steps: every window of length + 1 observations inside one piece of the series is equally likely.

    `pieces` are the lengths of the trajectories that the series holds one after the other, or the length of the only
    one. No window crosses from one into the next; a piece shorter than a window holds none.
    """
    lengths = torch.tensor([pieces] if isinstance(pieces, int) else list(pieces))
    windows.check_series(int(lengths.max()))
    counts = (lengths - windows.steps).clamp(min=0)
    ends = counts.cumsum(0)
    drawn = torch.randint(0, int(ends[-1]), (updates, windows.batch), generator=generator)
    skipped = (lengths - counts).cumsum(0) - (lengths - counts)  # steps of earlier pieces at which no window begins
    return drawn + skipped[torch.searchsorted(ends, drawn, right=True)]


class Segments(NamedTuple):
    """What a window falls into where the whole state is replaced at some steps: windows of their own, side by side.

    They begin at `cuts` and are all as long as the longest. A segment that ends sooner runs on, and what it says there
    is not `counted` (None: all counts).
    """

    cuts: Int[Tensor, "segments 1"]
    length: int
    counted: Bool[Tensor, " steps_segments_batch"] | None

    @classmethod
    def of(cls, cuts: list[int], windows: Windows, device: torch.device) -> "Segments":
        lengths = torch.tensor([*cuts[1:], windows.steps]) - torch.tensor(cuts)
        longest = int(lengths.max())
        counted = (torch.arange(longest)[:, None] < lengths).flatten().repeat_interleave(windows.batch)
        every = bool(counted.all())
        return cls(torch.tensor(cuts, device=device)[:, None], longest, None if every else counted.to(device))

    def first(self, first: Int[Tensor, "population batch"]) -> Int[Tensor, "population segments_batch"]:
        """The first steps of the segments of the windows that begin at `first`."""
        return (first.unsqueeze(1) + self.cuts).flatten(1)


def cut(
    series: Float[Tensor, "time features"], first: Int[Tensor, "*index"], length: int
) -> Float[Tensor, "time_plus_one *index features"]:
    """The windows that begin at `first`, time leading: steps first ... first + length, both ends included."""
    offsets = torch.arange(length + 1, device=series.device).reshape(-1, *[1] * first.dim())
    steps = (offsets + first).flatten()
    return series.index_select(0, steps).unflatten(0, (length + 1, *first.shape))  # half the time of series[...]


def driving(
    inputs: Float[Tensor, "time inputs"] | None, first: Int[Tensor, "*index"], steps: int
) -> Float[Tensor, "steps *index inputs"] | None:
    """What drives the `steps` steps from the observations at `first`: s_{first+1} ... s_{first+steps}, None without.

    Each step is driven by the input of the moment that it leads to, z_{t+1} = f(z_t, s_{t+1}).
    """
    return None if inputs is None else cut(inputs, first + 1, steps - 1)
