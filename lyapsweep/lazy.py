"""Packages whose public names are imported at their first use."""

import importlib
from collections.abc import Callable, Mapping
from typing import Any


def imported_at_use(package: str, modules: Mapping[str, str]) -> Callable[[str], Any]:
    """Return the `__getattr__` of a package.

    Args:
        package: Its name.
        modules: Public name to the module that defines it.

    Returns:
        A function that imports a name, and raises `AttributeError` for any other.

    Example:
        >>> imported_at_use("lyapsweep", {"Outcome": "lyapsweep.results.outcome"})("Outcome").FINISHED.value
        'finished'
    """

    def get(name: str) -> Any:
        if name not in modules:
            raise AttributeError(f"module '{package}' has no attribute '{name}'")
        return getattr(importlib.import_module(modules[name]), name)

    return get
