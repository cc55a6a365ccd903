"""The largest exponent of a smooth model that runs freely: more of the attractor than the series itself has seen."""

import math
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float

from lyapsweep.timeseries.embedding import Columns, Embedding, delayed
from lyapsweep.timeseries.kernel_model import Fitted, KernelModel, fit
from lyapsweep.timeseries.neighbours import Points

SPACINGS = (8, 4, 2)  # a delay over this many
SKETCH, CENTRES, FINAL = 250, 600, 3  # centres of models that are compared, of those that are kept, and how many are
ORBITS = 400
ALIGNING, COUNTED, MOST = 6.0, 30.0, 2500  # Lyapunov times of an orbit that are not and that are counted; steps
PUSHED = 40  # steps along the series that are not counted, at most
REACH = 1.3  # of the largest value of the series: an orbit beyond has left the attractor
BLOCKS = 12


@dataclass(frozen=True)
class Run:
    """One model: its exponent running freely, along the series, their standard errors; nats a sample."""

    fitted: Fitted
    free: float
    free_error: float
    along: float
    along_error: float
    stayed: bool


def candidates(columns: Columns, found: Embedding, seed: int) -> list[Fitted]:
    """Models over fractions of the delay, of as many values as the embedding has and one more; best first."""
    spacings = sorted({max(1, round(found.delay / part)) for part in SPACINGS})
    shapes = [(k, found.dimension + more) for k in spacings for more in (0, 1)]
    sketched = sorted((fit(columns, k, E, horizon(found), SKETCH, seed) for k, E in shapes), key=lambda f: f.error)
    kept = [(f.model.spacing, f.model.values) for f in sketched[:FINAL]]
    return sorted((fit(columns, k, E, horizon(found), CENTRES, seed) for k, E in kept), key=lambda f: f.error)


def horizon(found: Embedding) -> int:
    return math.ceil(max(found.period, 2 * found.delay, 4))


def run(columns: Columns, fitted: Fitted, rough: float, seed: int) -> Run:
    """`rough` is a first exponent: it says how long orbits have to be."""
    model = fitted.model
    states = delayed(columns, model.values, model.spacing)
    free, stayed = freely(model, states, columns.shape[1], rough, seed)
    along = alongside(model, states, seed)
    blocks = np.array([b.mean() for b in np.array_split(along, BLOCKS)])
    return Run(
        fitted,
        float(free.mean()),
        float(free.std() / math.sqrt(len(free))),
        float(along.mean()),
        float(blocks.std() / math.sqrt(BLOCKS - 1)),
        stayed,
    )


def freely(
    model: KernelModel, states: Points, columns: int, rough: float, seed: int
) -> tuple[Float[np.ndarray, " orbits"], bool]:
    """Growth a sample of one tangent vector along each of 400 orbits from states of the series; whether all stayed."""
    rng = np.random.default_rng(seed)
    z = states[rng.integers(len(states), size=ORBITS)]
    v, limit = rng.standard_normal(z.shape), REACH * np.abs(states).max()
    per_step = max(rough * model.spacing, 1e-9)
    warm, steps = (int(np.clip(t / per_step, 20, MOST * t / COUNTED)) for t in (ALIGNING, COUNTED))
    total = np.zeros(ORBITS)
    for t in range(warm + steps):
        z, v = model.push(z, v)
        size = np.linalg.norm(v, axis=1)
        if not (np.abs(z) < limit).all() or not (size > 0).all():
            return np.full(ORBITS, np.nan), False
        v /= size[:, None]
        total += np.log(size) if t >= warm else 0
    return total / steps / model.spacing, True


def alongside(model: KernelModel, states: Points, seed: int) -> Float[np.ndarray, " steps"]:
    """The same along the series, a step of the model at a time, `spacing` chains side by side."""
    k = model.spacing
    v, logs = np.random.default_rng(seed).standard_normal((k, states.shape[1])), []
    with np.errstate(all="ignore"):
        for t in range(0, len(states) // k * k, k):
            v = model.push(states[t : t + k], v)[1]
            size = np.linalg.norm(v, axis=1)
            v /= size[:, None]
            logs.append(np.log(size).mean() / k)
    return np.array(logs[PUSHED:])
