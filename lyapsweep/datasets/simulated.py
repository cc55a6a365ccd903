"""Series from a system whose equations are known: long trajectories, the last of them continued to be held out."""

import math
from typing import Any

import numpy as np
import torch
from torch import Tensor

from lyapsweep import systems
from lyapsweep.datasets.assembly import assemble, lost
from lyapsweep.datasets.series import LEAST_TEST, BadSeries, Series, set_apart
from lyapsweep.dynamics.lyapunov import lyapunov_spectra
from lyapsweep.registry import unknown
from lyapsweep.systems import AbstractSystem

TRANSIENT = 1000  # steps before the training part, to reach the attractor
ORBITS, STEPS, WARMUP = 256, 1000, 300  # of the tangent vectors that measure an unknown exponent
KICK, APART = 1e-3, 2000  # standard deviations, and steps to grow from there to the size of the attractor
GAP = 1000  # steps between the training and the test part, to forget where the first one ended
NOISY = ("train", "both")  # which parts observation noise falls on


def simulated(
    *,
    system: str,
    length: int = 20000,
    dt: float | None = None,
    parameters: dict | None = None,
    noise: float = 0.0,
    noise_on: str = "train",
    test: float = 0.25,
    observe: list | None = None,
    inputs: list | None = None,
    dimension: int = 1,
    delay: int = 1,
    trajectories: int = 1,
    starts: list | None = None,
    transient: int = TRANSIENT,
    standardise: bool | str = "column",
    seed: int = 0,
) -> Series:
    """Trajectories of a known system: `length` steps to train on and, after a gap, `test * length` held out.

    `system` is a name of `lyapsweep.systems` (`lorenz63`, ..., or any flow of dysts), `parameters` its own, `dt` the
    time between samples (the system's own where None). `observe` lists the columns to predict by name or position (all
    but the inputs where None; of a delay equation the present value), and `inputs` those that are given. `dimension` >
    1 embeds each of the former in its past, `delay` samples apart.

    `noise` is Gaussian observation noise, in units of each column's standard deviation. It falls on the training part
    alone, so that the test part is the clean truth, as in Hess et al. 2023; or, with `noise_on: both`, on both.

    The training part is `trajectories` pieces of `length / trajectories` steps, after `transient` steps each, from
    seeded starts or from the states in `starts`; windows never cross from one into the next, and the test part
    continues the last one. `standardise` is `column`, `global` or `none`, see `series.scaled`. `seed` sets starts and
    noise.

    `lambda_max` is the literature's where the parameters are the cited ones, else measured from the equations, with its
    standard error in `notes["lambda_stderr"]`; nats per sample.

    Raises `BadSeries` where a trajectory diverges or comes to rest, `UnknownName` for a system, parameter or column.
    """
    if not 0 <= noise < math.inf or transient < 0 or min(dimension, delay) < 1:
        raise BadSeries(
            f"simulated: 0 <= noise < inf, transient >= 0, dimension >= 1 and delay >= 1 must hold, but got "
            f"noise={noise}, transient={transient}, dimension={dimension}, delay={delay}."
        )
    lengths, held_out = sizes(length, test, len(starts) if starts else trajectories, lost(dimension, delay))
    flow = systems.build(system, dt, **(parameters or {}))
    source = f"simulated: {system}"
    seen, driving = set_apart((flow.shown or None) if observe is None else observe, inputs, flow.names, source)
    columns = seen + driving
    generator = torch.Generator().manual_seed(seed)
    states, ahead = orbits(flow, begin(flow, starts, len(lengths), generator), lengths, transient, held_out, source)
    train, truth = ([flow.observe(part).numpy()[:, columns] for part in parts] for parts in (states, [ahead]))
    train, truth = disturbed(train, truth[0], noise, noise_on, generator)
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
    """Steps of each training piece and of the held-out part, each with `before` more that embedding will take off."""
    held_out = round(test * length)
    if length < 2 or not 1 <= pieces <= length or held_out < LEAST_TEST:
        raise BadSeries(
            f"simulated: length >= 2, 1 <= trajectories <= length and test * length >= {LEAST_TEST} must hold, but got "
            f"length={length}, trajectories={pieces}, test={test}."
        )
    return [before + length // pieces + (i < length % pieces) for i in range(pieces)], before + held_out


def begin(flow: AbstractSystem, starts: list | None, pieces: int, generator: torch.Generator) -> Tensor:
    """(1, pieces, state): the states that were given, else seeded ones near the attractor."""
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
    """The trajectories (time, state) from each start after its transient, and what the last one does after the gap."""
    pieces, last = [], len(lengths) - 1
    for i, length in enumerate(lengths):
        further = GAP + held_out if i == last else 0
        pieces.append(trajectory(flow, starts[:, i : i + 1], transient, length + further, source))
    return [*pieces[:-1], pieces[-1][: lengths[-1]]], pieces[-1][-held_out:]


def disturbed(
    train: list[np.ndarray], truth: np.ndarray, noise: float, noise_on: str, generator: torch.Generator
) -> tuple[list[np.ndarray], np.ndarray]:
    """Observation noise, in standard deviations that each column has over all training pieces."""
    if noise_on not in NOISY:
        raise unknown("part for noise_on", noise_on, list(NOISY), "simulated")
    if not noise:
        return train, truth
    scale = noise * np.concatenate(train).std(axis=0)
    shake = lambda part: part + scale * torch.randn(part.shape, generator=generator, dtype=torch.float64).numpy()  # noqa: E731
    noisy = [shake(part) for part in train]
    return noisy, shake(truth) if noise_on == "both" else truth


def trajectory(flow: AbstractSystem, start: Tensor, transient: int, steps: int, source: str) -> Tensor:
    """(steps, state) of one orbit, after its transient."""
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
