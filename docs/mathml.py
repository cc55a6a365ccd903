"""What mkdocs is told beside its configuration: mathematics without a network, and lists of every family's members.

Formulas become MathML, which browsers draw themselves, when the site is built: no script is fetched.
"""

import re

from latex2mathml.converter import convert

FENCED = re.compile(r"^```math\n(.*?)^```$", re.DOTALL | re.MULTILINE)
OUTSIDE = re.compile(r"\[([^\]]+)\]\(\.\./[^)]*\)")
CODE = re.compile(r"(^(?:```|~~~).*?^(?:```|~~~)$|`[^`\n]+(?:\n[^`\n]+)*`)", re.DOTALL | re.MULTILINE)
DISPLAY = re.compile(r"\$\$(.+?)\$\$", re.DOTALL)
INLINE = re.compile(r"(?<![\\$\w])\$(?!\s)([^$]+?)(?<!\s)\$(?![\w$])")


def on_page_markdown(markdown: str, page, config, files) -> str:
    """The page with its formulas as MathML; code stays as it is, and links to files beside docs/ become their names."""
    markdown = OUTSIDE.sub(r"\1", markdown)
    markdown = FENCED.sub(lambda found: block(found[1]), markdown)
    parts = CODE.split(markdown)  # text, code, text, code, ...
    return "".join(part if i % 2 else formulas(part) for i, part in enumerate(parts))


def formulas(text: str) -> str:
    text = DISPLAY.sub(lambda found: block(found[1]), text)
    return INLINE.sub(lambda found: f"<span>{one_line(convert(found[1]))}</span>", text)  # a block is no `span`


def block(latex: str) -> str:
    return f'\n<div class="formula">{one_line(convert(latex.strip(), display="block"))}</div>\n'


def one_line(mathml: str) -> str:
    """Markdown reads neither a line break nor a `*` in it."""
    return " ".join(mathml.split()).replace("*", "&#42;").replace("_", "&#95;")
