"""How a spectrum is shown: as one line, as a table of a notebook, and as a figure."""

import importlib
from typing import Any

import numpy as np

from lyapsweep.display import html_table

SHOWN = 6  # exponents of one line


class SpectrumDisplay:
    """The part of `Spectrum` that shows it."""

    exponents: np.ndarray
    stderr: np.ndarray
    per_time: Any
    stderr_per_time: Any
    kaplan_yorke: Any
    dt: float | None
    map: str

    def __repr__(self) -> str:
        found = ", ".join(f"{value:.4g}" for value in self.exponents[:SHOWN])
        more = f", ... ({len(self.exponents)})" if len(self.exponents) > SHOWN else ""
        return f"Spectrum({self.map}: {found}{more} nats per step; D_KY = {self.kaplan_yorke:.4g})"

    def _repr_html_(self) -> str:
        names = ["exponent", "nats per step", "standard error"]
        columns = [self.exponents, self.stderr]
        if self.dt:
            names += ["nats per unit time", "standard error"]
            columns += [self.per_time, self.stderr_per_time]
        rows = [(i + 1, *(f"{column[i]:.4g}" for column in columns)) for i in range(len(self.exponents))]
        return html_table(f"{self.map}, Kaplan-Yorke dimension {self.kaplan_yorke:.4g}", rows, names)

    def plot(self) -> Any:
        """Draw the exponents and their partial sums, per unit time where there is one.

        Returns:
            A figure of plotly.

        Raises:
            ValueError: If the exponents are not finite.
        """
        spectrum = importlib.import_module(
            "lyapsweep.analysis.spectra.spectrum"
        )  # a layer above, loaded when asked for
        return spectrum.draw(spectrum.find(self, "Lyapunov spectrum"))
