"""Compute the exponents of the flows of dysts, compare them with the stored ones, and check both independently.

    python -m benchmarks.dysts_exponents                              every flow below; resumes an interrupted run
    python -m benchmarks.dysts_exponents --flows Lorenz Halvorsen     these
    python -m benchmarks.dysts_exponents --quick                      a tenth of the steps
    python -m benchmarks.dysts_exponents --steps 30000                number of steps

256 orbits, spread over the attractor by 2000 steps each, are followed for 3000 or 12 000 steps of a hundredth of the
dominant period (30 or 120 periods each), after 500 steps that align the frame. Two values are known without literature:

- zero: a flow that does not converge to a point has an exponent of zero; ours within 1 % of lambda_1 or two standard
  errors. If not, the run is four times as long; if it still is not, the table says "not converged";
- trace: the exponents sum to the mean divergence of the field, tr Df, along the same orbits; ours within 1 % of
  lambda_1. If the Runge-Kutta steps are too long for that, they are halved and the flow is computed again.

Results are appended to a CSV file flow by flow; a Markdown table of it is printed at the end.
"""

import argparse
import csv
import math
import time
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from lyapsweep.dynamics import lyapunov_spectra
from lyapsweep.dysts_table import table
from lyapsweep.process import small_networks
from lyapsweep.systems import DystsFlow

NAMES = """
Lorenz Rossler Halvorsen Chua Duffing Aizawa SprottA SprottB SprottC SprottD SprottE SprottF SprottG SprottH SprottI
SprottJ SprottK SprottL SprottM SprottN SprottO SprottP SprottQ SprottR SprottS RabinovichFabrikant Chen LuChen
GenesioTesi Hadley NoseHoover Rucklidge Finance Dadras ShimizuMorioka HyperRossler HenonHeiles QiChen Bouali BurkeShaw
WangSun NewtonLiepnik Lorenz84 Arneodo Coullet RayleighBenard LorenzBounded LorenzStenflo LiuChen YuWang
"""
FLOWS = NAMES.split()
ORBITS, STEPS, WARMUP, APART, KICK = 256, 3000, 500, 2000, 1e-3
SPACING = 20  # steps between the starts, along one orbit
ZERO, TRACE, SURE = 0.01, 0.01, 2.0  # tolerances of the checks, relative to lambda_1; standard errors of zero
LONGER = 4  # times as many steps where the zero is missed
FINER = 3  # at most this many halvings of the step
PIECE = 2**15  # states per batch of the divergence


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--flows", nargs="+", default=FLOWS, metavar="NAME")
    parser.add_argument("--quick", action="store_true", help="a tenth of the steps")
    parser.add_argument("--steps", type=int, default=STEPS)
    parser.add_argument("--csv", type=Path, default=Path("results/dysts_exponents.csv"))
    options = parser.parse_args()
    small_networks()
    steps = STEPS // 10 if options.quick else options.steps
    for name in options.flows:
        if (name, str(steps)) not in {(row["flow"], row["steps"]) for row in read(options.csv)}:
            append(options.csv, measured(name, steps))
    rows = {row["flow"]: row for row in read(options.csv) if row["steps"] == str(steps)}
    print(markdown([rows[name] for name in options.flows if name in rows]))


def measured(name: str, steps: int) -> dict[str, Any]:
    """Return one row, with steps small enough for the trace check and, where the zero is missed, four times as many."""
    begun, row = time.process_time(), followed(DystsFlow(name), steps)
    for _ in range(FINER):
        if row["outcome"] != "measured" or not off_trace(row):
            break
        row = followed(DystsFlow(name, substeps=2 * row["substeps"]), steps)
    if row["outcome"] == "measured" and off_zero(row):
        row = followed(DystsFlow(name, substeps=row["substeps"]), LONGER * steps)
    return row | {"steps": steps, "counted": row["steps"], "seconds": round(time.process_time() - begun, 1)}


def followed(flow: DystsFlow, steps: int) -> dict[str, Any]:
    """Return the exponents of a flow and the mean divergence along the same orbits."""
    z = spread(flow)
    spectrum = lyapunov_spectra(flow, z, steps=steps, warmup=WARMUP)[0]
    return {
        "flow": flow.name,
        "dt": flow.dt,
        "substeps": flow.substeps,
        "orbits": ORBITS,
        "steps": steps,
        "outcome": "measured" if spectrum.finite else "diverged",
        "exponents": spaced(spectrum.per_time),
        "stderr": spaced(spectrum.stderr_per_time),
        "divergence": divergence(flow, z, steps),
        "kaplan_yorke": spectrum.kaplan_yorke,
    }


def spread(flow: DystsFlow) -> Tensor:
    """Return states (1, orbits, state): points along one orbit, perturbed and integrated further."""
    generator = torch.Generator().manual_seed(0)
    one = flow.trajectory(flow.start(1, generator), APART + ORBITS * SPACING)[APART:]
    z = torch.from_numpy(one[::SPACING].copy())[None]
    z = z + KICK * flow.spread * torch.randn(z.shape, generator=generator, dtype=torch.float64)
    with torch.inference_mode():
        for _ in range(APART):
            z = flow.step(z)
    return z.clone()


@torch.no_grad()
def divergence(flow: DystsFlow, z: Tensor, steps: int) -> float:
    """Return tr Df averaged over the counted steps by the trapezoidal rule, per unit time."""
    states = flow.orbit(z, None, WARMUP + steps)[WARMUP - 1 :].flatten(0, 2)
    unit = torch.eye(flow.state, dtype=states.dtype)
    traces = [
        flow.tangent(piece[None], unit.expand(1, len(piece), -1, -1)).diagonal(dim1=-2, dim2=-1).sum(-1)[0]
        for piece in states.split(PIECE)
    ]
    along = torch.cat(traces).reshape(steps + 1, ORBITS).mean(dim=1)
    return float((along[:-1] + along[1:]).mean() / 2)


def spaced(values: np.ndarray) -> str:
    return " ".join(f"{v:.8g}" for v in values)


def read(path: Path) -> list[dict[str, str]]:
    if not path.exists():
        return []
    with path.open(newline="") as file:
        return list(csv.DictReader(file))


def append(path: Path, row: dict[str, Any]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    fresh = not path.exists()
    with path.open("a", newline="") as file:
        writer = csv.DictWriter(file, list(row))
        if fresh:
            writer.writeheader()
        writer.writerow(row)
    print(row["flow"], row["outcome"], row["exponents"], f"{row['seconds']} s", flush=True)


def markdown(rows: list[dict[str, str]]) -> str:
    headings = ["flow", r"$\lambda_1$", "nearest zero", "sum", "divergence", r"$D_{KY}$", "checks"]
    head = f"| {' | '.join([*headings, 'dysts: spectrum', 'dysts: largest'])} |"
    lines = [head, "|" + "---|" * 9, *(line(row) for row in rows)]
    passed = sum(checks(row) == "pass" for row in rows)
    return "\n".join([*lines, "", f"{len(rows)} flows, {passed} pass both checks."])


def line(row: dict[str, str]) -> str:
    stored = table()[row["flow"]]
    theirs = f"{stored['lyapunov_spectrum_estimated'][0]:.4g} | {stored['maximum_lyapunov_estimated']:.4g}"
    if row["outcome"] != "measured":
        return f"| {row['flow']} | {row['outcome']} | | | | | none | {theirs} |"
    exponents, errors = numbers(row["exponents"]), numbers(row["stderr"])
    near = int(np.abs(exponents).argmin())
    ours = f"{with_error(exponents[0], errors[0])} | {with_error(exponents[near], errors[near])}"
    sums = f"{exponents.sum():.6g} | {float(row['divergence']):.6g}"
    return f"| {row['flow']} | {ours} | {sums} | {float(row['kaplan_yorke']):.3f} | {checks(row)} | {theirs} |"


def checks(row: dict[str, Any]) -> str:
    """Return `pass` or the failed checks, in units of lambda_1, which must exceed zero by four standard errors."""
    exponents, errors = numbers(row["exponents"]), numbers(row["stderr"])
    if exponents[0] < 4 * errors[0]:
        return "not chaotic"
    failed = ["not converged"] if off_zero(row) else []
    return ", ".join(failed + (["trace"] if off_trace(row) else [])) or "pass"


def off_zero(row: dict[str, Any]) -> bool:
    exponents, errors = numbers(row["exponents"]), numbers(row["stderr"])
    near = int(np.abs(exponents).argmin())
    return bool(abs(exponents[near]) > max(ZERO * exponents[0], SURE * errors[near]))


def off_trace(row: dict[str, Any]) -> bool:
    exponents = numbers(row["exponents"])
    return not abs(exponents.sum() - float(row["divergence"])) <= TRACE * abs(exponents[0])


def numbers(text: str) -> np.ndarray:
    return np.array([float(v) for v in text.split()])


def with_error(value: float, error: float) -> str:
    """`0.9056(12)`: the error in units of the last digit."""
    if not error > 0:
        return f"{value:.4g}"
    decimals = max(0, 1 - math.floor(math.log10(error)))
    return f"{value:.{decimals}f}({round(error * 10**decimals)})"


if __name__ == "__main__":
    main()
