"""The numbers behind the page as data: in Python, and as JSON, whose schema is documented in docs/findings.md."""

import json
from collections.abc import Iterator, Mapping
from dataclasses import fields, is_dataclass
from pathlib import Path
from typing import Any

import numpy as np

from lyapsweep.analysis.shared.selection import TooFew
from lyapsweep.atlas.analyses import ALWAYS, NOT_EARLY, OF_EARLY_SPECTRA, UNAVAILABLE
from lyapsweep.atlas.verdict import Verdict
from lyapsweep.atlas.view import AtlasView
from lyapsweep.dynamics.spectrum import strict
from lyapsweep.results.experiment import atomic_write
from lyapsweep.results.table import Table

SCHEMA = 1


class Findings(Mapping[str, Any]):
    """Every statistic that the atlas shows of one data set, by name, each computed when it is asked for.

    The values are the objects that the figures are drawn from; `to_json` and `save` give them as plain data.

    Args:
        view: The experiment.

    Example:
        >>> import pandas as pd
        >>> frame = pd.DataFrame({"trial": [*"abcd"], "step": 9, "outcome": "finished", "final": True})
        >>> frame = frame.assign(lr=[1, 1, 2, 2], seed=[0, 1, 0, 1], **{"measures/loss": [0.3, 0.1, 0.4, 0.6]})
        >>> found = findings(Table(frame.assign(**{"cell/kind": "gru"})))
        >>> found["verdict"].name, found["verdict"].median, found["curves"][0].axis
        ('lr=1', 0.2, 'lr')
    """

    def __init__(self, view: AtlasView):
        self.view = view

    def __getitem__(self, name: str) -> Any:
        """The finding.

        Raises:
            TooFew: If there are too few trials for it; likewise `HuntTableError` and `UnknownName`.
            KeyError: If there is no finding of this name.
        """
        if name in OF_EARLY_SPECTRA and not self.view.has_early_spectra:
            raise TooFew(NOT_EARLY)
        return (ALWAYS | OF_EARLY_SPECTRA)[name](self.view)

    def __iter__(self) -> Iterator[str]:
        return iter(ALWAYS | OF_EARLY_SPECTRA)

    def __len__(self) -> int:
        return len(ALWAYS) + len(OF_EARLY_SPECTRA)

    @property
    def sources(self) -> dict[str, "Findings"]:
        """The findings of each data set by its name; these, under "", where there is one data set."""
        return {name: Findings(view) for name, view in self.view.sources.items()}

    def to_dict(self) -> dict[str, Any]:
        """The findings of this data set as plain data; those that are missing under "absent" with the reason."""
        known: dict[str, Any] = {}
        absent: dict[str, str] = {}
        for name in self:
            try:
                value = self[name]
            except UNAVAILABLE as reason:
                absent[name] = str(reason)
            except Exception as error:  # one analysis that fails leaves the others
                absent[name] = self.view.errors.add(error, name).reason
            else:
                known[name] = plain(value)
        return known | {"absent": absent}

    def to_json(self) -> dict[str, Any]:
        """All findings of all data sets as plain data; NaN is null, infinities are "inf" and "-inf"."""
        description = self.view.table.description
        return {
            "schema": SCHEMA,
            "experiment": description.name,
            "question": description.question,
            "intent": description.intent,
            "trials": len(self.view.finals),
            "outcomes": self.view.outcomes,
            "sources": {name: part.to_dict() for name, part in self.sources.items()},
        }

    def save(self, path: Path | str) -> None:
        """Write `to_json` to a file, whole or not at all."""
        with atomic_write(Path(path)) as file:
            file.write((json.dumps(self.to_json(), indent=1, allow_nan=False, ensure_ascii=False) + "\n").encode())


def findings(table: Table) -> Findings:
    """Every statistic that the atlas shows of an experiment.

    Args:
        table: The experiment, as `lyapsweep.load` returns it.

    Returns:
        The findings by name; see docs/findings.md.

    Example:
        >>> findings(Table.of([]))["verdict"]
        Traceback (most recent call last):
        ...
        lyapsweep.analysis.shared.selection.TooFew: No trial has a measure yet.
    """
    return Findings(AtlasView(table))


def plain(value: Any) -> Any:
    """A value as JSON has it."""
    if isinstance(value, tuple) and hasattr(value, "_asdict"):
        return {name: plain(part) for name, part in zip(value._fields, value)}  # type: ignore[attr-defined]
    if is_dataclass(value):
        held = {field.name: plain(getattr(value, field.name)) for field in fields(value)}
        return held | ({"sentences": plain(value.sentences)} if isinstance(value, Verdict) else {})
    if isinstance(value, np.ndarray | list | tuple):
        return [plain(part) for part in value]
    if isinstance(value, Mapping):
        return {str(key): plain(part) for key, part in value.items()}
    if isinstance(value, np.generic):
        value = value.item()
    if value is None or isinstance(value, str | bool | int | float):
        return strict(value)
    raise TypeError(f"findings: {type(value).__name__} is no plain value.")
