"""Run checks on the pretended card, in a process of their own, and write what they found as JSON.

python tests/pretended_card/run.py OUT [--all] [--only TEXT]
python tests/pretended_card/run.py OUT --paths     # prints launches and waits of an update of each path
"""

import sys
from pathlib import Path

sys.path[:0] = [str(Path(__file__).parent), str(Path(__file__).parents[2])]
from device import install  # noqa: E402

LIBRARY = install()

import os  # noqa: E402

os.environ["LYAPSWEEP_ENGINE"] = "torch"  # the card is compared with the same kernels on the CPU

import argparse  # noqa: E402
import json  # noqa: E402
import logging  # noqa: E402
import traceback  # noqa: E402
import warnings  # noqa: E402

import cases  # noqa: E402
import compare  # noqa: E402
import graphs  # noqa: E402
import special  # noqa: E402

from lyapsweep.cells import unrolled  # noqa: E402
from lyapsweep.compiled.engine import choose_engine  # noqa: E402
from lyapsweep.evaluation import evaluation, series, task, truth  # noqa: E402

SPECIAL = {
    "checkpoints": special.checkpoints,
    "memory": lambda: special.memory(LIBRARY),
    "mixed devices": special.mixed_devices,
    "numerics": special.numerics,
    "flossing": special.flossing,
    "norms": special.norms,
    "graphs": special.graphs,
}


def shorten_evaluation() -> None:
    """The same code over fewer steps."""
    for module in (evaluation, series, task):
        module.LONGEST_LAG = 6
    truth.FORECASTS, truth.HORIZON_LYAPUNOV_TIMES, truth.HORIZON_UNKNOWN = 5, 1, 10


def attempt(function, *args):
    try:
        return function(*args)
    except Exception as error:
        frames = traceback.extract_tb(error.__traceback__)
        places = [f"{Path(f.filename).name}:{f.lineno}" for f in frames if "/torch/" not in f.filename]
        return {"raises": f"{type(error).__name__}: {str(error)[:300]} at {' < '.join(reversed(places))}"}


def print_paths() -> None:
    print("| path | launches | waits |\n|---|---|---|")
    for name, contents in cases.paths().items():
        row = compare.compare_training(contents)
        print(f"| {name} | {row['launches']:.0f} | {sum(row['waits'].values()):.1f} |", flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("out", type=Path)
    parser.add_argument("--all", action="store_true")
    parser.add_argument("--only", default="")
    parser.add_argument("--paths", action="store_true")
    given = parser.parse_args()
    logging.disable(logging.WARNING)
    warnings.simplefilter("ignore")
    compare.default_precision()
    graphs.install()
    choose_engine("torch")  # the CPU's bits are those of the same operators
    unrolled.has_triton = lambda: False  # its kernels need a real card
    shorten_evaluation()
    if given.paths:
        print_paths()
        return
    chosen = cases.all_cases() if given.all else cases.fast_cases()
    recorded = chosen if given.all else cases.RECORDED
    found = {
        "training": {n: attempt(compare.compare_training, c) for n, c in chosen.items() if given.only in n},
        "records": {n: attempt(compare.compare_records, chosen[n]) for n in recorded if given.only in n},
        "special": {n: attempt(check) for n, check in SPECIAL.items() if given.only in n},
    }
    given.out.write_text(json.dumps(found, indent=1))


if __name__ == "__main__":
    main()
