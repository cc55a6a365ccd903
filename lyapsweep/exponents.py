"""Lyapunov spectra of one map, system, or recurrent torch module."""

import copy
import itertools
import math
import warnings
from dataclasses import replace
from typing import Any

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor, nn

from lyapsweep.arrays import BadArray, real_array
from lyapsweep.cells import AbstractCell, Stack, from_torch
from lyapsweep.cells.cell import refuse_without_weights
from lyapsweep.dynamics import Spectrum, lyapunov_spectra
from lyapsweep.dynamics.vogt2022 import WARNING, vogt_spectra
from lyapsweep.maps import AbstractMap, Forced, States, check_time_step
from lyapsweep.registry import unknown
from lyapsweep.systems import AbstractSystem

ORBITS, WARMUP = 4, 500  # defaults of a map without inputs
SYSTEM_ORBITS, SYSTEM_STEPS, TRANSIENT = 128, 2000, 5000  # of a system; the transient leads to its attractor
MOST_STEPS, GROWTH, RELATIVE, ABSOLUTE = 16_000, 4, 0.005, 0.002  # steps and their growth; error of lambda_1, per time
KEPT_STEPS = 100  # of the transient in memory at a time
SPREAD = 0.1  # standard deviation of its first states by default
Array = np.ndarray | Tensor


class BadInputs(ValueError):
    """Inputs that do not fit the map; the message names the shape or the first bad value, and what fits."""


def lyapunov_spectrum(
    what: AbstractMap | nn.Module,
    inputs: Array | None = None,
    *,
    steps: int | None = None,
    warmup: int | None = None,
    k: int | None = None,
    orbits: int | None = None,
    segments: int = 1,
    start: Array | None = None,
    dt: float | None = None,
    dtype: torch.dtype = torch.float64,
    seed: int = 0,
    method: str = "auto",
    compat: str | None = None,
    frame: Array | None = None,
) -> Spectrum:
    """Compute the Lyapunov spectrum of one map or recurrent torch module.

    lambda_i = lim 1/T log sigma_i(J_T ... J_2 J_1), where J_t is the Jacobian of the whole state (h and c of an LSTM).

    Args:
        what: An `AbstractMap` of one member, or a `torch.nn.RNN`, `LSTM` or `GRU`.
        inputs: Driving inputs, shape (time, features) or (batch, time, features), for exponents conditional on them
            ("driven"). None lets the map run by itself: "closed loop" for a cell without inputs, "zero input" for one
            with inputs, "system" for a system, "map" for another `AbstractMap`.
        steps: Number of counted steps per orbit. Required without inputs; with inputs by default all after `warmup`.
        warmup: Steps that align state and frame. Default: 500, or a tenth of the inputs.
        k: Number of leading exponents; None computes all.
        orbits: Number of orbits without inputs. Default: 4.
        segments: Number of pieces into which each orbit is cut; they run side by side.
        start: First states, shape (state,) or (batch, state), or h0 or (h0, c0) as torch takes them. Default: zero with
            inputs, as in torch; without inputs random near zero, or near the attractor of a system.
        dt: Time between two inputs, for exponents per unit time.
        dtype: Floating-point type of a network.
        seed: Seed of random starts and frames.
        method: How frames are orthonormalised, as in `lyapunov_spectra`.
        compat: "vogt" gives the convention of Vogt et al. 2022 in bits per step, with a warning (`dynamics.vogt2022`).
        frame: First tangent vectors in rows, shape (k, state) or (orbits, k, state), with which others' short runs can
            be repeated (`warmup=0`). Default: drawn by `seed`.

    Returns:
        A `Spectrum`: `exponents` (k,) in nats per step, largest first, their `stderr`, and checks.

    Raises:
        BadInputs: If inputs, steps and warmup do not fit the map or each other.
        ValueError: If weights, shapes or settings are not valid.
        TypeError: If `what` is neither a map nor a recurrent torch module.

    Example:
        >>> from lyapsweep.systems import build
        >>> lyapunov_spectrum(build("henon"), steps=500, warmup=100).exponents.sum().round(4)
        np.float64(-1.204)
    """
    if compat not in (None, "vogt"):
        raise unknown("convention", compat, ["vogt"])
    if segments < 1 or (compat and (segments > 1 or method != "auto" or frame is not None)):
        raise ValueError(
            f"segments >= 1 must hold, and compat goes without segments, method and frame, but got {segments=}."
        )
    map = prepared(what, dt, dtype)
    if inputs is None:
        if steps is None:
            raise BadInputs(
                "Give inputs (time, features) or (batch, time, features) to drive the map, or steps=... to let it run "
                "by itself (a network that takes inputs then gets zeros)."
            )
        driving, warmup = None, WARMUP if warmup is None else warmup
    else:
        if orbits is not None:
            raise BadInputs("orbits is for maps that run by themselves; with inputs the batch says how many there are.")
        driving = driven_by(map, inputs, dtype)
        warmup, steps = lengths(len(driving), warmup, steps, segments)
    z = starts(map, driving, start, orbits, dtype, seed)
    plan: dict[str, Any] = {"steps": steps, "warmup": warmup, "k": k, "kind": kind_of(map, driving)}
    if compat == "vogt":
        warnings.warn(WARNING, stacklevel=2)
        return vogt_spectra(map, z, driving, visible=getattr(map, "visible", None), **plan)[0]
    V = None if frame is None else torch.as_tensor(frame)
    return lyapunov_spectra(map, z, driving, seed=seed, method=method, segments=segments, frame=V, **plan)[0]


def prepared(what: AbstractMap | nn.Module, dt: float | None, dtype: torch.dtype) -> AbstractMap:
    """A map of one network in `dtype`; a copy where it is a module, so that the caller's stays as it is."""
    if not isinstance(what, AbstractMap | nn.Module):
        raise TypeError(f"A map or a recurrent layer of torch.nn is needed, but got {type(what).__name__}.")
    if isinstance(what, nn.RNNBase) and what.dropout and what.training:
        warnings.warn(f"dropout={what.dropout} between layers is left out, as in evaluation.", stacklevel=3)
    map = what if isinstance(what, AbstractMap) else from_torch(what)
    check_time_step(dt)
    check_time_step(map.dt)  # of a user's map
    if map.population != 1:
        raise ValueError(f"One network is measured, but this is a population of {map.population}: lyapunov_spectra.")
    if isinstance(map, AbstractCell | Stack):
        refuse_without_weights(map)
    if isinstance(map, nn.Module):
        for name, weight in map.named_parameters():
            if not weight.isfinite().all():
                raise ValueError(f"{name} holds values that are not finite; such a network moves nowhere.")
        map = copy.deepcopy(map).to(dtype)
        map.dt = map.dt if dt is None else dt
    elif dt is not None or (isinstance(map, AbstractSystem) and dtype != torch.float64):
        raise ValueError(f"dt and dtype are settings of networks; {type(map).__name__} has its own.")
    return map


def device_of(map: AbstractMap) -> torch.device | None:
    """Where the tensors of a module lie; None for a map that has none."""
    if not isinstance(map, nn.Module):
        return None
    first = next(itertools.chain(map.parameters(), map.buffers()), None)
    return None if first is None else first.device


def driven_by(map: AbstractMap, inputs: Array, dtype: torch.dtype) -> Float[Tensor, "time 1 batch inputs"]:
    """Inputs as the engine takes them, checked against the map."""
    if isinstance(map, AbstractSystem):
        raise BadInputs(f"{type(map).__name__} runs by itself: leave inputs out and give steps=... instead.")
    try:
        values = real_tensor(inputs, "inputs")
    except BadArray as error:
        raise BadInputs(str(error)) from error
    if values.dim() not in (2, 3):
        raise BadInputs(f"inputs must be (time, features) or (batch, time, features), but are {tuple(values.shape)}.")
    series = values.unsqueeze(0) if values.dim() == 2 else values
    wanted = getattr(map, "inputs", None)
    if wanted == 0:
        raise BadInputs("The network takes no inputs, so it runs by itself. Leave them out and give steps=... instead.")
    if wanted is not None and series.shape[2] != wanted:
        raise BadInputs(
            f"The network takes {wanted} inputs a step, but the series has {series.shape[2]} features: "
            f"{tuple(values.shape)} must end in {wanted}. "
            + ("Transpose it." if series.shape[1] == wanted else "A single column is written (time, 1).")
        )
    bad = (~series.isfinite()).nonzero()
    if len(bad):
        b, t, f = bad[0].tolist()
        raise BadInputs(f"{len(bad)} inputs are not finite, the first at batch {b}, time {t}, feature {f}.")
    return series.to(device_of(map) or values.device, dtype).transpose(0, 1).unsqueeze(1)


def lengths(time: int, warmup: int | None, steps: int | None, segments: int) -> tuple[int, int]:
    """(warmup, steps) within a series of `time` steps: a tenth to warm up, the rest counted, where not given."""
    if warmup is None:
        warmup = time // 10 if steps is None else max(0, min(time // 10, time - steps))
    steps = (time - warmup) // segments * segments if steps is None else steps
    if steps < 1 or warmup < 0 or warmup + steps > time:
        raise BadInputs(
            f"warmup + steps <= {time} (the length of the series) must hold with at least one step a segment, "
            f"but got warmup={warmup}, steps={steps}, segments={segments}. Give a longer series or fewer steps."
        )
    return warmup, steps


def starts(
    map: AbstractMap, driving: Tensor | None, start: Array | None, orbits: int | None, dtype: torch.dtype, seed: int
) -> States:
    """First states (1, batch, state): as given, a system's own, zero where driven, random where not."""
    device = device_of(map)
    z = None if start is None else first_states(start).to(device, dtype)
    batch = (
        driving.shape[2] if driving is not None else orbits or (len(z) if z is not None and z.dim() == 2 else ORBITS)
    )
    if z is not None:
        if z.shape not in ((map.state,), (batch, map.state)):
            raise ValueError(f"start must be ({map.state},) or ({batch}, {map.state}), but is {tuple(z.shape)}.")
        return z.expand(1, batch, map.state)
    generator = torch.Generator().manual_seed(seed)
    if isinstance(map, AbstractSystem):
        return map.start(batch, generator)
    z = torch.zeros(1, batch, map.state, dtype=torch.float64)
    if driving is None:
        z = SPREAD * torch.randn(1, batch, map.state, generator=generator, dtype=torch.float64)
    return z.to(device, dtype)


def real_tensor(values: Any, what: str) -> Tensor:
    """Real numbers as a tensor; one that is such a tensor stays where it is."""
    if not isinstance(values, Tensor):
        return torch.as_tensor(real_array(values, what))
    if values.is_complex():
        raise BadArray(f"{what}: real numbers are needed, but it holds {values.dtype}. Pass two columns of real ones.")
    return values


def first_states(start: Any) -> Tensor:
    """States (batch, state) of what torch takes too: h0 of shape (layers, batch, units), and (h0, c0) of an LSTM."""
    if isinstance(start, tuple):
        start = torch.cat([real_tensor(part, "start") for part in start], dim=-1)
        start = start if start.dim() == 3 else start.unsqueeze(1)
    z = real_tensor(start, "start")
    return z.transpose(0, 1).flatten(1) if z.dim() == 3 else z


def kind_of(map: AbstractMap, driving: Tensor | None) -> str:
    """Which cocycle this is: `Spectrum.map`."""
    if driving is not None:
        return "forced" if isinstance(map, Forced) else "driven"
    if isinstance(map, AbstractCell | Stack):
        return "zero input" if map.inputs else "closed loop"
    return "system" if isinstance(map, AbstractSystem) else "map"


def system_spectrum(
    system: AbstractSystem,
    *,
    steps: int | None = None,
    warmup: int = WARMUP,
    orbits: int = SYSTEM_ORBITS,
    k: int | None = None,
    seed: int = 0,
    compat: str | None = None,
) -> Spectrum:
    """Compute the Lyapunov spectrum of a system along orbits on its attractor.

    Args:
        system: The system.
        steps: Counted steps per orbit. None (the default) takes 2000 to 16 000, until the standard error of lambda_1 is
            at most 0.5 % of it or 0.002 per unit time and a flow has its zero (`settings["converged"]`).
        warmup: Steps per orbit that align the tangent vectors, not counted.
        orbits: Number of orbits; they start from the system's own initial states after a transient.
        k: Number of leading exponents; None computes all.
        seed: Seed of the initial states and of the tangent vectors.
        compat: "vogt" for the published convention of Vogt et al. 2022, see `lyapunov_spectrum`.

    Returns:
        The spectrum, in nats per step.

    Raises:
        UnknownName: If there is no such convention.
        ValueError: If the sizes are not possible.

    Example:
        >>> from lyapsweep import systems
        >>> spectrum = system_spectrum(systems.build("henon"), steps=500, orbits=32)
        >>> spectrum.exponents.round(1)
        array([ 0.4, -1.6])
    """
    start, length = attractor_states(system, orbits, seed)[0], steps or SYSTEM_STEPS
    while True:
        spectrum = lyapunov_spectrum(system, steps=length, warmup=warmup, k=k, start=start, seed=seed, compat=compat)
        if compat:
            return spectrum
        excess = excess_of_error(spectrum)
        if steps is not None or spectrum.unbounded or excess <= 1 or length >= MOST_STEPS:
            break
        length = min(MOST_STEPS, length * math.ceil(min(GROWTH, excess**2)))
    told = {"converged": bool(excess <= 1)} if steps is None else {}
    return replace(spectrum, settings={"transient": TRANSIENT} | told | spectrum.settings)


def excess_of_error(spectrum: Spectrum) -> float:
    """By how many times the error of lambda_1 exceeds its bound; sqrt(2) or more if a flow lacks its zero."""
    error = float(np.nan_to_num(spectrum.stderr[0], nan=np.inf))
    excess = error / max(RELATIVE * abs(spectrum.maximum), ABSOLUTE * (spectrum.dt or 1.0))
    return max(excess, 1.0 if spectrum.zero_found or "zero" not in spectrum.checks else math.sqrt(2))


@torch.no_grad()
def attractor_states(system: AbstractSystem, orbits: int, seed: int) -> States:
    """States (1, orbits, state) near a system's attractor: its own initial states after a transient."""
    z = system.start(orbits, torch.Generator().manual_seed(seed))
    for first in range(0, TRANSIENT, KEPT_STEPS):
        z = system.orbit(z, None, min(KEPT_STEPS, TRANSIENT - first))[-1]
    return z
