"""Templates: what users write is shown and never run, tables keep exact values, large parts are compressed."""

import html
import re
from dataclasses import replace

import made_up
import numpy as np
import plotly.graph_objects as go
import pytest
from markupsafe import escape

from lyapsweep.atlas import compression, report
from lyapsweep.atlas.rendering import environment, render
from lyapsweep.atlas.sections import finding
from lyapsweep.results.description import SweepDescription
from lyapsweep.results.table import RunLinks

EVIL = "</script><script>alert(1)</script><img src=x onerror=alert(2)>&\"'é{{ 7 * 7 }}"


def rendered(call, **values):
    """What a macro returns, `call` as a template writes it."""
    source = f'{{% import "macros.html.j2" as ui %}}{{{{ ui.{call} }}}}'
    return environment.from_string(source).render(values)


def cell(value):
    return rendered("cell(value)", value=value)


def test_numbers_in_tables_sort_by_value():
    assert cell(-0.00012345) == '<td class="n" data-v="-0.00012345">−0.000123</td>'
    assert cell(float("-inf")) == '<td class="n" data-v="-Infinity">−∞</td>'
    assert cell(float("nan")) == cell(None) == '<td class="n" data-v="">–</td>'
    assert cell("<b>") == '<td data-v="&lt;b&gt;">&lt;b&gt;</td>'
    assert cell(True) == '<td data-v="True">True</td>'
    assert cell("x" * 41).startswith('<td class="long" ')


def test_rows_of_long_tables_are_compressed_and_none_is_lost():
    rows = [(i, f"<{i}>") for i in range(203)]
    text = rendered("table(['a', 'b'], rows, sortable=true, best=rows[1])", rows=rows)
    (more,) = compression.blocks(text, "rows")
    assert text.count("<td class") == 200
    assert re.findall(r"&lt;(\d+)&gt;</td>", text + more) == [str(i) for i in range(203)]
    assert re.findall(r'<tr class="best"><td class="n" data-v="([^"]*)"', text) == ["1.0"]
    assert re.findall('<th( class="n")?(?!ead)[^>]*>', text) == [' class="n"', ""]


def test_a_figure_comes_back_in_single_precision_unless_it_does_not_fit():
    x, large = np.array([0.1, np.nan, -np.inf]), np.array([1e300, 0.1, 2.0])
    text = finding("", go.Figure(go.Heatmap(x=x, z=np.array([large]))), "")
    (fig,) = compression.figures(text)
    assert '"f4"' in compression.blocks(text, "figure")[0]
    np.testing.assert_array_equal(fig.data[0].x, x.astype(np.float32))
    np.testing.assert_array_equal(fig.data[0].z, [large])


def test_code_in_a_question_is_shown_as_code():
    text = "Ask `lyapsweep suggest`\nfirst.\n\n    lyapsweep sweep a/b.py --set x=<y>\n\nThen."
    shown = render("header", name="", trials="", mixed=[], description=SweepDescription(question=text))
    assert re.findall("<(?:p|pre)>.*?</(?:p|pre)>", shown) == [
        "<p>Ask <code>lyapsweep suggest</code> first.</p>",
        "<pre>lyapsweep sweep a/b.py --set x=&lt;y&gt;</pre>",
        "<p>Then.</p>",
    ]


def planted(place):
    """A table with hostile text in one place, and the text as it is to be read."""
    table = made_up.table()
    frame, description = table.frame.copy(), table.description
    if place in ("name", "question", "command", "mark"):
        return replace(table, description=replace(description, **{place: EVIL}))
    if place == "trial":
        frame["trial"] = frame["trial"].replace(frame["trial"][0], EVIL)
    elif place == "run link":
        return replace(table, links=RunLinks(dict.fromkeys(frame["trial"], EVIL), EVIL))
    elif place == "a new setting":
        frame[EVIL] = np.where(frame["seed"] == 0, EVIL, "other")
        description = replace(description, varied=("cell/kind", "forcing/interval", EVIL))
    else:
        frame[place] = frame[place].mask(frame["trial"] == frame["trial"][0], EVIL) if place in frame else EVIL
        if place in ("cell/kind", "dataset/system"):
            frame[place] = table.frame[place].where(frame["cell/kind"] != "lstm", EVIL)
            description = replace(description, varied=(*description.varied, place))
    return replace(table, frame=frame, description=description)


PLACES = (
    "name",
    "question",
    "command",
    "mark",
    "trial",
    "run link",
    "a new setting",
    "cell/kind",
    "dataset/system",
    "data/source",
    "provenance/error",
    "provenance/commit",
    "provenance/device",
    "provenance/versions",
)


@pytest.mark.parametrize("place", PLACES)
def test_what_users_write_is_shown_and_not_run(place, tmp_path):
    text = report.write(planted(place), tmp_path / "a.html").path.read_text("utf-8")
    body = text[text.index("<body>") :]
    plain = re.sub(r'<script type="application/gzip".*?</script>', "", body, flags=re.DOTALL)
    assert "<img" not in text
    assert "<script>alert" not in text
    assert not re.search(r"<[^>]*onerror[^>]*>", re.sub(r'"[^"]*"', '""', plain))
    packed = [block for kind in ("figure", "rows") for block in compression.blocks(text, kind)]
    assert not any("<img" in block or "<script" in block for block in packed)
    unpacked = "".join(block for kind in ("trials", "orbits") for block in compression.blocks(text, kind))
    shown = html.unescape(re.sub("<[^>]+>", "", plain)) + unpacked
    assert "{{ 7 * 7 }}" in shown
    assert "alert(2)" in shown
    if place != "run link":  # which only the card shows
        assert str(escape(EVIL)).replace("/", "/<wbr>") in plain or str(escape(EVIL)) in plain
