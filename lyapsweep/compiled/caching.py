"""Compiled functions of a cell that a second process finds in numba's disk cache.

numba finds a cached function by its file, name and bytecode; it sees neither that a global name stands for another
cell's function, nor that the file of a function it calls has changed. Both are in the name here, as a digest.
"""

import hashlib
import inspect
import types
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numba
from numba.core.dispatcher import Dispatcher

from lyapsweep.compiled.scalars import OPTIONS


def sources_digest(*functions: Callable[..., Any]) -> str:
    """A digest of all files of this package and of the files in which the functions are defined."""
    files = {*Path(__file__).parent.glob("*.py"), *(Path(inspect.getfile(f)) for f in functions)}
    text = b"".join(file.read_bytes() for file in sorted(files))
    return hashlib.sha256(text).hexdigest()[:16]


def specialise(function: Callable[..., Any], digest: str, **names: Any) -> Dispatcher:
    """Compile a module-level function (at its first call) in which some global names stand for others.

    Args:
        function: A plain function of this package.
        digest: `sources_digest` of all that the names stand for.
        **names: What global names of the function stand for.

    Raises:
        RuntimeError: If no folder can hold the cache.
    """
    copy = types.FunctionType(function.__code__, {**function.__globals__, **names}, function.__name__)
    copy.__qualname__, copy.__module__ = f"{function.__name__}_{digest}", function.__module__
    return numba.njit(**OPTIONS, cache=True)(copy)
