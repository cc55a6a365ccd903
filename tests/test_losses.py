"""Losses and accuracies against their formulas, by hand."""

import math
from types import SimpleNamespace

import pytest
import torch

from lyapsweep.training.losses import answer_losses, mean_over_time, window_accuracies, window_losses

NUMBERS, CLASSES = (SimpleNamespace(classes=c, head="step") for c in (False, True))


def test_numbers_lose_the_mean_square_over_outputs():
    answers = torch.tensor([[[[1.0, 3.0], [0.0, 0.0]]]])  # time, population, windows, outputs
    targets = torch.tensor([[[[0.0, 1.0], [0.0, 4.0]]]])
    assert answer_losses(NUMBERS, answers, targets).tolist() == [[[2.5, 8.0]]]
    assert window_losses(NUMBERS, answers, targets, None).tolist() == [[2.5, 8.0]]


def test_classes_lose_minus_the_log_of_their_softmax():
    answers = torch.tensor([[[[0.0, math.log(3.0)]]], [[[math.log(7.0), 0.0]]]])  # 1/4, 3/4; 7/8, 1/8
    targets = torch.tensor([[[0]], [[0]]])
    found = answer_losses(CLASSES, answers, targets)
    torch.testing.assert_close(found.flatten(), torch.tensor([math.log(4), math.log(8 / 7)]))
    assert found.shape == (2, 1, 1)
    assert window_accuracies(CLASSES, answers, targets, None).tolist() == [[0.5]]
    assert window_accuracies(CLASSES, answers, targets, torch.tensor([True, False])[:, None, None]).tolist() == [[0.0]]


def test_a_mask_says_which_steps_count():
    values = torch.tensor([[1.0, 1.0], [2.0, 2.0], [6.0, 6.0]])
    mask = torch.tensor([[True, False], [False, False], [True, False]])
    assert mean_over_time(values, mask).tolist() == [3.5, 0.0]  # of none: 0
    assert mean_over_time(values, None).tolist() == [3.0, 3.0]
    numbers = values[:, None, :, None]
    masked = window_losses(NUMBERS, numbers, torch.zeros_like(numbers), mask[:, None])
    assert masked.tolist() == [[18.5, 0.0]]


@pytest.mark.parametrize("task", [SimpleNamespace(classes=True, head="last")])
def test_under_head_last_there_is_one_answer_per_window(task):
    answers, targets = torch.tensor([[[5.0, 0.0], [5.0, 0.0]]]), torch.tensor([[0, 1]])
    expected = torch.tensor([[math.log(1 + math.exp(-5)), 5 + math.log(1 + math.exp(-5))]])
    torch.testing.assert_close(window_losses(task, answers, targets, None), expected)
    assert window_accuracies(task, answers, targets, None).tolist() == [[1.0, 0.0]]
