"""Evidence without a network: Lorenz 63 judged as if it were its own reconstruction, and spoilt in known ways."""

from dataclasses import replace
from functools import cache

import numpy as np

from lyapsweep.measures import MEASURES, Evidence

LAMBDA = 0.9056 * 0.02  # Lorenz 63, nats per step of 0.02


@cache
def lorenz(length: int, start: tuple[float, float, float], dt: float = 0.02) -> np.ndarray:
    """An orbit of Lorenz 63 by RK4 in floats, standardised: short, and free of the library's own systems."""

    def flow(x: float, y: float, z: float) -> tuple[float, float, float]:
        return 10 * (y - x), x * (28 - z) - y, x * y - 8 / 3 * z

    def moved(p, k, h):
        return p[0] + h * k[0], p[1] + h * k[1], p[2] + h * k[2]

    orbit, point = [], start
    for _ in range(length + 500):
        k1 = flow(*point)
        k2 = flow(*moved(point, k1, dt / 2))
        k3 = flow(*moved(point, k2, dt / 2))
        k4 = flow(*moved(point, k3, dt))
        point = tuple(p + dt / 6 * (a + 2 * b + 2 * c + d) for p, a, b, c, d in zip(point, k1, k2, k3, k4))
        orbit.append(point)
    return (np.array(orbit[500:]) - [0.0, 0.0, 23.5]) / [7.9, 9.0, 8.6]


def system_itself(truth: np.ndarray, reference: np.ndarray) -> Evidence:
    """What a network that is the system would be judged by."""
    starts = np.arange(0, 1400, 35)
    targets = truth[starts[:, None] + np.arange(1, 61)]
    lags = np.arange(10, 210, 10)
    return Evidence(
        truth=truth,
        reference=reference,
        generated=truth.copy(),
        forecasts=targets.copy(),
        targets=targets,
        losses=np.zeros(8),
        gradient_norms=np.ones(5),
        lags=lags,
        growth=LAMBDA * lags,
        exponent=LAMBDA,
        exponents=np.array([LAMBDA, 0.0, -0.2914]),
        known_exponents=(LAMBDA, 0.0, -0.2914),
        lambda_max=LAMBDA,
        dt=0.02,
        orbit=truth.copy(),
        errors=np.zeros(50),
        half_widths=np.full(3, 0.01 * LAMBDA),
        stable_points=0,
        baseline=1.0,
        accuracies=np.ones(8),
        training_losses=np.exp(-np.arange(200) / 20),
        reset=np.zeros((6, 8)),
        unbroken=np.zeros((6, 8)),
    )


def spoilt(evidence: Evidence, noise: float, seed: int = 0) -> Evidence:
    """Everything that comes from the network, worse by `noise`: series, forecasts, losses and growth."""
    chance = np.random.default_rng(seed)
    return replace(
        evidence,
        generated=evidence.generated + noise * chance.standard_normal(evidence.generated.shape),
        forecasts=evidence.forecasts + noise * chance.standard_normal(evidence.forecasts.shape),
        orbit=evidence.orbit + noise * chance.standard_normal(evidence.orbit.shape),
        errors=evidence.errors + noise**2,
        losses=evidence.losses + noise**2,
        exponents=evidence.exponents - noise,
        stable_points=min(int(100 * noise), 999),
        growth=evidence.growth * (1 + noise),
        accuracies=evidence.accuracies / (1 + noise),
        training_losses=evidence.training_losses + noise**2,
        reset=evidence.reset + noise**2,
        unbroken=evidence.unbroken + noise**2,
    )


def lost(evidence: Evidence, value: float) -> Evidence:
    """A network that left the finite numbers at once."""
    fields = ("generated", "orbit", "errors", "forecasts", "losses", "growth", "gradient_norms")
    fields += ("accuracies", "training_losses", "reset", "unbroken", "exponents")
    arrays = {f: np.full_like(getattr(evidence, f), value, float) for f in fields}
    return replace(evidence, exponent=value, stable_points=1000, **arrays)


def columns_of(name: str, evidence: Evidence) -> dict[str, float]:
    return {name: MEASURES[name](evidence)} | MEASURES[name].details(evidence)


def lorenz_itself() -> Evidence:
    """10 000 points of one orbit, with another one as the reference."""
    return system_itself(lorenz(10_000, (1.0, 1.0, 20.0)), lorenz(10_000, (-7.0, 3.0, 30.0)))
