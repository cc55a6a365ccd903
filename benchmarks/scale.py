"""Measure the cost per trial of sweeps of 1000, 3000 or 10 000 trials, and which costs grow faster than their number.

Toy networks (one update, four units, two exponents) are swept by the real driver, searcher, journal, ledger and atlas
on this machine. Every part is timed inside the driver, in processor time of its thread, without the parts that it
calls. Each sweep runs in its own process, so that its memory can be measured. A growth of 0 is a constant cost per
trial, 1 a cost that doubles with the number of trials.

  python -m benchmarks.scale                               # a grid, logged to SQLite: half an hour of two cores
  python -m benchmarks.scale --trials 300 1000 --pack 8    # shorter
  python -m benchmarks.scale --tracking none --pack 100    # records only
  python -m benchmarks.scale --tracking later              # records only, then what `lyapsweep sync` takes
  python -m benchmarks.scale --points hunt --trials 300 1000 3000 --pack 1
  python -m benchmarks.scale --asks --trials 300 1000 3000 # the sampler of a hunt only, after so many trials
  python -m benchmarks.scale --json scale.json             # sweeps in the file are not repeated
"""

import argparse
import dataclasses
import functools
import inspect
import json
import math
import os
import tempfile
import threading
import time
from collections import defaultdict
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from importlib import import_module
from multiprocessing import get_context
from pathlib import Path
from typing import Any

from benchmarks.timing import markdown, processor, progress, resident

TOY = """
dataset:  {kind: simulated, system: lorenz63, length: 600}
cell:     {kind: vanilla, units: 4}
windows:  {length: 20, batch: 4}
training: {steps: 1}
lyapunov: {steps: 20, warmup: 5, orbits: 1, exponents: 2}
measures: [loss]
"""
SEEDS = 100  # of each point of the grid, or as many as there are trials
PARTS = {  # of lyapsweep.sweep
    "execute.sweep_runner.SweepRunner.plan": "planning",
    "execute.optuna_study.OptunaStudy.add": "Optuna: add or ask",
    "execute.optuna_study.OptunaStudy.ask": "Optuna: add or ask",
    "execute.optuna_study.OptunaStudy.report": "Optuna: report or finish",
    "execute.optuna_study.OptunaStudy.finish": "Optuna: report or finish",
    "execute.optuna_study.OptunaStudy.close": "Optuna: report or finish",
    "execute.searcher.PackSearcher.suggest": "searcher, callback",
    "execute.tune_callback.TuneCallback.on_step_begin": "searcher, callback",
    "execute.tune_callback.TuneCallback.on_trial_start": "searcher, callback",
    "execute.tune_callback.TuneCallback.on_trial_result": "searcher, callback",
    "execute.tune_callback.TuneCallback.on_trial_complete": "searcher, callback",
    "execute.tune_callback.TuneCallback.on_trial_error": "searcher, callback",
    "execute.sweep_runner.train": "Ray's loop",
    "execute.sweep_runner.AsyncLogger._attempt": "MLflow: a trial's run",
    "execute.sweep_runner.tracking.OpeningThread.result": "MLflow: the experiment",
    "execute.sweep_runner.tracking.MLflowLogger.refresh": "MLflow: the experiment",
    "execute.sweep_runner.tracking.MLflowLogger.reconcile": "MLflow: the experiment",
    "execute.sweep_runner.tracking.MLflowLogger.sync": "MLflow: the experiment",
    "execute.sweep_runner.tracking.MLflowLogger.log_summary": "MLflow: the experiment",
    "execute.sweep_results.Table.read": "Table.read",
    "execute.sweep_results.SweepResults.draw_atlas": "atlas",
}


class Meter:
    """Processor and wall-clock seconds inside parts of a program, excluding the parts that they call."""

    def __init__(self) -> None:
        self.cpu: dict[str, float] = defaultdict(float)
        self.wall: dict[str, float] = defaultdict(float)
        self.stacks, self.lock = threading.local(), threading.Lock()

    def __call__(self, part: str, job: Callable[..., Any]) -> Callable[..., Any]:
        """Run `job` as a measured part."""

        @functools.wraps(job)
        def metered(*given: Any, **named: Any) -> Any:
            stack = self.stacks.__dict__.setdefault("stack", [])
            stack.append((0.0, 0.0))
            cpu, wall = time.thread_time(), time.monotonic()
            try:
                return job(*given, **named)
            finally:
                cpu, wall = time.thread_time() - cpu, time.monotonic() - wall
                inner = stack.pop()
                if stack:
                    stack[-1] = stack[-1][0] + cpu, stack[-1][1] + wall
                with self.lock:
                    self.cpu[part] += cpu - inner[0]
                    self.wall[part] += wall - inner[1]

        return metered

    def into(self, parts: dict[str, str]) -> None:
        """Meter functions and methods of lyapsweep.sweep, named as in PARTS, wherever they are called from."""
        for name, part in parts.items():
            package, module, *path, leaf = name.split(".")
            owner = functools.reduce(getattr, path, import_module(f"lyapsweep.sweep.{package}.{module}"))
            job = inspect.getattr_static(owner, leaf)  # a class method stays one
            metered = self(part, job.__func__ if isinstance(job, classmethod) else job)
            setattr(owner, leaf, classmethod(metered) if isinstance(job, classmethod) else metered)


def toys(folder: Path, trials: int, points: str, pack: int) -> Any:
    """The sweep: a grid, a space drawn quasi-randomly, or a hunt."""
    from lyapsweep.sweep import Sweep

    (folder / "toy.yaml").write_text(
        TOY.replace("steps: 1}", "steps: 1, report_every: 1}") if points == "hunt" else TOY
    )
    told = {"base": folder / "toy.yaml", "objective": "loss", "name": "toys", "pack": pack}
    if points == "grid":
        seeds = min(SEEDS, trials)
        rates = [1e-3 * (i + 1) / trials for i in range(math.ceil(trials / seeds))]
        return Sweep(grid={"training/lr": rates, "seed": list(range(seeds))}, **told)
    return Sweep(space=drawn, trials=trials, intent="hunt" if points == "hunt" else "map", **told)


def drawn(trial: Any) -> None:
    trial.suggest_float("training/lr", 1e-5, 1e-2, log=True)
    trial.suggest_float("training/clip", 0.1, 10.0, log=True)


def swept(trials: int, points: str, pack: int, tracking: str, jobs: int) -> dict[str, Any]:
    """Run one sweep in this process; return seconds of each part, megabytes, files and bytes."""
    os.environ |= {"RAY_USAGE_STATS_ENABLED": "0"}
    from lyapsweep.process import small_networks
    from lyapsweep.sweep.execute import runner

    small_networks()
    meter = Meter()
    meter.into(PARTS)
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place)
        sweep = toys(folder, trials, points, pack)
        uri = f"sqlite:///{folder / 'mlflow.db'}" if tracking == "sqlite" else "none"
        before, began = resident(), time.monotonic()
        told = runner.run(sweep, results=folder, jobs=jobs, tracking_uri=uri, models=False)
        whole = time.monotonic() - began
        done = told.progress.done
        if done != told.progress.asked or told.progress.failed:
            raise RuntimeError(f"{done} of {told.progress.asked} trials ended, {told.progress.failed} of them failed.")
        found = {"trials": done, "whole": whole, "cpu": dict(meter.cpu), "wall": dict(meter.wall)}
        found |= {"MB before": before, "MB": resident()}
        found |= after(folder, folder / "toys", sweep, uri)
        if tracking == "later":
            found["after"]["sync"] = timed(lambda: logged(folder / "toys"))[1]
        return found | {"left": left(folder, folder / "toys")}


def alone(*settings: Any) -> dict[str, Any]:
    """Run `swept` in its own process."""
    with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as process:
        return process.submit(swept, *settings).result()


def after(results: Path, folder: Path, sweep: Any, uri: str) -> dict[str, Any]:
    """Return processor seconds of the steps after a sweep."""
    from lyapsweep.results.record import Record
    from lyapsweep.sweep.execute import runner
    from lyapsweep.sweep.observe.status import read_status

    files = sorted((folder / "records").glob("*.npz"))
    some = files[:: max(1, len(files) // 500)]
    records, reading = timed(lambda: [Record.load(file) for file in some])
    with tempfile.TemporaryDirectory() as copy:
        _, writing = timed(lambda: [record.save(copy) for record in records])
    per_file = len(files) / len(some)
    found = {"record: read": per_file * reading, "record: write": per_file * writing}
    found["status"] = timed(lambda: read_status(folder))[1]
    found["--resume of what is done"] = timed(
        lambda: runner.run(sweep, results=results, jobs=1, tracking_uri=uri, models=False, resume=True)
    )[1]
    return {"after": found}


def logged(folder: Path) -> int:
    """Log like `lyapsweep sync`, to a store next to the folder."""
    from lyapsweep import tracking

    ledger = tracking.prepare("toys", f"sqlite:///{folder.parent / 'mlflow.db'}", folder / "artifacts")
    return ledger.sync(folder)


def left(results: Path, folder: Path) -> dict[str, tuple[int, int]]:
    """Return the number of files and bytes on disk."""
    found = {"records": (folder / "records").glob("*.npz"), "journal": [folder / "optuna.journal"]}
    found |= {"atlas": [folder / "atlas.html"], "MLflow's database": results.glob("mlflow.db")}
    found |= {"MLflow's artifacts": (f for f in (folder / "artifacts").rglob("*") if f.is_file())}
    sizes = {what: [file.stat().st_size for file in files] for what, files in found.items()}
    return {what: (len(each), sum(each)) for what, each in sizes.items()}


def asks(trials: int, times: int = 10) -> float:
    """Return processor seconds of the sampler of a hunt per point after so many trials, without training."""
    from lyapsweep.results.record import Outcome
    from lyapsweep.sweep.execute.optuna_study import OptunaStudy
    from lyapsweep.sweep.plan.sampling import draw
    from lyapsweep.sweep.plan.space import evaluate_space

    with tempfile.TemporaryDirectory() as place:
        sweep = toys(Path(place), trials, "hunt", 1)
        base, journal = sweep.config(), OptunaStudy(Path(place) / "optuna.journal", "toys", sweep, 0)
        for i, drawn in enumerate(draw(dataclasses.replace(sweep, intent="map"), trials, 0, base)):
            journal.add(drawn)
            journal.finish(drawn.key, Outcome.FINISHED, math.sin(i))
        make = functools.partial(evaluate_space, sweep, base)
        return timed(lambda: [journal.ask(make) for _ in range(times)])[1] / times


def timed(job: Callable[[], Any]) -> tuple[Any, float]:
    began = time.process_time()
    result = job()
    return result, time.process_time() - began


def rows(found: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Return milliseconds per trial, one column per number of trials, and the growth between the last two."""
    names = list(dict.fromkeys(PARTS.values()))
    parts = {part: [f["cpu"].get(part, 0.0) for f in found] for part in names}
    parts |= {f"{part}, wall": [f["wall"].get(part, 0.0) for f in found] for part in names if part.startswith("MLflow")}
    parts |= {f"afterwards: {what}": [f["after"].get(what, 0.0) for f in found] for what in found[0]["after"]}
    parts["whole sweep, wall"] = [f["whole"] for f in found]
    table = []
    for part, seconds in parts.items():
        each = [1000 * s / f["trials"] for s, f in zip(seconds, found)]
        row: dict[str, Any] = {"ms a trial": part} | {f"{f['trials']}": e for f, e in zip(found, each)}
        table.append(row | ({"growth": growth(found, each)} if len(found) > 1 else {}))
    return table


def growth(found: list[dict[str, Any]], each: list[float]) -> float | None:
    """Return the exponent with which a cost per trial grew with the number of trials, over the last two sweeps."""
    (m, n), (before, last) = (f["trials"] for f in found[-2:]), each[-2:]
    return math.log(last / before) / math.log(n / m) if min(before, last) > 0 and m != n else None


def storage(found: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Return the memory of the driver and the disk use afterwards."""
    table = [{"": "driver, MB"} | {f"{f['trials']}": f["MB"] for f in found}]
    for what in found[0]["left"]:
        table.append({"": f"{what}, files"} | {f"{f['trials']}": f["left"][what][0] for f in found})
        table.append(
            {"": f"{what}, KB a trial"} | {f"{f['trials']}": f["left"][what][1] / 1000 / f["trials"] for f in found}
        )
    return table


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument(
        "--trials", type=int, nargs="+", default=[1000, 3000, 10000], help="number of trials of each sweep"
    )
    parser.add_argument("--points", choices=["grid", "space", "hunt"], default="grid", help="source of the points")
    parser.add_argument("--pack", type=int, default=32, help="trials side by side in one process")
    parser.add_argument("--jobs", type=int, default=2, help="packs at a time")
    parser.add_argument("--tracking", choices=["sqlite", "later", "none"], default="sqlite")
    parser.add_argument("--json", type=Path, help="file of raw figures; results in it are not repeated")
    parser.add_argument("--asks", action="store_true", help="measure the sampler of a hunt only, after so many trials")
    options = parser.parse_args()
    if options.asks:
        print(markdown([{"trials": n, "ms an ask": 1000 * asks(n)} for n in options.trials]))
        return
    kept = json.loads(options.json.read_text()) if options.json and options.json.exists() else {}
    found = []
    for trials in options.trials:
        key = f"{options.points} {trials} pack {options.pack} {options.tracking}"
        if key not in kept:
            progress(f"{key} ...")
            kept[key] = alone(trials, options.points, options.pack, options.tracking, options.jobs)
            if options.json:
                options.json.write_text(json.dumps(kept, indent=1))
        found.append(kept[key])
    progress("")
    print(f"{processor()}; {options.jobs} packs of {options.pack} at a time; {options.points}, {options.tracking}\n")
    print(f"{markdown(rows(found))}\n\n{markdown(storage(found))}")


if __name__ == "__main__":
    main()
