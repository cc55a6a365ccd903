"""Measure the cost of spectra during training, as a fraction of the training time.

    python -m benchmarks.during [--units 256] [--cells vanilla lstm gru] [--updates 40]

A network of `--units` reads text (windows of 100 characters, 32 at a time) with every setting at its default: 5000
updates, spectra of the whole state before the first, after 1, 5, 10 and 30 % of them, and after the last. An update is
timed over `--updates` of them and multiplied by 5000; every spectrum is timed as often as training computes it.
Process CPU time, one thread.
"""

import argparse

from benchmarks.timing import markdown, one_thread, seconds
from lyapsweep.config import Config
from lyapsweep.problems import problem_of
from lyapsweep.problems.network import build_network
from lyapsweep.training import train


def row(kind: str, units: int, updates: int) -> dict[str, object]:
    """Return seconds of training and of spectra for one cell, and the fraction of the latter."""
    config = Config.of(
        {
            "dataset": {"kind": "characters"},
            "cell": {"kind": kind, "units": units},
            "windows": {"length": 100, "batch": 32},
        }
    )
    problem = problem_of(config)
    network = build_network([config], *problem.size)
    short = config.changed({"training/steps": updates, "training/report_at": []})
    run = train(network, problem.objective(network, [short]), [short.training])
    next(run)
    training = seconds(lambda: list(run)) / updates * config.training.steps
    during = [config.lyapunov.during()] * (len(config.training.reports) - 1)
    plans = [
        config.changed({"lyapunov/steps": p.steps, "lyapunov/warmup": p.warmup}) for p in (*during, config.lyapunov)
    ]
    spectra = [seconds(lambda plan=plan: problem.spectrum(network, plan)) for plan in plans]
    return {
        "cell": kind,
        "units": units,
        "exponents": network.cell.state,
        "updates, s": training,
        "spectra, s": sum(spectra),
        "share, %": 100 * sum(spectra) / (training + sum(spectra)),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--cells", nargs="+", default=["vanilla", "lstm", "gru"])
    parser.add_argument("--units", type=int, default=256)
    parser.add_argument("--updates", type=int, default=40, help="number of timed updates")
    args = parser.parse_args()
    print(one_thread(), flush=True)
    print(markdown([row(kind, args.units, args.updates) for kind in args.cells]))


if __name__ == "__main__":
    main()
