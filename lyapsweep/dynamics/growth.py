"""Growth of tangent vectors, and so of loss gradients, over a lag."""

import numpy as np
import torch
from jaxtyping import Float

from lyapsweep.batched_linalg import spectral_norms
from lyapsweep.dynamics.frames import Driving
from lyapsweep.maps import AbstractMap, States


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
    V = torch.eye(map.state, dtype=z.dtype, device=z.device).expand(*z.shape[:2], -1, -1)
    scale, growth, wanted = z.new_zeros(z.shape[:2]), [], set(lags)
    for lag in range(1, max(lags) + 1):
        z, V = map.push(z, None if inputs is None else inputs[lag - 1], V)
        size = torch.linalg.vector_norm(V, dim=(-2, -1))
        scale = scale + size.log()
        V = V / torch.where(size == 0, torch.ones_like(size), size)[..., None, None]
        if lag in wanted:
            finite = torch.nan_to_num(V)
            norm = spectral_norms(finite) if V.is_cuda else torch.linalg.matrix_norm(finite, ord=2)
            growth.append((scale + norm.log()).mean(dim=1))
    return torch.stack(growth, dim=1).cpu().numpy()
