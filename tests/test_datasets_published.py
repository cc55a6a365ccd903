"""What the series of Mikhaeil et al. 2022 are: their equations, read off their own derivatives, and ours beside them.

Two of the exponents that the paper took from the literature do not belong to these equations.
"""

import math
from pathlib import Path

import numpy as np
import pytest

from lyapsweep.datasets import build

DATA = next(Path(__file__).parents[2].glob("*/data/mikhaeil2022"), None)
needs_files = pytest.mark.skipif(
    DATA is None, reason="the series of Mikhaeil et al. 2022 are not beside the repository"
)


def published(name: str) -> np.ndarray:
    assert DATA is not None
    return np.load(DATA / f"{name}.npy").astype(float)


def derivative(series: np.ndarray, order: int = 14) -> np.ndarray:
    """Central differences of even order, per sample, of the rows that have order / 2 neighbours on either side."""
    n, half = len(series), order // 2
    weight = lambda j: math.factorial(half) ** 2 / (j * math.factorial(half - j) * math.factorial(half + j))  # noqa: E731
    return sum(
        -((-1) ** j) * weight(j) * (series[half + j : n - half + j] - series[half - j : n - half - j])
        for j in range(1, half + 1)
    )


def regressed(series: np.ndarray, column: int, features: list[np.ndarray], order: int = 14) -> np.ndarray:
    """Coefficients of one column's derivative on features of the state, per sample."""
    return np.linalg.lstsq(np.stack(features, axis=1), derivative(series, order)[:, column], rcond=None)[0]


@needs_files
def test_the_lorenz_file_is_rho_38_in_one_scale_for_all_columns():
    """x = s x' + m: the derivatives of y' and z' hold s and m beside the parameters (not rho = 28, nor (16, 45.92, 4)).

    y'' = (rho - m) x' - y' - m z' - s x' z' + const,  z'' = m x' + m y' - beta z' + s x' y' + const.
    """
    series, dt = published("lorenz"), 0.01
    x, y, z = series[7:-7].T
    one = np.ones_like(x)
    sigma = regressed(series, 0, [x, y])[1] / dt
    dy = regressed(series, 1, [one, x, y, z, x * z]) / dt
    dz = regressed(series, 2, [one, x, y, z, x * y]) / dt
    mean, scale = -dy[3], -dy[4]
    assert [sigma, dy[1] + mean, -dz[3]] == pytest.approx([10, 38, 8 / 3], rel=1e-3)
    assert [mean, scale] == pytest.approx([11.238, 18.815], rel=1e-3)
    assert [dz[1], dz[2], dz[4]] == pytest.approx([mean, mean, scale], rel=1e-3)


@needs_files
def test_the_roessler_file():
    """z'' = (b + m (m - c)) / s + m x' + (m - c) z' + s x' z'."""
    series, dt = published("roessler"), 0.1
    x, y, z = series[7:-7].T
    one = np.ones_like(x)
    a = regressed(series, 1, [one, x, y])[2] / dt
    const, mean, less, scale = regressed(series, 2, [one, x, z, x * z]) / dt
    c = mean - less
    b = const * scale - mean * (mean - c)
    assert [a, b, c] == pytest.approx([0.15, 0.2, 10], abs=1e-3, rel=1e-3)
    assert scale == pytest.approx(6.82, rel=1e-3)


@needs_files
def test_the_duffing_file_is_unscaled_and_holds_its_own_clock():
    series = published("duffing")
    x, y, drive = series[7:-7].T
    dt = regressed(series, 0, [y])[0]
    delta, beta, alpha, gamma = regressed(series, 1, [-y, -x, -(x**3), drive]) / dt
    omega = math.acos((series[2:, 2] + series[:-2, 2]) @ series[1:-1, 2] / (2 * series[1:-1, 2] @ series[1:-1, 2])) / dt
    assert dt == pytest.approx(0.1773, rel=1e-3)
    assert [alpha, beta, delta, gamma, omega] == pytest.approx([1, -1, 0.1, 0.35, 1.4], rel=1e-3)


@pytest.mark.parametrize(
    ("system", "parameters", "dt", "wanted", "published"),
    [
        ("lorenz63", {"rho": 38.0}, 0.01, 62.8, 46.2),
        ("roessler", {}, 0.1, 78.8, 77.0),
        ("duffing", {}, 0.1773, 30.3, 39.3),
    ],
)
def test_predictability_times_are_those_of_the_data_not_of_the_paper(system, parameters, dt, wanted, published):
    series = build("simulated", system=system, parameters=parameters, dt=dt, length=2000)
    assert series.predictability_time == pytest.approx(wanted, abs=1)
    assert (abs(series.predictability_time - published) > 5) == (system != "roessler")


@pytest.mark.parametrize(
    ("system", "parameters", "dt", "mean", "std"),
    [("lorenz63", {"rho": 38.0}, 0.01, 11.238, 18.815), ("roessler", {}, 0.1, None, 6.82)],
)
def test_our_own_series_has_the_published_scale(system, parameters, dt, mean, std):
    """One mean and one standard deviation for all columns; statistical errors of 100 000 steps are below 1 %."""
    series = build(
        "simulated", system=system, parameters=parameters, dt=dt, length=50_000, standardise="global", test=0.001
    )
    assert len(set(series.std)) == 1
    assert series.std[0] == pytest.approx(std, rel=0.015)
    if mean is not None:
        assert series.mean[0] == pytest.approx(mean, rel=0.015)


@needs_files
def test_a_published_recording():
    assert DATA is not None
    series = build("recorded", path=str(DATA / "lorenz.npy"), dt=0.01, lambda_max=1.1042)
    assert series.train.shape == (75000, 3)
    assert series.predictability_time == pytest.approx(62.8, abs=0.1)
