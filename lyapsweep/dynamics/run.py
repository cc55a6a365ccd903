"""What a run of the engine measured, and the spectrum of each member of its population."""

from typing import Any, NamedTuple

import numpy as np
import torch
from jaxtyping import Bool, Float
from torch import Tensor

from lyapsweep.dynamics.attractors import Attractor, groups_of_orbits
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


def to_spectrum(
    run: Run, p: int, map: AbstractMap, kind: str, orbits: int, settings: dict[str, Any], alike: bool = True
) -> Spectrum:
    """The spectrum of member p: of all its orbits, or if they end on several attractors of those on the largest.

    Orbits that are not driven `alike` have exponents of their own inputs, which are no sign of several attractors.
    """
    rates, counts = run.rates[:, p], run.counts
    batch = rates.shape[1]
    steps = int(counts.sum()) * batch // orbits
    series = series_of_orbits(run.parts[:, p], run.lengths, orbits)
    labels = groups_of_orbits(series, steps) if alike else np.zeros(orbits, int)
    members = [np.tile(labels == label, batch // orbits) for label in range(labels.max() + 1)]
    found = [attractor(run, p, chosen, int(chosen.sum()) * orbits // batch) for chosen in members]
    first = found[0]
    flow = {"zero": float(np.abs(first.exponents).min())} if kind == "system" and map.dt is not None else {}
    return Spectrum(
        exponents=first.exponents,
        stderr=first.stderr,
        dof=first.dof,
        steps=steps,
        orbits=orbits,
        map=kind,
        state=map.state,
        dt=map.dt,
        rank_losses=int((rates == -np.inf).any(axis=0).sum()),
        settings=settings,
        checks=run.checks[p] | agreement(rates[:, members[0]]) | flow,
        escaped=int(run.escaped[p].reshape(-1, orbits).any(axis=0).sum()),
        attractors=tuple(found) if len(found) > 1 else (),
    )


def attractor(run: Run, p: int, chosen: Bool[np.ndarray, " batch"], orbits: int) -> Attractor:
    """Mean and standard error over blocks and the chosen orbits of member p, largest exponent first."""
    rates, counts = run.rates[:, p, chosen], run.counts
    _, batch, k = rates.shape
    weights = np.repeat(counts / counts.sum() / batch, batch)
    with np.errstate(invalid="ignore"):
        mean = weights @ rates.reshape(-1, k)
    errors = standard_errors(series_of_orbits(run.parts[:, p, chosen], run.lengths, orbits))
    order = np.argsort(-mean, kind="stable")
    return Attractor(mean[order], errors.stderr[order], errors.dof[order], orbits)


def series_of_orbits(
    sums: Float[np.ndarray, "parts batch k"], lengths: np.ndarray, orbits: int
) -> Float[np.ndarray, "k orbits all_parts"]:
    """Rates of the parts of each orbit, its segments one after the other, as if all parts were equally long."""
    lengths = lengths[:, None, None]
    with np.errstate(invalid="ignore"):
        mean = sums.sum(axis=(0, 1)) / sums.shape[1] / lengths.sum()
        rates = mean + (sums - lengths * mean) / lengths.mean()
    return (
        rates.reshape(len(rates), -1, orbits, rates.shape[2])
        .transpose(3, 2, 1, 0)
        .reshape(-1, orbits, rates.shape[1] // orbits * len(rates))
    )
