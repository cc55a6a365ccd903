"""Write a sweep as one HTML page that needs nothing but a browser."""

import os
from collections.abc import Sequence
from pathlib import Path

from markupsafe import Markup
from plotly.offline import get_plotlyjs

from lyapsweep.analysis.networks import best_trial_fixed_points
from lyapsweep.atlas.explorer import SCRIPTS
from lyapsweep.atlas.rendering import render
from lyapsweep.atlas.sections import Question, Section, header, questions
from lyapsweep.atlas.view import AtlasView
from lyapsweep.results.experiment import ExperimentPaths, atomic_write
from lyapsweep.results.table import Table


def write(table: Table, path: Path | str, folder: Path | str | None = None, trials: Sequence[str] = ()) -> Path:
    """Write a sweep as one HTML page, whole or not at all.

    Args:
        table: The records of the sweep, as `Table.read` returns them.
        path: The page; its folder is created if it is missing.
        folder: The results folder. With it, fixed points are searched in the best network of each cell (seconds per
            network), and the page gives commands that name the folder's records.
        trials: Keys of trials whose orbits and fixed points are on the page whatever their size.

    Returns:
        The path of the page.

    Raises:
        UnknownName: If `trials` has a key that the table lacks.

    Example:
        >>> from tempfile import TemporaryDirectory
        >>> with TemporaryDirectory() as folder:
        ...     page = write(Table.of([]), f"{folder}/atlas.html")
        ...     "There are no records yet." in page.read_text("utf-8")
        True
    """
    path = Path(path)
    page = render_page(prepared(table, folder, trials))
    path.parent.mkdir(parents=True, exist_ok=True)
    with atomic_write(path) as file:
        file.write(page.encode())
    return path


def prepared(table: Table, folder: Path | str | None, trials: Sequence[str]) -> AtlasView:
    """Search fixed points if the results folder is known, and name the folder as commands do."""
    if folder is None:
        return AtlasView(table, trials=tuple(trials))
    return AtlasView(table, command_path(Path(folder)), tuple(trials), best_trial_fixed_points.find(table, trials))


def command_path(folder: Path) -> str:
    """Return a results folder relative to the working directory if it is below that; "" if it has no records."""
    if not ExperimentPaths(folder).records.is_dir():
        return ""
    inside = folder.resolve().is_relative_to(Path.cwd())
    return os.path.relpath(folder) if inside else str(folder.resolve())


def render_page(view: AtlasView) -> Markup:
    """Render the whole document, with plotly.js inside: it requests nothing from the network."""
    name = view.table.description.name or "Sweep"
    empty = [Question("", "", [Section(name, render("note", text="There are no records yet."))])]
    return page(
        title=name,
        header=header(view) if len(view.table) else "",
        questions=list(questions(view)) if len(view.table) else empty,
    )


def page(title: str, header: str, questions: Sequence[Question]) -> Markup:
    """Render a document of sections under their questions; plotly.js is inside where anything is drawn."""
    draws = any("data-kind" in section.content for question in questions for section in question.sections)
    plotly = get_plotlyjs() if draws else ""
    return render("page", title=title, header=header, questions=questions, plotly=plotly, scripts=SCRIPTS)
