"""The Lyapunov spectrum of one map and the quantities derived from it."""

import json
import math
from dataclasses import dataclass, field
from typing import Any

import numpy as np

TOLERANCE = 1e-3  # nats per step, or relative error of one factor
AGREEMENT = 1e-6  # nats per step that halves may differ by beyond ten standard errors


@dataclass(frozen=True)
class Spectrum:
    """The Lyapunov exponents of one map, largest first, in nats per step.

    Args:
        exponents: Exponents, shape (k,); -inf for annihilated directions, NaN for a diverged orbit.
        stderr: Standard errors of the means over blocks of steps and orbits, shape (k,).
        steps: Number of counted steps per orbit.
        orbits: Number of orbits.
        map: Which map they belong to: "system" (a known map or flow), "closed loop" (a network that runs freely),
            "driven"
            (conditional on inputs) or "forced" (under teacher forcing).
        state: Dimension of the whole state, of which `exponents` may be the leading part.
        dt: Time of one step; None (the default) if the map has no time unit.
        rank_losses: Number of tangent vectors, over all orbits, that a singular Jacobian annihilated; 0 by default.
        settings: The settings of the computation.
        checks: Results of the checks, in nats per step unless noted. "resolution": estimated largest relative error of
            one
            stretching factor. "sum_rule": |sum of all exponents - mean log |det Df||. "halves", "orbits": largest
            difference between the exponents of two halves of the steps, or of the orbits. "zero": of a flow, the
            exponent nearest to zero, which should be zero unless the flow is at rest.

    Example:
        >>> lorenz = Spectrum(np.array([0.906, 0.0, -14.572]), np.zeros(3), 1000, 1, "system", 3)
        >>> round(lorenz.kaplan_yorke, 3)
        2.062
    """

    exponents: np.ndarray
    stderr: np.ndarray
    steps: int
    orbits: int
    map: str
    state: int
    dt: float | None = None
    rank_losses: int = 0
    settings: dict[str, Any] = field(default_factory=dict)
    checks: dict[str, float] = field(default_factory=dict)

    @property
    def finite(self) -> bool:
        """False if the orbit diverged; the exponents are NaN then."""
        return not bool(np.isnan(self.exponents).any())

    @property
    def complete(self) -> bool:
        return len(self.exponents) == self.state

    @property
    def per_time(self) -> np.ndarray:
        """Exponents in nats per unit time; per step if the map has no time unit."""
        return self.exponents / (self.dt or 1.0)

    @property
    def stderr_per_time(self) -> np.ndarray:
        return self.stderr / (self.dt or 1.0)

    @property
    def maximum(self) -> float:
        """lambda_1, nats per step."""
        return float(self.exponents[0])

    @property
    def sum(self) -> float:
        """Sum of the exponents held; for a complete spectrum the mean log |det Df| per step."""
        return float(self.exponents.sum())

    @property
    def positive(self) -> int:
        """Number of exponents above two standard errors."""
        return int((self.exponents > 2 * np.nan_to_num(self.stderr)).sum())

    @property
    def chaotic(self) -> bool:
        """Whether the largest exponent is above zero by more than two standard errors."""
        return bool(self.exponents[0] > 2 * np.nan_to_num(self.stderr[0]))

    @property
    def entropy_rate(self) -> float:
        """Sum of the positive exponents: Ruelle's bound on the Kolmogorov-Sinai entropy, nats per step."""
        if not self.finite:
            return math.nan
        return float(self.exponents[self.exponents > 0].sum())

    @property
    def kaplan_yorke(self) -> float:
        """Kaplan-Yorke dimension of the spectrum.

        NaN if a partial spectrum ends before its sum turns negative; the number of states if the sum never does.
        """
        if not self.finite:
            return math.nan
        return kaplan_yorke(self.exponents, float(self.state) if self.complete else math.nan)

    @property
    def predictability_time(self) -> float:
        """tau_pred = ln 2 / lambda_1 in steps, the forcing interval of Mikhaeil et al. 2022; inf if not chaotic."""
        return math.log(2) / self.maximum if self.maximum > 0 else math.inf

    @property
    def mean(self) -> float:
        """Mean of the exponents held, nats per step."""
        return self.sum / len(self.exponents)

    @property
    def gap(self) -> float:
        """lambda_j - lambda_{j+1}, j = D_KY rounded up: separates the attractor's exponents from transverse ones.

        A reconstruction in more dimensions than its attractor has further exponents below the gap; if the gap is within
        the errors, the attractor's last exponent is not determined. NaN if j + 1 exponents are not held.
        """
        j = math.ceil(self.kaplan_yorke) if not math.isnan(self.kaplan_yorke) else len(self.exponents)
        return float(self.exponents[j - 1] - self.exponents[j]) if 0 < j < len(self.exponents) else math.nan

    @property
    def warnings(self) -> list[str]:
        """One message per check that these exponents fail."""
        checks, noise = self.checks, 10 * float(np.nanmax(self.stderr, initial=0.0)) + AGREEMENT
        messages = []
        if checks.get("resolution", 0.0) > TOLERANCE:
            messages.append(
                f"Rounding may dominate the lowest exponents (relative error {checks['resolution']:.1g} in one "
                "step). Factorise more often, or use double precision."
            )
        if checks.get("sum_rule", 0.0) > TOLERANCE:
            messages.append(
                f"The exponents miss the mean log |det Df| by {checks['sum_rule']:.2g} nats per step. Some are wrong."
            )
        if checks.get("halves", 0.0) > noise:
            messages.append(
                f"The two halves of the run differ by {checks['halves']:.2g} nats per step. Use more warmup or steps."
            )
        if checks.get("orbits", 0.0) > noise:
            messages.append(
                f"The orbits differ by {checks['orbits']:.2g} nats per step. There may be several attractors."
            )
        if self.maximum > 0 and checks.get("zero", 0.0) > 0.02 * self.maximum + noise:
            messages.append(
                f"No exponent of this flow is zero (nearest {checks['zero']:.2g} per step). Use a smaller dt."
            )
        return messages

    def summary(self) -> dict[str, float]:
        """Scalars for tables and trackers, by name."""
        return {
            "maximum": self.maximum,
            "sum": self.sum,
            "mean": self.mean,
            "kaplan_yorke": self.kaplan_yorke,
            "entropy_rate": self.entropy_rate,
            "positive": float(self.positive),
        }

    def to_dict(self) -> dict[str, Any]:
        """Plain Python values, for `--json` and for a record's header."""
        return {
            "map": self.map,
            "exponents_per_step": self.exponents.tolist(),
            "stderr_per_step": self.stderr.tolist(),
            "exponents_per_time": self.per_time.tolist(),
            "stderr_per_time": self.stderr_per_time.tolist(),
            "dt": self.dt,
            "steps": self.steps,
            "orbits": self.orbits,
            "state": self.state,
            "rank_losses": self.rank_losses,
            "kaplan_yorke": self.kaplan_yorke,
            "entropy_rate_per_step": self.entropy_rate,
            "sum_per_step": self.sum,
            "predictability_time_steps": self.predictability_time,
            "settings": self.settings,
            "checks": self.checks,
            "warnings": self.warnings,
        }

    def to_json(self) -> str:
        """Strict JSON: NaN becomes null, infinities become "inf" and "-inf"."""
        return json.dumps(strict(self.to_dict()), allow_nan=False)

    @classmethod
    def from_dict(cls, d: dict[str, Any]) -> "Spectrum":
        """Read what `to_dict` wrote."""
        loose = lambda values: np.array([math.nan if v is None else float(v) for v in values])  # noqa: E731
        return cls(
            exponents=loose(d["exponents_per_step"]),
            stderr=loose(d["stderr_per_step"]),
            steps=d["steps"],
            orbits=d["orbits"],
            map=d["map"],
            state=d["state"],
            dt=d["dt"],
            rank_losses=d["rank_losses"],
            settings=d["settings"],
            checks={name: loose([value])[0].item() for name, value in d.get("checks", {}).items()},
        )


def kaplan_yorke(exponents: np.ndarray, otherwise: float) -> float:
    """Kaplan-Yorke dimension D = j + (lambda_1 + ... + lambda_j) / |lambda_{j+1}|, j the last partial sum >= 0.

    `exponents` (k,) are sorted, largest first. Returns `otherwise` if no partial sum is negative.
    """
    sums = np.cumsum(exponents)
    negative = np.flatnonzero(sums < 0)
    if negative.size == 0:
        return otherwise
    j = int(negative[0])
    return float(j + sums[j - 1] / abs(exponents[j])) if j else 0.0


def strict(value: Any) -> Any:
    """A copy that strict JSON can hold: NaN becomes null, infinities become "inf" and "-inf"."""
    if isinstance(value, dict):
        return {k: strict(v) for k, v in value.items()}
    if isinstance(value, list | tuple):
        return [strict(v) for v in value]
    if isinstance(value, float) and not math.isfinite(value):
        return None if math.isnan(value) else ("inf" if value > 0 else "-inf")
    return value
