"""Windows of a task by their numbers: which rows of which sequence they hold."""

import numpy as np
import pytest
import torch

from lyapsweep.datasets.task import Task
from lyapsweep.training.examples import Examples


def task(sequences=2, length=7, head="step", **more):
    """Inputs 100 sequence + step; targets are their negatives."""
    x = (100.0 * np.arange(sequences)[:, None] + np.arange(length))[..., None]
    y = -x[:, -1] if head == "last" else -x
    made = {"head": head, "loss": "mse", "outputs": 1, "baseline": 1.0} | more
    return Task(x, y, x + 1000, y - 1000, **made)


def examples(of, part="train", length=3, held=None):
    return Examples(of, part, length, "cpu", torch.float64, held)


def test_numbers_count_first_steps_sequence_after_sequence():
    made = examples(task())
    assert (len(made), made.places, made.length, made.first_window) == (10, 5, 3, 0)
    x, targets, mask = made.cut(torch.tensor([0, 4, 5, 9]))
    assert x[:, :, 0].T.tolist() == [[0, 1, 2], [4, 5, 6], [100, 101, 102], [104, 105, 106]]
    assert torch.equal(targets, -x)
    assert mask is None
    assert x.dtype == targets.dtype == torch.float64
    held_out, *_ = examples(task(), "test").cut(torch.tensor([[1]]))
    assert held_out.flatten().tolist() == [1001, 1002, 1003]
    assert held_out.shape == (3, 1, 1, 1)


def test_windows_side_by_side_leave_the_rest_of_a_sequence_out():
    assert examples(task()).whole.tolist() == [0, 3, 5, 8]
    assert examples(task(length=6)).whole.tolist() == [0, 3, 4, 7]
    assert examples(task(), length=None).whole.tolist() == [0, 1]


def test_head_last_answers_once_per_window():
    x, targets, mask = examples(task(head="last"), length=None).cut(torch.tensor([1]))
    assert x.shape == (7, 1, 1)
    assert targets.tolist() == [[-106.0]]
    assert mask is None


def test_a_mask_is_cut_like_the_targets():
    mask = np.array([True, False, False, True, True, False, True])
    _, _, seen = examples(task(mask=mask)).cut(torch.tensor([2, 5]))
    assert seen.T.tolist() == [[False, True, True], [True, False, False]]


def test_symbols_are_unit_vectors_and_classes_whole_numbers():
    symbols = np.array([[0, 2, 1, 2]])
    made = Task(symbols, symbols, symbols, symbols, "step", "cross_entropy", 3, 1.0, symbols=3)
    x, targets, _ = examples(made, length=2).cut(torch.tensor([1]))
    assert x[:, 0].tolist() == [[0, 0, 1], [0, 1, 0]]
    assert targets.dtype == torch.long
    assert targets[:, 0].tolist() == [2, 1]


@pytest.mark.parametrize("held", [1, 2, 4])
def test_a_held_target_is_the_one_before_its_part_of_the_window(held):
    stream = task(1, 9)
    made = examples(stream, length=4, held=held)
    assert made.first_window == 1
    x, *_ = made.cut(torch.tensor([3]))
    assert x[:, 0, 0].tolist() == [3, 4, 5, 6]
    assert x[:, 0, 1].tolist() == [-(3 + t - t % held - 1.0) for t in range(4)]
    test = examples(stream, "test", length=4, held=held)
    assert test.first_window == 0
    x, *_ = test.cut(torch.tensor([0]))
    assert x[0, 0].tolist() == [1000, -8]  # the last training target
