"""The orbits, power spectra and fixed points that the map's cards draw: of as many trials as a budget holds.

Trials that were asked for come first, then the best, then the others evenly from the better to the worse. Coordinates
are whole levels of the frame, kept as differences; a truth is kept once for all trials that share it.
"""

import json
import os
import zlib
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from lyapsweep.analysis.networks.attractor import Curves, Plane, Power, curves, plane, power
from lyapsweep.analysis.networks.best_trial_fixed_points import searched
from lyapsweep.analysis.shared.selection import LOST, TooFew, numbers
from lyapsweep.atlas import compression
from lyapsweep.atlas.view import AtlasView
from lyapsweep.evaluation.series import ORBITS
from lyapsweep.results.experiment import ExperimentPaths
from lyapsweep.results.table import Table
from lyapsweep.trial import ORBIT_POINTS

BUDGET = 1_000_000  # bytes of the page
BASE64 = 4 / 3
LEVELS = 1000  # of either coordinate: finer than a card shows
BEST = 64  # trials that come before the even ones
LEAST = 16  # rows of an orbit that is drawn
NONE = np.empty((0, 0))


def prepared(table: Table, folder: Path, trials: Sequence[str] = ()) -> Table:
    """The table as the page wants it: fixed points sought in a few networks, those of `trials` among them, and where
    its records lie. Raises `UnknownName` where `trials` names one that is not there."""
    where = ""
    if ExperimentPaths(folder).records.is_dir():
        inside = folder.resolve().is_relative_to(Path.cwd())
        where = os.path.relpath(folder) if inside else str(folder.resolve())
    return replace(searched(table, trials), shown=tuple(trials), folder=where)


def block(view: AtlasView) -> str:
    """The orbits as a block of the page; nothing where no trial has an orbit or a network."""
    told = orbits(view, BUDGET)
    if "1" not in told["has"] + told["nets"] and not told["fixed"]:
        return ""
    return compression.block("orbits", json.dumps(told, separators=(",", ":"), allow_nan=False))


def orbits(view: AtlasView, budget: int) -> dict[str, Any]:
    """What the cards know. `trials` (orbits) and `fixed` (points) are by a trial's position among the finals; `has`
    and `nets` hold 1 for each trial whose record holds orbits, a network; `files` names what commands ask for."""
    table, names = view.table, view.finals.frame["trial"].astype(str).tolist()
    packer, left, trials = Packer(), SizeBudget(budget), {}
    traces = view.finals.traces
    has = [i for i, t in enumerate(traces) if min(len(t.get(k, ())) for k in ("truth", "generated")) >= LEAST]
    among = set(has)
    for i in order(view, has):
        entry = packer.entry(traces[i])
        if not left.takes(entry) and names[i] not in table.shown:
            break
        trials[i] = entry
    fixed = {names.index(t): found for t, found in table.fixed_points.items() if t in names}
    return {
        "has": "".join("1" if i in among else "0" for i in range(len(names))),
        "nets": "".join("1" if weights else "0" for _, weights in view.finals.networks) or "0" * len(names),
        "levels": LEVELS,
        "truths": packer.truths,
        "trials": trials,
        "fixed": {i: packer.marked(found, traces[i] if traces else {}) for i, found in fixed.items()},
        "files": files(view),
    }


def files(view: AtlasView) -> dict[str, Any]:
    """The experiment; the file of each trial's last record, where its folder is known."""
    folder, frame = view.table.folder, view.finals.frame
    steps = {"folder": folder, "steps": frame["step"].astype(int).tolist()} if folder else {}
    return {"experiment": folder or view.table.description.name or None} | steps


def order(view: AtlasView, has: list[int]) -> Iterator[int]:
    """Positions of the trials that have orbits, the one that most deserves its room first."""
    names = view.finals.frame["trial"].astype(str).to_numpy()
    try:
        values = numbers(view.finals, view.objective) * (-1 if view.maximised else 1)
    except TooFew:
        values = np.zeros(len(view.finals))
    lost = view.finals.frame["outcome"].isin(LOST).to_numpy(bool)
    ranked = sorted(has, key=lambda i: (lost[i], np.isnan(values[i]), values[i]))
    asked = [i for i in has if names[i] in view.table.shown]
    others = ranked[BEST:]
    between = sorted(range(len(others)), key=lambda k: (-(k & -k) if k else -len(others), k))  # halves, quarters, ...
    yield from dict.fromkeys((*asked, *ranked[:BEST], *(others[k] for k in between)))


class SizeBudget:
    """How much more fits, counted as it will be compressed."""

    def __init__(self, budget: int):
        self.left, self.pressed = budget / BASE64, zlib.compressobj(9)

    def takes(self, entry: dict[str, Any]) -> bool:
        text = json.dumps(entry, separators=(",", ":")).encode()
        self.left -= len(self.pressed.compress(text) + self.pressed.flush(zlib.Z_SYNC_FLUSH))
        return self.left > 0


class Truth(NamedTuple):
    """A truth that was met: its place in the list, and the plane that it is drawn in."""

    at: int
    plane: Plane


class Packer:
    """Curves of single trials, and the truths that they share, as plain JSON."""

    def __init__(self) -> None:
        self.truths: list[dict[str, Any]] = []
        self.known: dict[tuple, Truth] = {}

    def entry(self, traces: dict[str, np.ndarray]) -> dict[str, Any]:
        truth, generated = traces["truth"], traces["generated"]
        run, whole = runs(traces)
        key = truth.shape, truth.tobytes(), len(generated), run, whole
        at = self.known[key].plane if key in self.known else plane(truth)
        drawn, spectra = curves(at, truth, generated, run), power(truth, generated, run, whole)
        if key not in self.known:
            self.known[key] = Truth(len(self.truths), at)
            self.truths.append(shared(at, drawn, spectra))
        own = {"outside": drawn.outside, "power": decades(spectra.generated)}
        return {"truth": self.known[key].at, **levels(at, drawn.generated), **own}

    def marked(self, found: dict[str, Any], traces: dict[str, np.ndarray]) -> dict[str, Any]:
        """Fixed points with their places in the plane of the trial's truth; none where points need a past."""
        points = found.get("points", [])
        if not points or not len(traces.get("truth", NONE)):
            return found | {"points": []}
        at = plane(traces["truth"])
        placed = at.place(np.array([x for _, x in points])) if not at.delay else np.array([x * 2 for _, x in points])
        return found | {"points": [[kind, *xy] for (kind, _), xy in zip(points, exact(at, placed))]}


def runs(traces: dict[str, np.ndarray]) -> tuple[int, int | None]:
    """(rows of each free run, rows of all of them or None): of records that do not say so, as far as it is known."""
    rows = len(traces["generated"])
    if len(traces.get("runs", ())) > 1:
        run = int(traces["runs"][1])
        return max(1, run), run * len(traces["runs"])
    return (max(1, rows // ORBITS), rows) if rows < ORBIT_POINTS else (rows, None)


def shared(at: Plane, drawn: Curves, spectra: Power) -> dict[str, Any]:
    """What all trials of one truth have in common."""
    return {
        **levels(at, drawn.truth),
        "samples": drawn.samples,
        "stride": at.stride,
        "dot": at.dot,
        "delay": at.delay,
        "columns": int(at.axes.shape[1]),
        "shares": [round(float(s), 3) for s in at.shares],
        "aspect": round(float(np.divide(*(at.high - at.low)[::-1])), 3),
        "frequency": [float(f"{f:.4g}") for f in spectra.frequency],
        "sigma": float(f"{spectra.sigma:.3g}"),
        "power": decades(spectra.truth),
    }


def levels(at: Plane, points: np.ndarray) -> dict[str, list[int | None]]:
    """{"x", "y"}: whole levels of the frame, each the difference from the one shown before it; None is a gap."""
    told = {}
    for name, column in zip("xy", exact(at, points).T if len(points) else NONE.reshape(2, 0)):
        seen = np.isfinite(column)
        steps: list[int | None] = [None] * len(column)
        differences = np.diff(column[seen], prepend=0).astype(int).tolist()
        for place, difference in zip(np.flatnonzero(seen), differences):
            steps[place] = difference
        told[name] = steps
    return told


def exact(at: Plane, points: np.ndarray) -> np.ndarray:
    return np.round((points - at.low) / (at.high - at.low) * LEVELS)


def decades(power: np.ndarray) -> list[int | None]:
    """log10 in hundredths; None where there is none."""
    return [round(100 * v) if np.isfinite(v) else None for v in np.log10(power).tolist()]
