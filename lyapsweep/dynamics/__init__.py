"""What any map does in the long run. Sees maps, never a cell."""

from lyapsweep.dynamics.fixed_points import Found, find_fixed_points, resting_input
from lyapsweep.dynamics.growth import tangent_growth
from lyapsweep.dynamics.line_attractor import Line, kicks, line_scores
from lyapsweep.dynamics.linearisation import Points, input_jacobian
from lyapsweep.dynamics.lyapunov import finite_time_exponents, lyapunov_spectra, mean_exponent
from lyapsweep.dynamics.newton import Search
from lyapsweep.dynamics.spectrum import Spectrum

__all__ = [
    "Found",
    "Line",
    "Points",
    "Search",
    "Spectrum",
    "find_fixed_points",
    "finite_time_exponents",
    "input_jacobian",
    "kicks",
    "line_scores",
    "lyapunov_spectra",
    "mean_exponent",
    "resting_input",
    "tangent_growth",
]
