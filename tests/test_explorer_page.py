"""The page around the map: figures that wait, pages in pages, old browsers, and 4096 trials."""

import html
import json
from functools import partial
from pathlib import Path

import exploring
import made_up
import made_up_evidence
import made_up_map
import numpy as np
import pandas as pd
from exploring import GAIN, opened, scroll_through, values

from lyapsweep.analysis.spectra import correlation
from lyapsweep.atlas import compression, report, view

pytestmark = exploring.NEEDED
browser = exploring.browser


def test_figures_wait_until_they_are_seen_and_folds_open_all_at_once(browser, tmp_path):
    path = report.write(made_up.table(), tmp_path / "atlas.html").path
    with opened(browser, path.as_uri()) as tab:
        folds = tab.locator("details:has(> summary > h2)")
        assert folds.count() > tab.locator("details[open]").count() == 0
        assert tab.locator("details .chart .plot-container").count() == 0
        scroll_through(tab)
        assert tab.locator("details[open]:has(> summary > h2)").count() == folds.count()
        assert tab.locator(".chart:has(.plot-container)").count() == tab.locator(".chart").count() == 9
        assert tab.locator('.contents a[aria-current="true"]').inner_text() == "Data"
        tab.click(".contents a >> nth=0")
        tab.wait_for_function("document.querySelector('.contents a').hasAttribute('aria-current')")


def test_figures_and_the_table_can_be_saved(browser, tmp_path):
    path = report.write(made_up.table(), tmp_path / "atlas.html").path
    with opened(browser, path.as_uri()) as tab:
        tab.locator(".chart:has(.plot-container)").first.wait_for()
        for format, magic in (("PNG", b"\x89PNG"), ("SVG", b"<svg")):
            with tab.expect_download() as saved:
                tab.locator(".downloads button", has_text=format).first.click()
            assert saved.value.suggested_filename == f"verdict-1.{format.lower()}"
            assert Path(saved.value.path()).read_bytes().startswith(magic)
        tab.click(".unfold")
        with tab.expect_download() as saved:
            tab.locator("#all-trials .downloads button").click()
        frame = pd.read_csv(saved.value.path())
    finals = made_up.table().finals.frame
    assert len(frame) == 42
    scores = frame.set_index("trial")["D_stsp (nats)"].reindex(finals["trial"]).to_numpy()
    np.testing.assert_allclose(scores, finals["measures/state_space"].to_numpy(), rtol=1e-14)


def test_brushing_parallel_coordinates_filters_the_map_and_is_in_the_address(browser, tmp_path):
    path = report.write(made_up.table(), tmp_path / "atlas.html").path
    with opened(browser, path.as_uri()) as tab:
        tab.locator(".parallel summary").click()
        tab.locator(".lines-of-trials .parcoords").first.wait_for()
        names = tab.evaluate("window.explorer.trials.axes.map(a => a.name)")
        k = names.index("forcing/interval")
        tab.evaluate(
            "async ([k]) => { const p = window.explorer.parallel.chart;"
            " await Plotly.restyle(p, `dimensions[${k}].constraintrange`, [[Math.log10(70), Math.log10(250)]], [0]); }",
            [k],
        )
        tab.wait_for_function("document.querySelector('.status').textContent.startsWith('18 of 42')")
        assert "forcing/interval brushed" in tab.inner_text(".filters summary")
        sent = tab.evaluate("location.href")
    with opened(browser, sent) as tab:
        assert tab.inner_text(".status").startswith("18 of 42")


def test_on_a_dark_page_figures_are_dark_and_their_text_is_light(browser, tmp_path):
    path = report.write(made_up.table(), tmp_path / "atlas.html").path
    with opened(browser, path.as_uri()) as tab:
        tab.emulate_media(color_scheme="dark")
        tab.locator(".chart:has(.plot-container)").first.wait_for()
        tab.wait_for_function("document.querySelector('.chart').layout.paper_bgcolor === '#16181c'")
        tab.emulate_media(color_scheme="light")
        tab.wait_for_function("document.querySelector('.chart').layout.paper_bgcolor === 'white'")


def test_inside_another_page_without_an_address_of_its_own_it_works_as_well(browser, tmp_path):
    """As MLflow shows an artifact: in a sandbox, where links to anchors would lead out."""
    inner = report.write(made_up.table(), tmp_path / "atlas.html").path.read_text("utf-8")
    path = tmp_path / "outer.html"
    frame = f'<iframe sandbox="allow-scripts" style="width: 1000px; height: 700px" srcdoc="{html.escape(inner)}">'
    path.write_text(f"<script>window.explorer = 1</script>{frame}</iframe>", "utf-8")
    with opened(browser, path.as_uri()) as tab:
        within = tab.frame_locator("iframe")
        within.locator("select[name=worth]").select_option("best")
        assert within.locator(".status").inner_text() == "42 of 42 trials."
        within.locator(".contents a", has_text="Data").click()
        within.locator('.contents a[aria-current="true"]', has_text="Data").wait_for()


def test_a_browser_that_cannot_unpack_says_so_and_shows_the_words(browser, tmp_path):
    path = report.write(made_up.table(), tmp_path / "atlas.html").path
    with opened(browser, path.as_uri(), script="delete window.DecompressionStream") as tab:
        said = tab.locator(".note", has_text="needs a newer browser")
        assert said.count() == 10  # nine figures and the map
        assert "shallow_plrnn units=20 interval=80" in tab.inner_text(".verdict")


def test_a_page_of_4096_trials_is_light_and_its_words_come_first(browser, tmp_path, monkeypatch):
    monkeypatch.setattr(view, "MIN_TRIALS", 10**6)  # predictions from spectra take minutes, and few bytes
    monkeypatch.setattr(correlation, "find", partial(correlation.find, resamples=50))
    table = made_up_map.table(64, exponents=64)
    truth = made_up_evidence.lorenz(2000, (1.0, 1.0, 20.0))
    rng = np.random.default_rng(0)
    several = [{"truth": truth, "generated": truth + 0.1 * rng.standard_normal(truth.shape)} for _ in range(64)]
    table.traces[:] = [several[i % 64] for i in range(len(table))]
    path = report.write(table, tmp_path / "atlas.html").path
    assert path.stat().st_size < 5e6 - 2e5  # what was left out weighs less
    held = json.loads(compression.blocks(path.read_text("utf-8"), "orbits")[0])
    assert held["has_orbit"].count("1") == 4096 > len(held["orbits"]) > 300
    with opened(browser, path.as_uri()) as tab:
        paint = tab.evaluate("performance.getEntriesByName('first-contentful-paint')[0].startTime")
        assert paint < 6000  # 0.3 s on a quiet machine
        assert values(tab).shape == (64, 64)
        scroll_through(tab)
        assert tab.locator(".chart:has(.plot-container)").count() == tab.locator(".chart").count()
        rows = tab.locator("#all-trials tbody tr")
        assert rows.count() == 4096
        tab.locator("#all-trials thead th", has_text=GAIN).click()
        assert json.loads(rows.nth(0).locator("td").nth(2).get_attribute("data-v")) == 0.1
