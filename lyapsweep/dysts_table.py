"""The flows of dysts: their parameters, initial conditions and periods, read without importing dysts or torch."""

import importlib.util
import json
from functools import cache
from pathlib import Path
from typing import Any


@cache
def table() -> dict[str, dict[str, Any]]:
    """The data of each flow (parameters, initial conditions, period, ...)."""
    spec = importlib.util.find_spec("dysts")
    assert spec is not None, "dysts is a dependency"
    folder = next(iter(spec.submodule_search_locations or ()))
    return json.loads(Path(folder, "data/chaotic_attractors.json").read_text())


def usable_flows() -> list[str]:
    """The names of the flows without delay."""
    return sorted(name for name, entry in table().items() if not entry["delay"])
