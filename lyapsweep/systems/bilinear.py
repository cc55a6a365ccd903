"""Flows that are linear but for terms multiplied by the first coordinate, such as Lorenz and Roessler."""

import torch
from torch.nn.functional import linear

from lyapsweep.maps import States, Tangents
from lyapsweep.systems.system import AbstractFlow


class AbstractBilinear(AbstractFlow):
    """z' = A z + b + z_1 C z, hence Df v = A v + z_1 C v + v_1 C z; `linear` is A, `offset` b, `product` C.

    With A and C as matrices, a field takes four torch operations however many terms the equation has.
    """

    names = ("x", "y", "z")
    state = 3

    def __init__(self, A: list[list[float]], b: list[float], C: list[list[float]], dt: float, substeps: int):
        super().__init__(dt, substeps)
        self.linear, self.offset, self.product = (torch.tensor(m, dtype=torch.float64) for m in (A, b, C))

    def field(self, z: States) -> States:
        return torch.addcmul(linear(z, self.linear, self.offset), z[..., :1], linear(z, self.product))

    def tangent(self, z: States, V: Tangents) -> Tangents:
        along = torch.addcmul(linear(V, self.linear), z[..., :1].unsqueeze(-2), linear(V, self.product))
        return torch.addcmul(along, V[..., :1], linear(z, self.product).unsqueeze(-2))
