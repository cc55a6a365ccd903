"""Whether compiled loops can run in this process."""

from functools import cache
from importlib.util import find_spec


@cache
def compiled_available() -> bool:
    """Whether numba is installed."""
    return find_spec("numba") is not None
