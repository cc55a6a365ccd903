"""Orbits, power spectra and fixed points on the cards of the map, of as many trials as fit into a budget.

Requested trials come first, then the best, then the others evenly from the best to the worst. A true orbit is stored
once for all trials that share it.
"""

import zlib
from collections.abc import Iterator
from typing import Any

import numpy as np

from lyapsweep.analysis.networks.attractor import Curves, Plane, Power, curves, plane, power, run_lengths
from lyapsweep.analysis.shared.selection import LOST, TooFew, numbers
from lyapsweep.atlas.compression import compact_json
from lyapsweep.atlas.page_data import (
    FixedPointError,
    FixedPoints,
    GeneratedOrbit,
    Levels,
    OrbitCurve,
    OrbitData,
    RecordFiles,
    TrueOrbit,
)
from lyapsweep.atlas.view import AtlasView

BUDGET = 1_000_000  # bytes of the page
BASE64 = 4 / 3
LEVELS = 1000  # per coordinate: finer than a card shows
BEST = 64  # trials that come before the evenly picked ones
MIN_ROWS = 16  # of an orbit that is drawn


def orbit_data(view: AtlasView, budget: int | None = None) -> OrbitData | None:
    """Collect what the cards show of networks in motion; None where no record holds an orbit or a network.

    Args:
        view: The sweep.
        budget: Bytes of the page for generated orbits; None is `BUDGET`. Requested trials are kept beyond it.
    """
    names, traces = view.finals.frame["trial"].astype(str).tolist(), view.finals.traces
    has_orbit = [i for i, t in enumerate(traces) if min(len(t.get(k, ())) for k in ("truth", "generated")) >= MIN_ROWS]
    has_network = [i for i, (_, weights) in enumerate(view.finals.networks) if weights]
    searched = {names.index(trial): found for trial, found in view.fixed_points.items() if trial in names}
    if not (has_orbit or has_network or searched):
        return None
    encoder, size, orbits = OrbitEncoder(), SizeBudget(BUDGET if budget is None else budget), {}
    for i in by_priority(view, has_orbit):
        orbit = encoder.orbit(traces[i])
        if not size.fits(orbit) and names[i] not in view.trials:
            break
        orbits[i] = orbit
    return {
        "has_orbit": flags(has_orbit, len(names)),
        "has_network": flags(has_network, len(names)),
        "levels": LEVELS,
        "truths": encoder.truths,
        "orbits": orbits,
        "fixed_points": {i: fixed_points(found, traces[i] if traces else {}) for i, found in searched.items()},
        "files": record_files(view),
    }


def flags(positions: list[int], length: int) -> str:
    """Return "1" at these positions and "0" at the others."""
    return "".join("1" if i in positions else "0" for i in range(length)) if positions else "0" * length


def record_files(view: AtlasView) -> RecordFiles:
    """The experiment as commands name it, and the step of each trial's last record where its folder is known."""
    if not view.folder:
        return {"experiment": view.table.description.name or None}
    steps = view.finals.frame["step"].astype(int).tolist()
    return {"experiment": view.folder, "folder": view.folder, "steps": steps}


def by_priority(view: AtlasView, has_orbit: list[int]) -> Iterator[int]:
    """Positions of the trials that have orbits: requested ones, the best, then halves, quarters, ... of the others."""
    names = view.finals.frame["trial"].astype(str).to_numpy()
    try:
        values = numbers(view.finals, view.objective) * (-1 if view.maximised else 1)
    except TooFew:
        values = np.zeros(len(view.finals))
    lost = view.finals.frame["outcome"].isin(LOST).to_numpy(bool)
    ranked = sorted(has_orbit, key=lambda i: (lost[i], np.isnan(values[i]), values[i]))
    requested = [i for i in has_orbit if names[i] in view.trials]
    others = ranked[BEST:]
    between = sorted(range(len(others)), key=lambda k: (-(k & -k) if k else -len(others), k))
    yield from dict.fromkeys((*requested, *ranked[:BEST], *(others[k] for k in between)))


class SizeBudget:
    """The bytes of the page that remain for orbits, which are counted as compressed."""

    def __init__(self, budget: int):
        self.remaining, self.compressor = budget / BASE64, zlib.compressobj(9)

    def fits(self, orbit: GeneratedOrbit) -> bool:
        """Subtract the size of an orbit, and return whether any bytes remain."""
        text = compact_json(orbit).encode()
        self.remaining -= len(self.compressor.compress(text) + self.compressor.flush(zlib.Z_SYNC_FLUSH))
        return self.remaining > 0


class OrbitEncoder:
    """Encodes the orbits of single trials; `truths` are the true orbits that they share."""

    def __init__(self) -> None:
        self.truths: list[TrueOrbit] = []
        self.known: dict[tuple, tuple[int, Plane]] = {}  # position in `truths`, and plane

    def orbit(self, traces: dict[str, np.ndarray]) -> GeneratedOrbit:
        """Encode the generated orbit of one record, and its truth where that is new."""
        truth, generated = traces["truth"], traces["generated"]
        run, whole = run_lengths(traces)
        key = truth.shape, truth.tobytes(), len(generated), run, whole
        position, frame = self.known.get(key) or (len(self.truths), plane(truth))
        drawn, spectra = curves(frame, truth, generated, run), power(truth, generated, run, whole)
        if key not in self.known:
            self.known[key] = position, frame
            self.truths.append(true_orbit(frame, drawn, spectra))
        return {
            "truth": position,
            **orbit_curve(frame, drawn.generated),
            "outside": drawn.outside,
            "power": log_hundredths(spectra.generated),
        }


def fixed_points(found: dict[str, Any], traces: dict[str, np.ndarray]) -> FixedPoints | FixedPointError:
    """Place fixed points in the plane of the trial's true orbit; without one, none is placed."""
    if "error" in found:
        return {"error": found["error"]}
    points = []
    if found["points"] and len(traces.get("truth", ())):
        frame, kinds = plane(traces["truth"]), [kind for kind, _ in found["points"]]
        states = np.array([x for _, x in found["points"]])
        placed = np.tile(states, 2) if frame.delay else frame.place(states)
        points = [(kind, x, y) for kind, (x, y) in zip(kinds, levels(frame, placed).tolist())]
    kept: Any = {key: found[key] for key in ("kinds", "slow", "started", "regions")}
    return kept | {"points": points, "driven": found.get("driven", False)}


def true_orbit(frame: Plane, drawn: Curves, spectra: Power) -> TrueOrbit:
    """Encode what all trials of one true orbit share."""
    width, height = frame.high - frame.low
    return {
        **orbit_curve(frame, drawn.truth),
        "samples": drawn.samples,
        "stride": frame.stride,
        "dot": frame.dot,
        "delay": frame.delay,
        "columns": int(frame.axes.shape[1]),
        "shares": [round(float(s), 3) for s in frame.shares],
        "aspect": round(float(np.divide(height, width)), 3),
        "frequency": [float(f"{f:.4g}") for f in spectra.frequency],
        "sigma": float(f"{spectra.sigma:.3g}"),
        "power": log_hundredths(spectra.truth),
    }


def orbit_curve(frame: Plane, points: np.ndarray) -> OrbitCurve:
    """Encode points (points, 2) as levels of the frame."""
    x, y = (differences(column) for column in levels(frame, points.reshape(-1, 2)).T)
    return {"x": x, "y": y}


def differences(column: np.ndarray) -> Levels:
    """Return levels as differences from the previous finite one."""
    shown = np.isfinite(column)
    steps = np.full(len(column), None)
    steps[shown] = np.diff(column[shown], prepend=0).astype(int)
    return steps.tolist()


def levels(frame: Plane, points: np.ndarray) -> np.ndarray:
    return np.round((points - frame.low) / (frame.high - frame.low) * LEVELS)


def log_hundredths(power: np.ndarray) -> Levels:
    """Return log10 of a power in hundredths; None where it is zero or not finite."""
    return [round(100 * v) if np.isfinite(v) else None for v in np.log10(power).tolist()]
