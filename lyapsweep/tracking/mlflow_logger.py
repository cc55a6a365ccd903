"""One MLflow experiment: write a Record, read the experiment back as a Table.

One experiment a study; in it one flat run a trial and one summary run a sweep (nested runs leave MLflow's charts
blank). A run is found by its tag `trial_key`, never by an id that a retry would change. Metric times are the run's
start plus the training step, so that a record written twice changes nothing. Scalars are for looking at; the record's
own file, logged byte for byte, is the truth that `read` reads.
"""

import math
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import zip_longest
from pathlib import Path
from typing import Any

from mlflow import MlflowClient
from mlflow.entities import Metric, Param, Run, RunTag
from mlflow.exceptions import MlflowException

from lyapsweep.config import Config
from lyapsweep.results.experiment import DESCRIPTION, RECORDS, ExperimentPaths
from lyapsweep.results.record import Outcome, Record, files_by_trial
from lyapsweep.results.table import Table
from lyapsweep.tracking import experiment_view, links, metric_names
from lyapsweep.tracking import summary as account
from lyapsweep.tracking.metric_names import interrupted, run_name, text
from lyapsweep.tracking.stores import TrackingError, connect, find

METRICS_A_CALL, PARAMS_A_CALL = 800, 100  # MLflow's batch call takes 1000 entries in all
LONGEST_TAG, MOST_MODELS = 8000, 12
STATUS = {Outcome.FINISHED: "FINISHED", Outcome.DIVERGED: "FINISHED", Outcome.FAILED: "FAILED"}


def prepare(experiment: str, uri: str, artifacts: Path | None = None) -> "MLflowLogger":
    """Make the store and the experiment where they are missing, before any trial starts.

    `artifacts` is the folder for record files of a new experiment in a local store; a server has its own. Raises
    `TrackingError` within seconds where nothing answers at `uri`.
    """
    client = connect(uri)
    try:
        found = client.get_experiment_by_name(experiment)
        if found is None:
            local = artifacts is not None and uri.startswith("sqlite:")
            place = artifacts.resolve().as_uri() if artifacts is not None and local else None
            return MLflowLogger(client, client.create_experiment(experiment, artifact_location=place), experiment)
    except MlflowException as error:
        raise TrackingError(f"{uri}: MLflow cannot open experiment '{experiment}' ({error.message}).") from error
    if found.lifecycle_stage != "active":
        raise TrackingError(f"{uri}: experiment '{experiment}' was deleted there. Restore it or choose another name.")
    return MLflowLogger(client, found.experiment_id, experiment)


def read(experiment: str, uri: str) -> Table:
    """The experiment as a Table, from the record files that its runs hold: the same as reading the results folder.

    Raises `TrackingError` where nothing answers, `UnknownName` where there is no such experiment.
    """
    client, found = connect(uri), find(experiment, uri)
    with tempfile.TemporaryDirectory() as folder:
        MLflowLogger(client, found.experiment_id, experiment).download(Path(folder))
        return Table.read(folder)


@dataclass
class TrialRun:
    """What the ledger knows of one trial's run without asking: a question costs as much as an answer."""

    run_id: str
    start: int  # milliseconds
    status: str
    tags: dict[str, str]
    params: bool  # whether they are logged
    data: bool  # likewise

    @classmethod
    def of(cls, run: Run) -> "TrialRun":
        data = run.inputs is not None and bool(run.inputs.dataset_inputs)
        params, tags = bool(run.data.params), dict(run.data.tags)
        return cls(run.info.run_id, run.info.start_time, run.info.status, tags, params, data)


class MLflowLogger:
    """One MLflow experiment, open for writing by one process.

    `varied` are the paths that run names are made of; `labels` are tags that every run carries.
    """

    def __init__(self, client: MlflowClient, experiment_id: str, name: str):
        self.client, self.experiment_id, self.name = client, experiment_id, name
        self.varied: Sequence[str] = ()
        self.labels: dict[str, str] = {}
        self.runs: dict[str, TrialRun] = {}
        self.refresh()

    def refresh(self) -> None:
        """Which runs there are; of two for one trial, which a lost answer leaves behind, the later one is deleted."""
        runs: dict[str, TrialRun] = {}
        for run in self.all_runs():
            key = run.data.tags.get("trial_key", "")
            if key and key in runs:
                self.client.delete_run(run.info.run_id)
            else:
                runs[key] = TrialRun.of(run)
        self.runs = runs

    def all_runs(self, query: str = "") -> Iterator[Run]:
        """Every live run, the oldest first."""
        token = None
        while True:
            page = self.client.search_runs(
                [self.experiment_id], query, order_by=["attributes.start_time ASC"], page_token=token
            )
            yield from page
            token = page.token
            if not token:
                return

    def begin(self, config: Config) -> None:
        """Open the trial's run. A run that had ended is opened again and its tag `attempt` counts up."""
        run = self.runs.get(config.id)
        if run is None:
            self.create(config)
        elif run.status != "RUNNING":
            attempt = int(run.tags.get("attempt", "1")) + 1
            self.client.update_run(run.run_id, status="RUNNING")
            run.status = "RUNNING"
            self.log(config, tags={"attempt": str(attempt), "outcome": Outcome.RUNNING.value})

    def create(self, config: Config, began: float | None = None) -> TrialRun:
        """A new run, of now or of a trial that began at that time (seconds since 1970)."""
        tags = (
            self.labels
            | {"sweep": self.name, "attempt": "1", "outcome": Outcome.RUNNING.value}
            | metric_names.marks(config)
        )
        start, name = None if began is None else int(1000 * began), run_name(config, self.varied)
        run = self.client.create_run(self.experiment_id, start_time=start, tags=tags, run_name=name)
        entry = self.runs[config.id] = TrialRun.of(run)
        return entry

    def write(self, record: Record, file: Path) -> None:
        """Log one record and the file that holds it; a final one ends the run. Written twice it changes nothing."""
        self.write_together([(record, file)])

    def write_together(self, pairs: Sequence[tuple[Record, Path]]) -> None:
        """Log records of one trial in the order of their steps, in as many calls as one takes, and their files."""
        (first, earliest), (record, _) = pairs[0], pairs[-1]
        final, taken = record.outcome.final, metric_names.seconds(record)
        run = self.runs.get(record.trial)
        run = run or self.create(record.config, earliest.stat().st_mtime - metric_names.seconds(first))
        for _, file in pairs:
            self.client.log_artifact(run.run_id, str(file), RECORDS)
        objective = self.labels.get("objective", "")
        points = [metric for r, _ in pairs for metric in metric_names.metrics(r, run.start, objective)]
        self.log(record.config, points, metric_names.verdicts(record) if final else {})
        if not run.data and (data := metric_names.dataset(record)):
            self.client.log_inputs(run.run_id, [data])
            run.data = True
        if final:
            run.status = "KILLED" if interrupted(record) else STATUS.get(record.outcome, "FINISHED")
            self.client.set_terminated(run.run_id, run.status, run.start + int(1000 * taken) if taken else None)

    def log(self, config: Config, points: Sequence[Metric] = (), tags: Mapping[str, str] | None = None) -> None:
        """Metrics and tags of a trial in as few calls as may be; with the first ones its parameters."""
        run, labels = self.runs[config.id], [RunTag(k, v) for k, v in (tags or {}).items()]
        params = [] if run.params else [Param(k, text(v)) for k, v in config.flat.items()]
        batches = zip_longest(chunks(list(points), METRICS_A_CALL), chunks(params, PARAMS_A_CALL), fillvalue=[])
        for some, few in list(batches) or [([], [])]:
            self.client.log_batch(run.run_id, metrics=some, params=few, tags=labels)
        run.params = True
        run.tags |= tags or {}

    def reconcile(self) -> int:
        """Runs that a dead driver left RUNNING become KILLED; says how many. Only where no other driver is alive."""
        orphans = list(self.all_runs("attributes.status = 'RUNNING'"))
        for run in orphans:
            self.client.set_tag(run.info.run_id, "outcome", Outcome.STOPPED.value)
            self.client.set_terminated(run.info.run_id, "KILLED")
        self.refresh()
        return len(orphans)

    def sync(self, folder: Path) -> int:
        """Log what the folder's records say and the experiment lacks; says how many records that were."""
        written = 0
        for trial, files in files_by_trial(ExperimentPaths(folder).records).items():
            run = self.runs.get(trial)
            there = {Path(f.path).name for f in self.client.list_artifacts(run.run_id, RECORDS)} if run else set()
            last = Record.load(files[-1], arrays=False)
            agreed = run is not None and (run.tags.get("outcome") == last.outcome.value or not last.outcome.final)
            lacking = [f for f in files if f.name not in there or (f is files[-1] and not agreed)]
            if lacking:
                self.write_together([(Record.load(file), file) for file in lacking])
            written += len(lacking)
        return written

    def summary(self, table: Table, files: Sequence[Path], numbers: Mapping[str, float], models: bool = True) -> None:
        """The sweep's own run: what it asked and found, in words, numbers and files; and the page as it opens.

        The best trials are tagged `best`, and their networks become models where `models`. Doing it again changes
        nothing but what has changed.
        """
        description = table.description
        self.crown(account.winners(table), models)
        run = next(self.all_runs("tags.summary = 'yes'"), None)
        tags = {"sweep": self.name, "summary": "yes", "mlflow.note.content": account.story(table)}
        if run is None:
            run = self.client.create_run(self.experiment_id, tags=tags, run_name=f"summary of {self.name}")
        run_id, now = run.info.run_id, run.info.start_time
        told = {**tags, **{f"about/{k}": text(v) for k, v in description.to_dict().items()}}
        told |= {f"space/{k}": v for k, v in account.space(table).items()}
        self.client.log_batch(run_id, tags=[RunTag(k, v[:LONGEST_TAG]) for k, v in told.items()])
        points = [Metric(k, v, now, 0) for k, v in numbers.items() if math.isfinite(v)]
        self.client.log_batch(run_id, metrics=points)
        for file in files:
            self.client.log_artifact(run_id, str(file))
        self.client.set_terminated(run_id, "FINISHED")
        self.client.set_experiment_tag(self.experiment_id, "mlflow.note.content", description.question)
        if description.objective and table.spectra:
            page = experiment_view.state(description, table.varied, list(table.spectra), account.scale(table))
            self.client.set_experiment_tag(self.experiment_id, experiment_view.TAG, page)

    def linked(self, table: Table) -> Table:
        """The table with the addresses of its runs, for the atlas; no question is asked of the store."""
        runs = {trial: entry.run_id for trial, entry in self.runs.items()}
        return links.shown(table, self.name, self.client.tracking_uri, self.experiment_id, runs)

    def crown(self, winners: Mapping[str, str], models: bool) -> None:
        """Tag the best trials as such, and no other; their networks as models."""
        for trial, entry in self.runs.items():
            crown = winners.get(trial)
            if crown is None and "best" in entry.tags:
                self.client.delete_tag(entry.run_id, "best")
                del entry.tags["best"]
            elif crown is not None and entry.tags.get("best") != crown:
                self.client.set_tag(entry.run_id, "best", crown)
                entry.tags["best"] = crown
        for trial in list(winners)[:MOST_MODELS] if models else ():
            if trial in self.runs:
                self.keep_model(trial)

    def keep_model(self, trial: str) -> None:
        """The network of a trial's last record as a model, where it can forecast."""
        from lyapsweep.tracking import forecast_models  # which loads torch

        run_id = self.runs[trial].run_id
        files = sorted(f.path for f in self.client.list_artifacts(run_id, RECORDS))
        if not files:
            return
        with tempfile.TemporaryDirectory() as folder:
            record = Record.load(self.client.download_artifacts(run_id, files[-1], folder))
            if forecast_models.can_forecast(record):
                forecast_models.log_model(self.client, self.experiment_id, run_id, record)

    def download(self, folder: Path) -> None:
        """Every record file, and the summary's sweep.json, as they lie in a results folder."""
        ExperimentPaths(folder).records.mkdir(parents=True, exist_ok=True)
        for run in self.all_runs():
            wanted = DESCRIPTION if "summary" in run.data.tags else RECORDS
            if any(f.path == wanted for f in self.client.list_artifacts(run.info.run_id)):
                self.client.download_artifacts(run.info.run_id, wanted, str(folder))


def chunks(items: list[Any], size: int) -> Iterator[list[Any]]:
    for start in range(0, len(items), size):
        yield items[start : start + size]
