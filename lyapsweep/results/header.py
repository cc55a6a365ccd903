"""The JSON header of a record's file, read so that a damaged or foreign file is refused in words."""

import contextlib
import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from lyapsweep.results.experiment import is_experiment_name
from lyapsweep.results.json_types import check_types
from lyapsweep.results.outcome import Outcome
from lyapsweep.results.provenance import Provenance
from lyapsweep.setting_types import LARGEST_INTEGER, shown

SCHEMA = 2  # since 2 the header has the trial's id and the version of the settings
READABLE = (1, 2)
NEEDED = {"config": dict, "step": int, "outcome": str} | dict.fromkeys(("spectra", "provenance"), dict)
SCORES = ("measures", "floors", "saturations", "surrogates", "test", "test_floors")  # numbers by name
OPTIONAL = {"id": str, "settings": int} | dict.fromkeys(SCORES, dict)


class BadRecord(ValueError):
    """A file that is not a record, or has a schema that this version cannot read."""


@contextlib.contextmanager
def naming(path: Path) -> Iterator[None]:
    """Turn errors of a block that reads a record's content into `BadRecord` with its path."""
    try:
        yield
    except (ValueError, TypeError, KeyError, AttributeError, OverflowError) as error:
        missing = f"'{error.args[0]}' is missing" if isinstance(error, KeyError) else str(error)
        raise BadRecord(f"{path} is not a lyapsweep record ({missing}).") from error


def read_file(path: Path, arrays: bool) -> tuple[dict[str, Any], dict[str, np.ndarray]]:
    """Return the JSON header of a record's file, and its arrays by name."""
    try:
        with np.load(path, allow_pickle=False) as file:
            header = json.loads(str(file["header"]))
            found = {k: file[k] for k in file.files if k != "header"} if arrays else {}
    except FileNotFoundError:
        raise
    except Exception as error:  # numpy, zipfile and zlib raise many types
        raise BadRecord(f"{path} is not a lyapsweep record ({error}).") from error
    if isinstance(header, dict) and header.get("schema") not in READABLE:
        raise BadRecord(
            f"{path} has record schema {header.get('schema')}, but this version reads {READABLE}. Use the version "
            "that wrote it."
        )
    with naming(path):
        check_header(header, found)
    return header, found


def check_header(header: Any, arrays: Mapping[str, np.ndarray]) -> None:
    """Raise `ValueError` or `KeyError` where an entry is missing or not of its type."""
    if not isinstance(header, dict):
        raise ValueError(f"its header is {shown(header)}")
    for name, kind in (NEEDED | OPTIONAL).items():
        value = header[name] if name in NEEDED else header.get(name, kind())
        if not isinstance(value, kind) or isinstance(value, bool):
            raise ValueError(f"'{name}' is {shown(value)}")
    if not 0 <= header["step"] < LARGEST_INTEGER:
        raise ValueError(f"'step' is {shown(header['step'])}")
    if header.get("id") and not is_experiment_name(header["id"]):  # it names files
        raise ValueError(f"'id' is {shown(header['id'])}")
    for name, values in arrays.items():
        if values.dtype.kind not in "fiub":
            raise ValueError(f"'{name}' holds {values.dtype}")


def without_prefix(arrays: dict[str, np.ndarray], prefix: str) -> dict[str, np.ndarray]:
    return {name.removeprefix(prefix): array for name, array in arrays.items() if name.startswith(prefix)}


def numbers(scores: Mapping[str, float | str | None]) -> dict[str, float]:
    """Undo `strict`: null is NaN, "inf" and "-inf" are themselves."""
    return {name: float("nan") if value is None else float(value) for name, value in scores.items()}


def provenance_of(content: Mapping[str, Any]) -> Provenance:
    """Return the provenance of a header; `ValueError` for an entry of another type."""
    provenance = Provenance.from_json(content)
    check_types(provenance, "provenance")
    return provenance


@dataclass(frozen=True)
class RecordHeader:
    """The part of a record that tells how its trial stands.

    Args:
        step: Step of training.
        outcome: How the trial stood at that step.
        provenance: Where and with what it was trained.
    """

    step: int
    outcome: Outcome
    provenance: Provenance

    @classmethod
    def load(cls, path: Path) -> "RecordHeader":
        """Read a record's file without its arrays and without its config.

        Raises:
            BadRecord: If the file is not a record or has a later schema.
        """
        header, _ = read_file(path, arrays=False)
        with naming(path):
            return cls(header["step"], Outcome(header["outcome"]), provenance_of(header["provenance"]))
