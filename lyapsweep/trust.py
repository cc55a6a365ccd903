"""Which Python files may be executed: reading records, tables and pages never runs the code that they name.

A config names code of a user's own as `path/to/file.py:Name`. A file that the user names (in a config, in a sweep, on
the command line) is executed. A file that only a record names is executed if this user started a run or sweep with
the same file before (by its digest, kept in the state directory of the user), or after `--trust` (`trust=True`).
"""

import hashlib
import logging
import os
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

log = logging.getLogger(__name__)

_by_user: set[str] = set()  # paths as they are written in configs
_by_records: set[str] = set()
_everything = False  # a command was given --trust


class UntrustedCode(ValueError):
    """A Python file that only a record names, and that this user has not run before."""


def files_named(content: Any) -> Iterator[str]:
    """Yield the paths of Python files in nested settings: FILE of each string `FILE.py:Name`.

    Example:
        >>> list(files_named({"cell": {"kind": "mine.py:Leaky"}, "measures": ["loss", "own.py:score"]}))
        ['mine.py', 'own.py']
    """
    if isinstance(content, str):
        path = content.rpartition(":")[0]
        if path.endswith(".py"):
            yield path
    elif isinstance(content, Mapping):
        for value in content.values():
            yield from files_named(value)
    elif isinstance(content, list | tuple):
        for value in content:
            yield from files_named(value)


def named_by_user(content: Any) -> None:
    """Trust the files in settings that the user gives, in this process."""
    _by_user.update(files_named(content))


def named_by_record(content: Any) -> None:
    """Execute the files in a record's settings only if they are trusted for another reason."""
    _by_records.update(files_named(content))


def trust_everything() -> None:
    """Execute every file that a record names, in this process (`--trust`)."""
    global _everything
    _everything = True


def trusted(path: str) -> bool:
    """Whether a Python file, as written in a config, may be executed."""
    if _everything or path in _by_user or path not in _by_records:
        return True
    return digest_of(path) in remembered()


def require(path: str, what: str) -> None:
    """Raise `UntrustedCode` unless a file may be executed; `what` begins the message."""
    if not trusted(path):
        raise UntrustedCode(
            f"{what}: a record names the code {path}, which this user has not run before. "
            "Read the file, then pass --trust (trust=True in Python)."
        )


def remember() -> None:
    """Store the digests of the files that the user named in this process, when a run or sweep starts with them."""
    new = {digest: path for path in sorted(_by_user) if (digest := digest_of(path)) and digest not in remembered()}
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
    """SHA-256 of a file; "" if it cannot be read."""
    try:
        return hashlib.sha256(Path(path).expanduser().read_bytes()).hexdigest()
    except OSError:
        return ""
