"""Target learning: produce a sum of four sines after a cue (Sussillo and Abbott 2009)."""

import numpy as np

from lyapsweep.datasets.task import BadTask, Task
from lyapsweep.setting_types import Count, NonNegative, Positive, Seed

SINES = 4
CYCLES = (1.0, 6.0)  # within a sequence: of the slowest and of the fastest sine


def sines(
    *,
    length: Count = 200,
    signals: Count = 1,
    noise: NonNegative = 0.01,
    dt: Positive = 0.1,
    train: Count = 100,
    test: Count = 20,
    seed: Seed = 0,
) -> Task:
    """Produce the sum of four sines that a cue selects, from the network's own dynamics.

    Signals are s(t) = sum_{i=1}^{4} a_i sin(2 pi f_i t + p_i) with random a_i in (0.5, 1.5), 1 to 6 cycles per sequence
    and random phases, normalised to mean 0 and variance 1. Inputs, one per signal: 1 at the first step on the channel
    of the selected signal, and Gaussian noise at every step. The target, at every step, is s(t). Always answering 0
    loses 1.

    Args:
        length: Steps of a sequence, 200 by default.
        signals: Number of signals, 1 by default.
        noise: Standard deviation of the input noise, 0.01 by default.
        dt: Time of one step, 0.1 by default.
        train: Number of training sequences, 100 by default.
        test: Number of held-out sequences, 20 by default.
        seed: Seed of signals and noise, 0 by default.

    Returns:
        A task with head "step" and loss "mse".

    Raises:
        BadTask: If sizes >= 1, length >= 24 and noise >= 0 do not hold.

    Source: Sussillo and Abbott 2009.

    Example:
        >>> sines(length=24, train=4, test=2).train_targets.shape
        (4, 24, 1)
    """
    if min(signals, train, test) < 1 or length < 4 * CYCLES[1] or noise < 0:
        raise BadTask(
            f"sines: signals, train, test >= 1, length >= {4 * CYCLES[1]:g} and noise >= 0 must hold, but got "
            f"signals={signals}, train={train}, test={test}, length={length}, noise={noise}."
        )
    random = np.random.default_rng(seed)
    amplitude, cycles, phase = (
        random.uniform(low, high, (signals, SINES, 1)) for low, high in ((0.5, 1.5), CYCLES, (0, 2 * np.pi))
    )
    s = (amplitude * np.sin(2 * np.pi * cycles * np.arange(length) / length + phase)).sum(axis=1)
    s = (s - s.mean(axis=1, keepdims=True)) / s.std(axis=1, keepdims=True)
    wanted = np.arange(train + test) % signals
    inputs = noise * random.standard_normal((train + test, length, signals))
    inputs[np.arange(train + test), 0, wanted] += 1
    targets = s[wanted][..., None]
    return Task(
        inputs[:train],
        targets[:train],
        inputs[train:],
        targets[train:],
        head="step",
        loss="mse",
        outputs=1,
        baseline=1.0,
        baseline_is="1, the variance of the signal",
        dt=dt,
        source=f"sines, {signals} of {length} steps",
        names=tuple(f"cue {i + 1}" for i in range(signals)),
    )
