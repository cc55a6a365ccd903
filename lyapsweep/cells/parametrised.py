"""Cells whose recurrent matrix is a function of their weights that costs more than a step."""

from abc import abstractmethod

import torch
from torch import Tensor

from lyapsweep.cells.cell import AbstractCell
from lyapsweep.maps import Inputs, Orbit, States


class AbstractParametrisedCell(AbstractCell):
    """The interface of a cell z' = f(z, x; M) with M = `parametrise()` of the weights named in `depends`.

    An orbit computes M once, with or without gradients, so prefer it to single steps. Without gradients M is cached
    until one of those weights changes, so single steps and pushes are cheap as well; on a GPU only in evaluation mode
    (`Module.eval`). Subclasses implement `draw`, `parametrise` and `move`.

    Args:
        inputs: Number of input features; 0 for an autonomous network.
        units: Number of visible units.
        population: Number of networks of this shape, evaluated side by side.
        state: Dimension of the state.

    Example:
        >>> from lyapsweep.cells import Scornn
        >>> issubclass(Scornn, AbstractParametrisedCell), Scornn.depends
        (True, ('A',))
    """

    depends: tuple[str, ...]

    def __init__(self, inputs: int, units: int, population: int, state: int):
        super().__init__(inputs, units, population, state)
        self.cached: tuple[list[Tensor], Tensor] | None = None

    @abstractmethod
    def parametrise(self) -> Tensor:
        """Return M, population first."""

    @abstractmethod
    def move(self, z: States, x: Inputs | None, M: Tensor) -> States:
        """Return f(z, x; M)."""

    def recurrent(self) -> Tensor:
        """Return M for the present weights."""
        weights = [getattr(self, name) for name in self.depends]
        if torch.is_grad_enabled() and any(w.requires_grad for w in weights):
            return self.parametrise()
        if self.training and weights[0].is_cuda:  # the comparison would wait for the device
            return self.parametrise()
        if self.cached is None or not all(map(equal_bits, weights, self.cached[0])):
            M = self.parametrise()
            if torch._C._are_functorch_transforms_active():  # such a tensor must not outlive its transform
                return M
            self.cached = [w.detach().clone() for w in weights], M
        return self.cached[1]

    def step(self, z: States, x: Inputs | None = None) -> States:
        return self.move(z, x, self.recurrent())

    def orbit(self, z: States, inputs: Tensor | None, steps: int) -> Orbit:
        M, states = self.recurrent(), []
        for t in range(steps):
            z = self.move(z, None if inputs is None else inputs[t], M)
            states.append(z)
        return torch.stack(states)


def equal_bits(a: Tensor, b: Tensor) -> bool:
    """Bitwise equality; version counters miss a replaced `data`, as in training and loading."""
    return a.dtype == b.dtype and a.device == b.device and torch.equal(a, b)
