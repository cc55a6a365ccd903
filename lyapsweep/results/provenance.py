"""How a record came about; and what must be the same where training goes on in another process."""

import importlib.metadata
from collections.abc import Sequence
from functools import cache
from pathlib import Path
from typing import Any

from torch import nn

from lyapsweep.config import Config
from lyapsweep.datasets import Series, Task
from lyapsweep.problems.interval import told


def about(
    config: Config, known: Series | Task, device: str, pack: int, seconds: float, continued: Sequence[int] = ()
) -> dict:
    """A record's provenance, but for what only a sweep knows."""
    if isinstance(known, Task):
        data = {"dt": known.dt, "source": known.source, "baseline": known.baseline, "baseline_is": known.baseline_is}
        data |= known.notes
    else:
        data = {
            "dt": known.dt,
            "lambda_max": known.lambda_max,
            "predictability_time": known.predictability_time,
            "lambda_source": known.lambda_source,
            "source": known.source,
            "names": list(known.names),
            "mean": known.mean.tolist(),
            "std": known.std.tolist(),
        }
        if known.inputs:
            units = {"mean": known.input_mean.tolist(), "std": known.input_std.tolist()}
            data["inputs"] = {"names": list(known.input_names), **units}
    data["digest"] = known.digest
    done = {"seed": config.seed, "device": device, "pack": pack, "seconds": seconds, "data": data}
    done |= {"continued": list(continued)} if continued else {}
    return done | ({} if isinstance(known, Task) else told(config, known)) | versions()


@cache
def versions() -> dict:
    """What ran: package versions and, in a git checkout, the commit."""
    head = Path(__file__).parent.parent / ".git" / "HEAD"
    commit = ""
    if head.exists():
        reference = head.read_text().strip().removeprefix("ref: ")
        target = head.parent / reference
        commit = target.read_text().strip() if target.exists() else reference
    return {"versions": {p: importlib.metadata.version(p) for p in ("torch", "numpy")}, "commit": commit}


def conditions(network: nn.Module, known: Series | Task) -> dict[str, Any]:
    """On which a member's numbers depend beside its config: versions, device, precision, data, shapes of weights."""
    weights = dict(network.named_parameters())
    first = next(iter(weights.values()))
    shapes = {name: list(weight.shape[1:]) for name, weight in weights.items()}
    made = {"device": first.device.type, "dtype": str(first.dtype), "data": known.digest, "weights": shapes}
    return versions() | made
