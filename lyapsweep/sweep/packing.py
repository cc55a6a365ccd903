"""Who trains beside whom: configs of one shape, side by side in one process."""

import math
from collections.abc import Sequence

from lyapsweep.config import Config


def packs(configs: Sequence[Config], size: int, device: str = "cpu") -> list[list[Config]]:
    """Configs in groups of at most `size` that `run_trials` can train side by side, the longest work first.

    A pack shares its `Config.shape`. On a CPU it also shares its forcing: a window under interval tau is then cut
    into T / tau windows of tau steps that train at once, where members of mixed intervals step through time together.
    Groups are cut evenly (7 at most 4 a pack: 4 + 3), the members keep their order.
    """
    groups: dict[object, list[Config]] = {}
    for config in configs:
        key = (config.shape, tuple(config.forcing.items())) if device == "cpu" else config.shape
        groups.setdefault(key, []).append(config)
    chunks = [chunk for group in groups.values() for chunk in cut(group, size)]
    return sorted(chunks, key=lambda pack: -work(pack[0]))


def cut(group: list[Config], size: int) -> list[list[Config]]:
    each = math.ceil(len(group) / math.ceil(len(group) / size))
    return [group[i : i + each] for i in range(0, len(group), each)]


def work(config: Config) -> int:
    """Steps that must follow one another in training: what a pack's time is most made of."""
    interval, length = config.forcing.get("interval"), config.windows.length
    depth = 1 if config.forcing["kind"] == "full" else interval if isinstance(interval, int) else length
    return config.training.steps * depth
