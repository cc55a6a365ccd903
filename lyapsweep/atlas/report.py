"""Write a sweep as one page of HTML that needs nothing but a browser."""

import os
from pathlib import Path

from lyapsweep.atlas import explorer, markup
from lyapsweep.atlas.navigation import under_questions
from lyapsweep.atlas.sections import sections
from lyapsweep.atlas.view import AtlasView
from lyapsweep.results.table import Table


def write(table: Table, path: Path | str) -> Path:
    """Write the page, whole or not at all, and return where it is. Its folder is made where there is none."""
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_name(f"{path.name}.{os.getpid()}.part")
    try:
        part.write_text(render(table), encoding="utf-8")
        part.replace(path)
    finally:
        part.unlink(missing_ok=True)
    return path


def render(table: Table) -> str:
    """The page as text."""
    name = table.description.name or "Sweep"
    if not len(table):
        return markup.page(name, markup.section(name, markup.note("There are no records yet.")))
    contents, body = under_questions(sections(AtlasView(table)))
    return markup.page(name, body, contents, explorer.SCRIPTS)
