"""The copying problem: repeat symbols after a long delay (Hochreiter and Schmidhuber 1997)."""

import math

import numpy as np

from lyapsweep.datasets.task import BadTask, Task
from lyapsweep.setting_types import Count, Seed


def copying(
    *,
    delay: Count = 100,
    items: Count = 10,
    alphabet: Count = 8,
    train: Count = 10_000,
    test: Count = 1000,
    seed: Seed = 0,
) -> Task:
    """The copying problem: repeat `items` symbols in order after `delay` steps, items log2(alphabet) bits of memory.

    With T the delay, K the items and A the alphabet, a sequence has T + 2 K steps. Inputs, each one of A + 2 symbols: K
    of 1 ... A, uniform; T - 1 zeros; the marker A + 1; K zeros. Targets, at every step: T + K zeros, then the K
    symbols. An answer that knows the time but not the symbols loses K ln A / (T + 2 K) nats per step.

    Args:
        delay: Steps between the symbols and their repetition, 100 by default.
        items: Number of symbols, 10 by default.
        alphabet: Number of different symbols, 8 by default.
        train: Number of training sequences, 10000 by default.
        test: Number of held-out sequences, 1000 by default.
        seed: Seed of the sequences, 0 by default.

    Returns:
        A task with head "step" and loss "cross_entropy".

    Raises:
        BadTask: If a size is below 1, or the alphabet below 2.

    Source: Hochreiter and Schmidhuber 1997; conventions of Arjovsky, Shah, Bengio 2016.

    Example:
        >>> copying(delay=5, items=2, train=4, test=2).train_inputs.shape
        (4, 9)
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
