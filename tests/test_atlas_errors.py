"""The page always comes: a section that fails is named with its error, and the rest is drawn."""

import made_up
import made_up_tables
import numpy as np
import pandas as pd
import pytest
from click.testing import CliRunner

from lyapsweep.atlas import compression, report, sections
from lyapsweep.cli import main
from lyapsweep.registry import UnknownName
from lyapsweep.results.imported import from_frame
from lyapsweep.results.table import Table
from lyapsweep.sweep.execute.results_folder import ResultsFolder
from lyapsweep.sweep.execute.sweep_results import SweepResults
from lyapsweep.tracking.null_logger import NullLogger

OPTIMUM = "Where the optimum lies"


def small_table() -> Table:
    rows = [(cell, i % 5, i) for cell in ("gru", "lstm") for i in range(10)]
    frame = pd.DataFrame(rows, columns=["cell/kind", "interval", "i"]).assign(loss=lambda f: 1 + f["i"], le_1=-0.1)
    return from_frame(frame, settings=["cell/kind", "interval"], outcomes="loss", exponents="le_1")


def broken(view):
    raise ZeroDivisionError("planted <b>")


@pytest.fixture
def one_breaks(monkeypatch):
    """One section of one data set fails."""
    monkeypatch.setitem(sections.SETTINGS, OPTIMUM, sections.per_source(broken))


def test_a_section_that_fails_is_named_and_the_others_are_drawn(tmp_path, one_breaks):
    page = report.write(small_table(), tmp_path / "atlas.html")
    text = page.path.read_text("utf-8")
    assert [(each.section, each.reason) for each in page.errors] == [(OPTIMUM, "ZeroDivisionError: planted <b>")]
    assert f"1 section could not be drawn: {OPTIMUM}. The traceback" in text
    assert "This section could not be drawn (ZeroDivisionError: planted &lt;b&gt;). The traceback is in" in text
    assert len(compression.figures(text)) == 4  # objective, spectrum of the best, exponent, spectra
    log = (tmp_path / "atlas-errors.log").read_text()
    assert log.startswith(f"{OPTIMUM}\nTraceback")
    assert "in broken" in log


def test_the_log_of_an_earlier_page_goes(tmp_path, monkeypatch, one_breaks):
    report.write(small_table(), tmp_path / "atlas.html")
    monkeypatch.undo()
    assert not report.write(small_table(), tmp_path / "atlas.html").errors
    assert [p.name for p in tmp_path.iterdir()] == ["atlas.html"]


@pytest.mark.parametrize(
    ("place", "parts"),
    [
        ("sections.header", ["Header"]),
        ("explorer.orbits.orbit_data", ["The map"]),
        ("view.AtlasView.has_early_spectra", ["Prediction from early spectra", "Which settings matter"]),
    ],
)
def test_no_part_of_the_page_ends_it(place, parts, monkeypatch):
    broken_property = property(broken) if place.startswith("view") else broken
    monkeypatch.setattr(f"lyapsweep.atlas.{place}", broken_property)
    monkeypatch.setattr(report, "header", sections.header)
    view = report.AtlasView(small_table())
    assert "All trials" in report.render_page(view)
    assert sorted(each.section for each in view.errors.found) == parts


def test_a_search_of_fixed_points_that_fails_is_named_but_an_unknown_trial_is_refused(tmp_path, monkeypatch):
    with pytest.raises(UnknownName, match="No trial is called 'nobody'"):
        report.prepared(small_table(), tmp_path, ["nobody"])
    monkeypatch.setattr(report.best_trial_fixed_points, "find", lambda *_: broken(None))
    view = report.prepared(small_table(), tmp_path, ())
    assert [(each.section, each.reason) for each in view.errors.found] == [
        ("Fixed points", "ZeroDivisionError: planted <b>")
    ]


def test_the_command_names_the_section_and_fails(tmp_path, one_breaks):
    for record in made_up.records()[:3]:
        record.save(tmp_path / "a" / "records")
    result = CliRunner().invoke(main, ["atlas", "a", "--results", str(tmp_path)])
    assert result.exit_code == 1
    assert str(tmp_path / "a" / "atlas.html") in result.stdout
    assert f"1 section could not be drawn ({OPTIMUM}: ZeroDivisionError: planted <b>)" in result.stderr
    assert "Traceback (most" not in result.stderr


def test_a_sweep_notes_what_its_atlas_lacks(tmp_path, one_breaks):
    made_up.record("vanilla", 80, 0).save(tmp_path / "a" / "records")
    results = SweepResults(ResultsFolder(tmp_path, "a"), NullLogger(), interrupted=False)
    assert results.draw_atlas() == tmp_path / "a" / "atlas.html"
    assert "1 section could not be drawn (Where the optimum lies: ZeroDivisionError" in results.notes[0]
    (tmp_path / "a" / "atlas.html").unlink()
    (tmp_path / "a" / "atlas.html").mkdir()
    assert results.draw_atlas() is None
    assert "The atlas could not be written (IsADirectoryError" in results.notes[1]


def test_groups_whose_continuous_settings_are_binned_have_planes():
    """Every group has other values, so that labels of bins must come from the whole table."""
    rng = np.random.default_rng(0)
    frame = pd.DataFrame({"cell/kind": [*"ab"] * 40, "lr": 10 ** rng.uniform(-4, -1, 80)})
    frame = frame.assign(gain=rng.uniform(0.5, 2, 80), loss=rng.random(80), le_1=rng.normal(size=80))
    table = from_frame(frame, settings=["cell/kind", "lr", "gain"], outcomes="loss", exponents="le_1")
    view = report.AtlasView(table)
    text = report.render_page(view)
    assert not view.errors.found
    plane = text[text.index('id="two-settings-at-a-time"') :]
    assert len(compression.figures(plane[: plane.index("</section>")])) == 1
    for name in ("a: the best", "b: the best"):
        assert name in plane


def assert_drawn(table: Table, seed: int) -> None:
    view = report.AtlasView(table)
    text = report.render_page(view)
    assert not view.errors.found, f"table {seed}: {view.errors.found}"
    assert "All trials" in text


def test_any_table_is_drawn():
    for seed in range(20):
        assert_drawn(made_up_tables.table(seed, largest=40), seed)


@pytest.mark.slow  # 4 minutes
@pytest.mark.parametrize("seed", range(20, 220))
def test_many_tables_are_drawn(seed):
    assert_drawn(made_up_tables.table(seed), seed)


def test_a_gap_in_nullable_integers_is_a_gap():
    frame = small_table().frame
    frame["interval"] = frame["interval"].astype("Int64").mask(frame["trial"] == "03")
    view = report.AtlasView(Table(frame))
    assert 'data-v="">–</td>' in report.render_page(view)
    assert not view.errors.found
