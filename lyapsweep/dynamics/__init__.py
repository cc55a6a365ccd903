"""What any map does in the long run. Sees maps, never a cell."""

from lyapsweep.dynamics.growth import tangent_growth
from lyapsweep.dynamics.lyapunov import finite_time_exponents, lyapunov_spectra, mean_exponent
from lyapsweep.dynamics.spectrum import Spectrum

__all__ = ["Spectrum", "finite_time_exponents", "lyapunov_spectra", "mean_exponent", "tangent_growth"]
