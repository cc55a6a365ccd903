"""Sentiment as counting: words weigh +1, -1 or nothing, and the sign of their sum is asked for."""

import math

import numpy as np

from lyapsweep.datasets.task import BadTask, Task

WORDS, LEANING = 20, 5  # of them, how many weigh +1 and how many -1


def sentiment(*, length: int = 50, train: int = 5000, test: int = 1000, seed: int = 0) -> Task:
    """Whether a review is positive: twenty words of weight +1, -1 or 0, and the sign of the sum at the end.

    Words 0 ... 4 weigh +1, words 5 ... 9 -1 and words 10 ... 19 nothing; a review is `length` words drawn with equal
    chances, drawn anew where its weights sum to 0. Inputs: a word a step, as a vector of zeros with one 1; answer after
    the last one: class 1 where the sum is positive, else 0, by cross-entropy. Solved by one number that is moved up,
    down or not at all by each word: a line attractor (after Maheswaranathan et al. 2019, who trained on real reviews).
    Always answering with even odds loses ln 2. Raises `BadTask` unless length, train, test >= 1 hold.
    """
    if min(length, train, test) < 1:
        raise BadTask(f"sentiment: length, train, test >= 1 must hold, but got {length}, {train}, {test}.")
    random = np.random.default_rng(seed)
    reviews = random.integers(0, WORDS, (train + test, length))
    while (tied := verdict(reviews) == 0).any():
        reviews[tied] = random.integers(0, WORDS, (int(tied.sum()), length))
    answers = (verdict(reviews) > 0).astype(np.int64)
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


def verdict(reviews: np.ndarray) -> np.ndarray:
    """The sum of the weights of each review's words."""
    return (reviews < LEANING).sum(axis=1) - ((reviews >= LEANING) & (reviews < 2 * LEANING)).sum(axis=1)
