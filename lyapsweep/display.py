"""How objects are shown in a notebook: short tables of HTML."""

import html
from collections.abc import Iterable, Sequence
from typing import Any

ROWS = 40  # of a table that is shown


def html_table(title: str, rows: Iterable[Sequence[object]], columns: Sequence[str] = ()) -> str:
    """Return a table as HTML; text is escaped, and long tables are cut.

    Example:
        >>> html_table("a < b", [("loss", 0.5)])
        '<p>a &lt; b</p><table><tr><td>loss</td><td>0.5</td></tr></table>'
    """
    rows = list(rows)
    head = f"<tr>{''.join(f'<th>{escaped(name)}</th>' for name in columns)}</tr>" if columns else ""
    body = "".join(f"<tr>{''.join(f'<td>{escaped(cell)}</td>' for cell in row)}</tr>" for row in rows[:ROWS])
    more = f"<p>and {len(rows) - ROWS} more</p>" if len(rows) > ROWS else ""
    return f"<p>{escaped(title)}</p><table>{head}{body}</table>{more}"


def html_frame(title: str, frame: Any) -> str:
    """Return a frame of pandas as HTML."""
    rows = [[number(cell) for cell in row] for row in frame.itertuples(index=False)]
    return html_table(title, rows, list(frame.columns))


def escaped(text: object) -> str:
    return html.escape(str(text), quote=False)


def number(value: object) -> str:
    """Return a number with four significant digits, and anything else as text.

    Example:
        >>> number(0.123456), number("gru")
        ('0.1235', 'gru')
    """
    return f"{value:.4g}" if isinstance(value, float) else str(value)
