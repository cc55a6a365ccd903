"""A system is a map whose truth is known: an equation, states near its attractor, and what the literature measured."""

from abc import abstractmethod
from collections.abc import Callable
from dataclasses import dataclass
from typing import final

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from lyapsweep.maps import AbstractMap, Inputs, States, Tangents


@dataclass(frozen=True)
class Known:
    """Exponents from the literature, largest first, as many as are given there.

    Nats per unit time for flows, per step for maps. They belong to `parameters` and to no others. `stderr` is the
    standard error of the largest one, 0 where it is exact or all digits given are certain.
    """

    exponents: tuple[float, ...]
    parameters: dict[str, float | int]
    citation: str
    stderr: float = 0.0


class AbstractSystem(AbstractMap):
    """A population of one in double precision, its parameters as attributes, undriven (`x` is ignored).

    `names` are the coordinates. `known` holds the literature's exponents, None where the parameters are not the cited
    ones. `total` is the exact sum of all exponents (per unit time for flows, per step for maps) where the volume
    contraction is constant, None elsewhere. `observed` maps coordinates to what is recorded of them: the identity,
    but for phases that grow without bound. `shown` are the coordinates that a recording holds where none are chosen,
    all where it is empty. `advance` is the step of one state as a vector, where that has a quicker way than `step`,
    which pays torch's overhead for every operation on three numbers.
    """

    population = 1
    names: tuple[str, ...]
    known: Known | None = None
    total: float | None = None
    observed: Callable[[Tensor], Tensor] | None = None
    shown: tuple[str, ...] = ()
    advance: Callable[[np.ndarray], np.ndarray] | None = None

    @abstractmethod
    def start(self, batch: int, generator: torch.Generator) -> States:
        """(1, batch, state): states near the attractor, the same for the same generator."""

    @final
    def observe(self, z: Tensor) -> Tensor:
        """What a recording of the states shows: (..., state) -> (..., state), every column bounded on the attractor."""
        return z if self.observed is None else self.observed(z)

    @final
    @torch.inference_mode()
    def trajectory(self, start: Float[Tensor, "1 1 state"], steps: int) -> Float[np.ndarray, "steps state"]:
        """The `steps` states after `start`, one orbit in sequence; not finite from where it diverges."""
        states, z, vector = np.empty((steps, self.state)), start, start.numpy().reshape(-1)
        with np.errstate(all="ignore"):
            for t in range(steps):
                if self.advance is None:
                    z = self.step(z)
                    states[t] = z.numpy()
                else:
                    vector = self.advance(vector)
                    states[t] = vector
        return states


class AbstractFlow(AbstractSystem):
    """z' = f(z) under the classical Runge-Kutta method: one step takes the time `dt` in `substeps` equal parts.

    k1 = f(z), k2 = f(z + h k1 / 2), k3 = f(z + h k2 / 2), k4 = f(z + h k3), z <- z + h (k1 + 2 k2 + 2 k3 + k4) / 6.
    `push` is the exact derivative of this map, not of the flow that it approximates: each stage is differentiated.
    `angle` names the coordinate that is a phase, if there is one: it is kept within [0, 2 pi).
    """

    angle: int | None = None

    def __init__(self, dt: float, substeps: int = 1):
        if not dt > 0:
            raise ValueError(f"{type(self).__name__}: dt > 0 must hold, but got {dt}.")
        if substeps < 1:
            raise ValueError(f"{type(self).__name__}: substeps >= 1 must hold, but got {substeps}.")
        self.dt: float = dt
        self.substeps = substeps

    @abstractmethod
    def field(self, z: States) -> States:
        """f(z), the right-hand side, per unit time."""

    @abstractmethod
    def tangent(self, z: States, V: Tangents) -> Tangents:
        """V Df(z)^T: tangent vectors, one a row, under the Jacobian of the right-hand side."""

    @final
    def step(self, z: States, x: Inputs | None = None) -> States:
        h = self.dt / self.substeps
        for _ in range(self.substeps):
            k1 = self.field(z)
            k2 = self.field(torch.add(z, k1, alpha=h / 2))
            k3 = self.field(torch.add(z, k2, alpha=h / 2))
            k4 = self.field(torch.add(z, k3, alpha=h))
            z = weighted(z, k1, k2, k3, k4, h)
        return z if self.angle is None else turned_back(z, self.angle)

    @final
    def push(self, z: States, x: Inputs | None, V: Tangents) -> tuple[States, Tangents]:
        h = self.dt / self.substeps
        for _ in range(self.substeps):
            stages = [(self.field(z), self.tangent(z, V))]
            for reach in (h / 2, h / 2, h):
                k, K = stages[-1]
                y, W = torch.add(z, k, alpha=reach), torch.add(V, K, alpha=reach)
                stages.append((self.field(y), self.tangent(y, W)))
            z, V = (weighted(of, *ks, h) for of, ks in zip((z, V), zip(*stages)))
        return z if self.angle is None else turned_back(z, self.angle), V


def weighted(z: Tensor, k1: Tensor, k2: Tensor, k3: Tensor, k4: Tensor, h: float) -> Tensor:
    """The step that the four stages make together."""
    return torch.add(z, torch.add(k1, k2 + k3, alpha=2) + k4, alpha=h / 6)


def turned_back(z: States, angle: int) -> States:
    """The states with one coordinate modulo 2 pi: where many turns have passed, a cosine keeps its last digits."""
    whole = z.new_zeros(z.shape[-1])
    whole[angle] = 2 * torch.pi
    return z - whole * (z / (2 * torch.pi)).floor()


def near(point: tuple[float, ...], radius: float, batch: int, generator: torch.Generator) -> States:
    """(1, batch, state): points drawn uniformly from a cube of half-width `radius` around one point."""
    centre = torch.tensor(point, dtype=torch.float64)
    spread = torch.rand(1, batch, len(point), dtype=torch.float64, generator=generator)
    return centre + radius * (2 * spread - 1)
