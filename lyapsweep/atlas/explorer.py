"""The map section: a sweep's trials as data that `web/explorer*.js` draws and lets the reader explore."""

import math
from collections.abc import Iterator
from typing import Literal

import numpy as np
import pandas as pd
from markupsafe import Markup
from plotly.colors import sample_colorscale

from lyapsweep.analysis.shared import theme
from lyapsweep.analysis.shared.axis import places, wide
from lyapsweep.analysis.shared.rates import in_unit, label_with_unit, step_times, unit
from lyapsweep.analysis.shared.selection import STATISTICS, TooFew, direction, label, numbers
from lyapsweep.analysis.shared.units import SOURCES
from lyapsweep.atlas import orbits
from lyapsweep.atlas.page_data import DataProperties, MapChoice, MapColumn, MapData, MapSetting, MapSpectra, Number
from lyapsweep.atlas.rendering import render
from lyapsweep.atlas.view import MAIN_GROUP, AtlasView, is_numeric
from lyapsweep.config import Config
from lyapsweep.config.command import format_config, run_command
from lyapsweep.results.table import moves

SCRIPTS = (
    "page.js",
    "explorer_trials.js",
    "explorer_panels.js",
    "explorer_orbits.js",
    "explorer_card.js",
    "explorer_parallel.js",
    "explorer.js",
)
MAX_PLACES = 128  # of an axis; more distinct values are binned
MAX_EXPONENTS = 24  # of a spectrum on a card
MAX_PANELS = 12
MIN_GAP = 0.3  # between places drawn to scale, relative to their mean gap
DIGITS = 6  # of every number; the page shows three
INFINITIES: dict[float, Number] = {math.inf: "Infinity", -math.inf: "-Infinity"}


def section(view: AtlasView) -> Markup:
    """The map, empty until the page unpacks its data. Raises `TooFew` where no setting varies."""
    if not view.axes:
        raise TooFew("No setting takes more than one value, so there is no map to draw.")
    return render("sections/map", trials=map_data(view), orbits=orbits.orbit_data(view))


def map_data(view: AtlasView) -> MapData:
    """Collect what the map and its cards show of the trials."""
    finals, frame, links = view.finals, view.finals.frame, view.table.links
    outcomes = frame["outcome"].astype(str).tolist()
    names = sorted(set(outcomes))
    settings = [map_setting(c, finals.column(c)) for c in view.table.varied if c in frame and moves(frame[c])]
    return {
        "trial": frame["trial"].astype(str).tolist(),
        "outcome": {"names": names, "index": [names.index(outcome) for outcome in outcomes]},
        "settings": settings,
        "columns": list(map_columns(view)),
        "spectra": map_spectra(view),
        "data": data_properties(view),
        "commands": commands(view),
        "run_links": [links.addresses.get(str(t)) if links else None for t in frame["trial"]],
        "serve_command": links.command or None if links else None,
        "map": view.map,
        "unit": unit(view.table),
        "scale": [str(colour) for colour in sample_colorscale(theme.SCALE, np.linspace(0, 1, 33).tolist())],
        "choice": first_choice(view, {s["name"] for s in settings if len(s["labels"]) <= MAX_PANELS}),
    }


def data_properties(view: AtlasView) -> DataProperties:
    """Collect what is known of each trial's data."""
    found: DataProperties = {}
    for key in DataProperties.__annotations__:
        column = f"data/{key}"
        if column in view.finals.frame and np.isfinite(values := in_unit(view.finals, column)).any():
            found[key] = as_json(values, DIGITS)
    return found


def map_setting(name: str, values: pd.Series) -> MapSetting:
    """Lay a setting out as an axis."""
    bins = int(np.clip(round(math.sqrt(len(values)) / 2), 6, 32))
    axis = places(values, MAX_PLACES, bins)
    found: MapSetting = {"name": name, "labels": list(axis.labels), "index": axis.index.tolist(), "scale": "names"}
    if axis.numeric:
        found["scale"] = axis_scale(axis.centres, axis.log)
        found["centres"] = axis.centres.tolist()
        if axis.binned:
            found["exact"] = as_json(values.to_numpy(float), DIGITS)
    return found


def axis_scale(centres: np.ndarray, log: bool) -> Literal["even", "log", "linear"]:
    """An axis is true to scale unless its places would lie too close together to be seen."""
    gaps = np.diff(np.log(centres) if log else centres)
    if not gaps.size or gaps.min() < MIN_GAP * gaps.mean():
        return "even"
    return "log" if log else "linear"


def map_columns(view: AtlasView) -> Iterator[MapColumn]:
    """What the map can be coloured by: measures, and statistics of spectra before and after training."""
    finals, table = view.finals, view.table
    for name in sorted(view.measures, key=lambda c: c != view.objective):
        better = 1 if direction(table, name) == "maximise" else -1
        column = map_column(name, label(name), numbers(finals, name), "scores", better)
        if (floors := name.replace("measures/", "floors/", 1)) in finals.frame:
            column["floor"] = as_json(numbers(finals, floors), DIGITS)
        yield column
    initial = initial_rows(view)
    for name in (f"spectra/{m}/{s}" for m in table.spectra for s in STATISTICS):
        if name in finals.frame:
            words = label_with_unit(table, name)
            yield map_column(name, words, in_unit(finals, name), "spectrum after training")
            values = in_unit(table, name)
            before = np.array([np.nan if i is None else values[i] for i in initial])
            if not np.isnan(before).all():
                yield map_column(f"{name}@0", f"{words}, before", before, "spectrum before training")


def map_column(name: str, words: str, values: np.ndarray, group: str, better: int = 0) -> MapColumn:
    log, rounded = bool(better) and wide(values[np.isfinite(values)]), as_json(values, DIGITS)
    return {"name": name, "label": words, "group": group, "better": better, "log": log, "values": rounded}


def initial_rows(view: AtlasView) -> list[int | None]:
    """Position in the table of each trial's record of step 0; None where there is none."""
    frame = view.table.frame
    rows = {trial: i for i, (trial, step) in enumerate(zip(frame["trial"], frame["step"])) if step == 0}
    return [rows.get(trial) for trial in view.finals.frame["trial"]]


def map_spectra(view: AtlasView) -> MapSpectra | None:
    """Select exponents of the headline map before and after training."""
    if view.map is None:
        return None
    spectra = view.table.spectra[view.map] / step_times(view.table)[:, None]
    before = [np.empty(0) if i is None else spectra[i] for i in initial_rows(view)]
    return {
        "before": [*map(thinned, before)],
        "after": [*map(thinned, spectra[view.table.frame["final"].to_numpy(bool)])],
    }


def thinned(exponents: np.ndarray) -> list[Number]:
    """Return the number of exponents, and the first, the last and evenly picked ones between."""
    held = exponents[~np.isnan(exponents)]
    picked = np.unique(np.linspace(0, len(held) - 1, min(len(held), MAX_EXPONENTS)).round().astype(int))
    return [len(held), *as_json(held[picked], 3)]


def commands(view: AtlasView) -> list[str | None]:
    """How each trial is run on its own; None where the table does not hold its configuration."""
    base = view.table.description.base
    configs = [config for config, _ in view.finals.networks] or [None] * len(view.finals)
    if base is None:
        return [None if c is None else format_config(c) for c in configs]
    sections = Config.of(base.config, trust=False).to_dict()  # with settings that the version of the sweep did not have
    return [None if c is None else run_command(c, base.path, sections) for c in configs]


def first_choice(view: AtlasView, few: set[str]) -> MapChoice:
    """Choose the two main settings, the objective, a panel per cell, and one data set; `few` can be panels."""
    numeric = [a for a in view.axes if is_numeric(view.finals.column(a))]
    names = [a for a in view.moving if a not in numeric]
    x, *others = [*numeric, *names]
    y = next((a for a in others if a in numeric), view.group if view.group in others else (others or [None])[0])
    panels = next((c for c in (MAIN_GROUP, *names) if c in few and c not in (x, y)), None)
    sources = [c for c in SOURCES if c in few and c not in (x, y, panels)]
    only = {c: str(view.finals.column(c).dropna().astype(str).min()) for c in sources[:1]}
    return {"x": x, "y": y, "colour": view.objective if view.measures else None, "panels": panels, "only": only}


def as_json(values: np.ndarray, digits: int) -> list[Number]:
    """Round numbers to `digits` significant digits."""
    return [None if v != v else INFINITIES.get(v, 0 if v == 0 else float(f"{v:.{digits}g}")) for v in values.tolist()]
