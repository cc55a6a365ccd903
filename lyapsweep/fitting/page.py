"""The report of a fit as one HTML page."""

from pathlib import Path

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup
from plotly.offline import get_plotlyjs

from lyapsweep.analysis.networks import orbit
from lyapsweep.analysis.shared.selection import TooFew
from lyapsweep.fitting import figures, report
from lyapsweep.fitting.result import PAGE, FitResult
from lyapsweep.fitting.sentences import analysis_sentences
from lyapsweep.results.experiment import atomic_write
from lyapsweep.results.table import Table


def write(found: FitResult) -> Path:
    """Write the page to the results folder; it needs nothing but a browser.

    Args:
        found: The fit.

    Returns:
        The page.
    """
    environment = Environment(loader=PackageLoader("lyapsweep.fitting"), autoescape=True, undefined=StrictUndefined)
    drawn = {
        "A forecast of the test part": figures.forecast(found),
        "How errors grow": figures.errors(found),
        "Exponents": figures.exponents(found),
        **attractors(found),
    }
    text = environment.get_template("fit.html.j2").render(
        name=found.place.name,
        headline=report.headline(found),
        reliability=found.reliability,
        analysis=analysis_sentences(found.analysis),
        tables=report.tables(found),
        figures={title: Markup(fig.to_html(full_html=False, include_plotlyjs=False)) for title, fig in drawn.items()},
        commands=report.next_commands(found),
        files=found.files,
        plotly=Markup(get_plotlyjs()),
        minutes=found.seconds / 60,
        searched=found.searched,
    )
    path = found.place.folder / PAGE
    with atomic_write(path) as file:
        file.write(text.encode(errors="replace"))
    return path


def attractors(found: FitResult) -> "dict[str, orbit.go.Figure]":
    """The true and the generated orbit of the model; nothing where the record holds none."""
    try:
        shown = orbit.find(Table.of([found.model]), found.model.trial)
    except TooFew:
        return {}
    return {"Orbit of the data": orbit.draw(shown, "truth"), "Orbit of the network": orbit.draw(shown, "generated")}
