"""The convention of published RNN spectra (Vogt et al. 2022), for comparison with them.

These are not Lyapunov exponents. The frame is multiplied by transposed Jacobians in forward order of time,
Z = J_t^T Q_{t-1}, Z = Q_t R_t: the product J_1 J_2 ... J_T, where exponents belong to J_T ... J_2 J_1. Hidden parts of
a cell's state (an LSTM's c) are held fixed, the first frame is the identity, logarithms are to base 2.
"""

import numpy as np
import torch
from jaxtyping import Bool, Float
from torch import Tensor

from lyapsweep.dynamics.spectrum import Spectrum
from lyapsweep.maps import AbstractMap, States

UNIT = "bits per step"
WARNING = (
    "The published convention (transposed Jacobians in forward order, hidden cell states held fixed, base 2). "
    "These are not Lyapunov exponents. Compare them with published numbers only."
)
BLOCKS = 10


@torch.no_grad()
def vogt_spectra(
    map: AbstractMap,
    z: States,
    inputs: Float[Tensor, "time population batch inputs"] | None = None,
    *,
    steps: int,
    warmup: int = 0,
    k: int | None = None,
    visible: Bool[Tensor, " state"] | None = None,
    kind: str = "system",
) -> list[Spectrum]:
    """The leading k numbers of every member, largest first, in bits per step (`settings["unit"]`).

    J is the Jacobian's block at the entries of the state that are `visible` (all if None). The standard error is over
    blocks of steps of each orbit. Raises ValueError if k is not in 1 ... visible entries, or inputs are too short.
    """
    seen = torch.arange(map.state) if visible is None else visible.nonzero().flatten()
    k = len(seen) if k is None else k
    if not 1 <= k <= len(seen):
        raise ValueError(
            f"k={k} is outside 1 <= k <= {len(seen)}, the visible part of the state. Choose k in this range."
        )
    if inputs is not None and len(inputs) < warmup + steps:
        raise ValueError(
            f"inputs: {len(inputs)} inputs are fewer than warmup + steps = {warmup} + {steps}. Give more inputs."
        )
    unit = torch.eye(map.state, dtype=z.dtype, device=z.device)[seen].expand(*z.shape[:2], -1, -1)
    V, blocks = unit[..., :k, seen], min(BLOCKS, steps)
    sums = z.new_zeros(blocks, *V.shape[:3])
    for t in range(warmup + steps):
        z, pushed = map.push(z, None if inputs is None else inputs[t], unit)  # a row is df / dz_j
        Q, R = torch.linalg.qr(pushed[..., seen] @ V.mT)  # J^T Q
        V = Q.mT
        if t >= warmup:
            sums[(t - warmup) * blocks // steps] += R.diagonal(dim1=-2, dim2=-1).abs().log2()
    sums[:, ~z.isfinite().flatten(1).all(dim=1)] = torch.nan
    counts = np.bincount(np.arange(steps) * blocks // steps, minlength=blocks)
    return [to_spectrum(sums[:, p].cpu().numpy(), counts, len(seen), map.dt, kind, warmup) for p in range(len(z))]


def to_spectrum(
    sums: Float[np.ndarray, "blocks batch k"], counts: np.ndarray, seen: int, dt: float | None, kind: str, warmup: int
) -> Spectrum:
    """Mean and standard error over blocks and orbits; the state is the part that is `seen`."""
    _, orbits, k = sums.shape
    rates = (sums / counts[:, None, None]).reshape(-1, k)
    with np.errstate(invalid="ignore"):
        mean = sums.sum(axis=(0, 1)) / counts.sum() / orbits
        spread = rates.std(axis=0, ddof=1) / np.sqrt(len(rates)) if len(rates) > 1 else np.full(k, np.nan)
    order = np.argsort(-mean, kind="stable")
    return Spectrum(
        exponents=mean[order],
        stderr=spread[order],
        steps=int(counts.sum()),
        orbits=orbits,
        map=f"{kind}, published convention",
        state=seen,
        dt=dt,
        settings={"warmup": warmup, "method": "vogt", "compat": "vogt", "unit": UNIT},
    )
