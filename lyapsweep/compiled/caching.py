"""Compiled functions of a cell that a second process finds in numba's disk cache.

numba finds a cached function by its file, name and bytecode; it sees neither that a global name stands for another
cell's function, nor that the file of a function it calls has changed. Both are in the name here, as a digest.
"""

import hashlib
import inspect
import os
from collections.abc import Callable, Mapping
from dataclasses import fields
from pathlib import Path
from types import FunctionType, MappingProxyType
from typing import Any

from lyapsweep import in_memory

WAIT = 120.0  # seconds for another process that compiles the same


def sources_digest(name: str, *functions: Callable[..., Any]) -> str:
    """A digest of a name, of all files of this package and of the files in which the functions are defined.

    A function of a notebook's cell, which no file holds, counts by its source.
    """
    files = {*Path(__file__).parent.glob("*.py"), *(Path(inspect.getfile(f)) for f in functions)}
    text = name.encode() + b"".join(file.read_bytes() for file in sorted(files) if file.is_file())
    loose = [f for f in functions if not Path(inspect.getfile(f)).is_file()]
    text += "".join(part for f in loose for part in in_memory.described(f, set())).encode()
    return hashlib.sha256(text).hexdigest()[:16]


def statement_digest(name: str, statement: Any) -> str:
    """A digest of what is compiled, `name`, and of the `Elementwise` that it is made of."""
    values = [getattr(statement, field.name) for field in fields(statement)]
    said = [f"{v.__module__}.{v.__qualname__}" if callable(v) else v for v in values]
    return sources_digest(f"{name} {said!r}", *(value for value in values if callable(value)))


def renamed(function: Callable[..., Any], digest: str, names: Mapping[str, Any] = MappingProxyType({})) -> FunctionType:
    """A copy of a module-level function in which some global names stand for others.

    Args:
        function: A plain function of this package.
        digest: Becomes a part of its name: `sources_digest` of all that the names stand for.
        names: What global names of the function stand for.
    """
    seen = {**function.__globals__, **names} if names else function.__globals__  # which may grow yet
    copy = FunctionType(function.__code__, seen, function.__name__)
    copy.__qualname__, copy.__module__ = f"{function.__name__}_{digest}", function.__module__
    return copy


def compiled(
    function: Callable[..., Any], digest: str = "", names: Mapping[str, Any] = MappingProxyType({}), **options: Any
) -> Any:
    """A `renamed` function that numba compiles at its first call or reads from its disk cache.

    Of several processes that need it at once, one compiles, and the others wait for what it writes.

    Args:
        function: A plain function of this package.
        digest: `sources_digest` of all that its global names stand for; by default of this package.
        names: As in `renamed`.
        **options: Of `numba.njit`.
    """
    import numba
    from filelock import FileLock, Timeout

    made: Any = numba.njit(**options, cache=True)(renamed(function, digest or sources_digest(function.__name__), names))
    name, compile_alone = made.py_func.__qualname__, made.compile
    file = Path(made.stats.cache_path) / f"{function.__module__}.{name}.lock"

    def compile_once(signature: Any) -> Any:
        lock = FileLock(file)
        try:
            lock.acquire(timeout=WAIT)
        except (Timeout, OSError, NotImplementedError):  # a file system may have no locks
            return compile_alone(signature)
        try:
            return compile_alone(signature)
        finally:
            lock.release()

    made.compile = compile_once
    return made


def cache_is_writable() -> bool:
    """Whether numba finds a folder for its cache: that of this package, the user's, or NUMBA_CACHE_DIR."""
    import numba

    try:
        numba.njit(cache=True)(cache_is_writable)
    except RuntimeError:
        return False
    return True


def is_cached(name: str, digest: str) -> bool:
    """Whether some folder of numba's cache holds a `renamed` function; needs no numba."""
    given = os.environ.get("NUMBA_CACHE_DIR")
    folders = [Path(given)] if given else [Path(__file__).parent / "__pycache__", Path.home() / ".cache" / "numba"]
    return any(True for folder in folders for _ in folder.rglob(f"*.{name}_{digest}-*.nbi"))
