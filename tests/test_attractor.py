"""Orbits in a plane of the truth, power spectra as D_H has them, and the fixed points of linear regions."""

import made_up_evidence
import numpy as np
import pytest
import torch
from test_network_fixed_points import bits, config, sweep

from lyapsweep import systems
from lyapsweep.analysis.networks import attractor, best_trial_fixed_points
from lyapsweep.analysis.networks.network_fixed_points import of_network
from lyapsweep.atlas import orbits
from lyapsweep.cells import CELLS
from lyapsweep.measures.power_spectrum import hellinger, spectral_distance
from lyapsweep.registry import UnknownName
from lyapsweep.trial import restore_network, run_trial


def lorenz(length=2000, dt=0.02):
    return made_up_evidence.lorenz(length, (1.0, 1.0, 20.0), dt)


def henon(length=1500):
    map = systems.build("henon", None)
    z = map.start(1, torch.Generator().manual_seed(0))
    return map.orbit(z, None, length + 100)[100:, 0, 0].numpy()


def wave(frequency, length=2000, columns=2):
    t = np.arange(length)[:, None]
    return np.sin(2 * np.pi * frequency * t + np.arange(columns))


def test_the_plane_holds_the_first_principal_directions_whatever_their_sign():
    truth = lorenz()
    at = attractor.plane(truth)
    values, vectors = np.linalg.eigh(np.cov(truth.T))
    np.testing.assert_allclose(at.shares, values[::-1][:2] / values.sum(), rtol=1e-6)
    np.testing.assert_allclose(np.abs((at.axes @ vectors[:, ::-1])[:, :2]), np.eye(2), atol=1e-6)
    assert (at.axes[np.arange(2), np.abs(at.axes).argmax(axis=1)] > 0).all()
    inside = at.place(truth)
    assert ((inside > at.low) & (inside < at.high)).all()


def test_flows_are_curves_and_maps_are_dots_of_consecutive_samples():
    flow, map = attractor.plane(lorenz()), attractor.plane(henon())
    assert (flow.dot, map.dot, map.stride) == (False, True, 1)
    fine = lorenz(3000, 0.002)
    slow = attractor.plane(fine)
    assert slow.stride > 2
    drawn = attractor.curves(slow, fine, fine, len(fine))
    np.testing.assert_array_equal(drawn.truth, slow.place(fine)[: drawn.samples : slow.stride])
    assert len(drawn.truth) == -(-drawn.samples // slow.stride) <= attractor.MOST_POINTS


def test_one_column_is_drawn_against_its_past():
    truth = wave(1 / 40, 800, 1)
    at = attractor.plane(truth)
    assert 7 <= at.delay <= 9  # cos(2 pi 8 / 40) = 0.31 < 1/e
    drawn = attractor.curves(at, truth, truth, 800)
    np.testing.assert_allclose(drawn.truth[:, 0], truth[: 800 - at.delay : at.stride, 0][: len(drawn.truth)])
    np.testing.assert_allclose(drawn.truth[:, 1], truth[at.delay :: at.stride, 0][: len(drawn.truth)])


def test_runs_are_not_joined_and_what_is_outside_is_counted():
    truth = lorenz(900)
    generated = np.concatenate((truth[:300], truth[600:]))
    generated[500:510], generated[510:515] = np.nan, 1e6
    drawn = attractor.curves(attractor.plane(truth), truth, generated, 300)
    assert drawn.outside == 15
    gaps = np.isnan(drawn.generated).all(axis=1)
    assert gaps[300]
    assert gaps.sum() == 16
    assert (len(drawn.generated), drawn.samples) == (601, 600)


def test_power_peaks_at_the_frequency_and_is_that_of_d_h():
    truth, generated = wave(0.03) + 0.1 * lorenz()[:, :2], wave(0.06) + 0.1 * lorenz()[:, :2]
    found = attractor.power(truth, generated, 2000, 2000)
    for curve, frequency in ((found.truth, 0.03), (found.generated, 0.06)):
        assert found.frequency[curve.argmax()] == pytest.approx(frequency, rel=0.15)
    assert found.sigma == 20 / 2000
    fine = [attractor.spectra(s, 1, 20.0) for s in (truth, generated)]
    assert hellinger(*fine).mean() == pytest.approx(spectral_distance(truth, generated, 20.0, 1))
    edges = attractor.band_edges(2000)
    counts = np.diff(edges)
    np.testing.assert_allclose((found.truth * counts).sum(), fine[0].mean(axis=0)[1 : edges[-1]].sum(), rtol=1e-12)


def test_a_record_says_where_its_free_runs_begin():
    point = config().changed({"training/steps": 1, "lyapunov/steps": 20, "lyapunov/warmup": 5})
    *_, last = run_trial(point)
    assert last.traces["runs"].tolist() == [0, 30, 60, 90, 120]
    assert len(last.traces["generated"]) == 150
    older = {k: v for k, v in last.traces.items() if k != "runs"}
    assert orbits.run_lengths(last.traces) == orbits.run_lengths(older) == (30, 150)
    network, _ = restore_network(point, last.weights)  # whose states are what it shows
    rows = torch.from_numpy(last.traces["generated"]).double()
    off = (network.double().cell.step(rows[None, :-1])[0] - rows[1:]).abs().amax(dim=1)
    assert (np.flatnonzero(off > 1e-4) + 1).tolist() == [30, 60, 90, 120]


@pytest.mark.parametrize(("bad", "alive"), [(np.nan, False), (0.0, False), (1.0, True)])
def test_an_orbit_that_rests_or_is_lost_has_no_power_spectrum(bad, alive):
    generated = lorenz().copy()
    generated[:, 1] *= bad
    found = attractor.power(lorenz(), generated, 400, None)
    assert np.isfinite(found.generated).all() == alive
    assert np.isfinite(found.truth).all()


def plane_map(**weights):
    """z_1' = z_1 / 2 - relu(z_2) + 1, z_2' = z_2 / 2 + 1: its point (-2, 2) has z_2 > 0."""
    cell = CELLS["plrnn"](inputs=0, population=1, units=2)
    own = {"A": [0.5, 0.5], "W": [[0.0, -1.0], [0.0, 0.0]], "h": [1.0, 1.0]} | weights
    for name, value in own.items():
        setattr(cell, name, torch.nn.Parameter(torch.tensor(value, dtype=torch.float64)[None], requires_grad=False))
    return cell


def test_regions_hold_their_own_fixed_point_or_do_not():
    states = torch.randn(1, 200, 2, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    found = best_trial_fixed_points.visited_regions(plane_map(), states)
    assert found == {"visited": 2, "real": 1, "virtual": 1, "none": 0}
    above = states.abs()
    assert best_trial_fixed_points.visited_regions(plane_map(), above) == {
        "visited": 1,
        "real": 1,
        "virtual": 0,
        "none": 0,
    }
    shifting = plane_map(A=[0.5, 1.0], h=[1.0, 0.5])  # z_2 grows by 1/2 a step: nothing rests
    assert best_trial_fixed_points.visited_regions(shifting, states) == {
        "visited": 2,
        "real": 0,
        "virtual": 0,
        "none": 2,
    }


@pytest.mark.parametrize("name", ["lorenz63", "henon"])
def test_other_maps_have_no_linear_regions(name):
    map = systems.build(name, None)
    z = map.start(50, torch.Generator().manual_seed(0))
    assert best_trial_fixed_points.visited_regions(map, z.double()) is None


def test_the_best_network_of_a_sweep_is_searched_and_those_that_were_asked_for():
    table = sweep(objective="state_space")
    finals = table.finals.frame
    finished = finals[finals["outcome"] == "finished"]
    best = finished.loc[finished["measures/state_space"].idxmin()]
    other = finished["trial"][finished["trial"] != best.trial].iloc[0]
    told = best_trial_fixed_points.find(table, [other])
    assert list(told) == [other, best.trial]
    summary = told[best.trial]
    assert summary["kinds"]["stable"][0] == 8  # three undecided bits: every corner is stable
    searched = of_network(config(int(best.seed)), bits(3)).found.fixed
    assert sum(n for n, *_ in summary["kinds"].values()) == len(searched) == len(summary["points"]) > 20
    np.testing.assert_allclose(sorted(x for _, x in summary["points"]), sorted(searched.z.tolist()))
    assert summary["kinds"]["repeller"] == [1, pytest.approx(2), pytest.approx(2)]
    failed = finals["trial"][finals["outcome"] == "failed"].iloc[0]
    assert "holds no weights" in best_trial_fixed_points.find(table, [failed])[failed]["error"]
    with pytest.raises(UnknownName, match="nobody"):
        best_trial_fixed_points.find(table, ["nobody"])
