"""The map of the sweep, to be explored in the page: every trial's settings, outcome, scores and spectrum, rounded.

`web/explorer*.js` draws it: the reader chooses axes, colour, panels and filters, and a place opens as a card.
"""

import json
import math
from collections.abc import Iterable, Iterator
from typing import Any

import numpy as np
import pandas as pd
from plotly.colors import sample_colorscale

from lyapsweep.analysis.settings.axis import places, wide
from lyapsweep.analysis.shared import theme
from lyapsweep.analysis.shared.selection import STATISTICS, TooFew, direction, label, numbers
from lyapsweep.atlas import compression, markup, orbits, trial_command
from lyapsweep.atlas.view import MAIN_GROUP, SOURCES, AtlasView, is_numeric
from lyapsweep.results.table import RunLinks, moves

SCRIPTS = ("explorer_trials.js", "explorer_panels.js", "explorer_orbits.js", "explorer_card.js", "explorer.js")
MOST_PLACES = 128  # on an axis: more distinct values are binned
MOST_EXPONENTS = 24  # of a spectrum drawn in a card
MOST_PANELS = 12
EVEN = 0.3  # the least gap between places, of their mean gap, that an axis true to scale may have
DIGITS = 6  # of every number: the page shows three of them
NAMES = {float("inf"): "Infinity", float("-inf"): "-Infinity"}


def section(view: AtlasView) -> str:
    """The explorer, empty until the page unpacks its data. Raises `TooFew` where nothing varies."""
    if not view.axes:
        raise TooFew("No setting takes more than one value, so there is no map to draw.")
    words = (
        "Choose axes, colour, panels and filters; hover over a place, or move there with the arrow keys, to see its "
        "trials, and click to keep it. The address of the page holds the view. Lost trials count as the worst in a "
        "median."
    )
    held = compression.block("trials", json.dumps(trials(view), separators=(",", ":"), allow_nan=False))
    return f'<p class="kicker">{markup.prose(words)}</p><div class="explorer">{held}{orbits.block(view)}</div>'


def trials(view: AtlasView) -> dict[str, Any]:
    """Everything the explorer knows: lists are of trials, in one order, unless said otherwise."""
    finals, frame = view.finals, view.finals.frame
    links = view.table.links or RunLinks({})
    names, index = np.unique(frame["outcome"].astype(str), return_inverse=True)
    settings = [setting(c, finals.column(c)) for c in view.table.varied if c in frame and moves(frame[c])]
    told = {k: numbers(finals, f"data/{k}") for k in KNOWN if f"data/{k}" in frame}
    known = {k: short(values, DIGITS) for k, values in told.items() if np.isfinite(values).any()}
    return {
        "trial": frame["trial"].astype(str).tolist(),
        "outcome": {"names": names.tolist(), "index": index.tolist()},
        "settings": settings,
        "columns": list(columns(view)),
        "spectra": spectra(view),
        "data": known,
        "alone": list(by_themselves(view)),
        "runs": [links.addresses.get(str(t)) for t in frame["trial"]],
        "serve": links.command or None,
        "map": view.map,
        "scale": sample_colorscale(theme.SCALE, np.linspace(0, 1, 33).tolist()),
        "choice": first_choice(view, {s["name"] for s in settings if len(s["labels"]) <= MOST_PANELS}),
    }


KNOWN = ("lambda_max", "predictability_time", "dt")  # of the data, in nats per step, in steps, in units of time


def setting(name: str, values: pd.Series) -> dict[str, Any]:
    """One axis: its places, how they are spaced, and the place of every trial (-1 for none)."""
    bins = int(np.clip(round(math.sqrt(len(values)) / 2), 6, 32))
    where = places(values, MOST_PLACES, bins)
    found = {"name": name, "labels": list(where.labels), "index": where.index.tolist()}
    if not where.numeric:
        return found | {"scale": "names"}
    exact = {"exact": short(values.to_numpy(float), DIGITS)} if where.binned else {}
    return found | {"scale": spacing(where.centres, where.log), "centres": where.centres.tolist()} | exact


def spacing(centres: np.ndarray, log: bool) -> str:
    """How an axis is drawn: true to scale, unless places would lie too close to be seen."""
    gaps = np.diff(np.log(centres) if log else centres)
    if not gaps.size or gaps.min() < EVEN * gaps.mean():
        return "even"
    return "log" if log else "linear"


def columns(view: AtlasView) -> Iterator[dict[str, Any]]:
    """What a place can be coloured by: measures, and statistics of spectra before and after training."""
    finals, table = view.finals, view.table
    for name in sorted(view.measures, key=lambda c: c != view.objective):
        values = numbers(finals, name)
        better = 1 if direction(table, name) == "maximise" else -1
        limits = {}
        if (floors := name.replace("measures/", "floors/", 1)) in finals.frame:
            limits = {"floor": short(numbers(finals, floors), DIGITS)}
        yield described(name, label(name), values, better=better, group="scores") | limits
    start = starts(view)
    for name in (f"spectra/{m}/{s}" for m in table.spectra for s in STATISTICS):
        if name in finals.frame:
            yield described(name, label(name), numbers(finals, name), group="spectrum after training")
            if start is not None:
                words = f"{label(name)}, before"
                yield described(f"{name}@0", words, start[name].to_numpy(float), group="spectrum before training")


def described(name: str, words: str, values: np.ndarray, group: str, better: int = 0) -> dict[str, Any]:
    log = bool(better) and wide(values[np.isfinite(values)])
    return {"name": name, "label": words, "group": group, "better": better, "log": log, "values": short(values, DIGITS)}


def starts(view: AtlasView) -> pd.DataFrame | None:
    """The records of step 0, in the order of the trials; None where no spectrum was measured there."""
    zero = view.table.take((view.table.column("step") == 0).to_numpy(bool)).frame.set_index("trial")
    measured = [c for c in zero.columns if str(c).startswith("spectra/")]
    if not measured or zero[measured].isna().to_numpy().all():
        return None
    return zero.reindex(view.finals.frame["trial"])


def spectra(view: AtlasView) -> dict[str, Any] | None:
    """Exponents of the main map, largest first, evenly picked where there are many, before and after training."""
    if view.map is None:
        return None
    table = view.table
    rows = dict(zip(table.frame["trial"][table.frame["step"] == 0], np.flatnonzero(table.frame["step"] == 0)))
    before = [table.spectra[view.map][rows[t]] if t in rows else np.empty(0) for t in view.finals.frame["trial"]]
    return {"after": [thinned(s) for s in view.finals.spectra[view.map]], "before": [thinned(s) for s in before]}


def thinned(exponents: np.ndarray) -> list[Any]:
    """[how many there are, some of them]: the first, the last and evenly between."""
    held = exponents[~np.isnan(exponents)]
    picked = np.unique(np.linspace(0, len(held) - 1, min(len(held), MOST_EXPONENTS)).round().astype(int))
    return [len(held), *short(held[picked], 3)]


def by_themselves(view: AtlasView) -> Iterator[str | None]:
    """How each trial is run alone; None where the table does not hold its configuration."""
    base = view.table.description.base
    configs: Iterable = [config for config, _ in view.finals.networks] or [None] * len(view.finals)
    for config in configs:
        if config is None:
            yield None
        else:
            yield trial_command.command(config, base.path, base.config) if base else trial_command.written(config)


def first_choice(view: AtlasView, few: set[str]) -> dict[str, Any]:
    """What is shown first: the two main settings, the objective, a panel a cell, one set of data."""
    numeric = [a for a in view.axes if is_numeric(view.finals.column(a))]
    names = [a for a in view.moving if a not in numeric]
    x, *others = [*numeric, *names]
    y = next((a for a in others if a in numeric), view.group if view.group in others else (others or [None])[0])
    panels = next((c for c in (MAIN_GROUP, *names) if c in few and c not in (x, y)), None)
    sources = [c for c in SOURCES if c in few and c not in (x, y, panels)]
    only = {c: str(view.finals.column(c).dropna().astype(str).min()) for c in sources[:1]}
    colour = view.objective if view.measures else None
    return {"x": x, "y": y, "colour": colour, "panels": panels, "only": only}


def short(values: np.ndarray, digits: int) -> list[Any]:
    """Numbers of a few significant digits as JSON can hold them: None for NaN, infinities by name."""
    return [None if v != v else NAMES.get(v, 0 if v == 0 else float(f"{v:.{digits}g}")) for v in values.tolist()]
