"""What every dataset returns: one standardised series with a held-out part, and what is known of its dynamics."""

from dataclasses import dataclass, field

import numpy as np


class BadSeries(ValueError):
    """Data that cannot be trained on; the message names file, row and column where there is one."""


@dataclass(frozen=True)
class Series:
    """Observations, time leading: `train` (time, features) and, after it in time, `test` (time, features).

    Both are standardised as `(x - mean) / std`, with moments of the training part. `dt` is the time between samples.
    `lambda_max` is the largest Lyapunov exponent of the true dynamics in nats per sample, None where nobody knows it;
    `lambda_source` says where it comes from.
    """

    train: np.ndarray
    test: np.ndarray
    dt: float
    names: tuple[str, ...]
    mean: np.ndarray
    std: np.ndarray
    lambda_max: float | None = None
    lambda_source: str = ""
    source: str = ""
    notes: dict[str, float] = field(default_factory=dict)

    def __post_init__(self) -> None:
        for part, values in (("train", self.train), ("test", self.test)):
            if values.ndim != 2:
                raise BadSeries(f"{self.source}: the {part} part must be (time, features), but is {values.shape}.")
            bad = np.argwhere(~np.isfinite(values))
            if len(bad):
                row, column = bad[0]
                raise BadSeries(
                    f"{self.source}: {len(bad)} values of the {part} part are not finite, the first at "
                    f"row {row}, column '{self.names[column]}'."
                )
        if not self.dt > 0:
            raise BadSeries(f"{self.source}: dt > 0 must hold, but got {self.dt}.")

    @property
    def features(self) -> int:
        return self.train.shape[1]

    @property
    def predictability_time(self) -> float | None:
        """tau_pred = ln 2 / lambda_max in samples (Mikhaeil et al. 2022), None where lambda_max is unknown."""
        return float(np.log(2) / self.lambda_max) if self.lambda_max and self.lambda_max > 0 else None
