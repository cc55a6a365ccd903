"""The border of a grid, trained where it runs: coarse points first, finer ones where trials that lie close disagree.

Two trials disagree where one is lost (diverged or failed) and the other is not, or where the objective of one is on
this side of the sweep's `threshold` and that of the other is not. A point that no round asks for lies among trials that
agree: readers take the answer of the nearest one.
"""

import itertools
import math
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence

import numpy as np

from lyapsweep.config import Config
from lyapsweep.results.description import RefinedGrid
from lyapsweep.results.record import Outcome
from lyapsweep.sweep.execute.optuna_study import OptunaStudy
from lyapsweep.sweep.execute.searcher import planned
from lyapsweep.sweep.plan.definition import Sweep, SweepError
from lyapsweep.sweep.spaces import Point, numeric

COARSE = 8  # points of the grid from one to the next of the first round, at most
UNKNOWN, LOST, ABOVE, BELOW = -1, 0, 1, 2
Told = Mapping[str, tuple[Outcome, float]]


def rounds(labels: np.ndarray) -> Iterator[np.ndarray]:
    """Masks of the points to train next: all of a coarse lattice, then the halves of cells whose trials disagree.

    `labels` is an integer array over the axes of the grid, UNKNOWN where nothing was trained; before it asks for the
    next mask the caller fills in what came of the last. Cells of one side are halved until no more of them disagree,
    so that a border is followed into neighbours that seemed to be of one kind; then come cells of half the side.
    """
    side = coarse(labels.shape)
    yield on_lattice(labels.shape, side)
    while side > 1:
        while (wanted := halves(labels, side)).any():
            yield wanted
        side //= 2


def coarse(shape: Sequence[int]) -> int:
    """The side of the first cells, a power of 2: at least four cells along the shortest axis, where there is room."""
    return 2 ** int(math.log2(max(1, min(COARSE, (min(shape) - 1) // 4 or 1))))


def lattice(n: int, side: int) -> list[int]:
    """Every `side`-th of n indices, and the last."""
    return sorted({*range(0, n, side), n - 1})


def on_lattice(shape: Sequence[int], side: int) -> np.ndarray:
    mask = np.zeros(shape, bool)
    mask[np.ix_(*(lattice(n, side) for n in shape))] = True
    return mask


def halves(labels: np.ndarray, side: int) -> np.ndarray:
    """The points at half the side, in and on every cell whose trained points disagree, that were not trained yet."""
    wanted = np.zeros(labels.shape, bool)
    fresh = on_lattice(labels.shape, side // 2) & (labels == UNKNOWN)
    edges = [list(itertools.pairwise(lattice(n, side))) for n in labels.shape]
    for cell in itertools.product(*edges):
        box = tuple(slice(first, last + 1) for first, last in cell)
        known = labels[box][labels[box] != UNKNOWN]
        if known.size and (known != known[0]).any():
            wanted[box] |= fresh[box]
    return wanted


class Refinement:
    """The rounds of one sweep's grid. Numbers span the plane; names, sections and seeds are panels, each on its own.

    Raises `SweepError` where the grid has no two axes of five numbers.
    """

    def __init__(self, sweep: Sweep, points: Sequence[Point]):
        self.threshold, self.points = sweep.threshold, points
        grid = sweep.grid or {}
        axes = {k: sorted(values) for k, values in grid.items() if k != "seed" and numeric(values) and len(values) >= 5}
        if len(axes) < 2 or sweep.where:
            said = f"where={dict(sweep.where)}" if sweep.where else f"{', '.join(axes) or 'no'} axis of five numbers"
            raise SweepError(f"--refine needs a whole grid with two axes of five numbers or more, but there is {said}.")
        self.axes, self.shape = axes, tuple(len(values) for values in axes.values())
        self.places: dict[str, tuple[str, tuple[int, ...]]] = {}
        for point in points:
            panel = str({k: v for k, v in point.params.items() if k not in axes})
            self.places[point.config.id] = panel, tuple(axes[k].index(point.params[k]) for k in axes)
        self.asked = 0

    def rounds(self, told: Told) -> Iterator[list[Point]]:
        """The points of each round; those of a round must have been `told` before the next is asked for."""
        labels = {panel: np.full(self.shape, UNKNOWN) for panel, _ in self.places.values()}
        pending = {panel: rounds(of) for panel, of in labels.items()}
        self.asked = 0
        while pending:
            masks = {panel: mask for panel, each in pending.items() if (mask := next(each, None)) is not None}
            pending = {panel: pending[panel] for panel in masks}
            chosen = [p for p in self.points if self.within(p.config.id, masks)]
            if not chosen:
                return
            self.asked += len(chosen)
            yield chosen
            for point in chosen:
                panel, place = self.places[point.config.id]
                labels[panel][place] = self.label(*told[point.config.id])

    def within(self, key: str, masks: Mapping[str, np.ndarray]) -> bool:
        panel, place = self.places[key]
        return panel in masks and bool(masks[panel][place])

    def label(self, outcome: Outcome, value: float) -> int:
        if outcome in (Outcome.DIVERGED, Outcome.FAILED):
            return LOST
        return BELOW if self.threshold is not None and value < self.threshold else ABOVE

    def left(self, told: Told) -> int:
        """How many points of the first round that is not whole are not `told` yet; 0 where all rounds are."""
        for points in self.rounds(told):
            if missing := sum(p.config.id not in told for p in points):
                return missing
        return 0

    def supply(
        self,
        size: int,
        jobs: int,
        device: str,
        journal: OptunaStudy,
        ended: Collection[str],
        failed: Collection[str],
        tell: Callable[[int], None],
    ) -> Iterator[list[Config]]:
        """The packs of every round; nothing, again and again, while trials that the next round needs are still out.

        A round is cut so that none of `jobs` is idle. `tell` hears how many points were asked for, as they grow. A
        resumed sweep replays the rounds from its records.
        """
        for points in self.rounds(journal.told):
            tell(self.asked)
            most = min(size, math.ceil(len(points) / max(jobs, 1)))
            yield from planned([points], most, device, journal, ended, failed)
            while any(p.config.id not in journal.told for p in points):
                yield []

    @property
    def sentence(self) -> str:
        share = self.asked / len(self.points)
        return f"Refined: {self.asked} of the grid's {len(self.points)} points were asked for ({share:.0%})."

    def description(self) -> RefinedGrid:
        """What sweep.json says of it."""
        return RefinedGrid(len(self.points), self.asked, self.threshold, self.axes)
