"""The largest exponent of a smooth model that runs freely, which sees more of the attractor than the series."""

import math
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float

from lyapsweep.timeseries.embedding import Columns, Embedding, delayed
from lyapsweep.timeseries.kernel_model import Fitted, KernelModel, fit
from lyapsweep.timeseries.neighbours import Points

SPACINGS, MORE = (4, 2, 1), (0, 1, 2)  # a delay over this many; values beyond the embedding's
SKETCH, CENTRES, KEPT = 150, 400, 2  # centres of models that are compared, of those that are kept, and how many are
PART = 4  # of a series that one state and its step may span: a quarter
NARROWER = (0.6, 1.0)  # of a sketch's width: more centres stand closer
ORBITS = 200
FORGETTING, COUNTED = 30.0, 60.0  # Lyapunov times of an orbit that are not and that are counted
FEWEST, MOST = 400, 4000  # steps that are counted
PUSHED = 40  # steps along the series that are not counted
BLOCKS = 12
REACH = 1.3  # of the largest value of the series: an orbit beyond has left the attractor
TRUSTED = 0.03  # standard deviations, that held-out states may be missed by
AGREE = 0.25  # of the local maps' exponent, that the model's may differ along the same samples
APART = 4.0  # standard errors, that the exponent running freely may differ from that along the series


@dataclass(frozen=True)
class FreeRun:
    """One model's exponents in nats per sample: running freely, along the series, and of `partial` running freely.

    `free_error` and `along_error` are standard errors. `refused` is the reason for rejecting the model; it is empty if
    the model is accepted. Exponents of orbits that left the attractor are NaN.
    """

    fitted: Fitted
    free: float
    free_error: float
    partial: float
    along: float
    along_error: float
    refused: str


def runs(columns: Columns, found: Embedding, local: float, doubt: float, seed: int) -> tuple[FreeRun, ...]:
    """The best models of a series, up to the first that is accepted.

    `local` is the exponent of its local maps, `doubt` its uncertainty. Along the series all estimates share its
    sampling error: ten thousand samples may be a hundred Lyapunov times, over which the growth of the true tangent
    vectors deviates by a tenth. An accurate model can run for as long as needed.
    """
    tried: list[FreeRun] = []
    for fitted in candidates(columns, found, seed):
        tried.append(run(columns, fitted, local, doubt, seed))
        if not tried[-1].refused:
            break
    return tuple(tried)


def interval(model: FreeRun) -> tuple[float, float, float]:
    """(exponent, low, high): twice the standard error over orbits and the change by three tenths more data."""
    half = 2 * math.hypot(model.free_error, model.free - model.partial)
    return model.free, model.free - half, model.free + half


def candidates(columns: Columns, found: Embedding, seed: int) -> list[Fitted]:
    """Models over fractions of the delay, with the embedding's number of values and a few more; best first."""
    horizon = math.ceil(max(found.period, 2 * found.delay, 4))
    spacings = sorted({max(1, round(found.delay / part)) for part in SPACINGS})
    shapes = [(k, found.dimension + more) for k in spacings for more in MORE]
    shapes = [(k, E) for k, E in shapes if E * k <= len(columns) // PART]
    sketches = sorted((fit(columns, k, E, horizon, SKETCH, seed) for k, E in shapes), key=lambda f: f.error)
    return sorted((finer(columns, sketch, seed) for sketch in sketches[:KEPT]), key=lambda f: f.error)


def finer(columns: Columns, sketch: Fitted, seed: int) -> Fitted:
    widths = tuple(w * sketch.width for w in NARROWER)
    return fit(columns, sketch.model.spacing, sketch.model.values, sketch.horizon, CENTRES, seed, widths)


def run(columns: Columns, fitted: Fitted, local: float, doubt: float, seed: int) -> FreeRun:
    states = delayed(columns, fitted.model.values, fitted.model.spacing)
    along = growth_along(fitted.model, states, seed)
    blocks = np.array([b.mean() for b in np.array_split(along, BLOCKS)])
    value, error = float(along.mean()), float(blocks.std() / math.sqrt(BLOCKS - 1))
    refused = fit_problem(fitted, value, local, doubt)
    none = np.full(ORBITS, np.nan)
    free = none if refused else free_growth(fitted.model, states, local, seed)
    partial = none if refused else free_growth(fitted.partial, states, local, seed)
    said = refused or free_run_problem(free, partial, value, error)
    error_free = float(free.std() / math.sqrt(ORBITS))
    return FreeRun(fitted, float(free.mean()), error_free, float(partial.mean()), value, error, said)


def fit_problem(fitted: Fitted, along: float, local: float, doubt: float) -> str:
    if not fitted.error < TRUSTED:
        return f"it misses held-out states by {fitted.error:.2g} standard deviations {fitted.horizon} samples ahead"
    if not abs(along - local) < max(AGREE * abs(local), doubt):
        return f"along the series its exponent is {along / local:.2f} of the local maps'"
    return ""


def free_run_problem(free: np.ndarray, partial: np.ndarray, along: float, error: float) -> str:
    if not np.isfinite(free + partial).all():
        return "its orbits leave the attractor"
    if abs(free.mean() - along) > APART * math.hypot(error, free.std() / math.sqrt(ORBITS)):
        return f"running freely its exponent is {free.mean() / along:.2f} of that along the series"
    return ""


def free_growth(model: KernelModel, states: Points, local: float, seed: int) -> Float[np.ndarray, " orbits"]:
    """Growth per sample of a tangent vector along each of 200 orbits from states of the series; NaN if one leaves it.

    `local` sets the length of the orbits. At first an accurate model follows the series itself and shares its sampling
    error; that part is not counted.
    """
    rng = np.random.default_rng(seed)
    z = states[rng.integers(len(states), size=ORBITS)]
    v, limit, total = rng.standard_normal(z.shape), REACH * np.abs(states).max(), np.zeros(ORBITS)
    per_step = max(local * model.spacing, 1e-12)
    steps = int(np.clip(COUNTED / per_step, FEWEST, MOST))
    warm = int(steps * FORGETTING / COUNTED)
    for t in range(warm + steps):
        z, v = model.push(z, v)
        size = np.linalg.norm(v, axis=1)
        if not (np.abs(z) < limit).all() or not (size > 0).all():
            return np.full(ORBITS, np.nan)
        v /= size[:, None]
        total += np.log(size) if t >= warm else 0
    return total / steps / model.spacing


def growth_along(model: KernelModel, states: Points, seed: int) -> Float[np.ndarray, " steps"]:
    """The same along the series, one step of the model at a time, in `spacing` chains side by side."""
    k = model.spacing
    v, logs = np.random.default_rng(seed).standard_normal((k, states.shape[1])), []
    for t in range(0, len(states) // k * k, k):
        v = model.push(states[t : t + k], v)[1]
        size = np.maximum(np.linalg.norm(v, axis=1), 1e-300)
        v /= size[:, None]
        logs.append(np.log(size).mean() / k)
    return np.array(logs[PUSHED:])
