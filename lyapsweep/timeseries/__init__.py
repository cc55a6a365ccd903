"""Exponents of a recorded series, without a model of it: numpy and nearest neighbours, no torch."""

from lyapsweep.timeseries.coordinates import NoExponent
from lyapsweep.timeseries.largest_exponent import Estimate, estimate

__all__ = ["Estimate", "NoExponent", "estimate"]
