"""Sequences of a task as tensors, cut into windows."""

import torch
from jaxtyping import Int
from torch import Tensor

from lyapsweep.datasets.task import Part, Task


class Examples:
    """One part of a task as tensors, cut into windows of `length` steps.

    A window is identified by one number, which counts the first steps of the first sequence, then of the second, ...

    Args:
        task: The data.
        part: "train" or "test".
        length: Steps of a window; None for whole sequences.
        device: Where the tensors are needed.
        dtype: Floating-point type of inputs and numeric targets.
        held: Steps over which a target is a further input; None for none. At step t of a window it is the target before
            step t - t % held of the window.
    """

    def __init__(
        self,
        task: Task,
        part: Part,
        length: int | None,
        device: torch.device | str,
        dtype: torch.dtype,
        held: int | None = None,
    ):
        inputs, targets = task.part(part)
        self.task, self.length = task, length or inputs.shape[1]
        self.codes = None if task.symbols is None else torch.eye(task.symbols, dtype=dtype, device=device)
        self.inputs = torch.as_tensor(inputs, device=device, dtype=dtype if self.codes is None else None)
        self.targets = torch.as_tensor(targets, device=device, dtype=torch.long if task.classes else dtype)
        self.mask = None if task.mask is None else torch.as_tensor(task.mask, device=device)
        self.places = inputs.shape[1] - self.length + 1
        self.held = held
        self.first_window = int(held is not None and part == "train")  # no target lies before the first training step
        if held is not None:
            last = task.train_targets[:, -1:] if task.before is None or part == "train" else task.before
            known = torch.as_tensor(last, device=device, dtype=dtype)
            self.before = torch.cat((known, self.targets[:, :-1]), dim=1)

    def __len__(self) -> int:
        """The number of windows."""
        return len(self.inputs) * self.places

    @property
    def whole(self) -> Int[Tensor, " windows"]:
        """The windows that lie side by side; the rest at the end of each sequence is left out."""
        first = torch.arange(0, self.places, self.length)
        return (torch.arange(len(self.inputs))[:, None] * self.places + first).flatten()

    def cut(self, windows: Int[Tensor, "*index"]) -> tuple[Tensor, Tensor, Tensor | None]:
        """Return inputs (time, *index, inputs), targets and mask (time, *index); for head `last` targets (*index)."""
        sequence, first = windows // self.places, windows % self.places
        steps = first + torch.arange(self.length, device=windows.device).reshape(-1, *[1] * windows.dim())
        x = self.inputs[sequence, steps]
        x = x if self.codes is None else self.codes[x.long()]
        if self.held is not None:
            since = (steps - first) % self.held
            x = torch.cat((x, self.before[sequence, steps - since]), dim=-1)
        if self.task.head == "last":
            return x, self.targets[sequence], None
        return x, self.targets[sequence, steps], None if self.mask is None else self.mask[steps]
