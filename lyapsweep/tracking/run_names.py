"""Names of runs and texts of parameters, as MLflow shows them; without importing MLflow."""

import json
from collections.abc import Sequence
from typing import Any

from lyapsweep.config import Config

MAX_PARAM_LENGTH = 6000  # MLflow's limits
MAX_NAME_LENGTH = 200


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


def param_text(value: Any) -> str:
    """A parameter as MLflow shows it: strings unchanged, other values as JSON, cut at MLflow's limit."""
    return (value if isinstance(value, str) else json.dumps(value, default=str))[:MAX_PARAM_LENGTH]
