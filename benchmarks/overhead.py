"""Measure the overhead of a sweep per trial: packs against plain Ray Tune with one actor per trial.

Both train the same toy networks, two packs or two trials at a time on the same machine, one after the other in the
same run, and both log every trial to their own MLflow store. Overhead is wall-clock time times the number of slots,
minus the processor time of the same training in one process, per trial. The peer is measured on a few trials and
extrapolated to the same number; its constant cost follows from the difference between two runs.
"""

import argparse
import json
import os
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from benchmarks.timing import markdown, processor, progress, verdict

TOY = """
dataset:  {kind: simulated, system: lorenz63, length: 600}
cell:     {kind: vanilla, units: 4}
windows:  {length: 20, batch: 4}
training: {steps: 4}
lyapunov: {steps: 20, warmup: 5, orbits: 2}
measures: [loss]
"""
GOAL, SLOTS, RATES = 0.1, 2, 10


def training_seconds(configs: Sequence[Any], pack: int) -> float:
    """Return processor time per trial of the training itself, in packs in this process."""
    from lyapsweep.trial import run_trials

    list(run_trials(configs[:pack]))  # one-time loading is not counted
    began = time.process_time()
    for i in range(0, len(configs), pack):
        list(run_trials(configs[i : i + pack]))
    return (time.process_time() - began) / len(configs)


def ours(folder: Path, trials: int, pack: int) -> float:
    """Return wall-clock seconds of a whole sweep: start of Ray, Optuna, records, MLflow, atlas."""
    from lyapsweep.sweep import Sweep
    from lyapsweep.sweep.execute.runner import run

    rates, seeds = [1e-3 * (i + 1) for i in range(RATES)], list(range(trials // RATES))
    grid = {"training/lr": rates, "seed": seeds}
    sweep = Sweep(base=folder / "toy.yaml", objective="loss", grid=grid, name="toys", pack=pack)
    began = time.monotonic()
    summary = run(sweep, results=folder, jobs=SLOTS, tracking_uri=f"sqlite:///{folder / 'ours.db'}")
    taken = time.monotonic() - began
    if summary.progress.finished != RATES * len(seeds):
        raise RuntimeError(f"{summary.progress.finished} of {RATES * len(seeds)} trials finished: {summary.message}")
    return taken


def plain_trial(settings: dict[str, Any]) -> None:
    """The usual user code: train one network, log it to MLflow and report to Tune."""
    from mlflow import MlflowClient
    from mlflow.entities import Metric, Param
    from ray import tune

    from lyapsweep.config import Config
    from lyapsweep.process import small_networks
    from lyapsweep.trial import run_trial

    small_networks()
    config, client = Config.load(settings["base"], {"seed": settings["seed"]}), MlflowClient(settings["uri"])
    experiment = client.get_experiment_by_name("toys")
    assert experiment is not None, "made before the first trial"
    run = client.create_run(experiment.experiment_id)
    client.log_batch(run.info.run_id, params=[Param(k, str(v)) for k, v in config.flat.items()])
    for record in run_trial(config):
        points = [Metric(k, v, run.info.start_time + record.step, record.step) for k, v in record.measures.items()]
        client.log_batch(run.info.run_id, metrics=points)
        client.log_artifact(run.info.run_id, str(record.save(settings["records"])))
        tune.report({"loss": record.measures["loss"]})
    client.set_terminated(run.info.run_id)


def plain(folder: Path, trials: int) -> float:
    """Return wall-clock seconds of plain Ray Tune with one actor per trial, its default."""
    import ray
    from mlflow import MlflowClient
    from ray import tune

    uri = f"sqlite:///{folder / f'plain{trials}.db'}"
    began = time.monotonic()
    MlflowClient(uri).create_experiment("toys", artifact_location=(folder / "plain").as_uri())
    ray.init(address="local", num_cpus=SLOTS, include_dashboard=False, log_to_driver=False)
    space = {"base": str(folder / "toy.yaml"), "records": str(folder / "plain records"), "uri": uri}
    space["seed"] = tune.grid_search(list(range(trials)))
    tuner = tune.Tuner(plain_trial, param_space=space, run_config=tune.RunConfig(storage_path=str(folder), verbose=0))
    results = tuner.fit()
    ray.shutdown()
    if results.num_errors:
        raise RuntimeError(f"{results.num_errors} of the peer's trials failed: {results.errors[0]}")
    return time.monotonic() - began


def peer_seconds(folder: Path, fewer: int, few: int, trials: int) -> float:
    """Return wall-clock seconds of the peer for `trials` trials, extrapolated from two shorter runs."""
    short, long = plain(folder, fewer), plain(folder, few)
    return short + (trials - fewer) * (long - short) / (few - fewer)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--trials", type=int, default=1000, help="a multiple of ten")
    parser.add_argument("--pack", type=int, default=64)
    parser.add_argument("--peer", type=int, nargs=2, default=(8, 32), help="trials of its two runs")
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
    from lyapsweep.config import Config

    with tempfile.TemporaryDirectory() as place:
        folder, (fewer, few) = Path(place), options.peer
        (folder / "toy.yaml").write_text(TOY)
        base = Config.load(folder / "toy.yaml")
        configs = [base.changed({"seed": seed}) for seed in range(2 * options.pack)]
        packed, alone = training_seconds(configs, options.pack), training_seconds(configs[:few], 1)
        progress(f"lyapsweep, {options.trials} trials")
        whole = ours(folder, options.trials, options.pack)
        progress(f"plain Ray Tune, {fewer} and {few} trials")
        peer = peer_seconds(folder, fewer, few, options.trials)
    mine, theirs = (SLOTS * wall / options.trials - work for wall, work in ((whole, packed), (peer, alone)))
    rows = [
        {"": "lyapsweep", "trials": options.trials, "wall, s": whole, "training, s": packed, "overhead, s": mine},
        {
            "": f"Ray Tune, from {few}",
            "trials": options.trials,
            "wall, s": peer,
            "training, s": alone,
            "overhead, s": theirs,
        },
    ]
    progress("")
    print(f"{processor()}; {SLOTS} slots; training and overhead in seconds of a slot a trial\n\n{markdown(rows)}\n")
    print(markdown([verdict("overhead a trial, of Ray Tune's", mine / theirs, most=GOAL)]))
    if options.json:
        options.json.write_text(json.dumps(rows, indent=1))


if __name__ == "__main__":
    main()
