"""Cells whose recurrent matrix is a function of their weights, and costs more to work out than a step costs."""

from abc import abstractmethod

import torch
from torch import Tensor

from lyapsweep.cells.cell import AbstractCell
from lyapsweep.maps import Inputs, Orbit, States


class AbstractParametrisedCell(AbstractCell):
    """z' = f(z, x; M) with M = `parametrise()` of the weights named in `depends`.

    An orbit works M out once, gradients or not: prefer it to steps of your own. Where no gradient is asked for, M is
    kept until one of those weights has another value, so that single steps and pushes are cheap too.
    """

    depends: tuple[str, ...]

    def __init__(self, inputs: int, units: int, population: int, state: int):
        super().__init__(inputs, units, population, state)
        self.kept: tuple[list[Tensor], Tensor] | None = None

    @abstractmethod
    def parametrise(self) -> Tensor:
        """M, whose first axis is the population."""

    @abstractmethod
    def move(self, z: States, x: Inputs | None, M: Tensor) -> States:
        """f(z, x; M)."""

    def recurrent(self) -> Tensor:
        """M of the weights as they are."""
        weights = [getattr(self, name) for name in self.depends]
        if torch.is_grad_enabled() and any(w.requires_grad for w in weights):
            return self.parametrise()
        if self.kept is None or not all(map(same, weights, self.kept[0])):
            M = self.parametrise()
            if torch._C._are_functorch_transforms_active():  # such a tensor must not outlive its transform
                return M
            self.kept = [w.detach().clone() for w in weights], M
        return self.kept[1]

    def step(self, z: States, x: Inputs | None = None) -> States:
        return self.move(z, x, self.recurrent())

    def orbit(self, z: States, inputs: Tensor | None, steps: int) -> Orbit:
        M, states = self.recurrent(), []
        for t in range(steps):
            z = self.move(z, None if inputs is None else inputs[t], M)
            states.append(z)
        return torch.stack(states)


def same(a: Tensor, b: Tensor) -> bool:
    """Bit by bit. (Version counters do not see a weight's `data` replaced, as training and loading do.)"""
    return a.dtype == b.dtype and a.device == b.device and torch.equal(a, b)
