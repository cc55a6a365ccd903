"""Figures as files: those of the page, in every format, or one sentence about what is missing."""

import importlib.util
import shutil

import made_up
import numpy as np
import plotly.graph_objects as go
import pytest

from lyapsweep.atlas import figure_files, report
from lyapsweep.atlas.sections import Question, Section, finding

CHROMIUM = any(map(shutil.which, ("chromium", "chromium-browser", "google-chrome")))
MAGIC = {"png": b"\x89PNG\r\n\x1a\n", "svg": b"<svg", "pdf": b"%PDF"}


@pytest.fixture
def small(tmp_path):
    """A page with two figures in two sections."""
    figures = [go.Figure(go.Scatter(y=np.array(y))).update_layout(height=200) for y in ([1.0, 3.0], [2.0, np.nan])]
    path = tmp_path / "atlas.html"
    sections = [Section(name, finding("", fig, "")) for name, fig in zip(("One / two", "Three"), figures)]
    path.write_text(report.page("small", "", [Question("", "", sections)]), "utf-8")
    return path


def test_figures_are_named_after_their_sections(tmp_path):
    path = report.write(made_up.table(), tmp_path / "atlas.html").path
    names = dict(figure_files.named(path.read_text("utf-8")))
    assert len(names) == 9
    assert {"lyapunov-spectra-1", "verdict-4"} <= names.keys()
    truth = made_up.table().finals
    lines = [t for t in names["lyapunov-spectra-1"].data if t.customdata is not None]
    spectra = [np.asarray(t.customdata) for t in lines]
    first = max(s[0] for s in spectra)
    assert first == pytest.approx(np.nanmax(truth.spectra["closed loop"]) / made_up.DT, rel=1e-6)


def test_nothing_asked_for_needs_nothing(small, monkeypatch):
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    assert figure_files.write(small, []) == []


def test_what_is_missing_is_said(small, monkeypatch):
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    with pytest.raises(figure_files.FigureExportError, match=r"pip install 'lyapsweep\[figures\]'"):
        figure_files.write(small, ["png"])


@pytest.mark.skipif(not CHROMIUM, reason="No Chromium or Chrome is installed.")
def test_every_figure_is_drawn_in_every_format(small):
    pytest.importorskip("kaleido", reason="Kaleido draws figures as files (the figures extra).")
    files = figure_files.write(small, figure_files.FORMATS)
    assert [f.name for f in files] == [
        f"{name}-1.{kind}" for name in ("one-two", "three") for kind in figure_files.FORMATS
    ]
    for file in files:
        assert file.read_bytes().startswith(MAGIC[file.suffix[1:]])
        assert file.stat().st_size > 1000


@pytest.mark.skipif(not CHROMIUM, reason="No Chromium or Chrome is installed.")
def test_a_browser_that_is_not_there_is_said(small, monkeypatch):
    pytest.importorskip("kaleido", reason="Kaleido draws figures as files (the figures extra).")
    monkeypatch.setenv("BROWSER_PATH", "/nowhere/chromium")
    with pytest.raises(figure_files.FigureExportError, match="BROWSER_PATH"):
        figure_files.write(small, ["png"])
