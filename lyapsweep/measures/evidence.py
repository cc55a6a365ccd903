"""What a measure may see of a trained network: arrays only, never the network."""

from dataclasses import dataclass, field

import numpy as np


@dataclass(frozen=True)
class Evidence:
    """Everything in the units of the standardised series; time leads.

    truth      (time, features)             the held-out series
    reference  (time, features)             another piece of the truth, as long as `truth` where there is that much:
                                            a measure's floor is its score with `reference` in place of `generated`
    generated  (time, features)             free runs of the network on its attractor, `orbits` of one length, one after
                                            the other, together as long as `truth`; rows are NaN or infinite from the
                                            step at which a run left the finite numbers
    forecasts  (starts, horizon, features)  free predictions of 1 ... horizon steps from states inferred at `starts`
    targets    (starts, horizon, features)  what came then
    losses     (windows,)                   held-out loss of each test window under the forcing of training
    gradient_norms (updates,)               norm of the loss gradient at every update so far
    lags, growth   (lags,)                  mean log || dz_{t+lag} / dz_t || of the free run, nats, at each lag
    exponent                                the network's own largest exponent, nats per step
    lambda_max                              the largest exponent of the data's true dynamics, nats per step, or None
    dt                                      time between samples

    Empty unless a measure `needs` them, for they take their time:

    orbit      (1.25 time, features)        one free run from the first held-out observation, nothing thrown away
    errors     (horizon,)                   mean squared error of free forecasts of 1 ... horizon steps from every
                                            held-out observation that far before the end
    """

    truth: np.ndarray
    reference: np.ndarray
    generated: np.ndarray
    forecasts: np.ndarray
    targets: np.ndarray
    losses: np.ndarray
    gradient_norms: np.ndarray
    lags: np.ndarray
    growth: np.ndarray
    exponent: float
    lambda_max: float | None
    dt: float
    orbits: int = 1
    orbit: np.ndarray = field(default_factory=lambda: np.empty((0, 0)))
    errors: np.ndarray = field(default_factory=lambda: np.empty(0))
