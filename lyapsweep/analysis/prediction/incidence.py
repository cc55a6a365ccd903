"""Shares that reached a threshold, with bands and a test of their difference that know which runs are independent."""

import numpy as np
from lifelines import KaplanMeierFitter
from scipy import stats

from lyapsweep.analysis.prediction.time_to_event import EventTimes
from lyapsweep.analysis.shared.units import Units

PERMUTATIONS = 999  # of the log-rank test


def curves(times: EventTimes, index: np.ndarray, groups: int, units: Units) -> dict[str, np.ndarray]:
    """Fields of a `SurvivalFinding`: shares, bands, medians and counts of every group, at the steps of all events."""
    steps = np.unique(np.append(0.0, times.time))
    share, low, high = (np.full((groups, len(steps)), np.nan) for _ in range(3))
    n, reached, lost = (np.zeros(groups, int) for _ in range(3))
    for g in range(groups):
        own = times.take(index == g)
        fitter = KaplanMeierFitter().fit(own.time, own.reached, timeline=steps)
        seen = steps <= own.time.max()
        survival = fitter.survival_function_.to_numpy()[:, 0]
        band = fitter.confidence_interval_survival_function_.to_numpy().T
        if units.clustered:
            band = clustered_band(own, survival, steps, units.take(index == g).index)
        share[g, seen] = 1 - survival[seen]
        low[g, seen], high[g, seen] = 1 - band[1, seen], 1 - band[0, seen]
        n[g], reached[g], lost[g] = len(own.time), own.reached.sum(), (own.lost & ~own.reached).sum()
    middle = {"median": share, "median_low": high, "median_high": low}
    return {
        "steps": steps,
        "share": share,
        "low": low,
        "high": high,
        **{name: half_time(curve, steps) for name, curve in middle.items()},
        "n": n,
        "reached": reached,
        "lost": lost,
    }


def clustered_band(times: EventTimes, survival: np.ndarray, steps: np.ndarray, unit: np.ndarray) -> np.ndarray:
    """The 95 % band (2, steps) of the survival function S of runs of several units, by ln(-ln S) with t quantiles.

    The variance of ln S is sum_g (sum_{i in g} f_i)^2 u / (u - 1) over u units, with f_i(t) = -sum_{s <= t} (dN_i -
    Y_i d / Y) / (Y - d); with one run in each unit it is Greenwood's.
    """
    units = int(unit.max()) + 1
    if units < 2:
        return np.stack([np.zeros_like(survival), np.ones_like(survival)])
    event = (times.time[:, None] == steps) & times.reached[:, None]
    risk = times.time[:, None] >= steps
    events, at_risk = event.sum(0), risk.sum(0)
    rest = np.maximum(at_risk - events, 1)
    influence = -np.cumsum((event - risk * events / np.maximum(at_risk, 1)) / rest, axis=1)
    totals = np.zeros((units, len(steps)))
    np.add.at(totals, unit, influence)
    error = np.sqrt((totals**2).sum(0) * units / (units - 1))
    inside = (survival > 0) & (survival < 1)
    safe = np.where(inside, survival, 0.5)
    power = np.exp(np.multiply.outer((1, -1), stats.t.ppf(0.975, units - 1) * error / np.abs(np.log(safe))))
    return np.where(inside, safe**power, survival)


def half_time(share: np.ndarray, steps: np.ndarray) -> np.ndarray:
    """The first step (groups,) at which a share is one half, inf if it never is."""
    above = share >= 0.5
    return np.where(above.any(1), steps[above.argmax(1)], np.inf)


def log_rank(times: EventTimes, index: np.ndarray, units: Units, seed: int = 0) -> float:
    """The p value of equal groups: log-rank sums, of groups (runs,) whose labels are permuted between units.

    T = sum_k (sum_{i in k} M_i)^2 / n_k, with M_i = event_i - H(t_i) the martingale residuals of the pooled
    Nelson-Aalen estimate H of each stratum: sum_{i in k} M_i = O_k - E_k of the log-rank test.
    """
    generator, residuals = np.random.default_rng(seed), martingale_residuals(times, units.stratum)
    labels = np.array([index, *(index[units.permuted(generator)] for _ in range(PERMUTATIONS))])
    total = np.zeros(len(labels))
    for k in range(index.max() + 1):
        own = labels == k
        total += (own @ residuals) ** 2 / np.maximum(own.sum(1), 1)
    return float((total >= total[0] * (1 - 1e-9)).sum() / len(labels))


def martingale_residuals(times: EventTimes, stratum: np.ndarray) -> np.ndarray:
    """Event minus the cumulative hazard at the end of each run (runs,), by the Nelson-Aalen estimate of its stratum."""
    together = stratum[:, None] == stratum
    risk = (together & (times.time[:, None] <= times.time)).sum(1)  # at the time of each run
    jumps = np.where(times.reached, 1 / risk, 0.0)
    return times.reached - (together & (times.time[:, None] >= times.time)) @ jumps
