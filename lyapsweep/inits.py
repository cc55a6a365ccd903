"""How a recurrent matrix starts: one short function each, (rows, columns) in, a matrix out.

A cell draws every matrix that writes into its state through these; gated cells draw one block a gate, cells with a
diagonal part draw a square matrix and split it. Input weights and biases start uniform in +-1/sqrt(units).
"""

import math
from collections.abc import Callable

import torch
from jaxtyping import Float
from torch import Generator, Tensor

from lyapsweep.registry import Registry

Matrix = Float[Tensor, "rows columns"]


def gaussian(rows: int, columns: int, generator: Generator, *, gain: float = 1.0) -> Matrix:
    """Entries N(0, gain^2 / columns): spectral radius about `gain` (Sompolinsky, Crisanti and Sommers 1988)."""
    return torch.randn(rows, columns, generator=generator, dtype=torch.float64) * (gain / math.sqrt(columns))


def uniform(rows: int, columns: int, generator: Generator, *, bound: float | None = None) -> Matrix:
    """Entries U(-bound, bound); without a bound 1/sqrt(columns), torch's default (Vogt et al. 2022 sweep the bound)."""
    width = 1 / math.sqrt(columns) if bound is None else bound
    return (2 * torch.rand(rows, columns, generator=generator, dtype=torch.float64) - 1) * width


def orthogonal(rows: int, columns: int, generator: Generator, *, gain: float = 1.0) -> Matrix:
    """gain x a Haar-random (semi-)orthogonal matrix: the linear map's exponents are log(gain) (Saxe et al. 2014)."""
    tall = torch.randn(max(rows, columns), min(rows, columns), generator=generator, dtype=torch.float64)
    q, r = torch.linalg.qr(tall)
    q = q * r.diagonal().sign()
    return gain * (q if rows >= columns else q.mT)


def near_identity(rows: int, columns: int, generator: Generator, *, scale: float = 0.1) -> Matrix:
    """I + N(0, scale^2 / columns), without the I where the matrix is not square: the map starts near standing still.

    What a flow sampled at a small time step asks of a network: one step moves the state a little.
    """
    noise = torch.randn(rows, columns, generator=generator, dtype=torch.float64) * (scale / math.sqrt(columns))
    return noise + torch.eye(rows, dtype=torch.float64) if rows == columns else noise


def bounded(*shape: int, units: int, generator: Generator) -> Tensor:
    """U(-1/sqrt(units), 1/sqrt(units)): torch's default, for everything that is not recurrent."""
    return (2 * torch.rand(*shape, generator=generator, dtype=torch.float64) - 1) / math.sqrt(units)


INITS: Registry[Callable[..., Tensor]] = Registry(
    "init",
    {"gaussian": gaussian, "uniform": uniform, "orthogonal": orthogonal, "near_identity": near_identity},
    given=("rows", "columns", "generator"),
)
