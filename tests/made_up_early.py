"""A made-up sweep in which what is known early, and the third exponent alone, decides what becomes of a trial."""

import numpy as np
import pandas as pd

from lyapsweep.results.imported import from_frame
from lyapsweep.results.table import Table

OUTCOME, EXPONENTS, LAST = "measures/val_loss", 8, 100
STEPS = (0, 10, LAST)


def frame(
    n: int = 80, effect: float = 0.0, seed: int = 0, cells: tuple[str, ...] = ("gru",), shuffle: bool = False
) -> pd.DataFrame:
    """A row a trial and step: ln loss = 0.7 ln(lr), standardised, + effect x (third exponent at step 10) + noise.

    The loss at step 10 is the final one with as much noise again. `shuffle` deals the final losses out anew.
    """
    rng = np.random.default_rng((seed, n))
    place, third = rng.uniform(-1.7, 1.7, n), rng.normal(size=n)
    final = 0.7 * place + effect * third + rng.normal(size=n)
    early = final + rng.normal(size=n)
    final = rng.permutation(final) if shuffle else final
    rows = []
    for step, loss in zip(STEPS, (np.full(n, 3.0), early, final)):
        noise = rng.uniform(-0.1, 0.1, (n, EXPONENTS))
        if step == 10:
            noise[:, 2] = third / 30  # so that the order of exponents hardly ever changes
        spectra = -0.3 * np.arange(EXPONENTS) + noise
        columns = {f"le_{i}": spectra[:, i] for i in range(EXPONENTS)}
        rows.append(
            pd.DataFrame(
                {"run": [f"t{i:04d}" for i in range(n)], "epoch": step, "val_loss": np.exp(loss)} | columns
            ).assign(lr=10.0 ** (place - 3), cell=[cells[i % len(cells)] for i in range(n)])
        )
    return pd.concat(rows, ignore_index=True)


def table(lost: int = 0, **made) -> Table:
    """The frame as a table; of the trials with the worst outcomes `lost` diverged."""
    rows = frame(**made)
    last = rows["epoch"] == LAST
    worst = rows["val_loss"].where(last).nlargest(lost).index
    rows.loc[worst, "val_loss"] = np.nan
    columns = {"settings": ["lr", "cell"], "outcomes": "val_loss", "exponents": "le_*"}
    return from_frame(rows, trial="run", step="epoch", **columns)
