"""How tangents, and with them the gradients of a loss, grow over a lag."""

import numpy as np
import torch
from jaxtyping import Float

from lyapsweep.dynamics.frames import Driving
from lyapsweep.maps import AbstractMap, States


@torch.no_grad()
def tangent_growth(
    map: AbstractMap, z: States, lags: list[int], inputs: Driving = None
) -> Float[np.ndarray, "population lags"]:
    """Mean over orbits of log || dz_{t+lag} / dz_t ||_2 (spectral norm), at each lag: how loss gradients grow.

    The product of Jacobians is rescaled at each step and its logarithm carried, so no lag over- or underflows. Where
    `inputs` drive the map, they lead with time and reach as far as the longest lag.
    Its slope against the lag tends to lambda_1 (Mikhaeil et al. 2022, theorems 1 to 3).
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
            norm = torch.linalg.matrix_norm(finite, ord=2).log()
            growth.append((scale + norm).mean(dim=1))
    return torch.stack(growth, dim=1).cpu().numpy()
