"""The one module that opens database files: the driver, its settings, its errors."""

import importlib
import os
import random
import shlex
import stat
import tempfile
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import closing, contextmanager, suppress
from functools import partial
from pathlib import Path
from typing import Any, TypeAlias

import orjson

from ledger import owners
from ledger.contract import (
    OUT_OF_REACH,
    UNREADABLE,
    UNUSABLE,
    UNWRITABLE,
    LedgerBusy,
    LedgerError,
    LedgerMissing,
    LedgerUnavailable,
    NoScratchSpace,
    SideFileUnavailable,
)
from ledger.open_files import TOO_MANY, shortage

driver: Any
try:
    driver = importlib.import_module("pysqlite3.dbapi2")
except ImportError:  # no wheel for this platform: see `scim-ledger doctor`
    driver = importlib.import_module("sqlite3")

Connection: TypeAlias = Any  # pysqlite3 has no type stubs; its API is the standard module's

# Several connections to one WAL file can corrupt it in SQLite 3.7.0 to 3.51.2.
SQLITE, SAFE_SQLITE = driver.sqlite_version_info, (3, 51, 3)

MOST_REMEMBERED = 1000  # things noted of one state of a file

APPLICATION_ID = 0x53434C47  # "SCLG"
SCHEMA_VERSION = 3

# Files next to a ledger: derived from it, or such that a service can do without them.
SIDE_FILES = {"history.db": "history", "requests.db": "request log", "usage.db": "usage file"}
LOG_FILES = ("-wal", "-shm")  # the same ones for as long as any connection is open
JOURNAL = "-journal"  # undoes what was cut off while the file was not in WAL mode

_SCRATCH = (
    "PRAGMA locking_mode=EXCLUSIVE",
    "PRAGMA journal_mode=MEMORY",  # no file of another name
    "PRAGMA synchronous=OFF",
    "PRAGMA secure_delete=OFF",  # the whole file goes
    "PRAGMA cache_size=-8000",
    "CREATE TABLE t (x)",
    "DROP TABLE t",  # the file is open from here on
)
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


class Memory:
    """What was noted of the state of a file at a version (of SQLite's, for one connection).

    `holds` is asked after a commit whether it still does; it gets what it returned last, `mark`.
    """

    __slots__ = ("holds", "mark", "notes", "version")

    def __init__(self, holds: "Callable[[Connection, Any], tuple[bool, Any]]") -> None:
        self.version, self.mark, self.holds = -1, None, holds
        self.notes: dict[Any, Any] = {}


class _Connection(driver.Connection):  # type: ignore[misc]
    """A connection with a place for what `remembered` returns."""

    memory: Memory | None = None


def connect(path: Path) -> Connection:
    """Open a database file for reading and writing, one connection for one thread.

    Raises LedgerMissing when there is no file, LedgerUnavailable when it
    cannot be opened or is no database.
    """
    lend_rights(path)
    connection = _open(path, "rw", _SETTINGS)
    lend_rights(path)
    return connection


def lend_rights(path: Path) -> None:
    """Make a log writable for its owner, if it was created while the file was not.

    SQLite gives the log the file's rights, and nothing would give them back with the file's.
    """
    for name in LOG_FILES:
        with suppress(OSError):
            mode = stat.S_IMODE(os.stat(f"{path}{name}").st_mode)
            if not mode & stat.S_IWUSR:
                os.chmod(f"{path}{name}", mode | stat.S_IWUSR)


def connect_read_only(path: Path) -> Connection:
    """Open a database file for reading only; raises as `connect` does."""
    return _open(path, "ro", ("PRAGMA query_only=ON", "PRAGMA trusted_schema=OFF"))


def undo_cut_off(path: Path) -> None:
    """Let SQLite undo a change that was cut off; a connection that only reads cannot.

    Of a program's own files only: one that is examined stays as it is, its journal too.
    """
    journal = Path(f"{path}{JOURNAL}")
    with suppress(LedgerError, OSError):  # whoever opens the file next says what is wrong
        if journal.stat().st_size > 0:
            with translate_errors(path), closing(connect_alone(path)) as connection:
                connection.execute("SELECT count(*) FROM sqlite_schema").fetchall()


def connect_alone(path: Path) -> Connection:
    """Open a database file to change how it is kept; raises as `connect` does."""
    return _open(path, "rw", ("PRAGMA trusted_schema=OFF",))


def _open(path: Path, mode: str, settings: tuple[str, ...]) -> Connection:
    if not _is_there(path):
        if name := SIDE_FILES.get(path.name):
            says = f"there is no {path.absolute()}"
            raise SideFileUnavailable(says, reason="no file", file=name)
        raise LedgerMissing(f"there is no ledger at {path.absolute()}", path)
    with translate_errors(path):
        connection = driver.connect(
            f"{path.absolute().as_uri()}?mode={mode}",
            uri=True,
            isolation_level=None,
            check_same_thread=False,  # the thread that closes at exit is not the one that opened
            timeout=5,
            factory=_Connection,
        )
        try:
            for statement in settings:
                connection.execute(statement).fetchall()
        except BaseException:
            connection.close()
            raise
    return connection


def _is_there(path: Path) -> bool:
    """Return whether there is a file, or a folder that hides whether there is one."""
    try:
        return path.exists()
    except PermissionError:
        return True


def json_list(values: Iterable[Any]) -> str:
    """Return values as a parameter for json_each."""
    return orjson.dumps(list(values)).decode()


def temporary() -> Connection:
    """Open a private database in memory."""
    return driver.connect(":memory:", isolation_level=None, check_same_thread=False)


def scratch_folder() -> Path:
    """Return where a large database is made for a while: on a disk, for /tmp may be memory."""
    if given := os.environ.get("TMPDIR"):
        return Path(given)
    return Path("/var/tmp" if os.access("/var/tmp", os.W_OK) else tempfile.gettempdir())


@contextmanager
def scratch() -> Iterator[Connection]:
    """Open a private database in a file without a name, which ends with the process at the latest.

    The driver's own temporary databases are kept in memory, however large. Raises NoScratchSpace.
    """
    folder = scratch_folder()
    try:
        handle, name = tempfile.mkstemp(prefix="scim-ledger-", dir=folder)  # for this user only
        try:
            os.close(handle)
            connection = driver.connect(name, isolation_level=None, check_same_thread=False)
            for setting in _SCRATCH:
                connection.execute(setting).fetchall()
        finally:
            os.unlink(name)
    except (OSError, driver.Error) as error:
        raise NoScratchSpace(
            f"no file can be made in {folder}, which TMPDIR names: {error}"
        ) from error
    try:
        yield connection
    except driver.OperationalError as error:
        if code_of(error) not in (driver.SQLITE_FULL, driver.SQLITE_IOERR):
            raise
        raise NoScratchSpace(
            f"the disk of {folder} is full or failed: {error}. TMPDIR names another folder"
        ) from error
    finally:
        connection.close()


class translate_errors:
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
        """Raise the LedgerError for an error of SQLite's."""
        if error is not None:
            translated = ledger_error_from(self._path, error)
            if translated is not None:
                raise translated from error


def ledger_error_from(path: Path, error: BaseException) -> LedgerError | None:
    """Return the LedgerError for an error of SQLite's; None for any other."""
    if isinstance(error, UnicodeDecodeError):  # the driver's, at a name in a damaged schema
        return unavailable(path, driver.SQLITE_CORRUPT, "malformed text")
    if path.name in SIDE_FILES and isinstance(error, _OF_WRONG_CONTENTS):
        return unavailable(
            path, driver.SQLITE_CORRUPT, f"it makes no sense: {type(error).__name__}"
        )
    if not isinstance(error, driver.DatabaseError) or isinstance(error, driver.IntegrityError):
        return None
    code = code_of(error)
    if code in (driver.SQLITE_BUSY, driver.SQLITE_LOCKED):
        return LedgerBusy(f"{path} is busy")
    return unavailable(path, code, error)


def undoes_all(connection: Connection, error: Exception) -> bool:
    """Return whether an error of one work is one of the file: all of its transaction is undone."""
    of_the_file = code_of(error) in _REASONS or isinstance(error, UnicodeDecodeError)
    return of_the_file or not connection.in_transaction


def code_of(error: BaseException) -> int:
    """Return SQLite's primary result code; 0 for an error of the driver's own."""
    return getattr(error, "sqlite_errorcode", 0) & 0xFF


DAMAGED = "damaged file"

# What reading rows that SQLite takes for sound ends in, where they are not those that were written.
_OF_WRONG_CONTENTS = (driver.IntegrityError, TypeError, ValueError, LookupError, ArithmeticError)

# SQLite's result code -> the reason for anyone, the sentence for the operator.
_REASONS = {
    driver.SQLITE_NOTADB: (
        "foreign or damaged file",
        "is not a ledger: it is not a SQLite database, or its first page is damaged",
    ),
    driver.SQLITE_CORRUPT: (
        DAMAGED,
        "is damaged. `scim-ledger verify` says what is wrong; restore the last good backup",
    ),
    driver.SQLITE_IOERR: (
        "disk error",
        "cannot be read or written: the disk or its driver failed",
    ),
    driver.SQLITE_FULL: (
        "disk full",
        "is on a full disk; nothing was written. Free some space",
    ),
    driver.SQLITE_READONLY: (
        UNWRITABLE,
        "cannot be written: check the owner and the rights of the file and its folder",
    ),
    driver.SQLITE_CANTOPEN: (
        UNREADABLE,
        "cannot be opened: check the owner and the rights of the file and its folder",
    ),
}
_REMEDY = "Stop the service, delete {0}, {0}-wal and {0}-shm, and start it"


def unavailable(path: Path, code: int, says: object) -> LedgerUnavailable:
    """Return the error for a ledger's file, or a side file, that cannot be used."""
    side_file = SIDE_FILES.get(path.name)
    remedy = _REMEDY.format(path.name) if side_file else ""
    kind = partial(SideFileUnavailable, file=side_file) if side_file else LedgerUnavailable
    if code in (driver.SQLITE_CANTOPEN, driver.SQLITE_IOERR) and (why := shortage()):
        return kind(f"{path} cannot be opened: {why}", reason=TOO_MANY)
    if code not in _REASONS:
        end = f". {remedy}" if remedy else ""
        return kind(f"{path} cannot be used: {says}{end}", reason=UNUSABLE)
    reason, sentence = _REASONS[code]
    if code == driver.SQLITE_READONLY and os.path.exists(f"{path}{JOURNAL}") and not side_file:
        return kind(f"{path} is not whole: {how_to_make_whole(path, JOURNAL)}", reason=reason)
    if reason in OUT_OF_REACH and (says_who := _denial(path)):
        verb = "opened" if reason == UNREADABLE else "written"
        return kind(f"{path} cannot be {verb}: {says_who}", reason=reason)
    if remedy and code == driver.SQLITE_NOTADB:
        sentence = f"is no SQLite database, or its first page is damaged. {remedy}"
    elif remedy and code == driver.SQLITE_CORRUPT:
        sentence = f"is damaged. {remedy}"
    return kind(f"{path} {sentence} ({says})", reason=reason)


def how_to_make_whole(path: Path, end: str) -> str:
    """Return which commands make one file of a database's and of what is next to it."""
    file, log, folder = (
        shlex.quote(str(each))
        for each in (
            path.absolute(),
            f"{path.absolute()}{end}",
            path.absolute().with_name("rescued"),
        )
    )
    return (
        f"a part of it is in {log}. To make one file of both: mkdir -p {folder}/default &&"
        f" cp {file} {folder}/default/ledger.db && cp {log} {folder}/default/ledger.db{end} &&"
        f" SCIM_DATA_DIR={folder} scim-ledger backup {folder}/whole.db"
    )


def _denial(path: Path) -> str | None:
    """Return which of the files that SQLite needs this process may not use, and why."""
    needed = (path, path.parent, *(Path(f"{path}{name}") for name in LOG_FILES))
    return next(filter(None, (owners.denial(each, write=True) for each in needed)), None)


def execute_when_free(connection: Connection, statement: str, deadline: float) -> None:
    """Execute a statement as soon as the write lock is free; raises LedgerBusy at the deadline.

    The connection must not wait by itself (busy_timeout 0): its waits grow, and are unfair.
    """
    while not execute_if_free(connection, statement):
        if time.monotonic() > deadline:
            raise LedgerBusy("another process kept the ledger's write lock too long")
        time.sleep(random.uniform(0.0003, 0.0007))


def execute_if_free(connection: Connection, statement: str) -> bool:
    """Execute a statement unless another connection has the write lock; return whether it was."""
    try:
        connection.execute(statement)
    except driver.OperationalError as error:
        if code_of(error) not in (driver.SQLITE_BUSY, driver.SQLITE_LOCKED):
            raise
        return False
    return True


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
        if code_of(error) != driver.SQLITE_INTERRUPT:
            raise
        raise TimeoutError("the bound of a read was reached") from error
    finally:
        connection.set_progress_handler(None, 0)


def remembered(connection: Connection) -> dict[Any, Any]:
    """Return what was noted of the file as it is now: nothing, once anybody committed since.

    Of a ledger it is kept while nothing but events about users is committed, so nothing may be
    noted that these change. Add to it only what the connection reads after this call. One that may
    write keeps nothing: it would not be told of its own changes.
    """
    memory: Memory | None = getattr(connection, "memory", None)
    if memory is None:
        return {}
    [version] = connection.execute("PRAGMA data_version").fetchone()
    if version != memory.version:
        memory.version = version
        still, memory.mark = memory.holds(connection, memory.mark)
        if not still:
            memory.notes = {}
    if len(memory.notes) > MOST_REMEMBERED:
        memory.notes = {}
    return memory.notes


@contextmanager
def snapshot(connection: Connection) -> Iterator[None]:
    """Read one state of the file throughout."""
    connection.execute("BEGIN")
    try:
        yield
    finally:
        roll_back(connection)
