"""Packages whose public names are imported at their first use."""

import importlib
import sys
from collections.abc import Callable, Mapping
from typing import Any


def imported_at_use(package: str, modules: Mapping[str, str]) -> tuple[Callable[[str], Any], Callable[[], list[str]]]:
    """Return the `__getattr__` and the `__dir__` of a package.

    Args:
        package: Its name.
        modules: Public name to the module that defines it.

    Returns:
        A function that imports a name, and raises `AttributeError` for any other; and one that lists all names, for
        completion.

    Example:
        >>> get, names = imported_at_use("lyapsweep", {"Outcome": "lyapsweep.results.outcome"})
        >>> get("Outcome").FINISHED.value, "Outcome" in names()
        ('finished', True)
    """

    def get(name: str) -> Any:
        if name not in modules:
            raise AttributeError(f"module '{package}' has no attribute '{name}'")
        return getattr(importlib.import_module(modules[name]), name)

    def names() -> list[str]:
        return sorted({*vars(sys.modules[package]), *modules})

    return get, names
