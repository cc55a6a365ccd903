"""Imported tables: a CSV or Parquet file with one row per trial and step, as a `Table` for every analysis."""

import fnmatch
import math
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, Literal

import numpy as np
import pandas as pd

from lyapsweep.datasets import files
from lyapsweep.datasets.cell_table import MISSING
from lyapsweep.dynamics.spectrum import Spectrum
from lyapsweep.registry import unknown
from lyapsweep.results.description import BadTable, SweepDescription
from lyapsweep.results.experiment import ExperimentPaths
from lyapsweep.results.record import Outcome
from lyapsweep.results.table import KEYS, MEASURED, Table
from lyapsweep.results.trial_states import final_outcomes, state_column, without_running
from lyapsweep.setting_types import cut, shown

UNITS = {"nats": 1.0, "bits": math.log(2)}  # a step, in nats
UNSAID = {"cell/kind": "network"}
BOOLEANS = {"True": True, "False": False, "true": True, "false": False}
OPTIONS = "foreign"  # key of sweep.json that holds the arguments of `from_frame`
Patterns = str | Sequence[str]


def read(path: Path | str, **columns: Any) -> Table:
    """Read a table from a file.

    Args:
        path: A `.csv` or `.parquet` file.
        **columns: What its columns are: the arguments of `from_frame`.

    Returns:
        The table.

    Raises:
        BadTable: If the file cannot be read or ends in another suffix; and whatever `from_frame` raises.

    Example:
        >>> import tempfile
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     file = Path(folder, "theirs.csv")
        ...     _ = file.write_text("lr,val_loss\\n0.1,0.5\\n0.2,0.25\\n")
        ...     read(file, settings="lr", outcomes="val_loss").column("measures/val_loss").tolist()
        [0.5, 0.25]
    """
    path = Path(path)
    return from_frame(frame_of(path), where=str(path), **columns)


def frame_of(path: Path) -> pd.DataFrame:
    """Read the columns of a file."""
    readers = {".csv": read_csv, ".parquet": pd.read_parquet}
    if path.suffix not in readers:
        raise BadTable(f"{path}: must be a .csv or a .parquet file, but ends in '{path.suffix}'. Convert it first.")
    if not path.is_file():
        raise BadTable(f"{path}: there is no such file.")
    try:
        return readers[path.suffix](path)
    except Exception as error:
        raise BadTable(f"{path} cannot be read as {path.suffix[1:]}: {error}. Write it again.") from error


def read_csv(path: Path) -> pd.DataFrame:
    """Read a CSV file as `datasets.files` does; columns of numbers become numbers, missing cells NaN."""
    file = files.read_csv(str(path))
    columns = {name: pd.Series([cell.strip() for cell in file.cells[:, j]]) for j, name in enumerate(file.names)}
    return pd.DataFrame({name: typed(cells.mask(cells.isin(MISSING))) for name, cells in columns.items()})


def typed(cells: pd.Series) -> pd.Series:
    """A column of text as numbers or booleans, if all of it is."""
    if cells.dropna().isin(list(BOOLEANS)).all() and cells.notna().all():
        return cells.map(BOOLEANS)
    try:
        return pd.Series(pd.to_numeric(cells))
    except ValueError:
        return cells


def from_frame(
    frame: pd.DataFrame,
    *,
    settings: Patterns,
    outcomes: Patterns,
    exponents: Patterns = (),
    trial: str | None = None,
    step: str | None = None,
    ended: str | None = None,
    map: str = "driven",
    unit: Literal["nats", "bits"] = "nats",
    partial: bool = False,
    same: Mapping[str, Any] | None = None,
    description: SweepDescription | None = None,
    where: str = "table",
) -> Table:
    """Build a `Table` from a frame with one row per trial and step.

    Args:
        frame: The rows, in any order.
        settings: Columns that were chosen for a trial, by name or shell pattern (`hp_*`).
        outcomes: Columns that judge a trial; they become measures, the first of them the objective.
        exponents: Columns of Lyapunov exponents, in any order; NaN where there is none, -inf stays -inf.
        trial: Column that identifies trials; by default each row is a trial.
        step: Column of the training step; by default 0.
        ended: Column whose last value says how a trial ended, in this project's words or those of Optuna, Weights &
            Biases and MLflow (`results.trial_states`). By default a column called state or status that holds nothing
            else; without one a trial finished. Trials that have not ended are left out, with a message in the log. A
            trial that finished without a finite objective diverged.
        map: The map that the exponents belong to.
        unit: Unit of the exponents per step; they are converted to nats.
        partial: Whether they are only the leading ones; a Kaplan-Yorke dimension beyond them is NaN then.
        same: Settings that all rows share, such as {"cell/kind": "lstm"}, by which the atlas groups.
        description: What the sweep was: name, question, intent, direction of the objective.
        where: What error messages call the frame.

    Returns:
        The table, without traces and networks.

    Raises:
        UnknownName: If there is no such column.
        BadTable: If a column has text in place of numbers, a setting changes within a trial, or two rows have the same
            trial and step.

    Example:
        >>> frame = pd.DataFrame({"lr": [0.1, 0.2], "loss": [0.5, float("nan")]})
        >>> from_frame(frame, settings="lr", outcomes="loss").column("outcome").tolist()
        ['finished', 'diverged']
    """
    named = {k: matched(frame, v, where) for k, v in {"s": settings, "o": outcomes, "e": exponents}.items()}
    matched(frame, [name for name in (trial, step, ended) if name], where)
    if not named["o"]:
        raise BadTable(f"{where}: no outcome is named; say which column a trial is judged by.")
    rows = ordered(frame, trial, step, where)
    ended = ended or state_column(frame.drop(columns=[c for names in named.values() for c in names]))
    rows = without_running(rows, ended, where) if ended else rows
    settled(rows, named["s"], where)
    same = constants(UNSAID | dict(same or {}), named["s"], where)
    values = {f"measures/{c}": numbers(rows, c, where) for c in named["o"]}
    spectra = exponents_of(rows, named["e"], UNITS[unit], where)
    last = ~rows["trial"].duplicated(keep="last").to_numpy(bool)
    measured = pd.DataFrame(values | statistics(spectra, map, partial) if spectra.size else values, rows.index)
    endings = outcomes_of(rows, ended, last, next(iter(values.values())), where)
    keys = rows[["trial", "step"]].assign(outcome=endings, final=last, seconds=np.nan)
    description = description or SweepDescription()
    held = {map: spectra} if spectra.size else {}
    return Table(
        frame=pd.concat([keys, rows[named["s"]].assign(**same), measured], axis=1),
        spectra=held,
        spectra_stderr={m: np.full(v.shape, np.nan) for m, v in held.items()},
        traces=[{} for _ in range(len(rows))],
        description=replace(
            description,
            objective=description.objective or named["o"][0],
            trials=int(last.sum()) if description.trials is None else description.trials,
        ),
    )


def outcomes_of(
    rows: pd.DataFrame, ended: str | None, last: np.ndarray, objective: np.ndarray, where: str
) -> np.ndarray:
    """How each trial ended, in its last row; running in the others."""
    found = np.full(len(rows), Outcome.RUNNING.value, dtype=object)
    cells = rows[ended].to_numpy() if ended else np.full(len(rows), Outcome.FINISHED.value)
    found[last] = final_outcomes(cells[last].tolist(), objective[last], f"{where}, column '{ended}'")
    return found


def constants(same: Mapping[str, Any], settings: list[str], where: str) -> dict[str, Any]:
    """The settings that all rows share and that no column holds; `BadTable` for one that is no single value."""
    for name, value in same.items():
        if isinstance(value, list | tuple | Mapping):
            raise BadTable(f"{where}: '{cut(name)}' must be one value for all rows, but is {shown(value)}. Give one.")
    return {name: value for name, value in same.items() if name not in settings}


def matched(frame: pd.DataFrame, patterns: Patterns, where: str) -> list[str]:
    """The columns that names or patterns mean, in the frame's order; one that means none is an error."""
    columns, found = [str(c) for c in frame.columns], []
    for pattern in [patterns] if isinstance(patterns, str) else patterns:
        meant = [pattern] if pattern in columns else fnmatch.filter(columns, pattern)
        if not meant:
            raise unknown("column", pattern, columns, where)
        found += meant
    return list(dict.fromkeys(found))


def ordered(frame: pd.DataFrame, trial: str | None, step: str | None, where: str) -> pd.DataFrame:
    """The frame with the columns trial (text) and step (whole numbers), sorted by both."""
    keys = pd.DataFrame(index=frame.index)
    keys["trial"] = frame[trial].astype(str) if trial else [f"{i:0{len(str(len(frame)))}d}" for i in range(len(frame))]
    steps = numbers(frame, step, where) if step else np.zeros(len(frame))
    if not np.isfinite(steps).all() or (steps != np.round(steps)).any():
        raise BadTable(f"{where}: column '{step}' must hold whole numbers, the step of each row.")
    keys["step"] = steps.astype(int)
    twice = keys.duplicated()
    if twice.any():
        name, at = keys[twice].iloc[0]
        raise BadTable(f"{where}: trial {name} has two rows of step {at}. Name the column of steps, or drop one.")
    rest = frame.drop(columns=[c for c in ("trial", "step") if c in frame])
    return pd.concat([keys, rest], axis=1).sort_values(["trial", "step"]).reset_index(drop=True)


def settled(rows: pd.DataFrame, settings: list[str], where: str) -> None:
    """Raise `BadTable` for a setting that changes within a trial or is called as the table's own columns are."""
    for name in settings:
        if name in KEYS or name.startswith(MEASURED):
            raise BadTable(
                f"{where}: a setting cannot be called '{name}', which is a column of every table: rename it."
            )
        if len(rows) and rows.groupby("trial")[name].nunique(dropna=False).max() > 1:
            raise BadTable(
                f"{where}: column '{name}' changes within a trial, so that it is no setting. Leave it out, or name "
                "the column that tells trials apart."
            )


def numbers(rows: pd.DataFrame, name: str, where: str) -> np.ndarray:
    """A column (rows,) of floats, NaN where it is empty."""
    values = pd.Series(pd.to_numeric(rows[name], errors="coerce"), dtype=float)
    wrong = values.isna() & rows[name].notna()
    if wrong.any():
        cell = shown(rows[name].tolist()[int(wrong.argmax())])
        raise BadTable(f"{where}: column '{name}' must hold numbers, but holds {cell}.")
    return values.to_numpy()


def exponents_of(rows: pd.DataFrame, columns: list[str], nats: float, where: str) -> np.ndarray:
    """(rows, k) in nats per step, the largest first, NaN past a spectrum's end."""
    if not columns:
        return np.empty((len(rows), 0))
    spectra = nats * np.column_stack([numbers(rows, c, where) for c in columns])
    if np.isposinf(spectra).any():
        at = columns[int(np.flatnonzero(np.isposinf(spectra).any(0))[0])]
        raise BadTable(
            f"{where}: column '{at}' holds inf, which no exponent is. Leave it empty where none was measured."
        )
    return -np.sort(-spectra, axis=1)


def statistics(spectra: np.ndarray, map: str, partial: bool) -> dict[str, np.ndarray]:
    """The columns that a table of records has of each spectrum."""
    made = []
    for row in spectra:
        row = row[~np.isnan(row)]
        spectrum = Spectrum(row, np.zeros(len(row)), steps=0, orbits=0, map=map, state=len(row) + partial)
        made.append(spectrum.summary() if len(row) else {})
    names = list(dict.fromkeys(name for summary in made for name in summary))
    return {f"spectra/{map}/{name}": np.array([s.get(name, np.nan) for s in made]) for name in names}


def save(table_file: Path | str, folder: Path | str, description: SweepDescription, **columns: Any) -> Table:
    """Check a file and keep it in `folder` as `table.parquet`, with what its columns are in `sweep.json`."""
    frame = frame_of(Path(table_file))
    table = from_frame(frame, where=str(table_file), description=description, **columns)
    paths = ExperimentPaths(Path(folder))
    paths.folder.mkdir(parents=True, exist_ok=True)
    frame.to_parquet(paths.imported_table)
    replace(description, other=description.other | {OPTIONS: columns}).save(paths.description)
    return table


def load(folder: Path | str) -> Table:
    """The table that `save` kept in a folder."""
    paths = ExperimentPaths(Path(folder))
    description = SweepDescription.load(paths.description)
    other = dict(description.other)
    columns = other.pop(OPTIONS, None)
    if not isinstance(columns, dict):
        raise BadTable(
            f"{paths.description} does not say what the columns of {paths.imported_table.name} are. "
            "Import the table again."
        )
    return read(paths.imported_table, description=replace(description, other=other), **columns)
