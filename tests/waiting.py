"""How long tests wait: what they assert is true on a machine of any load."""

import os

HANGS = 1800  # seconds after which a process hangs


def patience(seconds: float) -> float:
    """Seconds in which this machine does what takes `seconds` where nothing else runs."""
    return seconds * max(1.0, os.getloadavg()[0] / (os.cpu_count() or 1))
