"""Lyapunov exponents of any map (Benettin et al. 1980; Shimada and Nagashima 1979), and what certifies them."""

from functools import partial
from typing import Any, NamedTuple

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from lyapsweep.dynamics.checks import SAMPLED, agreement, has_closed_form, log_dets, sampled_sum_rule, sum_rule
from lyapsweep.dynamics.frames import Carried, Carrier, Driving, adaptive, householder, orthonormalise
from lyapsweep.dynamics.lu import explicit, lu
from lyapsweep.dynamics.spectrum import Spectrum
from lyapsweep.maps import AbstractMap, States, Tangents
from lyapsweep.registry import unknown

BLOCKS = 10
METHODS = {"qr": householder, "adaptive": adaptive, "lu": lu, "batched_lu": explicit}
WORTH_LU, WORTH_LU_ALONE = 48, 16  # states from which LU, frame by frame, beats batched QR on a CPU; for one frame


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
) -> list[Spectrum]:
    """The leading k exponents (all where k is None) of every member of a population, in nats per step.

    A frame of tangent vectors V is carried, V <- V Df(z_t, x_t)^T, and kept from collapsing, V^T = Q R at each step;
    lambda_i = mean over steps and orbits of log |R_ii|, after `warmup` steps that align state and frame, uncounted.
    The order of factors is Df(z_T) ... Df(z_1); the frame starts at random (`seed`), the same for every member.

    z (population, batch, state): one orbit a batch row; its precision is that of the tangents. `inputs`, where the map
    is driven or forced, leads with time and must hold warmup + steps rows. The standard error is over BLOCKS blocks
    of steps of each orbit. Exponents are -inf where a singular Jacobian annihilates a tangent vector, NaN for a member
    whose orbit left the finite numbers; `Spectrum.checks` says how far the rest can be trusted.

    `method` says how, not what: "qr" factorises every `interval` steps whether that keeps the digits or not, the
    reference; "adaptive" as seldom as keeps them; "lu" and "batched_lu" use pivoted LU, which is cheaper and bears
    every step; "auto" chooses. With `segments`, each orbit is cut into that many, carried side by side from a frame of
    their own that is aligned over `warmup` steps: as many times fewer steps in sequence, at (steps / segments +
    warmup) segments / steps times the work. Frames of a flow need about 1 / lambda_1 steps, others 20.

    Raises ValueError where k is not in 1 ... state, inputs are too short, or a setting is unknown.
    """
    k = map.state if k is None else k
    refuse(map, inputs, steps, warmup, k, method, interval, segments)
    orbits, each = z.shape[1], steps // segments
    if segments > 1:
        z, inputs = side_by_side(map, z, inputs, warmup, each, segments)
    method = chosen(map, z, k) if method == "auto" else method
    carrier = partial(householder, interval=interval) if method == "qr" else METHODS[method]
    settings = {"warmup": warmup, "seed": seed, "method": method, "segments": segments, "dtype": str(z.dtype)[6:]}
    settings |= {"interval": interval} if method == "qr" else {}
    run = carry(map, z, inputs, random_frame(z, k, seed), carrier, warmup, each, interval)
    return [collect(run, p, map, kind, orbits, settings) for p in range(len(z))]


class Run(NamedTuple):
    """Mean log R_ii per step of each block of steps, how long the blocks were, and what was noticed on the way."""

    rates: Float[np.ndarray, "blocks population batch k"]
    counts: np.ndarray
    checks: list[dict[str, float]]


def carry(
    map: AbstractMap,
    z: States,
    inputs: Driving,
    V: Tangents,
    carrier: Carrier,
    warmup: int,
    steps: int,
    interval: int,
) -> Run:
    """Align, then count, BLOCKS blocks one after the other; the sum rule where all exponents are there."""
    if warmup:
        z, V, *_ = carrier(map, z, inputs, V, warmup)
    counted = None if inputs is None else inputs[warmup:]
    whole, residual = V.shape[2] == map.state, None
    if whole and not has_closed_form(map):
        residual = sampled_sum_rule(map, z, counted, V, carrier, min(steps, max(interval, SAMPLED)))
    edges = np.unique(np.linspace(0, steps, min(BLOCKS, steps) + 1).astype(int))
    blocks: list[Carried] = []
    for first, last in zip(edges.tolist(), edges[1:].tolist()):
        block = carrier(map, z, None if counted is None else counted[first:], V, last - first)
        z, V = block.z, block.V
        blocks.append(block._replace(V=V[:, :, :0].clone()))  # frames are large, and a view would keep them
    if whole and residual is None:
        residual = sum_rule(map, blocks, counted)
    growth, counts = torch.stack([b.growth for b in blocks]), np.diff(edges)
    growth[:, ~z.isfinite().flatten(1).all(dim=1)] = torch.nan  # tangents of an orbit at infinity say nothing
    error = torch.stack([b.error for b in blocks]).amax(dim=0)
    noticed = [
        {"resolution": e} | ({} if residual is None else {"sum_rule": float(residual[p])})
        for p, e in enumerate(error.tolist())
    ]
    return Run(growth.cpu().numpy() / counts[:, None, None, None], counts, noticed)


def refuse(
    map: AbstractMap, inputs: Driving, steps: int, warmup: int, k: int, method: str, interval: int, segments: int
) -> None:
    """Raise ValueError for what cannot be done, before it is begun."""
    if not 1 <= k <= map.state:
        raise ValueError(f"1 <= k <= {map.state} (the size of the state) must hold, but got k={k}.")
    if inputs is not None and len(inputs) < warmup + steps:
        raise ValueError(f"warmup + steps <= {len(inputs)} inputs must hold, but got {warmup} + {steps}.")
    if method not in ("auto", *METHODS):
        raise unknown("method of carrying tangents", method, ["auto", *METHODS])
    if interval < 1 or (interval > 1 and method != "qr"):
        raise ValueError(f'interval = 1, or more with method="qr", must hold, but got {interval} with "{method}".')
    if not 1 <= segments <= steps:
        raise ValueError(f"1 <= segments <= {steps} steps must hold, but got {segments}.")


def chosen(map: AbstractMap, z: States, k: int) -> str:
    """The cheapest method here: what `benchmarks/spectrum.py` measured."""
    if z.is_cuda:
        return "batched_lu"
    frames = z.shape[0] * z.shape[1]
    return "lu" if k == map.state and k >= (WORTH_LU if frames > 1 else WORTH_LU_ALONE) else "adaptive"


def side_by_side(
    map: AbstractMap, z: States, inputs: Driving, warmup: int, each: int, segments: int
) -> tuple[Tensor, Tensor | None]:
    """Start states (population, segments x batch, state) of the segments of every orbit, and the inputs that each sees.

    Segment i counts the steps warmup + i each ... and begins `warmup` steps earlier, where the orbit is by then.
    """
    before = torch.cat((z.unsqueeze(0), map.orbit(z, inputs, each * (segments - 1))))
    starts = before[::each].transpose(0, 1).flatten(1, 2)
    if inputs is None:
        return starts, None
    windows = [inputs[i * each : i * each + warmup + each] for i in range(segments)]
    return starts, torch.cat(windows, dim=2)


def random_frame(z: States, k: int, seed: int) -> Float[Tensor, "population batch k state"]:
    """A random orthonormal frame for each orbit; members share it, so that a member does not depend on its pack."""
    generator = torch.Generator().manual_seed(seed)
    frame = torch.randn(1, z.shape[1], k, z.shape[2], generator=generator, dtype=torch.float64)
    q, _ = orthonormalise(frame)
    return q.to(z).expand(z.shape[0], -1, -1, -1)


def collect(run: Run, p: int, map: AbstractMap, kind: str, orbits: int, settings: dict[str, Any]) -> Spectrum:
    """Mean and standard error over blocks and orbits of member p, largest exponent first."""
    rates, counts = run.rates[:, p], run.counts
    _, batch, k = rates.shape
    samples = rates.reshape(-1, k)
    weights = np.repeat(counts / counts.sum() / batch, batch)
    with np.errstate(invalid="ignore"):
        mean = weights @ samples
        spread = samples.std(axis=0, ddof=1) / np.sqrt(len(samples)) if len(samples) > 1 else np.full(k, np.nan)
    order = np.argsort(-mean, kind="stable")
    flow = {"zero": float(np.abs(mean).min())} if kind == "system" and map.dt is not None else {}
    return Spectrum(
        exponents=mean[order],
        stderr=spread[order],
        steps=int(counts.sum()) * batch // orbits,
        orbits=orbits,
        map=kind,
        state=map.state,
        dt=map.dt,
        rank_losses=int((rates == -np.inf).any(axis=0).sum()),
        settings=settings,
        checks=run.checks[p] | agreement(rates) | flow,
    )


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
    """Exponents over each of `windows` successive windows of `length` steps, nats per step: a distribution.

    lambda_i(t) = (1 / length) sum of log R_ii over one window, the frame carried on from window to window (aligned over
    `warmup` steps before). Their mean over windows is the Lyapunov spectrum; their spread falls with the length as
    1 / sqrt(length) where stretching decorrelates (Ott 2002, section 9.4). Raises ValueError as `lyapunov_spectra`.
    """
    k = map.state if k is None else k
    refuse(map, inputs, windows * length, warmup, k, "auto", 1, 1)
    carrier, V, t, found = METHODS[chosen(map, z, k)], random_frame(z, k, seed), warmup, []
    if warmup:
        z, V, *_ = carrier(map, z, inputs, V, warmup)
    for _ in range(windows):
        z, V, growth, *_ = carrier(map, z, None if inputs is None else inputs[t:], V, length)
        found.append(growth / length)
        t += length
    return torch.stack(found).cpu().numpy()


@torch.no_grad()
def mean_exponent(
    map: AbstractMap, z: States, inputs: Driving = None, *, steps: int
) -> Float[np.ndarray, " population"]:
    """The mean of all exponents by the sum rule, nats per step: <log |det Df|> / state over `steps` steps, no tangents.

    O(N) a step for maps with a closed form (tanh network, LSTM), one LU of the Jacobian for others; `z` is taken as it
    is, so let it settle first.
    """
    before = torch.cat((z.unsqueeze(0), map.orbit(z, inputs, steps)[:-1]))
    piece = max(1, 2**20 // (z.shape[0] * z.shape[1] * map.state**2))  # Jacobians formed at a time
    total = sum(
        log_dets(map, before[t : t + piece], None if inputs is None else inputs[t : t + piece]).sum(dim=0)
        for t in range(0, steps, piece)
    )
    return (total.mean(dim=1) / steps / map.state).cpu().numpy()  # type: ignore[union-attr]
