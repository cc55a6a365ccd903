"""The parts of the page, each a function of the view. A part that has too little to show says so."""

from collections.abc import Callable, Iterator
from functools import partial

import numpy as np

from lyapsweep.analysis.networks import orbit
from lyapsweep.analysis.settings import box_counting, optimum, phase_plane, setting_curve
from lyapsweep.analysis.shared.selection import TooFew, digits, label
from lyapsweep.analysis.spectra import correlation, spectra_by_outcome, spectrum_history
from lyapsweep.atlas import appendix, explorer, markup, prediction_sections, verdict
from lyapsweep.atlas.view import AtlasView, is_numeric
from lyapsweep.registry import UnknownName

SAID = (TooFew, UnknownName, correlation.HuntTableError)  # what an analysis may answer instead of a finding
INTENTS = {
    "map": "a map: the trials fill the space evenly and nobody was stopped early",
    "hunt": "a hunt: the sampler went where it found success and the scheduler stopped the rest",
}


def sections(view: AtlasView) -> Iterator[str]:
    """Every part in order; one that cannot be made is replaced by the sentence that says why."""
    parts: list[tuple[str, Callable[[AtlasView], str]]] = [
        ("", title),
        ("Verdict", judgement),
        ("The map", explorer.section),
        ("Best configuration", best),
        ("The objective across the sweep", curves),
        ("Where the optimum lies", optima),
        ("The largest exponent across the sweep", exponent),
        ("Two settings at a time", planes),
        ("How rough the border is", dimension),
        ("Lyapunov spectra", whole_spectra),
        ("How a spectrum forms", forming),
        ("True and generated orbit", orbits),
        ("Which statistic of the spectrum goes with which measure", correlations),
        *foretold(view),
        ("Outcomes", outcomes),
        ("All trials", appendix.trials),
        ("Provenance", appendix.provenance),
    ]
    for name, part in parts:
        try:
            content = part(view)
        except SAID as reason:
            content = markup.note(reason)
        if content:
            yield markup.section(name, content) if name else content


def foretold(view: AtlasView) -> list[tuple[str, Callable[[AtlasView], str]]]:
    """The parts that ask whether early spectra foretell outcomes, each of every set of data on its own."""
    if not prediction_sections.foretells(view):
        return []
    return [(name, partial(each, part=prediction_sections.sampled(part))) for name, part in prediction_sections.PARTS]


def title(view: AtlasView) -> str:
    description = view.table.description
    name = (description.name or "Sweep").replace("_", " ")
    asked, ended = description.trials, len(view.finals)
    facts = [f"{ended} trials" if asked in (None, ended) else f"{ended} of {asked} trials"]
    facts += [INTENTS.get(str(description.intent), "")]
    kicker = markup.text(" · ".join(f for f in facts if f))
    question, _, rest = description.question.strip().partition("\n\n")
    said = f'<div class="question">{markup.paragraphs(question)}</div>{markup.paragraphs(rest)}' if question else ""
    return f'<header><h1>{markup.text(name[:1].upper() + name[1:])}</h1><p class="kicker">{kicker}</p>{said}</header>'


def each(view: AtlasView, part: Callable[[AtlasView], str]) -> str:
    """A part of every set of data on its own: scores on one are not compared with scores on another."""
    parts = []
    for name, alone in view.sources.items():
        try:
            content = part(alone)
        except SAID as reason:
            content = markup.note(reason)
        parts.append((f"<h3>{markup.text(name)}</h3>" if name else "") + content)
    return "".join(parts)


def judgement(view: AtlasView) -> str:
    return each(view, judged)


def judged(view: AtlasView) -> str:
    first, *rest = verdict.sentences(view)
    items = "".join(f"<li>{markup.prose(s)}</li>" for s in rest)
    return f'<div class="verdict"><p>{markup.prose(first)}</p><ul>{items}</ul></div>'


def best(view: AtlasView) -> str:
    if view.best is None:
        return markup.note("No trial finished with a finite objective.")
    row = view.finals.frame.iloc[view.best]
    settings = [(c, setting(row[c])) for c in view.table.varied if row[c] == row[c] and row[c] is not None]
    beside = lambda c: [row.get(c.replace("measures/", limit, 1)) for limit in ("floors/", "saturations/")]  # noqa: E731
    scores = [(label(c), row[c], *beside(c)) for c in view.measures]
    return "\n".join(
        [
            f"<p>{markup.prose(f'Trial {row.trial}, the finished one with the best {label(view.objective)}.')}</p>",
            '<div class="pair tables"><div>' + markup.table(["setting", "value"], settings) + "</div>",
            "<div>" + markup.table(["measure", "value", "floor", "saturation"], scores) + "</div></div>",
            largest(view),
        ]
    )


def setting(value: object) -> str:
    """A setting as it was set."""
    return f"{value:.6g}" if isinstance(value, float) else str(value)


def largest(view: AtlasView) -> str:
    """The largest exponent of the best trial, with its standard error, per step and per unit time."""
    if view.map is None or view.best is None:
        return ""
    value, error = (s[view.map][view.best, 0] for s in (view.finals.spectra, view.finals.spectra_stderr))
    dt, truth = (view.finals.frame.get(f"data/{k}") for k in ("dt", "lambda_max"))
    words = f"Its largest exponent ({view.map}) is {digits(value)} ± {digits(error)} nats per step"
    step = float(dt.iloc[view.best]) if dt is not None and dt.iloc[view.best] else np.nan
    if np.isfinite(step):
        words += f", {digits(value / step)} ± {digits(error / step)} nats per unit time"
    known = truth.iloc[view.best] if truth is not None else None
    if known is not None and np.isfinite(known):
        words += f"; that of the data is {digits(known)} nats per step"
    return f"<p>{markup.text(words)}.</p>"


def caption(found: setting_curve.SettingCurveFinding) -> str:
    spread = (
        "bars reach from quartile to quartile" if found.spread == "quartiles" else "bars reach from lowest to highest"
    )
    words = f"Medians over the trials at each place; {spread}, dots are single trials."
    if found.binned:
        words += " The axis is binned."
    if found.column.startswith("measures/") and found.lost.any():
        words += " Lost trials count as the worst in medians; their share is written above the plot."
    return words


def curves(view: AtlasView) -> str:
    return each(view, along_axes)


def along_axes(view: AtlasView) -> str:
    """The objective against every numeric setting, the main one first."""
    found = [view.main, *(setting_curve.find(view.table, axis, view.objective, view.groups) for axis in view.axes[1:4])]
    return "\n".join(markup.figure(setting_curve.draw(f), caption(f)) for f in found)


def optima(view: AtlasView) -> str:
    return each(view, best_places)


def best_places(view: AtlasView) -> str:
    """The best place of every group on the main axis, where that has numbers and seeds."""
    if not view.axes or not is_numeric(view.finals.column(view.axes[0])):
        return ""
    found = optimum.find(view.table, view.axes[0], view.objective, view.groups)
    said = "".join(f"<li>{markup.text(optimum.sentence(found, g))}</li>" for g in range(len(found.groups)))
    words = (
        f"Larger dots were the best place more often when the trials at each place were drawn anew {optimum.DRAWS} "
        f"times; the line holds {optimum.COVERAGE} % of the draws."
    )
    return f"<ul>{said}</ul>" + markup.figure(optimum.draw(found), words)


def exponent(view: AtlasView) -> str:
    return each(view, exponents)


def exponents(view: AtlasView) -> str:
    if view.map is None or not view.axes:
        return ""
    found = setting_curve.find(view.table, view.axes[0], f"spectra/{view.map}/maximum", view.groups)
    return markup.figure(
        setting_curve.draw(found), f"{caption(found)} Nats per step, {view.map}; lost trials are left out."
    )


def planes(view: AtlasView) -> str:
    return each(view, borders)


def borders(view: AtlasView) -> str:
    """The main axis against every other numeric setting, with the lines on which the largest exponent is zero."""
    numeric = [a for a in view.axes if is_numeric(view.finals.column(a))]
    parts = []
    for other in numeric[1:4]:
        found = phase_plane.find(view.table, numeric[0], other, view.objective, view.group, str(view.map))
        said = "".join(f"<li>{markup.prose(phase_plane.sentence(found, p))}</li>" for p in range(len(found.panels)))
        words = (
            "Median over everything else, lighter is better; where half of the trials or more were lost the place is "
            f"grey. Lines: where the largest exponent ({view.map}) is zero; tangents shrink on one side of them and "
            "grow on the other."
        )
        parts.append(f"<ul>{said}</ul>" + markup.figure(phase_plane.draw(found), words, "34rem"))
    return "".join(parts)


def dimension(view: AtlasView) -> str:
    """How rough the border is between networks that were lost and others; nothing where the map is too coarse."""
    numeric = [a for a in view.axes if is_numeric(view.finals.column(a))]
    try:
        found = box_counting.find(view.table, numeric[0], numeric[1], view.objective, map=str(view.map))
    except (IndexError, ValueError):  # fewer axes, several trials at one place, too few places, no border
        return ""
    return f"<p>{markup.prose(box_counting.sentence(found))}</p>" + markup.figure(box_counting.draw(found), "", "34rem")


def whole_spectra(view: AtlasView) -> str:
    return each(view, all_exponents)


def all_exponents(view: AtlasView) -> str:
    if view.map is None:
        return markup.note("No trial has a spectrum.")
    found = spectra_by_outcome.find(view.table, view.objective, view.map)
    below = int(np.isneginf(found.exponents).sum())
    lines, all = len(spectra_by_outcome.drawn(found)), len(found.trials)
    some = f" {lines} of {all} trials, evenly from the worst to the best." if lines < all else ""
    words = f"One line a trial, lighter is better; lost trials are grey.{some}"
    if np.isfinite(found.linear):
        words += f" The axis is linear up to ±{digits(found.linear)} and logarithmic beyond."
    words += f" {below} exponents are −∞ (directions that the map annihilates) and are not drawn." if below else ""
    return markup.figure(spectra_by_outcome.draw(found), words)


def forming(view: AtlasView) -> str:
    return each(view, of_the_best)


def of_the_best(view: AtlasView) -> str:
    if view.best is None or view.map is None:
        return ""
    found = spectrum_history.find(view.table, str(view.finals.frame["trial"].iloc[view.best]), view.map)
    words = "The best trial's spectrum at each of its records, the later the lighter."
    return f"<p>{markup.prose(spectrum_history.sentence(found))}</p>" + markup.figure(
        spectrum_history.draw(found), words
    )


def orbits(view: AtlasView) -> str:
    traces = view.finals.traces
    if view.best is None or (view.map == "driven" and not (traces and "generated" in traces[view.best])):
        return ""  # a task's network does not run freely
    found = orbit.find(view.table, str(view.finals.frame["trial"].iloc[view.best]))
    truth, generated = (markup.chart(orbit.draw(found, which)) for which in orbit.SERIES)
    pair = f"<div><h3>data, held out</h3>{truth}</div><div><h3>network, running freely</h3>{generated}</div>"
    words = f"The best trial's first {len(found.truth)} points, standardised, both in the frame of the data."
    words += f" {found.escaped} generated points lie outside it." if found.escaped else ""
    return f'<figure><div class="pair">{pair}</div><figcaption>{markup.prose(words)}</figcaption></figure>'


def correlations(view: AtlasView) -> str:
    return each(view, pairs)


def pairs(view: AtlasView) -> str:
    found = correlation.find(view.table, view.measures)
    words = (
        "Spearman's ρ over the trials that ended, lost ones at the worst rank; bold where the 95 % bootstrap interval "
        f"({found.resamples} resamples of trials) excludes 0. "
        "Groups are pooled: a correlation may be one between groups."
    )
    heads = ["statistic", "measure", "ρ", "from", "to", "q", "n", "lost"]
    columns = (map(label, found.statistics), map(label, found.measures), found.rho, found.low, found.high, found.q)
    rows = [[*r[:2], *map(float, r[2:])] for r in zip(*columns, found.n, found.lost, strict=True)]
    least = f"{18 + 5 * len(set(found.measures))}rem"
    told = "Interval of 95 % from/to; q is p adjusted for all pairs (Benjamini and Hochberg)."
    return (
        markup.figure(correlation.draw(found), words, least)
        + markup.table(heads, rows, sortable=True)
        + markup.note(told)
    )


def outcomes(view: AtlasView) -> str:
    rows = [[name, n] for name, n in view.counts().items()]
    parts = [markup.table(["outcome", "trials"], rows)]
    frame = view.finals.frame
    if "provenance/error" in frame:
        errors = frame["provenance/error"].dropna().astype(str).value_counts()
        parts.append(markup.table(["error", "trials"], [[error, int(n)] for error, n in errors.items()]))
    return "".join(parts)
