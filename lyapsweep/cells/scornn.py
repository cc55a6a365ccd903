"""h' = modReLU(W h + U x), W = (I + A)^-1 (I - A) D: the scaled Cayley orthogonal RNN (Helfrich, Willmott, Ye 2018).

A is skew, D diagonal with a share rho of -1 and else 1, modReLU(a) = relu(|a| + b) sign(a) for each unit.
State: h (units). Jacobian: diag(1[|a| + b >= 0]) W: every exponent is 0 as long as no unit is dead; one that is, as
only b < 0 can bring about, annihilates a direction.
"""

import math

import torch
from torch import Generator, Tensor, nn

from lyapsweep.cells.cayley import cayley, rotations, skew
from lyapsweep.cells.cell import Draw, carry
from lyapsweep.cells.parametrised import AbstractParametrisedCell
from lyapsweep.inits import bounded
from lyapsweep.maps import Inputs, Jacobians, States, Tangents
from lyapsweep.setting_types import Count


class Scornn(AbstractParametrisedCell):
    """The scaled Cayley orthogonal RNN h' = modReLU(W h + U x), W orthogonal (Helfrich et al. 2018).

    W = (I + A)^-1 (I - A) D with A skew and D diagonal, modReLU(a) = relu(|a| + b) sign(a). The init is not used.

    Args:
        inputs: Number of input features; 0 for an autonomous network.
        population: Number of networks of this shape, evaluated side by side.
        units: Number of hidden units, 30 by default.
        rho: Share of -1 on the diagonal of D, 0.5 by default.
        angle: Largest initial angle of rotation, pi / 2 by default.
        bias: Initial biases are U(-bias, bias); 0.0 by default.
        skew_rate: Learning rate of A relative to the trial's, 0.1 by default.

    Raises:
        ValueError: If `rho` is outside [0, 1].

    Example:
        >>> Scornn(inputs=0, population=2, units=4).state
        4
    """

    A: nn.Parameter
    U: nn.Parameter
    b: nn.Parameter
    D: Tensor
    depends = ("A",)

    def __init__(
        self,
        inputs: int,
        population: int,
        *,
        units: Count = 30,
        rho: float = 0.5,
        angle: float = math.pi / 2,
        bias: float = 0.0,
        skew_rate: float = 0.1,
    ):
        super().__init__(inputs, units, population, state=units)
        if not 0 <= rho <= 1:
            raise ValueError(f"cell/rho: 0 <= rho <= 1 (the share of -1 in D) must hold, but got {rho}.")
        self.angle, self.bias = angle, bias
        self.rates = {"A": skew_rate}
        self.register_buffer("D", 1 - 2 * (torch.arange(units) < round(rho * units)).double(), persistent=False)

    def draw(self, init: Draw, generator: Generator) -> dict[str, Tensor]:
        """Angles of rotation ~ U(0, `angle`) for A, b ~ U(-`bias`, `bias`). `init` plays no part: W is orthogonal."""
        n, m = self.units, self.inputs
        i, j = torch.tril_indices(n, n, offset=-1)
        return {
            "A": rotations(n, self.angle, generator)[i, j],
            "U": bounded(n, m, units=n, generator=generator),
            "b": self.bias * (2 * torch.rand(n, generator=generator, dtype=torch.float64) - 1),
        }

    def parametrise(self) -> Tensor:
        """K D: the columns of K, some with their sign changed."""
        return cayley(skew(self.A, self.units)) * self.D.to(self.A.dtype)

    def activation(self, z: States, x: Inputs | None, W: Tensor) -> tuple[States, Tensor]:
        """W h + U x, and 1 where a unit is alive."""
        a = torch.bmm(z, W.mT)
        a = a if x is None else a + x @ self.U.mT
        return a, (a.abs() + self.b.unsqueeze(1) >= 0).to(a.dtype)

    def move(self, z: States, x: Inputs | None, M: Tensor) -> States:
        a, alive = self.activation(z, x, M)
        return alive * (a + self.b.unsqueeze(1) * a.sign())

    def push(self, z: States, x: Inputs | None, V: Tangents) -> tuple[States, Tangents]:
        W = self.recurrent()
        a, alive = self.activation(z, x, W)
        return alive * (a + self.b.unsqueeze(1) * a.sign()), carry(V, W) * alive.unsqueeze(2)

    def jacobian(self, z: States, x: Inputs | None = None) -> Jacobians:
        W = self.recurrent()
        alive = self.activation(z, x, W)[1]
        return (W.mT.contiguous().unsqueeze(1) * alive.unsqueeze(2)).mT

    def log_det(self, z: States, x: Inputs | None = None) -> Tensor:
        """0 where every unit is alive, else -inf."""
        return self.activation(z, x, self.recurrent())[1].log().sum(-1)
