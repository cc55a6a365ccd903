"""A border is found with few trials, wherever it runs; a sub-rectangle of a map is a map."""

import numpy as np
import pytest
from driving import run

from lyapsweep.registry import UnknownName
from lyapsweep.results.record import Outcome
from lyapsweep.sweep import Sweep, SweepError, spaces
from lyapsweep.sweep.plan.refinement import UNKNOWN, Refinement, rounds
from lyapsweep.sweep.plan.sampling import draw
from lyapsweep.sweep.plan.zoom import zoomed

X, Y = np.meshgrid(np.arange(64), np.arange(64))
FIELDS = {
    "a line": (Y > 0.7 * X + 8.3).astype(int),
    "a disc": (np.hypot(X - 30, Y - 34) < 20.5).astype(int),
    "three outcomes": (Y > 20).astype(int) + ((Y > 20) & (X > 0.5 * Y + 10)),
    "a thin finger": ((abs(X - 33) < 2) & (Y < 50) | (Y < 12)).astype(int),
}
GRID = {"init/gain": spaces.points(0.5, 2, 9), "training/lr": spaces.log_points(1e-3, 1e-1, 9)}


@pytest.fixture
def base(tmp_path):
    (tmp_path / "tiny.yaml").write_text(
        "dataset: {kind: flip_flop, bits: 1, length: 8, train: 20, test: 4}\ncell: {kind: vanilla, units: 3}\n"
        "init: {kind: gaussian, gain: 1.0}\ntraining: {steps: 3, optimizer: sgd, report_at: []}\nmeasures: [loss]\n"
        "windows: {length: null, batch: 2}\nlyapunov: {steps: 4, warmup: 2, orbits: 1, exponents: 1}\n"
    )
    return tmp_path / "tiny.yaml"


def replayed(field: np.ndarray) -> np.ndarray:
    known = np.full(field.shape, UNKNOWN)
    for wanted in rounds(known):
        assert (known[wanted] == UNKNOWN).all(), "nothing is trained twice"
        known[wanted] = field[wanted]
    return known


@pytest.mark.parametrize("name", FIELDS)
def test_both_sides_of_a_border_are_trained_with_a_quarter_of_the_trials(name):
    """Every pair of neighbours that disagree was trained, so that no answer is taken across the border."""
    field = FIELDS[name]
    trained = replayed(field) != UNKNOWN
    assert trained.mean() < 0.25
    for axis in (0, 1):
        first, second = (np.take(field, of, axis) for of in (range(63), range(1, 64)))
        pairs = np.take(trained, range(63), axis) & np.take(trained, range(1, 64), axis)
        assert pairs[first != second].all()


def test_where_all_agree_nothing_but_the_coarse_points_is_trained():
    assert (replayed(np.zeros((64, 33), int)) != UNKNOWN).sum() == 9 * 5


def test_where_nothing_agrees_everything_is_trained():
    assert (replayed((X + Y) % 3)[:33, :20] != UNKNOWN).all()


def results_by(points, rule):
    return {p.key: rule(p.config.init["gain"], p.config.training.lr) for p in points}


def test_outcomes_and_the_threshold_tell_trials_apart_and_panels_do_not_mix(base):
    """Of two seeds one has a border at gain 1.3: only its panel asks for more."""
    sweep = Sweep(base=base, objective="loss", grid=GRID, seeds=2, threshold=0.5)
    points = draw(sweep)
    for side in ((Outcome.DIVERGED, 0.1), (Outcome.FINISHED, 0.9)):
        told = results_by(points, lambda gain, lr, side=side: side if gain > 1.3 else (Outcome.FINISHED, 0.1))
        told |= {p.key: (Outcome.FINISHED, 0.1) for p in points if p.config.seed == 1}
        refinement = Refinement(sweep, points)
        asked = [p.config for part in refinement.rounds(told) for p in part]
        assert len({c.id for c in asked}) == len(asked) == refinement.requested
        by_seed = [[c.init["gain"] for c in asked if c.seed == s] for s in (0, 1)]
        assert len(by_seed[1]) == 25  # the coarse points: every other one
        assert len(by_seed[0]) > 25
        assert {gain for gain in by_seed[0] if abs(gain - 1.3) < 0.2} >= {1.25, 1.438}
    same = results_by(points, lambda gain, lr: (Outcome.FINISHED, 0.2 + 0.1 * gain))
    assert len(list(Refinement(sweep, points).rounds(same))) == 1  # all below the threshold


def test_a_resumed_refinement_asks_for_what_is_left(base):
    sweep = Sweep(base=base, objective="loss", grid=GRID)
    points = draw(sweep)
    all_results = results_by(points, lambda gain, lr: (Outcome.DIVERGED if gain * lr > 0.02 else Outcome.FINISHED, 0.1))
    refinement = Refinement(sweep, points)
    parts = [[p.key for p in part] for part in refinement.rounds(all_results)]
    assert len(parts) == 2
    some = {key: all_results[key] for key in parts[0] + parts[1][:3]}
    assert refinement.remaining(some) == len(parts[1]) - 3
    assert refinement.remaining(all_results) == 0
    assert refinement.requested == sum(map(len, parts))


def test_what_cannot_be_refined(base):
    for sweep in (
        Sweep(base=base, objective="loss", grid={"init/gain": GRID["init/gain"], "training/lr": [0.1, 0.2]}),
        Sweep(base=base, objective="loss", grid=GRID, where={"init/gain": 0.5}),
    ):
        with pytest.raises(SweepError, match="--refine needs a whole grid with two axes of five numbers"):
            Refinement(sweep, draw(sweep))


def test_a_zoom_is_the_same_resolution_elsewhere_under_its_own_name(base):
    grid = GRID | {"cell/units": [2, 4, 8, 16]}
    sweep = zoomed(
        Sweep(base=base, objective="loss", grid=grid, name="map"),
        {"init/gain": (1, 1.5), "training/lr": (0.01, 0.02), "cell/units": (3, 5)},
    )
    assert sweep.name == "map-gain1-1.5-lr0.01-0.02-units3-5"
    assert sweep.grid is not None
    np.testing.assert_allclose(sweep.grid["init/gain"], np.linspace(1, 1.5, 9), atol=1e-3)
    np.testing.assert_allclose(sweep.grid["training/lr"], np.geomspace(0.01, 0.02, 9), rtol=2e-3)
    assert sweep.grid["cell/units"] == [3, 4, 5]  # whole numbers stay whole
    assert len(draw(sweep)) == 9 * 9 * 3
    with pytest.raises(UnknownName, match="init/gain"):
        zoomed(Sweep(base=base, objective="loss", grid=GRID), {"init/gian": (1, 2)})
    with pytest.raises(SweepError, match="low < high"):
        zoomed(Sweep(base=base, objective="loss", grid=GRID), {"init/gain": (2, 1)})


def test_grid_values_are_even_and_short():
    assert spaces.points(0.5, 2, 4) == [0.5, 1.0, 1.5, 2.0]
    assert spaces.log_points(1e-3, 10, 5) == [0.001, 0.01, 0.1, 1.0, 10.0]
    values = spaces.log_points(3e-3, 3, 64)
    np.testing.assert_allclose(values, np.geomspace(3e-3, 3, 64), rtol=2e-3)
    assert max(len(str(v)) for v in values) <= 8
    assert spaces.log_points(0.5, 5e29, 4) == [0.5, 5e9, 5e19, 5e29]
    deep = spaces.points(1.2, 1.2 + 1e-9, 64)
    assert len(set(deep)) == 64
    for bad in ((2, 1, 4), (1, 2, 1)):
        with pytest.raises(SweepError, match="low < high"):
            spaces.points(*bad)
    with pytest.raises(SweepError, match="0 < low"):
        spaces.log_points(0, 1, 5)


@pytest.mark.cluster
def test_a_map_is_refined_on_ray_without_mlflow_and_its_rounds_are_replayed(base, tmp_path):
    """Learning rates up to 1e30: some networks are lost. What was asked for is what the records' outcomes imply."""
    from lyapsweep.results.table import Table

    grid = {"init/gain": spaces.points(0.5, 2, 9), "training/lr": spaces.log_points(0.5, 1e30, 9)}
    sweep = Sweep(base=base, objective="loss", grid=grid, name="refined", pack=16)
    told = []
    done = run(sweep, results=tmp_path, refine=True, jobs=2, tracking_uri="none", listen=told.append)
    assert 25 < done.progress.finished + done.progress.diverged == done.progress.asked < 81
    assert done.progress.diverged > 0
    assert f"{done.progress.asked} of the grid's 81 points" in done.notes
    assert not (tmp_path / "mlflow.db").exists()
    table = Table.read(done.folder)
    assert table.description.trials == table.description.refined.asked == done.progress.asked
    assert table.description.refined.axes == grid
    rows = table.finals.frame
    outcomes = {t: (Outcome(o), v) for t, o, v in zip(rows["trial"], rows["outcome"], rows["measures/loss"])}
    refinement = Refinement(sweep, draw(sweep))
    assert {p.key for part in refinement.rounds(outcomes) for p in part} == set(outcomes)
    again = run(sweep, results=tmp_path, resume=True, jobs=2, tracking_uri="none")
    assert (again.progress.asked, len(Table.read(done.folder))) == (done.progress.asked, len(table))


def planned(sweep, base, tmp_path, refine=None):
    """The driver's plan of a folder that nobody has trained in, written to sweep.json."""
    from lyapsweep.sweep.execute.results_folder import ResultsFolder
    from lyapsweep.sweep.execute.runner import SweepRunner

    runner = SweepRunner(sweep, base, ResultsFolder(tmp_path, "a"), tracking_uri="none")
    runner.folder.records.mkdir(parents=True, exist_ok=True)
    runner.plan(resume=True, refine=refine)
    runner.open_storage()
    return runner


def test_a_resumed_sweep_goes_on_refining_unless_it_is_told_not_to(base, tmp_path):
    grid = {"init/gain": spaces.points(0.5, 2, 17), "training/lr": spaces.log_points(1e-3, 1, 17)}
    sweep = Sweep(base=base, objective="loss", grid=grid, name="a")
    point = sweep.config(None)
    assert planned(sweep, point, tmp_path).planned.remaining == 17**2
    for refine, remaining, refined in ((True, 25, True), (None, 25, True), (False, 17**2, False), (None, 17**2, False)):
        runner = planned(sweep, point, tmp_path, refine)
        found = runner.planned.remaining, runner.folder.description().refined is not None, runner.counter.asked
        assert found == (remaining, refined, remaining)
