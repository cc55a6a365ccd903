"""Sentiment as counting: words have weights +1, -1 or 0, and the target is the sign of their sum."""

import math

import numpy as np

from lyapsweep.datasets.task import BadTask, Task
from lyapsweep.setting_types import Count, Seed

WORDS, LEANING = 20, 5  # of them, how many weigh +1 and how many -1


def sentiment(*, length: Count = 50, train: Count = 5000, test: Count = 1000, seed: Seed = 0) -> Task:
    """Classify a review of words with weights +1, -1 or 0 by the sign of their sum.

    Words 0 ... 4 have weight +1, words 5 ... 9 weight -1 and words 10 ... 19 weight 0; a review is `length` uniform
    words, drawn again if its weights sum to 0. Inputs are one word per step, one-hot; the target, after the last step,
    is class 1 for a positive sum, else 0, by cross-entropy. One integrating variable solves it, a line attractor (after
    Maheswaranathan et al. 2019, who trained on real reviews). Even odds lose ln 2.

    Args:
        length: Words of a review, 50 by default.
        train: Number of training reviews, 5000 by default.
        test: Number of held-out reviews, 1000 by default.
        seed: Seed of the reviews, 0 by default.

    Returns:
        A task with head "last" and loss "cross_entropy".

    Raises:
        BadTask: If a size is below 1.

    Example:
        >>> sentiment(length=5, train=4, test=2).symbols
        20
    """
    if min(length, train, test) < 1:
        raise BadTask(f"sentiment: length, train, test >= 1 must hold, but got {length}, {train}, {test}.")
    random = np.random.default_rng(seed)
    reviews = random.integers(0, WORDS, (train + test, length))
    while (tied := total_weight(reviews) == 0).any():
        reviews[tied] = random.integers(0, WORDS, (int(tied.sum()), length))
    answers = (total_weight(reviews) > 0).astype(np.int64)
    return Task(
        reviews[:train],
        answers[:train],
        reviews[train:],
        answers[train:],
        head="last",
        loss="cross_entropy",
        outputs=2,
        baseline=math.log(2),
        baseline_is="ln 2: even odds",
        symbols=WORDS,
        source=f"sentiment, {length} words",
        names=tuple(f"{w} ({'+' if w < LEANING else '-' if w < 2 * LEANING else '0'})" for w in range(WORDS)),
    )


def total_weight(reviews: np.ndarray) -> np.ndarray:
    """The sum of the weights of each review's words."""
    return (reviews < LEANING).sum(axis=1) - ((reviews >= LEANING) & (reviews < 2 * LEANING)).sum(axis=1)
