"""A smooth model of a whole series: the next values as radial basis functions of delayed ones, with its derivative."""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float

from lyapsweep.timeseries.embedding import Columns, delayed
from lyapsweep.timeseries.neighbours import Points

CROWD = 4  # states a centre is chosen from
WIDTHS = (0.35, 0.8, 1.8)  # of the median distance between centres
RIDGES = (1e-7, 1e-9, 1e-11, 1e-14)  # of the largest singular value
PIECES, HELD_OUT = 10, (1, 4, 7)  # of a series, and those that no fit sees while width and ridge are chosen
STARTS = 150  # held-out states from which a model is run ahead
LOST = 10.0  # standard deviations; an error counts as no more

States = Float[np.ndarray, "orbits dimensions"]


@dataclass(frozen=True)
class KernelModel:
    """x(t + k) = x(t) + W [1, s, exp(-|s - c|^2 / 2 w^2)], s = x(t - (E - 1) k), ..., x(t - k), x(t).

    `spacing` k, `values` E, `centres` (centres, dimensions), `width` w, `weights` (1 + dimensions + centres, columns).
    A state is E values of each column, the newest last; all others only shift, so that a single fitted function
    determines the model off the attractor (Broomhead and Lowe 1988; Casdagli 1989).
    """

    spacing: int
    values: int
    centres: Points
    width: float
    weights: Float[np.ndarray, "features columns"]

    def step(self, states: States) -> States:
        return self.moved_up(states, gaussian(states, self.centres, self.width))

    def push(self, states: States, tangents: States) -> tuple[States, States]:
        """The next states and the pushed tangents, one tangent vector per state."""
        d, c = states.shape[1], self.weights.shape[1]
        kernel = gaussian(states, self.centres, self.width)
        drift = kernel * (tangents @ self.centres.T - (states * tangents).sum(axis=1)[:, None]) / self.width**2
        moved = tangents[:, -c:] + tangents @ self.weights[1 : d + 1] + drift @ self.weights[d + 1 :]
        return self.moved_up(states, kernel), np.concatenate([tangents[:, c:], moved], axis=1)

    def moved_up(self, states: States, kernel: Float[np.ndarray, "orbits centres"]) -> States:
        d, c = states.shape[1], self.weights.shape[1]
        newest = states[:, -c:] + self.weights[0] + states @ self.weights[1 : d + 1] + kernel @ self.weights[d + 1 :]
        return np.concatenate([states[:, c:], newest], axis=1)

    def ahead(self, states: States, steps: int) -> States:
        for _ in range(steps):
            states = self.step(states)
        return states


@dataclass(frozen=True)
class Fitted:
    """A model of all states, and `partial`, of seven tenths of them, whose held-out `error` selected width and ridge.

    The error is a root mean square `horizon` samples ahead, in standard deviations; `width` is relative.
    """

    model: KernelModel
    partial: KernelModel
    error: float
    horizon: int
    width: float


def gaussian(states: States, centres: Points, width: float) -> Float[np.ndarray, "orbits centres"]:
    squares = np.square(states).sum(1)[:, None] + np.square(centres).sum(1) - 2 * states @ centres.T
    return np.exp(-np.maximum(squares, 0) / (2 * width**2))


def features(states: States, centres: Points, width: float) -> Float[np.ndarray, "orbits features"]:
    return np.concatenate([np.ones((len(states), 1)), states, gaussian(states, centres, width)], axis=1)


def spread_out(states: Points, count: int, rng: np.random.Generator) -> Float[np.ndarray, "centres dimensions"]:
    """`count` states, each the farthest from those before it, so that rare regions get centres too."""
    crowd = states[rng.choice(len(states), min(len(states), CROWD * count), replace=False)]
    chosen, gap = [0], np.square(crowd - crowd[0]).sum(1)
    while len(chosen) < min(count, len(crowd)):
        chosen.append(int(gap.argmax()))
        gap = np.minimum(gap, np.square(crowd - crowd[chosen[-1]]).sum(1))
    return crowd[chosen]


def fit(
    columns: Columns, spacing: int, values: int, horizon: int, count: int, seed: int, widths: tuple[float, ...] = WIDTHS
) -> Fitted:
    """Select width and ridge by the error `horizon` samples ahead of held-out states; refit on all states.

    One step is not enough to select by: the best models over one step may leave the attractor after a few. The horizon
    is at most half a held-out piece. The error is infinite if no piece is long enough for a step.
    """
    states, c = delayed(columns, values, spacing), columns.shape[1]
    last = len(states) - spacing
    now, moves, out = states[:last], states[spacing:, -c:] - states[:last, -c:], held_out(last)
    steps = max(1, min(horizon, last // PIECES // 2) // spacing)
    starts = whole(out, steps * spacing)
    starts = starts[:: max(1, len(starts) // STARTS)]
    centres = spread_out(now[~out], count, np.random.default_rng(seed))
    scale = float(np.median(np.linalg.norm(centres[1:] - centres[:-1], axis=1)))
    tried = []
    for width in widths:
        solved = solutions(features(now[~out], centres, width * scale), moves[~out], RIDGES)
        for ridge, weights in zip(RIDGES, solved):
            model = KernelModel(spacing, values, centres, width * scale, weights)
            tried.append((missed(model, states, starts, steps), width, ridge, model))
    error, width, ridge, partial = min(tried, key=lambda found: found[0])
    (weights,) = solutions(features(now, centres, width * scale), moves, (ridge,))
    return Fitted(KernelModel(spacing, values, centres, width * scale, weights), partial, error, steps * spacing, width)


def missed(model: KernelModel, states: Points, starts: np.ndarray, steps: int) -> float:
    """Root mean square error of the newest values `steps` steps after `starts`; infinite without starts."""
    if not len(starts):
        return float("inf")
    c = model.weights.shape[1]
    with np.errstate(all="ignore"):
        off = np.abs(model.ahead(states[starts], steps) - states[starts + steps * model.spacing])[:, -c:]
    return float(np.sqrt(np.square(np.nan_to_num(off, nan=LOST).clip(max=LOST)).mean()))


def held_out(length: int) -> np.ndarray:
    return np.isin(np.arange(length) * PIECES // length, HELD_OUT)


def whole(out: np.ndarray, horizon: int) -> np.ndarray:
    """Held-out times whose next `horizon` samples are held out as well."""
    cumulated = np.concatenate([[0], np.cumsum(out)])
    first = np.arange(len(out) - horizon)
    return first[cumulated[first + horizon + 1] - cumulated[first] == horizon + 1]


def solutions(P: np.ndarray, Y: np.ndarray, ridges: tuple[float, ...]) -> list[np.ndarray]:
    """argmin |P W - Y|^2 + (r s_1)^2 |W|^2 for each ridge r, by QR and SVD: columns of P are nearly dependent."""
    size = np.sqrt(np.square(P).mean(axis=0)) + 1e-300
    R = np.asarray(np.linalg.qr(np.concatenate([P / size, Y], axis=1), mode="r"))
    U, s, V = np.linalg.svd(R[:, : P.shape[1]], full_matrices=False)
    right = U.T @ R[:, P.shape[1] :]
    return [V.T @ (right * (s / (s**2 + (r * s[0]) ** 2))[:, None]) / size[:, None] for r in ridges]
