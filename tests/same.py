"""When two records say the same."""

import numpy as np


def same_to_the_bit(here, there) -> None:
    """All but the provenance, and the last bit of standard errors."""
    assert (here.trial, here.step, here.outcome) == (there.trial, there.step, there.outcome)
    for what in ("measures", "floors", "saturations"):
        np.testing.assert_equal(getattr(there, what), getattr(here, what))
    for what in ("weights", "traces"):
        mine, other = getattr(here, what), getattr(there, what)
        assert mine.keys() == other.keys()
        for name in mine:
            np.testing.assert_array_equal(other[name], mine[name], err_msg=f"{what}/{name}")
    assert here.spectra.keys() == there.spectra.keys()
    for name, spectrum in here.spectra.items():
        np.testing.assert_array_equal(there.spectra[name].exponents, spectrum.exponents)
        # Errors are fitted by LAPACK, whose number of threads decides the last bit.
        np.testing.assert_allclose(there.spectra[name].stderr, spectrum.stderr, rtol=1e-12)
