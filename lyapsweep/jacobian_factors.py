"""A Jacobian as a constant matrix between factors that change from state to state.

Most recurrent networks move by z'_s = f_s(z, a) unit by unit, of activations a = W u(z) + b of one matrix. Their
Jacobian costs N^2 numbers to write down but only some N to know, and compiled loops form the columns they need.
"""

from typing import NamedTuple

import torch
from jaxtyping import Float
from torch import Tensor


class JacobianFactors(NamedTuple):
    """J_sr = sum_g diag(outer_sg) W_g diag(inner) second + diag(direct_sr), blocks of N rows and columns.

    Args:
        W: The recurrent matrix, shape (population, gates * N, columns); its columns belong to the first entries of the
            state.
        outer: dz'_s / da_g, shape (population, batch, parts, gates, N).
        inner: du / dz, shape (population, batch, columns); None (the default) for ones.
        direct: dz'_s / dz_r with activations held, shape (population, batch, parts, parts, N); None for zeros.
        second: A second matrix, shape (population, columns, N), of u = phi(second z); None for the unit matrix.

    Example:
        >>> factors = JacobianFactors(torch.ones(1, 2, 2), torch.tensor([1.0, 2.0]).expand(1, 1, 1, 1, 2))
        >>> factors.matrix()
        tensor([[[[1., 1.],
                  [2., 2.]]]])
    """

    W: Float[Tensor, "population rows columns"]
    outer: Float[Tensor, "population batch parts gates units"]
    inner: Float[Tensor, "population batch columns"] | None = None
    direct: Float[Tensor, "population batch parts parts units"] | None = None
    second: Float[Tensor, "population columns units"] | None = None

    def matrix(self) -> Float[Tensor, "population batch state state"]:
        """The whole Jacobian; its transpose is contiguous."""
        population, batch, parts, gates, n = self.outer.shape
        WT = self.W.mT.contiguous().unsqueeze(1)
        J = self.outer.new_zeros(population, batch, WT.shape[2], parts * n)
        for s in range(parts):
            for g in range(gates):
                J[..., s * n : (s + 1) * n].addcmul_(WT[..., g * n : (g + 1) * n], self.outer[:, :, s, g].unsqueeze(2))
        if self.inner is not None:
            J *= self.inner.unsqueeze(-1)
        if self.second is not None:
            J = self.second.mT.unsqueeze(1) @ J
        if J.shape[2] < parts * n:
            J = torch.cat((J, J.new_zeros(population, batch, parts * n - J.shape[2], parts * n)), dim=2)
        if self.direct is not None:
            for s in range(parts):
                for r in range(parts):
                    block = J[..., r * n : (r + 1) * n, s * n : (s + 1) * n]
                    block.diagonal(dim1=-2, dim2=-1).add_(self.direct[:, :, s, r])
        return J.mT

    def scaled(self, columns: Float[Tensor, "population batch state"]) -> "JacobianFactors | None":
        """The factors of J diag(columns); None for a product of two matrices, which has no place for them."""
        population, batch, parts, _, n = self.outer.shape
        if self.second is not None:
            return None
        width = self.W.shape[2]
        inner = columns[..., :width] if self.inner is None else self.inner * columns[..., :width]
        direct = None
        if self.direct is not None:
            direct = self.direct * columns.view(population, batch, 1, parts, n)
        return self._replace(inner=inner, direct=direct)
