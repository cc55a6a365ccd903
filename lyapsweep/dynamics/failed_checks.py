"""The messages of a spectrum whose checks fail."""

import math
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from lyapsweep.dynamics.spectrum import Spectrum

TOLERANCE = 1e-3  # nats per step, or relative error of one factor
AGREEMENT = 1e-6  # nats per step that halves may differ by beyond ten standard errors


def warnings_of(spectrum: "Spectrum") -> list[str]:
    """One message per check that the exponents fail."""
    checks, noise = spectrum.checks, 10 * float(np.nanmax(spectrum.stderr, initial=0.0)) + AGREEMENT
    noise = math.inf if spectrum.without_error else noise
    messages = []
    if spectrum.escaped:
        messages.append(
            f"{spectrum.escaped} of {spectrum.orbits} orbits escape to infinity. Growth rates of such orbits are no "
            "exponents of an attractor. Change the parameters, or start elsewhere."
        )
    if spectrum.attractors:
        each = ", ".join(
            f"lambda_1 = {a.exponents[0]:.4g} of {a.orbits} of {spectrum.orbits} orbits" for a in spectrum.attractors
        )
        messages.append(
            f"The orbits end on {len(spectrum.attractors)} attractors: {each}. The exponents are those of the first."
        )
    if unknown := spectrum.without_error:
        messages.append(
            f"{unknown} of {len(spectrum.exponents)} exponents have no standard error: {spectrum.orbits} orbits of "
            f"{spectrum.steps} steps hold too few independent blocks. Use more steps or orbits."
        )
    if checks.get("resolution", 0.0) > TOLERANCE:
        messages.append(
            f"Rounding may dominate the lowest exponents (relative error {checks['resolution']:.1g} in one "
            "step). Factorise more often, or use double precision."
        )
    if checks.get("sum_rule", 0.0) > TOLERANCE:
        messages.append(
            f"The exponents miss the mean log |det Df| by {checks['sum_rule']:.2g} nats per step. Some are wrong."
        )
    if checks.get("halves", 0.0) > noise:
        messages.append(
            f"The two halves of the run differ by {checks['halves']:.2g} nats per step. Use more warmup or steps."
        )
    if checks.get("orbits", 0.0) > noise:
        messages.append(f"The orbits differ by {checks['orbits']:.2g} nats per step. There may be several attractors.")
    if "zero" in checks and not spectrum.zero_found:
        messages.append(
            f"No exponent of this flow is zero (nearest {checks['zero']:.2g} per step). Use more steps or a smaller dt."
        )
    return messages
