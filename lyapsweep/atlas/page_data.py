"""The data that the page's JavaScript reads, as JSON. The scripts read every field declared here and no other.

Lists are per trial, in the order of the table's final records, unless said otherwise.
"""

from typing import Literal, NotRequired, TypedDict

Number = float | Literal["Infinity", "-Infinity"] | None
"""JSON has neither NaN, which is null, nor infinities, which are strings."""


class Outcomes(TypedDict):
    """`names` are the distinct outcomes, `index` the position of each trial's among them."""

    names: list[str]
    index: list[int]


class MapSetting(TypedDict):
    """A setting as an axis: `labels` of its places, and the place of each trial (`index`, -1 without one).

    `centres` are the places' values where these are numbers, `exact` the trials' values where the axis is binned.
    """

    name: str
    labels: list[str]
    index: list[int]
    scale: Literal["names", "even", "linear", "log"]
    centres: NotRequired[list[float]]
    exact: NotRequired[list[Number]]


class MapColumn(TypedDict):
    """A quantity that colours the map; `better` is 1 for higher, -1 for lower, 0 for neither."""

    name: str
    label: str
    group: str
    better: int
    log: bool
    values: list[Number]
    floor: NotRequired[list[Number]]


class MapSpectra(TypedDict):
    """Per trial the number of exponents, followed by a selection of them, largest first, in `unit`."""

    before: list[list[Number]]
    after: list[list[Number]]


class DataProperties(TypedDict, total=False):
    """Known properties of the data: in `unit`, steps, time per step."""

    lambda_max: list[Number]
    predictability_time: list[Number]
    dt: list[Number]


class MapChoice(TypedDict):
    """What the map shows first; `only` maps settings to the one value that is not filtered out."""

    x: str
    y: str | None
    colour: str | None
    panels: str | None
    only: dict[str, str]


class MapData(TypedDict):
    """The block `trials`: everything that the map and its cards show except orbits and fixed points."""

    trial: list[str]
    outcome: Outcomes
    settings: list[MapSetting]
    columns: list[MapColumn]
    spectra: MapSpectra | None
    data: DataProperties
    commands: list[str | None]
    run_links: list[str | None]
    serve_command: str | None
    map: str | None
    unit: str
    scale: list[str]
    choice: MapChoice


Levels = list[int | None]
"""Coordinates in whole levels of the frame, each as the difference from the previous shown one; None is a gap."""


class OrbitCurve(TypedDict):
    """An orbit in a plane."""

    x: Levels
    y: Levels


class TrueOrbit(OrbitCurve):
    """A true orbit in its plane (`analysis.networks.attractor.Plane`) and its power spectrum, log10 in hundredths."""

    samples: int
    stride: int
    dot: bool
    delay: int
    columns: int
    shares: list[float]
    aspect: float
    frequency: list[float]
    sigma: float
    power: Levels


class GeneratedOrbit(OrbitCurve):
    """A generated orbit in the plane of `truths[truth]`; `outside` counts points beyond the frame or not finite."""

    truth: int
    outside: int
    power: Levels


class Regions(TypedDict):
    """Numbers of linear regions; see `analysis.networks.best_trial_fixed_points`."""

    visited: int
    real: int
    virtual: int
    none: int


class FixedPointError(TypedDict):
    """Why a network could not be searched."""

    error: str


class FixedPoints(TypedDict):
    """`kinds` holds [number, smallest, largest |lambda|] per kind, `points` [kind, x, y] in levels of the frame."""

    kinds: dict[str, list[float]]
    slow: int
    started: int
    points: list[tuple[str, Number, Number]]
    regions: Regions | None
    driven: bool


class RecordFiles(TypedDict):
    """What commands are given: the experiment; where its folder is known, that and the step of each last record."""

    experiment: str | None
    folder: NotRequired[str]
    steps: NotRequired[list[int]]


class OrbitData(TypedDict):
    """The block `orbits`. `orbits` and `fixed_points` are keyed by the trial's position.

    `has_orbit` and `has_network` hold "1" for each trial whose record holds them, "0" for the others.
    """

    has_orbit: str
    has_network: str
    levels: int
    truths: list[TrueOrbit]
    orbits: dict[int, GeneratedOrbit]
    fixed_points: dict[int, FixedPoints | FixedPointError]
    files: RecordFiles
