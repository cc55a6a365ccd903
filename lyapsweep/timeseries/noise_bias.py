"""How much noise changes an exponent, measured by adding as much again (SIMEX; Cook and Stefanski 1994)."""

from dataclasses import dataclass

import numpy as np

from lyapsweep.timeseries.along_series import growth
from lyapsweep.timeseries.embedding import Choices, Columns, Embedding, delayed
from lyapsweep.timeseries.free_run import FreeRun, free_growth, refit
from lyapsweep.timeseries.preprocessing import cleaned, standardised
from lyapsweep.timeseries.tangents import TangentFit


@dataclass(frozen=True)
class Reported:
    """What was reported of a series: its embedding, local maps, their exponent, and the accepted model, if any."""

    embedding: Embedding
    fit: TangentFit
    along: tuple[float, float, float]
    model: FreeRun | None


def noise_bias(raw: Columns, noise: float, reported: Reported, choices: Choices, seed: int) -> float:
    """The change of the reported exponent when white noise of the same size is added before cleaning, nats per sample.

    To first order in the variance it is the bias by the noise that is there. A model that the noise breaks shows no
    change; the relative change of the local maps counts instead.
    """
    noisier = standardised(raw + noise * np.random.default_rng(seed).standard_normal(raw.shape))
    clean, _ = cleaned(noisier, choices)
    model = reported.model
    if model is not None:
        again = refit(clean, model.fitted, len(model.fitted.model.centres), (1.0,), seed).model
        free = free_growth(again, delayed(clean, again.values, again.spacing), model.along, seed)
        if np.isfinite(free).all():
            return abs(model.free - float(free.mean()))
    along = growth(clean, reported.embedding, reported.fit, True, seed)[0]
    scale = 1.0 if model is None else model.free / reported.along[0]
    return abs(reported.along[0] - along) * scale
