"""Errors in the code of users: spaces of sweeps, cells, measures and objectives in files of their own."""

import contextlib
import os
import sysconfig
import traceback
from collections.abc import Iterator
from pathlib import Path

LIBRARY = str(Path(__file__).parent)
INSTALLED = tuple({sysconfig.get_path(name) for name in ("stdlib", "platstdlib", "purelib", "platlib")})


@contextlib.contextmanager
def in_this_folder() -> Iterator[None]:
    """Return to the current folder after a file of a user's own was executed: relative paths keep their meaning."""
    here = os.getcwd()
    try:
        yield
    finally:
        os.chdir(here)


def user_place(error: BaseException) -> str:
    """Return "file, line n" of the deepest line outside of the library and of installed packages; "" without one.

    A file is named relative to the current folder where it is below that.

    Args:
        error: An error with its traceback, or a `SyntaxError` of a file.

    Example:
        >>> user_place(ValueError("raised nowhere"))
        ''
    """
    if isinstance(error, SyntaxError) and error.filename and error.lineno and is_users(error.filename):
        return f"{relative(error.filename)}, line {error.lineno}"
    frames = [frame for frame in traceback.extract_tb(error.__traceback__) if is_users(frame.filename)]
    return f"{relative(frames[-1].filename)}, line {frames[-1].lineno}" if frames else ""


def described(error: BaseException) -> str:
    """Return the class and the message of an error, after the place in the user's code where there is one.

    Example:
        >>> described(ZeroDivisionError("division by zero"))
        'ZeroDivisionError: division by zero'
    """
    message = error.msg if isinstance(error, SyntaxError) else str(error)
    text = f"{type(error).__name__}: {message}" if message else type(error).__name__
    place = user_place(error)
    return f"{place}: {text}" if place else text


def is_users(filename: str) -> bool:
    """Whether a file is neither the library's nor an installed package's, nor compiled from text."""
    return not filename.startswith((LIBRARY, *INSTALLED, "<")) and filename.endswith(".py")


def relative(filename: str) -> str:
    """Return a path relative to the current folder if it is below that."""
    path, here = Path(filename).resolve(), Path.cwd()
    return str(path.relative_to(here) if path.is_relative_to(here) else path)
