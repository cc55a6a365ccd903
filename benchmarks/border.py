"""What does refinement save on a map that was trained whole, what does it miss, and how rough is the map's border?

    lyapsweep sweep sweeps/border.py
    python -m benchmarks.border results/border --picture border.png

Replays the rounds of `--refine` on the outcomes of the whole grid, so that what is compared is the choice of points alone.
"""

import argparse
from pathlib import Path

import numpy as np
from scipy.ndimage import distance_transform_edt

from lyapsweep.analysis import boundary
from lyapsweep.sweep.refinement import UNKNOWN, rounds
from lyapsweep.table import Table


def replay(labels: np.ndarray) -> np.ndarray:
    """What refinement would have trained (mask), were `labels` what comes of training."""
    known = np.full(labels.shape, UNKNOWN)
    for wanted in rounds(known):
        known[wanted] = labels[wanted]
    return known != UNKNOWN


def agreement(labels: np.ndarray, trained: np.ndarray) -> float:
    """The share of all cells whose nearest trained cell has their label."""
    nearest = distance_transform_edt(~trained, return_distances=False, return_indices=True)
    return float((labels[tuple(nearest)] == labels).mean())


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("folder", type=Path)
    options.add_argument("--threshold", type=float, default=0.363)
    options.add_argument("--axes", nargs=2, default=["init/gain", "training/lr"])
    options.add_argument("--picture", type=Path)
    given = options.parse_args()
    table, told = Table.read(given.folder), None
    for threshold in (None, given.threshold):
        told = boundary.find(table, *given.axes, f"measures/{table.about['objective']}", threshold)
        print(boundary.sentence(told))
    assert told is not None
    labels = np.where(told.lost, 0, 1 + told.inside)
    trained = replay(labels)
    print(f"Refined: {trained.mean():.1%} of the trials, right on {agreement(labels, trained):.2%} of the cells.")
    if given.picture:
        boundary.save(told, given.picture)


if __name__ == "__main__":
    main()
