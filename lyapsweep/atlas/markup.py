"""HTML by hand: the pieces that a page is made of. Everything that comes from outside passes through `text`."""

import html
import re
from collections.abc import Sequence
from importlib.resources import files
from string import Template
from textwrap import dedent

import plotly.graph_objects as go
from plotly.offline import get_plotlyjs

from lyapsweep.analysis.shared.selection import digits
from lyapsweep.analysis.shared.theme import subscripts
from lyapsweep.atlas import compression

MOST_ROWS = 200  # of a table as plain HTML; the rest is packed
OLD = (
    "This page needs a newer browser (Chrome or Edge 80, Firefox 113, Safari 16.4) with JavaScript to draw its figures."
)
PAGE = Template("""<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<link rel="icon" href="data:,">
<title>$title</title>
<style>$style</style>
</head>
<body>
$contents
<main>
<noscript><p class="note">$old</p></noscript>
$body
</main>
$plotly
$script
</body>
</html>
""")


def page(title: str, body: str, contents: str = "", scripts: Sequence[str] = ()) -> str:
    """The whole document, plotly.js inside: it asks the network for nothing.

    What is read comes first and what draws it last, so that a browser shows the words before it unpacks a figure.
    """
    return PAGE.substitute(
        title=text(title),
        style="\n".join(web(name) for name in ("page.css", "explorer.css")),
        contents=contents,
        old=OLD,
        body=body,
        plotly=compression.block("plotly", get_plotlyjs()) if "data-kind" in body else "",
        script="\n".join(f"<script>{web(name)}</script>" for name in ("page.js", *scripts)),
    )


def web(name: str) -> str:
    """A style sheet or a script of ours, which lies beside this module."""
    return files("lyapsweep.atlas").joinpath("web", name).read_text("utf-8")


def text(value: object) -> str:
    return html.escape(str(value))


def prose(value: object) -> str:
    """Text to be read: our own symbols with their subscripts, and paths that may break after a slash."""
    return subscripts(text(value).replace("/", "/<wbr>"))


def section(title: str, *parts: str) -> str:
    return f'<section id="{slug(title)}">\n<h2>{prose(title)}</h2>\n' + "\n".join(parts) + "\n</section>"


def slug(title: str) -> str:
    """A title as an anchor."""
    return re.sub(r"\W+", "-", title.lower()).strip("-")


def paragraphs(words: str) -> str:
    """Blank lines part paragraphs, as in a docstring; what is indented is code, and what stands between backticks."""
    parts = [part.strip("\n") for part in words.split("\n\n") if part.strip()]
    return "\n".join(f"<pre>{text(dedent(p))}</pre>" if p.startswith("    ") else f"<p>{spoken(p)}</p>" for p in parts)


def spoken(paragraph: str) -> str:
    return re.sub("`([^`]+)`", r"<code>\1</code>", prose(" ".join(paragraph.split())))


def note(words: object) -> str:
    return f'<p class="note">{prose(words)}</p>'


def chart(fig: go.Figure) -> str:
    """A figure as a block that follows the width of the page and is drawn when it comes into view."""
    height = fig.layout.height or 450  # type: ignore[union-attr]
    return (
        f'<div class="chart" style="height: {height:g}px">{compression.block("figure", compression.figure(fig))}</div>'
    )


def figure(fig: go.Figure, caption: str, least: str = "0") -> str:
    """A figure over its caption; one that needs `least` of width scrolls sideways on a narrower page."""
    inner = f'<div class="scroll"><div style="min-width: {least}">{chart(fig)}</div></div>'
    return f"<figure>\n{inner}\n<figcaption>{prose(caption)}</figcaption>\n</figure>"


def cell(value: object, kind: str = "td") -> str:
    """A table cell: numbers to three digits at the right, sorted by what they are and not by what they look like."""
    if value is None or (isinstance(value, float) and value != value):
        return f'<{kind} class="n" data-v="">–</{kind}>'
    if isinstance(value, int | float) and not isinstance(value, bool):
        exact = repr(float(value)).replace("inf", "Infinity")
        return f'<{kind} class="n" data-v="{exact}">{digits(value)}</{kind}>'
    long = ' class="long"' if len(str(value)) > 40 else ""
    return f'<{kind}{long} data-v="{text(value)}">{prose(value)}</{kind}>'


def table(
    heads: Sequence[str], rows: Sequence[Sequence[object]], sortable: bool = False, best: int | None = None
) -> str:
    """An HTML table; `best` is the row set in bold. Its heads are aligned as its first row is."""
    first = rows[0] if rows else [""] * len(heads)
    head = "".join(cell(h, "th").replace(" data-v", f"{right(v)} data-v") for h, v in zip(heads, first, strict=True))
    lines = [f"<tr{' class=best' if i == best else ''}>{''.join(map(cell, row))}</tr>" for i, row in enumerate(rows)]
    body, rest = "\n".join(lines[:MOST_ROWS]), "\n".join(lines[MOST_ROWS:])
    more = compression.block("rows", rest) if rest else ""
    kind, wrap = (' class="sortable"', "scroll tall") if sortable else ("", "scroll")
    return f'<div class="{wrap}"><table{kind}><thead><tr>{head}</tr></thead>\n<tbody>{body}</tbody></table>{more}</div>'


def right(value: object) -> str:
    """A head stands right where its column holds numbers or gaps."""
    number = value is None or (isinstance(value, int | float) and not isinstance(value, bool))
    return ' class="n"' if number else ""
