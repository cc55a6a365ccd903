"""h' = h - eta grad F(h), F(h) = |alpha h - phi(U h + V x + b)|^2 / 2: the SBO-RNN, a step of descent per input.

(Stochastic bilevel optimisation, Zhang et al. 2021.) With a = U h + V x + b, r = alpha h - phi(a) and
M = alpha I - diag(phi'(a)) U the gradient is M^T r and the Hessian H = M^T M - U^T diag(phi''(a) r) U. Methods:

    gradient_descent   h' = h - eta g
    heavy_ball         v' = mu v - eta g,      h' = h + v'
    nesterov           v' = mu (v - eta g),    h' = h - eta g + v'

State: h (units), or [h, v], 2 x units; the iterate y of Nesterov's scheme is h - v. With E = I - eta H and n units the
Jacobians are E, [[E, mu I], [E - I, mu I]] and [[(1 + mu) E - mu I, mu I], [mu (E - I), mu I]], their determinants
det E, mu^n and mu^n det E. A map takes `inner_steps` such steps under one input.
"""

from functools import partial

import torch
from torch import Generator, Tensor, nn
from torch.nn.functional import pad

from lyapsweep.cells.cell import Draw
from lyapsweep.cells.chunking import in_chunks
from lyapsweep.cells.parametrised import AbstractParametrisedCell
from lyapsweep.inits import bounded
from lyapsweep.maps import Inputs, Jacobians, States, Tangents, log_abs_det
from lyapsweep.registry import unknown
from lyapsweep.setting_types import Count

METHODS = ("gradient_descent", "heavy_ball", "nesterov")
COUPLINGS = {"dense": ("P", "Q"), "sparse": ("w",)}
ACTIVATIONS = ("relu", "tanh")


class Sbo(AbstractParametrisedCell):
    """The SBO-RNN: each step is a step of descent on a cost of its own (Zhang et al. 2021).

    h' = h - eta grad F(h), F(h) = |alpha h - phi(U h + V x + b)|^2 / 2, with or without momentum.

    Args:
        inputs: Number of input features; 0 for an autonomous network.
        population: Number of networks of this shape, evaluated side by side.
        units: Number of hidden units, 30 by default.
        method: "gradient_descent" (the default), "heavy_ball" or "nesterov"; with momentum the state is [h, v].
        coupling: "dense" (the default), U^T = I + P Q, or "sparse", U = w I.
        rank: Rank of P Q, 10 by default.
        activation: phi, "relu" (the default) or "tanh".
        eta: Step size of the descent, 1e-3 by default.
        alpha: Scale of h in the cost, 1.0 by default.
        mu: Initial momentum, 0.5 by default.
        inner_steps: Steps of descent per input, 1 by default.

    Raises:
        UnknownName: If `method`, `coupling` or `activation` is unknown.
        ValueError: If `rank` or `inner_steps` is below 1.

    Example:
        >>> Sbo(inputs=0, population=2, units=4, method="nesterov").state
        8
    """

    P: nn.Parameter
    Q: nn.Parameter
    w: nn.Parameter
    V: nn.Parameter
    b: nn.Parameter
    mu: nn.Parameter

    def __init__(
        self,
        inputs: int,
        population: int,
        *,
        units: Count = 30,
        method: str = "gradient_descent",
        coupling: str = "dense",
        rank: Count = 10,
        activation: str = "relu",
        eta: float = 1e-3,
        alpha: float = 1.0,
        mu: float = 0.5,
        inner_steps: Count = 1,
    ):
        for place, value, known in (
            ("method", method, METHODS),
            ("coupling", coupling, COUPLINGS),
            ("activation", activation, ACTIVATIONS),
        ):
            if value not in known:
                raise unknown(place, value, list(known), f"cell/{place}")
        if rank < 1 or inner_steps < 1:
            raise ValueError(f"cell/rank >= 1 and cell/inner_steps >= 1 must hold, but got {rank} and {inner_steps}.")
        super().__init__(inputs, units, population, state=units * (1 if method == METHODS[0] else 2))
        self.method, self.sparse, self.rank, self.smooth = method, coupling == "sparse", rank, activation == "tanh"
        self.eta, self.alpha, self.momentum, self.inner_steps = eta, alpha, mu, inner_steps
        self.depends = COUPLINGS[coupling]

    def draw(self, init: Draw, generator: Generator) -> dict[str, Tensor]:
        """Dense: U^T = I + P Q, P (units, rank) and Q (rank, units) from `init`. Sparse: U = w I, w = 0 at first."""
        n, m = self.units, self.inputs
        coupling = (
            {"w": torch.zeros(1, dtype=torch.float64)}
            if self.sparse
            else {"P": init(n, self.rank, generator), "Q": init(self.rank, n, generator)}
        )
        momentum = {} if self.method == METHODS[0] else {"mu": torch.full((1,), self.momentum, dtype=torch.float64)}
        return (
            coupling
            | {"V": bounded(n, m, units=n, generator=generator), "b": bounded(n, units=n, generator=generator)}
            | momentum
        )

    def parametrise(self) -> Tensor:
        """U (population, units, units); where sparse, its one number (population, 1, 1)."""
        if self.sparse:
            return self.w.unsqueeze(2)
        return torch.eye(self.units, dtype=self.P.dtype, device=self.P.device) + (self.P @ self.Q).mT

    def residual(self, h: Tensor, x: Inputs | None, U: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """r = alpha h - phi(a), phi'(a) and the curvature phi''(a) r."""
        a = multiply(h, U.mT) + self.b.unsqueeze(1)
        a = a if x is None else a + x @ self.V.mT
        if self.smooth:
            t = torch.tanh(a)
            r, slope = self.alpha * h - t, 1 - t * t
            return r, slope, -2 * t * slope * r
        return self.alpha * h - torch.relu(a), (a > 0).to(a.dtype), torch.zeros_like(a)

    def descent(self, h: Tensor, x: Inputs | None, U: Tensor) -> Tensor:
        """-eta grad F(h) = -eta M^T r."""
        r, slope, _ = self.residual(h, x, U)
        return -self.eta * (self.alpha * r - multiply(slope * r, U))

    def moved(self, h: Tensor, v: Tensor, d: Tensor) -> tuple[Tensor, Tensor]:
        """(h', v') after a descent d; it is linear, so it serves states and tangents."""
        if self.method == "gradient_descent":
            return h + d, v
        mu = self.mu.view(-1, *[1] * (h.ndim - 1))
        v = mu * v + d if self.method == "heavy_ball" else mu * (v + d)
        return (h + v, v) if self.method == "heavy_ball" else (h + d + v, v)

    def move(self, z: States, x: Inputs | None, M: Tensor) -> States:
        h, v = self.halves(z)
        for _ in range(self.inner_steps):
            h, v = self.moved(h, v, self.descent(h, x, M))
        return torch.cat((h, v), dim=-1)

    def halves(self, rows: Tensor) -> tuple[Tensor, Tensor]:
        return rows[..., : self.units], rows[..., self.units :]

    def push(self, z: States, x: Inputs | None, V: Tangents) -> tuple[States, Tangents]:
        """H dh = M^T M dh - U^T (phi'' r U dh): four products with U or U^T, without forming H."""
        U = self.recurrent()
        (h, v), (dh, dv) = self.halves(z), self.halves(V)
        for _ in range(self.inner_steps):
            slope, curvature = (s.unsqueeze(2) for s in self.residual(h, x, U)[1:])
            da = multiply(dh, U.mT)
            dr = self.alpha * dh - slope * da
            dg = self.alpha * dr - multiply(slope * dr + curvature * da, U)
            h, v = self.moved(h, v, self.descent(h, x, U))
            dh, dv = self.moved(dh, dv, -self.eta * dg)
        return torch.cat((h, v), dim=-1), torch.cat((dh, dv), dim=-1)

    def hessian(self, h: Tensor, x: Inputs | None, U: Tensor) -> Tensor:
        """H (population, batch, units, units); where U is sparse, its diagonal (population, batch, units)."""
        _, slope, curvature = self.residual(h, x, U)
        if self.sparse:
            return (self.alpha - slope * self.w.unsqueeze(1)).square() - curvature * self.w.square().unsqueeze(1)
        M = -slope.unsqueeze(-1) * U.unsqueeze(1)
        M.diagonal(dim1=-2, dim2=-1).add_(self.alpha)
        H = M.mT @ M
        return H - U.mT.unsqueeze(1) @ (curvature.unsqueeze(-1) * U.unsqueeze(1)) if self.smooth else H

    def jacobian(self, z: States, x: Inputs | None = None) -> Jacobians:
        U = self.recurrent()
        h, v = self.halves(z)
        dh, dv = self.halves(torch.eye(self.state, dtype=z.dtype, device=z.device).expand(*z.shape[:2], -1, -1))
        for i in range(self.inner_steps):
            H = torch.diag_embed(self.hessian(h, x, U)) if self.sparse else self.hessian(h, x, U)
            descents = dh @ H if i else pad(H, (0, 0, 0, self.state - self.units))  # dh begins as [I, 0]
            h, v = self.moved(h, v, self.descent(h, x, U))
            dh, dv = self.moved(dh, dv, -self.eta * descents)
        return torch.cat((dh, dv), dim=-1).mT

    def log_det(self, z: States, x: Inputs | None = None) -> Tensor:
        """n log |mu| of a method with momentum, plus log |det(I - eta H)| but for the heavy ball, per inner step."""
        fixed = z.new_zeros(())
        if self.method != "gradient_descent":
            fixed = self.inner_steps * self.units * self.mu.abs().log()
        if self.method == "heavy_ball":
            return fixed.expand(z.shape[:2])
        return fixed + in_chunks(partial(self.log_det_rows, U=self.recurrent()), z, x, self.units**2)

    def log_det_rows(self, z: States, x: Inputs | None, U: Tensor) -> Tensor:
        """log |det(I - eta H)|, summed over the inner steps."""
        h, v = self.halves(z)
        found = z.new_zeros(z.shape[:2])
        for _ in range(self.inner_steps):
            H = self.hessian(h, x, U)
            if self.sparse:
                found = found + (1 - self.eta * H).abs().log().sum(-1)
            else:
                E = -self.eta * H
                E.diagonal(dim1=-2, dim2=-1).add_(1)
                found = found + log_abs_det(E)
            h, v = self.moved(h, v, self.descent(h, x, U))
        return found


def multiply(rows: Tensor, M: Tensor) -> Tensor:
    """rows M for states or tangents of every member, M (population, n, n) or a multiple of I (population, 1, 1)."""
    if M.shape[-1] == 1:
        return rows * (M if rows.ndim == 3 else M.unsqueeze(1))
    return torch.bmm(rows.flatten(1, -2), M).view(rows.shape)
