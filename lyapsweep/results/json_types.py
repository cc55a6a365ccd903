"""Types of dataclasses that are read from JSON, whose values may be anything."""

import dataclasses
import types
import typing
from collections.abc import Mapping
from functools import cache
from typing import Any

from lyapsweep.setting_types import shown

TOO_LARGE = ("inf", "-inf")  # as `strict` writes infinities
_type_hints = cache(typing.get_type_hints)


def check_types(described: Any, place: str) -> None:
    """Raise `ValueError` where a field of a dataclass that was read from JSON is not of its type."""
    for name, hint in _type_hints(type(described)).items():
        value = getattr(described, name)
        if not fits(value, hint):
            raise ValueError(f"{place}/{name} is {shown(value)}")
        if dataclasses.is_dataclass(value):
            check_types(value, f"{place}/{name}")


def fits(value: Any, hint: Any) -> bool:
    """Whether a value of JSON is of a type. As a number, null is NaN."""
    origin, inner = typing.get_origin(hint), typing.get_args(hint)
    if origin in (types.UnionType, typing.Union):
        return any(fits(value, option) for option in inner)
    if hint is Any or isinstance(value, bool):
        return hint in (Any, bool)
    if hint is float:
        return value is None or isinstance(value, int | float) or value in TOO_LARGE
    if origin is typing.Literal:
        return value in inner
    if origin in (tuple, list):
        return isinstance(value, origin) and all(fits(each, inner[0]) for each in value)
    if origin is not None:
        return isinstance(value, Mapping) and all(fits(each, inner[1]) for each in value.values())
    return isinstance(value, hint)
