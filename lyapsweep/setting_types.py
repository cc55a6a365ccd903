"""Types of settings: finite numbers and 64-bit integers, their ranges, and the check of a value against its type.

A range is a part of a type, so that it stands once, in the signature of the member or the field of the section:
`dt: Positive = 0.01`, `test: Annotated[float, Range(above=0, below=1)]`.
"""

import math
import types
import typing
from collections.abc import Mapping
from dataclasses import dataclass, fields
from functools import lru_cache
from pathlib import Path
from typing import Annotated, Any

import numpy as np

from lyapsweep import in_memory

LARGEST_INTEGER = 2**63  # no index, seed or size of a tensor reaches it


@dataclass(frozen=True)
class Range:
    """The range of a number; every number is finite, also without a range.

    Args:
        least: Smallest value.
        above: Value that the number exceeds.
        most: Largest value.
        below: Value that exceeds the number.

    Example:
        >>> 0.5 in Range(above=0, most=1), 0 in Range(above=0), str(Range(above=0, most=1))
        (True, False, '> 0 and <= 1')
    """

    least: int | float | None = None
    above: int | float | None = None
    most: int | float | None = None
    below: int | float | None = None

    def __contains__(self, number: int | float) -> bool:
        return (
            (self.least is None or number >= self.least)
            and (self.above is None or number > self.above)
            and (self.most is None or number <= self.most)
            and (self.below is None or number < self.below)
        )

    def __str__(self) -> str:
        ends = ((">=", self.least), (">", self.above), ("<=", self.most), ("<", self.below))
        return " and ".join(f"{sign} {power_of_two(end)}" for sign, end in ends if end is not None)


def power_of_two(end: int | float) -> str:
    """Return a number as text, a large power of two as 2^n."""
    exponent = int(abs(end)).bit_length() - 1
    return f"{'-' if end < 0 else ''}2^{exponent}" if exponent >= 32 and abs(end) == 2**exponent else f"{end:g}"


Positive = Annotated[float, Range(above=0)]
NonNegative = Annotated[float, Range(least=0)]
Share = Annotated[float, Range(above=0, below=1)]
Probability = Annotated[float, Range(least=0, most=1)]
Count = Annotated[int, Range(least=1)]
CountOrZero = Annotated[int, Range(least=0)]
Seed = Annotated[int, Range(least=0, below=2**62)]  # two generators are seeded with 2 s and 2 s + 1


_type_hints = lru_cache(maxsize=256)(typing.get_type_hints)  # called for each config of each record that is read


def type_of(member: Any, setting: str, default: Any = Any) -> Any:
    """Return the annotated type of a function's argument or a class's field, with its range.

    Example:
        >>> from lyapsweep.flossing import Flossing
        >>> type_of(Flossing, "steps") == CountOrZero, type_of(Flossing, "unknown", default=str)
        (True, <class 'str'>)
    """
    return _type_hints(member, include_extras=True).get(setting, default)


def check_fields(section: Any, name: str) -> None:
    """Raise `ValueError` where a field of a dataclass is not of its type or range.

    Args:
        section: An instance of the dataclass.
        name: The section of a config that it stands for.

    Example:
        >>> from lyapsweep.flossing import Flossing
        >>> check_fields(Flossing(), "flossing")
    """
    for each in fields(section):
        check_setting(f"{name}/{each.name}", getattr(section, each.name), type_of(type(section), each.name))


def check_setting(path: str, value: Any, hint: Any) -> None:
    """Raise `ValueError` where a value is not of the annotated type or out of its range.

    An int is accepted as a float, a bool as neither. Numbers must be finite, integers below 2^63 in size, also inside
    of lists and mappings.

    Args:
        path: The setting, for messages.
        value: Its value.
        hint: Its type: a type, a union of types, or `Annotated[type, Range(...)]`.

    Example:
        >>> check_setting("training/clip", math.inf, Positive | None)
        Traceback (most recent call last):
        ValueError: training/clip must be a finite number > 0 or null, but got inf.
    """
    options = typing.get_args(hint) if typing.get_origin(hint) in (types.UnionType, typing.Union) else (hint,)
    for option in options:
        plain, span = (option.__origin__, option.__metadata__[0]) if hasattr(option, "__metadata__") else (option, None)
        if matches(value, typing.get_origin(plain) or plain):
            if not is_finite(value) or (span is not None and value not in span):
                raise ValueError(f"{path} must {in_words(value, plain, options)}, but got {shown(value)}.")
            for item in value if typing.get_origin(plain) is list else ():
                check_setting(path, item, *typing.get_args(plain))
            return
    remedy = " Write true or false." if bool in options and value in ("yes", "no", "on", "off") else ""
    raise ValueError(f"{path} must be {' or '.join(map(type_name, options))}, but got {shown(value)}.{remedy}")


def matches(value: Any, plain: Any) -> bool:
    """Whether a value is of a type, apart from its range."""
    if plain is Any:
        return True
    if isinstance(value, bool):
        return plain is bool
    return isinstance(value, int | float) if plain is float else isinstance(plain, type) and isinstance(value, plain)


def is_finite(value: Any) -> bool:
    """Whether all numbers in a value are finite, and all integers below 2^63 in size."""
    if isinstance(value, Mapping):
        return all(map(is_finite, value.values()))
    if isinstance(value, list | tuple):
        return all(map(is_finite, value))
    if isinstance(value, int):
        return abs(value) < LARGEST_INTEGER
    return not isinstance(value, float) or math.isfinite(value)


def in_words(value: Any, plain: Any, options: tuple) -> str:
    """Return what a setting of one of these types must be, where a value of the type `plain` is out of range."""
    if plain not in (int, float):
        return "hold finite numbers"
    if plain is int and not is_finite(value):
        return "be an integer below 2^63 in size"
    names = []
    for option in options:
        span = f" {option.__metadata__[0]}" if hasattr(option, "__metadata__") else ""
        kind = option.__origin__ if span else option
        numbers = {int: f"an integer{span}", float: f"a finite number{span}"}
        names.append(numbers.get(kind) or type_name(kind))
    return f"be {' or '.join(names)}"


def type_name(option: Any) -> str:
    """Return the name of a type, without its range."""
    plain = option.__origin__ if hasattr(option, "__metadata__") else option
    return "null" if plain is type(None) else getattr(plain, "__name__", str(plain))


def shown(value: Any) -> str:
    """Return a value as a message shows it, long ones cut."""
    return cut(repr(value))


def cut(text: str) -> str:
    """Return a text as a message shows it, long ones cut."""
    return text if len(text) <= 80 else f"{text[:77]}..."


def as_plain(value: Any) -> Any:
    """Return a value as YAML has it: NumPy numbers and arrays as numbers and lists, paths as text, tuples as lists.

    A class or function is called by its name (`lyapsweep.in_memory.name_of`).

    Example:
        >>> as_plain({"length": np.int64(3), "path": Path("a.csv"), "starts": (np.float64(0.5),)})
        {'length': 3, 'path': 'a.csv', 'starts': [0.5]}
    """
    if isinstance(value, np.generic | np.ndarray):
        return as_plain(value.tolist())
    if isinstance(value, Path):
        return str(value)
    if callable(value):
        return in_memory.name_of(value)
    if isinstance(value, Mapping):
        return {key: as_plain(inner) for key, inner in value.items()}
    return [as_plain(inner) for inner in value] if isinstance(value, list | tuple) else value
