"""MEASURES: scores of trained networks. A measure sees arrays only (`Evidence`), never a network."""

from collections.abc import Mapping, Sequence
from typing import Any

from lyapsweep.measures.accuracy import ACCURACY
from lyapsweep.measures.divergence import DIVERGENCE
from lyapsweep.measures.dynamics import LAMBDA_MAX_RELATIVE_ERROR, STABLE_FIXED_POINTS, ZERO_EXPONENT
from lyapsweep.measures.evidence import Evidence
from lyapsweep.measures.exponents import LAMBDA_MAX, LAMBDA_MAX_ERROR, SPECTRUM_DISTANCE
from lyapsweep.measures.gradients import GRADIENTS
from lyapsweep.measures.hess2023 import POWER_SPECTRUM_HESS2023, PREDICTION_ERROR_HESS2023, STATE_SPACE_HESS2023
from lyapsweep.measures.loss import LOSS, LOSS_RESET, LOSS_UNBROKEN
from lyapsweep.measures.measure import Measure, Undefined, of_function
from lyapsweep.measures.mikhaeil2022 import (
    MIXTURE_MIKHAEIL2022,
    POWER_SPECTRUM_MIKHAEIL2022,
    PREDICTION_ERROR_MIKHAEIL2022,
    STATE_SPACE_MIKHAEIL2022,
)
from lyapsweep.measures.power_spectrum import POWER_SPECTRUM
from lyapsweep.measures.prediction_error import PREDICTION_ERROR
from lyapsweep.measures.prediction_time import PREDICTION_TIME
from lyapsweep.measures.solved import SOLVED
from lyapsweep.measures.state_space import STATE_SPACE
from lyapsweep.measures.time_to_threshold import TIME_TO_THRESHOLD
from lyapsweep.registry import Registry, readable

__all__ = ["MEASURES", "Evidence", "Measure", "Undefined", "chosen", "fitting", "listed", "measure_name"]


class MeasureRegistry(Registry[Measure]):
    """The measures by name; a function of the user's is a measure that is minimised (`of_function`)."""

    def __getitem__(self, name: str) -> Measure:
        found = super().__getitem__(name)
        return found if isinstance(found, Measure) else of_function(name, found)


MEASURES: Registry[Measure] = MeasureRegistry(
    "measure",
    {
        measure.name: measure
        for measure in (
            LOSS,
            DIVERGENCE,
            GRADIENTS,
            STATE_SPACE,
            POWER_SPECTRUM,
            PREDICTION_ERROR,
            PREDICTION_TIME,
            LAMBDA_MAX_RELATIVE_ERROR,
            ZERO_EXPONENT,
            STABLE_FIXED_POINTS,
            STATE_SPACE_MIKHAEIL2022,
            MIXTURE_MIKHAEIL2022,
            POWER_SPECTRUM_MIKHAEIL2022,
            PREDICTION_ERROR_MIKHAEIL2022,
            STATE_SPACE_HESS2023,
            POWER_SPECTRUM_HESS2023,
            PREDICTION_ERROR_HESS2023,
            ACCURACY,
            SOLVED,
            TIME_TO_THRESHOLD,
            LOSS_RESET,
            LOSS_UNBROKEN,
            LAMBDA_MAX,
            LAMBDA_MAX_ERROR,
            SPECTRUM_DISTANCE,
        )
    },
    given=("evidence",),
)


Entry = str | Mapping[str, Any]  # a measure in a config: its name, or {kind: name, setting: value, ...}


def listed(entries: Sequence[Entry]) -> list[str | dict[str, Any]]:
    """Check the `measures` of a config and write them in their canonical form.

    Args:
        entries: Names, or mappings {kind: name, setting: value}.

    Returns:
        The entries: a name for default settings, else a mapping with all settings.

    Raises:
        UnknownName: If a measure or a setting is unknown.
        ValueError: If a setting is not possible or a measure is repeated.

    Example:
        >>> listed(["loss", {"kind": "prediction_error", "steps": 20}])
        ['loss', 'prediction_error']
    """
    if not isinstance(entries, Sequence) or isinstance(entries, str):
        raise ValueError(f"measures must be a list, such as [loss, state_space], but got {entries!r}.")
    found: dict[str, str | dict[str, Any]] = {}
    for name, settings in map(parse_entry, entries):
        name = MEASURES.full_name(name)
        if name in found:
            raise ValueError(f"measures: '{name}' is listed twice, but a column holds one convention. Leave one out.")
        if not readable(name):
            found[name] = {"kind": name} | settings if settings else name
            continue
        MEASURES.check(name, settings, "measures")
        MEASURES[name].with_settings(**settings)
        defaults = {k: p.default for k, p in MEASURES.knobs(name).items()}
        found[name] = name if defaults | settings == defaults else {"kind": name} | defaults | settings
    return list(found.values())


def fitting(entries: Sequence[Entry], data: str, whose: str) -> None:
    """Raise ValueError if a measure cannot be computed from this kind of data.

    Args:
        entries: Entries of a config's `measures`.
        data: "series" or "task".
        whose: What the data belong to, for the message.

    Raises:
        ValueError: If a measure does not apply; the message lists those that do.

    Example:
        >>> fitting(["loss"], "task", "dataset 'adding'")
    """
    blind = [name for name, measure in chosen(entries).items() if data not in measure.data]
    if blind:
        fit = ", ".join(name for name, measure in MEASURES.items() if data in measure.data)
        raise ValueError(f"measures: {', '.join(blind)} must go, for {whose} is a {data}. Those that fit one: {fit}.")


def chosen(entries: Sequence[Entry]) -> dict[str, Measure]:
    """Return the measures of a config's list, with their settings.

    Args:
        entries: Entries of a config's `measures`.

    Returns:
        Measures by name.

    Example:
        >>> list(chosen(["loss", "divergence"]))
        ['loss', 'divergence']
    """
    return {name: MEASURES[name].with_settings(**settings) for name, settings in map(parse_entry, entries)}


def measure_name(name: str) -> str:
    """Return the name under which records hold a measure.

    Args:
        name: That name, the short name of a registered measure, or a title; any other text is returned as it is.

    Returns:
        The name.

    Example:
        >>> measure_name("D_stsp"), measure_name("loss")
        ('state_space', 'loss')
    """
    by_title = {measure.title: known for known, measure in MEASURES.items()}
    return MEASURES.full_name(by_title.get(name, name))


def parse_entry(entry: Entry) -> tuple[str, dict[str, Any]]:
    """Name and settings of an entry."""
    if isinstance(entry, str):
        return entry, {}
    if not isinstance(entry, Mapping) or "kind" not in entry:
        raise ValueError(f"measures: an entry is a name or {{kind: name, setting: value}}, but got {entry!r}.")
    return str(entry["kind"]), {k: v for k, v in entry.items() if k != "kind"}
