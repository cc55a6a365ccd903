"""Which Python files may be executed: reading records, tables and pages never runs the code that they name.

A config names code of a user's own as `path/to/file.py:Name`. A file that the user names (in a config, in a sweep, on
the command line) is executed. A file that only a record names is executed if this user started a run or sweep with
the same file before (by its digest, kept in the state directory of the user), or after `--trust` (`trust=True`). What a
config names as `Name:digest` (`lyapsweep.in_memory`) is never loaded from disk: only a process that defined it, and the
workers of a sweep that it started, hold it.
"""

import hashlib
import logging
import os
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from lyapsweep import in_memory

log = logging.getLogger(__name__)

_by_user: set[str] = set()  # paths as they are written in configs
_by_records: set[str] = set()
_everything = False  # a command was given --trust


class UntrustedCode(ValueError):
    """A Python file that only a record names, and that this user has not run before."""


def code_named(content: Any) -> Iterator[str]:
    """Yield the code in nested settings: FILE of each string `FILE.py:Name`, and the names of objects in memory.

    Example:
        >>> list(code_named({"cell": {"kind": "mine.py:Leaky"}, "measures": ["loss", "score:0123456789ab"]}))
        ['mine.py', 'score:0123456789ab']
    """
    if isinstance(content, str):
        path = content.rpartition(":")[0]
        if path.endswith(".py"):
            yield path
        elif in_memory.is_in_memory(content):
            yield content
    elif isinstance(content, Mapping):
        for value in content.values():
            yield from code_named(value)
    elif isinstance(content, list | tuple):
        for value in content:
            yield from code_named(value)


def named_by_user(content: Any) -> None:
    """Trust the files in settings that the user gives, in this process."""
    _by_user.update(code_named(content))


def named_by_record(content: Any) -> None:
    """Execute the files in a record's settings only if they are trusted for another reason."""
    _by_records.update(code_named(content))


def trust_everything() -> None:
    """Execute every file that a record names, in this process (`--trust`)."""
    global _everything
    _everything = True


def trusted(path: str) -> bool:
    """Whether a Python file, as written in a config, may be executed, or this process holds an object in memory."""
    if in_memory.is_in_memory(path):
        return in_memory.known(path)
    if _everything or path in _by_user or path not in _by_records:
        return True
    return digest_of(path) in remembered()


def require(path: str, what: str) -> None:
    """Raise `UntrustedCode` unless code may be executed; `what` begins the message."""
    if in_memory.is_in_memory(path) and not trusted(path):
        raise UntrustedCode(
            f"{what}: it was defined in the memory of another process, and its source was {path.rpartition(':')[2]}. "
            "Define it again with the same source, and pass or register it before."
        )
    if not trusted(path):
        raise UntrustedCode(
            f"{what}: a record names the code {path}, which this user has not run before. "
            "Read the file, then pass --trust (trust=True in Python)."
        )


def remember() -> None:
    """Store the digests of the files that the user named in this process, when a run or sweep starts with them."""
    files = sorted(path for path in _by_user if not in_memory.is_in_memory(path))
    new = {digest: path for path in files if (digest := digest_of(path)) and digest not in remembered()}
    if not new:
        return
    try:
        store().parent.mkdir(parents=True, exist_ok=True)
        with store().open("a") as file:
            file.write("".join(f"{digest}  {Path(path).expanduser().resolve()}\n" for digest, path in new.items()))
    except (OSError, RuntimeError) as error:  # RuntimeError: this user has no home
        log.debug("Trusted code is not remembered: %s", error)


def remembered() -> set[str]:
    """Digests of the files that this user has run before."""
    try:
        return {line.partition(" ")[0] for line in store().read_text().splitlines()}
    except (OSError, UnicodeDecodeError, RuntimeError):
        return set()


def store() -> Path:
    """The file of the digests: `lyapsweep/trusted` in XDG_STATE_HOME, by default ~/.local/state."""
    return Path(os.environ.get("XDG_STATE_HOME") or Path.home() / ".local" / "state") / "lyapsweep" / "trusted"


def digest_of(path: str) -> str:
    """SHA-256 of a file; "" if it cannot be read. Of an object in memory, the digest in its name."""
    if in_memory.is_in_memory(path):
        return path.rpartition(":")[2]
    try:
        return hashlib.sha256(Path(path).expanduser().read_bytes()).hexdigest()
    except OSError:
        return ""
