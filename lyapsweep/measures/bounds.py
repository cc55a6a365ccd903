"""What scores on some data mean: what the truth scores, what a dead network scores, what simple surrogates score.

All follow from the data alone and are computed once per data set.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace

import numpy as np

from lyapsweep.measures.evidence import Evidence
from lyapsweep.measures.measure import Measure, at_rest

DRAWS, SEED = 40, 0  # resamples of the truth
COVERAGE = 95  # percent of them within a floor's interval
NEAR = 0.9  # of the saturation: a floor beyond leaves no room for scores
NAMES = {"mean": "the mean", "sine": "a sine", "white noise": "white noise", "random walk": "a random walk"}

Surrogate = Callable[[np.ndarray], np.ndarray]


@dataclass(frozen=True)
class Bounds:
    """Floors, saturations and scores of surrogates by measure.

    Args:
        floors: Score of the truth, and the ends of its interval as `<measure>/low` and `<measure>/high`.
        saturations: Score of a dead network.
        surrogates: Scores of what is not the attractor, as `<measure>/<surrogate>`.

    Example:
        >>> Bounds(floors={"loss": 0.1}).surrogates
        {}
    """

    floors: Mapping[str, float] = field(default_factory=dict)
    saturations: Mapping[str, float] = field(default_factory=dict)
    surrogates: Mapping[str, float] = field(default_factory=dict)

    @classmethod
    def of(cls, measures: Mapping[str, Measure], evidence: Evidence) -> "Bounds":
        """Compute the bounds of some measures from the evidence of any network of these data."""
        floors, saturations, surrogates = {}, {}, {}
        for name, measure in measures.items():
            floor, saturation = measure.floor(evidence), measure.saturation(evidence)
            if floor is None:
                continue
            low, high = floor_interval(measure, evidence, floor)
            floors |= {name: floor, f"{name}/low": low, f"{name}/high": high}
            saturations |= {} if saturation is None else {name: saturation}
            surrogates |= {f"{name}/{kind}": score for kind, score in surrogate_scores(measure, evidence).items()}
        return cls(floors, saturations, surrogates)

    def alike(self, name: str, direction: str) -> list[str]:
        """What a measure cannot tell from the truth, see `indistinct`; nothing of a measure without a floor."""
        floor, saturation = self.floors.get(name), self.saturations.get(name)
        if floor is None or saturation is None:
            return []
        surrogates = {k.partition("/")[2]: v for k, v in self.surrogates.items() if k.startswith(f"{name}/")}
        return indistinct(direction, floor, self.floors.get(f"{name}/high", floor), saturation, surrogates)


def floor_interval(measure: Measure, evidence: Evidence, floor: float) -> tuple[float, float]:
    """The interval within which 95 % of independent samples of the truth score, and which contains the floor.

    A sample consists of as many runs as a network's, each a piece of the training part that begins at a random row.
    """
    length = len(evidence.truth) // evidence.orbits
    places = len(evidence.pool) - length + 1
    if length < 1 or places < 2:
        return floor, floor
    chance, scores = np.random.default_rng(SEED), [floor]
    for _ in range(DRAWS):
        first = chance.integers(places, size=evidence.orbits)
        rows = (first[:, None] + np.arange(length)).ravel()
        score = measure.floor(replace(evidence, reference=evidence.pool[rows]))
        scores += [] if score is None else [score]
    low, high = np.percentile(scores, [(100 - COVERAGE) / 2, (100 + COVERAGE) / 2])
    return min(float(low), floor), max(float(high), floor)


def surrogate_scores(measure: Measure, evidence: Evidence) -> dict[str, float]:
    """Scores of the mean, a sine, white noise and a random walk with the truth's moments; undefined ones left out."""
    truth = evidence.truth.astype(float)
    if len(truth) < 2:
        return {}
    known = {"mean": measure.bound(at_rest(evidence, truth.mean(axis=0)))}
    for kind, make in (("sine", sine), ("white noise", white_noise), ("random walk", random_walk)):
        known[kind] = measure.bound(with_run(evidence, make(truth), kind == "random walk"))
    return {kind: score for kind, score in known.items() if score is not None}


def with_run(evidence: Evidence, run: np.ndarray, persists: bool) -> Evidence:
    """The evidence of a network that runs like this, (time, features), whatever it started from.

    Its forecasts are the run's own continuation; the best forecast of a random walk is that it `persists`.
    """
    truth, (starts, horizon) = evidence.truth.astype(float), evidence.targets.shape[:2]
    first = np.linspace(0, len(truth) - horizon - 1, starts).astype(int)
    ahead = first[:, None] + (np.zeros(horizon, int) if persists else np.arange(1, horizon + 1))
    lags = np.arange(1, len(evidence.errors) + 1)
    errors = [np.square(truth[n:] - (truth[:-n] if persists else run[n:])).mean() for n in lags]
    orbit = np.resize(run, evidence.orbit.shape) if evidence.orbit.size else evidence.orbit
    return replace(
        evidence, generated=run, orbit=orbit, forecasts=(truth if persists else run)[ahead], errors=np.array(errors)
    )


def sine(truth: np.ndarray) -> np.ndarray:
    """Each feature's strongest Fourier mode, with the feature's mean and standard deviation."""
    modes = np.fft.rfft(truth - truth.mean(axis=0), axis=0)
    strongest = np.arange(len(modes))[:, None] == np.abs(modes).argmax(axis=0)
    return rescaled(np.fft.irfft(np.where(strongest, modes, 0), len(truth), axis=0), truth)


def white_noise(truth: np.ndarray) -> np.ndarray:
    return rescaled(np.random.default_rng(SEED).standard_normal(truth.shape), truth)


def random_walk(truth: np.ndarray) -> np.ndarray:
    return rescaled(np.random.default_rng(SEED).standard_normal(truth.shape).cumsum(axis=0), truth)


def rescaled(run: np.ndarray, truth: np.ndarray) -> np.ndarray:
    """The run with the mean and the standard deviation of the truth, feature by feature."""
    spread = np.where(run.std(axis=0) > 0, run.std(axis=0), 1.0)
    return truth.mean(axis=0) + (run - run.mean(axis=0)) * truth.std(axis=0) / spread


def indistinct(
    direction: str, floor: float, high: float, saturation: float, surrogates: Mapping[str, float]
) -> list[str]:
    """What a measure cannot tell from the truth on some data; a measure with any is blind there.

    Args:
        direction: "minimise" or "maximise"; measures to maximise are never called blind.
        floor: The floor.
        high: Upper end of the floor's interval.
        saturation: Score of a dead network.
        surrogates: Scores of surrogates by name.

    Returns:
        "a network at rest" if the floor is above 0.9 of the saturation, and the surrogates that score no worse than
        `high`.

    Example:
        >>> indistinct("minimise", 0.02, 0.03, 1.0, {"sine": 0.028, "white noise": 0.5})
        ['a sine']
    """
    if direction != "minimise":
        return []
    resting = ["a network at rest"] if floor > NEAR * saturation else []
    return resting + [NAMES[kind] for kind, score in surrogates.items() if kind in NAMES and score <= high]
