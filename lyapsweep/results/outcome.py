"""How a trial ended."""

from enum import StrEnum


class Outcome(StrEnum):
    """The state of a trial. Divergence is a result, not an error.

    Example:
        >>> Outcome("diverged").final, Outcome.RUNNING.final
        (True, False)
    """

    RUNNING = "running"
    FINISHED = "finished"
    UNBOUNDED = "unbounded"
    DIVERGED = "diverged"
    STOPPED = "stopped"
    FAILED = "failed"

    @property
    def sentence(self) -> str:
        """One sentence that explains the state."""
        return {
            "running": "Training is in progress.",
            "finished": "All steps were trained.",
            "unbounded": "All steps were trained; the trained network's own orbit escapes to infinity.",
            "diverged": "Loss or gradient became infinite or NaN; the network is the last finite one.",
            "stopped": "A scheduler or a user ended training early; the results up to then are recorded.",
            "failed": "An error ended training; the record contains it.",
        }[self.value]

    @property
    def final(self) -> bool:
        """Whether training has ended."""
        return self is not Outcome.RUNNING
