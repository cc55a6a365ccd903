"""Long-term behaviour of any map: exponents, fixed points, line attractors. Knows maps, not cells."""

from lyapsweep.dynamics.fixed_points import FixedPoints, find_fixed_points, resting_input
from lyapsweep.dynamics.growth import tangent_growth
from lyapsweep.dynamics.line_attractor import LineScores, input_projections, line_scores
from lyapsweep.dynamics.linearisation import Points, input_jacobian
from lyapsweep.dynamics.lyapunov import finite_time_exponents, lyapunov_spectra, mean_exponent
from lyapsweep.dynamics.newton import Search
from lyapsweep.dynamics.spectrum import Spectrum

__all__ = [
    "FixedPoints",
    "LineScores",
    "Points",
    "Search",
    "Spectrum",
    "find_fixed_points",
    "finite_time_exponents",
    "input_jacobian",
    "input_projections",
    "line_scores",
    "lyapunov_spectra",
    "mean_exponent",
    "resting_input",
    "tangent_growth",
]
