"""Trials whose data or code are no longer those that they were trained with, though the config names the same files."""

import json
import logging
from collections.abc import Iterable

from lyapsweep.config import Config
from lyapsweep.problems import problem_of
from lyapsweep.results.provenance import DataDescription, code_digests
from lyapsweep.results.record import Record

log = logging.getLogger("lyapsweep")


def changed_inputs(records: Iterable[Record]) -> dict[str, str]:
    """Compare the digests in records with those of the files as they are now.

    Data of a file and code of the user's own are compared; records that hold no digest are taken to be unchanged, and
    so are files that can no longer be read.

    Args:
        records: Records, of which the last one of each trial suffices.

    Returns:
        What changed since, by trial; empty where nothing did.

    Example:
        >>> from lyapsweep.results.record import Outcome
        >>> config = Config.of({"dataset": {"kind": "simulated", "system": "henon"}, "cell": {"kind": "lstm"}})
        >>> changed_inputs([Record(config, 9, Outcome.FINISHED)])
        {}
    """
    known: dict[str, DataDescription | None] = {}
    found = {}
    for record in records:
        code = [path for path, now in code_digests(record.config.to_dict()).items() if differs(record, path, now)]
        data = [] if code else changed_data(record, known)
        if code or data:
            found[record.trial] = ", ".join(code or data)
    return found


def differs(record: Record, path: str, now: str) -> bool:
    then = record.provenance.code.get(path)
    return bool(then and now and then != now)


def changed_data(record: Record, known: dict[str, DataDescription | None]) -> list[str]:
    """The source of a record's data if they changed; `known` keeps the data of each dataset section."""
    then, dataset = record.provenance.data, record.config.dataset
    if then is None or not then.digest or "path" not in dataset:
        return []
    key = json.dumps([dataset, record.config.windows.length], sort_keys=True)
    if key not in known:
        known[key] = description_of(record.config)
    now = known[key]
    changed = now is not None and (now.digest != then.digest or now.dt != then.dt)
    return [now.source] if now is not None and changed else []


def description_of(config: Config) -> DataDescription | None:
    """The data of a config as they are now; None if they cannot be read."""
    try:
        return problem_of(config).description
    except ValueError as error:
        log.warning("Recorded trials cannot be compared with their data: %s", error)
        return None
