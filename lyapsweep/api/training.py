"""`train`: one network from Python."""

import contextlib
import os
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from lyapsweep.api.base import Arrays, Base, Weights, base_config, experiment_name
from lyapsweep.api.progress import trial_bar
from lyapsweep.api.results import TrialResult
from lyapsweep.compiled.engine import VARIABLE, choose_engine, chosen_engine
from lyapsweep.config import Config, ConfigError
from lyapsweep.problems import check_config
from lyapsweep.problems.changed_inputs import changed_inputs
from lyapsweep.process import small_networks
from lyapsweep.results.record import Outcome, Record
from lyapsweep.single_trial import SingleTrial, completed
from lyapsweep.sweep.observe.callbacks import Callback, CallbackList


def train(
    config: Base,
    *,
    data: Any = None,
    dt: float | None = None,
    changes: Mapping[str, Any] | None = None,
    weights: Weights | None = None,
    name: str | None = None,
    results: Path | str = "results",
    device: str = "cpu",
    engine: str | None = None,
    tracking_uri: str | None = None,
    again: bool = False,
    resume: bool = False,
    callbacks: Sequence[Callback] = (),
    progress: bool | None = None,
) -> TrialResult:
    """Train one network, or return the result if the results folder holds it already.

    Args:
        config: A YAML file, the name of a packaged one (`lorenz63`), nested settings, or a `Config`.
        data: A series or a task in memory, see `lyapsweep.data_files.dataset_section`; replaces the config's dataset.
        dt: Time between rows of the data.
        changes: {path: value} to set in the config, such as {"training/steps": 1000}.
        weights: What training starts from instead of the initialisation: a record, its file, or arrays by name.
            They are copied into the results folder, and are a part of the trial's id.
        name: Name of the results folder; by default the config file's, or "train".
        results: Folder of results folders.
        device: Where to train, such as "cpu" or "cuda".
        engine: "auto", "torch" or "compiled"; by default LYAPSWEEP_ENGINE, else "auto".
        tracking_uri: An MLflow server or store to log to; by default MLFLOW_TRACKING_URI, else none.
        again: Train the trial again if it has been trained before.
        resume: Resume an interrupted trial from its last report.
        callbacks: Told of the trial's records.
        progress: Whether a progress bar is drawn; None draws it in notebooks and terminals.

    Returns:
        The result; training that diverges is a result too, see `result.record.outcome`.

    Raises:
        ConfigError: If the config is not valid, or data or code changed since the trial was trained.
        BadSeries: If the data cannot be used.
        KeyboardInterrupt: If it was interrupted; `resume=True` resumes.

    Example:
        >>> import tempfile
        >>> import numpy as np
        >>> cell, windows = {"kind": "vanilla", "units": 2}, {"length": 20}
        >>> config = {"cell": cell, "windows": windows, "training": {"steps": 2}, "lyapunov": {"steps": 10}}
        >>> with tempfile.TemporaryDirectory() as results:
        ...     result = train(config, data=np.sin(np.arange(300.0) / 5), dt=0.1, results=results)
        >>> result.record.step, result.spectrum.exponents.shape
        (2, (2,))
    """
    small_networks()
    name = experiment_name(config, name, "train")
    folder = Path(results) / name
    point = base_config(config, Arrays(data, dt, weights), folder).changed(changes or {})
    record = None if again else recorded(folder, point)
    if record is None:
        uri = tracking_uri or os.environ.get("MLFLOW_TRACKING_URI")
        with using_engine(engine):
            check_config(point)
            trial = SingleTrial(point, folder, uri, device, resume)
            record = observed(trial, CallbackList(callbacks), progress)
    if record.outcome is Outcome.STOPPED:
        raise KeyboardInterrupt(f"Interrupted at step {record.step}, which is recorded. Use resume=True to resume.")
    return TrialResult(record, folder)


def recorded(folder: Path, point: Config) -> Record | None:
    """The final record of a trial that was trained before; `ConfigError` if its data or code changed since."""
    record = completed(folder, point)
    if record is not None and (changed := changed_inputs([record])):
        raise ConfigError(
            f"{changed[record.trial]} changed since trial {point.id} was trained. Pass again=True to replace the "
            "trial, name=... to keep both, or restore the file."
        )
    return record


def observed(trial: SingleTrial, callbacks: CallbackList, progress: bool | None) -> Record:
    """Train, with a progress bar and callbacks."""
    with trial_bar(trial.config.training.steps, progress) as show:

        def report(record: Record) -> None:
            show(record)
            callbacks.report(record)

        callbacks.call("on_trial_start", trial.config)
        return trial.train(report)


@contextlib.contextmanager
def using_engine(name: str | None) -> Iterator[None]:
    """Choose the engine of this process for a while."""
    before = os.environ.get(VARIABLE)
    choose_engine(name or chosen_engine())
    try:
        yield
    finally:
        os.environ.pop(VARIABLE)
        os.environ.update({} if before is None else {VARIABLE: before})
