"""Check a machine with a CUDA GPU: correctness against the CPU first, then speed.

    python -m benchmarks.gpu [--out FILE] [--sections a,b] [--seconds S] [--device cpu] [--quick]

Results are written to FILE after each section; a second call runs the sections that FILE does not hold. Needs torch
2.11 to 2.13; ray, optuna, mlflow and triton are used where they are. `--device cpu --quick` tries the script itself.
"""

import argparse
import logging
import sys
import warnings
from pathlib import Path

import torch

from benchmarks.gpu import correctness, machine, spectra, speed, sweep
from benchmarks.gpu.check import Check

SECTIONS = {
    "environment": (machine.environment, 10.0),
    "numerics": (correctness.numerics, 15.0),
    "bits": (correctness.bits, 40.0),
    "graphs": (speed.graphs, 45.0),
    "kernels": (speed.kernels, 40.0),
    "updates": (speed.updates, 70.0),
    "variants": (speed.variants, 40.0),
    "waits": (speed.waits, 20.0),
    "agreement": (correctness.agreement, 60.0),
    "records": (correctness.records, 20.0),
    "spectra": (spectra.spectra, 60.0),
    "factorisations": (spectra.factorisations, 20.0),
    "memory": (correctness.memory, 40.0),
    "sweep": (sweep.sweep, 100.0),
}


def main() -> None:
    """Run the sections."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, default=Path("gpu.json"))
    parser.add_argument("--sections", default=",".join(SECTIONS), help="comma-separated; all by default")
    parser.add_argument("--seconds", type=float, default=560.0, help="of all sections")
    parser.add_argument("--device", choices=["cpu", "cuda"], default="cuda")
    parser.add_argument("--quick", action="store_true", help="few and small cases")
    given = parser.parse_args()
    if given.device == "cuda" and not torch.cuda.is_available():
        sys.exit("gpu: no CUDA device is available. Use --device cpu --quick to try the script.")
    chosen = given.sections.split(",")
    if unknown := [name for name in chosen if name not in SECTIONS]:
        sys.exit(f"--sections: {unknown[0]} is unknown. Choose from {', '.join(SECTIONS)}.")
    torch.set_num_threads(1)
    warnings.simplefilter("ignore")
    logging.getLogger("lyapsweep").propagate = False
    Check(SECTIONS, given.out, given.device, given.seconds, given.quick).run(chosen)


if __name__ == "__main__":
    main()
