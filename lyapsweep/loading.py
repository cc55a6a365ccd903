"""An experiment by its name, wherever its records are: a results folder, or MLflow."""

from pathlib import Path

from lyapsweep.registry import UnknownName, unknown
from lyapsweep.results import imported
from lyapsweep.results.experiment import IMPORTED_TABLE, RECORDS, ExperimentPaths
from lyapsweep.results.table import Table


def load(experiment: str | Path, *, results: Path | str = "results", tracking_uri: str | None = None) -> Table:
    """Every record of an experiment as a `Table`: `lyapsweep.load("forcing_interval").finals.frame`.

    `experiment` is a results folder, the name of one below `results` (an imported table is one), or an MLflow
    experiment: at `tracking_uri` where that is given, which is then asked alone, else at MLFLOW_TRACKING_URI, else in
    `results/mlflow.db`.

    Raises `UnknownName` (a ValueError) with the nearest name, `TrackingError` where no server answers.
    """
    return located(experiment, results, tracking_uri)[0]


def located(experiment: str | Path, results: Path | str, uri: str | None) -> tuple[Table, Path]:
    """The experiment's table, and the folder that what is made of it belongs to."""
    results = Path(results)
    if uri is None:
        for folder in (Path(experiment), results / experiment):
            paths = ExperimentPaths(folder)
            if folder.is_dir() and paths.has_records():
                return Table.read(folder), folder
            if paths.imported_table.is_file():
                return imported.load(folder), folder
    from lyapsweep import tracking  # which takes seconds

    store = uri or tracking.default_uri(results)
    if (file := tracking.sqlite_file(store)) and not file.is_file():
        raise nowhere(experiment, results, file)
    return tracking.read(str(experiment), store), results / experiment


def nowhere(experiment: str | Path, results: Path, file: Path) -> UnknownName:
    """No records and no store: the folders below `results` are what could have been meant."""
    known = sorted({part.parent.name for name in (RECORDS, IMPORTED_TABLE) for part in results.glob(f"*/{name}")})
    if not known:
        return UnknownName(
            f"No records in {experiment} or {results / experiment}, and there is no MLflow store at {file}. "
            "Name a results folder, or the folder that holds it with --results (results=...)."
        )
    return unknown("experiment", str(experiment), known, str(results))
