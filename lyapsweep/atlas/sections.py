"""The sections of the page, grouped by question. A section is a function of the view that returns rendered HTML.

A section without enough data is replaced by a note with the reason, and one that returns "" is left out.
"""

from collections.abc import Callable, Iterator, Sequence
from functools import wraps
from typing import NamedTuple

import numpy as np
from markupsafe import Markup

from lyapsweep.analysis.networks import orbit
from lyapsweep.analysis.settings import box_counting, optimum, phase_plane, setting_curve
from lyapsweep.analysis.shared.selection import HuntTableError, TooFew, label
from lyapsweep.analysis.spectra import correlation, spectra_by_outcome, spectrum_beside_data, spectrum_history
from lyapsweep.atlas import appendix, explorer, verdict
from lyapsweep.atlas.rendering import render
from lyapsweep.atlas.search_section import search
from lyapsweep.atlas.view import AtlasView, is_numeric
from lyapsweep.registry import UnknownName
from lyapsweep.results.mixed_inputs import mixed_inputs

UNAVAILABLE = (TooFew, UnknownName, HuntTableError)  # what an analysis may raise in place of a finding
Content = Callable[[AtlasView], str]


class Section(NamedTuple):
    title: str
    content: str


class Question(NamedTuple):
    """A link of the navigation, and the sections that answer its question."""

    name: str
    text: str
    sections: list[Section]
    folded: bool = False


def questions(view: AtlasView) -> Iterator[Question]:
    """Render the questions that have any section."""
    for name, text, contents in (
        ("Result", "What came out?", RESULT),
        ("Settings", "How does it depend on the settings?", SETTINGS),
        ("Dynamics", "What do spectra and orbits look like?", DYNAMICS),
        ("Prediction", "What do spectra say of outcomes?", PREDICTION | early_prediction(view)),
        ("Data", "What is behind it?", DATA),
    ):
        sections = [section(title, content, view) for title, content in contents.items()]
        if shown := [section for section in sections if section.content]:
            yield Question(name, text, shown, folded=contents is not RESULT)


def section(title: str, content: Content, view: AtlasView) -> Section:
    """Render a section under its title."""
    view.errors.section = title
    return Section(title, rendered(content, view))


def rendered(content: Content, view: AtlasView) -> str:
    """Render a section, or a note with the reason why it cannot be drawn; no error ends the page."""
    try:
        return content(view)
    except UNAVAILABLE as reason:
        return render("note", text=reason)
    except Exception as error:
        return render("undrawn", reason=view.errors.add(error).reason)


def per_source(content: Content) -> Content:
    """Render a section for each data set on its own: scores on different data do not compare."""

    @wraps(content)
    def section(view: AtlasView) -> Markup:
        return render("per_source", parts=[(name, rendered(content, part)) for name, part in view.sources.items()])

    return section


def early_prediction(view: AtlasView) -> dict[str, Content]:
    """Sections about predictions from early spectra, if there are enough; imported only then."""
    try:
        if not view.has_early_spectra:
            return {}
        from lyapsweep.atlas.prediction_sections import SECTIONS, sampled
    except Exception as error:
        view.errors.add(error, "Prediction from early spectra")
        return {}

    return {title: per_source(sampled(content)) for title, content in SECTIONS.items()}


def header(view: AtlasView) -> Markup:
    """The title of the page, the number of trials, and the question of the sweep."""
    description, ended = view.table.description, len(view.finals)
    name = (description.name or "Sweep").replace("_", " ")
    trials = f"{ended} trials" if description.trials in (None, ended) else f"{ended} of {description.trials} trials"
    return render(
        "header",
        name=name[:1].upper() + name[1:],
        trials=trials,
        description=description,
        mixed=mixed_inputs(view.table.frame),
    )


@per_source
def result(view: AtlasView) -> Markup:
    """The verdict, the curve that decides it, and the orbit and spectrum of the best trial beside those of the data."""
    return render(
        "sections/result",
        verdict=verdict.section(view),
        curve=rendered(decisive_curve, view),
        spectrum=rendered(spectrum_beside, view),
        orbits=rendered(orbits, view),
    )


def decisive_curve(view: AtlasView) -> str:
    """The objective along the main axis; "" where nothing varies."""
    return curve_figures(view, view.axes[:1]) if view.axes else ""


def spectrum_beside(view: AtlasView) -> str:
    """The spectrum of the best trial beside that of the data; "" without one."""
    if view.map is None or view.best_trial is None:
        return ""
    found = spectrum_beside_data.find(view.table, view.best_trial, view.map)
    caption = f"The best trial's {view.map} exponents with 95 % intervals" + (
        ", beside those of the data." if found.truth.size else "."
    )
    return finding(spectrum_beside_data.sentence(found), spectrum_beside_data.draw(found), caption)


def best(view: AtlasView) -> Markup:
    """The settings and scores of the best trial."""
    if view.best is None or view.setting is None:
        return render("note", text="No trial finished with a finite objective.")
    row = view.finals.frame.iloc[view.best]
    settings = [(c, as_set(row[c])) for c in view.table.varied if row[c] == row[c] and row[c] is not None]
    limits = ("measures/", "test/", "floors/", "test_floors/", "saturations/")
    scores = [(label(c), *(row.get(c.replace("measures/", limit, 1)) for limit in limits)) for c in view.measures]
    return render(
        "sections/best",
        trial=row.trial,
        parts=row.get("data/parts"),
        settings=settings,
        scores=scores,
    )


def as_set(value: object) -> str:
    """A setting as it was set."""
    return f"{value:.6g}" if isinstance(value, float) else str(value)


@per_source
def curves(view: AtlasView) -> str:
    """The objective against every numeric setting but the main one; "" without another."""
    return curve_figures(view, view.axes[1:4]) if len(view.axes) > 1 else ""


def curve_figures(view: AtlasView, axes: Sequence[str]) -> Markup:
    """The objective along each of some axes."""
    drawn = [(view.curve(axis, view.objective), view.along(axis)) for axis in axes]
    return render("sections/curves", curves=[(found, part, setting_curve.draw(found)) for found, part in drawn])


@per_source
def optima(view: AtlasView) -> str:
    """The best place of every group on the main axis, where that is numeric and has seeds."""
    if not view.axes or not is_numeric(view.finals.column(view.axes[0])):
        return ""
    found = optimum.find(view.along(view.axes[0]).table, view.axes[0], view.objective, view.groups)
    sentences = [optimum.sentence(found, g) for g in range(len(found.groups))]
    return render("sections/optimum", optimum=optimum, sentences=sentences, fig=optimum.draw(found))


@per_source
def exponents(view: AtlasView) -> str:
    """The largest exponent against the main axis."""
    if view.map is None or not view.axes:
        return ""
    found, part = view.curve(view.axes[0], f"spectra/{view.map}/maximum"), view.along(view.axes[0])
    return render("sections/curves", curves=[(found, part, setting_curve.draw(found))], map=view.map)


@per_source
def planes(view: AtlasView) -> Markup:
    """The main axis against other numeric settings, with the lines on which the largest exponent is zero."""
    numeric = [a for a in view.axes if is_numeric(view.finals.column(a))]
    drawn = []
    for other in numeric[1:4]:
        found = phase_plane.find(view.table, numeric[0], other, view.objective, view.group, str(view.map))
        sentences = [phase_plane.sentence(found, p) for p in range(len(found.panels))]
        drawn.append((sentences, phase_plane.draw(found)))
    return render("sections/planes", planes=drawn, map=view.map)


def dimension(view: AtlasView) -> str:
    """The box-counting dimension of the border between lost and other networks; "" where the map is too coarse."""
    numeric = [a for a in view.axes if is_numeric(view.finals.column(a))]
    try:
        found = box_counting.find(view.table, numeric[0], numeric[1], view.objective, map=str(view.map))
    except (IndexError, ValueError):  # fewer axes, several trials at one place, too few places, no border
        return ""
    return finding(box_counting.sentence(found), box_counting.draw(found), "", "34rem")


def finding(sentence: str, fig: object, caption: str, min_width: str = "0") -> Markup:
    """A sentence, and the figure that shows it."""
    return render("finding", sentence=sentence, fig=fig, caption=caption, min_width=min_width)


@per_source
def spectra(view: AtlasView) -> Markup:
    """The final spectra of all trials."""
    if view.map is None:
        return render("note", text="No trial has a spectrum.")
    found = spectra_by_outcome.find(view.table, view.objective, view.map)
    return render(
        "sections/spectra",
        fig=spectra_by_outcome.draw(found),
        lines=len(spectra_by_outcome.drawn_trials(found)),
        trials=len(found.trials),
        linear=found.linear if np.isfinite(found.linear) else None,
        infinite=int(np.isneginf(found.exponents).sum()),
    )


@per_source
def history(view: AtlasView) -> str:
    """The spectrum of the best trial during training."""
    if view.best_trial is None or view.map is None:
        return ""
    found = spectrum_history.find(view.table, view.best_trial, view.map)
    caption = "The best trial's spectrum at each of its records, the later the lighter."
    return finding(spectrum_history.sentence(found), spectrum_history.draw(found), caption)


def orbits(view: AtlasView) -> str:
    """The true and the generated orbit of the best trial; "" for a task, whose network does not run freely."""
    if view.best is None or view.best_trial is None or not view.finals.traces:
        return ""
    if view.map == "driven" and "generated" not in view.finals.traces[view.best]:
        return ""
    found = orbit.find(view.table, view.best_trial)
    return render("sections/orbits", found=found, figures=[orbit.draw(found, which) for which in orbit.SERIES])


@per_source
def correlations(view: AtlasView) -> Markup:
    """Rank correlations of statistics of the spectrum with measures."""
    found = correlation.find(view.table, view.measures)
    columns = (map(label, found.statistics), map(label, found.measures), found.rho, found.low, found.high, found.q)
    rows = [[*r[:2], *map(float, r[2:])] for r in zip(*columns, found.settings, found.n, found.lost, strict=True)]
    min_width = f"{18 + 5 * len(set(found.measures))}rem"
    return render(
        "sections/correlations",
        fig=correlation.draw(found),
        rows=rows,
        min_width=min_width,
    )


RESULT: dict[str, Content] = {
    "Verdict": result,
    "The map": explorer.section,
}
SETTINGS: dict[str, Content] = {
    "The best setting in numbers": best,
    "How the search went": per_source(search),
    "The objective across the sweep": curves,
    "Where the optimum lies": optima,
    "The largest exponent across the sweep": exponents,
    "Two settings at a time": planes,
    "How rough the border is": dimension,
}
DYNAMICS: dict[str, Content] = {
    "Lyapunov spectra": spectra,
    "How a spectrum forms": history,
}
PREDICTION: dict[str, Content] = {"Which statistic of the spectrum goes with which measure": correlations}
DATA: dict[str, Content] = {
    "Outcomes": appendix.outcomes,
    "All trials": appendix.trials,
    "Provenance": appendix.provenance,
}
