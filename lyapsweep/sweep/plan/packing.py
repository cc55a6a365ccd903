"""Who trains beside whom: configs of one shape, side by side in one process."""

import math
from collections.abc import Sequence

from lyapsweep.config import Config
from lyapsweep.forcing import FORCINGS


def packs(configs: Sequence[Config], size: int, device: str = "cpu") -> list[list[Config]]:
    """Configs in groups of at most `size` that `run_trials` can train side by side, the longest work first.

    A pack shares its `Config.shape`. On a CPU it also shares its forcing, and its seed where intervals are drawn: a
    window under interval tau is then cut into T / tau windows of tau steps that train at once, where members of mixed
    intervals step through time together.
    Groups are cut evenly (7 at most 4 a pack: 4 + 3), the members keep their order.
    """
    groups: dict[object, list[Config]] = {}
    for config in configs:
        key = (config.shape, *(pace(config) if device == "cpu" else ()))
        groups.setdefault(key, []).append(config)
    chunks = [chunk for group in groups.values() for chunk in cut(group, size)]
    return sorted(chunks, key=lambda pack: -work(pack[0]))


def pace(config: Config) -> tuple[object, ...]:
    """What members share that are forced at the same steps of every window."""
    drawn = FORCINGS[config.forcing["kind"]].drawn
    return (tuple(config.forcing.items()), config.seed if drawn else None)


def cut(group: list[Config], size: int) -> list[list[Config]]:
    each = math.ceil(len(group) / math.ceil(len(group) / size))
    return [group[i : i + each] for i in range(0, len(group), each)]


def work(config: Config) -> int:
    """Steps that must follow one another in training: what a pack's time is most made of."""
    interval = config.forcing.get("interval")
    whole = config.windows.length or config.dataset.get("length") or 1  # null: a task's whole sequences
    depth = 1 if config.forcing["kind"] == "full" else interval if isinstance(interval, int) else whole
    return config.training.steps * depth
