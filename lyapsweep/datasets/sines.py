"""Target learning: a cue, and then a sum of four sines is to be produced (Sussillo and Abbott 2009)."""

import numpy as np

from lyapsweep.datasets.task import BadTask, Task

SINES = 4
CYCLES = (1.0, 6.0)  # within a sequence: of the slowest and of the fastest sine


def sines(
    *,
    length: int = 200,
    signals: int = 1,
    noise: float = 0.01,
    dt: float = 0.1,
    train: int = 100,
    test: int = 20,
    seed: int = 0,
) -> Task:
    """Produce the sum of four sines that a cue names: the signal must come out of the network's own dynamics.

    The signals (as many as `signals`) are s(t) = sum_{i=1}^{4} a_i sin(2 pi f_i t + p_i) with random a_i in (0.5, 1.5),
    1 to 6 cycles a sequence and random phases, brought to mean 0 and variance 1. Inputs, one a signal: 1 at the first
    step on the channel of the signal that is wanted, and Gaussian noise of standard deviation `noise` at every step;
    sequences differ in cue and noise. Target, at every step: s(t). Always answering 0 loses 1, the variance. Steps take
    `dt`. Raises `BadTask` unless sizes >= 1, length >= 24, noise >= 0 hold.
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
