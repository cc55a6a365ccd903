"""Results that one can hold: of one trained network, and of a sweep."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
from torch import nn

from lyapsweep.config import Config
from lyapsweep.display import html_table, number
from lyapsweep.dynamics import Spectrum
from lyapsweep.forecaster import forecast, to_module
from lyapsweep.results.best import rank_trials
from lyapsweep.results.description import BadTable
from lyapsweep.results.experiment import ExperimentPaths
from lyapsweep.results.record import Record, latest
from lyapsweep.results.table import Table
from lyapsweep.sweep.observe.summary import SweepSummary

if TYPE_CHECKING:
    from plotly.graph_objects import Figure

    from lyapsweep.atlas.findings import Findings


@dataclass(frozen=True, repr=False)
class TrialResult:
    """One trained network.

    Args:
        record: Its last record.
        folder: The results folder that holds it.

    Example:
        >>> import lyapsweep
        >>> result = lyapsweep.train("lorenz63")  # doctest: +SKIP
        >>> result.spectrum.maximum, result.forecast(x, steps=100).shape  # doctest: +SKIP
    """

    record: Record
    folder: Path

    @property
    def config(self) -> Config:
        """All its settings."""
        return self.record.config

    @property
    def spectrum(self) -> Spectrum | None:
        """Its headline Lyapunov spectrum; `record.spectra` holds all."""
        return self.record.spectrum

    @property
    def measures(self) -> dict[str, float]:
        """Its scores on the part of the data by which networks are judged; `record.test` has those on the test part."""
        return self.record.measures

    @property
    def weights(self) -> dict[str, np.ndarray]:
        """Its weights by name."""
        return self.record.weights

    def forecast(self, history: Any, steps: int, inputs: Any = None) -> Any:
        """Forecast the rows that follow a history, by a free run from its last row.

        Args:
            history: Observations in the units of the data, (time, features): an array, tensor or frame, with as many
                rows as the delay coordinates reach back.
            steps: Number of rows to forecast.
            inputs: Of a driven network: the inputs of these rows, (steps, inputs).

        Returns:
            The forecast (steps, features): a frame if the history is one, else an array.

        Raises:
            ValueError: If the network is of a task, or history or inputs do not fit.
        """
        return forecast(self.record, history, steps, inputs)

    def to_torch(self) -> nn.Module:
        """Return the network as a module of torch in double precision, in the units of the data.

        Of a series: `module(observed, steps)`, from (batch, features) to (batch, steps, features). Of a task:
        `module(inputs)`, from (batch, time, inputs) to answers; logits of classes.
        """
        return to_module(self.record)

    def resume(self, steps: int, **settings: Any) -> "TrialResult":
        """Train further, from these weights, with a new optimizer and learning-rate schedule, as a trial of its own.

        Args:
            steps: Number of further updates.
            **settings: As of `lyapsweep.train`, such as `changes={"training/lr": 1e-4}`.
        """
        from lyapsweep.api.training import train

        changes = {"training/steps": steps, **settings.pop("changes", {})}
        place = {"name": self.folder.name, "results": self.folder.parent} | settings
        return train(self.config, changes=changes, weights=self.record, **place)

    @property
    def table(self) -> Table:
        """All its records."""
        files = sorted(ExperimentPaths(self.folder).records.glob(f"{self.record.trial}-*.npz"))
        return Table.of(map(Record.load, files))

    def plot_spectrum(self) -> "Figure":
        """Draw its exponents beside those of the data, where these are known."""
        from lyapsweep.analysis.spectra import spectrum_beside_data

        return spectrum_beside_data.draw(spectrum_beside_data.find(self.table, self.record.trial, self.map))

    def plot_history(self) -> "Figure":
        """Draw its exponents over training."""
        from lyapsweep.analysis.spectra import spectrum_history

        return spectrum_history.draw(spectrum_history.find(self.table, self.record.trial, self.map))

    def plot_orbit(self) -> "Figure":
        """Draw its free run, in the frame of the true series."""
        from lyapsweep.analysis.networks import orbit

        return orbit.draw(orbit.find(self.table, self.record.trial))

    @property
    def map(self) -> str:
        """The map of the headline spectrum."""
        return self.spectrum.map if self.spectrum else ""

    def __repr__(self) -> str:
        return f"TrialResult({self.record!r}, folder={str(self.folder)!r})"

    def _repr_html_(self) -> str:
        return self.record._repr_html_()


@dataclass(frozen=True, repr=False)
class SweepResult:
    """The results of a sweep.

    Args:
        folder: The results folder.
        table: All its records; `table.frame` is a frame of pandas.
        summary: How the sweep ended; None of one that was loaded.

    Example:
        >>> result = SweepResult.load("forcing_interval")  # doctest: +SKIP
        >>> result.best.config.forcing, result.plot_importance()  # doctest: +SKIP
    """

    folder: Path
    table: Table
    summary: SweepSummary | None = None

    @classmethod
    def load(
        cls, experiment: Path | str, results: Path | str = "results", summary: SweepSummary | None = None
    ) -> "SweepResult":
        """Read a results folder, given as a path or as its name below `results`."""
        folder = Path(experiment) if Path(experiment).is_dir() else Path(results) / experiment
        return cls(folder, Table.read(folder), summary)

    @property
    def objective(self) -> str:
        """The column of the objective, such as `measures/state_space`."""
        return self.table.description.objective_column

    @property
    def best(self) -> TrialResult:
        """The best trial of the best setting; `BadTable` if none finished."""
        ranked = rank_trials(self.table)
        if not ranked:
            raise BadTable(
                f"{self.folder}: no trial finished with a finite {self.objective}. See table.finals.frame['outcome']."
            )
        return self.trial(str(self.table.finals.frame["trial"].iloc[ranked[0]]))

    def trial(self, key: str) -> TrialResult:
        """Return one trial by its id, as in the column `trial` of the table."""
        record = latest(ExperimentPaths(self.folder).records, key)
        if record is None:
            raise BadTable(f"{self.folder}: there is no trial {key}. The ids are in the column `trial` of the table.")
        return TrialResult(record, self.folder)

    @property
    def findings(self) -> "Findings":
        """The numbers of the atlas by name (`lyapsweep.findings`)."""
        from lyapsweep.atlas.findings import findings

        return findings(self.table)

    @property
    def atlas(self) -> Path:
        """The HTML report."""
        return ExperimentPaths(self.folder).atlas

    def plot_setting(self, setting: str = "", column: str = "", by: str = "cell/kind") -> "Figure":
        """Draw a column, by default the objective, over a setting, by default the first number that was varied."""
        from lyapsweep.analysis.settings import setting_curve

        if not setting:
            frame = self.table.finals.frame
            numbers = [c for c in self.table.varied if c != "seed" and pd.api.types.is_numeric_dtype(frame[c])]
            setting = (numbers or self.table.varied or [by])[0]
        return setting_curve.draw(setting_curve.find(self.table, setting, column or self.objective, by))

    def plot_importance(self, column: str = "") -> "Figure":
        """Draw how much of a column's variance each varied setting explains."""
        from lyapsweep.analysis.settings import importance

        return importance.draw(importance.find(self.table, column or self.objective))

    def plot_spectra(self, column: str = "") -> "Figure":
        """Draw the spectra of all trials, coloured by a column."""
        from lyapsweep.analysis.spectra import spectra_by_outcome

        found = spectra_by_outcome.find(self.table, column or self.objective, self.best.map)
        return spectra_by_outcome.draw(found)

    def plot_correlation(self) -> "Figure":
        """Draw how statistics of the spectrum are related to the measures."""
        from lyapsweep.analysis.spectra import correlation

        return correlation.draw(correlation.find(self.table))

    def __repr__(self) -> str:
        return f"SweepResult({self.table!r}, folder={str(self.folder)!r})"

    def _repr_html_(self) -> str:
        rows: Mapping[str, str] = {}
        if rank_trials(self.table):
            best = self.best
            settings = {path: str(best.config.flat[path]) for path in self.table.varied if path in best.config.flat}
            name = self.objective.removeprefix("measures/")
            rows = settings | {name: number(best.measures[name]), "trial": best.record.trial}
        title = f"{self.folder.name}: {self.table.sentence}"
        return html_table(title, list(rows.items())) + f"<p>Report: {self.atlas}</p>" * self.atlas.is_file()
