"""Dynamic mean-field theory of h' = -h + J tanh(h), a tanh network of infinitely many random units.

The autocorrelation C(tau) = E h(t) h(t + tau) of a unit moves like a particle, C'' = -dV/dC, in the potential

    V(C) = -C^2 / 2 + g^2 (E Phi(h) Phi(h') - (E Phi(h))^2),   Phi = log cosh,

(h, h') Gaussian of variance C(0) and covariance C. Chaos is the orbit from C(0) at rest to 0 at rest, so V(C(0)) = V(0)
= 0. The largest exponent follows from the ground state energy E_0 of a quantum particle with the potential W(tau) = 1 -
g^2 E tanh'(h) tanh'(h'): lambda_1 = -1 + sqrt(1 - E_0). Sompolinsky, Crisanti, Sommers 1988, Phys. Rev. Lett. 61:259.
"""

import math
from collections.abc import Callable

import numpy as np
from scipy.integrate import solve_ivp
from scipy.interpolate import CubicSpline
from scipy.linalg import eigh_tridiagonal
from scipy.optimize import root_scalar

Function = Callable[[np.ndarray], np.ndarray]
WIDTH, NODES = 9.0, 241  # of Gaussian averages: the trapezoidal rule
SHARES = 1 - np.cos(np.linspace(0, np.pi / 2, 121))  # of C(0): points of C, close to each other near 0
SPAN, GRID = 12.0, 4001  # tau: in units of the decay of C, and points of the quantum problem


def largest(g: float) -> float:
    """lambda_1 per unit time of a gain g > 1; ValueError below, where the network comes to rest."""
    variance = at_rest(g)
    covariances = SHARES * variance
    energy = average(log_cosh, variance, covariances)
    potential = CubicSpline(covariances, -(covariances**2) / 2 + g * g * (energy - energy[0]))
    stiffness = g * g * average(slope, variance, covariances)
    tau, C = autocorrelation(variance, potential, 1 - stiffness[0])
    well = 1 - CubicSpline(covariances, stiffness)(C)
    step = tau[1] - tau[0]
    off = np.full(GRID - 1, -1 / step**2)
    off[0] *= math.sqrt(2)  # the ground state is even: its mirror image at tau = 0, made symmetric
    levels = eigh_tridiagonal(well + 2 / step**2, off, eigvals_only=True, select="i", select_range=(0, 0))
    return -1 + math.sqrt(1 - float(np.ravel(levels)[0]))


def at_rest(g: float) -> float:
    """C(0) > 0 with V(C(0)) = 0."""
    if not g > 1:
        raise ValueError(f"dynamic mean field: gain > 1 must hold (below, the network comes to rest), but got {g}.")

    def height(variance: float) -> float:
        ends = average(log_cosh, variance, np.array([0.0, variance]))
        return g * g * (ends[1] - ends[0]) / variance**2 - 0.5

    return root_scalar(height, bracket=(1e-3 * (g - 1), g * g), xtol=1e-13, rtol=1e-13).root


def average(f: Function, variance: float, covariances: np.ndarray) -> np.ndarray:
    """E f(h) f(h') = E_z (E_x f(sqrt(C(0) - C) x + sqrt(C) z))^2 at each covariance C."""
    nodes = np.linspace(-WIDTH, WIDTH, NODES)
    weights = np.exp(-(nodes**2) / 2)
    weights /= weights.sum()
    own, shared = np.sqrt(np.maximum(variance - covariances, 0)), np.sqrt(covariances)
    return np.array([weights @ (f(a * nodes + b * nodes[:, None]) @ weights) ** 2 for a, b in zip(own, shared)])


def autocorrelation(variance: float, potential: CubicSpline, curvature: float) -> tuple[np.ndarray, np.ndarray]:
    """(tau, C(tau)) on a uniform grid from 0: C' = -sqrt(-2 V(C)), started a little down the hill."""
    begin = 1e-5
    force = float(potential(variance, 1))
    tau = np.linspace(0, SPAN / math.sqrt(curvature) + SPAN, GRID)
    fall = solve_ivp(
        lambda t, C: -np.sqrt(np.maximum(-2 * potential(np.clip(C, 0, variance)), 0)),
        (0, tau[-1]),
        [variance * (1 - begin)],
        dense_output=True,
        rtol=1e-9,
        atol=1e-12 * variance,
    )
    lead = math.sqrt(2 * begin * variance / force)  # C(0) - C = V'(C(0)) tau^2 / 2 at the top
    parabola = variance - force * tau**2 / 2
    return tau, np.where(tau < lead, parabola, np.clip(fall.sol(np.maximum(tau - lead, 0))[0], 0, variance))


def log_cosh(h: np.ndarray) -> np.ndarray:
    a = np.abs(h)
    return a + np.log1p(np.exp(-2 * a)) - math.log(2)


def slope(h: np.ndarray) -> np.ndarray:
    return 1 - np.tanh(h) ** 2
