"""Series simulated from known equations: long trajectories, the last of them continued for the held-out part."""

import math
from typing import Any

import numpy as np
import torch
from torch import Tensor

from lyapsweep import systems
from lyapsweep.datasets.assembly import assemble, lost
from lyapsweep.datasets.series import LEAST_TEST, BadSeries, Series, split_columns
from lyapsweep.dynamics.lyapunov import lyapunov_spectra
from lyapsweep.registry import unknown
from lyapsweep.setting_types import Count, CountOrZero, NonNegative, Positive, Seed
from lyapsweep.systems import AbstractSystem

TRANSIENT = 1000  # steps before the training part, to reach the attractor
ORBITS, STEPS, WARMUP = 256, 1000, 300  # of the tangent vectors that measure an unknown exponent
KICK, APART = 1e-3, 2000  # standard deviations, and steps to grow from there to the size of the attractor
GAP = 1000  # steps between the training and the test part, to forget where the first one ended
NOISY = ("train", "both")  # which parts observation noise falls on


def simulated(
    *,
    system: str,
    length: Count = 20000,
    dt: Positive | None = None,
    parameters: dict | None = None,
    noise: NonNegative = 0.0,
    noise_on: str = "train",
    test: Positive = 0.25,
    observe: list | None = None,
    inputs: list | None = None,
    dimension: Count = 1,
    delay: Count = 1,
    trajectories: Count = 1,
    starts: list | None = None,
    transient: CountOrZero = TRANSIENT,
    standardise: bool | str = "column",
    seed: Seed = 0,
) -> Series:
    """Simulate trajectories of a known system, with a held-out part after a gap.

    `lambda_max` is the published exponent for cited parameters, else measured from the equations, with its standard
    error in `notes["lambda_stderr"]`; nats per sample.

    Args:
        system: A name of `lyapsweep.systems.names()`, such as "lorenz63".
        length: Training steps, 20000 by default.
        dt: Time between samples; None (the default) is the system's own.
        parameters: Parameters of the system; its own by default.
        noise: Gaussian observation noise, in standard deviations of each column; 0.0 by default.
        noise_on: "train" (the default), so that the test part is the clean truth (Hess et al. 2023), or "both".
        test: Held-out steps as a share of `length`, 0.25 by default.
        observe: Columns to predict, by name or position; None (the default) is all but the inputs, of a delay equation
            the present value.
        inputs: Columns that are given as inputs; None by default.
        dimension: Number of delay coordinates per predicted column, 1 by default.
        delay: Delay in samples, 1 by default.
        trajectories: Number of training trajectories of length / trajectories steps, 1 by default. Windows never cross
            from one into the next; the test part continues the last one.
        starts: First states of the trajectories; None (the default) draws them.
        transient: Steps of each trajectory that are dropped, 1000 by default.
        standardise: "column" (the default), "global" or "none", see `lyapsweep.datasets.series.scaled`.
        seed: Seed of starts and noise, 0 by default.

    Returns:
        A series.

    Raises:
        BadSeries: If a trajectory diverges or comes to rest, or a setting is out of its range.
        UnknownName: If the system, a parameter or a column is unknown.

    Example:
        >>> series = simulated(system="henon", length=200)
        >>> series.train.shape, series.test.shape, series.lambda_max
        ((200, 2), (50, 2), 0.4192)
    """
    if not 0 <= noise < math.inf or transient < 0 or min(dimension, delay) < 1:
        raise BadSeries(
            f"simulated: 0 <= noise < inf, transient >= 0, dimension >= 1 and delay >= 1 must hold, but got "
            f"noise={noise}, transient={transient}, dimension={dimension}, delay={delay}."
        )
    lengths, held_out = sizes(length, test, len(starts) if starts else trajectories, lost(dimension, delay))
    flow, source = systems.build(system, dt, **(parameters or {})), f"simulated: {system}"
    shown = (flow.shown or None) if observe is None else observe
    seen, driving = split_columns(shown, inputs, flow.names, source)
    generator = torch.Generator().manual_seed(seed)
    first, columns = first_states(flow, starts, len(lengths), generator), seen + driving
    states, ahead = orbits(flow, first, lengths, transient, held_out, source)
    train, truth = ([flow.observe(part).numpy()[:, columns] for part in parts] for parts in (states, [ahead]))
    train, truth = add_noise(train, truth[0], noise, noise_on, generator)
    return assemble(
        train,
        truth,
        tuple(flow.names[c] for c in columns),
        source=source,
        dt=flow.dt or 1.0,
        inputs=len(driving),
        dimension=dimension,
        delay=delay,
        standardise=standardise,
        **largest_exponent(flow, states[-1]),
    )


def sizes(length: int, test: float, pieces: int, before: int) -> tuple[list[int], int]:
    """Steps of each training piece and of the held-out part, each with the `before` rows that embedding removes."""
    held_out = round(test * length)
    if length < 2 or not 1 <= pieces <= length or held_out < LEAST_TEST:
        raise BadSeries(
            f"simulated: length >= 2, 1 <= trajectories <= length and test * length >= {LEAST_TEST} must hold, but got "
            f"length={length}, trajectories={pieces}, test={test}."
        )
    return [before + length // pieces + (i < length % pieces) for i in range(pieces)], before + held_out


def first_states(flow: AbstractSystem, starts: list | None, pieces: int, generator: torch.Generator) -> Tensor:
    """(1, pieces, state): the given states, else seeded ones near the attractor."""
    if not starts:
        return flow.start(pieces, generator)
    try:
        given = torch.tensor(starts, dtype=torch.float64)
    except (TypeError, ValueError):
        given = torch.empty(0)
    if given.shape != (pieces, flow.state):
        raise BadSeries(f"simulated: starts must be a list of states of {flow.state} numbers, but got {starts!r}.")
    return given[None]


def orbits(
    flow: AbstractSystem, starts: Tensor, lengths: list[int], transient: int, held_out: int, source: str
) -> tuple[list[Tensor], Tensor]:
    """The trajectories (time, state) after their transients, and the continuation of the last one after the gap."""
    pieces, last = [], len(lengths) - 1
    for i, length in enumerate(lengths):
        further = GAP + held_out if i == last else 0
        pieces.append(trajectory(flow, starts[:, i : i + 1], transient, length + further, source))
    return [*pieces[:-1], pieces[-1][: lengths[-1]]], pieces[-1][-held_out:]


def add_noise(
    train: list[np.ndarray], truth: np.ndarray, noise: float, noise_on: str, generator: torch.Generator
) -> tuple[list[np.ndarray], np.ndarray]:
    """Add observation noise, in standard deviations of each column over all training pieces."""
    if noise_on not in NOISY:
        raise unknown("part for noise_on", noise_on, list(NOISY), "simulated")
    if not noise:
        return train, truth
    scale = noise * np.concatenate(train).std(axis=0)
    shake = lambda part: part + scale * torch.randn(part.shape, generator=generator, dtype=torch.float64).numpy()  # noqa: E731
    noisy = [shake(part) for part in train]
    return noisy, shake(truth) if noise_on == "both" else truth


def trajectory(flow: AbstractSystem, start: Tensor, transient: int, steps: int, source: str) -> Tensor:
    """(steps, state) of one orbit after its transient."""
    states = flow.trajectory(start, transient + steps)
    bad = np.flatnonzero(~np.isfinite(states).all(axis=1))
    if len(bad):
        raise BadSeries(
            f"{source}: the trajectory left the finite numbers at step {bad[0]} with dt={flow.dt}. "
            f"Take a smaller dt, more substeps, or parameters whose orbits stay bounded."
        )
    late = states[(transient + len(states)) // 2 :]
    if (late.std(axis=0) < 1e-10 * np.abs(states).max()).all():
        raise BadSeries(f"{source}: the trajectory comes to rest: there is nothing to learn. Take other parameters.")
    return torch.from_numpy(states[transient:])


def largest_exponent(flow: AbstractSystem, states: Tensor) -> dict[str, Any]:
    """`lambda_max` per sample, its source and its standard error: published, else measured from the equations.

    Published exponents are given whole.

    Orbits start at points spread over the trajectory and are perturbed and evolved first; otherwise they would all
    measure the same part of one orbit and the standard error would be too small. For a `dt` far finer than the dynamics
    they stay near each other and see little of the attractor.
    """
    if flow.known is not None:
        per_sample = flow.dt or 1.0
        exponents, error = [e * per_sample for e in flow.known.exponents], flow.known.stderr * per_sample
        known = {"lambda_max": exponents[0], "exponents": tuple(exponents), "lambda_source": flow.known.citation}
        return known | {"notes": {"lambda_stderr": error}}
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
