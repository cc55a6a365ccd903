"""Do networks that the two engines train score alike? Two-sample tests over seeds.

    python -m benchmarks.engine_scores             # 12 seeds of three cells, 9000 updates each: six minutes
    python -m benchmarks.engine_scores --seeds 4 --steps 500

The networks of the flagship sweep at a forcing interval of 12, with seeds that no other study uses. Chaos amplifies
rounding, so that networks of one seed differ, and only their distributions can be compared.
"""

import argparse
import time

import numpy as np
from scipy.stats import ks_2samp, mannwhitneyu

from benchmarks.timing import markdown, one_thread
from lyapsweep import Config
from lyapsweep.compiled.engine import COMPILED, TORCH, choose_engine
from lyapsweep.results.record import Record
from lyapsweep.trial import run_trials

CELLS = {"vanilla": {"units": 30}, "plrnn": {"units": 30}, "shallow_plrnn": {"units": 20, "hidden": 40}}
MEASURES = ("loss", "state_space", "prediction_time")
FIRST_SEED = 100


def trained(engine: str, cell: str, seeds: int, steps: int) -> tuple[list[Record], float]:
    """The last records of a pack of seeds, and the processor time of all."""
    choose_engine(engine)
    base = Config.load("configs/lorenz63.yaml").changed(
        {"cell": {"kind": cell, **CELLS[cell]}, "forcing/interval": 12, "training/steps": steps}
    )
    base = base.changed({"training/report_every": None})
    began = time.process_time()
    *_, last = run_trials([base.changed({"seed": FIRST_SEED + i}) for i in range(seeds)])
    return last, time.process_time() - began


def compare(cell: str, seeds: int, steps: int) -> list[dict[str, object]]:
    """A row per measure: medians of both engines, and two p values of the hypothesis of one distribution."""
    found = {engine: trained(engine, cell, seeds, steps) for engine in (COMPILED, TORCH)}
    rows = []
    for name in MEASURES:
        ours, theirs = ([r.measures[name] for r in found[engine][0]] for engine in (COMPILED, TORCH))
        row = {"cell": cell, "measure": name, "compiled": np.median(ours), "torch": np.median(theirs)}
        row |= {"p (Kolmogorov-Smirnov)": ks_2samp(ours, theirs).pvalue}
        row |= {"p (Mann-Whitney)": mannwhitneyu(ours, theirs).pvalue}
        rows.append(row | {f"s, {engine}": found[engine][1] for engine in (COMPILED, TORCH)})
    return rows


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seeds", type=int, default=12)
    parser.add_argument("--steps", type=int, default=9000)
    args = parser.parse_args()
    one_thread()
    print(markdown([row for cell in CELLS for row in compare(cell, args.seeds, args.steps)]))


if __name__ == "__main__":
    main()
