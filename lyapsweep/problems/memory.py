"""The memory that the settings of a config ask for at least, checked before data are made and networks are drawn."""

import math
import os
from collections.abc import Iterator, Mapping

from lyapsweep.cells import CELLS
from lyapsweep.config import Config, ConfigError

SINGLE, DOUBLE = 4, 8  # bytes of a number


def machine_memory() -> int:
    """Return the bytes of memory of this machine."""
    return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")


def check_memory(config: Config, limit: int | None = None) -> None:
    """Raise `ConfigError` where one array of a trial alone is larger than the memory; it names the setting.

    Args:
        config: The trial.
        limit: Bytes; None for the memory of this machine.

    Example:
        >>> henon = {"dataset": {"kind": "simulated", "system": "henon"}, "cell": {"kind": "lstm"}}
        >>> check_memory(Config.of(henon))
    """
    limit = machine_memory() if limit is None else limit
    for number_bytes, factors in arrays(config):
        asked = number_bytes * math.prod(factors.values())
        if asked > limit:
            path = max(factors, key=lambda name: factors[name])
            raise ConfigError(
                f"{path}={config.flat[path]} asks for {asked / 1e9:,.0f} GB of memory or more, but there are "
                f"{limit / 1e9:,.0f} GB. Reduce it."
            )


def arrays(config: Config) -> Iterator[tuple[int, Mapping[str, int]]]:
    """Yield bytes per number and the sizes of arrays that a trial holds at once, by the settings that they follow."""
    flat, lyapunov = config.flat, config.lyapunov
    state = CELLS[config.cell["kind"]](inputs=0, population=1, **config.settings("cell")).state
    data = {f"dataset/{key}": flat[f"dataset/{key}"] for key in ("length", "train") if flat.get(f"dataset/{key}")}
    if data:
        yield SINGLE, data
    if units := ({"cell/units": state} if "cell/units" in flat else {}):
        window = {"windows/length": config.windows.length} if config.windows.length else {}
        yield SINGLE, {"windows/batch": config.windows.batch} | window | units
        exponents = lyapunov.exponents or state
        yield DOUBLE * exponents, {"lyapunov/orbits": lyapunov.orbits} | units
    for key in ("hidden", "bases", "rank"):
        if f"cell/{key}" in flat:
            yield SINGLE, {f"cell/{key}": flat[f"cell/{key}"]} | units
    yield SINGLE, {"training/steps": config.training.steps}
