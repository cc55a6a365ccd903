"""Lyapunov exponents of any map by QR of the tangent frame (Benettin et al. 1980; Shimada and Nagashima 1979)."""

from typing import Any

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from lyapsweep.dynamics.spectrum import Spectrum
from lyapsweep.maps import AbstractMap, States

BLOCKS = 10


@torch.no_grad()
def lyapunov_spectra(
    map: AbstractMap,
    z: States,
    inputs: Float[Tensor, "time population batch inputs"] | None = None,
    *,
    steps: int,
    warmup: int = 0,
    k: int | None = None,
    kind: str = "system",
    seed: int = 0,
) -> list[Spectrum]:
    """The leading k exponents (all where k is None) of every member of a population, in nats per step.

    Tangent rows V are pushed, V <- V Df(z_t, x_t)^T, and re-orthonormalised at each step, V^T = Q R;
    lambda_i = mean over steps and orbits of log |R_ii|, after `warmup` steps that align state and frame, uncounted.
    The order of factors is Df(z_T) ... Df(z_1); the frame starts at random (`seed`), the same for every member.

    z (population, batch, state): one orbit a batch row. `inputs`, where the map is driven or forced, leads with time
    and must hold warmup + steps rows. The standard error is over BLOCKS blocks of steps of each orbit. Exponents are
    -inf where a singular Jacobian annihilates a tangent vector, NaN for a member whose orbit left the finite numbers.

    Raises ValueError where k is not in 1 ... state, or inputs are too short.
    """
    k = map.state if k is None else k
    if not 1 <= k <= map.state:
        raise ValueError(f"1 <= k <= {map.state} (the size of the state) must hold, but got k={k}.")
    if inputs is not None and len(inputs) < warmup + steps:
        raise ValueError(f"warmup + steps <= {len(inputs)} inputs must hold, but got {warmup} + {steps}.")
    V = random_frame(z, k, seed)
    blocks = min(BLOCKS, steps)
    logs = z.new_zeros(blocks, *V.shape[:3])
    lost = torch.zeros(len(z), dtype=torch.long, device=z.device)
    for t in range(warmup + steps):
        z, V = map.push(z, None if inputs is None else inputs[t], V)
        V, stretch = orthonormalise(V)
        if t >= warmup:
            logs[(t - warmup) * blocks // steps] += stretch
            lost += (stretch == -torch.inf).sum(dim=(1, 2))
    logs[:, ~z.isfinite().flatten(1).all(dim=1)] = torch.nan  # tangents of an orbit at infinity say nothing
    counts = np.bincount(np.arange(steps) * blocks // steps, minlength=blocks)
    rates = (logs / torch.as_tensor(counts, dtype=z.dtype, device=z.device)[:, None, None, None]).cpu().numpy()
    settings = {"warmup": warmup, "seed": seed, "method": "qr"}
    return [collect(rates[:, p], counts, map, kind, int(lost[p]), settings) for p in range(rates.shape[1])]


def orthonormalise(
    V: Float[Tensor, "*rows k state"],
) -> tuple[Float[Tensor, "*rows k state"], Float[Tensor, "*rows k"]]:
    """(Q^T, log |diag R|) of V^T = Q R: the frame made orthonormal, and how far each direction had stretched."""
    q, r = torch.linalg.qr(V.mT)
    return q.mT, r.diagonal(dim1=-2, dim2=-1).abs().log()


def random_frame(z: States, k: int, seed: int) -> Float[Tensor, "population batch k state"]:
    """A random orthonormal frame for each orbit; members share it, so that a member does not depend on its pack."""
    generator = torch.Generator().manual_seed(seed)
    frame = torch.randn(1, z.shape[1], k, z.shape[2], generator=generator, dtype=torch.float64)
    q, _ = orthonormalise(frame)
    return q.to(z).expand(z.shape[0], -1, -1, -1)


def collect(
    rates: Float[np.ndarray, "blocks batch k"],
    counts: np.ndarray,
    map: AbstractMap,
    kind: str,
    lost: int,
    settings: dict[str, Any],
) -> Spectrum:
    """Mean and standard error over blocks and orbits, largest exponent first."""
    _, orbits, k = rates.shape
    samples = rates.reshape(-1, k)
    weights = np.repeat(counts / counts.sum() / orbits, orbits)
    with np.errstate(invalid="ignore"):
        mean = weights @ samples
        spread = samples.std(axis=0, ddof=1) / np.sqrt(len(samples)) if len(samples) > 1 else np.full(k, np.nan)
    order = np.argsort(-mean, kind="stable")
    return Spectrum(
        exponents=mean[order],
        stderr=spread[order],
        steps=int(counts.sum()),
        orbits=orbits,
        map=kind,
        state=map.state,
        dt=map.dt,
        rank_losses=lost,
        settings=settings,
    )


@torch.no_grad()
def tangent_growth(map: AbstractMap, z: States, lags: list[int]) -> Float[np.ndarray, "population lags"]:
    """Mean over orbits of log || dz_{t+lag} / dz_t ||_2 (spectral norm), at each lag: how loss gradients grow.

    The product of Jacobians is rescaled at each step and its logarithm carried, so no lag over- or underflows.
    Its slope against the lag tends to lambda_1 (Mikhaeil et al. 2022, theorems 1 to 3).
    """
    V = torch.eye(map.state, dtype=z.dtype, device=z.device).expand(*z.shape[:2], -1, -1)
    scale, growth, wanted = z.new_zeros(z.shape[:2]), [], set(lags)
    for lag in range(1, max(lags) + 1):
        z, V = map.push(z, None, V)
        size = torch.linalg.vector_norm(V, dim=(-2, -1))
        scale = scale + size.log()
        V = V / torch.where(size == 0, torch.ones_like(size), size)[..., None, None]
        if lag in wanted:
            finite = torch.nan_to_num(V)
            norm = torch.linalg.matrix_norm(finite, ord=2).log()
            growth.append((scale + norm).mean(dim=1))
    return torch.stack(growth, dim=1).cpu().numpy()
