"""The 40 series of `benchmarks.suggest`: 20 chaotic, 20 not, fixed before anything was tuned on them.

Half of them, `TUNING`, may be looked at while the estimator is changed; `SET_ASIDE` is run once, at the end. Chaotic
series are recorded from systems of this package, flows of dysts and the two maps below, after 1000 discarded
samples. `truth` is lambda_max per unit time with its standard error, from tangent vectors of the same equations at the
same time step (`python -m benchmarks.suggest --truth`): 256 orbits of 20 000 steps of Lorenz, Roessler and
Mackey-Glass, 512 of 4000 steps of the others, after 4000 and 2000 steps that align the vectors.
"""

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

import numpy as np
import torch

from lyapsweep import systems
from lyapsweep.maps import Inputs, States, Tangents, autodiff_push

TRANSIENT = 1000  # samples


@dataclass(frozen=True)
class Series:
    """One series: a system and what of it is recorded, or a function of a generator and a length.

    `columns` are positions of the recorded coordinates; empty means all. `truth` is (lambda_max, standard error) per
    unit time; None if the series is not chaotic.
    """

    name: str
    length: int
    seed: int
    dt: float = 1.0
    system: str = ""
    parameters: Mapping[str, float] = field(default_factory=dict)
    columns: tuple[int, ...] = ()
    made: Callable[[np.random.Generator, int], np.ndarray] | None = None
    truth: tuple[float, float] | None = None

    def build(self) -> systems.AbstractSystem:
        if self.system in MAPS:
            return MAPS[self.system](**self.parameters)
        step = None if self.system == "henon" else self.dt
        return systems.build(self.system, step, **self.parameters)

    def values(self, noise: float) -> np.ndarray:
        """(length, columns), with observation noise in standard deviations of each column."""
        if self.made is not None:
            x = self.made(np.random.default_rng(self.seed), self.length)
        else:
            system = self.build()
            start = system.start(1, torch.Generator().manual_seed(self.seed))
            x = system.trajectory(start, TRANSIENT + self.length)[TRANSIENT:]
            x = x[:, list(self.columns)] if self.columns else x
        return x + noise * x.std(axis=0) * np.random.default_rng(self.seed).standard_normal(x.shape)


class Ikeda(systems.AbstractSystem):
    """z' = 1 + u z exp(i (0.4 - 6 / (1 + |z|^2))), u = 0.9: light in a ring cavity (Ikeda 1979)."""

    state, names = 2, ("x", "y")

    def start(self, batch: int, generator: torch.Generator) -> States:
        return 0.2 * torch.rand(1, batch, 2, dtype=torch.float64, generator=generator)

    def step(self, z: States, x: Inputs | None = None) -> States:
        turn = 0.4 - 6 / (1 + z.square().sum(-1))
        cos, sin = turn.cos(), turn.sin()
        return torch.stack(
            [1 + 0.9 * (z[..., 0] * cos - z[..., 1] * sin), 0.9 * (z[..., 0] * sin + z[..., 1] * cos)], -1
        )

    def push(self, z: States, x: Inputs | None, V: Tangents) -> tuple[States, Tangents]:
        return autodiff_push(self.step, z, x, V)


class CoupledLogistic(systems.AbstractSystem):
    """A ring of logistic maps, r = 3.9: each takes a share e / 2 of either neighbour's next value (Kaneko 1984)."""

    def __init__(self, sites: int, coupling: float = 0.1):
        self.state, self.names, self.coupling = sites, tuple(f"x{i}" for i in range(sites)), coupling

    def start(self, batch: int, generator: torch.Generator) -> States:
        return 0.2 + 0.6 * torch.rand(1, batch, self.state, dtype=torch.float64, generator=generator)

    def step(self, z: States, x: Inputs | None = None) -> States:
        f = 3.9 * z * (1 - z)
        return (1 - self.coupling) * f + self.coupling / 2 * (f.roll(1, -1) + f.roll(-1, -1))

    def push(self, z: States, x: Inputs | None, V: Tangents) -> tuple[States, Tangents]:
        return autodiff_push(self.step, z, x, V)


MAPS: dict[str, Callable[..., systems.AbstractSystem]] = {"ikeda": Ikeda, "coupled_logistic": CoupledLogistic}


def standardised(x: np.ndarray) -> np.ndarray:
    return (x - x.mean(axis=0)) / x.std(axis=0)


def van_der_pol(rng: np.random.Generator, length: int) -> np.ndarray:
    """A limit cycle far from a sine, mu = 2, x at dt = 0.05."""
    field, h, z = lambda z: np.array([z[1], 2 * (1 - z[0] ** 2) * z[1] - z[0]]), 0.05, np.array([2.0, 0.0])
    orbit = np.empty((TRANSIENT + length, 2))
    for t in range(len(orbit)):
        k1 = field(z)
        k2 = field(z + h / 2 * k1)
        k3 = field(z + h / 2 * k2)
        z = z + h / 6 * (k1 + 2 * k2 + 2 * k3 + field(z + h * k3))
        orbit[t] = z
    return orbit[TRANSIENT:, :1]


def tones(*ratios: float) -> Callable[[np.random.Generator, int], np.ndarray]:
    """A sum of sines of periods 90 / ratio samples with random phases."""

    def made(rng: np.random.Generator, length: int) -> np.ndarray:
        t, phases = 2 * math.pi / 90 * np.arange(length), rng.uniform(0, 2 * math.pi, len(ratios))
        return sum(np.sin(ratio * t + phase) for ratio, phase in zip(ratios, phases))[:, None]  # type: ignore[index]

    return made


def circle_map(rng: np.random.Generator, length: int) -> np.ndarray:
    """cos of theta' = theta + 2 pi 0.3819 - 0.8 sin theta: quasi-periodic steps of a map."""
    theta, steps = rng.uniform(0, 2 * math.pi), []
    for _ in range(length):
        theta += 2 * math.pi * 0.3819 - 0.8 * math.sin(theta)
        steps.append(math.cos(theta))
    return np.array(steps)[:, None]


def delayed_logistic(rng: np.random.Generator, length: int) -> np.ndarray:
    """x' = 2.1 x (1 - y), y' = x: an invariant circle."""
    x, y, rows = 0.6, 0.5, []
    for _ in range(TRANSIENT + length):
        x, y = 2.1 * x * (1 - y), x
        rows.append(x)
    return np.array(rows[TRANSIENT:])[:, None]


def torus(rng: np.random.Generator, length: int) -> np.ndarray:
    """Three coordinates of a winding on a torus, periods 50 and 50 / golden mean samples."""
    a = 2 * math.pi / 50 * np.arange(length)
    b = a * (1 + math.sqrt(5)) / 2
    return np.stack([(2 + np.cos(b)) * np.cos(a), (2 + np.cos(b)) * np.sin(a), np.sin(b)], axis=1)


def autoregressive(*weights: float) -> Callable[[np.random.Generator, int], np.ndarray]:
    """x_t = sum_k w_k x_{t-k} + white noise."""

    def made(rng: np.random.Generator, length: int) -> np.ndarray:
        x, kicks = np.zeros(TRANSIENT + length), rng.standard_normal(TRANSIENT + length)
        for t in range(len(weights), len(x)):
            x[t] = kicks[t] + sum(w * x[t - 1 - k] for k, w in enumerate(weights))
        return standardised(x[TRANSIENT:, None])

    return made


def resonance(period: float, damping: float) -> tuple[float, float]:
    """Weights of an AR(2) process that rings with a period, in samples."""
    return 2 * damping * math.cos(2 * math.pi / period), -(damping**2)


def bent(rng: np.random.Generator, length: int) -> np.ndarray:
    """exp of a ringing AR(2) process: Gaussian noise through a static nonlinearity."""
    return np.exp(0.7 * autoregressive(*resonance(25, 0.95))(rng, length))


def vector(rng: np.random.Generator, length: int) -> np.ndarray:
    """Two columns, x' = A x + noise, A a rotation by 0.3 shrunk by 0.97."""
    c, s, x, rows = 0.97 * math.cos(0.3), 0.97 * math.sin(0.3), np.zeros(2), []
    A = np.array([[c, -s], [s, c]])
    for kick in rng.standard_normal((TRANSIENT + length, 2)):
        x = A @ x + kick
        rows.append(x)
    return np.array(rows[TRANSIENT:])


def coloured(power: float) -> Callable[[np.random.Generator, int], np.ndarray]:
    """Gaussian noise with spectrum 1 / f^power."""

    def made(rng: np.random.Generator, length: int) -> np.ndarray:
        spectrum = np.fft.rfft(rng.standard_normal(2 * length))
        spectrum[1:] /= np.arange(1, len(spectrum)) ** (power / 2)
        return standardised(np.fft.irfft(spectrum)[:length, None])

    return made


def smoothed(rng: np.random.Generator, length: int) -> np.ndarray:
    """White noise under a Gaussian window of standard deviation 8 samples: smooth and not deterministic."""
    window = np.exp(-0.5 * (np.arange(-40, 41) / 8) ** 2)
    return standardised(np.convolve(rng.standard_normal(length + 80), window, "valid")[:, None])


def linear_trend(rng: np.random.Generator, length: int) -> np.ndarray:
    """An AR(1) process on a line that rises by four standard deviations."""
    return autoregressive(0.9)(rng, length) + np.linspace(0, 4, length)[:, None]


def seasonal_trend(rng: np.random.Generator, length: int) -> np.ndarray:
    """A parabola, a season of 365 samples and noise."""
    t = np.linspace(0, 1, length)
    x = 3 * t**2 + np.sin(2 * math.pi * np.arange(length) / 365) + 0.3 * rng.standard_normal(length)
    return x[:, None]


GOLDEN, ROOT2 = (1 + math.sqrt(5)) / 2, math.sqrt(2)
THOMAS = {"a": 0.18, "b": 1.0}  # dysts writes x' = b sin y - a x

TUNING = (
    Series("Lorenz, whole", 8000, 1, 0.02, "lorenz63", truth=(0.90584, 0.00088)),
    Series("Halvorsen, whole", 8000, 2, 0.015, "Halvorsen", truth=(0.68331, 0.00346)),
    Series("Roessler, x", 10_000, 3, 0.1, "roessler", columns=(0,), truth=(0.08683, 0.00025)),
    Series("Mackey-Glass 17", 10_000, 1, 1.0, "mackey_glass", {"delay": 17.0}, (0,), truth=(0.00511, 0.00002)),
    Series("Mackey-Glass 30", 10_000, 1, 1.0, "mackey_glass", {"delay": 30.0}, (0,), truth=(0.00705, 0.00004)),
    Series("Lorenz-96 of 5, one site", 10_000, 1, 0.05, "lorenz96", {"sites": 5}, (0,), truth=(0.46445, 0.00271)),
    Series("Lorenz-96 of 6, whole", 8000, 4, 0.05, "lorenz96", {"sites": 6}, truth=(0.95204, 0.00282)),
    Series("Thomas, whole", 10_000, 5, 0.2, "Thomas", THOMAS, truth=(0.03553, 0.00043)),
    Series("Ikeda, whole", 5000, 6, 1.0, "ikeda", truth=(0.50779, 0.00037)),
    Series(
        "two coupled logistic maps, one",
        5000,
        7,
        1.0,
        "coupled_logistic",
        {"sites": 2, "coupling": 0.04},
        (0,),
        truth=(0.45027, 0.00019),
    ),
    Series("Roessler's limit cycle, whole", 6000, 11, 0.1, "roessler", {"a": 0.2, "b": 0.2, "c": 2.5}),
    Series("van der Pol, x", 6000, 12, made=van_der_pol),
    Series("Mackey-Glass 10", 8000, 13, 1.0, "mackey_glass", {"delay": 10.0}, (0,)),
    Series("two tones", 8000, 14, made=tones(1, GOLDEN)),
    Series("circle map", 4000, 15, made=circle_map),
    Series("AR(1), 0.95", 8000, 16, made=autoregressive(0.95)),
    Series("AR(2) of period 20", 8000, 17, made=autoregressive(*resonance(20, 0.98))),
    Series("smoothed noise", 8000, 18, made=smoothed),
    Series("AR(1) on a line", 6000, 19, made=linear_trend),
    Series("white noise", 4000, 20, made=coloured(0.0)),
)
SET_ASIDE = (
    Series("Lorenz, x", 8000, 31, 0.02, "lorenz63", columns=(0,), truth=(0.90584, 0.00088)),
    Series("Halvorsen, x", 8000, 32, 0.015, "Halvorsen", columns=(0,), truth=(0.68331, 0.00346)),
    Series("Roessler, whole", 10_000, 33, 0.1, "roessler", truth=(0.08683, 0.00025)),
    Series("Mackey-Glass 23", 10_000, 34, 1.0, "mackey_glass", {"delay": 23.0}, (0,), truth=(0.00947, 0.00003)),
    Series("Lorenz-96 of 5, whole", 8000, 35, 0.05, "lorenz96", {"sites": 5}, truth=(0.46445, 0.00271)),
    Series("Lorenz-96 of 8, whole", 8000, 36, 0.05, "lorenz96", {"sites": 8}, truth=(1.59363, 0.00323)),
    Series("Thomas, x", 10_000, 37, 0.2, "Thomas", THOMAS, (0,), truth=(0.03553, 0.00043)),
    Series("Henon, x", 4000, 38, 1.0, "henon", columns=(0,), truth=(0.41913, 0.00026)),
    Series("Ikeda, x", 5000, 39, 1.0, "ikeda", columns=(0,), truth=(0.50779, 0.00037)),
    Series(
        "three coupled logistic maps, whole", 5000, 40, 1.0, "coupled_logistic", {"sites": 3}, truth=(0.34456, 0.00017)
    ),
    Series("Lorenz's limit cycle, x", 8000, 41, 0.01, "lorenz63", {"rho": 160.0}, (0,)),
    Series("Mackey-Glass 14", 8000, 42, 1.0, "mackey_glass", {"delay": 14.0}, (0,)),
    Series("three tones", 8000, 43, made=tones(1, ROOT2, GOLDEN)),
    Series("torus, whole", 6000, 44, made=torus),
    Series("delayed logistic map, x", 4000, 45, made=delayed_logistic),
    Series("exp of AR(2)", 8000, 46, made=bent),
    Series("two-column AR(1)", 6000, 47, made=vector),
    Series("1/f noise", 8000, 48, made=coloured(1.0)),
    Series("1/f^2 noise", 8000, 49, made=coloured(2.0)),
    Series("season on a parabola", 6000, 50, made=seasonal_trend),
)
