"""Count false findings of every statistic in tables without a relation, and findings of planted effects.

    python -m benchmarks.independence [--tables 1000] [--effect 1.5] [--trend 3] [--noise 2] [--only correlation]

A table has settings (7 learning rates x 3 widths, or x 9) with seeds. What a setting, a data set and a seed do to the
spectra and to the outcome (standard deviations 1, 1 and 0.3) is drawn anew for each table, independently of each other.
Rejected is a table in which p or q is below 0.05, or an interval excludes the truth: 0, or a hazard ratio of 1, or the
true share or optimum. `--effect` adds so many times the third exponent to the outcome, `--trend` so many times
the logarithm of the learning rate, both of standard deviation 1: rejections are then findings. `--noise` is the
standard deviation of the difference of the early score from the outcome.
"""

import argparse
import warnings
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from functools import partial
from multiprocessing import get_context
from typing import NamedTuple

import numpy as np
import pandas as pd

from benchmarks.timing import markdown, one_thread, progress
from lyapsweep.analysis.prediction import aelle, autoencoder, band_importance, incremental, survival, transfer
from lyapsweep.analysis.settings import importance, optimum
from lyapsweep.analysis.spectra import correlation, partial_correlation
from lyapsweep.results.table import Table

RATES, EXPONENTS, THIRD = 7, 8, 2  # a planted effect follows the third exponent
OUTCOME, MAP = "measures/loss", "driven"
REPORTS = range(0, 101, 10)
HALF = 50  # steps by which half of all networks learn
SHARE = 0.05


class Design(NamedTuple):
    """Settings, the least and the most seeds of one, and data sets."""

    settings: int
    least: int
    most: int
    sources: int = 1


DESIGNS = {
    "3 seeds": Design(21, 3, 3),
    "1 to 5 seeds": Design(21, 1, 5),
    "3 data sets": Design(21, 1, 1, 3),
    "1 seed": Design(63, 1, 1),
}


class Drawn(NamedTuple):
    """The runs of a table: a frame of settings, standardised exponents (runs, exponents), and outcomes (runs,)."""

    settings: pd.DataFrame
    exponents: np.ndarray
    outcome: np.ndarray
    noise: np.ndarray  # (runs,) of the early score

    def table(self, steps: range | tuple[int, ...] = (10, 100)) -> Table:
        """The early and the last records: the loss at 10 is the last one with noise."""
        loss = [np.exp(self.outcome + self.noise * (step < steps[-1])) for step in steps]
        return self.with_loss(steps, np.array(loss))

    def reports(self) -> Table:
        """Records at every report: the loss falls from 2 to 0.5 at step 50 exp(outcome), half of them by step 50."""
        loss = [np.where(step < HALF * np.exp(self.outcome), 2.0, 0.5) for step in REPORTS]
        return self.with_loss(REPORTS, np.array(loss))

    def with_loss(self, steps: range | tuple[int, ...], loss: np.ndarray) -> Table:
        spectra = -0.3 * np.arange(EXPONENTS) + 0.03 * self.exponents
        columns = {f"spectra/{MAP}/maximum": spectra[:, 0], f"spectra/{MAP}/third": spectra[:, THIRD]}
        frames = [
            self.settings.assign(
                step=step, final=step == steps[-1], **{OUTCOME: values, "training/steps": 100}, **columns
            )
            for step, values in zip(steps, loss, strict=True)
        ]
        frame = pd.concat(frames, ignore_index=True).assign(seconds=1.0)
        frame["outcome"] = np.where(frame["final"], "finished", "running")
        return Table(frame, {MAP: np.tile(spectra, (len(steps), 1))})


def draw(seed: int, design: Design, effect: float = 0.0, trend: float = 0.0, noise: float = 0.5) -> Drawn:
    """Draw the runs of one table."""
    rng = np.random.default_rng((seed, *design))
    count = rng.integers(design.least, design.most + 1, design.settings)
    setting, source = (
        v.ravel() for v in np.meshgrid(np.repeat(np.arange(design.settings), count), range(design.sources))
    )
    shared = rng.normal(size=(design.settings, EXPONENTS + 1))[setting]
    apart = rng.normal(size=(design.sources, EXPONENTS + 1))[source] * (design.sources > 1)
    values = shared + apart + 0.3 * rng.normal(size=(len(setting), EXPONENTS + 1))
    rate, exponents = setting % RATES, values[:, 1:]
    outcome = values[:, 0] + effect * exponents[:, THIRD] + trend * (rate - (RATES - 1) / 2) / 2
    frame = pd.DataFrame({"trial": [f"t{i:04d}" for i in range(len(setting))], "lr": 10.0 ** (rate - 5)})
    frame["width"], frame["seed"] = 2.0 ** (setting // RATES), np.arange(len(setting))
    frame["cell/kind"] = np.array(["gru", "lstm"])[setting % 2]
    frame["dataset/system"] = np.array(["henon", "lorenz63", "roessler"])[source]
    return Drawn(frame, exponents, outcome, noise * rng.normal(size=len(setting)))


def excludes(low: float, high: float, truth: float = 0.0) -> bool:
    return bool(low > truth or high < truth)


def correlations(runs: Drawn) -> dict[str, bool]:
    found = correlation.find(runs.table(), [OUTCOME])
    i = found.statistics.index(f"spectra/{MAP}/third")
    return {
        "correlation, p": found.p[i] < SHARE,
        "correlation, interval": excludes(found.low[i], found.high[i]),
        "correlation, any q": bool((found.q < SHARE).any()),
    }


def partials(runs: Drawn) -> dict[str, bool]:
    found = partial_correlation.find(runs.table(), OUTCOME)
    i = found.statistics.index("exponent 3")
    told = {f"partial correlation given {g}, p": bool(p < SHARE) for g, p in zip(found.given, found.p[i], strict=True)}
    return told | {"partial correlation, any q": bool((found.q < SHARE).any())}


def increments(runs: Drawn) -> dict[str, bool]:
    found = incremental.find(runs.table(), OUTCOME, repeats=2, resamples=300)
    score = found.predictors.names.index("spectrum")
    gains = {f"incremental, p over {name}": bool(p < SHARE) for name, p in zip(found.gains.names, found.p, strict=True)}
    excluded = excludes(found.predictors.low[score], found.predictors.high[score])
    return gains | {"incremental, score of the spectrum": excluded}


def transfers(runs: Drawn) -> dict[str, bool]:
    found = transfer.find(runs.table(), OUTCOME, "cell/kind", repeats=2, permutations=119)
    return {
        "transfer, within a cell": excludes(found.low[0, 0], found.high[0, 0]),
        "transfer, to another cell": excludes(found.low[0, 1], found.high[0, 1]),
    }


def latents(runs: Drawn) -> dict[str, bool]:
    settings = autoencoder.Settings(hidden=16, epochs=300, lr=0.01)
    found = aelle.find(runs.table(), OUTCOME, points=EXPONENTS, settings=settings)
    told = {
        f"latent space, score of {m}": excludes(found.score.low[i], found.score.high[i])
        for i, m in enumerate(found.models)
    }
    return told | {"latent space, gain": excludes(found.gain.low[1], found.gain.high[1])}


def bands(runs: Drawn) -> dict[str, bool]:
    found = band_importance.find(runs.table(), OUTCOME, points=EXPONENTS, bands=4)
    return {
        "band importance, p": bool(found.importance.p[THIRD // 2] < SHARE),
        "band importance, any q": bool(band_importance.significant(found).any()),
        "band importance, score": excludes(float(found.score.low), float(found.score.high)),
        "band importance, correlation of a quantile": bool(found.rho.p[THIRD] < SHARE),
    }


def importances(runs: Drawn) -> dict[str, bool]:
    found = importance.find(
        runs.table(), OUTCOME, evaluator="impurity", settings=["lr", "width"], resamples=1, permutations=19
    )
    told = importance.significant(found)
    return {
        "importance, any setting": bool(told[~found.spectral].any()),
        "importance, any statistic": bool(told[found.spectral].any()),
    }


def survivals(runs: Drawn) -> dict[str, bool]:
    name = f"spectra/{MAP}/third"
    found = survival.find(runs.reports(), OUTCOME, 1.0, by=name, covariates=[name, f"spectra/{MAP}/maximum"])
    at = np.searchsorted(found.steps, HALF)
    told = {"survival, log-rank p": found.p < SHARE}
    for name, hazard in (("alone", found.hazard), ("jointly", found.joint)):
        told[f"survival, hazard ratio {name}"] = excludes(hazard.low[0], hazard.high[0], 1.0)
    told["survival, proportional hazards"] = bool(found.hazard.proportional[0] < SHARE)
    return told | {"survival, band of a share": excludes(found.low[1, at], found.high[1, at], 0.5)}


def optima(runs: Drawn) -> dict[str, bool]:
    """Of a parabola added to the outcome, least at the middle rate; its 90 % interval."""
    place = np.log10(runs.settings["lr"]) + 5 - (RATES - 1) / 2
    found = optimum.find(runs._replace(outcome=runs.outcome + 0.2 * place**2).table(), "lr", OUTCOME, "dataset/system")
    return {"optimum, 90 % interval": excludes(found.low[0], found.high[0], 10.0 ** ((RATES - 1) / 2 - 5))}


STATISTICS: dict[str, Callable[[Drawn], dict[str, bool]]] = {
    "correlation": correlations,
    "partial": partials,
    "incremental": increments,
    "transfer": transfers,
    "latent": latents,
    "bands": bands,
    "importance": importances,
    "survival": survivals,
    "optimum": optima,
}


def judged(name: str, design: Design, planted: tuple[float, float, float], seed: int) -> dict[str, bool]:
    """The rejections of one table."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return STATISTICS[name](draw(seed, design, *planted))


def rates(
    name: str,
    design: Design,
    tables: range,
    planted: tuple[float, float, float] = (0.0, 0.0, 0.5),
    processes: int = 1,
) -> dict[str, float]:
    """The share of tables, of these seeds, rejected by each number; `planted` are effect, trend and noise of `draw`."""
    job, context = partial(judged, name, design, planted), get_context("forkserver")
    if processes == 1:
        told = [job(seed) for seed in tables]
    else:
        with ProcessPoolExecutor(processes, mp_context=context, initializer=one_thread) as pool:
            told = list(pool.map(job, tables, chunksize=10))
    return {key: float(np.mean([t[key] for t in told])) for key in told[0]}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--tables", type=int, default=1000)
    parser.add_argument("--first-seed", type=int, default=0, help="other seeds give tables that nothing was tuned on")
    parser.add_argument("--effect", type=float, default=0.0)
    parser.add_argument("--trend", type=float, default=0.0)
    parser.add_argument("--noise", type=float, default=0.5)
    parser.add_argument("--only", nargs="+", choices=tuple(STATISTICS), default=list(STATISTICS))
    parser.add_argument("--designs", nargs="+", choices=tuple(DESIGNS), default=list(DESIGNS))
    parser.add_argument("--processes", type=int, default=1)
    args = parser.parse_args()
    one_thread()
    print(f"Rejected of {args.tables} tables, effect {args.effect:g}, trend {args.trend:g}, noise {args.noise:g}:")
    tables = range(args.first_seed, args.first_seed + args.tables)
    for name in args.only:
        rows: dict[str, dict[str, object]] = {}
        for label in args.designs:
            progress(f"{name}, {label}")
            found = rates(name, DESIGNS[label], tables, (args.effect, args.trend, args.noise), args.processes)
            for statistic, share in found.items():
                rows.setdefault(statistic, {"statistic": statistic})[label] = f"{share:.1%}"
        progress("")
        print(f"\n{markdown(list(rows.values()))}", flush=True)


if __name__ == "__main__":
    main()
