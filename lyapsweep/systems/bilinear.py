"""Flows that are linear but for terms multiplied by the first coordinate, such as Lorenz and Roessler."""

import numpy as np
import torch
from torch import Tensor
from torch.nn.functional import linear

from lyapsweep.compiled.engine import compiled_available
from lyapsweep.maps import Inputs, Jacobians, Orbit, States, Tangents
from lyapsweep.systems.system import AbstractFlow


class AbstractBilinear(AbstractFlow):
    """z' = A z + b + z_1 C z, hence Df v = A v + z_1 C v + v_1 C z; `linear` is A, `offset` b, `product` C.

    With A and C as matrices, a field takes four torch operations however many terms the equation has.
    """

    names = ("x", "y", "z")
    state = 3
    cheap_jacobian = True

    def __init__(self, A: list[list[float]], b: list[float], C: list[list[float]], dt: float, substeps: int):
        super().__init__(dt, substeps)
        self.linear, self.offset, self.product = (torch.tensor(m, dtype=torch.float64) for m in (A, b, C))

    @torch.no_grad()
    def orbit(self, z: States, inputs: Tensor | None, steps: int) -> Orbit:
        if not compiled_available():
            return super().orbit(z, inputs, steps)
        from lyapsweep.compiled import flows

        states = z.new_empty(steps, *z.shape)
        flows.orbits(*self.numbers(), z[0].contiguous().numpy(), states[:, 0].numpy())
        return states

    @torch.no_grad()
    def jacobian(self, z: States, x: Inputs | None = None) -> Jacobians:
        if not compiled_available():
            return super().jacobian(z, x)
        from lyapsweep.compiled import flows

        transposed = z.new_empty(*z.shape, self.state)
        flows.jacobians(*self.numbers(), z[0].contiguous().numpy(), transposed[0].numpy())
        return transposed.mT

    def numbers(self) -> tuple[np.ndarray, np.ndarray, np.ndarray, float, int]:
        """What compiled code takes: A, b, C, and length and number of the Runge-Kutta steps."""
        h = self.dt / self.substeps
        return self.linear.numpy(), self.offset.numpy(), self.product.numpy(), h, self.substeps

    def field(self, z: States) -> States:
        return torch.addcmul(linear(z, self.linear, self.offset), z[..., :1], linear(z, self.product))

    def tangent(self, z: States, V: Tangents) -> Tangents:
        along = torch.addcmul(linear(V, self.linear), z[..., :1].unsqueeze(-2), linear(V, self.product))
        return torch.addcmul(along, V[..., :1], linear(z, self.product).unsqueeze(-2))
