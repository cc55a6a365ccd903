"""Files named by a digest of their contents: arrays that a user passed, kept in an experiment's folder.

A config names one by its path. Only the name counts in a trial's id, since it determines the contents: the same data
in another folder, or in a folder that was moved, make the same trial.
"""

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

FOLDER = "data"  # below results/<name>
NAME = re.compile(rf"(?:.*[/\\])?{FOLDER}[/\\]([0-9a-f]{{16}}\.(?:npy|parquet|arrays|weights))")


def without_folder(value: Any) -> Any:
    """Return a setting as it counts in an id: paths of such files without their folder, anything else as it is.

    Example:
        >>> without_folder(["/home/me/results/a/data/0123456789abcdef.npy", "my.csv"])
        ['data/0123456789abcdef.npy', 'my.csv']
    """
    if isinstance(value, list | tuple):
        return [without_folder(each) for each in value]
    found = NAME.fullmatch(value) if isinstance(value, str) else None
    return f"{FOLDER}/{found[1]}" if found else value


def relocated(settings: Any, experiment: Path) -> Any:
    """Return nested settings in which missing files of this kind are those of an experiment's folder that was moved."""
    if isinstance(settings, Mapping):
        return {key: relocated(value, experiment) for key, value in settings.items()}
    if isinstance(settings, list | tuple):
        return [relocated(value, experiment) for value in settings]
    found = NAME.fullmatch(settings) if isinstance(settings, str) else None
    moved = experiment / FOLDER / found[1] if found else None
    return str(moved.absolute()) if moved and not Path(settings).exists() and moved.exists() else settings
