"""The numbers of the page as data: complete, as documented, and those that the page shows."""

import html
import json
import re
from dataclasses import replace
from pathlib import Path

import made_up
import numpy as np
import pandas as pd
import pytest

from lyapsweep.atlas import report
from lyapsweep.atlas.findings import findings
from lyapsweep.atlas.view import AtlasView
from lyapsweep.results.description import SweepDescription
from lyapsweep.results.table import Table

ROOT = Path(__file__).resolve().parents[1]


@pytest.fixture(scope="module")
def pair(tmp_path_factory):
    """A page and the JSON written with it."""
    folder = tmp_path_factory.mktemp("findings")
    page = report.write(made_up.table(), folder / "atlas.html", findings=folder / "findings.json")
    text = re.sub(r"<script.*?</script>", "", page.path.read_text("utf-8"), flags=re.DOTALL)
    return html.unescape(re.sub(r"<[^>]+>", "", text)), json.loads((folder / "findings.json").read_text("utf-8"))


def scrambled(seed: int = 0) -> Table:
    """The made-up sweep with the scores of its settings permuted between them: nothing matters."""
    table = made_up.table()
    rng, frame = np.random.default_rng(seed), table.frame
    settings = frame[["cell/kind", "forcing/interval"]].drop_duplicates().reset_index(drop=True)
    level = dict(zip(settings.itertuples(index=False, name=None), np.exp(rng.permutation(len(settings)) / 7)))
    scores = [level[pair] * np.exp(0.1 * rng.normal()) for pair in zip(frame["cell/kind"], frame["forcing/interval"])]
    return replace(table, frame=frame.assign(outcome="finished", **{"measures/state_space": scores}))


def test_the_json_has_the_documented_keys(pair):
    _, found = pair
    documented = set(re.findall(r"^\| `(\w+)`", (ROOT / "docs" / "findings.md").read_text(), re.MULTILINE))
    documented |= {"experiment", "question", "intent", "trials", "outcomes"}
    (source,) = found["sources"].values()
    assert documented == set(found) | set(source) | set(source["absent"])


def test_numbers_of_the_json_are_those_of_the_page(pair):
    said, found = pair
    (source,) = found["sources"].values()
    verdict = source["verdict"]
    assert all(
        sentence.replace("λ_max", "λmax").replace("D_stsp", "Dstsp") in said for sentence in verdict["sentences"]
    )
    assert (verdict["name"], len(verdict["trials"])) == ("shallow_plrnn units=20 interval=80", 2)
    assert verdict["low"] <= verdict["median"] <= verdict["high"]
    for name, keys in (("correlations", "rho low high p q n settings"), ("importance", "importance low high p count")):
        assert set(keys.split()) <= set(source[name])
    assert source["importance"]["count"] == {"settings": 21, "runs": 41, "sources": 1}  # one failed and has no spectrum


def test_a_planted_setting_is_found_on_the_page_and_none_where_there_is_none(pair):
    planted, found = pair
    (source,) = found["sources"].values()
    p = dict(zip(source["importance"]["names"], source["importance"]["p"]))
    assert p["forcing/interval"] <= 0.05
    assert re.search(r"of the settings, .*forcing/interval 0\.\d+ \[", planted.replace("\u200b", ""))
    nothing = report.render_page(AtlasView(scrambled()))
    assert "of the settings, none is significant" in html.unescape(re.sub(r"<[^>]+>", "", nothing))


def test_what_is_missing_is_named_with_its_reason(pair):
    (source,) = pair[1]["sources"].values()
    assert source["absent"]["incremental"].startswith("Fewer than 100 trials")
    hunt = findings(made_up.table(intent="hunt")).to_json()["sources"][""]
    assert "biased toward success" in hunt["absent"]["correlations"]
    assert "verdict" in hunt


def test_findings_of_several_data_sets_are_apart():
    table = made_up.table()
    second = table.frame.assign(trial="b" + table.frame["trial"], **{"dataset/system": "rossler"})
    both = Table(
        pd.concat([table.frame, second], ignore_index=True),
        description=SweepDescription(objective="state_space"),
    )
    assert {name: part["verdict"].name for name, part in findings(both).sources.items()}.keys() == {
        "lorenz63",
        "rossler",
    }
