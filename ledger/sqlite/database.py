"""A database file in use: a reader for each thread, one writer for the process."""

import os
import threading
import time
import weakref
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing, contextmanager, suppress
from copy import copy
from pathlib import Path
from typing import Any

from ledger.contract import UNWRITABLE, LedgerBusy, LedgerError, LedgerUnavailable, LogStuck
from ledger.open_files import OPEN
from ledger.patience import left_of
from ledger.sqlite import scrub
from ledger.sqlite.connection import (
    DAMAGED,
    LOG_FILES,
    Connection,
    Memory,
    connect_read_only,
    driver,
    ledger_error_from,
    remembered,
    roll_back,
    translate_errors,
    unavailable,
    undoes_all,
)
from ledger.sqlite.line import LOCK_FILE, Line
from ledger.sqlite.turns import Queue, SharedTurn, Turn, Work

GROUP = 64  # works that are committed together with another, at most
GROUP_TIME = 0.01  # seconds after which no more work joins a group

RECHECK = 10.0  # seconds at the least between two checks of a whole file
SHARE = 100  # times as long as a check took are between two

MOMENT = 0.25  # seconds that what only reads waits for a turn to write, at most

LARGE_LOG = 64 * 1024 * 1024  # bytes; SQLite cuts a log that was written back down to so many
LOOK = 1.0  # seconds between two looks at the size of a log
READERS_LEAVE = 100  # milliseconds that a writer waits for readers of a large log

UNCHECKED = "not checked since"
MISSING = "file missing"
REPLACED = "file replaced"
_ALL_FILES = ("", *LOG_FILES)
_MAIN_FILE = ("",)

_Identity = tuple[int, int]  # device and inode


class DatabaseFile:
    """Connections to one file, opened as they are needed; SQLite's errors become LedgerErrors.

    What is public here is promised in contract.Ledger.
    """

    def __init__(
        self,
        path: Path,
        open_one: Callable[[], Connection],
        timeout: float,
        place: "Place | None" = None,
    ) -> None:
        """`open_one` opens a connection; `timeout` is the longest wait to write, in seconds.

        With a `place` nothing is written unless the file at the path is the one that was opened.
        """
        self.path = path
        self._open_one = open_one
        self._timeout = timeout
        self._queue = Queue()
        self._line = Line(path.with_name(LOCK_FILE) if place else None)
        self._place = place
        self._local = threading.local()
        self._opening = threading.Lock()
        self._writer: Connection | None = None
        self._opened: list[Connection] = []
        self._most_opened = self._files = 0  # connections since all were closed; files they hold
        self._reference = weakref.ref(self)
        self._left: Any = None  # what the file held when its last connection was closed
        self._generation = 0  # of connections; those of an earlier one are opened again
        self._written_by = 0  # the generation of the writer
        self._next_look = 0.0  # at the size of the log, monotonic seconds
        self.inspection = Inspection(path)
        self.damage: LedgerUnavailable | None = None
        self.damaged_at = 0.0  # monotonic seconds
        self.refusal: str | None = None  # the reason for which the last write failed, if it did

    def close(self) -> None:
        """Close every connection, whoever uses it; the file may be used again."""
        OPEN.drop(self._reference)
        with self._opening:
            for connection in self._opened:
                connection.close()
            self._opened.clear()
            self._line.close()
            self._count()
        self._writer = self._left = None
        self._local = threading.local()
        if self._place:
            self._place.forget()

    def __del__(self) -> None:
        OPEN.count(-self._files)

    def reading(self) -> "Reading":
        return Reading(self)

    def remembered(self) -> dict[Any, Any]:
        with self.reading() as connection:
            return remembered(connection)

    def reader(self) -> Connection:
        """Return this thread's connection for reading; `reading` also names its errors."""
        local = self._local
        connection = getattr(local, "connection", None)
        if connection is not None and local.generation != self._generation:
            self._forget(connection)  # not closed: a caller in this thread may still use it
            connection = None
        if connection is None:
            connection, local.generation = self._open(), self._generation
            connection.memory = Memory(self._still_holds)
            local.connection = connection
        OPEN.touch(self._reference)
        return connection

    @staticmethod
    def _still_holds(connection: Connection, mark: Any) -> tuple[bool, Any]:
        """Return whether what was noted of the file still holds after a commit, and a mark.

        See connection.Memory. Of a file of which nothing is known, nothing does.
        """
        return False, None

    @property
    def is_read_here(self) -> bool:
        """Return whether this thread has a connection for reading."""
        return getattr(self._local, "connection", None) is not None

    def leave(self) -> None:
        """Close this thread's connection for reading; without any, the one for writing too."""
        OPEN.drop(self._reference)
        connection = getattr(self._local, "connection", None)
        if connection is not None:
            self._local.connection = None
            self._close_one(connection)
        if self._writer is not None and self._queue.enter_at_once(Turn()):
            try:
                writer = self._writer
                if writer is not None and self._opened == [writer]:
                    self._writer = None
                    self._line.close()
                    self._close_one(writer)
            finally:
                self._queue.pass_on()

    def _close_one(self, connection: Connection) -> None:
        if self._opened == [connection]:
            with suppress(driver.Error, UnicodeDecodeError):  # it is found out later
                self._left = self._state(connection)
        self._forget(connection)
        with suppress(driver.Error):  # nobody waits for what could not be written back
            connection.close()

    def _state(self, connection: Connection) -> Any:
        """Return what is noted before the last connection is closed."""

    def _check_state(self, connection: Connection, left: Any) -> None:
        """Raise LedgerUnavailable if the file is no longer the one in which that was noted."""

    def stamp(self) -> object:
        try:
            file = os.stat(self.path)
        except OSError:
            return None
        with suppress(OSError):
            log = os.stat(f"{self.path}-wal")
            if log.st_size:
                return file.st_ino, file.st_size, file.st_mtime_ns, log.st_size, log.st_mtime_ns
        return file.st_ino, file.st_size, file.st_mtime_ns

    @contextmanager
    def writing(self, patience: float | None = None) -> Iterator[Connection]:
        """Give the writing connection for one transaction, which an error undoes.

        `patience` is the longest wait for it, where that is less than usual. Raises LedgerBusy.
        """
        with self._noting_refusals():
            longest = left_of(self._timeout)
            patience = longest if patience is None else min(patience, longest)
            deadline = time.monotonic() + patience
            with self._queue.turn(patience), self._transaction(deadline) as writer:
                yield writer

    def together(self, work: Work) -> Any:
        """Do a work in a transaction and return its result once that is committed.

        It may be done by another thread, in a transaction with the works of others. Of those it
        sees what they did; what it fails with is undone and raised for it alone. What SQLite
        undoes as a whole, such as on a full disk, fails for all. Raises LedgerBusy.
        """
        with self._noting_refusals():
            patience, turn = left_of(self._timeout), SharedTurn(work)
            deadline = time.monotonic() + patience
            if self._queue.enter(turn, patience):
                others: list[SharedTurn] = []
                try:
                    turn.result = self._lead(work, others, deadline)
                finally:
                    self._queue.pass_on(others)
            elif turn.error:
                with _Translating(self):
                    raise turn.error
        return turn.result

    def _lead(self, work: Work, others: list[SharedTurn], deadline: float) -> Any:
        """Do a work, and those of the `others` that wait by then, in one transaction.

        Alone it costs nothing more than a transaction of its own.
        """
        try:
            with self._transaction(deadline) as writer:
                result, until = work(writer), time.monotonic() + GROUP_TIME
                while len(others) < GROUP and (turn := self._queue.next_shared()):
                    others.append(turn)
                    _do_within(writer, turn)
                    if time.monotonic() > until:
                        break
        except BaseException as error:
            for turn in others:
                turn.error = _error_of_all(self.path, error)
            raise
        return result

    @contextmanager
    def _noting_refusals(self) -> Iterator[None]:
        """Note why a write failed; it is not tried while the file is damaged."""
        OPEN.touch(self._reference)
        self._must_be_sound()
        if self.refusal == UNWRITABLE and os.access(self.path, os.W_OK):
            self._generation += 1  # a connection that was opened read-only stays read-only
        try:
            yield
        except LedgerUnavailable as trouble:
            self.refusal = trouble.reason
            raise
        self.refusal = None

    @contextmanager
    def _transaction(self, deadline: float) -> Iterator[Connection]:
        """Give the writing connection for one transaction; only whose turn it is may ask.

        SQLite's own busy handler makes eight processes wait up to 3.5 s, retrying every
        millisecond up to 0.06 s (measured). What went elsewhere is not acknowledged.
        """
        try:
            with _Translating(self):
                writer = self._only_writer()
                self._line.begin(writer, deadline)
                try:
                    self._must_be_in_place(_ALL_FILES)
                    yield writer
                    writer.execute("COMMIT")
                except BaseException:
                    roll_back(writer)
                    raise
                self._must_be_in_place(_MAIN_FILE)
                self._shorten_log(writer)
        except Misplaced:
            self._save_log()
            raise

    def _shorten_log(self, writer: Connection) -> None:
        """Begin a large log again; where there are always readers, SQLite never finds the moment.

        New readers do not need what is written back, so it is enough to wait for the old ones.
        """
        now = time.monotonic()
        if now < self._next_look:
            return
        self._next_look = now + LOOK
        if self.log_size() > LARGE_LOG:
            writer.execute(f"PRAGMA busy_timeout={READERS_LEAVE}")
            with suppress(driver.Error):  # what was committed is in the log
                writer.execute("PRAGMA wal_checkpoint(RESTART)").fetchall()
            writer.execute("PRAGMA busy_timeout=0")

    def _must_be_sound(self) -> None:
        """Raise LedgerUnavailable once a page proved damaged, until a check finds nothing wrong.

        What looked like damage was perhaps a disk that failed for a while.
        """
        damage = self.damage
        if damage is None:
            return
        if self.inspection.fault(self.damaged_at):
            # a new one each time: an exception keeps the frames of every raise
            raise copy(damage)
        self.damage = None
        self._generation += 1

    def check_place(self, names: Sequence[str] = _ALL_FILES) -> None:
        """Raise LedgerUnavailable unless what was opened is what is there; see Place."""
        try:
            self._must_be_in_place(names)
        except Misplaced:
            with suppress(LedgerBusy), self._queue.turn(MOMENT):
                self._save_log()
            raise

    def _must_be_in_place(self, names: Sequence[str]) -> None:
        if self._place:
            self._place.check(names)

    def prepare_rewrite(self, deadline: float) -> None:
        if self.path.exists():
            scrub.prepare(self.path, deadline)

    def rewrite(self, deadline: float) -> None:
        if self.path.exists():
            scrub.rewrite(self.path, deadline)

    def log_size(self) -> int:
        try:
            return os.stat(f"{self.path}-wal").st_size
        except OSError:
            return 0

    def check_log(self) -> None:
        if self.log_size() <= LARGE_LOG:
            return
        with self.reading() as connection:
            [(_, pages, copied)] = connection.execute("PRAGMA wal_checkpoint(PASSIVE)").fetchall()
        if pages != copied:
            raise LogStuck(
                f"{self.path}-wal is larger than {LARGE_LOG // 2**20} MiB and cannot be written"
                " back, because some program has been reading an old state of the ledger all the"
                " time. The disk fills up: find who has the file open (lsof, fuser) and end it"
            )

    def _save_log(self) -> None:
        """Copy the log into the file that was opened: another log may be next to it later.

        Only the thread whose turn it is may do it.
        """
        connection = self._writer or getattr(self._local, "connection", None)
        if connection is not None:
            with suppress(driver.Error):
                connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchall()

    def _only_writer(self) -> Connection:
        """Return the writing connection; only the thread whose turn it is may ask."""
        if self._writer is not None and self._written_by != self._generation:
            stale, self._writer = self._writer, None
            self._forget(stale)
            stale.close()
        if self._writer is None:
            self._line.open()
            writer, self._written_by = self._open(), self._generation
            writer.execute("PRAGMA busy_timeout=0")  # `writing` waits better
            self._writer = writer
        return self._writer

    def _open(self) -> Connection:
        with self._opening:
            if self._place:
                self._place.check()  # to open another would play this one's log into it
            connection = self._open_one()
            try:
                if self._place:
                    connection.execute("PRAGMA schema_version").fetchone()  # opens the log
                    self._place.take()
                if self._left is not None and not self._opened:
                    with _Translating(self):
                        self._check_state(connection, self._left)
            except BaseException:
                connection.close()
                if self._place and not self._opened:
                    self._place.forget(LOG_FILES)
                raise
            self._opened.append(connection)
            self._count()
        return connection

    def _forget(self, connection: Connection) -> None:
        with self._opening:
            with suppress(ValueError):  # closed and cleared already
                self._opened.remove(connection)
            if self._place and not self._opened:
                self._place.forget(LOG_FILES)  # the next connection makes another log
            self._count()

    def _count(self) -> None:
        """Count the files that are open: the file and log of each connection, and the index.

        SQLite closes the file itself only with its last connection: a lock would be lost.
        """
        now = len(self._opened)
        self._most_opened = max(self._most_opened, now) if now else 0
        files = self._most_opened + now + 1 if now else 0
        files += self._line.files
        OPEN.count(files - self._files)
        self._files = files


def _do_within(writer: Connection, turn: SharedTurn) -> None:
    """Do a work in the open transaction; what it fails with by itself is undone and kept."""
    writer.execute("SAVEPOINT work")
    try:
        turn.result = turn.work(writer)
    except Exception as error:
        if undoes_all(writer, error):
            raise
        writer.execute("ROLLBACK TO work")
        turn.error = error
    writer.execute("RELEASE work")


def _error_of_all(path: Path, error: BaseException) -> BaseException:
    """Return what one more work failed with when the transaction of all failed.

    An error for each: one that is raised keeps the frames of every raise.
    """
    if isinstance(error, LedgerError):
        return copy(error)
    return ledger_error_from(path, error) or LedgerUnavailable(
        f"the process was interrupted while it wrote to {path}; whether this was recorded is not"
        " known",
        reason="interrupted",
    )


class _Translating(translate_errors):
    """Names SQLite's errors; once a page proved damaged, nothing more is written."""

    __slots__ = ("_file",)

    def __init__(self, file: DatabaseFile) -> None:
        super().__init__(file.path)
        self._file = file

    def __exit__(self, kind: object, error: BaseException | None, trace: object) -> None:
        try:
            super().__exit__(kind, error, trace)
        except LedgerUnavailable as trouble:
            if trouble.reason == DAMAGED:
                self._file.damage, self._file.damaged_at = trouble, time.monotonic()
            raise


class Reading(_Translating):
    """The same, and what it gives is the thread's reading connection."""

    __slots__ = ()

    def __enter__(self) -> Connection:
        return self._file.reader()


class Misplaced(LedgerUnavailable):
    """A file that was opened is not at its path any more."""


class Place:
    """The path of a file in use, and which file was found there when it was opened.

    SQLite goes on with a file that was moved, removed or replaced: what it writes then is in no
    ledger that is opened later. The same holds for a log, for the file lacks what is in it.
    """

    def __init__(self, path: Path) -> None:
        """Begin without a file: `take` notes it."""
        self._path = path
        self._names = {name: f"{path}{name}" for name in _ALL_FILES}
        self._taken: dict[str, _Identity] = {}

    def take(self) -> None:
        """Note which file was opened, and its log, unless known; raises as `check` does."""
        self.check()
        self._taken[""] = self._identity("")
        for name in LOG_FILES:
            with suppress(LedgerUnavailable):  # a file that is only read may have none
                self._taken[name] = self._identity(name)

    def forget(self, names: Sequence[str] = _ALL_FILES) -> None:
        """Forget which files were opened: no connection is open any more."""
        for name in names:
            self._taken.pop(name, None)

    def check(self, names: Sequence[str] = _ALL_FILES) -> None:
        """Raise LedgerUnavailable unless file and log are those that were opened."""
        for name in names:
            taken = self._taken.get(name)
            if taken is not None and self._identity(name) != taken:
                raise self._unavailable(name, REPLACED, "is not the file that this process opened")

    def _identity(self, name: str) -> _Identity:
        try:
            found = os.stat(self._names[name])
        except OSError as error:
            raise self._unavailable(name, MISSING, f"is not there ({error.strerror})") from None
        return found.st_dev, found.st_ino

    def _unavailable(self, name: str, reason: str, says: str) -> Misplaced:
        return Misplaced(
            f"{self._names[name]} {says}; nothing more is written. Put the file and its log back as"
            " they were, or stop the service, put the ledger in its place and start it",
            reason=reason,
        )


class Inspection:
    """SQLite's own check of a whole file, repeated at most for a hundredth of the time."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._lock = threading.Lock()
        self._next = self._began = 0.0  # monotonic seconds
        self._fault: str | None = None

    def fault(self, since: float = -1.0) -> str | None:
        """Return what the newest check found wrong, or UNCHECKED if it began before a moment."""
        with self._lock:
            started = time.monotonic()
            if started >= self._next:
                try:
                    check_file(self._path)
                    self._fault, self._began = None, started
                except LedgerUnavailable as trouble:
                    self._fault, self._began = trouble.reason, started
                except LedgerBusy:  # it is not broken, nor is it sound
                    pass
                took = time.monotonic() - started
                self._next = started + max(RECHECK, SHARE * took)
            return self._fault if self._began > since else UNCHECKED


def check_file(path: Path, *, whole: bool = True) -> None:
    """Read a file's tables, or all of it; raises LedgerBusy or LedgerUnavailable."""
    with translate_errors(path), closing(connect_read_only(path)) as connection:
        connection.execute("SELECT count(*) FROM sqlite_schema").fetchone()
        found = connection.execute("PRAGMA quick_check(1)").fetchone()[0] if whole else "ok"
    if found != "ok":
        raise unavailable(path, driver.SQLITE_CORRUPT, f"malformed: {found}")
