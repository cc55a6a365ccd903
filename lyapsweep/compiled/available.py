"""Whether exponents are measured by compiled loops in this process."""

from lyapsweep.compiled.engine import COMPILED, engine_of


def compiled_available() -> bool:
    """Whether compiled loops can run here and are not switched off (`engine`)."""
    return engine_of("exponents", None) == COMPILED
