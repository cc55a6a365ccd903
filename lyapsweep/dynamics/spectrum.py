"""The Lyapunov spectrum of one map and the quantities derived from it."""

import json
import math
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from scipy.special import stdtrit

from lyapsweep.dynamics.attractors import Attractor
from lyapsweep.dynamics.dimension import dimension_interval, kaplan_yorke, zeros
from lyapsweep.dynamics.failed_checks import warnings_of
from lyapsweep.dynamics.spectrum_display import SpectrumDisplay

ZERO = 0.01  # of lambda_1: how far the exponent of a flow nearest to zero may be from it beyond its interval


@dataclass(frozen=True, repr=False)
class Spectrum(SpectrumDisplay):
    """The Lyapunov exponents of one map, largest first, in nats per step.

    Args:
        exponents: Exponents, shape (k,); -inf for annihilated directions, NaN for a diverged orbit.
        stderr: Standard errors, shape (k,); NaN where too few independent blocks determine none.
        steps: Number of counted steps per orbit.
        orbits: Number of orbits.
        map: Which map they belong to: "system" (a known map or flow), "closed loop" (a network that runs freely),
            "driven" (conditional on inputs) or "forced" (under teacher forcing).
        state: Dimension of the whole state, of which `exponents` may be the leading part.
        dt: Time of one step; None (the default) if the map has no time unit.
        rank_losses: Number of tangent vectors, over all orbits, that a singular Jacobian annihilated; 0 by default.
        settings: The settings of the computation.
        dof: Degrees of freedom of the standard errors, shape (k,); None (the default) if many.
        checks: Results of the checks, in nats per step unless noted. "resolution": estimated largest relative error of
            one stretching factor. "sum_rule": |sum of all exponents - mean log |det Df||. "halves", "orbits": largest
            difference between the exponents of two halves of the steps, or of the orbits. "zero": of a flow, the
            exponent nearest to zero, which should be zero unless the flow is at rest.
        escaped: Number of orbits that escape to infinity, 0 by default.
        attractors: Each attractor if orbits end on several, that of `exponents` and the most orbits first; else empty.

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
    escaped: int = 0
    dof: np.ndarray | None = None
    attractors: tuple[Attractor, ...] = ()

    @property
    def finite(self) -> bool:
        """False if the orbit diverged; the exponents are NaN then."""
        return not bool(np.isnan(self.exponents).any())

    @property
    def unbounded(self) -> bool:
        """Whether the orbits, at least half of them, escape to infinity: growth rates, of no attractor."""
        return not self.finite or 2 * self.escaped >= max(self.orbits, 1)

    @property
    def complete(self) -> bool:
        return len(self.exponents) == self.state

    @property
    def half_width(self) -> np.ndarray:
        """Half-widths of the 95 % intervals of the exponents, 0 where the error is unknown, nats per step."""
        quantile = 2.0 if self.dof is None else stdtrit(np.maximum(self.dof, 1), 0.975)
        return np.nan_to_num(quantile * self.stderr, posinf=0.0)

    @property
    def zeros(self) -> np.ndarray:
        """Which exponents count as zero, shape (k,): that of a flow, and leading ones within their errors of zero."""
        return zeros(self.exponents, self.half_width, flow="zero" in self.checks)

    @property
    def per_time(self) -> np.ndarray:
        """Exponents in nats per unit time; per step if the map has no time unit."""
        return self.exponents / (self.dt or 1.0)

    @property
    def stderr_per_time(self) -> np.ndarray:
        return self.stderr / (self.dt or 1.0)

    @property
    def without_error(self) -> int:
        """Number of finite exponents without a standard error."""
        return int((np.isfinite(self.exponents) & np.isnan(self.stderr)).sum())

    @property
    def zero_found(self) -> bool:
        """Whether the exponent nearest to zero is within 1 % of lambda_1, or its 95 % interval reaches zero."""
        nearest = int(np.abs(self.exponents).argmin())
        tolerance = max(ZERO * self.maximum, np.inf if np.isnan(self.stderr[nearest]) else self.half_width[nearest])
        return bool(self.maximum <= 0 or self.partial_sums_only or abs(self.exponents[nearest]) <= tolerance)

    def interval(self) -> np.ndarray:
        """Return the 95 % intervals of the exponents, shape (k, 2), nats per step; NaN without a standard error.

        Returns:
            Lower and upper ends.

        Example:
            >>> Spectrum(np.array([0.5]), np.array([0.1]), 100, 1, "system", 1, dof=np.array([4.0])).interval().round(3)
            array([[0.222, 0.778]])
        """
        half = np.where(np.isnan(self.stderr), np.nan, self.half_width)[:, None]
        return self.exponents[:, None] + half * [-1, 1]

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
        """Number of exponents whose 95 % interval, or without an error value, is above zero; 0 if unbounded."""
        above = (self.exponents > self.half_width) & ~self.zeros
        return 0 if self.unbounded else int(above.sum())

    @property
    def chaotic(self) -> bool:
        """Whether the orbit is bounded and the 95 % interval of the largest exponent known and above zero."""
        return self.positive > 0 and bool(self.interval()[0, 0] > 0)

    @property
    def partial_sums_only(self) -> bool:
        """Whether further positive exponents may follow those held."""
        return not self.complete and not self.exponents[-1] <= 0

    @property
    def entropy_bound(self) -> float:
        """Sum of the positive exponents held, nats per step; NaN if unbounded."""
        if self.unbounded:
            return math.nan
        return float(self.exponents[(self.exponents > 0) & ~self.zeros].sum())

    @property
    def entropy_rate(self) -> float:
        """Sum of the positive exponents: Ruelle's bound on the Kolmogorov-Sinai entropy, nats per step.

        NaN if unbounded, and if more positive exponents may follow those held: `entropy_bound` is a lower bound then.
        """
        return math.nan if self.partial_sums_only else self.entropy_bound

    @property
    def kaplan_yorke(self) -> float:
        """Kaplan-Yorke dimension of the spectrum, in which `zeros` count as 0.

        NaN if unbounded or if a partial spectrum ends before its sum turns negative; the number of states if the sum
        never does.
        """
        if self.unbounded:
            return math.nan
        return kaplan_yorke(self._without_rounding, float(self.state) if self.complete else math.nan)

    @property
    def kaplan_yorke_interval(self) -> tuple[float, float]:
        """The Kaplan-Yorke dimensions that the errors of the exponents allow, (NaN, NaN) if unbounded.

        Of all exponents lowered, and of all raised, by the half-widths of their 95 % intervals. Where a partial
        spectrum does not determine the dimension, its number of exponents and the number of states. NaN without errors.
        """
        if self.unbounded or np.isnan(self.stderr[np.isfinite(self.exponents)]).any():
            return math.nan, math.nan
        half = np.where(self.zeros, 0.0, self.half_width)
        return dimension_interval(self._without_rounding, half, self.state, not self.complete)

    @property
    def _without_rounding(self) -> np.ndarray:
        return np.sort(np.where(self.zeros, 0.0, self.exponents))[::-1]

    @property
    def predictability_time(self) -> float:
        """tau_pred = ln 2 / lambda_1 in steps, the forcing interval of Mikhaeil et al. 2022; inf if not positive."""
        none = self.unbounded or self.zeros[0] or not self.maximum > 0
        return math.inf if none else math.log(2) / self.maximum

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
        return warnings_of(self)

    def summary(self) -> dict[str, float]:
        """Scalars for tables and trackers, by name; all NaN if unbounded."""
        found = {
            "maximum": self.maximum,
            "sum": self.sum,
            "mean": self.mean,
            "kaplan_yorke": self.kaplan_yorke,
            "entropy_rate": self.entropy_rate,
            "positive": float(self.positive),
            "attractors": float(max(1, len(self.attractors))),
        }
        return dict.fromkeys(found, math.nan) if self.unbounded else found

    def to_dict(self) -> dict[str, Any]:
        """Plain Python values, for `--json` and for a record's header."""
        return {
            "map": self.map,
            "exponents_per_step": self.exponents.tolist(),
            "stderr_per_step": self.stderr.tolist(),
            "degrees_of_freedom": None if self.dof is None else self.dof.tolist(),
            "exponents_per_time": self.per_time.tolist(),
            "stderr_per_time": self.stderr_per_time.tolist(),
            "dt": self.dt,
            "steps": self.steps,
            "orbits": self.orbits,
            "state": self.state,
            "rank_losses": self.rank_losses,
            "escaped": self.escaped,
            "unbounded": self.unbounded,
            "kaplan_yorke": self.kaplan_yorke,
            "kaplan_yorke_interval": list(self.kaplan_yorke_interval),
            "entropy_rate_per_step": self.entropy_rate,
            "entropy_rate_at_least_per_step": self.entropy_bound,
            "sum_per_step": self.sum if self.complete else math.nan,
            "leading_sum_per_step": self.sum,
            "predictability_time_steps": self.predictability_time,
            "attractors": [attractor.to_dict() for attractor in self.attractors],
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
        dof = d.get("degrees_of_freedom")
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
            dof=None if dof is None else loose(dof),
            attractors=tuple(
                Attractor(
                    loose(a["exponents_per_step"]),
                    loose(a["stderr_per_step"]),
                    loose(a["degrees_of_freedom"]),
                    a["orbits"],
                )
                for a in d.get("attractors", [])
            ),
            checks={name: loose([value])[0].item() for name, value in d.get("checks", {}).items()},
            escaped=d.get("escaped", 0),
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
