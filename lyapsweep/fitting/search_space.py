"""Which networks are tried on a series: cells, sizes, initialisations, forcings and learning rates."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from lyapsweep.config import Config
from lyapsweep.config.parsing import ConfigError
from lyapsweep.fitting.series_analysis import Column, SeriesAnalysis
from lyapsweep.problems import blind_measures

INTERVALS = 5  # forcing intervals that are tried
ALPHAS = (0.05, 0.1, 0.2, 0.4)  # of generalised forcing
RATES = (4e-3, 1.5e-2)  # first learning rates; a run ends at a hundredth
UNITS, HIDDEN = (20, 30), (40, 80)
INITS = ("uniform", "near_identity")
WINDOW, NUMBERS = 64, 1024  # steps of a window, if the series is long enough; of all windows of an update
SHORTEST, PARTS = 16, 8  # steps of a window; windows that the training part must hold
STEPS = 9000  # updates, as in configs/lorenz63.yaml
HELD_OUT = 0.25  # of the series
MEASURES = ("loss", "divergence", "state_space", "power_spectrum", "prediction_error", "prediction_time")
COARSE = 10  # bins per column, where 30 are too many for the series
VARIED = (
    "cell",
    "forcing",
    "init",
    "cell/kind",
    "cell/units",
    "forcing/kind",
    "init/kind",
    "training/lr",
    "training/lr_end",
)
JUDGES = ("state_space", "power_spectrum", "prediction_error")  # the first that is not blind on the series


@dataclass(frozen=True)
class SearchSpace:
    """A region of settings.

    Args:
        cells: Kinds of cells.
        units: Numbers of units.
        hidden: Numbers of hidden units of a shallow PLRNN.
        inits: Kinds of initialisations.
        intervals: Forcing intervals of sparse forcing.
        alphas: Strengths of generalised forcing.
        rates: Lowest and highest first learning rate.
        base: Config of everything else.
        objective: The measure by which networks are compared.
    """

    cells: tuple[str, ...]
    units: tuple[int, ...]
    hidden: tuple[int, ...]
    inits: tuple[str, ...]
    intervals: tuple[int, ...]
    alphas: tuple[float, ...]
    rates: tuple[float, float]
    base: Config
    objective: str

    def changed(self, changes: Iterable[tuple[str, Any]]) -> "SearchSpace":
        """The space with other settings of the base config, (path, value); `ConfigError` for one that it varies."""
        given = dict(changes)
        if varied := [path for path in given if path in VARIED]:
            raise ConfigError(
                f"{varied[0]}: the search varies it, so that setting it has no effect. Set it in the sweep file that "
                "is written, and run that."
            )
        return replace(self, base=self.base.changed(given))


def choose_space(
    analysis: SeriesAnalysis,
    *,
    dt: float | None = None,
    columns: Sequence[Column] | None = None,
    seed: int = 0,
) -> SearchSpace:
    """Choose the networks to try on a series.

    Sparse forcing at 0.25 to 1 tau_pred and weak generalised forcing; windows of at least two of the longest intervals;
    PLRNNs, shallow PLRNNs and tanh networks with room for the columns.

    Args:
        analysis: The series.
        dt: Time between rows as the user gave it; None leaves it to the file.
        columns: Columns to predict as the user gave them.
        seed: Seed of the networks.

    Returns:
        The space, with the first measure of `JUDGES` that can tell the series from its surrogates.

    Raises:
        ConfigError: If the series is too short for windows of any useful length.
        BadSeries: If the series cannot be learned from.
    """
    window = window_length(analysis)
    low, high = analysis.intervals
    spacing = np.geomspace(low, max(low, min(high, window // 2)), INTERVALS)
    least = max(1, -(-analysis.features // 10)) * 20 if analysis.features > 10 else UNITS[0]
    units = (least, least + least // 2)
    base, objective = judged(base_config(analysis, dt, columns, seed, units[0], window))
    return SearchSpace(
        cells=("shallow_plrnn", "plrnn", "vanilla"),
        units=units,
        hidden=tuple(h * units[0] // UNITS[0] for h in HIDDEN),
        inits=INITS,
        intervals=tuple(sorted({round(float(i)) for i in spacing})),
        alphas=ALPHAS,
        rates=RATES,
        base=base,
        objective=objective,
    )


def window_length(analysis: SeriesAnalysis) -> int:
    """Steps of a training window: at least two of the longest intervals, at most an eighth of the training part."""
    low, high = analysis.intervals
    dimension, delay = analysis.embedding
    rows = int(analysis.rows * (1 - HELD_OUT)) - (dimension - 1) * delay
    window, least = min(max(WINDOW, 2 * high), rows // PARTS), max(SHORTEST, 2 * low)
    if window < least:
        raise ConfigError(
            f"{analysis.path}: {analysis.rows} rows are too few: {PARTS} windows of {least} steps need "
            f"{PARTS * least} rows of states to train on, and there are {max(rows, 0)}. Give a longer recording."
        )
    return window


def base_config(
    analysis: SeriesAnalysis,
    dt: float | None,
    columns: Sequence[Column] | None,
    seed: int,
    units: int,
    window: int,
) -> Config:
    """The config of everything that is not varied, with the middle of what is."""
    dimension, delay = analysis.embedding
    low, high = analysis.intervals
    dataset = {"kind": "recorded", "path": analysis.path, "test": HELD_OUT, "dimension": dimension, "delay": delay}
    dataset |= {} if dt is None else {"dt": dt}
    dataset |= {} if columns is None else {"columns": list(columns)}
    dataset |= {"inputs": list(analysis.inputs)} if analysis.inputs else {}
    dataset |= {} if analysis.lambda_max is None else {"lambda_max": float(f"{analysis.lambda_max:.6g}")}
    return Config.of(
        {
            "dataset": dataset,
            "cell": {"kind": "shallow_plrnn", "units": units, "hidden": 2 * units},
            "readout": {"kind": "linear"},
            "forcing": {"kind": "sparse", "interval": min(round((low * high) ** 0.5), window // 2)},
            "windows": {"length": window, "batch": max(4, round(NUMBERS / window))},
            "training": {"steps": STEPS, "lr": 1e-2, "lr_end": 1e-4, "clip": 1.0},
            "lyapunov": {"steps": 1500, "warmup": 500, "orbits": 4},
            "measures": list(MEASURES),
            "seed": seed,
        }
    )


def judged(base: Config) -> tuple[Config, str]:
    """The config and the measure that tells networks apart on its data: bins are coarser where 30 are too many."""
    coarse = base.changed({"measures": [{"kind": m, "bins": COARSE} if m == "state_space" else m for m in MEASURES]})
    for config, names in ((base, JUDGES[:1]), (coarse, JUDGES[:1]), (base, JUDGES[1:])):
        blind = blind_measures(config, names)
        if sighted := [name for name in names if name not in blind]:
            return config, sighted[0]
    return base, JUDGES[-1]
