"""A series from a system whose equations are known: one long trajectory, cut in two."""

from typing import Any

import numpy as np
import torch
from torch import Tensor

from lyapsweep import systems
from lyapsweep.datasets.series import BadSeries, Series, choose, standardised
from lyapsweep.dynamics.lyapunov import lyapunov_spectra
from lyapsweep.systems import AbstractSystem

TRANSIENT = 1000  # steps before the training part, to reach the attractor
ORBITS, STEPS, WARMUP = 256, 1000, 300  # of the tangent vectors that measure an unknown exponent
KICK, APART = 1e-3, 2000  # standard deviations, and steps to grow from there to the size of the attractor
GAP = 1000  # steps between the training and the test part, to forget where the first one ended


def simulated(
    *,
    system: str,
    length: int = 20000,
    dt: float | None = None,
    parameters: dict | None = None,
    noise: float = 0.0,
    test: float = 0.25,
    observe: list | None = None,
    standardise: bool = True,
    seed: int = 0,
) -> Series:
    """One trajectory of a known system: `length` steps to train on and, after a gap, `test * length` held out.

    `system` is a name of `lyapsweep.systems` (`lorenz63`, ..., or any flow of dysts), `parameters` its own, `dt` the
    time between samples (the system's own where None). `observe` lists the recorded columns by name or position.
    `noise` is Gaussian, in units of each column's standard deviation, and falls on the training part alone: the test
    part is the clean truth, as in Hess et al. 2023. `seed` sets the start and the noise.

    `lambda_max` is the literature's where the parameters are the cited ones, else measured from the equations, with its
    standard error in `notes["lambda_stderr"]`; nats per sample.

    Raises `BadSeries` where the trajectory diverges or comes to rest, `UnknownName` for a system, parameter or column.
    """
    if length < 2 or not round(test * length) >= 1 or noise < 0:
        raise BadSeries(
            f"simulated: length >= 2, test * length >= 1 and noise >= 0 must hold, "
            f"but got length={length}, test={test}, noise={noise}."
        )
    flow = systems.build(system, dt, **(parameters or {}))
    source = f"simulated: {system}"
    columns = choose(observe, flow.names, source)
    generator = torch.Generator().manual_seed(seed)
    held_out = round(test * length)
    states = trajectory(flow, TRANSIENT + length + GAP + held_out, generator, source)[TRANSIENT:]
    seen = flow.observe(states).numpy()[:, columns]
    names = tuple(flow.names[c] for c in columns)
    train, truth = seen[:length], seen[length + GAP :]
    if noise:
        disturbance = torch.randn(train.shape, generator=generator, dtype=torch.float64).numpy()
        train = train + noise * train.std(axis=0) * disturbance
    train, truth, mean, std = standardised(train, truth, names, source, standardise)
    return Series(
        train, truth, flow.dt or 1.0, names, mean, std, source=source, **largest_exponent(flow, states[:length])
    )


def trajectory(flow: AbstractSystem, steps: int, generator: torch.Generator, source: str) -> Tensor:
    """(steps, state) of one orbit from a seeded start."""
    states = flow.trajectory(flow.start(1, generator), steps)
    bad = np.flatnonzero(~np.isfinite(states).all(axis=1))
    if len(bad):
        raise BadSeries(
            f"{source}: the trajectory left the finite numbers at step {bad[0]} with dt={flow.dt}. "
            f"Take a smaller dt, or parameters whose orbits stay bounded."
        )
    if (states[TRANSIENT:].std(axis=0) < 1e-10 * np.abs(states).max()).all():
        raise BadSeries(f"{source}: the trajectory comes to rest: there is nothing to learn. Take other parameters.")
    return torch.from_numpy(states)


def largest_exponent(flow: AbstractSystem, states: Tensor) -> dict[str, Any]:
    """`lambda_max` per sample, where it comes from, and how sure it is: from the literature, else from the equations.

    Orbits start at points spread over the trajectory, are kicked off it and left to themselves, or they would all
    measure the same stretch of one orbit and the standard error would be far too small. Their time is counted in
    samples: where `dt` is far finer than the dynamics, they stay near each other and see little of the attractor.
    """
    if flow.known is not None:
        exponent, error = flow.known.exponents[0] * (flow.dt or 1.0), flow.known.stderr * (flow.dt or 1.0)
        return {"lambda_max": exponent, "lambda_source": flow.known.citation, "notes": {"lambda_stderr": error}}
    orbits = states[np.linspace(0, len(states) - 1, ORBITS).astype(int)][None]
    kicks = torch.randn(orbits.shape, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    orbits = orbits + KICK * states.std(dim=0) * kicks
    for _ in range(APART):
        orbits = flow.step(orbits)
    spectrum = lyapunov_spectra(flow, orbits, steps=STEPS, warmup=WARMUP, k=1)[0]
    if not spectrum.finite:
        return {"lambda_source": "unknown: an orbit near the trajectory diverges"}
    return {
        "lambda_max": spectrum.maximum,
        "lambda_source": f"measured from the equations: {ORBITS} orbits of {STEPS} steps",
        "notes": {"lambda_stderr": float(spectrum.stderr[0])},
    }
