"""How much work a call is, counted and not timed: the lines of Python that it runs."""

import sys
from collections.abc import Callable
from typing import Any


def lines(job: Callable[[], Any]) -> int:
    """Lines that `job` runs in this thread; each turn of a loop counts, of a comprehension too."""
    count = 0

    def trace(frame: Any, event: str, argument: Any) -> Any:
        nonlocal count
        count += event == "line"
        return trace

    before = sys.gettrace()
    sys.settrace(trace)
    try:
        job()
    finally:
        sys.settrace(before)
    return count
