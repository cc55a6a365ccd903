"""Growth of tangent vectors, and so of loss gradients, over a lag."""

from collections.abc import Iterator
from itertools import pairwise

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from lyapsweep.batched_linalg import spectral_norms
from lyapsweep.dynamics.frames import Driving
from lyapsweep.dynamics.jacobians import jacobians
from lyapsweep.dynamics.lu import runs_compiled, single_threaded_blas
from lyapsweep.dynamics.lu_frames import workspace
from lyapsweep.maps import AbstractMap, States, has_factors

Products = Iterator[tuple[Tensor, Tensor]]
"""Products of Jacobians over each lag, (population, batch, state, state), and log of their scales."""


@torch.no_grad()
def tangent_growth(
    map: AbstractMap, z: States, lags: list[int], inputs: Driving = None
) -> Float[np.ndarray, "population lags"]:
    """Measure how Jacobian products grow with the lag: the mean over orbits of log || dz_{t+lag} / dz_t ||_2.

    Loss gradients grow at this rate; its slope against the lag tends to lambda_1. The product is rescaled at each step,
    so no lag over- or underflows.

    Args:
        map: The map.
        z: First states, shape (population, batch, state).
        lags: Numbers of steps, increasing.
        inputs: Driving inputs, shape (time, population, batch, inputs), at least as long as the longest lag; None by
            default.

    Returns:
        Logarithms of spectral norms, shape (population, lags).

    Source: Mikhaeil et al. 2022, theorems 1 to 3.

    Example:
        >>> from lyapsweep.systems import build
        >>> tangent_growth(build("tent", s=1.5), torch.full((1, 1, 1), 0.1, dtype=torch.float64), [1, 10]).round(3)
        array([[0.405, 4.055]])
    """
    products = compiled_products if has_factors(map) and runs_compiled(z) else pushed_products
    growth = [
        (scale + (spectral_norms(V) if V.is_cuda else torch.linalg.matrix_norm(V, ord=2)).log()).mean(dim=1)
        for V, scale in products(map, z, lags, inputs)
    ]
    return torch.stack(growth, dim=1).cpu().numpy()


def pushed_products(map: AbstractMap, z: States, lags: list[int], inputs: Driving) -> Products:
    """The definition: unit vectors pushed step by step."""
    V = torch.eye(map.state, dtype=z.dtype, device=z.device).expand(*z.shape[:2], -1, -1)
    scale, wanted = z.new_zeros(z.shape[:2]), set(lags)
    for lag in range(1, max(lags) + 1):
        z, V = map.push(z, None if inputs is None else inputs[lag - 1], V)
        size = torch.linalg.vector_norm(V, dim=(-2, -1))
        scale = scale + size.log()
        V = V / torch.where(size == 0, torch.ones_like(size), size)[..., None, None]
        if lag in wanted:
            yield torch.nan_to_num(V), scale


def compiled_products(map: AbstractMap, z: States, lags: list[int], inputs: Driving) -> Products:
    """The same by compiled code, from the factors of all Jacobians."""
    from lyapsweep.compiled import products

    population, batch, state = z.shape
    before = torch.cat((z.unsqueeze(0), map.orbit(z, inputs, max(lags))[:-1]))
    V, scale = np.tile(np.eye(state), (population, batch, 1, 1)), np.zeros((population, batch, 1))
    order, J = np.arange(state), np.empty((state, state))
    for first, last in pairwise([0, *lags]):
        driving = None if inputs is None else inputs[first:last]
        with single_threaded_blas():
            for _, chunk in jacobians(map, before[first:last], driving, compiled=True):
                work = workspace(state, state, chunk.factors[4].shape[2])
                for p, b in np.ndindex(population, batch):
                    given = chunk.matrices, chunk.factors, p, b, chunk.steps
                    products.advance(V[p, b], scale[p, b], *given, order, J, work)
        yield torch.nan_to_num(torch.from_numpy(V)), torch.from_numpy(scale[..., 0])
