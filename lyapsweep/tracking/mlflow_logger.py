"""Logging records and summaries to one MLflow experiment.

An experiment is a study; it holds one flat run per trial and one summary run per sweep (nested runs leave MLflow's
charts blank). A trial's run is found by its tag `trial_key`. The timestamp of a metric is the run's start plus the
training step, which makes logging idempotent. Metrics are for looking at; the record files, which runs hold byte for
byte as artifacts, are what an experiment is read back from.
"""

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import zip_longest
from pathlib import Path
from typing import Any

from mlflow import MlflowClient
from mlflow.entities import Metric, Param, Run, RunTag

from lyapsweep.config import Config
from lyapsweep.results.experiment import DESCRIPTION, RECORDS, ExperimentPaths
from lyapsweep.results.record import Outcome, Record
from lyapsweep.results.record_files import files_by_trial
from lyapsweep.results.table import Table
from lyapsweep.tracking import experiment_view, links, mlflow_names, run_artifacts, summary
from lyapsweep.tracking.queued_record import RecordFile
from lyapsweep.tracking.run_names import param_text, short_name, swept_params

METRICS_PER_CALL, PARAMS_PER_CALL = 800, 100  # MLflow accepts 1000 entries per batch
MAX_TAG_LENGTH, MAX_MODELS = 8000, 12
STATUS = {Outcome.FAILED: "FAILED"}  # of a run that ended with this outcome; FINISHED otherwise


@dataclass
class TrialRun:
    """The known state of a trial's run, kept because each question to the server costs a request."""

    run_id: str
    start: int  # milliseconds since 1970
    status: str
    tags: dict[str, str]
    has_params: bool
    has_dataset: bool

    @classmethod
    def of(cls, run: Run) -> "TrialRun":
        has_dataset = run.inputs is not None and bool(run.inputs.dataset_inputs)
        info, data = run.info, run.data
        return cls(info.run_id, info.start_time, info.status, dict(data.tags), bool(data.params), has_dataset)


class MLflowLogger:
    """Logs to one MLflow experiment, which no other process writes to meanwhile; made by `prepare`.

    Args:
        client: The client of the store.
        experiment_id: MLflow's id of the experiment.
        name: The name of the experiment.

    Attributes:
        varied: Paths that the sweep varies; runs are named after their values.
        labels: Tags of every run, for example the sweep's intent and objective.
        runs: The known runs by trial id.

    Example:
        >>> from lyapsweep.tracking import prepare
        >>> logger = prepare("forcing_interval", "sqlite:///results/mlflow.db")  # doctest: +SKIP
        >>> logger.log_record(record, file)  # doctest: +SKIP
    """

    def __init__(self, client: MlflowClient, experiment_id: str, name: str):
        self.client, self.experiment_id, self.name = client, experiment_id, name
        self.varied: Sequence[str] = ()
        self.labels: Mapping[str, str] = {}
        self.runs: dict[str, TrialRun] = {}
        self.refresh()

    def refresh(self) -> None:
        """List the runs; of two runs for one trial, the result of a lost response, the later one is deleted."""
        self.runs = {}
        for run in list(self.search()):  # pages are cut by offset: nothing may be deleted between two of them
            trial = run.data.tags.get("trial_key")
            if trial in self.runs:
                self.client.delete_run(run.info.run_id)
            elif trial:
                self.runs[trial] = TrialRun.of(run)

    def search(self, query: str = "") -> Iterator[Run]:
        """All active runs that match the query, the oldest first."""
        token, order = None, ["attributes.start_time ASC"]
        while True:
            page = self.client.search_runs([self.experiment_id], query, order_by=order, page_token=token)
            yield from page
            if not (token := page.token):
                return

    def start_run(self, config: Config, trial: str = "") -> None:
        """Start the run of a trial; a run that had ended becomes RUNNING and its tag `attempt` is increased by one.

        Args:
            config: The trial's configuration.
            trial: The trial's id; by default `config.id`.
        """
        run = self._find_run(config, trial)
        if run is None:
            self._create_run(config, trial or config.id)
        elif run.status != "RUNNING":
            self.client.update_run(run.run_id, status="RUNNING")
            run.status = "RUNNING"
            attempt = int(run.tags.get("attempt", "1")) + 1
            self._log_batch(run, config, tags={"attempt": str(attempt), "outcome": Outcome.RUNNING.value})

    def log_record(self, record: Record, file: Path) -> None:
        """Log a record and its file; a final record ends the run. Idempotent.

        Args:
            record: The record.
            file: The file that holds it.
        """
        self.log_records([RecordFile(file, record)])

    def log_records(self, files: Sequence[RecordFile]) -> None:
        """Log records of one trial, in the order of their steps, with as few requests as one record takes.

        Args:
            files: The records, in the order of their steps.
        """
        records = [file.load() for file in files]
        first, last = records[0], records[-1]
        run = self._find_run(last.config, last.trial)
        if run is None:
            began = files[0].path.stat().st_mtime - mlflow_names.training_seconds(first)
            run = self._create_run(last.config, last.trial, start=int(1000 * began))
        for file in files:
            self.client.log_artifact(run.run_id, str(file.path), RECORDS)
        if last.outcome.final:
            run_artifacts.log_images(self.client, run.run_id, last)
        objective = self.labels.get("objective", "")
        metrics = [m for record in records for m in mlflow_names.record_metrics(record, run.start, objective)]
        self._log_batch(run, last.config, metrics, mlflow_names.final_tags(last) if last.outcome.final else {})
        if not run.has_dataset and (dataset := mlflow_names.dataset_input(last)):
            self.client.log_inputs(run.run_id, [dataset])
            run.has_dataset = True
        if last.outcome.final:
            run.status = "KILLED" if last.interrupted else STATUS.get(last.outcome, "FINISHED")
            seconds = mlflow_names.training_seconds(last)
            self.client.set_terminated(run.run_id, run.status, run.start + int(1000 * seconds) if seconds else None)

    def _find_run(self, config: Config, trial: str = "") -> TrialRun | None:
        """The run of a trial under its id, or under one that an earlier version gave to its settings."""
        return next((self.runs[key] for key in (trial, *config.ids) if key in self.runs), None)

    def _create_run(self, config: Config, trial: str, start: int | None = None) -> TrialRun:
        """Create a run that starts now or at `start`, milliseconds since 1970."""
        tags = {**self.labels, "sweep": self.name, "attempt": "1", "outcome": Outcome.RUNNING.value}
        tags |= mlflow_names.trial_tags(config, trial)
        name = short_name(config, self.varied)
        run = self.runs[trial] = TrialRun.of(
            self.client.create_run(self.experiment_id, start_time=start, tags=tags, run_name=name)
        )
        return run

    def _log_batch(
        self, run: TrialRun, config: Config, metrics: Sequence[Metric] = (), tags: Mapping[str, str] | None = None
    ) -> None:
        """Log metrics and tags in as few requests as possible; the first ones carry the parameters."""
        tags = tags or {}
        run_tags = [RunTag(key, value) for key, value in tags.items()]
        known = [] if run.has_params else [*swept_params(config, self.varied), *config.flat.items()]
        params = [Param(key, param_text(value)) for key, value in known]
        batches = zip_longest(batched(metrics, METRICS_PER_CALL), batched(params, PARAMS_PER_CALL), fillvalue=())
        for some_metrics, some_params in list(batches) or [((), ())]:
            self.client.log_batch(run.run_id, metrics=some_metrics, params=some_params, tags=run_tags)
        run.has_params = True
        run.tags |= tags

    def reconcile(self) -> int:
        """Set runs that a dead driver left RUNNING to KILLED; only safe while no other driver is alive.

        Returns:
            The number of these runs.
        """
        orphans = list(self.search("attributes.status = 'RUNNING'"))
        for run in orphans:
            self.client.set_tag(run.info.run_id, "outcome", Outcome.STOPPED.value)
            self.client.set_terminated(run.info.run_id, "KILLED")
        self.refresh()
        return len(orphans)

    def sync(self, folder: Path) -> int:
        """Log the records of a results folder that the experiment lacks. Idempotent.

        Args:
            folder: The results folder of one experiment.

        Returns:
            The number of records logged.
        """
        written = 0
        for paths in files_by_trial(ExperimentPaths(folder).records).values():
            missing = self._missing([RecordFile(path) for path in paths])
            if missing:
                self.log_records(missing)
            written += len(missing)
        return written

    def _missing(self, files: Sequence[RecordFile]) -> list[RecordFile]:
        """The files that a trial's run lacks, and the last one if the run does not have its outcome."""
        last = Record.load(files[-1].path, arrays=False)
        run = self._find_run(last.config, last.trial)
        if run is None:
            return list(files)
        logged = {Path(f.path).name for f in self.client.list_artifacts(run.run_id, RECORDS)}
        unfinished = last.outcome.final and run.tags.get("outcome") != last.outcome.value
        return [f for f in files if f.path.name not in logged or (f is files[-1] and unfinished)]

    def log_summary(
        self, table: Table, files: Sequence[Path], metrics: Mapping[str, float], models: bool = True
    ) -> None:
        """Log the summary run and the experiment's view, and tag the best trials. Idempotent.

        Args:
            table: The records of the sweep.
            files: Files of the summary run, for example sweep.json and the atlas.
            metrics: Metrics of the summary run.
            models: Whether the networks of the best trials are logged as models that forecast.
        """
        description, best = table.description, summary.best_trials(table)
        self._tag_best(best)
        for trial in [b.trial for b in best if b.trial in self.runs][: MAX_MODELS if models else 0]:
            run_artifacts.log_model(self.client, self.experiment_id, self.runs[trial].run_id)
        run = next(self.search("tags.summary = 'yes'"), None)
        tags = {"sweep": self.name, "summary": "yes", "mlflow.note.content": summary.description(table)}
        if run is None:
            run = self.client.create_run(self.experiment_id, tags=tags, run_name=f"summary of {self.name}")
        tags |= {f"about/{key}": param_text(value) for key, value in description.to_dict().items()}
        tags |= {f"space/{setting.path}": setting.values for setting in summary.varied_settings(table)}
        run_tags = [RunTag(key, value[:MAX_TAG_LENGTH]) for key, value in tags.items()]
        points = [Metric(k, v, run.info.start_time, 0) for k, v in metrics.items() if math.isfinite(v)]
        self.client.log_batch(run.info.run_id, metrics=points, tags=run_tags)
        for file in files:
            self.client.log_artifact(run.info.run_id, str(file))
        self.client.set_terminated(run.info.run_id, "FINISHED")
        self.client.set_experiment_tag(self.experiment_id, "mlflow.note.content", description.question)
        if view := summary.view(table):
            self.client.set_experiment_tag(self.experiment_id, experiment_view.TAG, view.to_json())

    def link_runs(self, table: Table) -> Table:
        """Add the addresses of the known runs to a table; makes no request.

        Args:
            table: The table that the atlas draws.

        Returns:
            The table with the addresses.
        """
        runs = {trial: run.run_id for trial, run in self.runs.items()}
        return links.with_addresses(table, self.name, self.client.tracking_uri, self.experiment_id, runs)

    def _tag_best(self, best: Sequence[summary.BestTrial]) -> None:
        """Set the tag `best` of the best trials, and remove it from all others."""
        scopes = {b.trial: b.scope for b in best}
        for trial, run in self.runs.items():
            scope = scopes.get(trial)
            if scope is None and "best" in run.tags:
                self.client.delete_tag(run.run_id, "best")
                del run.tags["best"]
            elif scope is not None and run.tags.get("best") != scope:
                self.client.set_tag(run.run_id, "best", scope)
                run.tags["best"] = scope

    def download(self, folder: Path) -> None:
        """Download the record files and the summary's sweep.json into a folder, laid out as a results folder.

        Args:
            folder: An existing folder.
        """
        ExperimentPaths(folder).records.mkdir(parents=True, exist_ok=True)
        for run in self.search():
            path = DESCRIPTION if "summary" in run.data.tags else RECORDS
            if any(f.path == path for f in self.client.list_artifacts(run.info.run_id)):
                self.client.download_artifacts(run.info.run_id, path, str(folder))


def batched(items: Sequence[Any], size: int) -> Iterator[Sequence[Any]]:
    for start in range(0, len(items), size):
        yield items[start : start + size]
