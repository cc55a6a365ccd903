"""The config that a call in Python starts from: a file, settings or a `Config`, with data and weights in memory."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from lyapsweep.config import Config, ConfigError
from lyapsweep.data_files import dataset_section, weights_file
from lyapsweep.measures import chosen
from lyapsweep.problems.network import read_weights
from lyapsweep.results.record import Record

Base = Path | str | Mapping[str, Any] | Config
Weights = Record | Path | str | Mapping[str, np.ndarray]


@dataclass(frozen=True)
class Arrays:
    """What a call passes in memory; None of each by default.

    Args:
        data: A series or a task, see `lyapsweep.data_files.dataset_section`.
        dt: Time between rows.
        weights: What training starts from: a record, its file, or arrays by name.
    """

    data: Any = None
    dt: float | None = None
    weights: Weights | None = None

    @property
    def given(self) -> bool:
        return not (self.data is None and self.dt is None and self.weights is None)


def base_config(base: Base, arrays: Arrays, experiment: Path) -> Config:
    """Return the complete config, with the arrays as files of the experiment's folder."""
    config = with_data(base, arrays, experiment) if arrays.data is not None else Config.load(base)
    if arrays.data is None and arrays.dt is not None:
        config = config.changed({"dataset/dt": arrays.dt})
    if arrays.weights is None:
        return config
    return config.changed({"training/weights": weights_file(weights_of(arrays.weights), experiment)})


def with_data(base: Base, arrays: Arrays, experiment: Path) -> Config:
    """The config with the data as its dataset; further settings of the dataset are kept if it is of the same kind."""
    content = base if isinstance(base, Mapping) else Config.load(base).to_dict()
    given = content.get("dataset") or {}
    section = dataset_section(arrays.data, experiment, given, arrays.dt)
    if given.get("kind", section["kind"]) != section["kind"]:
        kept = {key: given[key] for key in ("validation",) if key in given}
        section = dataset_section(arrays.data, experiment, kept, arrays.dt)
    return Config.of({**content, "dataset": section})


def weights_of(source: Weights) -> Mapping[str, np.ndarray]:
    """Weights by name."""
    if isinstance(source, Path | str):
        return read_weights(source)
    found = source.weights if isinstance(source, Record) else source
    if not found:
        raise ConfigError("weights: the record holds none. Pass the last record of a trial that ended.")
    return found


def measured(config: Config, objectives: Sequence[str]) -> Config:
    """Return the config with the objectives among its measures."""
    missing = [name for name in objectives if name not in chosen(config.measures)]
    return config.changed({"measures": [*config.measures, *missing]}) if missing else config


def experiment_name(base: Base, name: str | None, otherwise: str) -> str:
    """The name of the results folder: as given, else that of the config's file."""
    if name is not None:
        return name
    stem = Path(base).stem.strip(".") if isinstance(base, Path | str) else otherwise
    if not stem:
        raise ConfigError(f"{base}: its name gives no name of a folder for the results. Pass name=...")
    return stem
