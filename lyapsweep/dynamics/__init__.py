"""What any map does in the long run. Sees maps, never a cell."""

from lyapsweep.dynamics.lyapunov import lyapunov_spectra, tangent_growth
from lyapsweep.dynamics.spectrum import Spectrum

__all__ = ["Spectrum", "lyapunov_spectra", "tangent_growth"]
