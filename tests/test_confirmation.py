"""The best settings of a search, trained again from fresh seeds: false winners are found out, on made-up scores."""

import json
from dataclasses import replace

import numpy as np
import pytest
from made_up_sweeps import TINY, lr_space, states

from lyapsweep.atlas import report
from lyapsweep.dynamics.spectrum import Spectrum
from lyapsweep.registry import UnknownName
from lyapsweep.results.best import best_setting, rank_settings
from lyapsweep.results.confirmed import confirmation_sentences
from lyapsweep.results.description import Confirmation, SweepDescription
from lyapsweep.results.provenance import DataDescription, Provenance
from lyapsweep.results.record import Outcome, Record
from lyapsweep.results.table import Table
from lyapsweep.sweep import Sweep, SweepError
from lyapsweep.sweep.execute.confirming import ConfirmationStage
from lyapsweep.sweep.execute.pack import PackSettings
from lyapsweep.sweep.execute.planning import describe_plan, plan_sweep
from lyapsweep.sweep.execute.results_folder import ResultsFolder
from lyapsweep.sweep.execute.searcher import PackSearcher
from lyapsweep.sweep.observe.progress import ProgressCounter
from lyapsweep.sweep.plan.confirmation import choose
from lyapsweep.tracking.summary import description as mlflow_text
from lyapsweep.trial import run_trials

RATES = (1e-4, 2e-4, 3e-4, 4e-4, 5e-4)
SEARCH = (0.10, 0.30, 0.31, 0.32, 0.33)  # the first rate is a lucky draw
TRUTH = (0.50, 0.36, 0.30, 0.34, 0.20)  # medians over seeds; the last is no candidate of three


@pytest.fixture
def sweep(tmp_path):
    (tmp_path / "tiny.yaml").write_text(TINY)
    base = tmp_path / "tiny.yaml"
    return Sweep(
        base=base, objective="loss", space=lr_space, trials=5, intent="hunt", name="a", confirm=3, candidates=3
    )


def record(config, rate, score, seed=0, outcome=Outcome.FINISHED, **measures):
    spectrum = Spectrum(np.array([0.02, 0.0, -0.5]), np.full(3, 1e-3), 20, 2, "closed loop", 3)
    return Record(
        config.changed({"training/lr": rate, "seed": seed}),
        4,
        outcome,
        {"closed loop": spectrum},
        {"loss": score, **measures},
        provenance=Provenance(seed=seed, data=DataDescription(lambda_max=0.021)),
    )


def searched(sweep) -> dict[str, Record]:
    """The search: five trials that finished, and a better one that halving stopped."""
    config = sweep.config()
    records = [record(config, rate, score) for rate, score in zip(RATES, SEARCH)]
    records.append(record(config, 9e-4, 0.01, outcome=Outcome.STOPPED))
    return {r.trial: r for r in records}


def confirmed(sweep, truth=TRUTH, spread=0.02, **measures) -> Table:
    """The table after three candidates were trained from three fresh seeds each."""
    search, described = searched(sweep), SweepDescription(objective="loss", direction="minimise", intent="hunt")
    confirmation, groups = choose(Confirmation(3, 3, list(sweep.criteria)), search, described)
    fresh = [
        record(p.config, p.config.training.lr, truth[RATES.index(p.config.training.lr)] + spread * i, p.config.seed)
        for group in groups
        for i, p in zip((-1, 0, 1), group)
    ]
    fresh = [replace(r, measures=r.measures | {k: v[r.config.training.lr] for k, v in measures.items()}) for r in fresh]
    assert [r.trial for r in fresh] == confirmation.fresh
    return Table.of([*search.values(), *fresh], replace(described, confirmation=confirmation))


def winner(table: Table) -> float:
    found = best_setting(table)
    assert found is not None
    return float(table.finals.frame["training/lr"].iloc[found.rows[0]])


def test_the_best_finished_settings_are_chosen_with_seeds_that_the_search_did_not_use(sweep):
    search, described = searched(sweep), SweepDescription(objective="loss", direction="minimise")
    confirmation, groups = choose(Confirmation(3, 2), search, described)
    assert [[(p.config.training.lr, p.config.seed) for p in group] for group in groups] == [
        [(rate, seed) for seed in (1, 2, 3)] for rate in RATES[:2]
    ]
    assert list(confirmation.trials) == list(search)[:2]
    again, more = choose(replace(confirmation, candidates=3), search, described)
    assert [p.key for p in more[0]] == confirmation.fresh[:3]
    assert list(again.trials) == list(search)[:3]
    better = record(sweep.config(), 7e-4, 0.05)  # an extension finds another favourite
    extended, kept = choose(replace(confirmation, candidates=1), search | {better.trial: better}, described)
    assert [group[0].config.training.lr for group in kept] == [7e-4, *RATES[:2]]
    assert list(extended.trials) == [better.trial, *confirmation.trials]


def test_a_false_winner_is_rejected_and_the_median_over_fresh_seeds_decides(sweep):
    table = confirmed(sweep)
    search = replace(table, description=replace(table.description, confirmation=None))
    assert winner(search.take(search.frame["seed"].to_numpy() == 0)) == RATES[0]
    found = best_setting(table)
    assert found is not None
    assert (winner(table), found.median, found.seeds, found.confirmed) == (RATES[2], 0.30, 3, True)
    order = [float(table.finals.frame["training/lr"].iloc[s.rows[0]]) for s in rank_settings(table)]
    assert order == [RATES[2], RATES[1], RATES[0], RATES[3], RATES[4]]  # the two that were not confirmed come last
    assert winner(replace(table, description=SweepDescription(objective="loss"))) == RATES[2]


def test_another_column_than_the_objective_is_judged_by_all_trials(sweep):
    table = confirmed(sweep, divergence=dict(zip(RATES, (0.1, 0.2, 0.3, 0.4, 0.5))))
    ranked = rank_settings(table, "measures/divergence")
    assert {s.confirmed for s in ranked} == {False}


def test_settings_that_violate_a_criterion_rank_behind_those_that_do_not(sweep):
    off = dict(zip(RATES, (0.01, 0.02, 0.3, 0.0, 0.0)))
    table = confirmed(sweep, zero_exponent=off, stable_fixed_points=dict.fromkeys(RATES, 0.0))
    assert winner(table) == RATES[1]
    assert [s.violated for s in rank_settings(table)][:3] == [False, False, True]
    found = best_setting(table)
    assert found is not None
    assert found.ties == ()
    assert "zero_exponent <= 0.05: 3 of 3 (0.02)" in confirmation_sentences(table, found)[1]
    free = replace(table.description.confirmation or Confirmation(), criteria=[])
    assert winner(replace(table, description=replace(table.description, confirmation=free))) == RATES[2]


def test_the_terminal_the_atlas_and_mlflow_say_what_became_of_the_favourite(sweep, tmp_path):
    table = confirmed(sweep)
    found = best_setting(table)
    assert found is not None
    fate, dynamics = confirmation_sentences(table, found)
    assert fate == (
        "Confirmed from 3 fresh seeds, the best of 3 settings, the 3rd of the search. The search's favourite, "
        "lr=0.0001, with 0.1 in the search, has a median of 0.5 over 3 fresh seeds."
    )
    assert dynamics == "lambda_max 0.02 (0.02 to 0.02) per step, of the data 0.021; 3 of 3 chaotic"
    page = report.write(table, tmp_path / "atlas.html").path.read_text("utf-8")
    assert "has a median of 0.5 over 3 fresh seeds" in page
    assert fate in mlflow_text(table)


@pytest.mark.parametrize(
    ("truth", "spread", "said"),
    [
        ((0.1, 0.3, 0.4, 0, 0), 0.01, "It was the search's favourite, with 0.1 in the search."),
        ((0.31, 0.3, 0.4, 0, 0), 0.05, "has a median of 0.31 over 3 fresh seeds, tied with it."),
    ],
)
def test_a_favourite_that_wins_or_is_tied_is_called_so(sweep, truth, spread, said):
    table = confirmed(sweep, truth, spread)
    found = best_setting(table)
    assert found is not None
    assert confirmation_sentences(table, found)[0].endswith(said)


def test_a_favourite_whose_fresh_seeds_are_all_lost_cannot_win(sweep):
    table = confirmed(sweep)
    lost = (table.frame["training/lr"] == RATES[0]) & (table.frame["seed"] > 0)
    table = replace(table, frame=table.frame.assign(outcome=table.frame["outcome"].mask(lost, "diverged")))
    found = best_setting(table)
    assert found is not None
    assert winner(table) == RATES[2]
    assert "finished from none of 3 fresh seeds" in confirmation_sentences(table, found)[0]


def test_confirmation_finds_better_settings_than_favourites_in_noise():
    """Of 30 settings whose scores scatter as much from run to run as from setting to setting."""
    chance, gains = np.random.default_rng(0), []
    for _ in range(300):
        truth = chance.normal(size=30)
        first = np.argsort(truth + chance.normal(size=30))[:5]
        medians = np.median(truth[first, None] + chance.normal(size=(5, 3)), axis=1)
        gains.append(truth[first[0]] - truth[first[np.argmin(medians)]])
    assert np.mean(gains) > 0.1


def prepared(sweep, tmp_path, records):
    """A results folder with these records, planned as a resumed run would."""
    folder = ResultsFolder(tmp_path, "a")
    folder.acquire()
    for each in records:
        each.save(folder.records)
    planned = plan_sweep(sweep, sweep.config(), folder, resume=True)
    describe_plan(folder, planned, planned.asked)
    counter = ProgressCounter(planned.asked + len(planned.fresh), "minimise")
    return folder, ConfirmationStage(planned, folder, counter)


def test_the_confirmation_follows_when_the_last_pack_of_the_search_has_ended_and_is_resumed(sweep, tmp_path):
    search = searched(sweep)
    folder, stage = prepared(sweep, tmp_path, search.values())
    settings = PackSettings("loss", "cpu", folder.records, folder.checkpoints)
    searcher = PackSearcher(iter(()), settings, lambda: 4, then=stage.begin)
    searcher.training.add(99)  # a pack of the search
    assert searcher.suggest("") is None
    assert not searcher.settings.final_measures
    searcher.training.remove(99)
    handed = searcher.suggest("")
    assert isinstance(handed, dict)
    assert handed["final_measures"] == ["lambda_max_relative_error", "zero_exponent", "stable_fixed_points"]
    assert (handed["until"], searcher.halving) == (None, None)
    assert [config["seed"] for config in handed["configs"]] == [1, 2, 3]
    assert stage.counter.asked == 6 + 9
    stored = json.loads((folder.path / "sweep.json").read_text())
    assert (stored["trials"], stored["confirmation"]["seeds"]) == (15, 3)
    assert list(stored["confirmation"]["trials"]) == list(search)[:3]
    folder.release()
    ended = [record(sweep.config(), RATES[0], 0.5, seed) for seed in (1, 2, 3)]
    ended += [record(sweep.config(), RATES[1], 0.4, 1)]  # killed in the middle of the second setting
    again = replace(sweep, confirm=0)  # as `--resume` without --confirm
    folder, stage = prepared(again, tmp_path, ended)
    assert {r.trial for r in ended} == stage.planned.confirmed.keys()
    assert (stage.planned.remaining, stage.counter.asked) == (-1, 5 + 9)
    packs = [[(p.config.training.lr, p.config.seed) for p in pack] for pack in stage.packs()]
    assert packs == [[(RATES[1], 2), (RATES[1], 3)], [(RATES[2], seed) for seed in (1, 2, 3)]]


def test_a_map_that_gets_more_seeds_than_its_confirmation_counts_and_trains_each_trial_once(sweep, tmp_path):
    one = Sweep(base=sweep.base, objective="loss", grid={"training/lr": RATES[:2]}, name="a", confirm=2, candidates=1)
    search = [record(one.config(), rate, rate) for rate in RATES[:2]]
    folder, stage = prepared(one, tmp_path, search)
    stage.packs()
    assert stage.counter.asked == 2 + 2
    folder.release()
    fresh = [record(one.config(), RATES[0], 0.5, seed) for seed in (1, 2)]
    _, stage = prepared(replace(one, seeds=2), tmp_path, fresh)
    assert [stage.planned.remaining, stage.planned.total(stage.planned.fresh)] == [1, 4 + 1]


def test_a_sweep_without_confirmation_has_none(sweep, tmp_path):
    folder, stage = prepared(replace(sweep, confirm=0), tmp_path, searched(sweep).values())
    assert stage.packs() == []
    assert folder.description().confirmation is None
    settings = PackSettings("loss", "cpu", folder.records, folder.checkpoints)
    searcher = PackSearcher(iter(()), settings, lambda: 1, then=stage.begin)
    assert searcher.suggest("") == PackSearcher.FINISHED
    assert searcher.settings == settings


@pytest.mark.parametrize(
    ("wrong", "error", "said"),
    [
        ({"confirm": -1}, SweepError, "confirm >= 0"),
        ({"candidates": 0}, SweepError, "candidates >= 1"),
        ({"criteria": ["zero_exponnt <= 0.1"]}, UnknownName, "zero_exponent"),
        ({"criteria": ["loss: low"]}, SweepError, "a bound such as"),
    ],
)
def test_what_cannot_be_confirmed_is_refused(sweep, wrong, error, said):
    with pytest.raises(error, match=said):
        replace(sweep, **wrong)
    grid = {"dataset": [{"kind": "simulated", "system": s} for s in ("henon", "lorenz63")]}
    with pytest.raises(SweepError, match="several data sets"):
        Sweep(base="a.yaml", objective="loss", grid=grid, confirm=3)


def test_final_records_have_the_measures_of_the_criteria_and_the_id_of_their_config(sweep):
    config = sweep.config()
    first, *_, last = [
        records[0] for records in run_trials([config], final_measures=("zero_exponent", "loss", "accuracy"))
    ]
    assert set(first.measures) == {"loss"}
    assert set(last.measures) == {"loss", "zero_exponent"}  # accuracy is of tasks
    assert (last.trial, last.config) == (config.id, config)
    assert last.measures["loss"] == [r[0] for r in run_trials([config])][-1].measures["loss"]


@pytest.mark.cluster
def test_a_hunt_confirms_its_best_settings_and_optuna_does_not_see_it(sweep, tmp_path):
    from driving import run

    (tmp_path / "tiny.yaml").write_text(TINY.replace("steps: 4, report_every: 2", "steps: 12, report_every: 4"))
    sweep = replace(sweep, candidates=2, confirm=2)
    summary = run(sweep, results=tmp_path, jobs=2, tracking_uri="none")
    table = Table.read(summary.folder)
    fresh = (table.description.confirmation or Confirmation()).fresh
    assert len(fresh) in (2, 4)  # as many settings as finished
    assert summary.progress.asked == summary.progress.done == 5 + len(fresh)
    assert len(states(summary.folder)) == 5
    outcomes = dict(zip(table.finals.frame["trial"], table.finals.frame["outcome"]))
    assert {outcomes[trial] for trial in fresh} == {"finished"}
    assert summary.best_trial in fresh
    assert [name for name, _ in summary.best_lines if name != "ties"] == ["setting", "confirmed", "dynamics"]
    for file in summary.folder.glob(f"records/{fresh[1]}-*.npz"):
        file.unlink()
    again = run(sweep, results=tmp_path, jobs=2, tracking_uri="none", resume=True)
    assert again.progress.asked == again.progress.done == 5 + len(fresh)
    assert list(summary.folder.glob(f"records/{fresh[1]}-*12.npz"))
