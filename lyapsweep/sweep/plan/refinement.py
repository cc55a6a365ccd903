"""Refinement of a grid along borders: coarse points first, finer ones where trials that lie close disagree.

Two trials disagree where one is lost (diverged or failed) and the other is not, or where their objectives lie on
different sides of the sweep's `threshold`. A point that no round requests lies among trials that agree: readers take
the outcome of the nearest trial.
"""

import itertools
import math
from collections.abc import Iterator, Mapping, Sequence

import numpy as np

from lyapsweep.results.description import RefinedGrid
from lyapsweep.results.record import Outcome
from lyapsweep.sweep.plan.axes import numeric
from lyapsweep.sweep.plan.definition import Sweep, SweepError
from lyapsweep.sweep.plan.points import Point

COARSEST = 8  # largest side of a cell of the first round, in grid steps
FEWEST = 5  # values along an axis that can be refined
UNKNOWN, LOST, ABOVE, BELOW = -1, 0, 1, 2
Results = Mapping[str, tuple[Outcome, float]]  # trial key -> outcome, objective


def rounds(labels: np.ndarray) -> Iterator[np.ndarray]:
    """Yield masks of the points to train next: a coarse lattice, then the halves of cells whose trials disagree.

    Cells of one side are halved until no more of them disagree, so that a border is followed into neighbours that
    seemed uniform; then come cells of half the side.

    Args:
        labels: Integer array over the axes of the grid, `UNKNOWN` where nothing was trained. The caller enters the
            results of a round before it requests the next mask.
    """
    side = coarsest_side(labels.shape)
    yield lattice_mask(labels.shape, side)
    while side > 1:
        while (wanted := halves(labels, side)).any():
            yield wanted
        side //= 2


def coarsest_side(shape: Sequence[int]) -> int:
    """Side of the first cells, a power of 2: at least four cells along the shortest axis where it is long enough."""
    return 2 ** int(math.log2(max(1, min(COARSEST, (min(shape) - 1) // 4 or 1))))


def lattice(n: int, side: int) -> list[int]:
    """Every `side`-th of n indices, and the last."""
    return sorted({*range(0, n, side), n - 1})


def lattice_mask(shape: Sequence[int], side: int) -> np.ndarray:
    mask = np.zeros(shape, bool)
    mask[np.ix_(*(lattice(n, side) for n in shape))] = True
    return mask


def halves(labels: np.ndarray, side: int) -> np.ndarray:
    """Untrained points at half the side, in and on every cell whose trained points disagree."""
    wanted = np.zeros(labels.shape, bool)
    untrained = lattice_mask(labels.shape, side // 2) & (labels == UNKNOWN)
    edges = [list(itertools.pairwise(lattice(n, side))) for n in labels.shape]
    for cell in itertools.product(*edges):
        box = tuple(slice(first, last + 1) for first, last in cell)
        known = labels[box][labels[box] != UNKNOWN]
        if known.size and (known != known[0]).any():
            wanted[box] |= untrained[box]
    return wanted


class Refinement:
    """The rounds of one sweep's grid. Numeric axes span it; names, sections and seeds are panels refined separately.

    Raises `SweepError` if the grid has no two numeric axes of five values. `requested` counts the points so far.
    """

    def __init__(self, sweep: Sweep, points: Sequence[Point]):
        self.threshold, self.points = sweep.threshold, points
        grid = sweep.grid or {}
        axes = {k: sorted(v) for k, v in grid.items() if k != "seed" and numeric(v) and len(v) >= FEWEST}
        if len(axes) < 2 or sweep.where:
            found = f"where={dict(sweep.where)}" if sweep.where else f"{', '.join(axes) or 'no'} axis of five numbers"
            raise SweepError(
                f"--refine needs a whole grid with two axes of five numbers or more, but there is {found}."
            )
        self.axes, self.shape = axes, tuple(len(values) for values in axes.values())
        self.places: dict[str, tuple[str, tuple[int, ...]]] = {}
        for point in points:
            panel = str({k: v for k, v in point.params.items() if k not in axes})
            self.places[point.key] = panel, tuple(axes[k].index(point.params[k]) for k in axes)
        self.requested = 0

    def rounds(self, results: Results) -> Iterator[list[Point]]:
        """Yield the points of each round; `results` must hold those of a round before the next is requested."""
        labels = {panel: np.full(self.shape, UNKNOWN) for panel, _ in self.places.values()}
        pending = {panel: rounds(array) for panel, array in labels.items()}
        self.requested = 0
        while pending:
            masks = {panel: mask for panel, each in pending.items() if (mask := next(each, None)) is not None}
            pending = {panel: pending[panel] for panel in masks}
            chosen = [point for point in self.points if self.in_masks(point.key, masks)]
            if not chosen:
                return
            self.requested += len(chosen)
            yield chosen
            for point in chosen:
                panel, place = self.places[point.key]
                labels[panel][place] = self.label(*results[point.key])

    def in_masks(self, key: str, masks: Mapping[str, np.ndarray]) -> bool:
        panel, place = self.places[key]
        return panel in masks and bool(masks[panel][place])

    def label(self, outcome: Outcome, value: float) -> int:
        if outcome in (Outcome.DIVERGED, Outcome.FAILED):
            return LOST
        return BELOW if self.threshold is not None and value < self.threshold else ABOVE

    def remaining(self, results: Results) -> int:
        """How many points of the first incomplete round have no result; 0 if all rounds are complete."""
        for points in self.rounds(results):
            if missing := sum(point.key not in results for point in points):
                return missing
        return 0

    @property
    def summary(self) -> str:
        share = self.requested / len(self.points)
        return f"Refined: {self.requested} of the grid's {len(self.points)} points were trained ({share:.0%})."

    def description(self) -> RefinedGrid:
        """The refinement as sweep.json keeps it."""
        return RefinedGrid(len(self.points), self.requested, self.threshold, self.axes)
