"""Packs: points of one shape that are trained side by side in one process."""

import math
from collections import Counter
from collections.abc import Sequence
from typing import TypeVar

from lyapsweep.config import Config
from lyapsweep.forcing import FORCINGS
from lyapsweep.sweep.plan.points import Point

T = TypeVar("T")
PACK_SIZE = {"map": 32, "hunt": 1}  # by default; a scheduler can stop only whole packs
LARGEST = 512  # members of a map's pack on a GPU by default: an update takes hardly longer than of 32
ALONE = 64  # members of one forcing that are not mixed with others on a GPU


def packs(points: Sequence[Point], size: int, device: str = "cpu") -> list[list[Point]]:
    """Group points into packs of at most `size` that `run_trials` can train side by side, the longest work first.

    A pack shares its `Config.shape`. On a CPU it also shares its forcing, and its seed where intervals are drawn: a
    window under interval tau is then cut into T / tau windows of tau steps that train at once, where members of mixed
    intervals would step through time together. On a GPU forcings are mixed that have few members each.

    Args:
        points: What to train; the members of a pack keep this order.
        size: Largest number of members. Groups are cut evenly: 7 by at most 4 gives 4 and 3.
        device: "cpu" or "cuda".

    Returns:
        The packs, each a list of points.
    """
    keys = [(point.config.shape, forcing_key(point.config)) for point in points]
    counts, groups = Counter(keys), dict[object, list[Point]]()
    for point, key in zip(points, keys):
        mixed = device != "cpu" and counts[key] < ALONE
        groups.setdefault((key[0], None if mixed else key[1]), []).append(point)
    chunks = [chunk for group in groups.values() for chunk in split_evenly(group, size)]
    return sorted(chunks, key=lambda pack: -sequential_steps(pack[0].config))


def forcing_key(config: Config) -> tuple[object, ...]:
    """What members share whose windows are forced at the same steps."""
    drawn = FORCINGS[config.forcing["kind"]].drawn
    return (tuple(config.forcing.items()), config.seed if drawn else None)


def split_evenly(items: Sequence[T], size: int) -> list[list[T]]:
    """Consecutive parts of at most `size` items, as equal in length as possible."""
    length = math.ceil(len(items) / math.ceil(len(items) / size))
    return [list(items[i : i + length]) for i in range(0, len(items), length)]


def sequential_steps(config: Config) -> int:
    """Time steps of training that must follow one another: most of a pack's duration."""
    interval = config.forcing.get("interval")
    window = config.windows.length or config.dataset.get("length") or 1  # null: a task's whole sequences
    depth = 1 if config.forcing["kind"] == "full" else interval if isinstance(interval, int) else window
    return config.training.steps * depth


def pack_size(requested: int | None, intent: str, points: int, slots: int, device: str) -> int:
    """Members per pack: as requested, else the default, with which a map keeps every slot busy.

    On a GPU the default is 32 to 512: a pack that memory does not suffice for is halved.
    """
    default, shares = PACK_SIZE[intent], math.ceil(points / max(slots, 1))
    if requested or intent != "map":
        return requested or default
    return min(default, shares) if device == "cpu" else max(default, min(LARGEST, shares))
