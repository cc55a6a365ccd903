"""The map explorer driven as a reader drives it: in a headless Chromium that is refused every request but the page."""

import shutil
from contextlib import contextmanager
from dataclasses import replace

import made_up_map
import numpy as np
import pytest

from lyapsweep.atlas import explorer, report
from lyapsweep.atlas.sections import Question, Section
from lyapsweep.atlas.view import AtlasView
from lyapsweep.results.table import RunLinks

playwright = pytest.importorskip("playwright.sync_api", reason="Playwright drives the browser (the dev extra).")
CHROMIUM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
NEEDED = pytest.mark.skipif(CHROMIUM is None, reason="No Chromium or Chrome is installed.")
SIDE = 8
GAIN, RATE = "init/gain", "training/lr"
RUNS = "http://127.0.0.1:5000"


@pytest.fixture(scope="module")
def browser():
    with playwright.sync_playwright() as p:
        chromium = p.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        yield chromium
        chromium.close()


@pytest.fixture(scope="module")
def table():
    made = made_up_map.table(SIDE)
    return replace(made, links=RunLinks({t: f"{RUNS}/#/experiments/1/runs/{t}" for t in made.frame["trial"]}))


@pytest.fixture(scope="module")
def address(table, tmp_path_factory):
    return written(table, tmp_path_factory.mktemp("map"))


def written(table, folder):
    """Write a page with only the map of a table or a view; return its address."""
    view = table if isinstance(table, AtlasView) else AtlasView(table)
    path = folder / "map.html"
    path.write_text(report.page("map", "", [Question("", "", [Section("The map", explorer.section(view))])]), "utf-8")
    return path.as_uri()


@contextmanager
def opened(browser, address, width=1100, script=None):
    """A tab with the page; at its end nothing may have been complained of, asked for or said in a dialog."""
    context = browser.new_context(viewport={"width": width, "height": 900})
    trouble = []
    context.on("console", lambda m: trouble.append(m.text) if m.type == "error" else None)
    context.on("weberror", lambda e: trouble.append(str(e.error)))
    context.on("dialog", lambda d: (trouble.append(d.message), d.dismiss()))
    context.on("request", lambda r: trouble.append(r.url) if not r.url.startswith(("file:", "data:", RUNS)) else None)
    context.route(f"{RUNS}/**", lambda route: route.fulfill(body="<title>a run</title>", content_type="text/html"))
    tab = context.new_page()
    if script:
        tab.add_init_script(script)
    tab.goto(address)
    tab.wait_for_function("window.explorer || typeof DecompressionStream === 'undefined'")
    yield tab
    context.close()
    assert trouble == []


def cells(tab, panel=0):
    """What the page makes of a panel's places: a row a value of y."""
    picked = "({value, state, lost, rows}) => ({value, state, lost, n: rows.length})"
    return tab.evaluate(f"explorer.mapped.panels[{panel}].cells.map(row => row.map({picked}))")


def values(tab, panel=0):
    return np.array([[c["value"] if c["state"] == "value" else np.nan for c in row] for row in cells(tab, panel)])


def place(tab, i, j, panel=0):
    """Where column i, row j of a panel lies on the screen."""
    tab.locator(".explorer .panels").scroll_into_view_if_needed()
    return tab.evaluate(
        f"""() => {{ const p = explorer.drawn[{panel}], b = p.box({i}, {j}), s = p.svg.getBoundingClientRect();
        return [s.left + b.x + b.width / 2, s.top + b.y + b.height / 2]; }}"""
    )


def trial_at(table, i, j):
    gains, rates = made_up_map.axes(SIDE)
    frame = table.finals.frame
    return frame[(frame[GAIN] == gains[i]) & (frame[RATE] == rates[j])].iloc[0]


def scroll_through(tab):
    """Open what is folded and go down to the end, as fast as figures are drawn."""
    if tab.locator("details:not([open]) > summary > h2").count():
        tab.click(".unfold")
    for chart in tab.locator(".chart").all():
        chart.scroll_into_view_if_needed()
        chart.locator(".plot-container").first.wait_for(timeout=60_000)
    tab.evaluate("scrollTo(0, document.body.scrollHeight)")
    tab.wait_for_function("!document.querySelector('script[data-kind=rows]')")
