"""A made-up map of gain x learning rate with a planted truth, as large as one likes: nothing is trained.

Networks diverge where the learning rate outgrows DIVERGES / gain^2, an error ends those of one corner, and the others
learn the better the closer lambda_max = ln(gain) is to zero before training. Training halves every exponent.
"""

from dataclasses import replace

import numpy as np

from lyapsweep.config import Config
from lyapsweep.dynamics.spectrum import Spectrum
from lyapsweep.results.description import BaseConfig, SweepDescription
from lyapsweep.results.provenance import Provenance
from lyapsweep.results.record import Outcome, Record
from lyapsweep.results.table import Table

DIVERGES, STEPS = 0.3, 500
BASE = {
    "dataset": {"kind": "simulated", "system": "lorenz63", "length": 5000, "dt": 0.01},
    "cell": {"kind": "vanilla", "units": 64},
    "init": {"kind": "gaussian", "gain": 1.0},
    "forcing": {"kind": "sparse", "interval": 16},
    "training": {"steps": STEPS},
    "measures": ["loss", "state_space"],
}
DESCRIPTION = SweepDescription(
    name="border",
    intent="map",
    objective="loss",
    direction="minimise",
    varied=("init/gain", "training/lr"),
    command="lyapsweep sweep sweeps/border.py",
)
DATA = {"dt": 0.01, "lambda_max": 0.00906, "predictability_time": 76.5}


def outcome(gain: float, lr: float) -> Outcome:
    if lr * gain**2 > DIVERGES:
        return Outcome.DIVERGED
    return Outcome.FAILED if gain < 0.2 and lr > 0.3 else Outcome.FINISHED


def spectrum(gain: float, step: int, exponents: int, rng: np.random.Generator) -> Spectrum:
    first = np.log(gain) * (1.0 if step == 0 else 0.5)
    values = first - np.cumsum(np.append(0.0, rng.uniform(0.01, 0.05, exponents - 1)))
    error = np.full(exponents, 1e-3)
    return Spectrum(values, error, steps=100, orbits=1, map="closed loop", state=exponents, dt=0.01)


def placed(base: Config, gain: float, lr: float) -> Config:
    """`base.changed(...)` of one that has been checked, which takes two milliseconds: a map has thousands."""
    return Config({**base.sections, "init": base.init | {"gain": gain}, "training": replace(base.training, lr=lr)})


def records(gain: float, lr: float, exponents: int, base: Config) -> list[Record]:
    """One trial: its records at step 0 and at its end."""
    config, end = placed(base, gain, lr), outcome(gain, lr)
    rng = np.random.default_rng(int(config.id, 16))
    loss = float(0.01 + np.log(gain) ** 2 + 0.1 * (np.log10(lr) + 2) ** 2 + 0.01 * rng.random())
    spectra = {step: {"closed loop": spectrum(gain, step, exponents, rng)} for step in (0, STEPS)}
    measures = {"loss": loss, "state_space": 3 * loss + rng.random()}
    provenance = Provenance.from_json({"data": DATA, "seconds": 0.1})
    start = Record(config, 0, Outcome.RUNNING, spectra[0], {"loss": 1.0}, provenance=provenance)
    if end is Outcome.FAILED:
        return [start, Record(config, 1, end, provenance=replace(provenance, error="RuntimeError: planted"))]
    floors = {"loss": 0.01, "state_space": 0.06}
    return [start, Record(config, STEPS, end, spectra[STEPS], measures, floors=floors, provenance=provenance)]


def axes(side: int) -> tuple[list[float], list[float]]:
    """The gains and the learning rates of a map of `side` x `side` trials."""
    gains, rates = np.geomspace(0.1, 10, side), np.geomspace(1e-4, 1, side)
    return [float(f"{g:.4g}") for g in gains], [float(f"{r:.4g}") for r in rates]


def table(side: int = 8, exponents: int = 8, **about: object) -> Table:
    gains, rates = axes(side)
    base = Config.of(BASE)
    made = [r for gain in gains for lr in rates for r in records(gain, lr, exponents, base)]
    told = {"base": BaseConfig("configs/border.yaml", base.to_dict()), "trials": side**2}
    return Table.of(made, replace(DESCRIPTION, **(told | about)))
