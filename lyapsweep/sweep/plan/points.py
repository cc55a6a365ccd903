"""Points of a sweep: a config, the Optuna parameters that lead to it, and the key of its trial."""

import json
import logging
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from lyapsweep.config import FAMILIES, Config, ConfigError
from lyapsweep.sweep.plan.definition import Sweep, SweepError

if TYPE_CHECKING:
    from optuna.distributions import BaseDistribution  # workers import this module without Optuna

log = logging.getLogger("lyapsweep")
SHOWN_VALUES = 5  # of a setting that a sweep varies


@dataclass(frozen=True)
class Point:
    """A config to train and its Optuna parameters.

    Attributes:
        config: Every setting of the trial.
        params: Optuna's parameters, {path: value}.
        distributions: Optuna's distributions of `params`.
        recorded_as: The id under which an earlier version recorded this trial; empty where it has none.
    """

    config: Config
    params: Mapping[str, Any]
    distributions: "Mapping[str, BaseDistribution]"
    recorded_as: str = ""

    @property
    def key(self) -> str:
        """Name of the trial in file names, Optuna, MLflow and checkpoints."""
        return self.recorded_as or self.config.id


def apply_settings(sweep: Sweep, base: Config, settings: Mapping[str, Any]) -> Config:
    """`base` with a point's settings: whole sections first, then single paths."""
    sections = {k: v for k, v in settings.items() if "/" not in k and isinstance(v, Mapping)}
    single = {k: v for k, v in settings.items() if k not in sections and k.removesuffix("/kind") not in sections}
    try:
        return (base.changed(sections) if sections else base).changed(single)
    except ConfigError as error:
        raise SweepError(f"{sweep.name or 'sweep'}: {settings} is not a valid point: {error}") from error


def match_recorded(points: Iterable[Point], recorded: Collection[str]) -> list[Point]:
    """Give each point that is `recorded` under a legacy id only that id as its key."""
    matched = []
    for point in points:
        old = next((i for i in point.config.legacy_ids if i in recorded), "")
        matched.append(replace(point, recorded_as=old) if old and point.config.id not in recorded else point)
    return matched


def refuse_overridden(sweep: Sweep, base: Config, changes: Mapping[str, Any], points: Sequence[Point]) -> None:
    """Raise SweepError for a change of the base config to a setting that the sweep varies: it would have no effect.

    A change of a whole section is kept for what the sweep does not vary in it, and a warning names the rest.

    Args:
        sweep: What is varied.
        base: Config with the changes.
        changes: {path: value} as requested, such as by `--set`.
        points: Some points of the sweep.
    """
    for path, value in changes.items():
        if path == "seed" and sweep.seeds > 1:
            continue  # the first of the sweep's seeds
        below = [key for key in base.flat if key == path or key.startswith(f"{path}/")]
        varied = [key for key in below if any(p.config.flat.get(key, base.flat[key]) != base.flat[key] for p in points)]
        if path in varied:
            found = list(dict.fromkeys(str(p.config.flat[path]) for p in points if path in p.config.flat))
            values = ", ".join(found[:SHOWN_VALUES])
            raise SweepError(
                f"{sweep.name or 'sweep'}: the sweep varies {path} ({values}), so that setting it to {value} has no "
                "effect. " + ("Select values with --where." if sweep.grid else "Change its space.")
            )
        if varied:
            log.warning("The sweep varies %s: what %s says of it has no effect.", ", ".join(varied), path)


def varied_paths(configs: Sequence[Config]) -> list[str]:
    """Paths whose values differ between configs, kinds first, the seed last.

    Settings of a family section are compared within one kind: a setting that follows from its section's kind does not
    count.
    """
    varied = []
    for path in dict.fromkeys(path for config in configs for path in config.flat):
        section = path.partition("/")[0]
        by_kind: dict[Any, set[str]] = {}
        for config in configs:
            within_kind = section in FAMILIES and not path.endswith("/kind")
            kind = config.sections[section]["kind"] if within_kind else None
            value = json.dumps(config.flat[path], default=str) if path in config.flat else ""
            by_kind.setdefault(kind, set()).add(value)
        if any(len(values) > 1 for values in by_kind.values()):
            varied.append(path)
    return sorted(varied, key=lambda path: (not path.endswith("/kind"), path == "seed"))
