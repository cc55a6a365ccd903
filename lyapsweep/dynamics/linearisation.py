"""A map linearised at fixed or slow points: eigenvalues, stability, time constants, modes."""

import math
from dataclasses import dataclass
from functools import cached_property
from typing import NamedTuple

import numpy as np
import scipy.linalg
import torch
from jaxtyping import Complex, Float, Int
from torch import Tensor

from lyapsweep.maps import AbstractMap, Inputs, States

MARGIN = 1e-6  # modes nearer to the unit circle count as marginal: they last a million steps and more


class Modes(NamedTuple):
    """Eigenvalues of one point, largest modulus first, with right and left eigenvectors in columns, l_a^H r_a = 1."""

    eigenvalues: Complex[np.ndarray, " state"]
    right: Complex[np.ndarray, "state state"]
    left: Complex[np.ndarray, "state state"]


@dataclass(frozen=True, eq=False)
class Points:
    """Fixed or slow points of a map and its linearisation there.

    Near a point, z_t - z* is a sum of modes lambda_a^t r_a.

    Args:
        z: States, shape (points, state).
        q: || f(z, x*) - z ||^2 / 2, shape (points,).
        jacobians: Df(z, x*), shape (points, state, state).
        dt: Time of one step; None (the default) if the map has no time unit.

    Example:
        >>> points = Points(np.zeros((1, 2)), np.zeros(1), np.array([np.diag([1.5, 0.2])]))
        >>> points.kinds, points.unstable
        (('saddle',), array([1]))
    """

    z: Float[np.ndarray, "points state"]
    q: Float[np.ndarray, " points"]
    jacobians: Float[np.ndarray, "points state state"]
    dt: float | None = None

    def __len__(self) -> int:
        return len(self.z)

    @property
    def speed(self) -> Float[np.ndarray, " points"]:
        """|| f(z) - z ||, distance per step."""
        return np.sqrt(2 * self.q)

    @cached_property
    def decomposed(self) -> tuple[np.ndarray, np.ndarray]:
        """Eigenvalues (points, state), largest modulus first, and right eigenvectors in columns of the same order."""
        values, vectors = np.linalg.eig(self.jacobians)
        order = np.argsort(-np.abs(values), axis=-1, kind="stable")
        sorted_vectors = np.take_along_axis(vectors, order[:, None, :], axis=-1)
        return np.take_along_axis(values, order, axis=-1).astype(complex), sorted_vectors.astype(complex)

    @property
    def eigenvalues(self) -> Complex[np.ndarray, "points state"]:
        return self.decomposed[0]

    @property
    def unstable(self) -> Int[np.ndarray, " points"]:
        """Number of growing modes, |lambda| > 1 + MARGIN: the index of the point."""
        return (np.abs(self.eigenvalues) > 1 + MARGIN).sum(axis=1)

    @property
    def marginal(self) -> Int[np.ndarray, " points"]:
        """Number of modes that neither grow nor decay, within MARGIN."""
        return (np.abs(np.abs(self.eigenvalues) - 1) <= MARGIN).sum(axis=1)

    @property
    def kinds(self) -> tuple[str, ...]:
        """Kind of each point: "stable" (all modes decay), "marginal" (none grows), "saddle", "repeller" (all grow)."""
        state = self.eigenvalues.shape[1]
        named = {(True, True): "stable", (True, False): "marginal"}
        return tuple(
            "repeller" if u == state else named.get((u == 0, m == 0), "saddle")
            for u, m in zip(self.unstable, self.marginal)
        )

    @property
    def rates(self) -> Float[np.ndarray, "points state"]:
        """ln |lambda|, nats per step: the exponents of an orbit that converges to the point; -inf for lambda = 0."""
        with np.errstate(divide="ignore"):
            return np.log(np.abs(self.eigenvalues))

    @property
    def time_constants(self) -> Float[np.ndarray, "points state"]:
        """1 / |ln |lambda||, steps in which a mode changes by a factor e; 0 for lambda = 0, inf on the unit circle."""
        with np.errstate(divide="ignore"):
            return 1 / np.abs(self.rates)

    @property
    def frequencies(self) -> Float[np.ndarray, "points state"]:
        """|arg lambda| / 2 pi, cycles per step: 0 for a positive real mode, 1/2 for one that changes sign."""
        return np.abs(np.angle(self.eigenvalues)) / (2 * math.pi)

    @property
    def time_constants_in_time(self) -> Float[np.ndarray, "points state"]:
        """Time constants in units of time; NaN if dt is None."""
        return self.time_constants * (math.nan if self.dt is None else self.dt)

    @property
    def frequencies_in_time(self) -> Float[np.ndarray, "points state"]:
        """Frequencies in cycles per unit of time; NaN if dt is None."""
        return self.frequencies / (math.nan if self.dt is None else self.dt)

    @property
    def slowest(self) -> Int[np.ndarray, " points"]:
        """Index of the slowest mode: the column of the eigenvalue nearest to the unit circle."""
        return np.argmin(np.abs(self.rates), axis=1)

    def modes(self, i: int) -> Modes:
        """Right and left eigenvectors of point i; l_a^H (z - z*) is the amplitude of mode a."""
        values, left, right = scipy.linalg.eig(self.jacobians[i], left=True, right=True)  # type: ignore[misc]
        order = np.argsort(-np.abs(values), kind="stable")
        left, right = left[:, order], right[:, order]
        overlap = np.einsum("ij,ij->j", left.conj(), right)
        return Modes(values[order], right, left / overlap.conj())


def input_jacobian(map: AbstractMap, z: States, x: Inputs) -> Float[Tensor, "population batch state inputs"]:
    """Compute the derivative with respect to the input, B_ij = d f_i / d x_j, by forward-mode autodiff.

    Args:
        map: The map f.
        z: States, shape (population, batch, state).
        x: Inputs, shape (population, batch, inputs).

    Returns:
        B, shape (population, batch, state, inputs).

    Example:
        >>> from lyapsweep.maps import Forced
        >>> from lyapsweep.systems import build
        >>> forced = Forced(build("linear", matrix=[[0.5]]), torch.ones(1))
        >>> z, x = (torch.tensor(v, dtype=torch.float64).view(1, 1, -1) for v in ([1.0], [0.2, 3.0]))
        >>> input_jacobian(forced, z, x).round(decimals=3)
        tensor([[[[1.0000, 0.1000]]]], dtype=torch.float64)
    """
    unit = torch.eye(x.shape[-1], dtype=x.dtype, device=x.device)
    push = lambda v: torch.func.jvp(lambda u: map.step(z, u), (x,), (v.expand_as(x),))[1]  # noqa: E731
    with torch.no_grad():
        return torch.func.vmap(push)(unit).movedim(0, -1)
