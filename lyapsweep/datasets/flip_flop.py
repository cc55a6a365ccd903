"""The flip-flop task: remember the last pulse of each of several bits (Sussillo and Barak 2013)."""

import numpy as np

from lyapsweep.datasets.task import BadTask, Task
from lyapsweep.setting_types import Count, Probability, Seed


def flip_flop(
    *,
    bits: Count = 3,
    length: Count = 64,
    probability: Probability = 0.5,
    train: Count = 2000,
    test: Count = 500,
    seed: Seed = 0,
) -> Task:
    """The flip-flop: output the sign of the last pulse on each bit, a discrete memory of 2^bits states.

    Inputs, one per bit: -1 or 1 with `probability` at each step, and certainly at the first step, else 0. Targets, at
    every step: the last pulse of each bit, including this step's. The best answer without memory loses (1 -
    probability) (length - 1) / length.

    Args:
        bits: Number of bits, 3 by default.
        length: Steps of a sequence, 64 by default.
        probability: Probability of a pulse, 0.5 by default.
        train: Number of training sequences, 2000 by default.
        test: Number of held-out sequences, 500 by default.
        seed: Seed of the sequences, 0 by default.

    Returns:
        A task with head "step" and loss "mse".

    Raises:
        BadTask: If sizes >= 1, length >= 2 and 0 < probability < 1 do not hold.

    Source: Sussillo and Barak 2013.

    Example:
        >>> flip_flop(length=5, train=4, test=2).train_targets.shape
        (4, 5, 3)
    """
    if min(bits, train, test) < 1 or length < 2 or not 0 < probability < 1:
        raise BadTask(
            f"flip_flop: bits, train, test >= 1, length >= 2 and 0 < probability < 1 must hold, but got bits={bits}, "
            f"train={train}, test={test}, length={length}, probability={probability}."
        )
    random = np.random.default_rng(seed)
    size = (train + test, length, bits)
    pulses = np.where(random.random(size) < probability, random.choice([-1.0, 1.0], size), 0.0)
    pulses[:, 0] = random.choice([-1.0, 1.0], (train + test, bits))
    last = np.maximum.accumulate(np.where(pulses != 0, np.arange(length)[:, None], 0), axis=1)
    targets = np.take_along_axis(pulses, last, axis=1)
    return Task(
        pulses[:train],
        targets[:train],
        pulses[train:],
        targets[train:],
        head="step",
        loss="mse",
        outputs=bits,
        baseline=(1 - probability) * (length - 1) / length,
        baseline_is=f"{1 - probability:g} * {length - 1} / {length}, the share of steps without a pulse",
        source=f"flip_flop, {bits} bits",
        names=tuple(f"bit {i + 1}" for i in range(bits)),
    )
