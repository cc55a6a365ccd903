"""Packs: points of one shape that are trained side by side in one process."""

import math
from collections import Counter
from collections.abc import Sequence
from typing import TypeVar

from lyapsweep.config import Config
from lyapsweep.config.config import PER_MEMBER
from lyapsweep.forcing import FORCINGS
from lyapsweep.sweep.plan.points import Point

T = TypeVar("T")
PACK_SIZE = 32  # members of a pack by default, at most on a CPU and at least on a GPU
LARGEST = 512  # members of a pack on a GPU by default: an update takes hardly longer than of 32
ROUNDS = {"cpu": 16, "cuda": 4}  # packs per slot, at least, that a hunt's sampler learns from one after another
ALONE = 64  # members of one forcing that are not mixed with others on a GPU


def packs(points: Sequence[Point], size: int, device: str = "cpu", *, in_order: bool = False) -> list[list[Point]]:
    """Group points into packs of at most `size` that `run_trials` can train side by side.

    The longest work comes first, so that no worker is idle at the end. Where a budget may end the sweep early, the
    order of the points is kept (`in_order`): what was trained by then is spread over the whole region.

    A pack shares its `Config.shape`. On a CPU it also shares its forcing, and its seed where intervals are drawn: a
    window under interval tau is then cut into T / tau windows of tau steps that train at once, where members of mixed
    intervals would step through time together. On a GPU forcings are mixed that have few members each.

    Args:
        points: What to train; the members of a pack keep this order.
        size: Largest number of members. Groups are cut evenly: 7 by at most 4 gives 4 and 3.
        device: "cpu" or "cuda".
        in_order: Whether packs come in the order of their first members.

    Returns:
        The packs, each a list of points.
    """
    keys = [(point.config.shape, forcing_key(point.config)) for point in points]
    counts, groups = Counter(keys), dict[object, list[Point]]()
    for point, key in zip(points, keys):
        mixed = device != "cpu" and counts[key] < ALONE
        groups.setdefault((key[0], None if mixed else key[1]), []).append(point)
    chunks = [chunk for group in groups.values() for chunk in split_evenly(group, size)]
    if in_order:
        places = {id(point): i for i, point in enumerate(points)}
        return sorted(chunks, key=lambda pack: places[id(pack[0])])
    return sorted(chunks, key=lambda pack: -sequential_steps(pack[0].config))


def shared_params(point: Point, device: str) -> dict[str, object]:
    """The parameters of a space that the members of a pack share, with this point's values."""
    free = tuple(path for path in PER_MEMBER if device != "cpu" or path != "forcing/")
    return {path: value for path, value in point.params.items() if not path.startswith(free)}


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
    """Members per pack: as requested, else so many that slots are busy and the sampler of a hunt learns on the way.

    On a GPU the default is 32 to 512: a pack that memory does not suffice for is halved.
    """
    if requested:
        return requested
    rounds = 1 if intent == "map" else ROUNDS[device]
    shares = math.ceil(points / (rounds * max(slots, 1)))
    return min(PACK_SIZE, shares) if device == "cpu" else max(PACK_SIZE, min(LARGEST, shares))
