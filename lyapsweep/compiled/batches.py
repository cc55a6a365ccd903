"""Compiled: the windows of one update as arrays with one row per time step, segment and window, and their loss."""

import math
from typing import NamedTuple

import numba
import numpy as np

from lyapsweep.compiled.scalars import INTERNAL, f4

SQUARED, CROSS_ENTROPY = 0, 1


class Data(NamedTuple):
    """What windows are cut from: sequences of a task, or a series as one sequence.

    Args:
        inputs: Shape (sequences, time, inputs).
        before: Targets of the step before, further inputs that are held for `held` steps; none if `held` is 0.
        targets: Shape (sequences, time, features); for `last` (sequences, 1, features).
        classes: The same for a loss of classes, without features.
        mask: Whether steps of a sequence count, shape (time,).
        shift: 1 for a series, whose step from t is driven by the input of t + 1 and predicts t + 1; 0 for a task.
        places: Windows per sequence.
        steps: Steps of a window.
        spin_up: First steps of a window that do not count.
        last: Whether only the last step is asked for.
        loss: SQUARED or CROSS_ENTROPY.
    """

    inputs: np.ndarray
    before: np.ndarray
    held: int
    targets: np.ndarray
    classes: np.ndarray
    mask: np.ndarray
    shift: int
    places: int
    steps: int
    spin_up: int
    last: bool
    loss: int


@numba.njit(**INTERNAL)
def segment_starts(pull, ends, whole, starts):
    """Where segments begin, and whether anything happens to a state inside of one.

    They begin where the whole state is replaced, if nothing else happens; else at the first step only. `starts` is as
    long as a window; what is returned is a part of it.
    """
    count, later = 0, False
    changed = not whole or pull[0] != 1
    for t in range(len(pull)):
        changed = changed or ends[t] != 0 or not (pull[t] == 0 or pull[t] == 1)
        later = later or (t > 0 and (pull[t] != 0 or ends[t] != 0))
        if pull[t] == 1:
            starts[count] = t
            count += 1
    if changed:
        starts[0] = 0
        return starts[:1], later
    return starts[:count], False


@numba.njit(**INTERNAL)
def segment_lengths(starts, steps, lengths):
    """The longest segment's steps; those of each are written to `lengths`."""
    longest = 0
    for c in range(len(starts)):
        lengths[c] = (starts[c + 1] if c + 1 < len(starts) else steps) - starts[c]
        longest = max(longest, lengths[c])
    return longest


@numba.njit(**INTERNAL)
def gather_inputs(data, first, starts, length, X):
    """The inputs X (length rows, inputs) of segments that begin at `starts` of the windows `first`."""
    batch, inputs, held = len(first), data.inputs.shape[2], data.before.shape[2]
    rows = len(starts) * batch
    for row in range(rows):
        sequence, s = first[row % batch] // data.places, first[row % batch] % data.places + starts[row // batch]
        for t in range(length):
            for i in range(inputs):
                X[t * rows + row, i] = data.inputs[sequence, s + t + data.shift, i]
            if data.held:
                for i in range(held):
                    X[t * rows + row, inputs + i] = data.before[sequence, s + t - t % data.held, i]


@numba.njit(**INTERNAL)
def gather_targets(data, first, starts, lengths, length, T, classes, w):
    """Targets T or classes of every row, and the weight w of every row in the loss."""
    batch, features = len(first), data.targets.shape[2]
    rows = len(starts) * batch
    for row in range(rows):
        sequence, s = first[row % batch] // data.places, first[row % batch] % data.places + starts[row // batch]
        scale = f4(0)
        if data.last:
            w[row] = f4(1) / f4(batch * (features if data.loss == SQUARED else 1))
            for f in range(features):
                T[row, f] = data.targets[sequence, 0, f]
            classes[row] = data.classes[sequence, 0]
            continue
        if data.shift:
            scale = f4(1) / (f4(data.steps) * f4(batch * features))
        else:
            counted = f4(0)
            for t in range(data.spin_up, length):
                counted += data.mask[s + t]
            scale = f4(1) / (max(counted, f4(1)) * f4(batch * (features if data.loss == SQUARED else 1)))
        for t in range(length):
            o = t * rows + row
            w[o] = scale if t < lengths[row // batch] and t >= data.spin_up else f4(0)
            if not data.shift:
                w[o] *= data.mask[s + t]
            if data.loss == SQUARED:
                for f in range(features):
                    T[o, f] = data.targets[sequence, s + t + data.shift, f]
            else:
                classes[o] = data.classes[sequence, s + t]


@numba.njit(**INTERNAL)
def squared_error(Y, T, w, rows):
    """sum_row w |y - t|^2; Y becomes its gradient."""
    total = 0.0
    for r in range(rows):
        error = f4(0)
        for f in range(Y.shape[1]):
            e = Y[r, f] - T[r, f] if w[r] > 0 else f4(0)  # beyond a segment's end anything may stand
            error += e * e
            Y[r, f] = f4(2) * w[r] * e
        total += w[r] * error
    return total


@numba.njit(**INTERNAL)
def cross_entropy(Y, classes, w, rows):
    """-sum_row w log softmax(y)[class]; Y becomes its gradient."""
    total, features = 0.0, Y.shape[1]
    for r in range(rows):
        highest, mass = Y[r, 0], f4(0)
        for f in range(features):
            highest = max(highest, Y[r, f])
        for f in range(features):
            mass += f4(math.exp(Y[r, f] - highest))
        if w[r] > 0:
            total += w[r] * (math.log(mass) + highest - Y[r, classes[r]])
        for f in range(features):
            Y[r, f] = w[r] * f4(math.exp(Y[r, f] - highest)) / mass if w[r] > 0 else f4(0)
        Y[r, classes[r]] -= w[r]
    return total
