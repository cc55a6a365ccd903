"""What a run of the engine measured, and the spectrum of each member of its population."""

from typing import Any, NamedTuple

import numpy as np
import torch
from jaxtyping import Bool, Float
from torch import Tensor

from lyapsweep.dynamics.checks import agreement
from lyapsweep.dynamics.errors import standard_errors
from lyapsweep.dynamics.spectrum import Spectrum
from lyapsweep.maps import AbstractMap


class Run(NamedTuple):
    """Mean log R_ii per step of each block of steps, the lengths of the blocks, and the checks of each member.

    `parts` is the sum of log R_ii over parts of the blocks of `lengths` steps, for standard errors.
    """

    rates: Float[np.ndarray, "blocks population batch k"]
    counts: np.ndarray
    parts: Float[np.ndarray, "parts population batch k"]
    lengths: np.ndarray
    checks: list[dict[str, float]]
    escaped: Bool[np.ndarray, "population batch"]


def filled(
    parts: list[Tensor], lengths: list[list[int]]
) -> tuple[Float[np.ndarray, "parts population batch k"], np.ndarray]:
    """Parts of all blocks one after the other and their lengths, without those in which no factorisation began."""
    sizes, sums = np.array(lengths).ravel(), torch.stack(parts).flatten(0, 1).cpu().numpy()
    return sums[sizes > 0], sizes[sizes > 0]


def to_spectrum(run: Run, p: int, map: AbstractMap, kind: str, orbits: int, settings: dict[str, Any]) -> Spectrum:
    """Mean and standard error over blocks and orbits of member p, largest exponent first."""
    rates, counts = run.rates[:, p], run.counts
    _, batch, k = rates.shape
    samples = rates.reshape(-1, k)
    weights = np.repeat(counts / counts.sum() / batch, batch)
    with np.errstate(invalid="ignore"):
        mean = weights @ samples
    errors = standard_errors(series_of_orbits(run, p, mean, orbits))
    order = np.argsort(-mean, kind="stable")
    flow = {"zero": float(np.abs(mean).min())} if kind == "system" and map.dt is not None else {}
    return Spectrum(
        exponents=mean[order],
        stderr=errors.stderr[order],
        dof=errors.dof[order],
        steps=int(counts.sum()) * batch // orbits,
        orbits=orbits,
        map=kind,
        state=map.state,
        dt=map.dt,
        rank_losses=int((rates == -np.inf).any(axis=0).sum()),
        settings=settings,
        checks=run.checks[p] | agreement(rates) | flow,
        escaped=int(run.escaped[p].reshape(-1, orbits).any(axis=0).sum()),
    )


def series_of_orbits(
    run: Run, p: int, mean: Float[np.ndarray, " k"], orbits: int
) -> Float[np.ndarray, "k orbits parts"]:
    """Rates of the parts of each orbit, its segments one after the other, as if all parts were equally long."""
    sums, lengths = run.parts[:, p], run.lengths[:, None, None]
    with np.errstate(invalid="ignore"):
        rates = mean + (sums - lengths * mean) / lengths.mean()
    k = len(mean)
    return rates.reshape(len(rates), -1, orbits, k).transpose(3, 2, 1, 0).reshape(k, orbits, -1)
