"""Loading an experiment by its name, from a results folder or from MLflow."""

from pathlib import Path

from lyapsweep.registry import UnknownName, unknown
from lyapsweep.results import imported
from lyapsweep.results.experiment import IMPORTED_TABLE, RECORDS, ExperimentPaths
from lyapsweep.results.table import Table


def load(
    experiment: str | Path, *, results: Path | str = "results", tracking_uri: str | None = None, trust: bool = False
) -> Table:
    """Load all records of an experiment.

    Args:
        experiment: A results folder, the name of a folder below `results` (an imported table is one, too), or the name
            of an MLflow experiment.
        results: The folder of results folders.
        tracking_uri: MLflow server or store; if given, folders are not searched. Default: MLFLOW_TRACKING_URI, else
            `results/mlflow.db`.
        trust: Whether Python files that the records name (cells, systems, measures of a user's own) may be executed.
            Reading needs none of them; analyses that build the networks again do. Files with which this user started
            a run or sweep before are trusted anyway.

    Returns:
        The records as a `Table`.

    Raises:
        UnknownName: If there is no such experiment; the message has the nearest name. It is a ValueError.
        TrackingError: If the server does not answer.

    Example:
        >>> import tempfile
        >>> from lyapsweep.config import Config
        >>> from lyapsweep.results.record import Outcome, Record
        >>> config = Config.of({"dataset": {"kind": "simulated", "system": "henon"}, "cell": {"kind": "lstm"}})
        >>> with tempfile.TemporaryDirectory() as results:
        ...     file = Record(config, 9, Outcome.FINISHED, measures={"loss": 0.5}).save(f"{results}/mine/records")
        ...     load("mine", results=results).finals.frame["measures/loss"].tolist()
        [0.5]
    """
    return located(experiment, results, tracking_uri, trust)[0]


def located(experiment: str | Path, results: Path | str, uri: str | None, trust: bool = False) -> tuple[Table, Path]:
    """Return the experiment's table and the folder for files made of it."""
    results = Path(results)
    if uri is None:
        for folder in (Path(experiment), results / experiment):
            paths = ExperimentPaths(folder)
            if folder.is_dir() and paths.has_records():
                return Table.read(folder, trust), folder
            if paths.imported_table.is_file():
                return imported.load(folder), folder
    from lyapsweep import tracking  # takes seconds to import

    store = uri or tracking.default_uri(results)
    if (file := tracking.sqlite_file(store)) and not file.is_file():
        raise no_store(experiment, results, file)
    return tracking.read(str(experiment), store, trust), results / experiment


def no_store(experiment: str | Path, results: Path, file: Path) -> UnknownName:
    """The error for an experiment without records and without a store; it suggests folders below `results`."""
    known = sorted({part.parent.name for name in (RECORDS, IMPORTED_TABLE) for part in results.glob(f"*/{name}")})
    if not known:
        return UnknownName(
            f"No records in {experiment} or {results / experiment}, and there is no MLflow store at {file}. "
            "Name a results folder, or the folder that holds it with --results (results=...)."
        )
    return unknown("experiment", str(experiment), known, str(results))
