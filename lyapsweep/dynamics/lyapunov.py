"""Lyapunov exponents of any map (Benettin et al. 1980; Shimada and Nagashima 1979), with checks of the result."""

from functools import partial

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from lyapsweep.dynamics.checks import SAMPLED_STEPS, has_closed_form, log_dets, sampled_sum_rule, sum_rule
from lyapsweep.dynamics.escape import escaping
from lyapsweep.dynamics.frames import (
    Driving,
    FrameMethod,
    FrameResult,
    adaptive,
    given_frame,
    householder,
    random_frame,
)
from lyapsweep.dynamics.lu import batched_lu, lu, lu_blocks, runs_compiled
from lyapsweep.dynamics.run import Run, filled, to_spectrum
from lyapsweep.dynamics.spectrum import Spectrum
from lyapsweep.maps import AbstractMap, States, Tangents, check_time_step, has_factors
from lyapsweep.registry import unknown

BLOCKS = 10  # of the steps of an orbit
METHODS = {"qr": householder, "adaptive": adaptive, "lu": lu, "batched_lu": batched_lu}
LU_FROM, LU_FROM_ALONE = 48, 16  # states from which LU beats batched QR without factors: of several orbits, of one


@torch.no_grad()
def lyapunov_spectra(
    map: AbstractMap,
    z: States,
    inputs: Driving = None,
    *,
    steps: int,
    warmup: int = 0,
    k: int | None = None,
    kind: str = "system",
    seed: int = 0,
    method: str = "auto",
    interval: int = 1,
    segments: int = 1,
    frame: Tensor | None = None,
) -> list[Spectrum]:
    """Compute the leading exponents of every member of a population, in nats per step.

    A frame of tangent vectors V is carried along, V <- V Df(z_t, x_t)^T, and orthonormalised at each step, V^T = Q R;
    lambda_i is the mean of log |R_ii| over steps and orbits, after `warmup` steps that align state and frame. The order
    of factors is Df(z_T) ... Df(z_1). Exponents are -inf for a tangent vector that a singular Jacobian annihilates, NaN
    for a member whose orbit diverges. Standard errors know
    the correlations of successive blocks of each orbit (`dynamics.errors`).

    Args:
        map: The map.
        z: First states, one orbit per batch row, shape (population, batch, state); their precision is that of the
            tangents.
        inputs: Driving inputs with at least warmup + steps rows, shape (time, population, batch, inputs); None (the
            default) for maps without inputs.
        steps: Number of counted steps per orbit.
        warmup: Number of steps before them, 0 by default.
        k: Number of leading exponents; None (the default) computes all.
        kind: What `Spectrum.map` says, "system" by default.
        seed: Seed of the first frame, which all members share; 0 by default.
        method: "qr" factorises every `interval` steps; "adaptive" as seldom as the digits allow; "lu" and "batched_lu"
            use
            pivoted LU, which is cheaper for full spectra. "auto" (the default) chooses the fastest.
        interval: Steps between two factorisations of "qr", 1 by default.
        segments: Number of segments of an orbit that are carried side by side, each aligned over `warmup` steps; 1 by
            default. It divides the steps in sequence, at (steps / segments + warmup) segments / steps times the work.
        frame: First tangent vectors, shape (k, state) or (orbits, k, state), orthonormalised before the first step, so
            that a short run can be repeated; None (the default) draws them by `seed`.

    Returns:
        One `Spectrum` per member, exponents largest first; `Spectrum.checks` tells how reliable they are.

    Raises:
        ValueError: If `k` is not in 1 ... state, inputs are too short, or a setting is unknown.

    Example:
        >>> from lyapsweep.systems import build
        >>> (spectrum,) = lyapunov_spectra(build("tent", s=1.5), torch.full((1, 1, 1), 0.1).double(), steps=100)
        >>> spectrum.exponents.round(4)
        array([0.4055])
    """
    V = None if frame is None else given_frame(frame, z)
    k = (map.state if V is None else V.shape[2]) if k is None else k
    check_arguments(map, inputs, steps, warmup, k, method, interval, segments)
    orbits, each = z.shape[1], steps // segments
    alike = inputs is None or bool((inputs == inputs[:, :, :1]).all())
    if segments > 1:
        z, inputs = split_into_segments(map, z, inputs, warmup, each, segments)
    method = choose_method(map, z, k) if method == "auto" else method
    carry = partial(householder, interval=interval) if method == "qr" else METHODS[method]
    settings = {"warmup": warmup, "seed": seed, "method": method, "segments": segments, "dtype": str(z.dtype)[6:]}
    settings |= {"interval": interval} if method == "qr" else {}
    settings |= {} if V is None else {"frame": "given"}
    V = random_frame(z, k, seed) if V is None else V[:, :, :k].repeat(1, segments, 1, 1)
    run = measure(map, z, inputs, V, carry, warmup, each, interval)
    return [to_spectrum(run, p, map, kind, orbits, settings, alike) for p in range(len(z))]


def measure(
    map: AbstractMap,
    z: States,
    inputs: Driving,
    V: Tangents,
    carry: FrameMethod,
    warmup: int,
    steps: int,
    interval: int,
) -> Run:
    """Align, then count BLOCKS blocks one after the other; with all exponents, apply the sum rule."""
    if warmup:
        z, V, *_ = carry(map, z, inputs, V, warmup)
    counted = None if inputs is None else inputs[warmup:]
    whole, residual = V.shape[2] == map.state, None
    if whole and not has_closed_form(map):
        residual = sampled_sum_rule(map, z, counted, V, carry, min(steps, max(interval, SAMPLED_STEPS)))
    edges = np.unique(np.linspace(0, steps, min(BLOCKS, steps) + 1).astype(int))
    blocks = carry_blocks(map, z, counted, V, carry, edges)
    z = blocks[-1].z
    if whole and residual is None:
        residual = sum_rule(map, blocks, counted)
    growth, counts = torch.stack([b.growth for b in blocks]), np.diff(edges)
    growth[:, ~z.isfinite().flatten(1).all(dim=1)] = torch.nan  # a diverged orbit has no exponents
    parts, lengths = filled([block.parts for block in blocks], [block.lengths for block in blocks])
    error = torch.stack([b.error for b in blocks]).amax(dim=0)
    checks = [
        {"resolution": e} | ({} if residual is None else {"sum_rule": float(residual[p])})
        for p, e in enumerate(error.tolist())
    ]
    escaped = escaping(map, blocks, z, counted).cpu().numpy()
    return Run(growth.cpu().numpy() / counts[:, None, None, None], counts, parts, lengths, checks, escaped)


def carry_blocks(
    map: AbstractMap, z: States, inputs: Driving, V: Tangents, carry: FrameMethod, edges: np.ndarray
) -> list[FrameResult]:
    """The results of successive blocks, without their frames, which are large; LU carries all blocks in one call."""
    if carry is lu:
        blocks = lu_blocks(map, z, inputs, V, np.diff(edges).tolist())
        return [block._replace(V=block.V[:, :, :0].clone()) for block in blocks]
    blocks: list[FrameResult] = []
    for first, last in zip(edges.tolist(), edges[1:].tolist()):
        block = carry(map, z, None if inputs is None else inputs[first:], V, last - first)
        z, V = block.z, block.V
        blocks.append(block._replace(V=V[:, :, :0].clone()))
    return blocks


def check_arguments(
    map: AbstractMap, inputs: Driving, steps: int, warmup: int, k: int, method: str, interval: int, segments: int
) -> None:
    """Raise ValueError for arguments that are not possible."""
    check_time_step(map.dt)
    if not 1 <= k <= map.state:
        raise ValueError(f"k={k} is outside 1 <= k <= {map.state}, the size of the state. Choose k in this range.")
    if inputs is not None and len(inputs) < warmup + steps:
        raise ValueError(
            f"inputs: {len(inputs)} inputs are fewer than warmup + steps = {warmup} + {steps}. Give more inputs."
        )
    if method not in ("auto", *METHODS):
        raise unknown("method", method, ["auto", *METHODS])
    if interval < 1 or (interval > 1 and method != "qr"):
        raise ValueError(
            f"interval={interval} with method='{method}' is not possible. Use 1, or more with method='qr'."
        )
    if not 1 <= segments <= steps:
        raise ValueError(
            f"segments={segments} is outside 1 <= segments <= {steps} steps. Choose segments in this range."
        )


def choose_method(map: AbstractMap, z: States, k: int) -> str:
    """The fastest method according to `benchmarks/spectrum.py`."""
    if z.is_cuda:
        return "batched_lu"
    if (has_factors(map) or map.cheap_jacobian) and runs_compiled(z):
        return "lu"
    frames = z.shape[0] * z.shape[1]
    return "lu" if k == map.state and k >= (LU_FROM if frames > 1 else LU_FROM_ALONE) else "adaptive"


def split_into_segments(
    map: AbstractMap, z: States, inputs: Driving, warmup: int, each: int, segments: int
) -> tuple[Tensor, Tensor | None]:
    """Start states (population, segments x batch, state) of the segments of every orbit, and the inputs of each.

    Segment i counts the steps from warmup + i each and begins `warmup` steps earlier.
    """
    before = torch.cat((z.unsqueeze(0), map.orbit(z, inputs, each * (segments - 1))))
    starts = before[::each].transpose(0, 1).flatten(1, 2)
    if inputs is None:
        return starts, None
    windows = [inputs[i * each : i * each + warmup + each] for i in range(segments)]
    return starts, torch.cat(windows, dim=2)


@torch.no_grad()
def finite_time_exponents(
    map: AbstractMap,
    z: States,
    inputs: Driving = None,
    *,
    windows: int,
    length: int,
    warmup: int = 0,
    k: int | None = None,
    seed: int = 0,
) -> Float[np.ndarray, "windows population batch k"]:
    """Compute the exponents of successive windows of an orbit, in nats per step: a distribution.

    lambda_i(t) is the sum of log R_ii over one window, divided by its length; the frame is carried on from window to
    window. Their mean is the Lyapunov spectrum; their spread falls with the length as 1 / sqrt(length) if the
    stretching decorrelates (Ott 2002, section 9.4).

    Args:
        map: The map.
        z: First states, shape (population, batch, state).
        inputs: Driving inputs, shape (time, population, batch, inputs); None by default.
        windows: Number of windows.
        length: Steps per window.
        warmup: Steps before the first window, 0 by default.
        k: Number of leading exponents; None (the default) computes all.
        seed: Seed of the first frame, 0 by default.

    Returns:
        Exponents, shape (windows, population, batch, k).

    Raises:
        ValueError: If `k` is not in 1 ... state or inputs are too short.

    Example:
        >>> from lyapsweep.systems import build
        >>> z = torch.full((1, 1, 1), 0.1, dtype=torch.float64)
        >>> finite_time_exponents(build("tent", s=1.5), z, windows=3, length=10).round(4).ravel()
        array([0.4055, 0.4055, 0.4055])
    """
    k = map.state if k is None else k
    check_arguments(map, inputs, windows * length, warmup, k, "auto", 1, 1)
    carry, V, t, found = METHODS[choose_method(map, z, k)], random_frame(z, k, seed), warmup, []
    if warmup:
        z, V, *_ = carry(map, z, inputs, V, warmup)
    for _ in range(windows):
        z, V, growth, *_ = carry(map, z, None if inputs is None else inputs[t:], V, length)
        found.append(growth / length)
        t += length
    return torch.stack(found).cpu().numpy()


@torch.no_grad()
def mean_exponent(
    map: AbstractMap, z: States, inputs: Driving = None, *, steps: int
) -> Float[np.ndarray, " population"]:
    """Compute the mean of all exponents by the sum rule, <log |det Df|> / state in nats per step, without tangents.

    Costs O(N) per step for maps with a closed form (tanh network, LSTM), one LU of the Jacobian for others.

    Args:
        map: The map.
        z: First states, already on the attractor, shape (population, batch, state).
        inputs: Driving inputs, shape (time, population, batch, inputs); None by default.
        steps: Number of steps.

    Returns:
        Means, shape (population,).

    Example:
        >>> from lyapsweep.systems import build
        >>> mean_exponent(build("henon"), torch.zeros(1, 1, 2, dtype=torch.float64), steps=10).round(4)
        array([-0.602])
    """
    before = torch.cat((z.unsqueeze(0), map.orbit(z, inputs, steps)[:-1]))
    chunk = max(1, 2**20 // (z.shape[0] * z.shape[1] * map.state**2))  # Jacobians formed at a time
    total = sum(
        log_dets(map, before[t : t + chunk], None if inputs is None else inputs[t : t + chunk]).sum(dim=0)
        for t in range(0, steps, chunk)
    )
    return (total.mean(dim=1) / steps / map.state).cpu().numpy()  # type: ignore[union-attr]
