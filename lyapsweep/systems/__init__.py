"""The systems we know the truth about: what the exponent engine is proved on and what data are simulated from."""

import difflib
from numbers import Real
from typing import Any

from lyapsweep.registry import Registry, UnknownName
from lyapsweep.systems.cat import Cat
from lyapsweep.systems.duffing import Duffing
from lyapsweep.systems.dysts_flow import DystsFlow, UnusableFlow
from lyapsweep.systems.equations import table
from lyapsweep.systems.ginibre import Ginibre
from lyapsweep.systems.henon import Henon
from lyapsweep.systems.linear import Linear
from lyapsweep.systems.logistic import Logistic
from lyapsweep.systems.lorenz63 import Lorenz63
from lyapsweep.systems.lorenz96 import Lorenz96
from lyapsweep.systems.mackey_glass import MackeyGlass
from lyapsweep.systems.roessler import Roessler
from lyapsweep.systems.system import AbstractFlow, AbstractSystem, Known
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

__all__ = ["SYSTEMS", "AbstractFlow", "AbstractSystem", "DystsFlow", "Known", "UnusableFlow", "build", "names"]


def names() -> list[str]:
    """Every name that `build` takes: the systems above, then the flows of dysts (delay equations are none)."""
    return [*SYSTEMS, *sorted(name for name, entry in table().items() if not entry["delay"])]


def build(name: str, step: float | None = None, **parameters: Any) -> AbstractSystem:
    """The system of that name, or else the flow of dysts: `build("lorenz63", rho=38.0)`, `build("Halvorsen")`.

    `step` is the time of one step of a flow, the system's own where None; it may stand among the parameters, as `dt`.
    Raises `UnknownName` where nothing has that name or the system has no such parameter, `UnusableFlow` where dysts has
    it and it cannot be stepped, ValueError where a parameter is no number or two steps are given.
    """
    if step is not None and parameters.setdefault("dt", step) != step:
        raise ValueError(f"{name}: one dt is wanted, but got {step} and, among the parameters, {parameters['dt']}.")
    if name in SYSTEMS:
        SYSTEMS.check(name, parameters)
        for knob, value in parameters.items():
            if SYSTEMS.knobs(name)[knob].annotation in (float, int) and not isinstance(value, Real):
                raise ValueError(f"{knob} of system '{name}' must be a number, but got {value!r}.")
        return SYSTEMS[name](**parameters)
    if name in table():
        return DystsFlow(name, **parameters)
    near = difflib.get_close_matches(str(name), names(), n=1, cutoff=0.5)
    hint = f" Did you mean '{near[0]}'?" if near else ""
    others = len(names()) - len(SYSTEMS)
    raise UnknownName(f"No system is called '{name}'.{hint} Known: {', '.join(SYSTEMS)}, and {others} flows of dysts.")
