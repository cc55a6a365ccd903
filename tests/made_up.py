"""A made-up sweep with a planted truth, for the exams of the second floor: nothing is trained."""

import itertools
from dataclasses import replace

import numpy as np

from lyapsweep.config import Config
from lyapsweep.dynamics.spectrum import Spectrum
from lyapsweep.results.description import SweepDescription
from lyapsweep.results.provenance import DataDescription, Provenance
from lyapsweep.results.record import Outcome, Record
from lyapsweep.results.table import Table

BEST = 80  # the planted best interval
INTERVALS = (5, 10, 20, 40, 80, 160, 200)
CELLS = {"shallow_plrnn": 0.15, "lstm": 0.4, "vanilla": 0.9}  # the planted score at the best interval
LAMBDA_MAX, DT = 0.00906, 0.01
DESCRIPTION = SweepDescription(
    name="forcing_interval",
    question="Is the best forcing interval the predictability time of the data?\n\nExpected: yes, for every cell.",
    intent="map",
    objective="state_space",
    direction="minimise",
    varied=("cell", "forcing/interval", "seed"),
    trials=42,
    command="lyapsweep sweep sweeps/forcing_interval.py",
    started="2026-01-02T03:04:05",
)


def config(cell: str = "vanilla", interval: int = BEST, seed: int = 0) -> Config:
    sizes = {"units": 20, "hidden": 100} if cell == "shallow_plrnn" else {"units": 30}
    return Config.of(
        {
            "dataset": {"kind": "simulated", "system": "lorenz63", "length": 20000, "dt": DT},
            "cell": {"kind": cell} | sizes,
            "forcing": {"kind": "sparse", "interval": interval},
            "measures": ["loss", "state_space", "power_spectrum"],
            "seed": seed,
        }
    )


def spectrum(cell: str, interval: int, rng: np.random.Generator, dt: float | None = DT) -> Spectrum:
    """lambda_1 off the truth by as much as the interval is off the best; the rest falls away behind it."""
    first = LAMBDA_MAX * (1 + 0.8 * np.log(BEST / interval) + 0.05 * rng.normal())
    rest = -np.cumsum(rng.uniform(0.005, 0.02, size=19 if cell == "shallow_plrnn" else 29))
    exponents = np.sort(np.append(rest, first))[::-1]
    stderr = np.full(len(exponents), 0.0004)
    return Spectrum(exponents, stderr, steps=2000, orbits=4, map="closed loop", state=len(exponents), dt=dt)


def orbit(points: int, noise: float, rng: np.random.Generator) -> np.ndarray:
    """Lorenz-63 by Euler steps, standardised: (points, 3)."""
    z, path = rng.normal(size=3) + np.array([0, 0, 25]), []
    for _ in range(points + 500):
        x, y, w = z
        z = z + DT * np.array([10 * (y - x), x * (28 - w) - y, x * y - 8 / 3 * w])
        path.append(z)
    path = np.array(path[500:])
    return (path - path.mean(0)) / path.std(0) + noise * rng.normal(size=path.shape)


def score(cell: str, interval: int, rng: np.random.Generator) -> float:
    return CELLS[cell] * float(np.exp(0.45 * np.log(interval / BEST) ** 2 + 0.08 * rng.normal()))


def record(cell: str, interval: int, seed: int, outcome: Outcome = Outcome.FINISHED, step: int = 5000) -> Record:
    rng = np.random.default_rng((INTERVALS.index(interval), list(CELLS).index(cell), seed, step))
    d = score(cell, interval, rng)
    traces = {"truth": orbit(400, 0.0, rng), "generated": orbit(400, 0.02, rng)}
    return Record(
        config=config(cell, interval, seed),
        step=step,
        outcome=outcome,
        spectra={"closed loop": spectrum(cell, interval, rng)},
        measures={"loss": 0.01 * rng.uniform(1, 2), "state_space": d, "power_spectrum": min(1.0, 0.1 + 0.1 * d)},
        floors={"state_space": 0.06, "power_spectrum": 0.03},
        traces=traces,
        provenance=Provenance(
            seconds=12.5,
            pack=2,
            seed=seed,
            commit="abc123",
            versions={"torch": "2.13"},
            data=DataDescription(dt=DT, lambda_max=LAMBDA_MAX, predictability_time=float(np.log(2) / LAMBDA_MAX)),
        ),
    )


def failed(cell: str, interval: int, seed: int, error: str) -> Record:
    """What is known of a trial that an error ended: its configuration and the error."""
    return Record(
        config(cell, interval, seed), 0, Outcome.FAILED, provenance=Provenance(error=error, seconds=0.5, pack=2)
    )


def records(error: str = "RuntimeError: <script>alert(1)</script> out of memory") -> list[Record]:
    """3 cells x 7 intervals x 2 seeds; one diverged, one failed, the first with a record on the way."""
    made = []
    for cell, interval, seed in itertools.product(CELLS, INTERVALS, (0, 1)):
        if (cell, interval, seed) == ("lstm", 5, 0):
            made.append(failed(cell, interval, seed, error))
        elif (cell, interval, seed) == ("vanilla", 200, 1):
            made.append(record(cell, interval, seed, Outcome.DIVERGED, step=1234))
        else:
            made.append(record(cell, interval, seed))
    return [record(*next(iter(itertools.product(CELLS, INTERVALS, (0, 1)))), Outcome.RUNNING, step=0), *made]


def as_hunt(table: Table) -> Table:
    """The table as if a sampler had chosen its trials."""
    return replace(table, description=replace(table.description, intent="hunt"))


def table(**about) -> Table:
    return Table.of(records(), replace(DESCRIPTION, **about))
