"""The sections of the page, grouped by question. A section is a function of the view that returns rendered HTML.

A section without enough data is replaced by a note with the reason, and one that returns "" is left out.
"""

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np
from markupsafe import Markup

from lyapsweep.analysis.networks import orbit, training_curves
from lyapsweep.analysis.settings import box_counting, importance, optimum, phase_plane, setting_curve
from lyapsweep.analysis.shared.selection import label
from lyapsweep.analysis.spectra import correlation, spectra_by_outcome, spectrum_beside_data, spectrum_history
from lyapsweep.atlas import analyses, appendix, explorer, verdict
from lyapsweep.atlas.rendering import render
from lyapsweep.atlas.search_section import search
from lyapsweep.atlas.section_content import Content, described, finding, per_source, rendered, sampled
from lyapsweep.atlas.view import AtlasView
from lyapsweep.results.mixed_inputs import mixed_inputs


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


def early_prediction(view: AtlasView) -> dict[str, Content]:
    """Sections about predictions from early spectra, if there are enough; imported only then."""
    try:
        if not view.has_early_spectra:
            return {}
        from lyapsweep.atlas.prediction_sections import SECTIONS
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
    return curve_figures(view, 0, 1) if view.axes else ""


def spectrum_beside(view: AtlasView) -> str:
    """The spectrum of the best trial beside that of the data; "" without one."""
    found = analyses.spectrum(view)
    if found is None:
        return ""
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
    return curve_figures(view, 1, None) if len(view.axes) > 1 else ""


def curve_figures(view: AtlasView, first: int, end: int | None) -> Markup:
    """The objective along the axes from `first` to `end`."""
    drawn = [(found, view.along(found.axis)) for found in analyses.curves(view)[first:end]]
    return render("sections/curves", curves=[(found, part, setting_curve.draw(found)) for found, part in drawn])


@per_source
def optima(view: AtlasView) -> str:
    """The best place of every group on the main axis, where that is numeric and has seeds."""
    found = analyses.best_place(view)
    if found is None:
        return ""
    sentences = [optimum.sentence(found, g) for g in range(len(found.groups))]
    return render(
        "sections/optimum",
        optimum=optimum,
        found=found,
        label=label(found.column),
        sentences=sentences,
        fig=optimum.draw(found),
    )


@per_source
@sampled
def settings_that_matter(view: AtlasView) -> Markup:
    """The importance of settings, and of statistics of the spectrum."""
    return described(importance, analyses.importances(view))


@per_source
def exponents(view: AtlasView) -> str:
    """The largest exponent against the main axis."""
    found = analyses.largest_exponent(view)
    if found is None:
        return ""
    part = view.along(found.axis)
    return render("sections/curves", curves=[(found, part, setting_curve.draw(found))], map=view.map)


@per_source
def planes(view: AtlasView) -> Markup:
    """The main axis against other numeric settings, with the lines on which the largest exponent is zero."""
    drawn = []
    for found in analyses.planes(view):
        sentences = [phase_plane.sentence(found, p) for p in range(len(found.panels))]
        drawn.append((sentences, phase_plane.draw(found)))
    return render("sections/planes", planes=drawn, map=view.map)


def dimension(view: AtlasView) -> str:
    """The box-counting dimension of the border between lost and other networks; "" where the map is too coarse."""
    found = analyses.border(view)
    if found is None:
        return ""
    return finding(box_counting.sentence(found), box_counting.draw(found), "", "34rem")


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
    found = analyses.history(view)
    if found is None:
        return ""
    caption = "The best trial's spectrum at each of its records, the later the lighter."
    return finding(spectrum_history.sentence(found), spectrum_history.draw(found), caption)


@per_source
def learning(view: AtlasView) -> Markup:
    """The training curves of the best setting of each group."""
    found = analyses.learning(view)
    caption = "Running medians over 2 % of training, one line per trial; curves of trials that diverged end early."
    return finding(training_curves.sentence(found), training_curves.draw(found), caption, "34rem")


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
    found = analyses.correlations(view)
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
    "Which settings matter": settings_that_matter,
    "The largest exponent across the sweep": exponents,
    "Two settings at a time": planes,
    "How rough the border is": dimension,
}
DYNAMICS: dict[str, Content] = {
    "Lyapunov spectra": spectra,
    "How a spectrum forms": history,
    "Training curves": learning,
}
PREDICTION: dict[str, Content] = {"Which statistic of the spectrum goes with which measure": correlations}
DATA: dict[str, Content] = {
    "Outcomes": appendix.outcomes,
    "All trials": appendix.trials,
    "Provenance": appendix.provenance,
}
