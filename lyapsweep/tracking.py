"""MLflow: write a Record, read an experiment back as a Table. The only module that speaks to MLflow.

One experiment a study; in it one flat run a trial and one summary run a sweep (nested runs leave MLflow's charts
blank). A run is found by its tag `trial_key`, never by an id that a retry would change. Metric times are the run's
start plus the training step, so that a record written twice changes nothing. Scalars are for looking at; the record's
own file, logged byte for byte, is the truth that `read` reads.
"""

import json
import logging
import math
import os
import tempfile
import urllib.error
import urllib.request
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import zip_longest
from pathlib import Path
from typing import Any

# Before the import: telemetry reads its switch there, and the stock settings retry a dead server for minutes.
os.environ.setdefault("MLFLOW_DISABLE_TELEMETRY", "true")
os.environ.setdefault("MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR", "false")
os.environ.setdefault("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "2")
os.environ.setdefault("MLFLOW_HTTP_REQUEST_TIMEOUT", "20")

from mlflow import MlflowClient
from mlflow.entities import Metric, Param, Run, RunTag
from mlflow.exceptions import MlflowException

from lyapsweep.config import Config
from lyapsweep.record import Outcome, Record
from lyapsweep.registry import unknown
from lyapsweep.table import Table

for chatty in ("mlflow", "alembic"):
    logging.getLogger(chatty).setLevel(logging.WARNING)

METRICS_A_CALL, PARAMS_A_CALL, LONGEST_PARAM = 800, 100, 6000  # MLflow's batch call takes 1000 entries in all
RECORDS, ABOUT, ATLAS = "records", "sweep.json", "atlas.html"
STATUS = {Outcome.FINISHED: "FINISHED", Outcome.DIVERGED: "FINISHED", Outcome.FAILED: "FAILED"}


class TrackingError(RuntimeError):
    """The tracking server cannot be used; the message says which and what to do."""


def store(results: Path | str) -> str:
    """The tracking URI where none is given: MLFLOW_TRACKING_URI, else an SQLite file in the results folder."""
    return os.environ.get("MLFLOW_TRACKING_URI") or f"sqlite:///{Path(results).resolve() / 'mlflow.db'}"


def prepare(experiment: str, uri: str, artifacts: Path | None = None) -> "Ledger":
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
            return Ledger(client, client.create_experiment(experiment, artifact_location=place), experiment)
    except MlflowException as error:
        raise TrackingError(f"{uri}: MLflow cannot open experiment '{experiment}' ({error.message}).") from error
    if found.lifecycle_stage != "active":
        raise TrackingError(f"{uri}: experiment '{experiment}' was deleted there. Restore it or choose another name.")
    return Ledger(client, found.experiment_id, experiment)


def read(experiment: str, uri: str) -> Table:
    """The experiment as a Table, from the record files that its runs hold: the same as reading the results folder.

    Raises `TrackingError` where nothing answers, `UnknownName` where there is no such experiment.
    """
    client = connect(uri)
    found = client.get_experiment_by_name(experiment)
    if found is None:
        raise unknown("experiment", experiment, sorted(e.name for e in client.search_experiments()), uri)
    with tempfile.TemporaryDirectory() as folder:
        Ledger(client, found.experiment_id, experiment).download(Path(folder))
        return Table.read(folder)


def connect(uri: str) -> MlflowClient:
    """A client, after one quick question to the server: any answer will do, even an error page."""
    if uri.startswith(("http://", "https://")):
        try:
            urllib.request.urlopen(uri.rstrip("/") + "/health", timeout=5).close()
        except urllib.error.HTTPError:
            pass
        except (OSError, ValueError) as error:
            raise TrackingError(
                f"No tracking server answers at {uri} ({error}). Start it, or unset MLFLOW_TRACKING_URI to log into "
                "the results folder."
            ) from error
    try:
        return MlflowClient(tracking_uri=uri)
    except MlflowException as error:
        raise TrackingError(f"{uri} is not a tracking URI ({error.message}).") from error


@dataclass
class Entry:
    """What the ledger knows of one trial's run without asking: a question costs as much as an answer."""

    run_id: str
    start: int  # milliseconds
    status: str
    tags: dict[str, str]
    params: bool  # whether they are logged

    @classmethod
    def of(cls, run: Run) -> "Entry":
        return cls(run.info.run_id, run.info.start_time, run.info.status, dict(run.data.tags), bool(run.data.params))


class Ledger:
    """One MLflow experiment, open for writing by one process.

    `varied` are the paths that run names are made of; `labels` are tags that every run carries.
    """

    def __init__(self, client: MlflowClient, experiment_id: str, name: str):
        self.client, self.experiment_id, self.name = client, experiment_id, name
        self.varied: Sequence[str] = ()
        self.labels: dict[str, str] = {}
        self.runs: dict[str, Entry] = {}
        self.refresh()

    def refresh(self) -> None:
        """Which runs there are; of two for one trial, which a lost answer leaves behind, the later one is deleted."""
        runs: dict[str, Entry] = {}
        for run in self.all_runs():
            key = run.data.tags.get("trial_key", "")
            if key and key in runs:
                self.client.delete_run(run.info.run_id)
            else:
                runs[key] = Entry.of(run)
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

    def create(self, config: Config) -> Entry:
        tags = self.labels | {
            "sweep": self.name,
            "trial_key": config.id,
            "attempt": "1",
            "outcome": Outcome.RUNNING.value,
            "cell": config.cell["kind"],
            "dataset": config.dataset["kind"],
            **({"system": str(config.dataset["system"])} if "system" in config.dataset else {}),
        }
        run = self.client.create_run(self.experiment_id, tags=tags, run_name=run_name(config, self.varied))
        entry = self.runs[config.id] = Entry.of(run)
        return entry

    def write(self, record: Record, file: Path) -> None:
        """Log one record and the file that holds it; a final one ends the run. Written twice it changes nothing."""
        run = self.runs.get(record.trial) or self.create(record.config)
        self.client.log_artifact(run.run_id, str(file), RECORDS)
        told = {"outcome": record.outcome.value, "error": str(record.provenance.get("error", ""))[:LONGEST_PARAM]}
        tags = {k: v for k, v in told.items() if v} if record.outcome.final else {}
        self.log(record.config, list(metrics(record, run.start)), tags)
        if record.outcome.final:
            run.status = "KILLED" if interrupted(record) else STATUS.get(record.outcome, "FINISHED")
            self.client.set_terminated(run.run_id, run.status)

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
        trials: dict[str, list[Path]] = {}
        for file in sorted((folder / RECORDS).glob("*.npz")):
            trials.setdefault(file.name.partition("-")[0], []).append(file)
        written = 0
        for trial, files in trials.items():
            run = self.runs.get(trial)
            there = {Path(f.path).name for f in self.client.list_artifacts(run.run_id, RECORDS)} if run else set()
            last = Record.load(files[-1])
            agreed = run is not None and (run.tags.get("outcome") == last.outcome.value or not last.outcome.final)
            for file in files:
                if file.name not in there or (file is files[-1] and not agreed):
                    self.write(last if file is files[-1] else Record.load(file), file)
                    written += 1
        return written

    def summary(self, about: Mapping[str, Any], files: Sequence[Path], numbers: Mapping[str, float]) -> None:
        """The sweep's own run: its question as description, `about` as parameters, numbers, sweep.json and atlas."""
        run = next(self.all_runs("tags.summary = 'yes'"), None)
        tags = {"sweep": self.name, "summary": "yes", "mlflow.note.content": str(about.get("question") or "")}
        if run is None:
            run = self.client.create_run(self.experiment_id, tags=tags, run_name=f"summary of {self.name}")
        run_id, now = run.info.run_id, run.info.start_time
        told = {**tags, **{f"about/{k}": text(v) for k, v in about.items() if k != "question"}}
        self.client.log_batch(run_id, tags=[RunTag(k, v) for k, v in told.items()])
        points = [Metric(k, v, now, 0) for k, v in numbers.items() if math.isfinite(v)]
        self.client.log_batch(run_id, metrics=points)
        for file in files:
            self.client.log_artifact(run_id, str(file))
        self.client.set_terminated(run_id, "FINISHED")

    def download(self, folder: Path) -> None:
        """Every record file, and the summary's sweep.json, as they lie in a results folder."""
        (folder / RECORDS).mkdir(parents=True, exist_ok=True)
        for run in self.all_runs():
            wanted = ABOUT if "summary" in run.data.tags else RECORDS
            if any(f.path == wanted for f in self.client.list_artifacts(run.info.run_id)):
                self.client.download_artifacts(run.info.run_id, wanted, str(folder))


def interrupted(record: Record) -> bool:
    """Ended by a person or a dying driver, not by its own training: a resumed sweep runs it again."""
    return record.outcome is Outcome.STOPPED and bool(record.provenance.get("interrupted"))


def metrics(record: Record, start: int) -> Iterator[Metric]:
    """Scalars at the training step and, from a final record, the spectra as curves over the exponents' index.

    lambda_max/<map> and spectrum/<map> are in nats per unit time, spectra/<map>/... per step. Infinite values are
    left to the record's file: MLflow would store them as 1.8e308 and its charts would show nothing else. Floors and
    saturations, which do not change while a network trains, stand beside their measures at the end.
    """
    scalars = {f"measures/{k}": v for k, v in record.measures.items()}
    if record.outcome.final:
        scalars |= {f"measures/{k}/floor": v for k, v in record.floors.items()}
        scalars |= {f"measures/{k}/saturation": v for k, v in record.saturations.items()}
    for name, spectrum in record.spectra.items():
        scalars |= {f"spectra/{name}/{k}": v for k, v in spectrum.summary().items()}
        scalars[f"lambda_max/{name}"] = float(spectrum.per_time[0])
    for key, value in scalars.items():
        if not math.isinf(value):
            yield Metric(key, value, start + record.step, record.step)
    if record.outcome.final and not interrupted(record):
        for name, spectrum in record.spectra.items():
            for index, value in enumerate(spectrum.per_time.tolist(), start=1):
                if math.isfinite(value):
                    yield Metric(f"spectrum/{name}", value, start + index, index)


def run_name(config: Config, varied: Sequence[str]) -> str:
    """What tells this trial from its neighbours, readable in a list: `lstm interval=30 seed=1`."""
    leaves = [path.rpartition("/")[2] for path in varied]
    words = []
    for path in varied or ("cell/kind", "seed"):
        value, leaf = config.flat.get(path), path.rpartition("/")[2]
        if value is not None:
            words.append(text(value) if leaf == "kind" else f"{path if leaves.count(leaf) > 1 else leaf}={text(value)}")
    return " ".join(words)[:200]


def text(value: Any) -> str:
    """A parameter as MLflow shows it: words as they are, all else as JSON, cut at MLflow's limit."""
    return (value if isinstance(value, str) else json.dumps(value, default=str))[:LONGEST_PARAM]


def chunks(items: list[Any], size: int) -> Iterator[list[Any]]:
    for start in range(0, len(items), size):
        yield items[start : start + size]
