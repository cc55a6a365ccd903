"""`register`: a short name for a cell, measure or other member of one's own, in this process."""

from collections.abc import Callable
from typing import Any, TypeVar

from lyapsweep.config import FAMILIES
from lyapsweep.measures import MEASURES
from lyapsweep.registry import unknown

Member = TypeVar("Member")
REGISTRIES = {**FAMILIES, "measure": MEASURES}


def register(family: str, name: str | None = None) -> Callable[[Member], Member]:
    """Decorate a class or function as a member of a family: configs of this process may call it by a short name.

    A config holds it as `name:digest`, by the digest of its source, so that another source makes another trial. Workers
    get it from the driver. To read or resume the trials in another process, define and register the same source there;
    for anything that lasts, put it into a file and name it `path/to/file.py:Name`.

    Args:
        family: "cell", "readout", "init", "forcing", "dataset" or "measure".
        name: What configs call it; by default its own name.

    Returns:
        A decorator that returns the class or function unchanged.

    Raises:
        UnknownName: If there is no such family.
        ValueError: If the library has a member of this name.

    Example:
        >>> import torch
        >>> @register("init", "narrow")
        ... def narrow(rows, columns, generator, *, width: float = 0.1):
        ...     return width * torch.randn(rows, columns, generator=generator, dtype=torch.float64)
        >>> from lyapsweep import Config
        >>> settings = {"dataset": {"kind": "simulated", "system": "henon"}, "cell": {"kind": "gru"}}
        >>> config = Config.of(settings | {"init": {"kind": "narrow"}})
        >>> config.init["kind"].partition(":")[0], config.init["width"]
        ('narrow', 0.1)
    """
    if family not in REGISTRIES:
        raise unknown("family", family, list(REGISTRIES), "register")

    def keep(member: Any) -> Any:
        REGISTRIES[family].register(name or member.__name__, member)
        return member

    return keep
