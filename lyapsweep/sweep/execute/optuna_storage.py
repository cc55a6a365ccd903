"""Where Optuna studies are: a journal file in the results folder, or any storage of Optuna at an address."""

import json
import os
import time
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from optuna.storages import BaseStorage, GrpcStorageProxy, JournalStorage, RDBStorage, get_storage
from optuna.storages.journal import BaseJournalBackend, JournalFileBackend, JournalRedisBackend
from sqlalchemy import Dialect, event

from lyapsweep.redaction import redact
from lyapsweep.sweep.plan.errors import SweepError

BLOCK = 2**16  # bytes read at a time from the end of a journal
CONNECT_TIMEOUT = 20.0  # seconds for a gRPC proxy to answer
PAUSES = (0.5, 1, 2, 4, 8, 16, 30)  # seconds between attempts to reach a database that was there before


class UnlockedJournalFile(BaseJournalBackend):
    """Optuna's journal file, appended to without a lock and without fsync.

    One driver owns the folder, and the records are authoritative. Optuna's own backend calls fsync six times per
    trial: two minutes for a map of 4096 trials.
    """

    def __init__(self, file: Path):
        self.file, self.reader = file, JournalFileBackend(str(file))

    def read_logs(self, log_number_from: int) -> Iterable[dict[str, Any]]:
        return self.reader.read_logs(log_number_from)

    def append_logs(self, logs: list[dict[str, Any]]) -> None:
        with self.file.open("ab") as journal:
            journal.write("".join(json.dumps(log, separators=(",", ":")) + "\n" for log in logs).encode())


def open_storage(place: Path | str) -> BaseStorage:
    """Optuna's storage in a journal file of the one driver that owns the folder, or at an address.

    An address is the URL of a database, of Redis (redis://...), of Optuna's gRPC proxy (grpc://host:port), or the path
    of a journal file that several sweeps share.
    """
    if isinstance(place, Path):
        remove_partial_line(place)
        return read_journal(place, UnlockedJournalFile(place))
    if "://" not in place:
        return read_journal(Path(place), JournalFileBackend(place))
    scheme, _, rest = place.partition("://")
    try:
        if scheme in ("redis", "rediss"):
            return JournalStorage(JournalRedisBackend(place))
        if scheme == "grpc":
            host, _, port = rest.rpartition(":")
            proxy = GrpcStorageProxy(host=host, port=int(port))
            proxy.wait_server_ready(timeout=CONNECT_TIMEOUT)
            return proxy
        database = RDBStorage(place, engine_kwargs={"pool_pre_ping": True})  # replaces closed connections
    except Exception as error:  # of SQLAlchemy, Redis, gRPC and missing packages
        raise SweepError(
            f"--storage {redact(place)} cannot be used ({redact(str(error))}). It is a journal file, or a URL such as "
            "postgresql+psycopg2://user@host/database, redis://host:6379 or grpc://host:13000; leave it out to keep "
            "the study in the results folder."
        ) from None
    event.listen(database.engine, "do_connect", reconnect)
    return get_storage(database)


def read_journal(file: Path, backend: BaseJournalBackend) -> BaseStorage:
    """The storage in a journal; `SweepError` if the file is not one, or broken before its last line."""
    try:
        return JournalStorage(backend)
    except Exception as error:  # Optuna's own, of JSON, of missing keys
        raise SweepError(
            f"{file}: the journal of the Optuna study is broken ({type(error).__name__}: {error}). Remove it and "
            "resume: the records hold all results; a hunt's sampler then starts without what it had learned."
        ) from error


def reconnect(dialect: Dialect, record: object, args: tuple, settings: dict[str, Any]) -> Any:
    """Connect to a database that may be restarting; raise the last attempt's error."""
    for pause in PAUSES:
        try:
            return dialect.connect(*args, **settings)
        except dialect.loaded_dbapi.OperationalError:
            time.sleep(pause)
    return dialect.connect(*args, **settings)


def remove_partial_line(file: Path) -> None:
    """Remove the lock and the partial last line of a killed driver, after which no line could be read.

    Only for a driver that owns the results folder.
    """
    file.with_name(f"{file.name}.lock").unlink(missing_ok=True)
    if not file.exists():
        return
    with file.open("r+b") as journal:
        end = journal.seek(0, os.SEEK_END)
        while end:
            start = max(0, end - BLOCK)
            journal.seek(start)
            whole = journal.read(end - start).rfind(b"\n") + 1
            end = start + whole
            if whole:
                break
        journal.truncate(end)
