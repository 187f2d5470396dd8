"""The one module that opens database files: driver, settings, errors, taking turns to write."""

import importlib
import random
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TypeAlias

import orjson

from ledger.contract import (
    BesideUnavailable,
    LedgerBusy,
    LedgerError,
    LedgerMissing,
    LedgerUnavailable,
)
from ledger.sqlite.place import lend_rights

driver: Any
try:
    driver = importlib.import_module("pysqlite3.dbapi2")
except ImportError:  # no wheel for this platform: see `scim-ledger doctor`
    driver = importlib.import_module("sqlite3")

Connection: TypeAlias = Any  # pysqlite3 has no type stubs; its API is the standard module's

# Several connections to one WAL file can corrupt it in SQLite 3.7.0 to 3.51.2.
SAFE_SQLITE = (3, 51, 3)

APPLICATION_ID = 0x53434C47  # "SCLG"
SCHEMA_VERSION = 2

_SETTINGS = (
    "PRAGMA journal_mode=WAL",
    "PRAGMA synchronous=FULL",  # an answered request survives power loss
    "PRAGMA foreign_keys=ON",
    "PRAGMA recursive_triggers=ON",
    "PRAGMA secure_delete=ON",  # what is deleted is overwritten
    "PRAGMA mmap_size=0",
    "PRAGMA trusted_schema=OFF",
    "PRAGMA journal_size_limit=67108864",
    "PRAGMA cache_size=-16000",
    "PRAGMA wal_autocheckpoint=4000",  # pages; a tenth less CPU a write than every 1000
)


def sqlite_version() -> tuple[int, ...]:
    """Return the version of the SQLite library in use."""
    return tuple(int(part) for part in driver.sqlite_version.split("."))


def safe_for_several_processes() -> bool:
    """Return whether this SQLite may serve one file from several processes."""
    return sqlite_version() >= SAFE_SQLITE


def connect(path: Path, *, create: bool = False) -> Connection:
    """Open a database file for reading and writing, one connection for one thread.

    Raises LedgerMissing when there is no file (unless `create`), LedgerUnavailable when it
    cannot be opened or is no database.
    """
    lend_rights(path)
    connection = _open(path, "rwc" if create else "rw", _SETTINGS)
    lend_rights(path)
    return connection


def connect_read_only(path: Path) -> Connection:
    """Open a database file for reading only; raises as `connect` does."""
    return _open(path, "ro", ("PRAGMA query_only=ON", "PRAGMA trusted_schema=OFF"))


def _open(path: Path, mode: str, settings: tuple[str, ...]) -> Connection:
    if mode != "rwc" and not path.exists():
        if path.name in BESIDE:
            raise LedgerMissing(f"there is no {path}", reason="no file")
        raise LedgerMissing(
            f"there is no ledger at {path}; `scim-ledger init` makes one", reason="no ledger"
        )
    with speaking(path):
        connection = driver.connect(
            f"{path.absolute().as_uri()}?mode={mode}",
            uri=True,
            isolation_level=None,
            check_same_thread=False,  # the thread that closes at exit is not the one that opened
            timeout=5,
        )
        try:
            for statement in settings:
                connection.execute(statement).fetchall()
        except BaseException:
            connection.close()
            raise
    return connection


def json_list(values: Iterable[Any]) -> str:
    """Return values as a parameter for json_each."""
    return orjson.dumps(list(values)).decode()


def temporary() -> Connection:
    """Open a private database that is gone when it is closed."""
    connection = driver.connect("", isolation_level=None, check_same_thread=False)
    connection.execute("PRAGMA secure_delete=ON")
    return connection


class speaking:
    """Turn SQLite's errors into LedgerErrors, a sentence for the operator.

    A class, for it surrounds every read and a generator costs five times as much.
    """

    __slots__ = ("_path",)

    def __init__(self, path: Path) -> None:
        """`path` is the file that the sentence names."""
        self._path = path

    def __enter__(self) -> None:
        """Do nothing."""

    def __exit__(self, _: object, error: BaseException | None, __: object) -> None:
        """Raise the LedgerError that an error of SQLite's means."""
        if error is not None:
            meaning = meaning_of(self._path, error)
            if meaning is not None:
                raise meaning from error


def meaning_of(path: Path, error: BaseException) -> LedgerError | None:
    """Return the LedgerError that an error of SQLite's means; None for any other."""
    if isinstance(error, UnicodeDecodeError):  # the driver's, at a name in a damaged schema
        return unavailable(path, ValueError("malformed text"))
    if not isinstance(error, driver.DatabaseError) or isinstance(error, driver.IntegrityError):
        return None
    if isinstance(error, driver.OperationalError) and (
        "locked" in str(error) or "busy" in str(error)
    ):
        return LedgerBusy(f"{path} is busy")
    return unavailable(path, error)


DAMAGED = "damaged file"
DISK_ERROR = "disk error"
UNREADABLE = "file not readable"
UNUSABLE = "unreadable file"  # for a reason that is none of the known ones
UNWRITABLE = "file not writable"

# What SQLite says -> the reason for anyone, the sentence for the operator.
_TROUBLES = {
    "not a database": (
        "foreign or damaged file",
        "is not a ledger: it is not a SQLite database, or its first page is damaged",
    ),
    "malformed": (
        DAMAGED,
        "is damaged. `scim-ledger verify` says what is wrong; restore the last good backup",
    ),
    "disk I/O error": (DISK_ERROR, "cannot be read or written: the disk or its driver failed"),
    "full": ("disk full", "is on a full disk; nothing was written. Free some space"),
    "readonly": (
        UNWRITABLE,
        "cannot be written: check the owner and the rights of the file and its folder",
    ),
    "unable to open": (
        UNREADABLE,
        "cannot be opened: check the owner and the rights of the file and its folder",
    ),
}


# What lies beside a ledger: made from it, or nothing that a service cannot go on without.
BESIDE = frozenset(("history.db", "requests.db", "usage.db"))
_BESIDE_TROUBLES = _TROUBLES | {
    "not a database": (
        "foreign or damaged file",
        "is no SQLite database, or its first page is damaged. {remedy}",
    ),
    "malformed": (DAMAGED, "is damaged. {remedy}"),
}
_REMEDY = "Stop the service, delete {0}, {0}-wal and {0}-shm, and start it"


def unavailable(path: Path, error: Exception) -> LedgerUnavailable:
    """Return what an error of SQLite's means for a ledger's file, or for one beside it."""
    if path.name in BESIDE:
        return _beside_unavailable(path, error)
    for words, (reason, sentence) in _TROUBLES.items():
        if words in str(error):
            return LedgerUnavailable(f"{path} {sentence} ({error})", reason=reason)
    return LedgerUnavailable(f"{path} cannot be used: {error}", reason=UNUSABLE)


def _beside_unavailable(path: Path, error: Exception) -> BesideUnavailable:
    remedy = _REMEDY.format(path.name)
    for words, (reason, sentence) in _BESIDE_TROUBLES.items():
        if words in str(error):
            says = sentence.format(remedy=remedy)
            return BesideUnavailable(f"{path} {says} ({error})", reason=reason)
    return BesideUnavailable(f"{path} cannot be used: {error}. {remedy}", reason=UNUSABLE)


class Turns:
    """Turns at the write lock of one file: fair between threads, and nearly so between processes.

    SQLite's own busy handler makes eight processes wait up to 3.5 s, retrying every millisecond
    up to 0.06 s (measured). A thread queues behind its siblings first, so that one
    process competes as one.
    """

    def __init__(self, patience: float) -> None:
        """`patience` is the longest wait in seconds."""
        self._patience = patience
        self._queue = threading.Lock()

    @contextmanager
    def transaction(self, writer: Callable[[], Connection]) -> Iterator[Connection]:
        """Hold the write lock for a transaction that commits, or that undoes all on an error.

        `writer` gives the connection, once no other thread of this process uses it.
        """
        deadline = time.monotonic() + self._patience
        with self.alone():
            connection = writer()
            begin(connection, deadline)
            try:
                yield connection
                connection.execute("COMMIT")
            except BaseException:
                roll_back(connection)
                raise

    @contextmanager
    def alone(self) -> Iterator[None]:
        """Keep the other threads of this process from writing; raises LedgerBusy."""
        if not self._queue.acquire(timeout=self._patience):
            raise LedgerBusy("no turn to write came in time")
        try:
            yield
        finally:
            self._queue.release()


def begin(connection: Connection, deadline: float) -> None:
    """Take the write lock before `deadline` (monotonic seconds), or raise LedgerBusy.

    The connection must not wait by itself (busy_timeout 0): its waits grow, and are unfair.
    """
    while True:
        try:
            connection.execute("BEGIN IMMEDIATE")
            return
        except driver.OperationalError as error:
            if "locked" not in str(error):
                raise
        if time.monotonic() > deadline:
            raise LedgerBusy("another process kept the ledger's write lock too long")
        time.sleep(random.uniform(0.0005, 0.0015))


def roll_back(connection: Connection) -> None:
    """Undo an open transaction; SQLite may have undone it by itself."""
    if connection.in_transaction:
        connection.execute("ROLLBACK")


@contextmanager
def within(connection: Connection, is_over: Callable[[], bool]) -> Iterator[None]:
    """Give up on reading once a bound is reached, asked every few milliseconds; TimeoutError."""
    connection.set_progress_handler(is_over, 2_000)
    try:
        yield
    except driver.OperationalError as error:
        if "interrupted" not in str(error):
            raise
        raise TimeoutError("the bound of a read was reached") from error
    finally:
        connection.set_progress_handler(None, 0)


@contextmanager
def snapshot(connection: Connection) -> Iterator[None]:
    """Read one state of the file throughout."""
    connection.execute("BEGIN")
    try:
        yield
    finally:
        roll_back(connection)
