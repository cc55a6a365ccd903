"""Tables: the columns of records, whatever their order and wherever they come from."""

import json

import made_up
import numpy as np
import pandas as pd
import pytest

from lyapsweep.dynamics.spectrum import Spectrum
from lyapsweep.registry import UnknownName
from lyapsweep.results.description import SweepDescription
from lyapsweep.results.header import BadRecord
from lyapsweep.results.record import Outcome, Record
from lyapsweep.results.table import BadTable, Table


@pytest.fixture(scope="module")
def records():
    return made_up.records()


def test_a_row_holds_the_record_under_the_names_of_the_config(records):
    table = Table.of(records, made_up.DESCRIPTION)
    record = records[-1]
    row = table.frame.set_index(["trial", "step"]).loc[(record.trial, record.step)]
    assert row["forcing/interval"] == record.config.forcing["interval"]
    assert row["measures/state_space"] == record.measures["state_space"]
    assert row["floors/state_space"] == record.floors["state_space"]
    assert row["spectra/closed loop/maximum"] == record.spectra["closed loop"].maximum
    assert row["spectra/closed loop/kaplan_yorke"] == record.spectra["closed loop"].kaplan_yorke
    assert row["data/lambda_max"] == made_up.LAMBDA_MAX
    assert json.loads(row["measures"]) == record.config.measures
    assert json.loads(row["provenance/versions"]) == {"torch": "2.13"}


def test_finals_are_one_row_a_trial_and_the_ended_record(records):
    finals = Table.of(records).finals
    assert len(finals) == 42 == finals.frame["trial"].nunique()
    assert "running" not in set(finals.frame["outcome"])


def test_a_trial_that_failed_at_step_zero_after_reports_is_final_as_failed():
    running = made_up.record("lstm", 80, 0, Outcome.RUNNING, step=500)
    table = Table.of([running, made_up.failed("lstm", 80, 0, "killed")])
    assert table.finals.frame["outcome"].tolist() == ["failed"]


def test_order_of_records_does_not_matter_and_the_later_duplicate_counts(records):
    forth, back = Table.of(records), Table.of(reversed(records))
    pd.testing.assert_frame_equal(forth.frame, back.frame[forth.frame.columns], check_dtype=False)
    again = Record(records[1].config, records[1].step, Outcome.STOPPED)
    assert len(Table.of([*records, again])) == len(forth)
    assert Table.of([records[1], again]).frame["outcome"].tolist() == ["stopped"]


def test_spectra_are_padded_with_nan_and_keep_minus_infinity():
    made = []
    for cell, exponents in (("lstm", [0.1, -0.2, -np.inf]), ("vanilla", [0.3])):
        spectrum = Spectrum(np.array(exponents), np.zeros(len(exponents)), 10, 1, "driven", state=3)
        made.append(Record(made_up.config(cell), 0, Outcome.FINISHED, {"driven": spectrum}))
    made.append(Record(made_up.config("shallow_plrnn"), 0, Outcome.FINISHED))
    table = Table.of(made)
    spectra = {c: table.spectra["driven"][i] for i, c in enumerate(table.frame["cell/kind"])}
    np.testing.assert_array_equal(spectra["lstm"], [0.1, -0.2, -np.inf])
    np.testing.assert_array_equal(spectra["vanilla"], [0.3, np.nan, np.nan])
    assert np.isnan(spectra["shallow_plrnn"]).all()
    by_cell = table.frame.set_index("cell/kind")["spectra/driven/sum"]
    assert by_cell["lstm"] == -np.inf
    assert np.isnan(by_cell["shallow_plrnn"])


def test_a_folder_gives_the_same_table(records, tmp_path):
    for record in records:
        record.save(tmp_path / "records")
    made_up.DESCRIPTION.save(tmp_path / "sweep.json")
    read, made = Table.read(tmp_path), Table.of(records, made_up.DESCRIPTION)
    pd.testing.assert_frame_equal(read.frame, made.frame[read.frame.columns])
    assert read.description == made.description
    np.testing.assert_array_equal(read.spectra["closed loop"], made.spectra["closed loop"])
    assert [sorted(t) for t in read.traces] == [sorted(t) for t in made.traces]


def test_a_folder_that_is_not_one_says_so(tmp_path):
    with pytest.raises(BadTable, match="no folder"):
        Table.read(tmp_path / "nowhere")
    (tmp_path / "sweep.json").write_text("{")
    with pytest.raises(BadTable, match=r"sweep\.json is not JSON"):
        Table.read(tmp_path)
    (tmp_path / "sweep.json").write_text("[]")
    with pytest.raises(BadTable, match="must hold an object"):
        Table.read(tmp_path)
    (tmp_path / "sweep.json").unlink()
    (tmp_path / "half.npz").write_bytes(b"PK")
    with pytest.raises(BadRecord, match=r"half\.npz"):
        Table.read(tmp_path)


def test_varied_is_what_about_says_or_what_moves(records):
    assert Table.of(records, SweepDescription(varied=("forcing/interval",))).varied == ["forcing/interval"]
    moving = {"cell/kind", "cell/units", "forcing/interval", "seed"}
    assert set(Table.of(records).varied) == moving
    assert set(Table.of(records, SweepDescription(varied=("cell", "forcing/interval", "seed"))).varied) == moving


def test_an_unknown_column_knows_its_neighbour(records):
    with pytest.raises(UnknownName, match="Did you mean 'measures/state_space'"):
        Table.of(records).column("measures/state_spcae")


def test_no_records_make_an_empty_table():
    table = Table.of([])
    assert len(table) == 0 == len(table.finals)
    assert table.varied == []
