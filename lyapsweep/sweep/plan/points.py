"""Points of a sweep: a config, the Optuna parameters that lead to it, and the key of its trial."""

import json
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from lyapsweep.config import FAMILIES, Config, ConfigError
from lyapsweep.sweep.plan.definition import Sweep, SweepError

if TYPE_CHECKING:
    from optuna.distributions import BaseDistribution  # workers import this module without Optuna


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
