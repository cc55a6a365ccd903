"""What sections are made of: content that is rendered for each data set, of a sample, or replaced by a reason."""

from collections.abc import Callable
from functools import wraps
from typing import Any

from markupsafe import Markup

from lyapsweep.atlas import analyses
from lyapsweep.atlas.rendering import render
from lyapsweep.atlas.view import AtlasView

Content = Callable[[AtlasView], str]


def rendered(content: Content, view: AtlasView) -> str:
    """Render a section, or a note with the reason why it cannot be drawn; no error ends the page."""
    try:
        return content(view)
    except analyses.UNAVAILABLE as reason:
        return render("note", text=reason)
    except Exception as error:
        return render("undrawn", reason=view.errors.add(error).reason)


def per_source(content: Content) -> Content:
    """Render a section for each data set on its own: scores on different data do not compare."""

    @wraps(content)
    def section(view: AtlasView) -> Markup:
        return render("per_source", parts=[(name, rendered(content, part)) for name, part in view.sources.items()])

    return section


def sampled(content: Content) -> Content:
    """Render a section, and a note where it is of a sample of the trials."""

    @wraps(content)
    def section(view: AtlasView) -> str:
        said = content(view)
        if view.sample is view or not said:
            return said
        note = f"Computed from {len(view.sample.finals)} of {len(view.finals)} trials, settings sampled by their keys."
        return render("note", text=note) + said

    return section


def described(analysis: Any, found: Any, **values: object) -> Markup:
    """Render the sentence, figure and caption of an analysis; the figure's title, which repeats the sentence, goes."""
    fig, name = analysis.draw(found), analysis.__name__.rpartition(".")[2]
    if fig.layout.title.text:
        fig.update_layout(title=None, margin={"t": max(30, fig.layout.margin.t - 45)})
    sentence, percent = analysis.sentence(found), f"{100 * analyses.AT:g}"
    return render(f"prediction/{name}", sentence=sentence, fig=fig, found=found, percent=percent, **values)


def finding(sentence: str, fig: object, caption: str, min_width: str = "0") -> Markup:
    """A sentence, and the figure that shows it."""
    return render("finding", sentence=sentence, fig=fig, caption=caption, min_width=min_width)
