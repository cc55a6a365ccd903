"""The flip-flop: remember the last pulse of each of several bits (Sussillo and Barak 2013)."""

import numpy as np

from lyapsweep.datasets.task import BadTask, Task


def flip_flop(
    *, bits: int = 3, length: int = 64, probability: float = 0.5, train: int = 2000, test: int = 500, seed: int = 0
) -> Task:
    """Say the sign of the last pulse on each bit: discrete memory, 2^bits states to be held.

    Inputs, one a bit: -1 or 1 with `probability` at each step, and at the first step for certain, else 0. Targets, at
    every step: the last pulse of each bit, this step's included. Who has no memory says the pulse where there is one
    and else 0, and loses (1 - probability) (length - 1) / length. `train` and `test` are numbers of sequences. Raises
    `BadTask` unless sizes >= 1, length >= 2 and 0 < probability < 1 hold.
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
