"""Recorded series for tests of `lyapsweep.timeseries`: of systems whose exponents are known, and of no chaos at all."""

import math

import numpy as np
import torch

from lyapsweep import systems

# dt and largest exponent per unit time, as in docs/mathematics.md
TRUTH = {"lorenz63": (0.01, 0.9056), "roessler": (0.1, 0.0879), "duffing": (0.1773, 0.1292), "henon": (None, 0.41922)}


def recorded(name: str, seed: int, length: int = 10_000, noise: float = 0.0) -> np.ndarray:
    """(length, columns) of a system on its attractor, noise in standard deviations of a column."""
    system = systems.build(name, TRUTH[name][0])
    states = system.trajectory(system.start(1, torch.Generator().manual_seed(seed)), 1000 + length)[1000:]
    values = system.observe(torch.from_numpy(states)).numpy()
    return values + noise * values.std(axis=0) * np.random.default_rng(seed).standard_normal(values.shape)


def sine(rng: np.random.Generator, length: int, noise: float) -> np.ndarray:
    return (np.sin(0.07 * np.arange(length)) + noise * rng.standard_normal(length))[:, None]


def van_der_pol(rng: np.random.Generator, length: int, noise: float) -> np.ndarray:
    """A limit cycle, far from sinusoidal: nonlinear, so that surrogates are beaten, and not chaotic."""
    dt, z, orbit = 0.05, np.array([2.0, 0.0]), []
    field = lambda z: np.array([z[1], 2 * (1 - z[0] ** 2) * z[1] - z[0]])  # noqa: E731
    for _ in range(length + 500):
        a = field(z)
        b = field(z + dt / 2 * a)
        c = field(z + dt / 2 * b)
        z = z + dt / 6 * (a + 2 * b + 2 * c + field(z + dt * c))
        orbit.append(z[0])
    x = np.array(orbit[500:])[:, None]
    return x + noise * x.std() * rng.standard_normal(x.shape)


def coloured(rng: np.random.Generator, length: int, noise: float) -> np.ndarray:
    return np.convolve(rng.standard_normal(length + 200), 0.95 ** np.arange(200), "valid")[:length, None]


def quasi_periodic(rng: np.random.Generator, length: int, noise: float) -> np.ndarray:
    t = 0.07 * np.arange(length)
    x = np.sin(t) + np.sin(t * (1 + math.sqrt(5)) / 2)
    return (x + noise * rng.standard_normal(length))[:, None]


def white(rng: np.random.Generator, length: int, noise: float) -> np.ndarray:
    return rng.standard_normal((length, 1))


NULLS = {
    "sine": sine,
    "van der Pol": van_der_pol,
    "coloured": coloured,
    "quasi-periodic": quasi_periodic,
    "white": white,
}
