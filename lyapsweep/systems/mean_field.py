"""Mean-field theory of x_{t+1} = J tanh(x_t), a tanh network of infinitely many random units.

Entries of J are independent N(0, g^2 / N) with g > 1. At one time the x_i are Gaussian of mean 0 and of the
self-consistent variance Delta = g^2 E tanh^2(sqrt(Delta) xi), xi ~ N(0, 1); slopes are d = sech^2(sqrt(Delta) xi).
"""

import math

import numpy as np
from jaxtyping import Float
from scipy.special import expit

WIDTH, NODES = 12.0, 2001  # xi: the trapezoidal rule, spectrally accurate on a Gaussian


def gaussian_nodes() -> tuple[np.ndarray, np.ndarray]:
    """(xi, weights) with E f(xi) = weights @ f(xi)."""
    xi = np.linspace(-WIDTH, WIDTH, NODES)
    density = np.exp(-xi * xi / 2)
    return xi, density / density.sum()


def variance(g: float) -> float:
    """Delta > 0 of a gain g > 1; ValueError below, where the network comes to rest."""
    from scipy.optimize import root_scalar  # 0.1 s that other systems need not wait

    if not g > 1:
        raise ValueError(f"mean field: gain > 1 must hold (below, the network comes to rest), but got {g}.")
    xi, weights = gaussian_nodes()
    excess = lambda delta: g * g * (weights @ np.tanh(math.sqrt(delta) * xi) ** 2) / delta - 1  # noqa: E731
    return root_scalar(excess, bracket=(1e-12, g * g), xtol=1e-14, rtol=1e-14).root


def log_slopes(g: float) -> tuple[np.ndarray, np.ndarray]:
    """(log d, weights) at the nodes, without underflow: log sech^2 a = 2 (log 2 - |a| - log(1 + e^(-2|a|)))."""
    xi, weights = gaussian_nodes()
    a = np.abs(math.sqrt(variance(g)) * xi)
    return 2 * (math.log(2) - a - np.log1p(np.exp(-2 * a))), weights


def largest(g: float) -> float:
    """lambda_1 = log(g sqrt(E d^2)), nats per step (Molgedey, Schuchhardt, Schuster 1992)."""
    log_d, weights = log_slopes(g)
    return math.log(g) + math.log(weights @ np.exp(2 * log_d)) / 2


def mean(g: float) -> float:
    """The mean of all exponents, log g - 1/2 + E log d: that of log |det (J D)| / N, nats per step."""
    log_d, weights = log_slopes(g)
    return math.log(g) - 0.5 + float(weights @ log_d)


def at(g: float, fraction: Float[np.ndarray, " n"]) -> Float[np.ndarray, " n"]:
    """lambda(q), the exponent below which a fraction 1 - q of all exponents lies, 0 < q < 1, nats per step.

    lambda(q) = log g + log(q / s) / 2 where q = E[d^2 s / (1 + d^2 s)]: the factors J D_t taken as free and D_t as
    independent from one step to the next (a product of free matrices has the exponents that its S-transform says).
    """
    log_d, weights = log_slopes(g)
    low = np.full(len(fraction), -60.0)
    high = np.full(len(fraction), 60.0 - 2 * log_d.min())
    for _ in range(80):
        middle = (low + high) / 2
        below = np.array([weights @ expit(2 * log_d + m) for m in middle]) < fraction
        low, high = np.where(below, middle, low), np.where(below, high, middle)
    return math.log(g) + (np.log(fraction) - (low + high) / 2) / 2


def spectrum(g: float, units: int) -> Float[np.ndarray, " units"]:
    """The exponents of `units` units, largest first: the curve at (i - 1/2) / units."""
    return at(g, (np.arange(units) + 0.5) / units)
