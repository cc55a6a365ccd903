"""`Table`: the records of an experiment as one table, which every analysis reads."""

import json
import logging
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from lyapsweep.config import Config
from lyapsweep.display import html_frame
from lyapsweep.dynamics.spectrum import Spectrum
from lyapsweep.registry import unknown
from lyapsweep.results.description import BadTable, SweepDescription
from lyapsweep.results.experiment import ExperimentPaths
from lyapsweep.results.mixed_inputs import mixed_inputs
from lyapsweep.results.record import SCORES, Record, load_folder

if TYPE_CHECKING:
    import xarray

log = logging.getLogger("lyapsweep")

ENDS = ("low", "high")  # of an interval
KEYS = ("trial", "step", "outcome", "final", "seconds")
MEASURED = (*(f"{name}/" for name in SCORES), "spectra/", "data/", "provenance/")


@dataclass(frozen=True)
class RunLinks:
    """Where the MLflow runs of trials are shown.

    Args:
        addresses: URL of each trial's run.
        command: The command that must run for the URLs to answer; "" if a server does.
    """

    addresses: dict[str, str]
    command: str = ""


@dataclass(frozen=True, repr=False)
class Table:
    """The records of an experiment: one row per record, in the order of trial and step.

    Args:
        frame: The scalars. Columns: trial, step, outcome, final (whether the record is the one that its trial ended
            with, or the latest of a trial that is running), seconds; every path of the configuration
            (forcing/interval, cell/kind, ...; lists as JSON text); `measures/<name>`, `floors/<name>`,
            `saturations/<name>`, `surrogates/<name>/<surrogate>`, `test/<name>`, `test_floors/<name>`;
            `spectra/<map>/<statistic>` (maximum, sum, mean, kaplan_yorke, entropy_rate, positive; nats per step),
            `spectra/<map>/kaplan_yorke/low` and `/high`: the dimensions that the errors of the exponents allow;
            `data/<key>`; `provenance/<key>` (nested values as JSON text).
        spectra: Exponents by map, shape (rows, k), nats per step, largest first; NaN where a row has no such exponent
            or its orbit is unbounded, -inf where a direction is annihilated.
        spectra_stderr: Their standard errors, of the same shape.
        traces: The arrays of each row, by name.
        description: What the sweep was: its question, its objective, its command.
        networks: Configuration and weights of each row; the weights are empty where a record has none.
        links: Addresses of the trials' runs, where a tracking store knows them.

    Example:
        >>> from lyapsweep.results.record import Outcome
        >>> config = Config.of({"dataset": {"kind": "simulated", "system": "henon"}, "cell": {"kind": "lstm"}})
        >>> trials = [config, config.changed({"seed": 1})]
        >>> table = Table.of(Record(c, 9, Outcome.FINISHED, measures={"loss": 0.5}) for c in trials)
        >>> table.varied, len(table.finals), sorted(table.column("seed"))
        (['seed'], 2, [0, 1])
    """

    frame: pd.DataFrame
    spectra: dict[str, np.ndarray] = field(default_factory=dict)
    spectra_stderr: dict[str, np.ndarray] = field(default_factory=dict)
    traces: list[dict[str, np.ndarray]] = field(default_factory=list)
    description: SweepDescription = field(default_factory=SweepDescription)
    networks: list[tuple[Config, dict[str, np.ndarray]]] = field(default_factory=list)
    links: RunLinks | None = None

    @classmethod
    def of(cls, records: Iterable[Record], description: SweepDescription | None = None) -> "Table":
        """Build a table of records in any order; of two records of one trial and step the later one counts."""
        kept = {(r.trial, r.step): r for r in records}
        rows = [kept[key] for key in sorted(kept)]
        last = {r.trial: r.step for r in sorted(rows, key=lambda r: (r.outcome.final, r.step))}
        frame = pd.DataFrame([record_row(r, final=r.step == last[r.trial]) for r in rows])
        if not len(frame):
            frame = pd.DataFrame({name: [] for name in KEYS})
        for sentence in mixed_inputs(frame):
            log.warning("%s", sentence)
        maps = list(dict.fromkeys(name for r in rows for name in r.spectra))
        return cls(
            frame=frame,
            spectra={m: pad_rows([bounded(r.spectra.get(m), "exponents") for r in rows]) for m in maps},
            spectra_stderr={m: pad_rows([bounded(r.spectra.get(m), "stderr") for r in rows]) for m in maps},
            traces=[dict(r.traces) for r in rows],
            description=description or SweepDescription(),
            networks=[(r.config, r.weights) for r in rows],
        )

    @classmethod
    def read(cls, folder: Path | str, trust: bool = False) -> "Table":
        """Read every record below a folder, and its sweep.json if there is one.

        Args:
            folder: A results folder. Each file is opened once.
            trust: Whether Python files that the records name may be executed whoever wrote them (`lyapsweep.trust`).

        Returns:
            The table of all records.

        Raises:
            BadTable: If there is no such folder, or sweep.json does not describe a sweep.
            BadRecord: If a file is not a record.
        """
        folder = Path(folder)
        if not folder.is_dir():
            raise BadTable(f"There is no folder {folder}. Name a folder that a sweep wrote its records to.")
        return cls.of(load_folder(folder, trust), SweepDescription.load(ExperimentPaths(folder).description))

    def __len__(self) -> int:
        return len(self.frame)

    def __repr__(self) -> str:
        return f"Table({self.sentence})"

    def _repr_html_(self) -> str:
        columns = [c for c in ("trial", *self.varied, "outcome", self.description.objective_column) if c in self.frame]
        return html_frame(f"{self.sentence}; table.frame holds all columns", self.frame.loc[self.last, columns])

    @property
    def sentence(self) -> str:
        """What it holds, such as "63 trials, 189 records, 86 columns"."""
        return f"{int(self.last.sum())} trials, {len(self)} records, {len(self.frame.columns)} columns"

    @property
    def last(self) -> np.ndarray:
        """Which rows are the last record of their trial."""
        return self.frame["final"].to_numpy(bool) if "final" in self.frame else np.ones(len(self), bool)

    def column(self, name: str) -> pd.Series:
        """Return a column of `frame`; an unknown name raises `UnknownName` with the nearest one."""
        if name not in self.frame:
            raise unknown("column", name, [str(c) for c in self.frame.columns], "table")
        column = self.frame[name]
        assert isinstance(column, pd.Series), f"two columns are called {name}"
        return column

    def take(self, rows: np.ndarray) -> "Table":
        """Return the table of some rows, given by a mask or by positions."""
        positions = np.flatnonzero(rows) if np.asarray(rows).dtype == bool else np.asarray(rows, int)
        return replace(
            self,
            frame=self.frame.iloc[positions].reset_index(drop=True),
            spectra={m: values[positions] for m, values in self.spectra.items()},
            spectra_stderr={m: values[positions] for m, values in self.spectra_stderr.items()},
            traces=[self.traces[i] for i in positions] if self.traces else [],
            networks=[self.networks[i] for i in positions] if self.networks else [],
        )

    def to_xarray(self, *dims: str) -> "xarray.Dataset":
        """Return the table as arrays with named dimensions, such as `table.finals.to_xarray(*table.varied)`.

        Variables and dimensions are called as the columns are, with "." for "/", which netCDF reserves
        (`forcing.interval`), so that `to_netcdf` writes the dataset.

        Args:
            *dims: Columns that together identify a row; each becomes a dimension. Without any, the dimension is `row`.

        Returns:
            A dataset with a variable for every other column, NaN where no row has these coordinates, and with
            `spectra.<map>` and `spectra_stderr.<map>` of shape (..., exponent), nats per step; exponents count from 1.

        Raises:
            ImportError: If xarray is not installed.
            UnknownName: If there is no such column.
            BadTable: If two rows have the same coordinates, or a row lacks one.
        """
        return to_dataset(self, dims)

    @property
    def finals(self) -> "Table":
        """The last record of every trial; of a trial that still runs, the latest."""
        return self.take(self.last)

    @property
    def settings(self) -> list[str]:
        """The columns that are paths of the configuration."""
        return [str(c) for c in self.frame.columns if c not in KEYS and not str(c).startswith(MEASURED)]

    @property
    def varied(self) -> list[str]:
        """The columns of what the sweep varied.

        Those that the description names, a section standing for those of its settings that take more than one value;
        or else every setting that takes more than one value.
        """
        moving = [c for c in self.settings if moves(self.frame[c])]
        named = self.description.varied
        if not named:
            return moving
        columns = [[p] if p in self.frame else [c for c in moving if c.startswith(f"{p}/")] for p in named]
        return list(dict.fromkeys(c for part in columns for c in part))


def to_dataset(table: Table, dims: Sequence[str]) -> "xarray.Dataset":
    """See `Table.to_xarray`."""
    try:
        import xarray
    except ImportError as error:
        raise ImportError('Table.to_xarray needs xarray: pip install "lyapsweep[xarray]".') from error
    variables: dict[str, Any] = {str(name): ("row", one_type(column)) for name, column in table.frame.items()}
    for what, kinds in (("spectra", table.spectra), ("spectra_stderr", table.spectra_stderr)):
        longest = max((values.shape[1] for values in kinds.values()), default=0)
        for kind, values in kinds.items():
            filled = np.pad(values, ((0, 0), (0, longest - values.shape[1])), constant_values=np.nan)
            variables[f"{what}/{kind}"] = (("row", "exponent"), filled)
    sizes = [values.shape[1] for values in table.spectra.values()]
    found = xarray.Dataset(
        {dotted(name): value for name, value in variables.items()},
        {"exponent": np.arange(1, max(sizes, default=0) + 1)},
        attrs={key: as_attribute(value) for key, value in table.description.to_dict().items()},
    )
    if not dims:
        return found
    places = pd.concat([table.column(name) for name in dims], axis=1)
    if bool(places.isna().to_numpy().any()) or bool(places.duplicated().any()):
        raise BadTable(
            f"{', '.join(dims)}: two of the {len(table)} rows have the same values, or a row has none. "
            "Add the setting in which they differ."
        )
    found = found.set_index(row=list(map(dotted, dims)))
    found = found.unstack("row") if len(dims) > 1 else found.rename(row=dotted(dims[0]))  # noqa: PD010  # not pandas
    return found.transpose(..., "exponent")


def dotted(name: str) -> str:
    """Return the name of a column as netCDF allows it."""
    return name.replace("/", ".")


def as_attribute(value: Any) -> str | int | float:
    """Return an entry of the description as an attribute: netCDF takes text and numbers, the rest is JSON text."""
    return value if isinstance(value, str | int | float) and not isinstance(value, bool) else json.dumps(value)


def one_type(column: pd.Series) -> np.ndarray:
    """Return a column as an array of one type: columns of numbers and gaps as floats, other mixtures as text."""
    values = column.to_numpy()
    if values.dtype != object:
        return values
    known = column.dropna()
    if known.map(lambda value: isinstance(value, bool | int | float)).all():
        return column.astype(float).to_numpy()
    return column.map(lambda value: "" if pd.isna(value) else str(value)).to_numpy(object)


def moves(values: Any) -> bool:
    """Whether a column holds more than one value, gaps aside."""
    return len(pd.unique(values.dropna())) > 1


def record_row(record: Record, final: bool) -> dict[str, Any]:
    """The scalars of one record under the names of their columns."""
    provenance = record.provenance.to_json()
    data, seconds = provenance.pop("data", None) or {}, provenance.pop("seconds", None)
    cells: dict[str, Any] = {
        "trial": record.trial,
        "step": record.step,
        "outcome": record.outcome.value,
        "final": final,
        "seconds": np.nan if seconds is None else float(seconds),
    }
    cells |= {path: json.dumps(v) if isinstance(v, list | tuple) else v for path, v in record.config.flat.items()}
    for scores in SCORES:
        cells |= {f"{scores}/{name}": float(v) for name, v in getattr(record, scores).items()}
    for name, spectrum in record.spectra.items():
        cells |= {f"spectra/{name}/{statistic}": v for statistic, v in spectrum.summary().items()}
        cells |= dict(zip((f"spectra/{name}/kaplan_yorke/{end}" for end in ENDS), spectrum.kaplan_yorke_interval))
    cells |= {f"data/{k}": v for k, v in data.items() if not isinstance(v, list | dict)}
    cells |= {"data/exponents": json.dumps(data["exponents"])} if "exponents" in data else {}
    return cells | {
        f"provenance/{k}": json.dumps(v) if isinstance(v, dict | list) else v for k, v in provenance.items()
    }


def bounded(spectrum: Spectrum | None, name: str) -> np.ndarray:
    """Exponents or their errors; NaN for an unbounded orbit, whose growth rates stay in the record alone."""
    values = np.empty(0) if spectrum is None else getattr(spectrum, name)
    return np.full_like(values, np.nan) if spectrum is not None and spectrum.unbounded else values


def pad_rows(rows: Sequence[Sequence[float] | np.ndarray]) -> np.ndarray:
    """Stack rows of unequal length as an array (rows, longest), filled with NaN."""
    filled = np.full((len(rows), max(map(len, rows), default=0)), np.nan)
    for i, values in enumerate(rows):
        filled[i, : len(values)] = values
    return filled
