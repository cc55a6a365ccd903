"""Spectra and evidence of networks on held-out series, tasks and streams, in double precision."""

from typing import Any

from lyapsweep.compat import moved_names

moved = moved_names("lyapsweep.evaluation", "lyapsweep.evaluation.series")


def __getattr__(name: str) -> Any:
    """The names of version 0.1, when this package was a module."""
    if name == "in_double":
        prepare = moved("prepare")
        return lambda network, problem: prepare(network, problem.series)[:2]
    return moved(name)
