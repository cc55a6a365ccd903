"""What a measure may use of a trained network: arrays only."""

import math
from dataclasses import dataclass, field
from functools import partial

import numpy as np

NONE, NO_ROWS, NO_FORECASTS = (partial(np.empty, shape) for shape in ((0,), (0, 0), (0, 0, 0)))


@dataclass(frozen=True)
class Evidence:
    """What is known of one trained network, as arrays with time first.

    Arrays that the data do not provide are empty. Series are in standardised units; with inputs, every run is driven by
    the held-out ones.

    Args:
        losses: Held-out loss of each test window, under the forcing of training or a task's own, (windows,).
        gradient_norms: Norm of the loss gradient at every update so far, (updates,).
        lags: Lags of `growth`, (lags,).
        growth: Mean log || dz_{t+lag} / dz_t || of the free run, or of a run driven by a task's inputs, in nats,
            (lags,).
        exponent: The network's own largest exponent along such runs, nats per step.
        exponents: The network's own exponents along such runs, largest first, nats per step, (k,); NaN if the orbits
            escape to infinity.
        known_exponents: Of a series: the known exponents of the true dynamics, largest first, nats per step; its
            `lambda_max` alone where no more is known.
        half_widths: Of a series: half-widths of their 95 % intervals, (k,).
        dt: Time between samples; None if there is no time unit.
        truth: Of a series: the held-out part, (time, features).
        reference: Of a series: another part of the truth, (time, features), as long as `truth` if there is enough of
            it. A
            measure's floor is its score with `reference` in place of `generated`.
        pool: Of a series: the training part, (time, features), from which the floor's interval is resampled.
        generated: Of a series: free runs on the network's attractor, `orbits` of equal length one after another,
            together
            as long as `truth`, (time, features); not finite from where a run diverged.
        forecasts: Of a series: free predictions of 1 ... horizon steps, (starts, horizon, features).
        targets: Of a series: the values that were predicted, (starts, horizon, features).
        lambda_max: Of a series: largest exponent of the true dynamics, nats per step; None if unknown.
        orbits: Number of runs in `generated`, 1 by default.
        orbit: Of a series, for measures that need it: one free run from the first held-out observation, without dropped
            steps, (1.25 time, features); with inputs (time - 1, features).
        errors: Of a series, for measures that need it: mean squared error of free forecasts of 1 ... horizon steps from
            every
            held-out observation, (horizon,).
        stable_points: Of a series, for measures that need it: number of stable fixed points; None where none were
            searched.
        baseline: Of a task: loss of an answer without memory.
        accuracies: Of a task with classes: share of right answers in each test window, (windows,).
        training_losses: Of a task: loss of every update so far, (updates,).
        reset: Of a long stream: held-out loss at each step of windows from the zero state, (length, windows).
        unbroken: Of a long stream: the same steps in one pass without resets, (length, windows); empty for conditional
            windows.

    Example:
        >>> Evidence(losses=np.array([0.5])).generated.shape
        (0, 0)
    """

    losses: np.ndarray = field(default_factory=NONE)
    gradient_norms: np.ndarray = field(default_factory=NONE)
    lags: np.ndarray = field(default_factory=NONE)
    growth: np.ndarray = field(default_factory=NONE)
    exponent: float = math.nan
    exponents: np.ndarray = field(default_factory=NONE)
    known_exponents: tuple[float, ...] = ()
    half_widths: np.ndarray = field(default_factory=NONE)
    dt: float | None = None
    truth: np.ndarray = field(default_factory=NO_ROWS)
    reference: np.ndarray = field(default_factory=NO_ROWS)
    pool: np.ndarray = field(default_factory=NO_ROWS)
    generated: np.ndarray = field(default_factory=NO_ROWS)
    forecasts: np.ndarray = field(default_factory=NO_FORECASTS)
    targets: np.ndarray = field(default_factory=NO_FORECASTS)
    lambda_max: float | None = None
    orbits: int = 1
    orbit: np.ndarray = field(default_factory=NO_ROWS)
    errors: np.ndarray = field(default_factory=NONE)
    stable_points: int | None = None
    baseline: float | None = None
    accuracies: np.ndarray = field(default_factory=NONE)
    training_losses: np.ndarray = field(default_factory=NONE)
    reset: np.ndarray = field(default_factory=NO_ROWS)
    unbroken: np.ndarray = field(default_factory=NO_ROWS)
