"""The card of a place: its trials, one of them in full, the ways to it and on from it."""

import shlex
from dataclasses import replace

import exploring
import made_up
import made_up_map
from exploring import GAIN, RATE, RUNS, SIDE, opened, place, trial_at, written

from lyapsweep.config import Config
from lyapsweep.config.parsing import parse_value
from lyapsweep.results.table import RunLinks

pytestmark = exploring.NEEDED
address, browser, table = exploring.address, exploring.browser, exploring.table


def test_hover_shows_a_place_click_keeps_it_and_the_address_holds_the_view(browser, address, table):
    here, there = trial_at(table, 4, 2), trial_at(table, 1, 1)
    with opened(browser, address) as tab:
        tab.mouse.move(*place(tab, 4, 2))
        card = tab.inner_text(".card")
        assert f"Trial {here.trial}, finished" in card
        assert f"{here['measures/loss']:.3g}" in card
        assert tab.locator(".card svg.spark polyline").count() == 2
        assert tab.locator(".card svg.spark line.truth").count() == 1
        tab.select_option("select[name=worth]", "best")
        tab.mouse.click(*place(tab, 4, 2))
        tab.mouse.move(*place(tab, 1, 1))
        assert here.trial in tab.inner_text(".card")
        sent = tab.evaluate("location.href")
    with opened(browser, sent) as tab:
        assert here.trial in tab.inner_text(".card.kept")
        assert tab.input_value("select[name=worth]") == "best"
        tab.click(".card .close")
        tab.mouse.move(*place(tab, 1, 1))
        assert there.trial in tab.inner_text(".card")


def test_a_lost_trial_is_shown_as_one(browser, address, table):
    lost = trial_at(table, SIDE - 1, SIDE - 1)
    with opened(browser, address) as tab:
        tab.mouse.move(*place(tab, SIDE - 1, SIDE - 1))
        assert f"Trial {lost.trial}, diverged" in tab.inner_text(".card")
        assert "half or more diverged" in tab.inner_text(".key")


def test_the_keyboard_goes_everywhere(browser, address, table):
    with opened(browser, address) as tab:
        tab.focus(".panels svg")
        for key in ("ArrowRight", "ArrowRight", "ArrowUp", "Enter"):  # the first goes to the corner
            tab.keyboard.press(key)
        assert trial_at(table, 1, 1).trial in tab.inner_text(".card.kept")
        tab.keyboard.press("Escape")
        assert tab.locator(".card.kept").count() == 0


def test_the_link_leads_to_the_run(browser, address, table):
    trial = trial_at(table, 4, 2).trial
    with opened(browser, address) as tab:
        tab.mouse.click(*place(tab, 4, 2))
        with tab.context.expect_page() as opening:
            tab.click(".card a.run")
        assert opening.value.url == f"{RUNS}/#/experiments/1/runs/{trial}"


def test_the_command_of_a_trial_makes_its_config(browser, address, table):
    gains, rates = made_up_map.axes(SIDE)
    with opened(browser, address) as tab:
        tab.mouse.click(*place(tab, 4, 2))
        words = shlex.split(tab.inner_text(".card .run-command"))
    assert words[:3] == ["lyapsweep", "run", "configs/border.yaml"]
    assert words[3::2] == ["--set", "--set"]
    changes = {path: parse_value(value) for path, value in (word.split("=", 1) for word in words[4::2])}
    assert changes == {GAIN: gains[4], RATE: rates[2]}
    assert Config.of(made_up_map.BASE).changed(changes).id == trial_at(table, 4, 2).trial


def test_what_users_write_is_text(browser, tmp_path):
    evil = "<img src=x onerror=alert(1)>"
    table = made_up.table()
    table.frame["cell/kind"] = table.frame["cell/kind"].replace("lstm", evil)
    table = replace(table, links=RunLinks(dict.fromkeys(table.frame["trial"], "javascript:alert(2)")))
    with opened(browser, written(table, tmp_path)) as tab:
        tab.mouse.click(*place(tab, 3, 0))
        assert evil in tab.inner_text(".card")
        assert tab.locator("img").count() == tab.locator(".card a").count() == 0
        tab.click(".filters summary")
        assert evil in tab.inner_text(".filters")


def test_a_narrow_screen_shows_it_all(browser, address):
    with opened(browser, address, width=400) as tab:
        assert tab.evaluate("document.documentElement.scrollWidth") <= 400
        tab.mouse.click(*place(tab, 4, 2))
        box = tab.locator(".card.kept").bounding_box()
        assert box["y"] + box["height"] <= 901
        assert tab.locator(".card .close").is_visible()
