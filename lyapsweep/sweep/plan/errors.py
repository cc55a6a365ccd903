"""The error of everything that plans or runs a sweep."""


class SweepError(ValueError):
    """A sweep that cannot be run; the message names the place, the value and the remedy."""
