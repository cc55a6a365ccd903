"""Names of runs and texts of parameters, as MLflow shows them; without importing MLflow."""

import json
import re
from collections.abc import Callable, Sequence
from typing import Any

from lyapsweep.config import Config

MAX_PARAM_LENGTH = 6000  # MLflow's limits
MAX_NAME_LENGTH = 200
COLUMN = 24  # characters of a name that MLflow's table shows
COMPARED = 3  # parameters that its comparison page opens with


def run_name(config: Config, varied: Sequence[str]) -> str:
    """The settings that distinguish a trial from the others of its sweep: `lstm interval=30 seed=1`.

    Args:
        config: The trial's configuration.
        varied: The paths that the sweep varies; cell and seed if there are none.

    Returns:
        At most 200 characters.

    Example:
        >>> data = {"kind": "simulated", "system": "henon"}
        >>> config = Config.of({"dataset": data, "cell": {"kind": "gru"}, "seed": 3})
        >>> run_name(config, ["cell/kind", "seed"])
        'gru seed=3'
    """
    leaves = [path.rpartition("/")[2] for path in varied]
    words = []
    for path in varied or ("cell/kind", "seed"):
        value, leaf = config.flat.get(path), path.rpartition("/")[2]
        if value is not None:
            label = path if leaves.count(leaf) > 1 else leaf
            words.append(param_text(value) if leaf == "kind" else f"{label}={param_text(value)}")
    return " ".join(words)[:MAX_NAME_LENGTH]


def setting_paths(varied: Sequence[str]) -> list[str]:
    """The paths that tell settings apart: those that a sweep varies without seeds, the cell where there is no other.

    Example:
        >>> setting_paths(["training/lr", "seed"]), setting_paths(["seed"])
        (['training/lr'], ['cell/kind'])
    """
    return [path for path in varied if path.rpartition("/")[2] != "seed"] or ["cell/kind"]


def naming(varied: Sequence[str]) -> Callable[[Config], str]:
    """A function that names a config by the settings of these paths (`run_name`)."""
    return lambda config: run_name(config, varied)


def short_name(config: Config, varied: Sequence[str]) -> str:
    """The name of a run that fits into MLflow's column: seeds, and if need be names of settings, are abbreviated.

    Example:
        >>> data = {"kind": "simulated", "system": "henon"}
        >>> config = Config.of({"dataset": data, "cell": {"kind": "shallow_plrnn"}, "seed": 3, "training": {"lr": 0.1}})
        >>> short_name(config, ["cell/kind", "seed"]), short_name(config, ["cell/kind", "training/steps", "seed"])
        ('shallow_plrnn seed=3', 'shallow_plrnn ste=5000 s3')
    """
    name = run_name(config, varied)
    if len(name) > COLUMN:
        name = re.sub(r"\bseed=(?=\d)", "s", name)
    if len(name) > COLUMN:
        name = re.sub(r"(?<=[ /])([A-Za-z]{3})\w*(?==)|^([A-Za-z]{3})\w*(?==)", lambda m: m[1] or m[2], name)
    return name


def swept_params(config: Config, varied: Sequence[str]) -> list[tuple[str, Any]]:
    """The first settings that a sweep varies, seeds excepted, under names that begin with their number.

    MLflow's page that compares runs opens with the first three parameters that differ, in alphabetical order.

    Example:
        >>> config = Config.of({"dataset": {"kind": "simulated", "system": "henon"}, "cell": {"kind": "gru"}})
        >>> swept_params(config, ["training/lr", "seed", "cell/kind"])
        [('1 training/lr', 0.001), ('2 cell/kind', 'gru')]
    """
    known = [path for path in setting_paths(varied) if path in config.flat]
    return [(f"{i} {path}", config.flat[path]) for i, path in enumerate(known[:COMPARED], start=1)]


def param_text(value: Any) -> str:
    """A parameter as MLflow shows it: strings unchanged, other values as JSON, cut at MLflow's limit."""
    return (value if isinstance(value, str) else json.dumps(value, default=str))[:MAX_PARAM_LENGTH]
