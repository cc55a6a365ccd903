"""The section on the search of a hunt."""

from markupsafe import Markup

from lyapsweep.analysis.settings import search_history
from lyapsweep.atlas import analyses
from lyapsweep.atlas.rendering import render
from lyapsweep.atlas.view import AtlasView


def search(view: AtlasView) -> str:
    """The trials of a hunt in the order of the search, their rungs, and the Pareto front; "" for a map."""
    found = analyses.search(view)
    if found is None:
        return ""
    order = "The objective of every trial in the order in which the sampler drew it, and the best so far."
    figures = [(search_history.sentence(found), search_history.draw(found), order)]
    if found.rungs:
        curves = "The objective over the updates of every trial; those that were stopped are grey."
        figures.append(("", search_history.draw_rungs(found), curves))
    if found.second:
        figures.append(("", search_history.draw_front(found), "The second objective against the first."))
    parts = [
        render("finding", sentence=text, fig=fig, caption=caption, min_width="0") for text, fig, caption in figures
    ]
    return Markup().join(parts)
