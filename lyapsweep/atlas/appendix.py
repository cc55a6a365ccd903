"""The end of the page: every trial, and where all of it comes from."""

import json

import numpy as np

from lyapsweep.analysis.shared.selection import digits, label, numbers
from lyapsweep.atlas import markup
from lyapsweep.atlas.view import AtlasView

TOLD = ("schema", "command", "question", "name", "base")  # elsewhere


def trials(view: AtlasView) -> str:
    """Every trial, best first; a click on a head sorts."""
    frame, varied = view.finals.frame, view.table.varied
    exponents = [f"spectra/{view.map}/{s}" for s in ("maximum", "kaplan_yorke")] if view.map else []
    measures = sorted(view.measures, key=lambda c: c != view.objective)
    columns = ["trial", "outcome", *varied, *measures, *exponents, "step", "seconds"]
    values = numbers(view.finals, view.objective) if view.measures else np.zeros(len(frame))
    ranked = np.where(np.isnan(values), np.inf, -values if view.measures and view.maximised else values)
    order = np.lexsort((ranked, (frame["outcome"] != "finished").to_numpy()))
    rows = list(zip(*([plain(v) for v in frame[c].iloc[order]] for c in columns), strict=True))
    first = 0 if view.measures and view.best is not None else None
    return markup.table([label(c) for c in columns], rows, sortable=True, best=first)


def plain(value: object) -> object:
    """A Python value for a numpy one."""
    return value.item() if isinstance(value, np.generic) else value


def provenance(view: AtlasView) -> str:
    description, frame = view.table.description, view.finals.frame
    parts = [f"<pre>{markup.text(description.command)}</pre>"] if description.command else []
    packs = frame["provenance/pack"].fillna(1).astype(float) if "provenance/pack" in frame else 1.0
    facts: list[tuple[str, object]] = [(k, v) for k, v in description.to_dict().items() if k not in TOLD]
    facts += [("seconds of compute, all trials", float(np.nansum(frame["seconds"].astype(float) / packs)))]
    names = [
        "seed",
        "data/source",
        "data/lambda_source",
        "provenance/commit",
        "provenance/device",
        "provenance/versions",
    ]
    for name in names:
        if name in frame:
            seen = sorted(frame[name].dropna().unique().tolist(), key=str)
            facts.append((name.removeprefix("provenance/"), seen))
    return "".join(parts) + markup.table(["what", "value"], [(k, shown(v)) for k, v in facts])


def shown(value: object) -> str:
    """Any value as words: numbers to three digits, up to twelve members of a list, a mapping as `key value`."""
    value = plain(value)
    if isinstance(value, str) and value.startswith("{"):  # a nested provenance entry, which the table keeps as JSON
        value = json.loads(value)
    if isinstance(value, dict):
        return ", ".join(f"{k} {shown(v)}" for k, v in value.items())
    if isinstance(value, list | tuple):
        return ", ".join(map(shown, value[:12])) + (f" and {len(value) - 12} more" if len(value) > 12 else "")
    return digits(value) if isinstance(value, int | float) and not isinstance(value, bool) else str(value)
