"""The linear map, whose exponents are all known exactly."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor

from lyapsweep.maps import Inputs, States, Tangents
from lyapsweep.systems.system import AbstractSystem, KnownExponents


class Linear(AbstractSystem):
    """The linear map z_{t+1} = A z_t, exponents log |eigenvalues of A|, their sum log |det A| per step.

    Orbits start at the origin, the one bounded orbit that every A has; the tangents do not depend on the state. A
    singular A has exponents of -inf.

    Args:
        matrix: A, as nested lists or a tensor, shape (state, state).

    Raises:
        ValueError: If the matrix is not square or not finite.

    Example:
        >>> Linear([[0.5, 1.0], [0.0, 0.25]]).known.exponents
        (-0.6931471805599453, -1.3862943611198906)
    """

    def __init__(self, matrix: Sequence[Any] | Tensor):
        self.matrix = torch.as_tensor(matrix, dtype=torch.float64)
        if self.matrix.dim() != 2 or self.matrix.shape[0] != self.matrix.shape[1] or not len(self.matrix):
            raise ValueError(f"linear: matrix must be square, (state, state), but is {tuple(self.matrix.shape)}.")
        if not self.matrix.isfinite().all():
            raise ValueError("linear: matrix must be finite.")
        self.state = len(self.matrix)
        self.names = tuple(f"z{i + 1}" for i in range(self.state))
        with np.errstate(divide="ignore"):
            exponents = np.sort(np.log(np.abs(np.linalg.eigvals(self.matrix.numpy()))))[::-1]
        self.known = KnownExponents(tuple(exponents.tolist()), {}, "exact: logarithms of the eigenvalues' moduli")
        self.total = float(exponents.sum())

    def start(self, batch: int, generator: torch.Generator) -> States:
        return torch.zeros(1, batch, self.state, dtype=torch.float64)

    def step(self, z: States, x: Inputs | None = None) -> States:
        return z @ self.matrix.mT

    def push(self, z: States, x: Inputs | None, V: Tangents) -> tuple[States, Tangents]:
        return self.step(z), V @ self.matrix.mT
