"""The result of a fit: what was found, where its files are, and forecasts by its network."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from torch import nn

from lyapsweep.display import html_table
from lyapsweep.fitting.budget import Budget
from lyapsweep.fitting.forecasts import Forecasts
from lyapsweep.fitting.ranking import Criterion
from lyapsweep.fitting.reliability import Reliability
from lyapsweep.fitting.search import ConfirmedSetting, Place
from lyapsweep.fitting.search_space import SearchSpace
from lyapsweep.fitting.series_analysis import SeriesAnalysis
from lyapsweep.forecaster import forecast, to_module
from lyapsweep.results.experiment import ExperimentPaths
from lyapsweep.results.record import Record

PAGE, TORCHSCRIPT = "fit.html", "model.pt"


@dataclass(frozen=True, repr=False)
class FitResult:
    """A fitted series.

    Args:
        place: Where its files are.
        analysis: What `suggest` finds in the series.
        space: What was searched.
        budget: How the time was divided.
        criterion: How settings were compared.
        settings: The confirmed settings, best first.
        model: The best network of the best setting.
        forecasts: Forecasts of the test part by the best setting's networks, and by the baselines.
        reliability: Whether to trust the network, and why not.
        searched: Number of networks of the search.
        seconds: How long the fit took.

    Example:
        >>> found = lyapsweep.fit("my.csv", dt=0.03)  # doctest: +SKIP
        >>> found.reliability.verdict, found.model_file.exists()  # doctest: +SKIP
        ('yes', True)
    """

    place: Place
    analysis: SeriesAnalysis
    space: SearchSpace
    budget: Budget
    criterion: Criterion
    settings: tuple[ConfirmedSetting, ...]
    model: Record
    forecasts: Forecasts
    reliability: Reliability
    searched: int
    seconds: float

    @property
    def records(self) -> tuple[Record, ...]:
        """The networks of the best setting, trained from fresh seeds."""
        return self.settings[0].records

    @property
    def model_file(self) -> Path:
        """The record of the model."""
        return ExperimentPaths(self.place.confirmed).records / self.model.filename

    @property
    def files(self) -> tuple[tuple[str, str], ...]:
        """What was written, as (what, place)."""
        folder, name = self.place.folder, self.place.name
        found = {
            "report": folder / PAGE,
            "model as TorchScript": folder / TORCHSCRIPT,
            "model as a record": self.model_file,
            "atlas of the search": ExperimentPaths(folder).atlas,
            "atlas of the confirmation": ExperimentPaths(self.place.confirmed).atlas,
            "sweep file": folder / f"{name}.py",
            "config": folder / f"{name}.yaml",
        }
        return tuple((what, str(place)) for what, place in found.items() if place.exists())

    def forecast(self, history: Any, steps: int, inputs: Any = None) -> Any:
        """Forecast the rows that follow a history, by the model.

        Args:
            history: Rows of the series in its own units, (time, columns), at least as many as the delay embedding
                spans; (time,) for one column. An array, tensor or frame.
            steps: Number of rows to forecast.
            inputs: The inputs of these rows, (steps, inputs), of a series with inputs.

        Returns:
            (steps, columns): a frame if the history is one, else an array.

        Raises:
            ValueError: If the history is too short, or inputs are missing.
        """
        return forecast(self.model, history, steps, inputs)

    def to_torch(self) -> nn.Module:
        """Return the model as a module of torch, as `TrialResult.to_torch`: `module(observed, steps)`."""
        return to_module(self.model)

    def __repr__(self) -> str:
        return f"FitResult({str(self.place.folder)!r}, trusted={self.reliability.verdict!r})"

    def _repr_html_(self) -> str:
        from lyapsweep.fitting import report  # which takes a result

        verdict = html_table(report.headline(self), [(sentence,) for sentence in self.reliability.sentences])
        return verdict + "".join(html_table(t.title, t.rows, t.heads) for t in report.tables(self))
