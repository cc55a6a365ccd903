"""h' = modReLU(W h + U x), W = (I + A)^-1 (I - A) diag(e^{i theta}): the scaled Cayley unitary RNN, a complex network.

modReLU(a) = relu(m + b) / (m + e) a with m = sqrt(|a|^2 + e) for each unit (Maduranga, Helfrich and Ye 2019); e
(`epsilon`) keeps the gradient finite at a = 0. A is skew-Hermitian, theta learned.
State: [Re h, Im h], 2 x units, all of it visible. modReLU is not holomorphic: the Jacobian acts on the real state, a
unit's block is S = f I + (df/dm / m) [Re a, Im a]^T [Re a, Im a] with f = relu(m + b) / (m + e). With e = 0 its
determinant is 1 + b / |a|: with b = 0 every exponent is 0.
"""

import math

import torch
from torch import Generator, Tensor, nn

from lyapsweep.cells.cayley import cayley, phases, rotations, skew_hermitian
from lyapsweep.cells.cell import Draw, carry
from lyapsweep.cells.parametrised import AbstractParametrisedCell
from lyapsweep.inits import bounded
from lyapsweep.maps import Inputs, Jacobians, States, Tangents
from lyapsweep.setting_types import Count


class Scurnn(AbstractParametrisedCell):
    """The scaled Cayley unitary RNN on its real state [Re h, Im h], under complex modReLU (Maduranga et al. 2019).

    h' = modReLU(W h + U x), W = (I + A)^-1 (I - A) diag(exp(i theta)) with A skew-Hermitian. The state has 2 x units
    entries, all visible. The init is not used.

    Args:
        inputs: Number of input features; 0 for an autonomous network.
        population: Number of networks of this shape, evaluated side by side.
        units: Number of hidden units, 30 by default.
        angle: Largest initial angle of rotation, pi / 2 by default.
        bias: Initial biases are U(-bias, bias); 0.01 by default.
        epsilon: Keeps the gradient finite at 0; 1e-5 by default.
        skew_rate: Learning rate of A relative to the trial's, 0.1 by default.
        phase_rate: Learning rate of theta relative to the trial's, 1.0 by default.

    Example:
        >>> Scurnn(inputs=0, population=2, units=4).state
        8
    """

    A: nn.Parameter
    theta: nn.Parameter
    U: nn.Parameter
    b: nn.Parameter
    depends = ("A", "theta")

    def __init__(
        self,
        inputs: int,
        population: int,
        *,
        units: Count = 30,
        angle: float = math.pi / 2,
        bias: float = 0.01,
        epsilon: float = 1e-5,
        skew_rate: float = 0.1,
        phase_rate: float = 1.0,
    ):
        super().__init__(inputs, 2 * units, population, state=2 * units)
        self.complex_units, self.angle, self.bias, self.epsilon = units, angle, bias, epsilon
        self.rates = {"A": skew_rate, "theta": phase_rate}

    def draw(self, init: Draw, generator: Generator) -> dict[str, Tensor]:
        """Angles of rotation ~ U(0, `angle`) for A, theta ~ U(0, 2 pi), b ~ U(-`bias`, `bias`). `init` plays no part.

        A holds n^2 numbers: below the diagonal the real part, on and above it the imaginary part, which starts at zero.
        """
        n, m = self.complex_units, self.inputs
        return {
            "A": rotations(n, self.angle, generator),
            "theta": phases(n, generator),
            "U": bounded(2 * n, m, units=n, generator=generator),
            "b": self.bias * (2 * torch.rand(n, generator=generator, dtype=torch.float64) - 1),
        }

    def parametrise(self) -> Tensor:
        """W on the real state: [[Re W, -Im W], [Im W, Re W]]."""
        W = cayley(skew_hermitian(self.A)) * torch.polar(torch.ones_like(self.theta), self.theta).unsqueeze(1)
        return torch.cat((torch.cat((W.real, -W.imag), dim=2), torch.cat((W.imag, W.real), dim=2)), dim=1)

    def activation(self, z: States, x: Inputs | None, W: Tensor) -> tuple[States, Tensor, Tensor]:
        """a = W h + U x as a real row;  m;  1 where a unit is alive."""
        a = torch.bmm(z, W.mT)
        a = a if x is None else a + x @ self.U.mT
        squared = a.square().unflatten(-1, (2, -1)).sum(-2) + self.epsilon
        m = squared.clamp(min=torch.finfo(a.dtype).tiny).sqrt()
        return a, m, (m + self.b.unsqueeze(1) > 0).to(a.dtype)

    def move(self, z: States, x: Inputs | None, M: Tensor) -> States:
        a, m, alive = self.activation(z, x, M)
        return a * self.factor(m, alive).repeat(1, 1, 2)

    def factor(self, m: Tensor, alive: Tensor) -> Tensor:
        return alive * (m + self.b.unsqueeze(1)) / (m + self.epsilon)

    def slopes(self, a: States, m: Tensor, alive: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """f, m df/dm, Re a / m and Im a / m of every unit: S = f I + (m df/dm) u u^T with u = [Re a, Im a] / m."""
        radial = alive * (self.epsilon - self.b.unsqueeze(1)) * m / (m + self.epsilon).square()
        u, v = (a / m.repeat(1, 1, 2)).split(self.complex_units, dim=-1)
        return self.factor(m, alive), radial, u, v

    def apply_slopes(self, slopes: tuple[Tensor, ...], V: Tensor) -> Tangents:
        """V S^T for tangents V of the activation, one batch row each or one set for all."""
        f, radial, u, v = (slope.unsqueeze(2) for slope in slopes)
        by_re, by_im = V.split(self.complex_units, dim=-1)
        along = radial * (u * by_re + v * by_im)
        return torch.cat((f * by_re + along * u, f * by_im + along * v), dim=-1)

    def push(self, z: States, x: Inputs | None, V: Tangents) -> tuple[States, Tangents]:
        W = self.recurrent()
        a, m, alive = self.activation(z, x, W)
        after = a * self.factor(m, alive).repeat(1, 1, 2)
        return after, self.apply_slopes(self.slopes(a, m, alive), carry(V, W))

    def jacobian(self, z: States, x: Inputs | None = None) -> Jacobians:
        W = self.recurrent()
        slopes = self.slopes(*self.activation(z, x, W))
        return self.apply_slopes(slopes, W.mT.contiguous().unsqueeze(1)).mT

    def log_det(self, z: States, x: Inputs | None = None) -> Tensor:
        """sum_j log f_j (f_j + m df/dm |u_j|^2), -inf where a unit is dead."""
        f, radial, u, v = self.slopes(*self.activation(z, x, self.recurrent()))
        return (f * (f + radial * (u * u + v * v))).log().sum(-1)
