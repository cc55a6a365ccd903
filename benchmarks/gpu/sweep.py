"""A small sweep by Ray with fractions of the card, where Ray is installed."""

import importlib.util
import json
import subprocess
import sys
import tempfile
from pathlib import Path

from benchmarks.gpu.check import Section
from benchmarks.gpu.networks import LORENZ, merged

SWEEP = """
from lyapsweep.sweep import Sweep
grid = {{"cell/kind": ["vanilla", "plrnn"], "forcing/interval": [4, 16, 64]}}
SWEEP = Sweep(base={base!r}, objective="loss", intent="map", grid=grid, seeds=8, pack=8)
"""


def sweep(section: Section) -> None:
    """Six packs of eight, four at a time on the card."""
    missing = [name for name in ("ray", "optuna", "click", "rich", "mlflow") if importlib.util.find_spec(name) is None]
    if missing:
        section.found["skipped"] = f"{', '.join(missing)} not installed"
        return
    with tempfile.TemporaryDirectory() as folder:
        base, file = Path(folder) / "base.yaml", Path(folder) / "small.py"
        training = {"training": {"steps": 200, "report_every": 100}, "measures": ["loss"]}
        base.write_text(json.dumps(merged(LORENZ, training)))
        file.write_text(SWEEP.format(base=str(base)))
        where = ["--results", f"{folder}/results", "--tracking-uri", "none"]
        how = ["--gpus-per-pack", "0.25", "--jobs", "4"] if section.device != "cpu" else ["--jobs", "1"]
        command = [sys.executable, "-m", "lyapsweep", "sweep", str(file), *where, *how]
        done = subprocess.run(command, capture_output=True, text=True, timeout=section.seconds)
        section.found |= {"exit": done.returncode, "output": (done.stdout + done.stderr)[-1200:]}
