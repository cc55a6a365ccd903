"""An MLflow client in memory: what `lyapsweep.tracking` asks of one, and every call that it makes."""

from collections import defaultdict
from pathlib import Path
from types import SimpleNamespace

from mlflow.entities import Run, RunData, RunInfo, RunInputs, RunTag
from mlflow.entities.param import Param
from mlflow.store.entities import PagedList

PAGE = 2  # runs, so that readers of one page are found out


class FakeClient:
    """Runs by id, in the order of their start; `calls` are (name, arguments) in the order in which they came."""

    tracking_uri = "sqlite:///fake.db"

    def __init__(self):
        self.calls, self.runs, self.artifacts = [], {}, defaultdict(dict)
        self.metrics, self.experiment_tags, self.models = defaultdict(list), {}, []

    def note(self, *call):
        self.calls.append(call)

    def names(self):
        return [call[0] for call in self.calls]

    def create_run(self, experiment_id, start_time=None, tags=None, run_name=None):
        self.note("create_run", experiment_id, start_time, dict(tags), run_name)
        run = SimpleNamespace(
            id=f"run{len(self.runs)}", start=start_time or 5000, end=None, status="RUNNING", tags=dict(tags),
            params={}, inputs=[], name=run_name,
        )  # fmt: skip
        self.runs[run.id] = run
        return self.entity(run)

    def entity(self, run):
        info = RunInfo(run.id, "7", "me", run.status, run.start, run.end, "active", run_name=run.name)
        params, tags = ([kind(k, v) for k, v in d.items()] for kind, d in ((Param, run.params), (RunTag, run.tags)))
        return Run(info, RunData([], params, tags), RunInputs(dataset_inputs=run.inputs))

    def search_runs(self, experiment_ids, query="", order_by=None, page_token=None):
        self.note("search_runs", experiment_ids, query, order_by)
        tests = {
            "": lambda run: True,
            "attributes.status = 'RUNNING'": lambda run: run.status == "RUNNING",
            "tags.summary = 'yes'": lambda run: run.tags.get("summary") == "yes",
        }
        found = [self.entity(run) for run in self.runs.values() if tests[query](run)]
        begin = int(page_token or 0)
        return PagedList(found[begin : begin + PAGE], str(begin + PAGE) if begin + PAGE < len(found) else None)

    def delete_run(self, run_id):
        self.note("delete_run", run_id)
        del self.runs[run_id]

    def update_run(self, run_id, status):
        self.note("update_run", run_id, status)
        self.runs[run_id].status = status

    def set_terminated(self, run_id, status, end_time=None):
        self.note("set_terminated", run_id, status, end_time)
        self.runs[run_id].status, self.runs[run_id].end = status, end_time

    def log_batch(self, run_id, metrics=(), params=(), tags=()):
        self.note("log_batch", run_id, len(metrics), len(params), {tag.key: tag.value for tag in tags})
        run = self.runs[run_id]
        self.metrics[run_id] += [(m.key, m.value, m.step, m.timestamp) for m in metrics]
        run.params |= {p.key: p.value for p in params}
        run.tags |= {tag.key: tag.value for tag in tags}

    def log_inputs(self, run_id, inputs):
        self.note("log_inputs", run_id)
        self.runs[run_id].inputs += inputs

    def set_tag(self, run_id, key, value):
        self.note("set_tag", run_id, key, value)
        self.runs[run_id].tags[key] = value

    def delete_tag(self, run_id, key):
        self.note("delete_tag", run_id, key)
        del self.runs[run_id].tags[key]

    def set_experiment_tag(self, experiment_id, key, value):
        self.experiment_tags[key] = value

    def log_artifact(self, run_id, file, folder=None):
        path = f"{folder}/{Path(file).name}" if folder else Path(file).name
        self.note("log_artifact", run_id, path)
        self.artifacts[run_id][path] = Path(file).read_bytes()

    def log_artifacts(self, run_id, folder, path):
        self.note("log_artifacts", run_id, path)
        for file in Path(folder).iterdir():
            self.artifacts[run_id][f"{path}/{file.name}"] = file.read_bytes()

    def list_artifacts(self, run_id, folder=None):
        files = self.artifacts[run_id]
        if folder:
            return [SimpleNamespace(path=path) for path in files if path.startswith(f"{folder}/")]
        return [SimpleNamespace(path=path) for path in dict.fromkeys(path.partition("/")[0] for path in files)]

    def download_artifacts(self, run_id, path, to):
        for name, content in self.artifacts[run_id].items():
            if name == path or name.startswith(f"{path}/"):
                (Path(to) / name).parent.mkdir(parents=True, exist_ok=True)
                (Path(to) / name).write_bytes(content)
        return str(Path(to) / path)
