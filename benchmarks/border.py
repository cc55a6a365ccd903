"""How many trials does refinement save on a complete map, what does it miss, and how rough is the border?

    lyapsweep sweep sweeps/border.py
    python -m benchmarks.border results/border --picture border.png

Replays the rounds of `--refine` on the outcomes of the whole grid, so that only the choice of points is compared;
`--refined` names the folder of a map that was trained with refinement, which is compared as well.
"""

import argparse
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from lyapsweep.analysis.settings import box_counting
from lyapsweep.results.table import Table
from lyapsweep.sweep.plan.refinement import UNKNOWN, rounds


def replay(labels: np.ndarray) -> np.ndarray:
    """Return the mask of points that refinement trains if `labels` are the outcomes of training."""
    known = np.full(labels.shape, UNKNOWN)
    for wanted in rounds(known):
        known[wanted] = labels[wanted]
    return known != UNKNOWN


def agreement(labels: np.ndarray, trained: np.ndarray) -> float:
    """Return the fraction of cells whose nearest trained cell has the same label."""
    return float((box_counting.nearest(labels, trained) == labels).mean())


def told(folder: Path, axes: Sequence[str], threshold: float | None) -> box_counting.BoxCountingFinding:
    table = Table.read(folder)
    return box_counting.find(table, axes[0], axes[1], table.description.objective_column, threshold)


def outcomes(found: box_counting.BoxCountingFinding) -> np.ndarray:
    return np.where(found.lost, 0, 1 + found.inside)


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("folder", type=Path)
    options.add_argument("--threshold", type=float, default=0.363)
    options.add_argument("--axes", nargs=2, default=["init/gain", "training/lr"])
    options.add_argument("--refined", type=Path)
    options.add_argument("--picture", type=Path)
    given = options.parse_args()
    alive, learnt = (told(given.folder, given.axes, threshold) for threshold in (None, given.threshold))
    labels = outcomes(learnt)
    for found in (alive, learnt):
        print(box_counting.sentence(found))
    trained = replay(labels)
    print(f"Replayed: {trained.mean():.1%} of the trials, right on {agreement(labels, trained):.2%} of the cells.")
    if given.refined:
        refined = told(given.refined, given.axes, given.threshold)
        right = (outcomes(refined) == labels).mean()
        print(f"In earnest: {refined.trained.mean():.1%} of the trials, right on {right:.2%} of the cells.")
    if given.picture:
        box_counting.save(learnt, given.picture)


if __name__ == "__main__":
    main()
