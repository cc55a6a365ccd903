"""The points of a map that was started before: those planned earlier first, new ones up to the number requested."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from lyapsweep.config import Config
from lyapsweep.results.record import Outcome, Record
from lyapsweep.sweep.plan.definition import Sweep, SweepError
from lyapsweep.sweep.plan.points import Point, match_recorded
from lyapsweep.sweep.plan.sampling import draw, with_seed
from lyapsweep.sweep.plan.space import replay


@dataclass(frozen=True)
class StoredPoint:
    """A planned point of a space as it is stored.

    Attributes:
        key: The trial's key.
        params: Values of the space's parameters, by name.
        part: Points of one part are packed together: the sweep as first started is part 0, each extension a further
            one.
    """

    key: str
    params: Mapping[str, Any]
    part: int = 0


def complete(record: Record) -> bool:
    """Whether a trial with this last record needs no more training: it ended, without an error or an interruption."""
    return record.outcome.final and record.outcome is not Outcome.FAILED and not record.interrupted


def requested_counts(sweep: Sweep, extended: Sequence[int] | None, extend: int) -> list[int]:
    """Points requested at first and by each extension; empty for a grid.

    Args:
        sweep: What is varied.
        extended: Earlier extensions; None if the sweep was never started.
        extend: Size of a new extension, or 0.
    """
    if sweep.space is None:
        if extend:
            raise SweepError(f"--extend: a grid is trained whole and cannot grow by {extend}. Give it more values.")
        return []
    if extend and extended is None:
        raise SweepError(f"--extend: there is no sweep to extend by {extend} yet. Run it first.")
    return [sweep.trials or 0, *(extended or ()), *([extend] if extend else [])]


def plan_parts(
    sweep: Sweep, base: Config, seed: int, stored: Sequence[StoredPoint], recorded: Collection[str]
) -> list[list[Point]]:
    """The points of a map, in parts that are packed separately.

    Results depend bitwise on the composition of a pack, so points planned earlier never share a pack with new ones.

    Args:
        sweep: A map; `sweep.trials` is the number of points of a space in all.
        base: Config of everything that is not varied.
        seed: Seed of the Sobol sequence that new points are drawn from.
        stored: Points of a space that were planned earlier; those that the sweep no longer contains are left out.
        recorded: Keys of trials with records.
    """
    if sweep.space is None:
        return [match_recorded(draw(sweep, None, seed, base), recorded)]
    parts: dict[int, list[Point]] = {}
    for each in stored[: sweep.trials]:
        if point := rebuild(sweep, base, each):
            parts.setdefault(each.part, []).append(point)
    planned = [point for part in parts.values() for point in part]
    new = draw(sweep, None, seed, base, planned)[len(planned) :]
    return [*parts.values(), *([match_recorded(new, recorded)] if new else [])]


def rebuild(sweep: Sweep, base: Config, stored: StoredPoint) -> Point | None:
    """The stored point with its own key; None if the sweep has no such point."""
    point = replay(sweep, base, stored.params)
    if point is not None and sweep.seeds > 1:
        point = with_seed(point, stored.params["seed"], point.config.seed, sweep.seeds)
    if point is None or stored.key not in (point.config.id, *point.config.legacy_ids):
        return None
    return point if stored.key == point.config.id else replace(point, recorded_as=stored.key)


def store_parts(parts: Sequence[Sequence[Point]]) -> list[StoredPoint]:
    """Planned points as they are stored."""
    return [StoredPoint(point.key, point.params, i) for i, part in enumerate(parts) for point in part]
