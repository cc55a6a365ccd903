"""The confirmation of a sweep: its best settings, and the fresh seeds from which they are trained again."""

from collections.abc import Iterable, Mapping
from dataclasses import replace

from lyapsweep.results.best import rank_settings
from lyapsweep.results.description import Confirmation, SweepDescription
from lyapsweep.results.record import Record
from lyapsweep.results.table import Table
from lyapsweep.sweep.plan.definition import Sweep
from lyapsweep.sweep.plan.points import Point
from lyapsweep.sweep.plan.resume import complete


def requested(sweep: Sweep, stored: Confirmation | None) -> Confirmation | None:
    """What the sweep asks for, with the trials of an earlier run; None if neither confirms anything."""
    if not sweep.confirm:
        return stored
    trials = stored.trials if stored else {}
    return Confirmation(sweep.confirm, sweep.candidates, list(sweep.criteria), trials)


def choose(
    confirmation: Confirmation, search: Mapping[str, Record], described: SweepDescription
) -> tuple[Confirmation, list[list[Point]]]:
    """Choose the settings to confirm, by the trials of the search that finished.

    Args:
        confirmation: What is asked; settings that an earlier run chose are confirmed, too.
        search: The last record of each trial of the search, by its key.
        described: The sweep's description, which names the objective.

    Returns:
        The confirmation with all trials, and the points of each chosen setting, one per fresh seed.
    """
    unconfirmed = replace(described, confirmation=replace(confirmation, trials={}))
    table = Table.of(search.values(), unconfirmed)
    keys = table.finals.frame["trial"].astype(str).tolist()
    seeds = fresh_seeds((record.config.seed for record in search.values()), confirmation.seeds)
    chosen = [keys[setting.rows[0]] for setting in rank_settings(table)[: confirmation.candidates]]
    chosen = list(dict.fromkeys([*chosen, *(key for key in confirmation.trials if key in search)]))
    points = {key: [Point(search[key].config.changed({"seed": seed}), {}, {}) for seed in seeds] for key in chosen}
    earlier = confirmation.trials
    trials = {k: list(dict.fromkeys([*(p.key for p in group), *earlier.get(k, ())])) for k, group in points.items()}
    return replace(confirmation, trials=trials), list(points.values())


def fresh_seeds(used: Iterable[int], n: int) -> list[int]:
    """The `n` seeds that follow the largest one in use.

    Example:
        >>> fresh_seeds([0, 4, 2], 3)
        [5, 6, 7]
    """
    first = max(used, default=-1) + 1
    return list(range(first, first + n))


def without_confirmation(records: Mapping[str, Record], confirmation: Confirmation | None) -> dict[str, Record]:
    """The records of the search."""
    fresh = set(confirmation.fresh) if confirmation else set()
    return {key: record for key, record in records.items() if key not in fresh}


def packs_to_train(groups: Iterable[list[Point]], records: Mapping[str, Record]) -> list[list[Point]]:
    """One pack per setting, of the trials that have not ended."""
    remaining = ([p for p in group if p.key not in records or not complete(records[p.key])] for group in groups)
    return [pack for pack in remaining if pack]
