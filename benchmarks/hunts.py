"""Do hunts end with networks that deserve to win? Confirmed winners and unconfirmed favourites, beside random search.

    python -m benchmarks.hunts                                   # one search of each arm on Lorenz-63
    python -m benchmarks.hunts --searches 10 --jobs 2
    python -m benchmarks.hunts --systems Rossler Halvorsen --searches 5 --arms hunt
    python -m benchmarks.hunts --table                           # the table of what has been run, without running

A search is `sweeps/reconstruct.py` with a seed of its own. Random search draws from the same space, trains every trial
whole, and has as many trials as make as many updates. Both confirm their best settings, so that each search shows the
winner and what would have won without confirmation. Flows of dysts are sampled so that small errors double every 25.5
samples, as Lorenz-63 is here. Results go to a JSON lines file as they come; what is in it is not run again, and an
interrupted search is resumed.

A false winner has its largest exponent off by more than 10 % of that of the data, and by more than three standard
errors.
"""

import argparse
import json
import math
import time
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.timing import markdown, one_thread
from lyapsweep.dysts_table import table as dysts
from lyapsweep.results.best import best_setting
from lyapsweep.results.headline import headline_map
from lyapsweep.results.record_files import latest_files
from lyapsweep.results.table import Table
from lyapsweep.sweep import Sweep, load
from lyapsweep.sweep.execute import runner

SWEEP = Path("sweeps/reconstruct.py")
LORENZ, DOUBLING = "lorenz63", 25.5  # samples in which small errors double
ARMS = ("hunt", "random")
OFF, ERRORS = 0.1, 3.0


@dataclass(frozen=True)
class Networks:
    """The networks of one setting: median score, exponent and standard error, and how many are chaotic."""

    score: float
    exponent: float
    error: float
    chaotic: int
    count: int

    def false(self, data: float) -> bool:
        """Whether the largest exponent is off by more than 10 % and three standard errors."""
        off = abs(self.exponent - data)
        return not (off <= OFF * data or off <= ERRORS * self.error)


@dataclass(frozen=True)
class Search:
    """One search: the favourite by its run in the search, the same setting from fresh seeds, and the winner."""

    arm: str
    system: str
    seed: int
    data: float
    favourite: Networks
    fresh: Networks
    winner: Networks
    at_floor: bool
    lost: bool
    trials: int
    updates: int
    minutes: float

    @property
    def good(self) -> bool:
        """At the floor, all networks chaotic, and the median exponent within 10 %."""
        chaotic = self.winner.chaotic == self.winner.count
        return self.at_floor and chaotic and abs(self.winner.exponent - self.data) <= OFF * self.data

    @classmethod
    def from_json(cls, line: str) -> "Search":
        content = json.loads(line)
        return cls(**content | {name: Networks(**content[name]) for name in ("favourite", "fresh", "winner")})


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--systems", nargs="+", default=[LORENZ], help="lorenz63 or flows of dysts")
    parser.add_argument("--arms", nargs="+", choices=ARMS, default=ARMS)
    parser.add_argument("--searches", type=int, default=1, help="seeds per arm and system")
    parser.add_argument("--trials", type=int, help="of a hunt, instead of the sweep's own")
    parser.add_argument("--jobs", type=int, default=2)
    parser.add_argument("--results", type=Path, default=Path("results/hunts"))
    parser.add_argument("--table", action="store_true", help="print what has been run, run nothing")
    args = parser.parse_args()
    one_thread()
    file = args.results / "searches.jsonl"
    done = [Search.from_json(line) for line in file.read_text().splitlines()] if file.exists() else []
    if not args.table:
        args.results.mkdir(parents=True, exist_ok=True)
        known = {(s.arm, s.system, s.seed) for s in done}
        for job in ((a, s, n) for s in args.systems for n in range(args.searches) for a in args.arms):
            if job not in known:
                done.append(run(*job, args))
                with file.open("a") as lines:
                    lines.write(json.dumps(asdict(done[-1])) + "\n")
    print(markdown([shown(search) for search in done]))
    print()
    print(markdown(list(rates(done))))


def run(arm: str, system: str, seed: int, args: argparse.Namespace) -> Search:
    """Run one search to its end."""
    sweep, began = replace(load(SWEEP), name=f"{arm}-{system}-{seed}", question=""), time.monotonic()
    trials = args.trials or sweep.trials or 1
    if arm == "random":
        trials, sweep = whole_trials(sweep, trials), replace(sweep, intent="map")
    summary = runner.run(
        replace(sweep, trials=trials),
        results=args.results,
        jobs=args.jobs,
        seed=seed,
        changes=dataset(system),
        resume=True,
        tracking_uri="none",
    )
    if summary.interrupted:
        raise SystemExit(f"{summary.message} The same command resumes it.")
    return measured(arm, system, seed, args.results / (sweep.name or ""), (time.monotonic() - began) / 60)


def whole_trials(sweep: Sweep, trials: int) -> int:
    """So many whole trials make as many updates as `trials` of which a third train past half."""
    steps, first = sweep.config().training.steps, sweep.config().training.report_every or 0
    return round(trials * (first + (steps - first) / 3) / steps)


def dataset(system: str) -> dict[str, Any]:
    """The changes of the base config for a system: its name and its time step."""
    if system == LORENZ:
        return {}
    exponent = dysts()[system]["maximum_lyapunov_estimated"]
    return {"dataset/system": system, "dataset/dt": float(f"{math.log(2) / exponent / DOUBLING:.4g}")}


def measured(arm: str, system: str, seed: int, folder: Path, minutes: float) -> Search:
    """What a finished search found."""
    table = Table.read(folder)
    confirmation, best, finals = table.description.confirmation, best_setting(table), table.finals
    if confirmation is None or not confirmation.trials:
        raise SystemExit(f"{folder}: no trial of the search finished. Raise --trials.")
    names = finals.frame["trial"].astype(str).tolist()
    favourite = next(iter(confirmation.trials))
    fresh = [names.index(trial) for trial in confirmation.trials[favourite]]
    winner = list(best.scored) if best else fresh
    return Search(
        arm,
        system,
        seed,
        float(finals.frame["data/lambda_max"].median()),
        networks(finals, [names.index(favourite)]),
        networks(finals, fresh),
        networks(finals, winner),
        at_floor=bool(best and best.at_floor),
        lost=not set(winner) & set(fresh),
        trials=len(latest_files(folder / "records")),
        updates=int(finals.frame["step"].sum()),
        minutes=minutes,
    )


def networks(finals: Table, rows: Sequence[int]) -> Networks:
    name = headline_map(finals.spectra) or ""
    column = finals.frame[finals.description.objective_column].to_numpy(float)[list(rows)]
    exponents, errors = finals.spectra[name][list(rows), 0], finals.spectra_stderr[name][list(rows), 0]
    chaotic = finals.frame[f"spectra/{name}/positive"].to_numpy(float)[list(rows)] > 0
    score, exponent, error = (float(np.nanmedian(values)) for values in (column, exponents, errors))
    return Networks(score, exponent, error, int(chaotic.sum()), len(rows))


def shown(search: Search) -> dict[str, object]:
    found, data = search.winner, search.data
    return {
        "arm": search.arm,
        "system": search.system,
        "seed": search.seed,
        "favourite, its run": f"{search.favourite.score:.3g}",
        "its fresh seeds": f"{search.fresh.score:.3g}, {search.fresh.chaotic} of {search.fresh.count} chaotic",
        "winner": f"{found.score:.3g}, {found.chaotic} of {found.count} chaotic",
        "lambda_max": f"{found.exponent / data - 1:+.1%}",
        "at the floor": "yes" if search.at_floor else "no",
        "good": "yes" if search.good else "no",
        "favourite lost": "yes" if search.lost else "no",
        "updates": search.updates,
        "minutes": f"{search.minutes:.1f}",
    }


def rates(searches: Sequence[Search]) -> Iterator[dict[str, object]]:
    """Per arm: good and false winners, and favourites that are false by their own run or lost."""
    for arm in dict.fromkeys(search.arm for search in searches):
        of = [search for search in searches if search.arm == arm]
        yield {
            "arm": arm,
            "searches": len(of),
            "good winners": sum(search.good for search in of),
            "false winners": sum(search.winner.false(search.data) for search in of),
            "false favourites": sum(search.favourite.false(search.data) for search in of),
            "favourites that lost": sum(search.lost for search in of),
        }


if __name__ == "__main__":
    main()
