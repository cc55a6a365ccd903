"""Lyapunov spectra on the card: methods, sizes, segments side by side, and the factorisations that they are made of."""

import time
from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np
import torch

from benchmarks.gpu.check import Section
from benchmarks.gpu.correctness import vanilla
from lyapsweep.dynamics import lyapunov_spectra
from lyapsweep.dynamics.frames import random_frame
from lyapsweep.dynamics.lyapunov import METHODS

SHAPES = ((32, 32, 4), (128, 16, 4), (256, 1, 4), (256, 4, 4), (512, 1, 2))  # units, members, orbits


def spectra(section: Section) -> None:
    """Milliseconds of a step of all orbits by the card's methods and by one thread of the CPU; whole spectra."""
    for units, members, orbits in SHAPES[: 1 if section.quick else None]:
        shape, name = (units, members, orbits), f"N={units}, {members} x {orbits}"
        exact = section.attempt(f"{name}, cpu", lambda s=shape: steps_of(section, "lu", "cpu", *s))
        for method in ("batched_lu", "adaptive"):
            found = section.attempt(
                f"{name}, {method}", lambda m=method, s=shape: steps_of(section, m, section.device, *s)
            )
            if exact and found:
                found["apart"] = float(np.nanmax(np.abs(found.pop("rates") - exact["rates"])))
        if exact:
            exact.pop("rates")
    for segments in (1, 32, 128):
        section.attempt(f"N=256, 8192 steps in {segments} segments", lambda s=segments: long_spectrum(section, s))


def steps_of(section: Section, method: str, device: str, units: int, members: int, orbits: int) -> dict[str, Any]:
    """A frame of all directions carried along: the time of a step, without the checks of a spectrum."""
    cell = vanilla(device, 0, units, members, gain=1.5)
    z = 0.1 + 0.01 * torch.arange(orbits, dtype=torch.float64)[:, None].expand(members, orbits, units)
    z, steps = z.to(device), 5 if units >= 512 else 20
    V = random_frame(z, units, 0)
    carry = partial(METHODS[method], cell, z, None, V, steps)
    growth = carry().growth[0].mean(dim=0).cpu().numpy() / steps
    took = section.seconds_of(carry, 1 if device == "cpu" else 3)
    return {"ms a step": round(took / steps * 1e3, 3), "rates": growth}


def long_spectrum(section: Section, segments: int) -> dict[str, float]:
    """One orbit of 8192 steps, cut into segments that each align over 32 steps."""
    steps = 64 if section.quick or segments == 1 else 8192
    cell, z = vanilla(section.device, 0, 256, 1, gain=1.5), torch.full((1, 1, 256), 0.1, dtype=torch.float64)
    began = time.perf_counter()
    found = lyapunov_spectra(cell, z.to(section.device), steps=steps, warmup=32, segments=segments)
    section.synchronise()
    return {"s": round(time.perf_counter() - began, 3), "steps": steps, "largest": float(found[0].exponents[0])}


def factorisations(section: Section) -> None:
    """Milliseconds of the batched operations that a step could be made of, in double precision."""
    for n in (32, 128, 256, 512):
        for batch in (4, 16, 128):
            section.attempt(f"N={n}, batch {batch}", lambda n=n, batch=batch: operations(section, n, batch))


def operations(section: Section, n: int, batch: int) -> dict[str, float]:
    draw = torch.Generator().manual_seed(0)
    A = torch.randn(batch, n, n, generator=draw, dtype=torch.float64).to(section.device) / n**0.5
    G = A @ A.mT + torch.eye(n, dtype=A.dtype, device=A.device)
    L = torch.linalg.cholesky_ex(G)[0]
    ways: dict[str, Callable[[], Any]] = {
        "bmm": lambda: torch.bmm(A, A),
        "lu": lambda: torch.linalg.lu_factor_ex(A),
        "cholesky": lambda: torch.linalg.cholesky_ex(G),
        "triangular": lambda: torch.linalg.solve_triangular(L, A, upper=False),
        "inverse": lambda: torch.linalg.inv_ex(G),
    }
    return {name: round(section.seconds_of(way, 3) * 1e3, 4) for name, way in ways.items()}
