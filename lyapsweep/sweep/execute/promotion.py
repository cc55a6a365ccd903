"""Members of packs that passed a rung, until a pack of them trains on."""

from collections.abc import Iterable, Mapping, Sequence
from itertools import groupby

from lyapsweep.sweep.plan.packing import packs
from lyapsweep.sweep.plan.points import Point
from lyapsweep.training.checkpoint import SavedState


class PromotionQueue:
    """Joins members of several packs that passed the same rung into packs of `size`.

    On a GPU an update of a few networks takes as long as one of many, so members wait until they fill a pack, and the
    worker trains fresh points meanwhile. On a CPU the cost is that of the members, and they train on at once.

    Args:
        size: Members of a pack.
        device: "cpu" or "cuda".
        states: Where the state of members is that an earlier run of the sweep left unfinished, by their key.
    """

    def __init__(self, size: int, device: str, states: Mapping[str, SavedState]):
        self.size, self.device, self.states = size, device, dict(states)
        self.interrupted = set(states)  # members that an earlier run left and that this one has not saved yet
        self.waiting: list[Point] = []

    def add(self, points: Sequence[Point], step: int, file: str) -> None:
        """Add members whose state a checkpoint `file` holds after `step` updates."""
        self.waiting += points
        self.states |= {point.key: SavedState(file, step) for point in points}
        self.interrupted.difference_update(point.key for point in points)

    def take(self, fewest: int | None = None) -> list[Point] | None:
        """Remove and return a pack of at least `fewest` members, of those that have trained longest; None without one.

        By default one member suffices on a CPU, and a GPU needs a full pack.
        """
        fewest = fewest or (1 if self.device == "cpu" else self.size)
        for same in reversed(self.by_step(self.waiting)):
            for pack in packs(same, self.size, self.device):
                if len(pack) >= fewest:
                    taken = {point.key for point in pack}
                    self.waiting = [point for point in self.waiting if point.key not in taken]
                    return pack
        return None

    def by_step(self, points: Iterable[Point]) -> list[list[Point]]:
        """Points in groups that have made equally many updates, the fewest first."""
        ordered = sorted(points, key=self.step)
        return [list(same) for _, same in groupby(ordered, self.step)]

    def step(self, point: Point) -> int:
        """The number of updates that a member has made."""
        state = self.states.get(point.key)
        return state.step if state else 0
