"""The last sections of the page: outcomes, every trial, and provenance."""

import json

import numpy as np
from markupsafe import Markup

from lyapsweep.analysis.shared.rates import in_unit, is_rate, label_with_unit
from lyapsweep.analysis.shared.selection import digits, numbers
from lyapsweep.atlas.rendering import render
from lyapsweep.atlas.view import AtlasView

SHOWN_ELSEWHERE = ("schema", "command", "question", "name", "base", "best")
FACTS = ("seed", "data/source", "data/lambda_source", "provenance/commit", "provenance/device", "provenance/versions")
MAX_ITEMS = 12


def outcomes(view: AtlasView) -> Markup:
    """Trials per outcome, and per error."""
    frame = view.finals.frame
    errors = frame["provenance/error"].dropna().astype(str).value_counts() if "provenance/error" in frame else {}
    return render(
        "sections/outcomes", outcomes=list(view.outcomes.items()), errors=[(e, int(n)) for e, n in errors.items()]
    )


def trials(view: AtlasView) -> Markup:
    """Every trial, the best first; a click on a head sorts."""
    frame = view.finals.frame
    exponents = [f"spectra/{view.map}/{s}" for s in ("maximum", "kaplan_yorke")] if view.map else []
    measures = sorted(view.measures, key=lambda c: c != view.objective)
    columns = ["trial", "outcome", *view.table.varied, *measures, *exponents, "step", "seconds"]
    values = numbers(view.finals, view.objective) if view.measures else np.zeros(len(frame))
    ranked = np.where(np.isnan(values), np.inf, -values if view.measures and view.maximised else values)
    order = np.lexsort((ranked, (frame["outcome"] != "finished").to_numpy()))
    shown = [in_unit(view.finals, c) if is_rate(c) else frame[c].to_numpy() for c in columns]
    rows = list(zip(*([as_python(v) for v in column[order]] for column in shown), strict=True))
    best = rows[0] if view.measures and view.best is not None else None
    return render("sections/trials", heads=[label_with_unit(view.finals, c) for c in columns], rows=rows, best=best)


def provenance(view: AtlasView) -> Markup:
    """The command, and what the description and the records say of how the results were made."""
    description, frame = view.table.description, view.finals.frame
    packs = frame["provenance/pack"].fillna(1).astype(float) if "provenance/pack" in frame else 1.0
    facts = [(key, value) for key, value in description.to_dict().items() if key not in SHOWN_ELSEWHERE]
    facts.append(("seconds of compute, all trials", float(np.nansum(frame["seconds"].astype(float) / packs))))
    for column in FACTS:
        if column in frame:
            values = [value for value in frame[column].dropna().unique().tolist() if value != ""]
            facts.append((column.removeprefix("provenance/"), sorted(values, key=str)))
    facts = [(name, in_words(value)) for name, value in facts if value != []]
    return render("sections/provenance", command=description.command, facts=facts)


def as_python(value: object) -> object:
    """Return a Python value for a numpy one."""
    return value.item() if isinstance(value, np.generic) else value


def in_words(value: object) -> str:
    """Return any value as text: numbers to three digits, and the first members of a list."""
    value = as_python(value)
    if isinstance(value, str) and value.startswith("{"):  # a nested provenance entry, which the table keeps as JSON
        value = json.loads(value)
    if isinstance(value, dict):
        return ", ".join(f"{k} {in_words(v)}" for k, v in value.items())
    if isinstance(value, list | tuple):
        more = f" and {len(value) - MAX_ITEMS} more" if len(value) > MAX_ITEMS else ""
        return ", ".join(map(in_words, value[:MAX_ITEMS])) + more
    return digits(value) if isinstance(value, int | float) and not isinstance(value, bool) else str(value)
