"""SYSTEMS: maps and flows with known exponents, for tests of the exponents and as sources of data."""

from numbers import Real
from typing import Any

from lyapsweep.dysts_table import table, usable_flows
from lyapsweep.registry import Registry, UnknownName, nearest
from lyapsweep.setting_types import cut
from lyapsweep.systems.cat import Cat
from lyapsweep.systems.duffing import Duffing
from lyapsweep.systems.dysts_flow import DystsFlow, UnusableFlow
from lyapsweep.systems.ginibre import Ginibre
from lyapsweep.systems.henon import Henon
from lyapsweep.systems.linear import Linear
from lyapsweep.systems.logistic import Logistic
from lyapsweep.systems.lorenz63 import Lorenz63
from lyapsweep.systems.lorenz96 import Lorenz96
from lyapsweep.systems.mackey_glass import MackeyGlass
from lyapsweep.systems.roessler import Roessler
from lyapsweep.systems.system import AbstractFlow, AbstractSystem, KnownExponents
from lyapsweep.systems.tanh_flow import TanhFlow
from lyapsweep.systems.tanh_map import TanhMap
from lyapsweep.systems.tent import Tent

SYSTEMS: Registry = Registry(
    "system",
    {
        "linear": Linear,
        "henon": Henon,
        "lorenz63": Lorenz63,
        "roessler": Roessler,
        "lorenz96": Lorenz96,
        "duffing": Duffing,
        "mackey_glass": MackeyGlass,
        "tent": Tent,
        "logistic": Logistic,
        "cat": Cat,
        "tanh_map": TanhMap,
        "tanh_flow": TanhFlow,
        "ginibre": Ginibre,
    },
)

__all__ = ["SYSTEMS", "AbstractFlow", "AbstractSystem", "DystsFlow", "KnownExponents", "UnusableFlow", "build", "names"]


def names() -> list[str]:
    """List every name that `build` accepts: the systems of this package, then the flows of dysts without delay.

    Returns:
        Names.

    Example:
        >>> "lorenz63" in names(), "Halvorsen" in names()
        (True, True)
    """
    return [*SYSTEMS, *usable_flows()]


def build(name: str, step: float | None = None, **parameters: Any) -> AbstractSystem:
    """Build a system by its name, or a flow of dysts.

    Args:
        name: A name of `names()`, or `path/to/file.py:Name`.
        step: Time of one step of a flow; None (the default) is the system's own. It may also be given as `dt`.
        **parameters: Parameters of the system.

    Returns:
        The system.

    Raises:
        UnknownName: If nothing has that name, or the system has no such parameter.
        UnusableFlow: If dysts has the flow but it is no autonomous map of finitely many coordinates.
        ValueError: If a parameter is not a number, or two different steps are given.

    Example:
        >>> build("lorenz63", rho=38.0).rho
        38.0
    """
    if step is not None and (given := parameters.setdefault("dt", step)) is not step and given != step:  # NaN != NaN
        raise ValueError(f"{name}: step={step} and dt={parameters['dt']} differ. Give one of them.")
    if name in SYSTEMS:
        SYSTEMS.check(name, parameters)
        for parameter, value in parameters.items():
            if SYSTEMS.knobs(name)[parameter].annotation in (float, int) and not isinstance(value, Real):
                raise ValueError(f"system '{name}': {parameter} must be a number, but got {value!r}. Give a number.")
        return SYSTEMS[name](**parameters)
    if name in table():
        return DystsFlow(name, **parameters)
    near = nearest(str(name), names())
    hint = f" Did you mean '{near}'?" if near else ""
    others = len(names()) - len(SYSTEMS)
    raise UnknownName(
        f"No system is called '{cut(str(name))}'.{hint} Known: {', '.join(SYSTEMS)}, and {others} flows of dysts."
    )
