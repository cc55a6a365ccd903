"""Measure what packs cost that stop members and join the others, over packs that train to their end.

    python -m benchmarks.halving [--members 64] [--updates 900] [--engine compiled torch] [--repeats 3]

Three packs of `--members` networks train to a rung at a third of the updates; the best third of each goes on in one
joined pack. Beside it, one pack of as many networks trains to its end. The seconds of the three packs and of the joined
one, checkpoints, records and building of networks included, are compared with those of the same updates and reports in
the pack that does not stop. Process time, one thread, interleaved, medians.
"""

import argparse
import statistics
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

from benchmarks.timing import markdown, one_thread
from lyapsweep.compiled.engine import choose_engine
from lyapsweep.config import Config
from lyapsweep.training.checkpoint import Checkpoints, name
from lyapsweep.trial import run_trials

BASE = Path(__file__).parent.parent / "configs" / "lorenz63.yaml"
PACKS = 3  # that are joined: the reduction factor


def timed_reports(configs: Sequence[Config], checkpoints: Checkpoints, until: int | None, folder: Path) -> list[float]:
    """Seconds until each report of a pack is saved, from the beginning; the last one until the pack has ended."""
    before, marks = time.process_time(), []
    for records in run_trials(configs, checkpoints=checkpoints, until=until):
        for record in records:
            record.save(folder)
        marks.append(time.process_time() - before)
    return [*marks[:-1], time.process_time() - before]


def compared(members: int, updates: int) -> dict[str, float]:
    """Seconds per update of packs that stop and join, and of a pack that does not."""
    rung = updates // PACKS
    changes = {"training/steps": updates, "training/report_every": rung, "lyapunov/steps": 100, "lyapunov/warmup": 20}
    base = Config.load(BASE, changes | {"training/report_at": [], "measures": ["loss"]})
    packs = [[base.changed({"seed": pack * members + i}) for i in range(members)] for pack in range(PACKS)]
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place)
        whole = timed_reports(packs[0], Checkpoints(folder / "whole"), None, folder)
        first = [timed_reports(pack, Checkpoints(folder / "a"), rung, folder)[-1] for pack in packs]
        joined = [config for pack in packs for config in pack[: members // PACKS + 1]][:members]
        files = [name([config.id for config in pack]) for pack in packs]
        second = timed_reports(joined, Checkpoints(folder / "a", files, start=rung), None, folder)[-1]
    made = members * (PACKS * rung + updates - rung)
    alone = PACKS * whole[1] + whole[-1] - whole[1]  # reports: at the start, at the rung, ...
    halved = sum(first) + second
    return {"whole, us": alone / made * 1e6, "halved, us": halved / made * 1e6, "ratio": halved / alone}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--members", type=int, default=64)
    parser.add_argument("--updates", type=int, default=900)
    parser.add_argument("--engine", nargs="+", default=["compiled", "torch"])
    parser.add_argument("--repeats", type=int, default=3)
    args = parser.parse_args()
    print(one_thread(), flush=True)
    rows = []
    for engine in args.engine:
        choose_engine(engine)
        compared(2, 9)  # compiles
        found = [compared(args.members, args.updates) for _ in range(args.repeats)]
        medians = {key: statistics.median(row[key] for row in found) for key in found[0]}
        spread = f"{min(row['ratio'] for row in found):.3f} to {max(row['ratio'] for row in found):.3f}"
        rows.append({"engine": engine, "members": args.members, "updates": args.updates} | medians | {"range": spread})
    print(markdown(rows))


if __name__ == "__main__":
    main()
