"""Fixed points of whole networks: one network's portrait, the census of a sweep, and the command that prints both."""

import itertools
import json
import pickle
from dataclasses import replace
from pathlib import Path

import made_up
import numpy as np
import pytest
import torch
from command_line import call, complaint, double_precision, folder, ok  # noqa: F401
from test_fixed_points import SLOPE
from torch import nn

from lyapsweep import systems
from lyapsweep.analysis.networks import fixed_point_census, fixed_point_plot
from lyapsweep.analysis.networks.network_fixed_points import SEARCH, of_driven, of_map, of_network
from lyapsweep.analysis.shared.selection import HuntTableError, TooFew, ended_trials
from lyapsweep.cells import from_torch
from lyapsweep.config import Config
from lyapsweep.dynamics import Search, find_fixed_points
from lyapsweep.registry import UnknownName
from lyapsweep.results.provenance import Provenance
from lyapsweep.results.record import Outcome, Record
from lyapsweep.results.table import Table

QUICK = Search(candidates=512, adam=60, noise=1.0)
SCORE = "measures/state_space"


def config(seed: int = 0) -> Config:
    return Config.of(
        {
            "dataset": {"kind": "simulated", "system": "lorenz63", "length": 600, "dt": 0.01},
            "cell": {"kind": "vanilla", "units": 3},
            "readout": {"kind": "identity"},
            "windows": {"length": 20, "batch": 4},
            "measures": ["loss", "state_space"],
            "seed": seed,
        }
    )


def bits(undecided: int) -> dict[str, np.ndarray]:
    """h' = tanh(W h), W diagonal: 3^n points for n entries of 2, none of the modes of the others grows."""
    return {"cell.W": np.diag([2.0] * undecided + [0.5] * (3 - undecided)), "cell.b": np.zeros(3)}


def record(n: int, seed: int, score: float, outcome: Outcome = Outcome.FINISHED) -> Record:
    return Record(config(seed), 10, outcome, {}, {"loss": 1.0, "state_space": score}, weights=bits(n))


def sweep(**about) -> Table:
    """Twelve networks of 0 ... 3 bits; the more bits, the better. One more diverged, one more failed."""
    rng, made = np.random.default_rng(0), []
    for seed, (n, _) in enumerate(itertools.product(range(4), range(3))):
        made.append(record(n, seed, 10.0 - n + 0.1 * rng.normal()))
    made.append(record(0, 20, 0.0, Outcome.DIVERGED))
    made.append(Record(config(21), 0, Outcome.FAILED, provenance=Provenance(error="out of memory")))
    return Table.of(made, replace(made_up.DESCRIPTION, **about))


@pytest.fixture(scope="module")
def census():
    before = torch.get_default_dtype()
    torch.set_default_dtype(torch.float32)  # as users have it: points are exact all the same
    yield fixed_point_census.find(sweep(), SCORE, QUICK, resamples=200)
    torch.set_default_dtype(before)


def row(finding: fixed_point_census.FixedPointCensusFinding, seed: int) -> int:
    return finding.trials.index(config(seed).id)


def test_the_census_counts_what_each_network_has(census):
    for seed in range(12):
        n, counts = seed // 3, dict(zip(fixed_point_plot.KINDS, census.counts[row(census, seed)]))
        repellers = int(n == 3)  # where every mode grows
        expected = {"stable": 2**n, "saddle": 3**n - 2**n - repellers, "repeller": repellers, "marginal": 0}
        assert {k: counts[k] for k in expected} == expected
        assert census.unstable[row(census, seed)] == n
        assert census.time_constants[row(census, seed)] == pytest.approx(1 / np.log(2), rel=1e-6)
    assert census.in_time == pytest.approx(0.01 * census.time_constants)


def test_a_lost_network_is_searched_and_a_trial_without_weights_left_out(census):
    assert len(census.trials) == 13
    diverged = row(census, 20)
    assert (census.lost[diverged], census.values[diverged]) == (True, np.inf)
    assert census.counts[diverged].sum() == 1
    assert config(21).id not in census.trials
    assert fixed_point_census.ranked(census)[-1] == diverged


def test_the_planted_relation_is_found(census):
    found = census.relation
    k = found.statistics.index("fixed points")
    assert found.rho[k] < -0.9
    assert found.high[k] < 0
    assert (found.n[k], found.lost[k]) == (13, 1)
    assert found.statistics.count("participation ratio") == 1


def test_shuffled_scores_have_no_relation():
    table = sweep()
    seeds = table.frame.loc[table.frame["outcome"] == "finished", "seed"]
    table = table.take(seeds.sort_values().index.to_numpy())  # ids do not change the order
    networks = [of_network(c, w, QUICK) for c, w in table.networks]
    counts = np.array([fixed_point_census.entry(rest)[0] for rest in networks])
    named = dict.fromkeys(("unstable", "time_constants", "ratio"), np.zeros(len(counts)))
    covered = 0
    for seed in range(60):
        dealt = np.random.default_rng(seed).permutation(len(counts))
        shuffled = table.frame.assign(**{SCORE: table.frame[SCORE].to_numpy()[dealt]})
        trials = ended_trials(replace(table, frame=shuffled), SCORE)
        found = fixed_point_census.related(counts, named, SCORE, trials, 200, 0, False)
        k = found.statistics.index("fixed points")
        covered += found.low[k] <= 0 <= found.high[k]
    assert covered >= 51  # of intervals at 95 %


def test_too_few_networks_have_no_relation_but_a_census():
    finished = np.flatnonzero(sweep().frame["outcome"] == "finished")
    found = fixed_point_census.find(sweep().take(finished[:3]), SCORE, Search(candidates=32, adam=20))
    assert found.relation is None
    assert len(found.trials) == 3


def test_a_hunt_and_a_table_without_weights_are_refused():
    with pytest.raises(HuntTableError, match="biased toward success"):
        fixed_point_census.find(sweep(intent="hunt"), SCORE, QUICK)
    with pytest.raises(TooFew, match="Too few trials with weights: there are 0, and 1 must be"):
        fixed_point_census.find(made_up.table(), SCORE, QUICK)
    with pytest.raises(UnknownName, match="Did you mean 'measures/state_space'"):
        fixed_point_census.find(sweep(), SCORE + "x", QUICK)


def test_a_stored_census_draws_the_same_figure_and_the_best_stands_first(census):
    figure = fixed_point_census.draw(census)
    assert fixed_point_census.draw(pickle.loads(pickle.dumps(census))).to_json() == figure.to_json()
    bars = {bar.name: np.array(bar.y) for bar in figure.data}
    assert set(bars) == {"stable", "saddle", "repeller"}
    assert bars["stable"].tolist() == [8] * 3 + [4] * 3 + [2] * 3 + [1] * 4


def test_the_portrait_holds_the_points_of_its_trial_among_its_orbits():
    trial = config(11).id
    found = fixed_point_plot.find(sweep(), trial, QUICK)
    assert found.kinds.count("stable") == 8
    stable = np.array([kind == "stable" for kind in found.kinds])
    np.testing.assert_allclose(found.eigenvalues[stable], SLOPE, atol=1e-9)
    ends = found.orbits[:, -1]  # every orbit ends at a stable point
    nearest = np.linalg.norm(ends[:, None] - found.points[stable][None], axis=2).min(axis=1)
    assert nearest.max() < 1e-9
    assert found.shares.sum() <= 1 + 1e-12
    assert found.shares[0] >= found.shares[1]


def test_a_portrait_of_no_network_says_why():
    with pytest.raises(UnknownName, match="No trial is called"):
        fixed_point_plot.find(sweep(), "x")
    with pytest.raises(TooFew, match="holds no weights"):
        fixed_point_plot.find(sweep(), config(21).id)


def test_a_stored_plot_draws_the_same_figure():
    found = fixed_point_plot.of_points("bits", of_network(config(), bits(2), QUICK))
    figure = fixed_point_plot.draw(found)
    assert fixed_point_plot.draw(pickle.loads(pickle.dumps(found))).to_json() == figure.to_json()
    drawn = {trace.name: len(trace.x) for trace in figure.data if trace.mode == "markers"}
    assert drawn == {"stable (4)": 4, "saddle (5)": 5, "stable": 12, "saddle": 15}  # points; eigenvalues


def test_the_plane_is_that_of_the_orbits_and_survives_states_that_are_not_finite():
    square = of_map(systems.build("henon", None), torch.tensor([[[0.1, 0.1], [50.0, 50.0]]]), QUICK)
    found = fixed_point_plot.of_points("henon", square)
    assert np.isfinite(found.orbits[0]).all()
    assert np.isnan(found.orbits[1, -1]).all()
    assert len(found.points) == len(square.found.fixed)
    nowhere = square._replace(orbits=np.full((1, 5, 2), np.inf))
    with pytest.raises(TooFew, match="diverges from all initial states"):
        fixed_point_plot.of_points("henon", nowhere)


def test_a_map_of_one_dimension_is_drawn_on_a_line():
    found = fixed_point_plot.of_points(
        "logistic", of_map(systems.build("logistic", None), torch.full((1, 4, 1), 0.3), QUICK)
    )
    assert (found.points[:, 1] == 0).all()
    assert found.shares.tolist() == [1, 0]


def test_a_driven_network_rests_where_its_mean_input_holds_it():
    torch.manual_seed(0)
    map = from_torch(nn.GRU(2, 4).double())
    inputs = torch.randn(60, 1, 3, 2, dtype=torch.float64) + torch.tensor([1.0, -2.0])
    for choice, held in (("mean", inputs.mean(dim=(0, 1, 2))), ("zero", torch.zeros(2, dtype=torch.float64))):
        rest = of_driven(map, inputs, choice, QUICK)
        assert len(rest.found.fixed)
        z = torch.from_numpy(rest.found.fixed.z)[None]
        torch.testing.assert_close(map.step(z, held.expand(1, z.shape[1], 2)).detach(), z, atol=1e-9, rtol=0)
        assert rest.orbits.shape == (3, 60, 4)


# The command


def test_the_points_of_a_system_as_json_and_as_a_table():
    told = json.loads(ok("fixed-points", "linear", "--set", "matrix=[[0.5, 0], [0, -2]]", "--noise", "1.5", "--json"))
    (point,) = told["fixed"]
    assert point["z"] == pytest.approx([0, 0], abs=1e-12)
    assert point["eigenvalues"] == [[-2, 0], [0.5, 0]]
    assert (point["kind"], point["unstable"], point["frequencies"]) == ("saddle", 1, [0.5, 0])
    assert told["search"]["noise"] == 1.5
    text = ok("fixed-points", "lorenz63")
    assert "3 fixed points, 0 slow points" in text
    assert text.count("saddle") == 3


@pytest.mark.parametrize("suffix", ["html", "png", "svg"])
def test_pictures_are_written(suffix):
    ok("fixed-points", "henon", "--candidates", "32", "--plot", f"points.{suffix}")
    start = {"html": b"<!doctype html>", "png": b"\x89PNG", "svg": b"<?xml"}[suffix]
    assert Path(f"points.{suffix}").read_bytes().startswith(start)


def test_a_config_a_record_and_a_sweep():
    ok("run", "tiny.yaml", "--no-tracking")
    fresh = json.loads(ok("fixed-points", "tiny.yaml", "--json", "--candidates", "32"))
    config = Config.load("tiny.yaml")
    expected = of_network(config, None, replace(SEARCH, candidates=32))
    np.testing.assert_allclose([p["z"] for p in fresh["fixed"]], expected.found.fixed.z, atol=1e-12)
    name = next(p.name for p in made_records() if Record.load(p).outcome.final)
    trained = json.loads(ok("fixed-points", f"results/tiny/records/{name}", "--json", "--candidates", "32"))
    assert trained["fixed"] != fresh["fixed"]
    assert trained["line"].keys() >= {"participation_ratio", "first_share", "rate"}
    for suffix in ("html", "png"):
        text = ok("fixed-points", "tiny", "--measure", "loss", "--candidates", "32", "--plot", f"census.{suffix}")
    assert "tiny: 1 network" in text
    told = json.loads(ok("fixed-points", "results/tiny", "--measure", "loss", "--candidates", "32", "--json"))
    assert sum(told["counts"][0][:4]) == len(trained["fixed"])
    assert told["relation"] is None


def made_records():
    return sorted(Path("results/tiny/records").glob("*.npz"))


def test_weights_are_driven_by_a_series():
    torch.manual_seed(0)
    module = nn.LSTM(2, 4)
    torch.save(module.state_dict(), "weights.pt")
    series = np.random.default_rng(0).normal(size=(100, 2))
    np.save("series.npy", series)
    told = json.loads(ok("fixed-points", "weights.pt", "--input", "series.npy", "--rest", "zero", "--json"))
    cell = from_torch(module.double())
    (expected,) = find_fixed_points(cell, torch.zeros(1, 1, 8, dtype=torch.float64), torch.zeros(2))
    np.testing.assert_allclose([p["z"] for p in told["fixed"]], expected.fixed.z, atol=1e-6)


@pytest.mark.parametrize(
    ("args", "said"),
    [
        (["henon", "--measure", "loss"], "--measure is for the results of a sweep, but henon is a system"),
        (["henon", "--input", "series.npy"], "--input is for weights, but henon is a system"),
        (["weights.pt"], "weights.pt: the network needs inputs. Give --input series.npy"),
        (
            ["weights.pt", "--set", "a=1"],
            "of weights only rectified and clipped, for PLRNNs), but weights.pt is weights and got 'a'",
        ),
        (["henon", "--candidates", "0"], "candidates >= 1 must hold, but got 0"),
        (["henonn"], "Did you mean 'henon'"),
        (["henon", "--plot", "p.pdf"], "the file must end in .html, .png, .svg"),
    ],
)
def test_what_cannot_be_is_one_line(args, said):
    torch.save(nn.LSTM(2, 4).state_dict(), "weights.pt")
    assert said in complaint(2, "fixed-points", *args)


def test_a_record_on_the_way_holds_no_weights():
    ok("run", "tiny.yaml", "--no-tracking")
    name = next(p for p in made_records() if not Record.load(p).outcome.final)
    assert "holds no weights" in complaint(2, "fixed-points", name)
    assert call("fixed-points", "tiny").exit_code == 2  # nobody said what it was judged by
