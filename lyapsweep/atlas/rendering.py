"""Rendering of the page with Jinja2: the environment, its filters and tests.

Autoescaping is on for every template; only `prose` and `web` return markup of their own.
"""

import math
import re
from importlib.resources import files
from textwrap import dedent
from typing import NamedTuple

import pandas as pd
from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup, escape

from lyapsweep.analysis.shared.selection import digits
from lyapsweep.analysis.shared.theme import subscripts
from lyapsweep.atlas import compression


def render(template: str, **values: object) -> Markup:
    """Render `templates/<template>.html.j2` with these values."""
    return Markup(environment.get_template(f"{template}.html.j2").render(values).strip())


def web(name: str) -> Markup:
    """Return a style sheet or a script of the folder `web`."""
    return Markup(files("lyapsweep.atlas").joinpath("web", name).read_text("utf-8"))


def prose(text: object) -> Markup:
    """Escape text; add subscripts to D_stsp, D_H, D_KY and λ_max, and possible line breaks to paths."""
    return Markup(subscripts(str(escape(text)).replace("/", "/<wbr>")))


def slug(title: str) -> str:
    """Return a title as an anchor."""
    return re.sub(r"\W+", "-", title.lower()).strip("-")


def exact(number: float) -> str:
    """Return a number as JavaScript reads it back."""
    return repr(float(number)).replace("inf", "Infinity")


class Paragraph(NamedTuple):
    """A part of a docstring: an indented block of code, or text on one line."""

    text: str
    code: bool


def paragraphs(text: str) -> list[Paragraph]:
    """Split a docstring at its blank lines."""
    parts = [part.strip("\n") for part in text.split("\n\n") if part.strip()]
    return [
        Paragraph(dedent(part) if part.startswith("    ") else " ".join(part.split()), part.startswith("    "))
        for part in parts
    ]


def code_spans(text: str) -> list[str]:
    """Split text at its backticks: every second part is code."""
    return re.split("`([^`]+)`", text)


def is_missing(value: object) -> bool:
    """Return whether a table shows the value as a gap."""
    return value is None or value is pd.NA or value != value


def is_quantity(value: object) -> bool:
    """Return whether a value is a number, and neither a truth value nor text."""
    return isinstance(value, int | float) and not isinstance(value, bool)


environment = Environment(
    loader=PackageLoader("lyapsweep.atlas"),
    autoescape=True,
    undefined=StrictUndefined,
    trim_blocks=True,
    lstrip_blocks=True,
)
environment.globals["web"] = web
environment.filters |= {
    function.__name__: function
    for function in (prose, slug, exact, digits, paragraphs, code_spans, compression.packed, compression.figure_json)
}
environment.filters["compact_json"] = compression.compact_json
environment.tests |= {"missing": is_missing, "quantity": is_quantity, "finite": math.isfinite}
