"""Measure the cost and accuracy of Lyapunov spectra here and elsewhere, and check the goals.

    python -m benchmarks.spectrum [--quick] [--cells ...] [--sizes ...] [--batches ...] [--device cuda] [--json FILE]

Ours is `lyapsweep.dynamics.lyapunov_spectra` in double precision, including checks and the orbit of the state; the
others are in `benchmarks/peers.py`, in the usual single precision; `calls` are dtrmm and dgetrf (and dgemm of a shallow
PLRNN) of the same size alone, the floor of a step. All start from the same states and frames
and use the same inputs. Cost is linear in time, so the cost per step is the difference of two runs divided by that of
their lengths, and constant costs are spread over the 1000 steps of a spectrum. Errors are the largest of an exponent
against double-precision QR at every step, in a run of 20 steps, over which single-precision orbits stay close.
"""

import argparse
import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch

from benchmarks.goals import goals
from benchmarks.peers import STEPS
from benchmarks.problems import SHARED, gemm_peak, memory, method, problem, step_costs
from benchmarks.timing import markdown, one_thread, progress
from lyapsweep.cells import CELLS, AbstractCell
from lyapsweep.compiled.engine import compiled_available

KINDS, SIZES, BATCHES = ("vanilla", "lstm", "gru", "plrnn"), (16, 64, 128, 256, 512), (1, 8, 32)
OTHERS = ("shallow_plrnn", "dendritic_plrnn", "alrnn", "antisymmetric", "cornn")  # without peers
TOO_LARGE = 2**22  # numbers in the frames of a batch: beyond, a run takes minutes


def error(found: np.ndarray, truth: np.ndarray) -> float:
    """Return the largest error of the leading exponents, as many as both have."""
    return float(np.abs(np.sort(found)[::-1] - truth[: len(found)]).max())


def row(kind: str, units: int, batch: int, args: argparse.Namespace) -> dict[str, object]:
    """Return one row of the table: every method for one cell, size and batch."""
    p = problem(kind, units, batch, args.device)
    names = (["jacrev", "formulas"] + ["autograd"] * (batch == 1 and units <= 256)) * (kind in STEPS and args.peers)
    peers: dict[str, Callable[[int], np.ndarray]] = {name: p.peer(name) for name in names}
    floors = floors_of(p.cell) if batch == 1 and args.device == "cpu" else {}
    us = step_costs({"ours": p.ours, **floors, **peers}, args.rounds, args.budget, args.device)
    peak = gemm_peak(p.cell.state, args.device)
    useful = 5 / 3 * p.cell.state**3 * batch * 1e-3 / us["ours"]
    truth = p.ours(SHARED, method="qr")
    found: dict[str, object] = {"cell": kind, "N": units, "B": batch, "method": method(p), "us, ours": us["ours"]}
    if floors:
        found |= {"us, calls": us["calls"] - us["copies"], "x calls": us["ours"] / (us["calls"] - us["copies"])}
    found |= {f"us, {name}": us[name] for name in names}
    found |= {f"x {name}": us[name] / us["ours"] for name in names}
    found |= {"gemm GF/s": peak, "of gemm, %": 100 * useful / peak}
    if args.memory:
        found |= {f"MB, {way}": memory(way, kind, units, batch, args.device) for way in ("ours", "jacrev", "formulas")}
    found["error, ours"] = error(p.ours(SHARED), truth)
    return found | {f"error, {name}": error(peers[name](SHARED), truth) for name in names if name != "autograd"}


def floors_of(cell: AbstractCell) -> dict[str, Callable[[int], object]]:
    """The calls of a frame alone, and the copies to subtract from them; nothing without numba."""
    if not compiled_available():
        return {}
    from benchmarks.floors import frame_floor

    return {"calls": frame_floor(cell), "copies": frame_floor(cell, only_copies=True)}


def chosen(args: argparse.Namespace) -> list[tuple[str, int, int]]:
    """Return the methods that are available; print those that are not."""
    rows = []
    for kind in args.cells:
        if kind not in CELLS:
            print(f"{kind}: not among the cells {', '.join(CELLS)}; left out.")
            continue
        for n, b in ((n, b) for n in args.sizes for b in args.batches):
            state = n * (2 if kind in ("lstm", "cornn") else 1)
            if state**2 * b > TOO_LARGE:
                print(f"{kind} N={n} B={b}: a run takes minutes; left out.")
            elif not args.quick or (n < 512 and b * n <= 512):
                rows.append((kind, n, b))
    return rows


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="fewer and smaller problems: about two minutes")
    parser.add_argument("--cells", nargs="+", choices=(*KINDS, *OTHERS), default=KINDS)
    parser.add_argument("--sizes", nargs="+", type=int, default=SIZES)
    parser.add_argument("--batches", nargs="+", type=int, default=BATCHES)
    parser.add_argument("--device", choices=("cpu", "cuda"), default="cpu")
    parser.add_argument("--no-peers", dest="peers", action="store_false", help="compare with the BLAS calls only")
    parser.add_argument("--no-goals", dest="goals", action="store_false", help="print the table only")
    parser.add_argument("--json", type=Path, help="file of raw figures; rows in it are not measured again")
    args = parser.parse_args()
    args.rounds, args.budget, args.memory = (3, 0.05, False) if args.quick else (5, 0.4, True)
    return args


def main() -> None:
    args = arguments()
    print(one_thread() if args.device == "cpu" else torch.cuda.get_device_name(), flush=True)
    table = json.loads(args.json.read_text())["table"] if args.json and args.json.exists() else []
    done = {(r["cell"], r["N"], r["B"]) for r in table}
    for kind, units, batch in chosen(args):
        if (kind, units, batch) in done:
            continue
        progress(f"{kind} N={units} B={batch}")
        table.append(row(kind, units, batch, args))
        keep(args.json, table=table)
    progress("")
    print(f"\n## Cost and error\n\n{markdown(table)}", flush=True)
    met = []
    if args.goals and args.device == "cpu":
        met = goals(table, args)
        print(f"\n## Goals\n\n{markdown(met)}")
    keep(args.json, table=table, goals=met)


def keep(file: Path | None, **figures: list) -> None:
    """Write the raw figures so far, so that an interruption loses little."""
    if file:
        file.write_text(json.dumps(figures, indent=1))


if __name__ == "__main__":
    main()
