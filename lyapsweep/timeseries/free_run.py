"""The largest exponent of a smooth model that runs freely, which sees more of the attractor than the series."""

import math
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float

from lyapsweep.timeseries.embedding import Columns, Embedding, delayed
from lyapsweep.timeseries.kernel_model import Fitted, KernelModel, fit
from lyapsweep.timeseries.neighbours import Points

SPACINGS, MORE = (4, 2, 1), (0, 1, 2)  # a delay over this many; values beyond the embedding's
SHORT = (1, 2)  # samples: further spacings where the columns are the state as they are
SKETCH, CENTRES, KEPT = 150, 400, 2  # centres of models that are compared, of those that are kept, and how many are
FINEST = 1000  # centres of one more model, if the best of these has an error above ACCURATE
PART = 4  # of a series that one state and its step may span: a quarter
NARROWER = (0.6, 1.0)  # of a sketch's width: more centres stand closer
ORBITS = 150
FORGETTING, COUNTED = 20.0, 60.0  # Lyapunov times of an orbit that are not and that are counted
FEWEST, MOST = 400, 4000  # steps that are counted
PUSHED = 40  # steps along the series that are not counted
BLOCKS = 12
FEWEST_ALONG = PUSHED + 2 * BLOCKS
REACH = 1.3  # of the largest value of the series: an orbit beyond has left the attractor
TRUSTED = 0.35  # standard deviations, that held-out states may be missed by
DOUBTED = 0.15  # the largest relative error of an exponent that this counts as
EQUAL = 0.002  # the same, below which models differ by their cost only: that with the longest step is taken
ACCURATE = 0.03  # the same, below which a model is surer than local maps are
AGREE = 0.25  # of the local maps' exponent, that the model's may differ along the same samples
REFINED = 0.5  # standard deviations, below which more centres are tried
APART = 4.0  # standard errors, that the exponent running freely may differ from that along the series


@dataclass(frozen=True)
class FreeRun:
    """One model's exponents in nats per sample: running freely, along the series, and of `partial` running freely.

    `free_error` and `along_error` are standard errors, `counted` is the length of an orbit in samples. `refused` is the
    reason for rejecting the model; it is empty if the model is accepted. Exponents of orbits that left the attractor
    are NaN.
    """

    fitted: Fitted
    free: float
    free_error: float
    partial: float
    along: float
    along_error: float
    refused: str
    counted: int = 0


def runs(columns: Columns, found: Embedding, local: float, doubt: float, seed: int) -> tuple[FreeRun, ...]:
    """The best models of a series, up to the first that is accepted.

    `local` is the exponent of its local maps, `doubt` its uncertainty. Along the series all estimates share its
    sampling error: ten thousand samples may be a hundred Lyapunov times, over which the growth of the true tangent
    vectors deviates by a tenth. An accurate model can run for as long as needed.
    """
    tried: list[FreeRun] = []
    for fitted in candidates(columns, found, local, seed):
        tried.append(run(columns, fitted, local, doubt, seed))
        if not tried[-1].refused:
            break
    return tuple(tried)


def interval(model: FreeRun) -> tuple[float, float, float]:
    """(exponent, low, high): twice the standard error over orbits, the change by three tenths more data, and the error.

    The error on held-out states, in standard deviations, counts as a relative error of the exponent, up to 0.15: with
    noise in the states from which a model is run ahead, it says less about the model.
    """
    doubt = min(model.fitted.error, DOUBTED) * model.free
    half = 2 * math.hypot(model.free_error, model.free - model.partial, doubt)
    return model.free, model.free - half, model.free + half


def candidates(columns: Columns, found: Embedding, local: float, seed: int) -> list[Fitted]:
    """Models over fractions of the delay, with the embedding's number of values and a few more; best first.

    They are compared a mean period ahead, or a Lyapunov time if that is shorter.
    """
    horizon = math.ceil(max(min(max(found.period, 2 * found.delay), 1 / max(local, 1e-12)), 2))
    complete = found.dimension == 1 and found.flow
    spacings = {max(1, round(found.delay / part)) for part in (SPACINGS[:2] if complete else SPACINGS)}
    spacings |= set(SHORT) if complete else set()
    shapes = [(k, found.dimension + more) for k in sorted(spacings) for more in MORE]
    shapes = [(k, E) for k, E in shapes if E * k <= len(columns) // PART and (E + FEWEST_ALONG) * k <= len(columns)]
    sketches = sorted((fit(columns, k, E, horizon, SKETCH, seed) for k, E in shapes), key=cost)
    models = [refit(columns, sketch, CENTRES, NARROWER, seed) for sketch in sketches[:KEPT]]
    best = min(models, key=lambda f: f.error, default=None)
    if best is not None and ACCURATE < best.error < REFINED:
        models.append(refit(columns, best, FINEST, NARROWER[1:], seed))
    return sorted(models, key=cost)


def cost(fitted: Fitted) -> tuple[float, int]:
    return max(fitted.error, EQUAL), -fitted.model.spacing


def refit(columns: Columns, like: Fitted, centres: int, widths: tuple[float, ...], seed: int) -> Fitted:
    """A model of the same shape; `widths` relative to that of `like`."""
    widths = tuple(w * like.width for w in widths)
    return fit(columns, like.model.spacing, like.model.values, like.horizon, centres, seed, widths)


def run(columns: Columns, fitted: Fitted, local: float, doubt: float, seed: int) -> FreeRun:
    states = delayed(columns, fitted.model.values, fitted.model.spacing)
    along = growth_along(fitted.model, states, seed)
    blocks = np.array([b.mean() for b in np.array_split(along, BLOCKS)])
    value, error = float(along.mean()), float(blocks.std() / math.sqrt(BLOCKS - 1))
    refused = fit_problem(fitted, value, local, doubt)
    none = np.full(ORBITS, np.nan)
    free = none if refused else free_growth(fitted.model, states, value, seed)
    partial = none if refused else free_growth(fitted.partial, states, value, seed)
    said = refused or free_run_problem(free, partial, value, error)
    length = counted_steps(fitted.model, value) * fitted.model.spacing
    error_free = float(free.std() / math.sqrt(ORBITS))
    return FreeRun(fitted, float(free.mean()), error_free, float(partial.mean()), value, error, said, length)


def fit_problem(fitted: Fitted, along: float, local: float, doubt: float) -> str:
    if not fitted.error < TRUSTED:
        return f"it misses held-out states by {fitted.error:.2g} standard deviations {fitted.horizon} samples ahead"
    if fitted.error > ACCURATE and not abs(along - local) < max(AGREE * abs(local), doubt):
        return f"along the series its exponent is {along / local:.2f} of the local maps'"
    return ""


def free_run_problem(free: np.ndarray, partial: np.ndarray, along: float, error: float) -> str:
    if not np.isfinite(free + partial).all():
        return "its orbits leave the attractor"
    if abs(free.mean() - along) > APART * math.hypot(error, free.std() / math.sqrt(ORBITS)):
        return f"running freely its exponent is {free.mean() / along:.2f} of that along the series"
    return ""


def free_growth(model: KernelModel, states: Points, expected: float, seed: int) -> Float[np.ndarray, " orbits"]:
    """Growth per sample of a tangent vector along each of 200 orbits from states of the series; NaN if one leaves it.

    The `expected` exponent sets the length of the orbits. At first an accurate model follows the series itself and
    shares its sampling error; that part is not counted.
    """
    rng = np.random.default_rng(seed)
    z = states[rng.integers(len(states), size=ORBITS)]
    v, limit, total = rng.standard_normal(z.shape), REACH * np.abs(states).max(), np.zeros(ORBITS)
    steps = counted_steps(model, expected)
    warm = int(steps * FORGETTING / COUNTED)
    for t in range(warm + steps):
        z, v = model.push(z, v)
        size = np.linalg.norm(v, axis=1)
        if not (np.abs(z) < limit).all() or not (size > 0).all():
            return np.full(ORBITS, np.nan)
        v /= size[:, None]
        total += np.log(size) if t >= warm else 0
    return total / steps / model.spacing


def counted_steps(model: KernelModel, expected: float) -> int:
    return int(np.clip(COUNTED / max(expected * model.spacing, 1e-12), FEWEST, MOST))


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
