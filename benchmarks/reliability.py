"""Faults done to real sweeps: is every trial that was asked for there afterwards, once, with the undisturbed numbers?

    python -m benchmarks.reliability                          # 20 repetitions of each fault, several hours
    python -m benchmarks.reliability --repetitions 2 --only raylet,gcs
    python -m benchmarks.reliability --table                  # the table of what was run so far

A repetition is a sweep of 12 trials of a grid, a space or a hunt, in turn. The fault strikes once a random number of
records is written; then the sweep is resumed until it ends. Afterwards every trial has ended once, MLflow and Optuna
have no RUNNING trial, no partial file is left, and the scores are, bit for bit, those of a sweep that nothing disturbed
(of a hunt: of the same configs trained alone). Results go to a JSON lines file as they come; the same seed resumes it.
"""

import argparse
import collections
import json
import random
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import optuna
from mlflow import MlflowClient
from optuna.storages import JournalStorage
from optuna.storages.journal import JournalFileBackend

from benchmarks.faults import FAULTS, RECORDS, SWEEPS, TRIALS, Sweeping, Unsound
from lyapsweep.results.record import Outcome, Record
from lyapsweep.results.record_files import files_by_trial
from lyapsweep.trial import run_trial

Scores = dict[str, dict[int, float]]  # of each trial: step to loss


def scores(sweeping: Sweeping) -> Scores:
    """The loss in every record; Unsound unless every trial has ended once, as the sweep's intent lets it."""
    files = files_by_trial(sweeping.paths.records)
    last = {trial: Record.load(found[-1]) for trial, found in files.items()}
    if len(last) != TRIALS:
        raise Unsound(f"{len(last)} trials of {TRIALS}")
    fine = {Outcome.FINISHED} | ({Outcome.STOPPED} if sweeping.mode == "hunt" else set())
    for trial, record in last.items():
        if record.outcome not in fine or record.interrupted:
            raise Unsound(f"{trial} is {record.outcome}: {record.provenance.error}")
    return {trial: {r.step: r.measures["loss"] for r in map(Record.load, found)} for trial, found in files.items()}


def alone(sweeping: Sweeping) -> Scores:
    """The loss of a hunt's trials, trained again one by one, up to where each was stopped."""
    found = {}
    for trial, files in files_by_trial(sweeping.paths.records).items():
        last = Record.load(files[-1])
        found[trial] = {r.step: r.measures["loss"] for r in run_trial(last.config) if r.step <= last.step}
    return found


def check(sweeping: Sweeping, undisturbed: Scores | None) -> None:
    """Raise Unsound for whatever does not hold after the sweep ended."""
    found, wanted = scores(sweeping), alone(sweeping) if undisturbed is None else undisturbed
    if found != wanted:
        apart = [trial for trial in wanted if found.get(trial) != wanted[trial]]
        raise Unsound(f"{len(apart)} trials have other scores, such as {apart[0]}: {found.get(apart[0])}")
    if left := [part.name for part in sweeping.folder.rglob("*.part*")]:
        raise Unsound(f"partial files are left: {left}")
    if not sweeping.paths.atlas.exists():
        raise Unsound("no atlas")
    check_mlflow(sweeping.store or f"sqlite:///{sweeping.folder}/results/mlflow.db", set(found))
    check_optuna(sweeping)


def check_mlflow(uri: str, trials: set[str]) -> None:
    """One run per trial, none RUNNING."""
    client = MlflowClient(tracking_uri=uri)
    experiment = client.get_experiment_by_name("s")
    if experiment is None:
        raise Unsound("MLflow lacks the experiment")
    runs = [run for run in client.search_runs([experiment.experiment_id]) if "summary" not in run.data.tags]
    if collections.Counter(run.data.tags["trial_key"] for run in runs) != collections.Counter(trials):
        raise Unsound(f"MLflow has {len(runs)} runs of {len(trials)} trials")
    if running := [run.info.status for run in runs if run.info.status == "RUNNING"]:
        raise Unsound(f"{len(running)} runs are RUNNING in MLflow")


def check_optuna(sweeping: Sweeping) -> None:
    """No trial RUNNING, as many with a result as there are trials."""
    storage = JournalStorage(JournalFileBackend(str(sweeping.paths.optuna_journal)))
    states = collections.Counter(t.state.name for t in optuna.load_study(study_name="s", storage=storage).get_trials())
    if states["RUNNING"] or states["WAITING"] or states["COMPLETE"] + states["PRUNED"] < TRIALS:
        raise Unsound(f"Optuna has {dict(states)}")


def repetition(fault, number: int, seed: int, undisturbed: dict[str, Scores]) -> dict[str, object]:
    """Do one fault to one sweep, resume it, and say what does not hold."""
    mode = list(SWEEPS)[number % len(SWEEPS)]
    folder = Path(tempfile.mkdtemp(prefix=f"reliability-{fault.__name__}-"))
    sweeping, began = Sweeping(folder, mode, random.Random(f"{fault.__name__} {number} {seed}")), time.monotonic()
    result: dict[str, object] = {"fault": fault.__name__, "number": number, "seed": seed, "mode": mode, "unsound": ""}
    try:
        fault(sweeping)
        result["records_before"] = sweeping.records()
        result["resumes"] = sweeping.resume()
        check(sweeping, undisturbed.get(mode))
    except (Unsound, OSError, subprocess.CalledProcessError) as error:
        result["unsound"] = f"{type(error).__name__}: {error}"
        result["log"] = (folder / "log.txt").read_text()[-3000:] if (folder / "log.txt").exists() else ""
    subprocess.run(["umount", str(folder / "results")], capture_output=True, check=False)
    shutil.rmtree(folder, ignore_errors=True)
    return result | {"seconds": round(time.monotonic() - began, 1)}


def undisturbed_scores(modes: list[str]) -> dict[str, Scores]:
    """The scores of sweeps that nothing disturbs; a hunt has none, because it draws its points as results come."""
    found = {}
    for mode in modes:
        with tempfile.TemporaryDirectory() as folder:
            sweeping = Sweeping(Path(folder), mode, random.Random(0))
            if sweeping.end(sweeping.start()):
                raise SystemExit((sweeping.folder / "log.txt").read_text())
            found[mode] = scores(sweeping)
            assert sum(map(len, found[mode].values())) == RECORDS
    return found


def table(results: list[dict]) -> str:
    """A line per fault: repetitions, how many were sound, resumes, seconds."""
    lines = ["| fault | repetitions | sound | resumes, mean | seconds, mean |", "|---|---|---|---|---|"]
    for fault in FAULTS:
        mine = [r for r in results if r["fault"] == fault.__name__]
        if mine:
            sound = sum(not r["unsound"] for r in mine)
            resumes = sum(r.get("resumes", 0) for r in mine) / len(mine)
            seconds = sum(r["seconds"] for r in mine) / len(mine)
            lines.append(f"| {fault.__doc__} | {len(mine)} | {sound} | {resumes:.1f} | {seconds:.0f} |")
    return "\n".join(lines)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--repetitions", type=int, default=20)
    parser.add_argument("--only", default="", help="names of faults, separated by commas")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--results", type=Path, default=Path("reliability.jsonl"))
    parser.add_argument("--table", action="store_true", help="print the table of what was run, and run nothing")
    args = parser.parse_args()
    results = [json.loads(line) for line in args.results.read_text().splitlines()] if args.results.exists() else []
    done = {(r["fault"], r["number"], r["seed"]) for r in results}
    names = args.only.split(",") if args.only else [fault.__name__ for fault in FAULTS]
    planned = [(f, n) for n in range(args.repetitions) for f in FAULTS if f.__name__ in names]
    planned = [] if args.table else [(f, n) for f, n in planned if (f.__name__, n, args.seed) not in done]
    undisturbed = undisturbed_scores(["grid", "space"]) if planned else {}
    for fault, number in planned:
        results.append(repetition(fault, number, args.seed, undisturbed))
        with args.results.open("a") as file:
            file.write(json.dumps(results[-1]) + "\n")
        print(fault.__name__, number, results[-1]["unsound"] or "sound", f"{results[-1]['seconds']} s", flush=True)
    print(table(results))
    return int(any(r["unsound"] for r in results))


if __name__ == "__main__":
    sys.exit(main())
