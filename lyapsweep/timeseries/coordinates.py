"""Columns that are not coordinates as they are: angles, which jump."""

import numpy as np

from lyapsweep.timeseries.embedding import Columns

JUMP, STEP = 0.7, 0.4  # of a range: an angle jumps by more than the one and else steps by less than the other
TURNS = 5  # jumps, from which on a column is an angle


class NoExponent(ValueError):
    """A series whose exponent cannot be estimated; the message says why and what to do."""


def circles(values: Columns) -> tuple[Columns, int]:
    """Replace angles, columns that jump back by a whole turn, by cosine and sine: (values, number of angles).

    A jump separates neighbouring states although nothing happens. The turn is the median jump plus one step.
    """
    made, angles = [], 0
    for x in values.T:
        steps, extent = np.diff(x), np.ptp(x)
        jumps = np.abs(steps) > JUMP * extent
        one_way = len(np.unique(np.sign(steps[jumps]))) == 1
        if not (jumps.sum() >= TURNS and one_way and (np.abs(steps[~jumps]) < STEP * extent).all()):
            made.append(x[:, None])
            continue
        turn = np.abs(np.median(steps[jumps]) - np.median(steps[~jumps]))
        phase, angles = 2 * np.pi * (x - x.min()) / turn, angles + 1
        made.append(np.stack([np.cos(phase), np.sin(phase)], axis=1))
    return np.concatenate(made, axis=1), angles
