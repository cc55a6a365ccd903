"""Exponents of a recorded series, without a model of it: numpy and nearest neighbours, no torch."""

from lyapsweep.timeseries.coordinates import NoExponent
from lyapsweep.timeseries.embedding import AUTOMATIC, Choices
from lyapsweep.timeseries.evidence import verdict
from lyapsweep.timeseries.largest_exponent import Estimate, estimate

__all__ = ["AUTOMATIC", "Choices", "Estimate", "NoExponent", "estimate", "verdict"]
