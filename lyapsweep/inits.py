"""INITS: initialisations of recurrent matrices, one short function each.

A cell draws every matrix that acts on its state through these; gated cells draw one block per gate, cells with a
diagonal part draw a square matrix and split it. Input weights and biases start uniform in +-1/sqrt(units) (`bounded`).
"""

import math
from collections.abc import Callable

import torch
from jaxtyping import Float
from torch import Generator, Tensor

from lyapsweep.registry import Registry
from lyapsweep.setting_types import NonNegative, Positive

__all__ = ["INITS", "bounded", "gaussian", "near_identity", "orthogonal", "uniform"]

Matrix = Float[Tensor, "rows columns"]


def gaussian(rows: int, columns: int, generator: Generator, *, gain: float = 1.0) -> Matrix:
    """Independent Gaussian entries, N(0, gain^2 / columns), of spectral radius about `gain`.

    Args:
        rows: Number of rows.
        columns: Number of columns.
        generator: Source of the random numbers.
        gain: Spectral radius for many units; 1.0 by default.

    Returns:
        A matrix (rows, columns) in double precision.

    Source: Sompolinsky, Crisanti and Sommers 1988.

    Example:
        >>> gaussian(2, 3, Generator().manual_seed(0)).shape
        torch.Size([2, 3])
    """
    return torch.randn(rows, columns, generator=generator, dtype=torch.float64) * (gain / math.sqrt(columns))


def uniform(rows: int, columns: int, generator: Generator, *, bound: Positive | None = None) -> Matrix:
    """Independent uniform entries, U(-bound, bound).

    Args:
        rows: Number of rows.
        columns: Number of columns.
        generator: Source of the random numbers.
        bound: Largest absolute value; None (the default) is 1/sqrt(columns), as in torch.

    Returns:
        A matrix (rows, columns) in double precision.

    Source: Vogt et al. 2022 sweep `bound`.

    Example:
        >>> uniform(50, 50, Generator().manual_seed(0), bound=0.1).abs().max() < 0.1
        tensor(True)
    """
    width = 1 / math.sqrt(columns) if bound is None else bound
    return (2 * torch.rand(rows, columns, generator=generator, dtype=torch.float64) - 1) * width


def orthogonal(rows: int, columns: int, generator: Generator, *, gain: float = 1.0) -> Matrix:
    """A Haar-random (semi-)orthogonal matrix times `gain`: all exponents of the linear map are log(gain).

    Args:
        rows: Number of rows.
        columns: Number of columns.
        generator: Source of the random numbers.
        gain: Common singular value; 1.0 by default.

    Returns:
        A matrix (rows, columns) in double precision.

    Source: Saxe et al. 2014.

    Example:
        >>> W = orthogonal(3, 3, Generator().manual_seed(0), gain=2.0)
        >>> torch.allclose(W @ W.mT, 4 * torch.eye(3, dtype=torch.float64))
        True
    """
    tall = torch.randn(max(rows, columns), min(rows, columns), generator=generator, dtype=torch.float64)
    q, r = torch.linalg.qr(tall)
    q = q * r.diagonal().sign()
    return gain * (q if rows >= columns else q.mT)


def near_identity(rows: int, columns: int, generator: Generator, *, scale: NonNegative = 0.1) -> Matrix:
    """The identity plus Gaussian noise, I + N(0, scale^2 / columns); noise alone if the matrix is not square.

    Suited to a flow that is sampled at a small time step, where one step moves the state only a little.

    Args:
        rows: Number of rows.
        columns: Number of columns.
        generator: Source of the random numbers.
        scale: Size of the noise; 0.1 by default.

    Returns:
        A matrix (rows, columns) in double precision.

    Example:
        >>> near_identity(2, 2, Generator().manual_seed(0), scale=0.0)
        tensor([[1., 0.],
                [0., 1.]], dtype=torch.float64)
    """
    noise = torch.randn(rows, columns, generator=generator, dtype=torch.float64) * (scale / math.sqrt(columns))
    return noise + torch.eye(rows, dtype=torch.float64) if rows == columns else noise


def bounded(*shape: int, units: int, generator: Generator) -> Tensor:
    """Draw U(-1/sqrt(units), 1/sqrt(units)), torch's default, for weights that are not recurrent.

    Args:
        shape: Sizes of the tensor.
        units: Number of units n in the bound 1/sqrt(n).
        generator: Source of the random numbers.

    Returns:
        A tensor of that shape in double precision.

    Example:
        >>> bounded(3, 2, units=4, generator=Generator().manual_seed(0)).abs().max() <= 0.5
        tensor(True)
    """
    return (2 * torch.rand(*shape, generator=generator, dtype=torch.float64) - 1) / math.sqrt(units)


INITS: Registry[Callable[..., Tensor]] = Registry(
    "init",
    {"gaussian": gaussian, "uniform": uniform, "orthogonal": orthogonal, "near_identity": near_identity},
    given=("rows", "columns", "generator"),
)
