"""The page: complete in one file, right in what it says, useful when there is little to show."""

import html
import re
from dataclasses import replace

import made_up
import numpy as np
import pandas as pd
import pytest
from plotly.offline import get_plotlyjs

from lyapsweep.atlas import compression, report, verdict
from lyapsweep.atlas.view import AtlasView
from lyapsweep.results.description import SweepDescription
from lyapsweep.results.record import Outcome
from lyapsweep.results.table import Table


@pytest.fixture(scope="module")
def written(tmp_path_factory):
    return report.write(made_up.table(), tmp_path_factory.mktemp("atlas") / "new" / "atlas.html").path.read_text(
        "utf-8"
    )


@pytest.fixture(scope="module")
def body(written):
    return written[written.index("<body>") :]


def words(document: str) -> str:
    """The page as it is read: no scripts, no tags."""
    document = re.sub(r"<script.*?</script>", "", document, flags=re.DOTALL)
    return html.unescape(re.sub(r"<[^>]+>", "", document))


def said_of(view: AtlasView) -> str:
    """The verdict as it is read."""
    return words(verdict.section(view))


def test_nothing_is_fetched_and_plotly_is_inside_once(written):
    ours = re.sub(r'<script type="application/gzip".*?</script>', "", written, flags=re.DOTALL)
    assert len(ours) < 150_000
    held = [text for kind in ("figure", "rows", "trials") for text in compression.blocks(written, kind)]
    for text in (ours, *held):
        assert not re.search(r"""(src|href|action|data)\s*=\s*["']?\s*(https?:)?//""", text, re.IGNORECASE)
        assert not re.search(
            r"@import|url\(|<script[^>]+src|<link[^>]+stylesheet|fetch\(|XMLHttpRequest|eval\(|http://|https://", text
        )
    assert compression.blocks(written, "plotly") == [get_plotlyjs()]


def test_every_section_is_there_with_a_drawn_figure(body):
    heads = re.findall(r"<h2>(.*?)</h2>", body)
    for wanted in ("The map", "The best setting in numbers", "Lyapunov spectra", "All trials"):
        assert wanted in heads
    drawn = compression.figures(
        body
    )  # objective, spectrum, two orbits; optimum, importance, exponent, spectra, correlation
    assert len(drawn) == body.count('class="chart"') == 9
    assert all(fig.data for fig in drawn)


def test_every_question_is_asked_once_and_linked(body):
    links = re.findall(r'<a href="#([\w-]+)" title', body)
    assert links == ["result", "settings", "dynamics", "prediction", "data"]
    assert re.findall(r'<div class="ask" id="([\w-]+)"', body) == links
    names = re.findall(r' id="([^"]*)"', body[: body.index("<script>")])
    assert len(names) == len(set(names))


def test_the_verdict_names_the_planted_best_with_its_numbers(body):
    said = words(body)
    assert re.search(
        r"lowest Dstsp \(nats\) is that of shallow_plrnn units=20 interval=80: test 0\.\d+ .* quartiles of 2 seeds",
        said,
    )
    assert "1.05 times the predictability time of the data, ln 2 / λmax = 76.5 steps" in said
    assert "2 of 42 trials were lost (1 diverged, 1 failed)" in said


def test_the_verdict_says_where_seeds_cannot_tell_and_where_the_best_is_an_end():
    table = made_up.table()
    frame = table.frame.copy()
    cell = (frame["cell/kind"] == "shallow_plrnn").to_numpy()
    for interval, scores in ((160, (0.1, 0.30)), (200, (0.04, 0.2))):
        frame.loc[cell & (frame["forcing/interval"] == interval), "measures/state_space"] = scores
    said = said_of(AtlasView(replace(table, frame=frame)))
    assert "is that of shallow_plrnn units=20 interval=200" in said
    assert "the optimum may lie beyond it" in said
    assert "Tied with shallow_plrnn units=20 interval=80, shallow_plrnn units=20 interval=160" in said
    assert "these trials do not tell them apart" in said


def test_the_verdict_says_what_cannot_be_told():
    table = made_up.table()
    frame = table.frame.assign(**{"saturations/state_space": 0.031})
    frame["data/lambda_max"] = frame["data/predictability_time"] = np.nan
    said = said_of(AtlasView(replace(table, frame=frame)))
    assert re.search(r"is blind on these data: it cannot tell a network at rest from another part .* scores 0.06", said)
    assert "The data's λmax is unknown" in said
    frame["saturations/state_space"] = 12.0
    assert "blind" not in said_of(AtlasView(replace(table, frame=frame)))
    frame["surrogates/state_space/sine"] = 0.05
    assert "cannot tell a sine from" in said_of(AtlasView(replace(table, frame=frame)))
    known = said_of(AtlasView(table))
    assert "unknown" not in known
    assert "predictability time" in known


def test_the_table_of_trials_is_complete_best_first_and_sorts_by_exact_numbers(body):
    rows = body[body.index("All trials") :].split("<tbody>")[1].split("</tbody>")[0]
    assert rows.count("<tr") == 42
    frame = made_up.table().finals.frame
    best = frame["measures/state_space"].where(frame["outcome"] == "finished").idxmin()
    assert frame["trial"][best] in rows.split("</tr>")[0]
    assert f'data-v="{float(frame["measures/state_space"][best])!r}"' in rows.split("</tr>")[0]


def test_the_best_exponent_stands_beside_that_of_the_data_with_its_error(body):
    table = made_up.table().finals
    row = AtlasView(made_up.table()).best
    first = table.spectra["closed loop"][row, 0]
    assert re.search(
        rf"In nats per unit time: λ₁ {first / made_up.DT:.3f} ± 0\.0400, of the data 0\.906: agrees within its error",
        words(body),
    )


def test_compute_is_counted_once_per_pack(body):
    assert re.search(r"seconds of compute, all trials\s*256", words(body))  # 41 x 12.5 / 2 + 0.5 / 2


def test_a_hunt_is_called_one_and_gets_no_correlation(tmp_path):
    text = words(report.write(made_up.table(intent="hunt"), tmp_path / "a.html").path.read_text("utf-8"))
    assert "not a good region" in text
    assert "biased toward success" in text
    assert "bootstrap interval" not in text


def test_strong_contraction_is_drawn_on_a_bent_axis_and_annihilated_directions_are_counted():
    table = made_up.table()
    spectra = table.spectra["closed loop"].copy()
    spectra[:, 10:] *= 100
    spectra[0, 15] = -np.inf
    said = words(report.render_page(AtlasView(replace(table, spectra={"closed loop": spectra}))))
    assert "The axis is linear up to ±0.100 and logarithmic beyond" in said
    assert "1 exponents are −∞" in said


def test_two_numeric_settings_get_a_plane():
    table = made_up.table(varied=["cell", "forcing/interval", "training/lr", "seed"])
    table.frame["training/lr"] = np.where(table.frame["seed"] == 0, 1e-3, 1e-2)
    assert AtlasView(table).axes == ["forcing/interval", "training/lr"]
    assert "Two settings at a time" in report.render_page(AtlasView(table))


def test_settings_that_only_follow_the_cell_are_no_axes():
    assert AtlasView(made_up.table()).axes == ["forcing/interval"]
    assert AtlasView(made_up.table()).group == "cell/kind"


@pytest.mark.parametrize(
    ("records", "said"),
    [
        ([], "There are no records yet"),
        ([made_up.failed("lstm", 80, 0, "no memory")], "no memory"),
        ([made_up.record("lstm", 80, 0)], "No setting takes more than one value"),
        ([made_up.record("lstm", x, 0, Outcome.DIVERGED) for x in (5, 80)], "Too few trials with a finite"),
        ([made_up.record("lstm", x, 0, Outcome.RUNNING) for x in (5, 80)], "running"),
        ([made_up.record(c, 80, 0) for c in made_up.CELLS], "is that of"),
    ],
)
def test_little_to_show_is_said_and_no_error(records, said):
    text = report.render_page(AtlasView(Table.of(records)))
    assert said in words(text)
    assert "Traceback" not in text


def test_only_names_vary_and_the_verdict_ranks_them():
    table = Table.of(
        [made_up.record(c, 80, s) for c in made_up.CELLS for s in (0, 1)], SweepDescription(objective="state_space")
    )
    assert AtlasView(table).axes == ["cell/kind"]
    said = said_of(AtlasView(table))
    assert "is that of shallow_plrnn units=20: test" in said
    assert re.search(r"The best of the others: lstm units=30 \(0\.\d+\), vanilla units=30 \(0\.\d+\)\.", said)


def test_the_verdict_compares_intervals_at_the_rate_of_the_best_setting():
    """Most rates are hopeless: medians over all of them would place the best interval elsewhere."""
    scores = {(80, 1e-3): 0.2, (5, 1e-3): 0.8, (80, 1e-1): 9.0, (5, 1e-1): 3.0, (80, 1e-2): 8.0, (5, 1e-2): 2.0}
    rows = [
        {"trial": f"{interval}{lr}{seed}", "forcing/interval": interval, "training/lr": lr, "seed": seed}
        | {"measures/state_space": value + 0.001 * seed}
        for (interval, lr), value in scores.items()
        for seed in (0, 1)
    ]
    frame = pd.DataFrame(rows).assign(step=9, outcome="finished", final=True, **{"cell/kind": "gru"})
    varied = ("forcing/interval", "training/lr", "seed")
    said = said_of(AtlasView(Table(frame, description=SweepDescription(objective="state_space", varied=varied))))
    assert "is that of interval=80 lr=0.001: test 0.2" in said
    assert re.search(r"Along forcing/interval, .* beside 80: 0\.80\d at 5 \(3\.99 times\)", said)
    assert re.search(r"Along training/lr, .* 8\.00 at 0\.01 .* at the ends 9\.00 at 0\.1", said)


def test_a_page_is_replaced_whole(tmp_path):
    path = report.write(Table.of([]), tmp_path / "atlas.html").path
    report.write(made_up.table(), path)
    assert [p.name for p in tmp_path.iterdir()] == ["atlas.html"]


def test_a_measure_of_a_file_in_a_folder_keeps_its_place():
    table = made_up.table()
    name = "measures/mine/scores/worst.py:worst"
    frame = table.frame.assign(**{name: table.frame["measures/state_space"], f"{name}/at": 1.0})
    found = AtlasView(replace(table, frame=frame)).measures
    assert name in found
    assert f"{name}/at" not in found
