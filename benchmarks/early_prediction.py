"""Measure what early spectra add to settings and early scores: one table by task and by cell.

    python -m benchmarks.early_prediction results/initialisation [--learner trees --repeats 2]

Held-out rank correlation between predicted and final outcome, from settings and early scores alone and with the
spectrum (`lyapsweep.analysis.prediction.incremental`: ridge regression or trees, ten folds drawn `--repeats` times),
with spectra measured before the first update, after 5 and after 10 % of training; across cells and within each cell.
Intervals are 95 %. Then the transfer of a fit from one cell to the others, and to cells that are held out.
"""

import argparse
from pathlib import Path

import numpy as np

from benchmarks.timing import markdown, one_thread, progress
from lyapsweep.analysis.prediction import incremental, transfer
from lyapsweep.analysis.shared.selection import TooFew, digits, named
from lyapsweep.results.table import Table

EARLY = (0.0, 0.05, 0.1)
KNOWN = "settings + early scores"
AFTER = f"{KNOWN} + spectrum"


def interval(scores: incremental.IncrementalScores, name: str) -> str:
    i = scores.names.index(name)
    return f"{digits(scores.value[i])} ({digits(scores.low[i])} to {digits(scores.high[i])})"


def row(table: Table, task: str, cells: str, at: float, args: argparse.Namespace) -> dict[str, object]:
    found = incremental.find(table, args.outcome, at, form=args.form, learner=args.learner, repeats=args.repeats)
    told: dict[str, object] = {
        "task": task,
        "cells": cells,
        "of training": f"{100 * at:g} %",
        "n": str(found.rows.count),
    }
    told |= {name: interval(found.predictors, name) for name in ("settings", "early scores", KNOWN, "spectrum", AFTER)}
    return told | {"the spectrum adds": interval(found.gains, KNOWN)}


def elsewhere(table: Table, task: str, args: argparse.Namespace) -> None:
    """Print what transfers from one cell to another, or that there are too few cells."""
    try:
        within = transfer.find(table, args.outcome, "cell/kind", EARLY[-1])
        apart = incremental.find(table, args.outcome, EARLY[-1], group="cell/kind", repeats=args.repeats)
        print(f"\n{task}: {transfer.sentence(within)}\n{incremental.sentence(apart)}")
    except TooFew as reason:
        print(f"\n{task}: {reason}")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--outcome", default="measures/loss")
    parser.add_argument("--form", choices=("summaries", "quantiles", "components"), default="summaries")
    parser.add_argument("--learner", choices=tuple(incremental.LEARNERS), default="ridge")
    parser.add_argument("--repeats", type=int, default=10)
    args = parser.parse_args()
    one_thread()
    table, rows = Table.read(args.folder), []
    tasks, kinds = named(table, "dataset/kind"), named(table, "cell/kind")
    for task in np.unique(tasks):
        for cells in ("all", *np.unique(kinds)):
            chosen = table.take((tasks == task) & ((kinds == cells) | (cells == "all")))
            for at in EARLY:
                progress(f"{task} {cells} {at:g}")
                try:
                    rows.append(row(chosen, str(task), str(cells), at, args))
                except TooFew as reason:
                    print(f"{task}, {cells}: {reason}")
    progress("")
    print(markdown(rows))
    for task in np.unique(tasks):
        elsewhere(table.take(tasks == task), str(task), args)


if __name__ == "__main__":
    main()
