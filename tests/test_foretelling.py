"""The atlas of a larger sweep asks what early spectra foretell, of each set of data alone; a smaller one does not."""

import re

import made_up
import made_up_early
import pytest

from lyapsweep.atlas import compression, prediction_sections, report
from lyapsweep.atlas.view import AtlasView


@pytest.fixture(scope="module")
def written(tmp_path_factory):
    path = tmp_path_factory.mktemp("atlas") / "atlas.html"
    return report.write(made_up_early.table(n=120, effect=1.0), path).read_text("utf-8")


def test_every_question_has_its_answer_in_words_and_a_figure(written):
    for name, _ in prediction_sections.PARTS:
        if name in ("Who learns sooner", "What holds from one architecture to another"):
            continue  # of a table with thresholds, of one with cells
        section = written[written.index(f"<h2>{name}</h2>") :].split("</section>")[0]
        assert any(fig.data for fig in compression.figures(section)), name
        assert re.search(r"<p>[A-Z0-9].*\d.*</p>", section), name


def test_the_gain_of_the_planted_spectrum_is_in_the_table(written):
    section = written[written.index("<h2>What early spectra add</h2>") :].split("</section>")[0]
    gains = [float(v) for v in re.findall(r'settings \+ early scores</td><td class="n" data-v="([^"]+)"', section)]
    assert len(gains) == len(prediction_sections.EARLY)
    assert gains[-1] > 0.02


def test_a_small_sweep_and_a_hunt_are_not_asked():
    assert not prediction_sections.foretells(AtlasView(made_up.table()))
    table = made_up_early.table(n=120, effect=1.0)
    assert prediction_sections.foretells(AtlasView(table))
    assert not prediction_sections.foretells(AtlasView(table.take(table.frame["final"].to_numpy(bool))))
    assert not prediction_sections.foretells(AtlasView(made_up.as_hunt(table)))


def test_a_map_of_thousands_is_asked_in_part_and_says_so(monkeypatch):
    monkeypatch.setattr(prediction_sections, "MOST", 50)
    view = AtlasView(made_up_early.table(n=120, effect=1.0))
    some, said = prediction_sections.asked(view)
    assert len(some.finals) == 50
    assert "50 of 120 trials" in said
    assert set(some.table.frame["trial"]) < set(view.table.frame["trial"])
    assert "50 of 120 trials" in prediction_sections.sampled(lambda v: str(len(v.finals)))(view)


def test_spectra_of_the_first_step_alone_are_not_asked():
    table = made_up_early.table(n=120, effect=1.0)
    assert not prediction_sections.foretells(AtlasView(table.take((table.frame["step"] != 10).to_numpy(bool))))
