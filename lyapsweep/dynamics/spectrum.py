"""What the exponents say: the Lyapunov spectrum of one map and the numbers read off it."""

import json
import math
from dataclasses import dataclass, field
from typing import Any

import numpy as np

LOST = 1e-3  # nats per step, or relative error of one factor
AGREEMENT = 1e-6  # nats per step: what two halves may differ by beyond ten standard errors


@dataclass(frozen=True)
class Spectrum:
    """Lyapunov exponents, largest first, in nats per step, with the map that they belong to.

    `map` says which cocycle: "system" (a known map or flow), "closed loop" (a network running freely), "driven"
    (conditional on an input sequence) or "forced" (under teacher forcing). `dt` is the time of one step, None where
    steps are the only time. `stderr` is the standard error of the mean over `blocks` blocks of steps and orbits.
    `state` is the dimension of the whole state, of which `exponents` may be the leading part. `rank_losses` counts
    the tangent vectors, over all orbits, that a singular Jacobian annihilated; their exponents are -inf.

    `checks` holds what the run noticed of itself, in nats per step unless said otherwise: "resolution", the estimated
    largest relative error of a single stretching factor; "sum_rule", |sum of all exponents - mean log |det Df||;
    "halves" and "orbits", the largest difference between the exponents of two halves of the steps, or of the orbits
    (each with a random frame of its own); "zero", of a flow, the exponent nearest to zero: one is zero unless it is at
    rest. `warnings` says which of them are too large.
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
        """False where the orbit left the finite numbers: the exponents are NaN then."""
        return not bool(np.isnan(self.exponents).any())

    @property
    def complete(self) -> bool:
        return len(self.exponents) == self.state

    @property
    def per_time(self) -> np.ndarray:
        """Exponents in nats per unit time; per step where the map has no time."""
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
        """Sum of the exponents held: for a complete spectrum the mean log|det Df| per step."""
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
        """Kaplan-Yorke dimension D = j + (lambda_1 + ... + lambda_j) / |lambda_{j+1}|, j the last partial sum >= 0.

        NaN where a partial spectrum ends before its sum turns negative; the whole state where it never does.
        """
        if not self.finite:
            return math.nan
        sums = np.cumsum(self.exponents)
        below = np.flatnonzero(sums < 0)
        if below.size == 0:
            return float(self.state) if self.complete else math.nan
        j = int(below[0])
        kept = sums[j - 1] if j else 0.0
        return float(j + kept / abs(self.exponents[j])) if j else 0.0

    @property
    def predictability_time(self) -> float:
        """tau_pred = ln 2 / lambda_1 in steps: the forcing interval of Mikhaeil et al. 2022; inf where not chaotic."""
        return math.log(2) / self.maximum if self.maximum > 0 else math.inf

    @property
    def mean(self) -> float:
        """Mean of the exponents held, nats per step."""
        return self.sum / len(self.exponents)

    @property
    def gap(self) -> float:
        """lambda_j - lambda_{j+1}, j = D_KY rounded up: how clearly the attractor ends and the transverse part begins.

        A reconstruction in more dimensions than its attractor fills has exponents of its own below the gap; where it
        is within the errors, the last exponent of the attractor is anybody's. NaN where j + 1 exponents are not held.
        """
        j = math.ceil(self.kaplan_yorke) if not math.isnan(self.kaplan_yorke) else len(self.exponents)
        return float(self.exponents[j - 1] - self.exponents[j]) if 0 < j < len(self.exponents) else math.nan

    @property
    def warnings(self) -> list[str]:
        """A sentence for each check that these exponents fail."""
        found, noise = self.checks, 10 * float(np.nanmax(self.stderr, initial=0.0)) + AGREEMENT
        said = []
        if found.get("resolution", 0.0) > LOST:
            said.append(
                f"Rounding may have eaten the lowest exponents (relative error {found['resolution']:.1g} in a single "
                "step): factorise more often, or in double precision."
            )
        if found.get("sum_rule", 0.0) > LOST:
            said.append(
                f"The exponents miss the mean log |det Df| by {found['sum_rule']:.2g} nats per step: some were lost."
            )
        if found.get("halves", 0.0) > noise:
            said.append(
                f"The two halves of the run differ by {found['halves']:.2g} nats per step: more warmup, or steps."
            )
        if found.get("orbits", 0.0) > noise:
            said.append(f"The orbits differ by {found['orbits']:.2g} nats per step: perhaps on several attractors.")
        if self.maximum > 0 and found.get("zero", 0.0) > 0.02 * self.maximum + noise:
            said.append(
                f"No exponent of this flow is zero (nearest {found['zero']:.2g} per step): dt may be too large."
            )
        return said

    def summary(self) -> dict[str, float]:
        """The scalars that a table or a tracker wants, by their names."""
        return {
            "maximum": self.maximum,
            "sum": self.sum,
            "mean": self.mean,
            "kaplan_yorke": self.kaplan_yorke,
            "entropy_rate": self.entropy_rate,
            "positive": float(self.positive),
        }

    def to_dict(self) -> dict[str, Any]:
        """Plain Python: what `--json` prints and what a record's header holds."""
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
        """Strict JSON: numbers that JSON lacks become null (NaN) or the strings "inf" and "-inf"."""
        return json.dumps(strict(self.to_dict()), allow_nan=False)

    @classmethod
    def from_dict(cls, d: dict[str, Any]) -> "Spectrum":
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


def strict(value: Any) -> Any:
    """A copy that strict JSON can hold: NaN becomes null, infinities become "inf" and "-inf"."""
    if isinstance(value, dict):
        return {k: strict(v) for k, v in value.items()}
    if isinstance(value, list | tuple):
        return [strict(v) for v in value]
    if isinstance(value, float) and not math.isfinite(value):
        return None if math.isnan(value) else ("inf" if value > 0 else "-inf")
    return value
