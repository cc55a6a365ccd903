"""HTML by hand: the pieces that a page is made of. Everything that comes from outside passes through `text`."""

import html
from collections.abc import Sequence
from string import Template

import plotly.graph_objects as go
from plotly.offline import get_plotlyjs

from lyapsweep.analysis.finding import digits
from lyapsweep.analysis.ink import subscripts

STYLE = """
:root { --ink: #1c1c1c; --soft: #5c5c5c; --rule: #d9d9d9; --accent: #0072B2; }
* { box-sizing: border-box; }
sub { line-height: 0; }
body { margin: 0; background: #fff; color: var(--ink); font: 17px/1.55 Charter, "Bitstream Charter", "Iowan Old Style",
  "Palatino Linotype", Georgia, serif; -webkit-text-size-adjust: 100%; }
main { max-width: 62rem; margin: 0 auto; padding: 2.5rem 1.5rem 4rem; }
h1 { font-size: 2rem; line-height: 1.2; margin: 0 0 .4rem; overflow-wrap: anywhere; }
h2 { font-size: 1.25rem; margin: 2.6rem 0 .6rem; padding-top: .9rem; border-top: 1px solid var(--rule); }
p { max-width: 44rem; margin: .5rem 0; overflow-wrap: break-word; }
.kicker, figcaption, table, .facts { font-family: system-ui, -apple-system, "Segoe UI", Helvetica, Arial, sans-serif; }
.kicker { color: var(--soft); font-size: .85rem; }
.question { font-size: 1.1rem; }
.verdict { border-left: 3px solid var(--accent); padding: .1rem 0 .1rem 1rem; margin: 1.2rem 0; }
.verdict p:first-child { font-size: 1.15rem; }
.verdict li { max-width: 43rem; }
.note { color: var(--soft); font-style: italic; }
figure { margin: 1rem 0 1.4rem; overflow: hidden; }
figcaption { color: var(--soft); font-size: .82rem; line-height: 1.45; max-width: 48rem; margin-top: .4rem; }
figure .scroll { margin: 0; overflow-y: hidden; }
.pair { display: grid; grid-template-columns: 1fr 1fr; gap: 1rem; }
.pair > div { min-width: 0; }
.pair h3 { font-size: .95rem; margin: 0; text-align: center; font-weight: normal; }
.scroll { overflow-x: auto; margin: .8rem 0; }
table { border-collapse: collapse; font-size: .82rem; font-variant-numeric: tabular-nums; }
th, td { padding: .28rem .8rem .28rem 0; text-align: left; white-space: nowrap; vertical-align: top; }
td.long { white-space: normal; min-width: 14rem; overflow-wrap: anywhere; }
td.n, th.n { text-align: right; }
thead th { border-top: 1.5px solid #333; border-bottom: 1px solid #333; font-weight: 600; }
tbody tr:last-child td { border-bottom: 1.5px solid #333; }
table.sortable thead th { white-space: normal; vertical-align: bottom; cursor: pointer; user-select: none; }
table.sortable thead th[aria-sort]::after { content: " \\25B2"; font-size: .7em; color: var(--accent); }
table.sortable thead th[aria-sort="descending"]::after { content: " \\25BC"; }
tr.best td { font-weight: 600; }
.tall { max-height: 34rem; overflow: auto; }
.tall thead th { position: sticky; top: 0; background: #fff; }
pre { background: #f6f6f6; padding: .7rem .9rem; overflow-x: auto; font-size: .85rem; }
@media (max-width: 600px) { .pair { grid-template-columns: 1fr; } body { font-size: 16px; }
  main { padding: 1.4rem .9rem 3rem; } h1 { font-size: 1.5rem; }
  .verdict { padding-left: .7rem; } .verdict ul { padding-left: 1.1rem; } }
@media print { .tall { max-height: none; } }
"""

SCRIPT = """
function sortRows(table, column, down) {
  const value = row => row.cells[column].dataset.v;
  const key = v => (v === "" || v === undefined) ? null : (isNaN(v) ? v : Number(v));
  const rows = [...table.tBodies[0].rows];
  rows.sort((p, q) => {
    const a = key(value(p)), b = key(value(q));
    if (a === null || b === null) return (a === null) - (b === null);
    const order = typeof a === "number" && typeof b === "number" ? a - b : String(a).localeCompare(String(b));
    return down ? -order : order;
  });
  rows.forEach(row => table.tBodies[0].append(row));
}
document.querySelectorAll("table.sortable thead th").forEach((head, column) => {
  const sort = () => {
    const down = head.getAttribute("aria-sort") === "ascending";
    head.parentNode.querySelectorAll("th").forEach(other => other.removeAttribute("aria-sort"));
    head.setAttribute("aria-sort", down ? "descending" : "ascending");
    sortRows(head.closest("table"), head.cellIndex, down);
  };
  head.tabIndex = 0;
  head.addEventListener("click", sort);
  head.addEventListener("keydown", event => { if (event.key === "Enter") sort(); });
});
"""

PAGE = Template("""<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<link rel="icon" href="data:,">
<title>$title</title>
<style>$style</style>
<script>$plotly</script>
</head>
<body>
<main>
$body
</main>
<script>$script</script>
</body>
</html>
""")


def page(title: str, body: str) -> str:
    """The whole document, plotly.js inside: it asks the network for nothing."""
    return PAGE.substitute(title=text(title), style=STYLE, plotly=get_plotlyjs(), body=body, script=SCRIPT)


def text(value: object) -> str:
    return html.escape(str(value))


def prose(value: object) -> str:
    """Text to be read: our own symbols with their subscripts, and paths that may break after a slash."""
    return subscripts(text(value).replace("/", "/<wbr>"))


def section(title: str, *parts: str) -> str:
    return f"<section>\n<h2>{prose(title)}</h2>\n" + "\n".join(parts) + "\n</section>"


def paragraphs(words: str) -> str:
    """Blank lines part paragraphs, as in a docstring."""
    parts = [" ".join(p.split()) for p in words.strip().split("\n\n")]
    return "\n".join(f"<p>{prose(p)}</p>" for p in parts if p)


def note(words: object) -> str:
    return f'<p class="note">{prose(words)}</p>'


def chart(fig: go.Figure) -> str:
    """A figure as a block that follows the width of the page."""
    settings = {"responsive": True, "displaylogo": False, "displayModeBar": False}
    return fig.to_html(full_html=False, include_plotlyjs=False, config=settings, default_width="100%")


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
    body = "\n".join(
        f"<tr{' class=best' if i == best else ''}>{''.join(map(cell, row))}</tr>" for i, row in enumerate(rows)
    )
    kind, wrap = (' class="sortable"', "scroll tall") if sortable else ("", "scroll")
    return f'<div class="{wrap}"><table{kind}><thead><tr>{head}</tr></thead>\n<tbody>{body}</tbody></table></div>'


def right(value: object) -> str:
    """A head stands right where its column holds numbers or gaps."""
    number = value is None or (isinstance(value, int | float) and not isinstance(value, bool))
    return ' class="n"' if number else ""
