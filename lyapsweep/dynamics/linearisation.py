"""A map linearised at points where it rests or nearly does: eigenvalues, stability, time scales, modes."""

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

MARGIN = 1e-6  # modes nearer to the unit circle are neither stable nor unstable: they last a million steps and more


class Modes(NamedTuple):
    """Eigenvalues of one point, largest modulus first, with right and left eigenvectors in columns, l_a^H r_a = 1."""

    eigenvalues: Complex[np.ndarray, " state"]
    right: Complex[np.ndarray, "state state"]
    left: Complex[np.ndarray, "state state"]


@dataclass(frozen=True, eq=False)
class Points:
    """States z (points, state) at which f(z, x*) - z is small, and J = Df(z, x*) there; q = || f(z) - z ||^2 / 2.

    Near a point, z_t - z* is a sum of modes lambda_a^t r_a. `dt` is the time of one step, None where there is none.
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
        """How many modes grow, |lambda| > 1 + MARGIN: the index of the point."""
        return (np.abs(self.eigenvalues) > 1 + MARGIN).sum(axis=1)

    @property
    def marginal(self) -> Int[np.ndarray, " points"]:
        """How many modes neither grow nor decay, within MARGIN."""
        return (np.abs(np.abs(self.eigenvalues) - 1) <= MARGIN).sum(axis=1)

    @property
    def kinds(self) -> tuple[str, ...]:
        """Of each point: "stable" (every mode decays), "marginal" (none grows), "saddle", or "repeller" (all grow)."""
        every = self.eigenvalues.shape[1]
        named = {(True, True): "stable", (True, False): "marginal"}
        return tuple(
            "repeller" if u == every else named.get((u == 0, m == 0), "saddle")
            for u, m in zip(self.unstable, self.marginal)
        )

    @property
    def rates(self) -> Float[np.ndarray, "points state"]:
        """ln |lambda|, nats per step: the Lyapunov exponents of an orbit that settles here; -inf where lambda = 0."""
        with np.errstate(divide="ignore"):
            return np.log(np.abs(self.eigenvalues))

    @property
    def time_constants(self) -> Float[np.ndarray, "points state"]:
        """1 / |ln |lambda||, steps in which a mode grows or decays by e; 0 where lambda = 0, inf on the circle."""
        with np.errstate(divide="ignore"):
            return 1 / np.abs(self.rates)

    @property
    def frequencies(self) -> Float[np.ndarray, "points state"]:
        """|arg lambda| / 2 pi, cycles per step: 0 for a positive real mode, 1/2 for one that changes sign."""
        return np.abs(np.angle(self.eigenvalues)) / (2 * math.pi)

    @property
    def time_constants_in_time(self) -> Float[np.ndarray, "points state"]:
        """Time constants in units of time; NaN where a step has none."""
        return self.time_constants * (math.nan if self.dt is None else self.dt)

    @property
    def frequencies_in_time(self) -> Float[np.ndarray, "points state"]:
        """Frequencies in cycles per unit of time; NaN where a step has none."""
        return self.frequencies / (math.nan if self.dt is None else self.dt)

    @property
    def slowest(self) -> Int[np.ndarray, " points"]:
        """Which mode lasts longest: the column of the eigenvalue nearest to the unit circle."""
        return np.argmin(np.abs(self.rates), axis=1)

    def modes(self, i: int) -> Modes:
        """Both kinds of eigenvectors of point i: l_a^H (z - z*) is how far mode a is excited."""
        values, left, right = scipy.linalg.eig(self.jacobians[i], left=True, right=True)  # type: ignore[misc]
        order = np.argsort(-np.abs(values), kind="stable")
        left, right = left[:, order], right[:, order]
        overlap = np.einsum("ij,ij->j", left.conj(), right)
        return Modes(values[order], right, left / overlap.conj())


def input_jacobian(map: AbstractMap, z: States, x: Inputs) -> Float[Tensor, "population batch state inputs"]:
    """B_ij = d f_i / d x_j by forward-mode autodiff: what a small change of the input does to the next state."""
    unit = torch.eye(x.shape[-1], dtype=x.dtype, device=x.device)
    push = lambda v: torch.func.jvp(lambda u: map.step(z, u), (x,), (v.expand_as(x),))[1]  # noqa: E731
    with torch.no_grad():
        return torch.func.vmap(push)(unit).movedim(0, -1)
