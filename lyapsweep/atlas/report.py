"""Write a sweep as one HTML page that needs nothing but a browser."""

import os
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from markupsafe import Markup
from plotly.offline import get_plotlyjs

from lyapsweep.analysis.networks import best_trial_fixed_points
from lyapsweep.atlas.errors import AtlasPage, undrawn
from lyapsweep.atlas.explorer import SCRIPTS
from lyapsweep.atlas.findings import Findings
from lyapsweep.atlas.rendering import render
from lyapsweep.atlas.sections import Question, Section, header, questions, section
from lyapsweep.atlas.view import AtlasView
from lyapsweep.registry import UnknownName
from lyapsweep.results.experiment import ExperimentPaths, atomic_write
from lyapsweep.results.table import Table


def write(
    table: Table,
    path: Path | str,
    folder: Path | str | None = None,
    trials: Sequence[str] = (),
    findings: Path | str | None = None,
) -> AtlasPage:
    """Write a sweep as one HTML page, whole or not at all.

    A section that raises an error is named on the page, its traceback is written to a log beside the page, and the
    other sections are drawn.

    Args:
        table: The records of the sweep, as `Table.read` returns them.
        path: The page; its folder is created if it is missing.
        folder: The results folder. With it, fixed points are searched in the best network of each cell (seconds per
            network), and the page gives commands that name the folder's records.
        trials: Keys of trials whose orbits and fixed points are on the page whatever their size.
        findings: A JSON file for the numbers of the page (`atlas.findings`); none by default.

    Returns:
        The page, and the sections that could not be drawn.

    Raises:
        UnknownName: If `trials` has a key that the table lacks.

    Example:
        >>> from tempfile import TemporaryDirectory
        >>> with TemporaryDirectory() as folder:
        ...     page = write(Table.of([]), f"{folder}/atlas.html")
        ...     "There are no records yet." in page.path.read_text("utf-8"), page.errors
        (True, ())
    """
    path, view = Path(path), prepared(table, folder, trials)
    document = render_page(view)
    path.parent.mkdir(parents=True, exist_ok=True)
    with atomic_write(path) as file:
        file.write(document.encode(errors="replace"))
    if findings is not None:
        Findings(view).save(findings)
    page = AtlasPage(path, tuple(view.errors.found))
    page.write_log()
    return page


def prepared(table: Table, folder: Path | str | None, trials: Sequence[str]) -> AtlasView:
    """Search fixed points if the results folder is known, and name the folder as commands do."""
    if folder is None:
        return AtlasView(table, trials=tuple(trials))
    view = AtlasView(table, command_path(Path(folder)), tuple(trials))
    try:
        return replace(view, fixed_points=best_trial_fixed_points.find(table, trials))
    except UnknownName:  # a requested trial
        raise
    except Exception as error:
        view.errors.add(error, "Fixed points")
        return view


def command_path(folder: Path) -> str:
    """Return a results folder relative to the working directory if it is below that; "" if it has no records."""
    if not ExperimentPaths(folder).records.is_dir():
        return ""
    inside = folder.resolve().is_relative_to(Path.cwd())
    return os.path.relpath(folder) if inside else str(folder.resolve())


def render_page(view: AtlasView) -> Markup:
    """Render the whole document, with plotly.js inside: it requests nothing from the network."""
    name = view.table.description.name or "Sweep"
    if not len(view.table):
        return page(
            name,
            "",
            [Question("", "", [Section(name, render("note", text="There are no records yet."))])],
        )
    asked, top = list(questions(view)), section("Header", header, view).content
    if errors := view.errors.found:
        names = ", ".join(dict.fromkeys(each.section for each in errors))
        top += render("note", text=f"{undrawn(errors)}: {names}. The traceback is in the log beside the page.")
    return page(name, top, asked)


def page(title: str, header: str, questions: Sequence[Question]) -> Markup:
    """Render a document of sections under their questions; plotly.js is inside where anything is drawn."""
    draws = any("data-kind" in section.content for question in questions for section in question.sections)
    plotly = get_plotlyjs() if draws else ""
    return render("page", title=title, header=header, questions=questions, plotly=plotly, scripts=SCRIPTS)
