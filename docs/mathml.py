"""MkDocs hook: convert formulas to MathML when the site is built, so that browsers render them without a script."""

import re

from latex2mathml.converter import convert

FENCED = re.compile(r"^```math\n(.*?)^```$", re.DOTALL | re.MULTILINE)
OUTSIDE = re.compile(r"\[([^\]]+)\]\(\.\./[^)]*\)")
CODE = re.compile(r"(^(?:```|~~~).*?^(?:```|~~~)$|`[^`\n]+(?:\n[^`\n]+)*`)", re.DOTALL | re.MULTILINE)
DISPLAY = re.compile(r"\$\$(.+?)\$\$", re.DOTALL)
INLINE = re.compile(r"(?<![\\$\w])\$(?!\s)([^$]+?)(?<!\s)\$(?![\w$])")


def on_page_markdown(markdown: str, page, config, files) -> str:
    """Return the page with formulas as MathML and links to files outside docs/ as plain text; code is unchanged."""
    markdown = OUTSIDE.sub(r"\1", markdown)
    markdown = FENCED.sub(lambda found: block(found[1]), markdown)
    parts = CODE.split(markdown)  # text, code, text, code, ...
    return "".join(part if i % 2 else formulas(part) for i, part in enumerate(parts))


def formulas(text: str) -> str:
    text = DISPLAY.sub(lambda found: block(found[1]), text)
    return INLINE.sub(lambda found: f"<span>{one_line(convert(found[1]))}</span>", text)


def block(latex: str) -> str:
    latex = latex.replace("{aligned}", "{split}")  # latex2mathml reads `split`; GitHub reads both
    return f'\n<div class="formula">{one_line(convert(latex.strip(), display="block"))}</div>\n'


def one_line(mathml: str) -> str:
    """Remove line breaks and escape characters that Markdown would interpret."""
    return " ".join(mathml.split()).replace("*", "&#42;").replace("_", "&#95;")
