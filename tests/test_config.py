"""Ids of configs: frozen, the same for the same settings, unmoved by what is added; migrations of old settings."""

import dataclasses
import json
import math
from pathlib import Path

import numpy as np
import pytest

from lyapsweep.cells import CELLS
from lyapsweep.config import FAMILIES, PLAIN, Config, ConfigError, identity, migrations, parse_value
from lyapsweep.config.identity import in_0_1
from lyapsweep.config.migrations import DefaultChanged, Renamed, migrate
from lyapsweep.datasets import DATASETS
from lyapsweep.measures import MEASURES
from lyapsweep.results.record import Outcome, Record, config_of

DATA = Path(__file__).parent / "data"
FROZEN = json.loads((DATA / "ids.json").read_text())
OLD = json.loads((DATA / "v0_1/ids.json").read_text())
SERIES = {"dataset": {"kind": "simulated", "system": "lorenz63"}, "cell": {"kind": "shallow_plrnn"}}
TASK = {"dataset": {"kind": "adding"}, "cell": {"kind": "lstm"}}


def ids() -> list[str]:
    return [Config.of(migrate(entry["settings"], entry.get("version", 1))).id for entry in FROZEN]


def old_ids() -> list[tuple[str, ...]]:
    return [old_config(entry["given"]).legacy_ids for entry in OLD]


def old_config(settings: dict) -> Config:
    """The config that settings meant to version 0.1."""
    return Config.of(migrate(settings, version=1))


def test_ids_are_frozen():
    """A difference here means that the records of all users lose their trials."""
    assert len(FROZEN) >= 20
    assert ids() == [entry["id"] for entry in FROZEN]


def as_in_0_1(completed):
    """Without the settings that version 0.1 did not have."""
    kinds = {
        name: section["kind"] for name, section in completed.items() if isinstance(section, dict) and "kind" in section
    }
    return {
        name: {key: v for key, v in section.items() if in_0_1(f"{name}/{key}", kinds)}
        if isinstance(section, dict)
        else section
        for name, section in completed.items()
    }


@pytest.mark.parametrize("entry", OLD, ids=lambda entry: entry["what"])
def test_ids_of_version_0_1_are_computed(entry):
    config = old_config(entry["given"])
    assert config.legacy_ids == (entry["id"],)
    assert config.ids == (config.id, entry["id"])
    assert as_in_0_1(config.to_dict()) == entry["completed"]
    assert old_config(entry["completed"]) == config


@pytest.mark.parametrize("entry", OLD, ids=lambda entry: entry["what"])
def test_settings_without_a_word_on_validation_are_no_trials_of_0_1(entry):
    """They are judged on other rows, so that their scores differ; asked for as 0.1 judged, they are the same trials."""
    config = Config.of(entry["given"])
    assert config.dataset["validation"] == "auto"
    assert config.legacy_ids == ()
    assert config.id != old_config(entry["given"]).id
    assert config.changed({"dataset/validation": None}) == old_config(entry["given"])


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ({"training/lr": 1}, {"training/lr": 1.0}),
        ({"flossing/target": 0.0}, {"flossing/target": -0.0}),
        ({"dataset/parameters": {"rho": 28, "beta": 3}}, {"dataset/parameters": {"beta": 3.0, "rho": 28.0}}),
        ({"training/report_at": [0.5]}, {"training/report_at": [np.float64(0.5)]}),
        ({"measures": ["loss", "state_space"]}, {}),
        ({"measures": ["loss", {"kind": "prediction_error"}]}, {"measures": ["loss", "prediction_error"]}),
    ],
)
def test_settings_that_mean_the_same_have_one_id(one, other):
    assert Config.of(SERIES).changed(one).id == Config.of(SERIES).changed(other).id


@pytest.mark.parametrize(
    "changes",
    [
        {"seed": 1},
        {"cell/units": 31},
        {"cell/kind": "plrnn"},
        {"dataset/observe": ["x", "z"]},
        {"dataset/observe": ["z", "x"]},
        {"dataset/parameters": {"rho": 28}},
        {"measures": ["state_space", "loss"]},
        {"measures": ["loss", {"kind": "state_space", "bins": 10}]},
        {"measures": ["loss", {"kind": "state_space", "bins": 11}]},
        {"lyapunov/forced": True},
    ],
)
def test_settings_that_differ_have_ids_of_their_own(changes):
    others = [Config.of(SERIES), Config.of(SERIES).changed({"dataset/observe": ["x"]})]
    assert Config.of(SERIES).changed(changes).id not in {other.id for other in others}


def test_values_are_written_canonically():
    same = lambda a, b: identity.json_text(identity.canonical(a)) == identity.json_text(identity.canonical(b))  # noqa: E731
    assert same([1, {"b": 2.0, "a": -0.0}], (1.0, {"a": 0, "b": 2}))
    assert same(math.nan, float("nan"))
    assert same(np.float32(0.5), 0.5)
    assert same(np.arange(2), [0, 1])
    for a, b in ((True, 1), (False, 0), (math.inf, -math.inf), (math.nan, "NaN"), (math.nan, None), ("1", 1), (1, 1.5)):
        assert not same(a, b)


@pytest.fixture
def planted(monkeypatch):
    """A version that has more: a setting of a plain section, of a cell, of a measure; a cell, a dataset, a measure."""

    @dataclasses.dataclass(frozen=True)
    class Training(PLAIN["training"]):
        warmup: int = 7

    class Lstm(CELLS["lstm"]):
        def __init__(self, inputs: int, population: int, *, units: int = 30, leak: float = 0.25):
            super().__init__(inputs, population, units=units)

    loss = MEASURES["state_space"]

    def state_space(evidence, *, bins: int = 30, variance: float = 1.0, radius: float = 2.0):
        return loss.function(evidence, bins=bins, variance=variance)

    monkeypatch.setitem(PLAIN, "training", Training)
    for members in (CELLS.members, DATASETS.members, MEASURES.members):
        first = next(iter(members))
        monkeypatch.setitem(members, "planted", members[first])
    monkeypatch.setitem(CELLS.members, "lstm", Lstm)
    measure = dataclasses.replace(loss, function=state_space)
    monkeypatch.setitem(MEASURES.members, "state_space", measure)


def test_additions_leave_all_ids_as_they_are(planted):
    assert Config.of(TASK).training.warmup == 7, "the planted setting is there"
    assert Config.of(TASK).cell["leak"] == 0.25
    assert ids() == [entry["id"] for entry in FROZEN]
    assert old_ids() == [(entry["id"],) for entry in OLD]


@pytest.mark.parametrize(
    "changes",
    [
        {"training/warmup": 8},
        {"cell/leak": 0.5},
        {"cell/kind": "planted"},
        {"measures": ["loss", "solved", "planted"]},
    ],
)
def test_settings_that_0_1_did_not_have_have_no_legacy_id(planted, monkeypatch, changes):
    monkeypatch.setitem(MEASURES.members, "planted", MEASURES["solved"])
    config = Config.of(TASK).changed(changes)
    assert config.legacy_ids == ()
    assert config.id != Config.of(TASK).id


@pytest.fixture
def migrated(monkeypatch):
    """A version in which training/lr_end was renamed, and two defaults were changed."""

    @dataclasses.dataclass(frozen=True)
    class Training:
        steps: int = 5000
        lr: float = 2e-3
        final_lr: float | None = None
        optimizer: str = "adam"
        clip: float | None = None
        clip_value: float | None = None
        report_every: int | None = None
        report_at: list[float] = dataclasses.field(default_factory=list)
        keep: str = "last"

    class Lstm(CELLS["lstm"]):
        def __init__(self, inputs: int, population: int, *, units: int = 64):
            super().__init__(inputs, population, units=units)

    entries = (
        *migrations.MIGRATIONS,
        Renamed(since=3, old="training/lr_end", new="training/final_lr"),
        DefaultChanged(since=3, path="training/lr", old=1e-3),
        DefaultChanged(since=4, path="cell/units", old=30, of="lstm"),
    )

    def apply():
        config_of.cache_clear()
        monkeypatch.setitem(PLAIN, "training", Training)
        monkeypatch.setitem(CELLS.members, "lstm", Lstm)
        monkeypatch.setattr(migrations, "MIGRATIONS", entries)

    yield apply
    config_of.cache_clear()


def test_old_settings_have_todays_names_and_the_defaults_of_their_time(migrated):
    migrated()
    old = {"cell": {"kind": "lstm"}, "training": {"lr_end": 0.1}}
    then = {"cell": {"kind": "lstm", "units": 30}, "training": {"final_lr": 0.1, "lr": 1e-3}}
    assert migrate(old, version=1) == then
    assert old == {"cell": {"kind": "lstm"}, "training": {"lr_end": 0.1}}
    assert migrate({"cell": {"kind": "lstm"}, "training": {}}, version=3) == {
        "cell": {"kind": "lstm", "units": 30},
        "training": {},
    }
    assert migrate({"cell": {"kind": "gru"}}, version=4) == {"cell": {"kind": "gru"}}
    assert migrations.current_version() == 4


def test_migrations_leave_ids_as_they_are(migrated):
    before = [old_config(e["completed"]).id for e in OLD], [old_config(e["completed"]).legacy_ids for e in OLD]
    migrated()
    after = [Config.of(migrate(e["completed"], 1)) for e in OLD]
    assert ([c.id for c in after], [c.legacy_ids for c in after]) == before
    plain = Config.of(TASK)
    assert (plain.training.lr, plain.cell["units"]) == (2e-3, 64)
    assert plain.id not in {c.id for c in after}, "the new defaults are other settings"
    assert plain.id == Config.of(TASK | {"training": {"lr": 0.002}}).id


def test_measures_are_migrated(monkeypatch):
    entries = (
        Renamed(since=2, old="measures/state_space/cells", new="measures/state_space/bins"),
        DefaultChanged(since=3, path="measures/prediction_error/steps", old=7),
    )
    monkeypatch.setattr(migrations, "MIGRATIONS", entries)
    old = {"measures": ["loss", {"kind": "state_space", "cells": 9}, "prediction_error"]}
    assert migrate(old, 1)["measures"] == [
        "loss",
        {"kind": "state_space", "bins": 9},
        {"kind": "prediction_error", "steps": 7},
    ]
    assert migrate(old, 3) == old


def test_a_record_of_0_1_keeps_its_id_through_a_migration(migrated):
    files = sorted((DATA / "v0_1/results/task/records").glob("*.npz"))
    trials = {file.name.partition("-")[0] for file in files}
    assert {Record.load(file).trial for file in files} == trials
    migrated()
    records = [Record.load(file) for file in files]
    assert {record.trial for record in records} == trials
    for record in records:
        assert hasattr(record.config.training, "final_lr")
        planned = Config.of(record.config.to_dict())
        assert record.trial in planned.ids
        assert record.trial != planned.id


def test_a_record_keeps_its_id(tmp_path):
    config = Config.of(TASK)
    assert Record(config, 0, Outcome.RUNNING).trial == config.id
    file = Record(config, 4, Outcome.FINISHED, trial="another").save(tmp_path)
    assert file.name == "another-00000004.npz"
    again = Record.load(file.rename(tmp_path / "renamed.npz"))
    assert (again.trial, again.config) == ("another", config)
    assert again.save(tmp_path).name == "another-00000004.npz"


def test_a_renamed_record_of_0_1_has_the_id_that_0_1_gave_it(tmp_path):
    file = next((DATA / "v0_1/results/run/records").glob("*.npz"))
    copy = tmp_path / "best.npz"
    copy.write_bytes(file.read_bytes())
    assert Record.load(copy).trial == file.name.partition("-")[0]


def test_packs_are_grouped_by_values_as_given():
    """What members of a pack share is a hash of all settings, and no id."""
    config = Config.of(SERIES)
    assert config.changed({"seed": 3, "training/lr": 0.1, "forcing/start": "zero"}).shape == config.shape
    assert config.changed({"cell/units": 31}).shape != config.shape
    assert config.changed({"dataset/noise": 0}).shape != config.changed({"dataset/noise": 0.0}).shape


def test_all_members_of_0_1_are_listed():
    known = identity.settings_of_0_1()
    for section, family in (*FAMILIES.items(), ("measures", MEASURES)):
        for member, settings in known[section].items():
            assert set(settings) <= set(family.knobs(member)), f"{section} '{member}'"


@pytest.mark.parametrize(
    ("section", "settings", "message"),
    [
        ("training", {"steps": -1}, "training/steps must be an integer >= 0, but got -1"),
        ("training", {"lr": math.inf}, "training/lr must be a finite number > 0, but got inf"),
        ("training", {"lr_end": 0.0}, "training/lr_end must be a finite number > 0 or null, but got 0.0"),
        ("training", {"clip": 0.0}, "training/clip must be a finite number > 0 or null, but got 0.0"),
        ("training", {"report_every": 0}, "training/report_every must be an integer >= 1 or null, but got 0"),
        ("training", {"report_at": [1.0]}, "training/report_at must be a finite number > 0 and < 1, but got 1.0"),
        ("training", {"optimizer": "adamm"}, "Did you mean 'adam'"),
        ("lyapunov", {"segments": 3, "steps": 2}, "lyapunov/segments must be <= lyapunov/steps, but got 3"),
        ("lyapunov", {"segments": 3, "early": 2}, "lyapunov/early must be >= lyapunov/segments or null, but got 2"),
    ],
)
def test_sections_refuse_values_out_of_range(section, settings, message):
    with pytest.raises(ConfigError, match=message):
        Config.of(SERIES | {section: settings})


def test_values_are_parsed_as_yaml_with_common_floats():
    assert parse_value("[1e-3, .5, 8, 1e3, true, null]") == [0.001, 0.5, 8, 1000.0, True, None]
