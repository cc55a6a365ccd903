"""Verdicts and largest exponents of `lyapsweep suggest` on 40 series whose answer is known.

    python -m benchmarks.suggest                           the tuning half, with 0, 2 and 5 % noise
    python -m benchmarks.suggest --half set-aside          the half that nothing was tuned on
    python -m benchmarks.suggest --chaotic --noise 0.05    chaotic series with noise
    python -m benchmarks.suggest --half both --table       the table of what has been run, without running
    python -m benchmarks.suggest --only Lorenz --noise 0   series whose name contains a word
    python -m benchmarks.suggest --truth                   lambda_max of the equations, as stored in `suggest_series`

Noise is in standard deviations of each column. Each result is appended to a CSV file, and a result in the file
is not computed again: delete the file after a change of the estimator. Processor time is that of the estimate alone.
"""

import argparse
import csv
import math
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from benchmarks.suggest_series import SET_ASIDE, TUNING, Series
from benchmarks.timing import markdown, one_thread, progress
from lyapsweep.exponents import system_spectrum
from lyapsweep.timeseries import estimate

HALVES = {"tuning": TUNING, "set-aside": SET_ASIDE, "both": TUNING + SET_ASIDE}
NOISE = (0.0, 0.02, 0.05)
ORBITS = 256  # of the truth, which are aligned for a fifth of their steps
NEAR, NARROW, NARROW_NOISY = 0.15, 0.25, 0.5  # relative error and half-widths of the goals
FIELDS = ("series", "noise", "verdict", "lambda", "low", "high", "seconds", "against")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--half", choices=tuple(HALVES), default="tuning")
    parser.add_argument("--only", default="", metavar="TEXT", help="series whose name contains TEXT")
    parser.add_argument("--chaotic", action="store_true", help="chaotic series only")
    parser.add_argument("--noise", type=float, nargs="+", default=NOISE)
    parser.add_argument("--csv", type=Path, default=Path("results/suggest.csv"))
    parser.add_argument("--table", action="store_true", help="print results of the file, run nothing")
    parser.add_argument("--truth", action="store_true", help="compute the exponents of the equations instead")
    parser.add_argument("--steps", type=int, default=20_000, help="of --truth")
    args = parser.parse_args()
    one_thread()
    chosen = [s for s in HALVES[args.half] if args.only in s.name and (s.truth or not args.chaotic)]
    if args.truth:
        print(markdown([truth(s, args.steps) for s in chosen if s.system]))
        return
    if not args.table:
        run_missing(chosen, args.noise, args.csv)
    results = read(args.csv)
    rows = [(s, noise, results[s.name, noise]) for s in chosen for noise in args.noise if (s.name, noise) in results]
    print(markdown([shown(*row) for row in rows]))
    print()
    print(markdown([summary(rows, noise) for noise in args.noise]))


def truth(series: Series, steps: int) -> dict[str, object]:
    """The leading exponent of the equations per unit time with its standard error."""
    found = system_spectrum(series.build(), steps=steps, warmup=steps // 5, orbits=ORBITS, k=1)
    exponent, error = found.maximum / series.dt, float(found.stderr[0]) / series.dt
    return {"series": series.name, "lambda_max": f"{exponent:.6f}", "standard error": f"{error:.6f}"}


def run_missing(chosen: Sequence[Series], noises: Sequence[float], path: Path) -> None:
    done = read(path)
    for series in chosen:
        for noise in noises:
            if (series.name, noise) not in done:
                progress(f"{series.name}, noise {noise:g}")
                append(path, measured(series, noise))
    progress("")


def measured(series: Series, noise: float) -> dict[str, Any]:
    """Run one estimate; exponents per unit time."""
    values = series.values(noise)
    began = time.process_time()
    found = estimate(values)
    exponents = (found.exponent / series.dt, found.low / series.dt, found.high / series.dt)
    row = (
        series.name,
        noise,
        found.verdict,
        *exponents,
        round(time.process_time() - began, 1),
        "; ".join(found.against),
    )
    return dict(zip(FIELDS, row))


def shown(series: Series, noise: float, result: dict[str, Any]) -> dict[str, object]:
    """One row of the table; errors and half-widths relative to the truth."""
    row: dict[str, object] = {"series": series.name, "noise": f"{noise:.0%}", "verdict": result["verdict"]}
    value, low, high = (float(result[k]) for k in ("lambda", "low", "high"))
    if series.truth is not None:
        row |= {"lambda_max": value, "interval": f"{low:.3g} to {high:.3g}", "truth": series.truth[0]}
        row |= {"error": f"{value / series.truth[0] - 1:+.1%}", "covered": "yes" if covers(series, result) else "no"}
        row |= {"half-width": f"{half_width(series, result):.0%}"}
    return row | {"right": right(series, result), "seconds": float(result["seconds"])}


def right(series: Series, result: dict[str, Any]) -> str:
    if result["verdict"] == "cannot tell":
        return "cannot tell"
    return "yes" if (result["verdict"] == "chaotic") == (series.truth is not None) else "NO"


def covers(series: Series, result: dict[str, Any]) -> bool:
    """Whether the interval reaches within two standard errors of the truth's."""
    value, error = series.truth or (math.nan, math.nan)
    return float(result["low"]) <= value + 2 * error and float(result["high"]) >= value - 2 * error


def half_width(series: Series, result: dict[str, Any]) -> float:
    return (float(result["high"]) - float(result["low"])) / 2 / (series.truth or (math.nan,))[0]


def summary(rows: Sequence[tuple[Series, float, dict[str, Any]]], noise: float) -> dict[str, object]:
    """Counts over the series of one noise level."""
    these = [(s, r) for s, level, r in rows if level == noise]
    chaotic = [(s, r) for s, r in these if s.truth is not None]
    verdicts = [right(s, r) for s, r in these]
    near = sum(abs(float(r["lambda"]) / s.truth[0] - 1) <= NEAR for s, r in chaotic if s.truth)
    most = NARROW if noise == 0 else NARROW_NOISY
    return {
        "noise": f"{noise:.0%}",
        "series": len(these),
        "right": verdicts.count("yes"),
        "cannot tell": verdicts.count("cannot tell"),
        "falsely chaotic": sum(s.truth is None and r["verdict"] == "chaotic" for s, r in these),
        "chaotic series": len(chaotic),
        f"within {NEAR:.0%}": near,
        "covered": sum(covers(s, r) for s, r in chaotic),
        "near and covered": sum(
            covers(s, r) and abs(float(r["lambda"]) / s.truth[0] - 1) <= NEAR for s, r in chaotic if s.truth
        ),
        "half-width": f"{sum(half_width(s, r) <= most for s, r in chaotic)} at most {most:.0%}",
        "median seconds": sorted(float(r["seconds"]) for _, r in these)[len(these) // 2] if these else math.nan,
        "most seconds": max((float(r["seconds"]) for _, r in these), default=math.nan),
    }


def read(path: Path) -> dict[tuple[str, float], dict[str, Any]]:
    if not path.exists():
        return {}
    with path.open(newline="") as file:
        return {(row["series"], float(row["noise"])): row for row in csv.DictReader(file)}


def append(path: Path, row: dict[str, Any]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    new = not path.exists()
    with path.open("a", newline="") as file:
        writer: csv.DictWriter[str] = csv.DictWriter(file, FIELDS)
        if new:
            writer.writeheader()
        writer.writerow(row)


if __name__ == "__main__":
    main()
