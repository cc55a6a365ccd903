"""The copying problem: symbols are to be said again after a long pause (Hochreiter and Schmidhuber 1997)."""

import math

import numpy as np

from lyapsweep.datasets.task import BadTask, Task


def copying(
    *, delay: int = 100, items: int = 10, alphabet: int = 8, train: int = 10_000, test: int = 1000, seed: int = 0
) -> Task:
    """Say `items` symbols again in order, after a pause of `delay` steps: memory for items log2(alphabet) bits.

    With T the delay, K the items and A the alphabet, a sequence has T + 2 K steps. Inputs, one of A + 2 symbols each:
    K of 1 ... A, uniform; T - 1 zeros; the marker A + 1; K zeros. Targets, at every step: T + K zeros, then the K
    symbols. Who forgets them and knows the time loses K ln A / (T + 2 K) nats a step. `train` and `test` are numbers of
    sequences. Conventions: Arjovsky, Shah, Bengio 2016. Raises `BadTask` for sizes below 1, or an alphabet below 2.
    """
    if min(delay, items, train, test) < 1 or alphabet < 2:
        raise BadTask(
            f"copying: delay, items, train, test >= 1 and alphabet >= 2 must hold, but got delay={delay}, "
            f"items={items}, train={train}, test={test}, alphabet={alphabet}."
        )
    said = np.random.default_rng(seed).integers(1, alphabet + 1, (train + test, items))
    length = delay + 2 * items
    inputs, targets = (np.zeros((train + test, length), np.int16) for _ in range(2))
    inputs[:, :items], inputs[:, items + delay - 1] = said, alphabet + 1
    targets[:, -items:] = said
    return Task(
        inputs[:train],
        targets[:train],
        inputs[train:],
        targets[train:],
        head="step",
        loss="cross_entropy",
        outputs=alphabet + 1,
        baseline=items * math.log(alphabet) / length,
        baseline_is=f"{items} ln {alphabet} / {length}",
        symbols=alphabet + 2,
        source=f"copying, a pause of {delay} steps",
        names=("blank", *(f"symbol {i + 1}" for i in range(alphabet)), "marker"),
    )
