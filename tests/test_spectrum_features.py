"""Numbers made of spectra: resampling keeps what it can, summaries are those of the exponents held."""

import numpy as np
import pytest

from lyapsweep.analysis.shared.spectrum_features import quantiles, summaries
from lyapsweep.dynamics.spectrum import Spectrum

NAN, INF = np.nan, np.inf


def test_as_many_quantiles_as_exponents_are_the_exponents():
    spectra = -np.sort(-np.random.default_rng(0).normal(size=(4, 7)))
    np.testing.assert_allclose(quantiles(spectra, 7), spectra)


def test_networks_of_any_size_have_the_same_quantiles_where_their_spectra_are_one_curve():
    """lambda(u) = 1 - 3 u sampled by 20, 60 and 33 exponents."""
    rows = np.full((3, 60), NAN)
    for row, n in zip(rows, (20, 60, 33)):
        row[:n] = 1 - 3 * (np.arange(n) + 0.5) / n
    np.testing.assert_allclose(quantiles(rows, 10), np.tile(1 - 3 * (np.arange(10) + 0.5) / 10, (3, 1)))


def test_more_points_than_exponents_interpolate_and_do_not_extrapolate():
    np.testing.assert_allclose(quantiles(np.array([[2.0, 0.0]]), 4), [[2.0, 1.5, 0.5, 0.0]])
    np.testing.assert_allclose(quantiles(np.array([[2.0, NAN]]), 3), [[2.0, 2.0, 2.0]])


def test_order_does_not_matter_and_an_empty_row_is_nan():
    spectra = np.array([[0.1, -2.0, 1.0], [NAN, NAN, NAN]])
    resampled = quantiles(spectra, 3)
    np.testing.assert_allclose(resampled[0], [1.0, 0.1, -2.0])
    assert np.isnan(resampled[1]).all()
    assert summaries(spectra).loc[1].isna().all()


def test_annihilated_directions_stand_at_the_floor():
    spectra = np.array([[1.0, -INF], [0.0, -4.0]])
    np.testing.assert_allclose(quantiles(spectra, 2), [[1.0, -4.0], [0.0, -4.0]])
    np.testing.assert_allclose(quantiles(spectra, 2, floor=-9.0)[0], [1.0, -9.0])
    assert summaries(spectra)["minimum"].tolist() == [-4.0, -4.0]
    assert np.isnan(quantiles(np.array([[-INF]]), 1)).all()


def test_summaries_are_those_of_the_spectrum():
    rng = np.random.default_rng(1)
    rows = np.full((5, 40), NAN)
    for row, n in zip(rows, (40, 25, 12, 8, 3)):
        row[:n] = -np.sort(-rng.normal(-0.1, 1, n))
    found = summaries(rows)
    for i, row in enumerate(rows):
        row = row[~np.isnan(row)]
        known = Spectrum(row, np.zeros(len(row)), 10, 1, "driven", len(row)).summary()
        for name in ("maximum", "mean", "kaplan_yorke", "entropy_rate"):
            assert found[name][i] == pytest.approx(known[name]), name
        assert found["std"][i] == pytest.approx(row.std())
        assert found["minimum"][i] == row.min()
        assert found["top_mean"][i] == pytest.approx(row[:10].mean())
        assert found["top_abs"][i] == pytest.approx(abs(row[:10]).mean())
        assert found["above -1 bits"][i] == pytest.approx((row > -np.log(2)).mean())


def test_slopes_are_per_quantile():
    line = (1 - 3 * (np.arange(50) + 0.5) / 50)[None]
    assert summaries(line)["slope 0.4-0.6"][0] == pytest.approx(-3.0)
    assert summaries(line)["slope 0.1-0.2"][0] == pytest.approx(-3.0)
    assert summaries(line)["quantile 0.25"][0] == pytest.approx(1 - 3 * 0.25, abs=0.002)


@pytest.mark.parametrize(("spectra", "points"), [(np.zeros(3), 2), (np.zeros((1, 3)), 0)])
def test_what_is_no_spectrum_is_refused(spectra, points):
    with pytest.raises(ValueError, match="must be"):
        quantiles(spectra, points)
