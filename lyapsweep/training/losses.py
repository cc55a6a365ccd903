"""Losses and accuracies of answers to a task."""

from jaxtyping import Float
from torch import Tensor
from torch.nn.functional import cross_entropy, mse_loss

from lyapsweep.datasets.task import Task


def window_losses(
    task: Task, answers: Tensor, targets: Tensor, mask: Tensor | None
) -> Float[Tensor, "population windows"]:
    """The loss of every window; under head `step` the mean over the steps that the mask counts.

    L = -log softmax(answer)[class] for classes, else the mean over outputs of (answer - target)^2.
    """
    losses = answer_losses(task, answers, targets)
    return losses if task.head == "last" else mean_over_time(losses, mask)


def answer_losses(task: Task, answers: Tensor, targets: Tensor) -> Float[Tensor, "*time population windows"]:
    """The loss of every answer."""
    if not task.classes:
        return mse_loss(answers, targets, reduction="none").mean(dim=-1)
    flat = cross_entropy(answers.flatten(0, -2), targets.flatten(), reduction="none")
    return flat.view(targets.shape)


def window_accuracies(
    task: Task, answers: Tensor, targets: Tensor, mask: Tensor | None
) -> Float[Tensor, "population windows"]:
    """The share of every window's answers whose largest logit is that of the right class."""
    right = (answers.argmax(dim=-1) == targets).to(answers.dtype)
    return right if task.head == "last" else mean_over_time(right, mask)


def mean_over_time(values: Tensor, mask: Tensor | None) -> Tensor:
    """The mean over the leading axis of the steps that the mask counts; 0 if it counts none."""
    return values.mean(dim=0) if mask is None else (values * mask).sum(dim=0) / mask.sum(dim=0).clamp(min=1)
