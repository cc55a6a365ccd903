"""A published sweep (Vogt et al. 2022), where its export lies beside the repository; what a rate of 200 may be."""

from functools import lru_cache
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from lyapsweep.results.imported import from_frame
from lyapsweep.results.table import Table

EXPORT = Path(__file__).parents[2] / "shared" / "data" / "vogt2022" / "charrnn_lstm512_grid.npz"
BINOMIAL = int(stats.binom.ppf(0.001, 200, 0.95))  # of 200 intervals of 95 %; fewer hold the truth once in 1000 tests


def grid() -> Table:
    """110 LSTMs of 512 units, learning rate x dropout: losses of epochs 0 to 14, spectra of epochs 4 and 14.

    Exponents are in bits per step, by the authors' estimator.
    """
    if not EXPORT.exists():
        pytest.skip("the export of the published sweep is not here")
    return read()


@lru_cache
def read() -> Table:
    kept = np.load(EXPORT)
    losses = kept["val_loss_corrected"]
    runs, epochs = losses.shape
    spectra = np.full((runs, epochs, 512), np.nan)
    spectra[:, 4], spectra[:, 14] = kept["le_mean_e4"], kept["le_mean_e15"]
    settings = {name: np.repeat(kept[name], epochs) for name in ("lr", "dropout")}
    keys = {"run": np.repeat(np.arange(runs), epochs), "epoch": np.tile(np.arange(epochs), runs)}
    frame = pd.DataFrame(keys | settings | {"val_loss": losses.ravel()})
    exponents = pd.DataFrame(spectra.reshape(-1, 512)).add_prefix("le_")
    return from_frame(
        pd.concat([frame, exponents], axis=1),
        settings=["lr", "dropout"],
        outcomes="val_loss",
        exponents="le_*",
        trial="run",
        step="epoch",
        unit="bits",
        same={"cell/kind": "lstm"},
    )
