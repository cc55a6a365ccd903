"""The interface of every system: a map with its equation, states near its attractor, and published exponents."""

import math
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
class KnownExponents:
    """Published or exact exponents of a system, largest first, as many as are known.

    Args:
        exponents: In nats per unit time for flows, per step for maps.
        parameters: The parameters that they belong to.
        citation: Where they come from.
        stderr: Standard error of the largest one; 0 (the default) if it is exact or all digits given are certain.

    Example:
        >>> KnownExponents((0.5,), {}, "exact").stderr
        0.0
    """

    exponents: tuple[float, ...]
    parameters: dict[str, float | int]
    citation: str
    stderr: float = 0.0


class AbstractSystem(AbstractMap):
    """The interface of a system: a population of one in double precision, without inputs (`x` is ignored).

    Subclasses set `state` and `names` and implement `start`, `step` and `push`.

    Attributes:
        names: Names of the coordinates.
        known: Published or exact exponents; None (the default) if there are none for these parameters.
        total: Exact sum of all exponents, per unit time for flows, per step for maps; None (the default) unless the
            contraction of volumes is constant.
        observed: Maps coordinates to what is recorded of them; None (the default) is the identity.
        shown: Coordinates that a recording holds by default; empty (the default) means all.
        advance: The step of one state as a numpy vector, if there is a faster way than `step`; None by default.

    Example:
        >>> from lyapsweep.maps import autodiff_push
        >>> class Squaring(AbstractSystem):
        ...     state, names = 1, ("z",)
        ...     def start(self, batch, generator):
        ...         return torch.rand(1, batch, 1, generator=generator, dtype=torch.float64)
        ...     def step(self, z, x=None):
        ...         return z * z
        ...     def push(self, z, x, V):
        ...         return autodiff_push(self.step, z, x, V)
        >>> Squaring().trajectory(torch.full((1, 1, 1), 0.5), steps=2).ravel()
        array([0.25  , 0.0625])
    """

    population = 1
    names: tuple[str, ...]
    known: KnownExponents | None = None
    total: float | None = None
    observed: Callable[[Tensor], Tensor] | None = None
    shown: tuple[str, ...] = ()
    advance: Callable[[np.ndarray], np.ndarray] | None = None

    @abstractmethod
    def start(self, batch: int, generator: torch.Generator) -> States:
        """Return states near the attractor, the same for the same generator.

        Args:
            batch: Number of states.
            generator: Source of the random numbers.

        Returns:
            States, shape (1, batch, state).
        """

    @final
    def observe(self, z: Tensor) -> Tensor:
        """Return what a recording of the states shows, (..., state), every column bounded on the attractor."""
        return z if self.observed is None else self.observed(z)

    @final
    def positions(self, z: Tensor) -> Tensor:
        return self.observe(z)

    @final
    @torch.inference_mode()
    def trajectory(self, start: Float[Tensor, "1 1 state"], steps: int) -> Float[np.ndarray, "steps state"]:
        """Return the `steps` states after `start`, (steps, state); not finite from where the orbit diverges."""
        if type(self).orbit is not AbstractMap.orbit:
            return self.orbit(start, None, steps)[:, 0, 0].numpy()
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
    """The interface of a flow z' = f(z), stepped by the classical Runge-Kutta method.

    k1 = f(z), k2 = f(z + h k1 / 2), k3 = f(z + h k2 / 2), k4 = f(z + h k3), z <- z + h (k1 + 2 k2 + 2 k3 + k4) / 6.
    `push` is the exact derivative of this map: each stage is differentiated. Subclasses set `state` and `names` and
    implement `start`, `field` and `tangent`.

    Args:
        dt: Time of one step.
        substeps: Runge-Kutta steps per step, 1 by default.

    Attributes:
        angle: Index of the coordinate that is a phase, kept within [0, 2 pi); None by default.

    Raises:
        ValueError: If 0 < dt < inf and substeps >= 1 do not hold.

    Example:
        >>> from lyapsweep.systems import build
        >>> isinstance(build("lorenz63"), AbstractFlow), build("lorenz63").dt
        (True, 0.01)
    """

    angle: int | None = None

    def __init__(self, dt: float, substeps: int = 1):
        if not 0 < dt < math.inf:
            raise ValueError(f"{type(self).__name__}: 0 < dt < inf must hold, but got {dt}. Give a positive time step.")
        if substeps < 1:
            raise ValueError(f"{type(self).__name__}: substeps >= 1 must hold, but got {substeps}.")
        self.dt: float = dt
        self.substeps = substeps

    @abstractmethod
    def field(self, z: States) -> States:
        """Return f(z), the right-hand side, per unit time."""

    @abstractmethod
    def tangent(self, z: States, V: Tangents) -> Tangents:
        """Return V Df(z)^T: tangent vectors in rows under the Jacobian of the right-hand side."""

    @final
    def step(self, z: States, x: Inputs | None = None) -> States:
        h = self.dt / self.substeps
        for _ in range(self.substeps):
            k1 = self.field(z)
            k2 = self.field(torch.add(z, k1, alpha=h / 2))
            k3 = self.field(torch.add(z, k2, alpha=h / 2))
            k4 = self.field(torch.add(z, k3, alpha=h))
            z = weighted(z, k1, k2, k3, k4, h)
        return z if self.angle is None else wrap_angle(z, self.angle)

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
        return z if self.angle is None else wrap_angle(z, self.angle), V


def weighted(z: Tensor, k1: Tensor, k2: Tensor, k3: Tensor, k4: Tensor, h: float) -> Tensor:
    """z + h (k1 + 2 k2 + 2 k3 + k4) / 6."""
    return torch.add(z, torch.add(k1, k2 + k3, alpha=2) + k4, alpha=h / 6)


def wrap_angle(z: States, angle: int) -> States:
    """The states with one coordinate modulo 2 pi, so that cosines stay accurate after many turns."""
    whole = z.new_zeros(z.shape[-1])
    whole[angle] = 2 * torch.pi
    return z - whole * (z / (2 * torch.pi)).floor()


def cube_around(point: tuple[float, ...], radius: float, batch: int, generator: torch.Generator) -> States:
    """(1, batch, state): points drawn uniformly from a cube of half-width `radius` around one point."""
    centre = torch.tensor(point, dtype=torch.float64)
    spread = torch.rand(1, batch, len(point), dtype=torch.float64, generator=generator)
    return centre + radius * (2 * spread - 1)
