"""Images of one finished trial for its MLflow run: orbit, power spectrum and Lyapunov spectrum, beside the data's.

They are written as SVG by hand, which takes milliseconds; a plotting library takes a hundred times as long.
"""

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from html import escape

import numpy as np

from lyapsweep.analysis.networks.attractor import curves, plane, power, run_lengths
from lyapsweep.dynamics.spectrum import Spectrum
from lyapsweep.results.headline import headline_map
from lyapsweep.results.record import Record

WIDTH, HEIGHT = 480, 360
LEFT, RIGHT, TOP, BOTTOM = 66, 12, 40, 44
DATA, NETWORK = "#000000", "#0072B2"
FINE = 4  # steps of a curve's points per unit of the page: short whole numbers
MIN_ROWS = 16  # of an orbit that is drawn
LEAST_EXPONENTS = 6  # that are drawn, if there are as many
STYLE = "font-family='system-ui, Helvetica, Arial, sans-serif' font-size='12' fill='#222'"


@dataclass(frozen=True)
class Curve:
    """Points (points, 2) of one curve, in the units of its axes; NaN interrupts it. `errors` are half-widths of y."""

    name: str
    colour: str
    points: np.ndarray
    dots: bool = False
    errors: np.ndarray = field(default_factory=lambda: np.empty(0))


def images(record: Record) -> dict[str, str]:
    """Draw a finished trial.

    Args:
        record: Its last record.

    Returns:
        SVG documents by file name: those of orbit, power spectrum and spectrum that the record holds the numbers of.

    Example:
        >>> from lyapsweep.config import Config
        >>> from lyapsweep.results.record import Outcome
        >>> config = Config.of({"dataset": {"kind": "simulated", "system": "henon"}, "cell": {"kind": "lstm"}})
        >>> spectrum = Spectrum(np.array([0.4, -1.6]), np.full(2, 0.01), 100, 1, "closed loop", 2)
        >>> found = images(Record(config, 9, Outcome.FINISHED, {"closed loop": spectrum}))
        >>> list(found), found["spectrum.svg"][:4]
        (['spectrum.svg'], '<svg')
    """
    found = {}
    truth, generated = (record.traces.get(name, np.empty((0, 1))) for name in ("truth", "generated"))
    if min(len(truth), len(generated)) >= MIN_ROWS and np.isfinite(truth).all():
        found |= {"orbit.svg": orbit(truth, generated, *run_lengths(record.traces)[:1])}
        found |= {"power_spectrum.svg": power_spectrum(record, truth, generated)}
    name = headline_map(record.spectra)
    if name is not None and not record.spectra[name].unbounded:
        found |= {"spectrum.svg": spectrum(record, record.spectra[name])}
    return found


def orbit(truth: np.ndarray, generated: np.ndarray, run: int) -> str:
    """The true and the generated orbit in the plane of the truth."""
    at = plane(truth)
    drawn = curves(at, truth, generated, run)
    outside = f", {drawn.outside} points outside" if drawn.outside else ""
    lines = Curve("data", DATA, drawn.truth, at.dot), Curve(f"network{outside}", NETWORK, drawn.generated, at.dot)
    names = ("x(t)", f"x(t + {at.delay})") if at.delay else ("first principal component", "second principal component")
    return figure(lines, names, (at.low, at.high))


def power_spectrum(record: Record, truth: np.ndarray, generated: np.ndarray) -> str:
    """Both power spectra, logarithmic."""
    found = power(truth, generated, *run_lengths(record.traces))
    data = record.provenance.data
    dt = data.dt if data and data.dt else None
    frequency = np.log10(found.frequency / (dt or 1.0))
    lines = [
        Curve(name, colour, np.stack([frequency, np.log10(values)], axis=1))
        for name, colour, values in (("data", DATA, found.truth), ("network", NETWORK, found.generated))
    ]
    unit = "cycles per unit time" if dt else "cycles per step"
    return figure(lines, (f"log₁₀ frequency ({unit})", "log₁₀ share of the power"))


def spectrum(record: Record, own: Spectrum) -> str:
    """The leading exponents with their 95 % intervals, beside those that are known of the data."""
    data, per = record.provenance.data, 1 / (own.dt or 1.0)
    known = list(data.exponents) or ([] if data.lambda_max is None else [data.lambda_max]) if data else []
    shown = slice(max(LEAST_EXPONENTS, len(known) + 2))
    index = np.arange(1, len(own.exponents[shown]) + 1)
    finite = np.isfinite(own.exponents[shown])
    points = np.stack([index, own.exponents[shown] * per], axis=1)[finite]
    lines = [Curve(f"network ({own.map})", NETWORK, points, True, own.half_width[shown][finite] * per)]
    if known:
        truth = np.array(known, float)[shown] * per
        lines.insert(0, Curve("data", DATA, np.stack([np.arange(1, len(truth) + 1), truth], axis=1), True))
    return figure(lines, ("index of the exponent", f"nats per {'unit time' if own.dt else 'step'}"), zero=True)


def figure(
    curves: Sequence[Curve],
    names: tuple[str, str],
    limits: tuple[np.ndarray, np.ndarray] | None = None,
    zero: bool = False,
) -> str:
    """Draw curves over two axes as an SVG document; `zero` adds a line at y = 0."""
    low, high = limits or extent(curves)
    size = np.array([WIDTH - LEFT - RIGHT, -(HEIGHT - TOP - BOTTOM)])
    place = lambda points: np.array([LEFT, HEIGHT - BOTTOM]) + (points - low) / (high - low) * size  # noqa: E731
    parts = [f"<rect width='{WIDTH}' height='{HEIGHT}' fill='white'/>"]
    for axis in (0, 1):
        parts += axis_parts(axis, names[axis], low, high, place)
    if zero and low[1] < 0 < high[1]:
        y = place(np.array([low[0], 0.0]))[1]
        parts.append(f"<path d='M{LEFT},{y:.1f}H{WIDTH - RIGHT}' stroke='#444' fill='none'/>")
    for k, curve in enumerate(curves):
        parts += curve_parts(curve, place)
        x = LEFT + 170 * k
        parts.append(f"<path d='M{x},18h22' stroke='{curve.colour}' stroke-width='3'/>")
        parts.append(f"<text x='{x + 28}' y='22'>{escape(curve.name)}</text>")
    inner = "".join(parts)
    return f"<svg xmlns='http://www.w3.org/2000/svg' viewBox='0 0 {WIDTH} {HEIGHT}' {STYLE}>{inner}</svg>"


def extent(curves: Sequence[Curve]) -> tuple[np.ndarray, np.ndarray]:
    """The limits of all finite points with a margin."""
    points = np.concatenate([curve.points for curve in curves])
    points = points[np.isfinite(points).all(axis=1)]
    if not len(points):
        return np.zeros(2), np.ones(2)
    low, high = points.min(axis=0), points.max(axis=0)
    margin = np.where(high > low, 0.06 * (high - low), 0.5)
    return low - margin, high + margin


def curve_parts(curve: Curve, place) -> Iterator[str]:
    """A polyline for each run of finite points, or dots with their errors."""
    points = place(curve.points)
    finite = np.isfinite(points).all(axis=1)
    if not curve.dots:
        look = f"fill='none' stroke='{curve.colour}' stroke-width='{FINE}' transform='scale({1 / FINE})'"
        for part in np.split(np.arange(len(points)), np.flatnonzero(~finite)):
            at = np.round(FINE * points[part][finite[part]]).astype(int)
            if len(at) > 1:
                steps = "".join(f"l{dx},{dy}" for dx, dy in np.diff(at, axis=0))
                yield f"<path d='M{at[0, 0]},{at[0, 1]}{steps}' {look}/>"
        return
    for (x, y), error in zip(curve.points[finite], curve.errors if len(curve.errors) else np.zeros(finite.sum())):
        (a, top), (_, bottom) = place(np.array([[x, y + error], [x, y - error]]))
        if error > 0:
            yield f"<path d='M{a:.1f},{top:.1f}V{bottom:.1f}' stroke='{curve.colour}'/>"
        look = "fill='none' stroke='{0}' stroke-width='1.6' r='6'" if curve.colour == DATA else "fill='{0}' r='3'"
        yield f"<circle cx='{a:.1f}' cy='{(top + bottom) / 2:.1f}' {look.format(curve.colour)}/>"


def axis_parts(axis: int, name: str, low: np.ndarray, high: np.ndarray, place) -> Iterator[str]:
    """The line, the ticks and the name of one axis."""
    bottom, right = HEIGHT - BOTTOM, WIDTH - RIGHT
    yield f"<path d='M{LEFT},{bottom}{f'H{right}' if axis == 0 else f'V{TOP}'}' stroke='#444' fill='none'/>"
    for value in ticks(float(low[axis]), float(high[axis])):
        at = place(np.where(np.arange(2) == axis, value, low))[axis]
        text = escape(f"{value:.4g}".replace("-", "−"))
        if axis == 0:
            yield f"<path d='M{at:.1f},{bottom}v4' stroke='#444'/>"
            yield f"<text x='{at:.1f}' y='{bottom + 17}' text-anchor='middle'>{text}</text>"
        else:
            yield f"<path d='M{LEFT},{at:.1f}h-4' stroke='#444'/>"
            yield f"<text x='{LEFT - 7}' y='{at + 4:.1f}' text-anchor='end'>{text}</text>"
    middle = (LEFT + right) / 2
    if axis == 0:
        yield f"<text x='{middle}' y='{HEIGHT - 8}' text-anchor='middle'>{escape(name)}</text>"
    else:
        across = (TOP + bottom) / 2
        yield f"<text transform='translate(16,{across}) rotate(-90)' text-anchor='middle'>{escape(name)}</text>"


def ticks(low: float, high: float) -> list[float]:
    """About five round values between two ends.

    Example:
        >>> ticks(0.3, 4.7)
        [1.0, 2.0, 3.0, 4.0]
    """
    rough = (high - low) / 5
    unit = 10.0 ** math.floor(math.log10(rough))
    step = next(k * unit for k in (1, 2, 5, 10) if k * unit >= rough)
    first = math.ceil(low / step)
    return [round(k * step, 10) for k in range(first, math.floor(high / step) + 1)]
