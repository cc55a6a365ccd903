"""Which engine trains networks and measures exponents in this process: torch, or compiled loops where they can."""

import importlib.util
import logging
import os
from functools import cache

from lyapsweep.registry import unknown

log = logging.getLogger("lyapsweep")
ENGINES = ("auto", "torch", "compiled")
VARIABLE = "LYAPSWEEP_ENGINE"
TORCH, COMPILED = "torch", "compiled"


class EngineError(ValueError):
    """The compiled engine was asked for where it cannot run."""


def chosen_engine() -> str:
    """Return the engine that LYAPSWEEP_ENGINE asks for, "auto" if it is not set.

    Raises:
        UnknownName: If it is neither auto, torch nor compiled.

    Example:
        >>> chosen_engine() in ENGINES
        True
    """
    name = os.environ.get(VARIABLE) or "auto"
    if name not in ENGINES:
        raise unknown("engine", name, list(ENGINES), VARIABLE)
    return name


def choose_engine(name: str) -> None:
    """Set the engine of this process and of those that it starts.

    Args:
        name: "auto", "torch", or "compiled", which refuses what compiled loops do not cover.

    Example:
        >>> before = chosen_engine()
        >>> choose_engine("torch")
        >>> chosen_engine()
        'torch'
        >>> choose_engine(before)
    """
    os.environ[VARIABLE] = name


@cache
def missing() -> str | None:
    """Why no compiled loop can run in this process; None if they can."""
    if importlib.util.find_spec("numba") is None:
        return "numba is not installed"
    try:
        from lyapsweep.compiled import blas, caching
    except Exception as error:  # a numba, llvmlite or SciPy that do not fit each other
        return f"numba cannot be used ({type(error).__name__}: {error})"
    if (integers := blas.integer_type()) != "int":
        return f"SciPy's BLAS takes integers of type {integers}"
    if not caching.cache_is_writable():
        return "no folder for numba's cache can be written; set NUMBA_CACHE_DIR"
    return None


def engine_of(what: str, obstacle: str | None) -> str:
    """Return the engine for one piece of work, and log once why it is torch.

    Args:
        what: The work, such as "training".
        obstacle: Why compiled loops do not cover it; None if they do.

    Raises:
        EngineError: If the compiled engine was asked for and cannot run.

    Example:
        >>> engine_of("training", "sbo has no compiled loops")
        'torch'
    """
    name = chosen_engine()
    if name == TORCH:
        return TORCH
    reason = missing() or obstacle
    if reason is None:
        return COMPILED
    if name == COMPILED:
        raise EngineError(f"engine: {what} cannot run on 'compiled': {reason}. Use auto or torch.")
    tell(f"{what} runs on torch, not on compiled loops: {reason}.")
    return TORCH


def compiled_available() -> bool:
    """Whether exponents are measured by compiled loops in this process."""
    return engine_of("exponents", None) == COMPILED


@cache
def tell(sentence: str) -> None:
    """Log a sentence once per process."""
    log.info("%s", sentence)
