"""Hazard ratios of covariates by Cox models, with intervals that know which runs are independent."""

import warnings
from typing import NamedTuple

import numpy as np
import pandas as pd
from lifelines import CoxPHFitter
from lifelines.exceptions import ConvergenceError, ConvergenceWarning
from lifelines.statistics import proportional_hazard_test
from scipy import stats

from lyapsweep.analysis.prediction.time_to_event import EventTimes
from lyapsweep.analysis.shared.rank_correlation import rank_correlation
from lyapsweep.analysis.shared.units import Units

EVENTS = 5  # fewest events for each covariate of a model
BLOCKS = 50  # settings left out one by one; more are left out in so many blocks
NEWTON = 4  # steps


class HazardRatios(NamedTuple):
    """Hazard ratios of covariates (covariates,) with 95 % interval and p; NaN if there is no estimate.

    `proportional` is the p value of proportional hazards (Schoenfeld residuals against the rank of time).
    """

    ratio: np.ndarray
    low: np.ndarray
    high: np.ndarray
    p: np.ndarray
    proportional: np.ndarray


def hazard_alone(times: EventTimes, x: np.ndarray, units: Units) -> HazardRatios:
    """Hazard ratios of covariates (covariates, trials), each in a model of its own."""
    return HazardRatios(*np.array([cox(times, row[None], units, test=True)[0] for row in x]).reshape(-1, 5).T)


def hazard_joint(times: EventTimes, x: np.ndarray, units: Units) -> HazardRatios:
    """Hazard ratios in one model of all covariates that vary."""
    varying, rows = np.ptp(x, axis=1) > 0, np.full((5, len(x)), np.nan)
    rows[:, varying] = np.array(cox(times, x[varying], units)).reshape(-1, 5).T
    return HazardRatios(*rows)


def cox(times: EventTimes, x: np.ndarray, units: Units, test: bool = False) -> list[tuple[float, ...]]:
    """(ratio, low, high, p, p of proportionality if it is tested) of each covariate, NaN if there is no estimate.

    Maximum partial likelihood with Efron's ties and a baseline for each stratum. Where units have several runs,
    standard errors are multiplied by `jackknife_factor`, with t quantiles. It has no maximum if a covariate separates
    the trials with an event from all others, or is a linear combination of others.
    """
    unknown = [(np.nan,) * 5] * len(x)
    if not len(x) or times.reached.sum() < EVENTS * len(x) or (np.ptp(x, axis=1) == 0).any():
        return unknown
    frame = pd.DataFrame({f"x{i}": row for i, row in enumerate(x)} | {"time": times.time, "reached": times.reached})
    frame = frame.assign(**{"stratum": units.stratum} if units.stratum.any() else {})
    given = {"strata": "stratum"} if "stratum" in frame else {}
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error", ConvergenceWarning)
            model = CoxPHFitter().fit(frame, "time", "reached", **given)
    except (ConvergenceError, ConvergenceWarning):
        return unknown
    coefficient, error = model.summary[["coef", "se(coef)"]].to_numpy().T
    spread = stats.norm()
    if units.clustered:
        error, spread = error * jackknife_factor(times, x.T, units), stats.t(min(units.number, BLOCKS) - 1)
    half = spread.ppf(0.975) * error
    p = 2 * spread.sf(np.abs(coefficient) / error)
    kept = proportionality(model, frame, times, units) if test else np.nan
    rows = np.exp([coefficient, coefficient - half, coefficient + half])
    return [(*row, kept) for row in np.vstack([rows, p]).T]


def jackknife_factor(times: EventTimes, x: np.ndarray, units: Units) -> np.ndarray:
    """Standard errors (covariates,) by leaving out settings, relative to those of independent runs.

    `x` has the shape (runs, covariates). Of beta with Breslow's ties, from four Newton steps: s^2 = (b - 1) / b
    sum_g (beta_g - mean beta)^2 over b blocks of settings.
    """
    block = units.blocks(BLOCKS, 0)
    weights = np.vstack([np.ones(len(x)), block != np.arange(block.max() + 1)[:, None]])
    key = np.unique(np.stack([units.stratum, times.time])[:, times.reached], axis=1)
    same = units.stratum == key[0][:, None]
    risk, event = same & (times.time >= key[1][:, None]), same & (times.time == key[1][:, None]) & times.reached
    beta, deaths = np.zeros((len(weights), x.shape[1])), weights @ event.T
    for _ in range(NEWTON):
        rate = weights * np.exp(np.clip(beta @ x.T, -30, 30))
        total = np.maximum(rate @ risk.T, 1e-300)
        mean = np.einsum("bn,np,tn->btp", rate, x, risk, optimize=True) / total[..., None]
        square = np.einsum("bn,np,nq,tn->btpq", rate, x, x, risk, optimize=True) / total[..., None, None]
        information = np.einsum("bt,btpq->bpq", deaths, square - mean[..., None] * mean[..., None, :])
        gradient = (weights * times.reached) @ x - np.einsum("bt,btp->bp", deaths, mean)
        beta = beta + (np.linalg.pinv(information) @ gradient[..., None])[..., 0]
    error = np.sqrt((len(beta) - 2) * beta[1:].var(0))
    return error / np.sqrt(np.diagonal(np.linalg.pinv(information[0])))


def proportionality(model: CoxPHFitter, frame: pd.DataFrame, times: EventTimes, units: Units) -> float:
    """The p value of a constant ratio of one covariate: its Schoenfeld residuals against the rank of time."""
    if not units.clustered:
        return float(np.ravel(proportional_hazard_test(model, frame, time_transform="rank").p_value)[0])
    residuals = model.compute_residuals(frame, "schoenfeld")["x0"]
    rows = residuals.index.to_numpy(int)
    return rank_correlation(residuals.to_numpy(), times.time[rows], units.take(rows)).p
