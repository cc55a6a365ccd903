"""The search for a setting, and its confirmation by fresh seeds. Both are sweeps."""

import dataclasses
import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from lyapsweep.fitting.ranking import Criterion
from lyapsweep.fitting.sweep_files import SweepFiles
from lyapsweep.results.experiment import ExperimentPaths
from lyapsweep.results.record import Outcome, Record
from lyapsweep.results.record_files import latest_files
from lyapsweep.sweep.execute import runner
from lyapsweep.sweep.observe.progress import SweepProgress
from lyapsweep.sweep.plan.definition import Sweep, load
from lyapsweep.sweep.plan.errors import SweepError

if TYPE_CHECKING:
    import optuna

    from lyapsweep.config import Config

FRESH = 10_000  # seeds of the confirmation of the k-th setting begin at k times this
Listener = Callable[[SweepProgress], None]


@dataclass(frozen=True)
class Place:
    """Where a fit trains, writes and logs.

    Args:
        results: Parent of the results folders.
        name: Name of the search's folder; that of the confirmation ends in "-confirmed".
        tracking_uri: MLflow server or store; None for the default, "none" for nothing.
        jobs: Networks trained at a time; None for one per CPU.

    Example:
        >>> Place(Path("results"), "my").confirmed.as_posix()
        'results/my-confirmed'
    """

    results: Path
    name: str
    tracking_uri: str | None = None
    jobs: int | None = None

    @property
    def processes(self) -> int:
        """Networks trained at a time on this machine."""
        return self.jobs or os.cpu_count() or 1

    @property
    def folder(self) -> Path:
        """The results folder of the search."""
        return self.results / self.name

    @property
    def confirmed(self) -> Path:
        """The results folder of the confirmation."""
        return self.results / f"{self.name}-confirmed"


@dataclass(frozen=True)
class ConfirmedSetting:
    """A setting that was trained again from fresh seeds.

    Args:
        favourite: Its network in the search.
        records: Those of the fresh seeds.
        rank: Its rank in the search, from 1.
    """

    favourite: Record
    records: tuple[Record, ...]
    rank: int


def search(
    files: SweepFiles, place: Place, seed: int, resume: bool, listen: Listener, seconds: float | None = None
) -> list[Record]:
    """Run the sweep file, for at most so many seconds; the last record of every network."""
    run_sweep(load(files.sweep), place, place.name, seed, resume, listen, seconds)
    return last_records(place.folder)


def confirm(
    favourites: Sequence[Record],
    criterion: Criterion,
    base: Path,
    place: Place,
    fresh: int,
    resume: bool,
    listen: Listener,
) -> list[ConfirmedSetting]:
    """Train settings again from fresh seeds.

    Args:
        favourites: One network of each setting, best first.
        criterion: How settings are compared.
        base: Config file of the search.
        place: Where to.
        fresh: Number of seeds of each setting.
        resume: Whether records of an earlier confirmation are kept.
        listen: Called with the progress.

    Returns:
        The settings, the best by the fresh seeds first.

    Raises:
        SweepError: If none of the networks ended.
    """
    name = place.confirmed.name
    sweep = Sweep(
        base=base,
        objective=criterion.objective,
        space=fresh_seeds([record.config for record in favourites], fresh),
        trials=len(favourites) * fresh,
        question=f"Do the best settings of {place.name} hold from fresh seeds?",
    )
    run_sweep(sweep, place, name, 0, resume, listen)
    trained = {record.config.changed({"seed": 0}).id: [] for record in favourites}
    for record in last_records(place.confirmed):
        trained.get(record.config.changed({"seed": 0}).id, []).append(record)
    found = [
        ConfirmedSetting(favourite, tuple(trained[favourite.config.changed({"seed": 0}).id]), rank)
        for rank, favourite in enumerate(favourites, start=1)
    ]
    if not any(each.records for each in found):
        raise SweepError(f"{place.confirmed}: no network that was trained again has ended. Use --resume to go on.")
    return sorted((each for each in found if each.records), key=lambda each: criterion.key(each.records))


def fresh_seeds(configs: "Sequence[Config]", fresh: int) -> "Callable[[optuna.Trial], dict[str, object]]":
    """The space of some configs from fresh seeds: the seed says which config it belongs to."""
    seeds = [FRESH * (k + 1) + s for k in range(len(configs)) for s in range(fresh)]

    def space(trial: "optuna.Trial") -> dict[str, object]:
        config = configs[trial.suggest_categorical("seed", seeds) // FRESH - 1]
        return {section: config.to_dict()[section] for section in ("cell", "forcing", "init", "training")}

    return space


def run_sweep(
    sweep: Sweep, place: Place, name: str, seed: int, resume: bool, listen: Listener, seconds: float | None = None
) -> None:
    """Run a sweep to its end; `KeyboardInterrupt` if a signal ended it."""
    summary = runner.run(
        dataclasses.replace(sweep, name=name),
        results=place.results,
        resume=resume,
        jobs=place.jobs,
        tracking_uri=place.tracking_uri,
        seed=seed,
        budget=None if seconds is None else f"{max(seconds, 1.0):.0f}s",
        models=False,
        listen=listen,
    )
    if summary.interrupted:
        raise KeyboardInterrupt(summary.message)


def last_records(folder: Path) -> list[Record]:
    """The last record of every trial that ended."""
    files = latest_files(ExperimentPaths(folder).records).values()
    found = []
    for record in map(Record.load, files):
        if not record.config.trusted:
            raise SweepError(
                f"{folder}: trial {record.trial} names code that this user has not run before. Give another --name."
            )
        found += [record] if record.outcome.final and record.outcome is not Outcome.FAILED else []
    return found
