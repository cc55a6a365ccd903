"""The atlas of a larger sweep shows what early spectra predict, per data set; that of a smaller one does not."""

import re
import subprocess
import sys
from dataclasses import replace

import made_up
import made_up_early
import pytest

from lyapsweep.atlas import analyses, compression, prediction_sections, report, section_content, view
from lyapsweep.atlas.view import AtlasView


@pytest.fixture(scope="module")
def written(tmp_path_factory):
    path = tmp_path_factory.mktemp("atlas") / "atlas.html"
    return report.write(made_up_early.table(n=120, effect=1.0), path).path.read_text("utf-8")


def test_every_section_has_a_sentence_and_a_figure(written):
    for name in prediction_sections.SECTIONS:
        if name in ("Which networks learn sooner", "What transfers from one architecture to another"):
            continue  # of a table with thresholds, of one with cells
        section = written[written.index(f"<h2>{name}</h2>") :].split("</section>")[0]
        assert any(fig.data for fig in compression.figures(section)), name
        assert re.search(r"<p>[A-Z0-9].*\d.*</p>", section), name


def test_the_gain_of_the_planted_spectrum_is_in_the_table(written):
    section = written[written.index("<h2>What early spectra add</h2>") :].split("</section>")[0]
    gains = [float(v) for v in re.findall(r'settings \+ early scores</td><td class="n" data-v="([^"]+)"', section)]
    assert len(gains) == len(analyses.EARLY)
    assert gains[-1] > 0.02


def test_a_small_sweep_and_a_hunt_have_no_such_sections():
    assert not AtlasView(made_up.table()).has_early_spectra
    table = made_up_early.table(n=120, effect=1.0)
    assert AtlasView(table).has_early_spectra
    assert not AtlasView(table.take(table.frame["final"].to_numpy(bool))).has_early_spectra
    hunt = replace(table, description=replace(table.description, intent="hunt"))
    assert not AtlasView(hunt).has_early_spectra


def test_spectra_of_the_first_step_do_not_suffice():
    table = made_up_early.table(n=120, effect=1.0)
    assert not AtlasView(table.take((table.frame["step"] != 10).to_numpy(bool))).has_early_spectra


def test_a_map_of_thousands_is_sampled_and_says_so(monkeypatch):
    monkeypatch.setattr(view, "MAX_TRIALS", 50)
    shown = AtlasView(made_up_early.table(n=120, effect=1.0))
    text = section_content.sampled(lambda part: "content")(shown)
    assert "50 of 120 trials" in text
    assert text.endswith("content")
    assert len(shown.sample.finals) == 50
    assert set(shown.sample.table.frame["trial"]) < set(shown.table.frame["trial"])


def test_the_analyses_are_imported_only_where_they_are_drawn():
    program = (
        "import sys; sys.path.insert(0, 'tests'); import made_up; from lyapsweep.atlas import report, view;"
        "report.render_page(view.AtlasView(made_up.table()));"
        "print([m for m in sys.modules if m.startswith('lyapsweep.analysis.prediction')])"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
