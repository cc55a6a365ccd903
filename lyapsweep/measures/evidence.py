"""What a measure may see of a trained network: arrays only, never the network."""

from dataclasses import dataclass, field
from functools import partial

import numpy as np

NONE, NO_ROWS, NO_FORECASTS = (partial(np.empty, shape) for shape in ((0,), (0, 0), (0, 0, 0)))


@dataclass(frozen=True)
class Evidence:
    """What is known of one network; time leads. Empty is what its data do not give (`Measure.data`).

    Of every network:

    losses     (windows,)                   held-out loss of each test window: under the forcing of training, or a
                                            task's own
    gradient_norms (updates,)               norm of the loss gradient at every update so far
    lags, growth   (lags,)                  mean log || dz_{t+lag} / dz_t || of the free run, or of one driven by a
                                            task's inputs, nats, at each lag
    exponent                                the network's own largest exponent along such runs, nats per step
    dt                                      time between samples, None where steps are all there is

    Of a series, in the units of the standardised series; where inputs drive it, every run is under the held-out ones:

    truth      (time, features)             the held-out series
    reference  (time, features)             another piece of the truth, as long as `truth` where there is that much:
                                            a measure's floor is its score with `reference` in place of `generated`
    generated  (time, features)             free runs of the network on its attractor, `orbits` of one length, one after
                                            the other, together as long as `truth`; rows are NaN or infinite from the
                                            step at which a run left the finite numbers
    forecasts  (starts, horizon, features)  free predictions of 1 ... horizon steps from states inferred at `starts`
    targets    (starts, horizon, features)  what came then
    lambda_max                              the largest exponent of the data's true dynamics, nats per step, or None

    Of a series, and only where a measure `needs` them, for they take their time:

    orbit      (1.25 time, features)        one free run from the first held-out observation, nothing thrown away; under
                                            inputs (time - 1, features)
    errors     (horizon,)                   mean squared error of free forecasts of 1 ... horizon steps from every
                                            held-out observation that far before the end

    Of a task:

    baseline                                what an answer without memory loses
    accuracies (windows,)                   share of right answers in each test window, where answers are classes
    training_losses (updates,)              loss of every update so far

    Of a task that is one long stream:

    reset      (length, windows)            held-out loss at each step of each window, from the zero state
    unbroken   (length, windows)            the same steps in one pass that is never reset; none of conditional windows
    """

    losses: np.ndarray
    gradient_norms: np.ndarray
    lags: np.ndarray
    growth: np.ndarray
    exponent: float
    dt: float | None
    truth: np.ndarray = field(default_factory=NO_ROWS)
    reference: np.ndarray = field(default_factory=NO_ROWS)
    generated: np.ndarray = field(default_factory=NO_ROWS)
    forecasts: np.ndarray = field(default_factory=NO_FORECASTS)
    targets: np.ndarray = field(default_factory=NO_FORECASTS)
    lambda_max: float | None = None
    orbits: int = 1
    orbit: np.ndarray = field(default_factory=NO_ROWS)
    errors: np.ndarray = field(default_factory=NONE)
    baseline: float | None = None
    accuracies: np.ndarray = field(default_factory=NONE)
    training_losses: np.ndarray = field(default_factory=NONE)
    reset: np.ndarray = field(default_factory=NO_ROWS)
    unbroken: np.ndarray = field(default_factory=NO_ROWS)
