"""SQLiteLedger: one file is one ledger."""

import os
import re
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from ledger import clock, codec, migrations
from ledger.database import (
    DAMAGED,
    Connection,
    Turns,
    connect,
    connect_read_only,
    speaking,
)
from ledger.events import REVISIONS, Metadata, Recorded
from ledger.store import (
    Append,
    LedgerUnavailable,
    Projector,
    WrongExpectedVersion,
)

CHUNK = 1000
_SELECT = "SELECT header, body FROM event LEFT JOIN payload USING (position)"
_NAME = re.compile(r"[a-z0-9][a-z0-9-]{0,62}")


class SQLiteLedger:
    """A ledger in one SQLite file: a reader for each thread, one writer for the process."""

    def __init__(
        self,
        path: Path,
        projectors: Sequence[Projector] = (),
        *,
        patience: float = 10.0,
        read_only: bool = False,
    ) -> None:
        """Open the ledger at `path`; `patience` is the longest wait for a turn to write, seconds.

        `read_only` leaves the file as it is, to the byte. Raises LedgerMissing or
        LedgerUnavailable.
        """
        self.path = path
        self._connect = connect_read_only if read_only else connect
        self.projectors = tuple(projectors)
        self._turns = Turns(patience)
        self._local = threading.local()
        self._opening = threading.Lock()
        self._writer: Connection | None = None
        self._opened: list[Connection] = []
        self.damage: LedgerUnavailable | None = None
        migrations.look_at(path, migrations.check_identity)
        with self.reading() as connection:
            row = connection.execute("SELECT origin FROM ledger").fetchone()
            first = connection.execute("SELECT header FROM event WHERE position = 1").fetchone()
        if row is None or first is None:
            raise LedgerUnavailable(f"{path} holds no ledger: it was never finished, or is damaged")
        self.origin: str = row[0]
        self.tenant: str = codec.decode(first[0], None).subject

    def close(self) -> None:
        """Close every connection; the ledger can be used again and then opens new ones."""
        for connection in self._opened:
            connection.close()
        self._opened.clear()
        self._writer = None
        self._local = threading.local()

    def reading(self) -> "_Reading":
        """Give this thread's connection for reading; SQLite's errors become LedgerErrors."""
        return _Reading(self)

    def reader(self) -> Connection:
        """Return this thread's connection for reading; `reading` also names its errors."""
        connection = getattr(self._local, "connection", None)
        if connection is None:
            connection = self._local.connection = self._open()
        return connection

    @contextmanager
    def writing(self) -> Iterator[Connection]:
        """Give the process's writing connection for one transaction, when its turn comes."""
        if self.damage:  # anew each time: an exception keeps the frames of all its raises
            raise LedgerUnavailable(str(self.damage), reason=self.damage.reason)
        with _Speaking(self):
            writer = self._only_writer()
            with self._turns.transaction(writer):
                yield writer

    def _only_writer(self) -> Connection:
        with self._opening:  # or threads that are the first to write would open one each
            if self._writer is None:
                writer = self._open()
                writer.execute("PRAGMA busy_timeout=0")  # Turns waits better
                self._writer = writer
            return self._writer

    def _open(self) -> Connection:
        connection = self._connect(self.path)
        for projector in self.projectors:
            prepare = getattr(projector, "prepare", None)
            if prepare:
                prepare(connection)
        self._opened.append(connection)
        return connection

    def append(self, appends: Sequence[Append], metadata: Metadata) -> list[Recorded]:
        """Record events of one or several streams in one transaction; see store.Ledger."""
        drafts = [Draft(append, metadata) for append in appends]
        with self.writing() as connection:
            recorded = [r for draft in drafts for r in draft.insert(connection, self.origin)]
            for event in recorded:
                for projector in self.projectors:
                    projector.project(connection, event)
        return recorded

    def end(self) -> tuple[int, str]:
        """Return the position of the newest event and when it was recorded."""
        with self.reading() as connection:
            return _end(connection)

    def last_position(self) -> int:
        """Return the position of the newest event."""
        with self.reading() as connection:
            return last_position(connection)

    def position_before(self, at: str) -> int:
        """Return the position of the last event recorded before a timestamp, 0 if none was."""
        with self.reading() as connection:
            position: int = connection.execute(
                "SELECT coalesce(max(position), 0) FROM event WHERE recorded_at < ?", (at,)
            ).fetchone()[0]
        return position

    def read_all(self, after: int = 0, upto: int | None = None) -> Iterator[Recorded]:
        """Yield events by position, each chunk its own read; see store.Ledger."""
        end = self.last_position() if upto is None else upto
        while after < end:
            with self.reading() as connection:
                chunk = read_chunk(connection, after, min(after + CHUNK, end))
            if not chunk:
                return
            yield from chunk
            after = chunk[-1].position

    def read_stream(self, stream: str) -> list[Recorded]:
        """Return a stream's events by version."""
        with self.reading() as connection:
            rows = connection.execute(f"{_SELECT} WHERE stream = ? ORDER BY version", (stream,))
            return [codec.decode(header, body) for header, body in rows]


class _Speaking(speaking):
    """Names SQLite's errors; once a page proved damaged, nothing more is written."""

    __slots__ = ("_ledger",)

    def __init__(self, ledger: SQLiteLedger) -> None:
        super().__init__(ledger.path)
        self._ledger = ledger

    def __exit__(self, kind: object, error: BaseException | None, trace: object) -> None:
        try:
            super().__exit__(kind, error, trace)
        except LedgerUnavailable as trouble:
            if trouble.reason == DAMAGED:
                self._ledger.damage = trouble
            raise


class _Reading(_Speaking):
    """The same, and what it gives is the thread's reading connection."""

    __slots__ = ()

    def __enter__(self) -> Connection:
        return self._ledger.reader()


class Draft:
    """An append with all that can be made before its turn comes: bodies, salts, commitments."""

    def __init__(self, append: Append, metadata: Metadata) -> None:
        self._append = append
        self._metadata = metadata
        self._payloads = [codec.payload_of(event, metadata) for event in append.events]
        self._salts = [os.urandom(codec.SALT_SIZE) for _ in append.events]
        self._commitments = [
            codec.commitment(payload, salt).hex()
            for payload, salt in zip(self._payloads, self._salts, strict=True)
        ]

    def insert(self, connection: Connection, origin: str) -> list[Recorded]:
        stream, expected = self._append.stream, self._append.expected_version
        version = stream_version(connection, stream)
        if version != expected:
            raise WrongExpectedVersion(stream, expected, version)
        position, at = _end(connection)
        at = max(clock.timestamp(), at)
        return [
            self._insert_one(connection, origin, i, position + 1 + i, version + 1 + i, at)
            for i in range(len(self._payloads))
        ]

    def _insert_one(
        self, connection: Connection, origin: str, i: int, position: int, version: int, at: str
    ) -> Recorded:
        event, payload = self._append.events[i], self._payloads[i]
        recorded = Recorded(
            position=position,
            id=clock.uuid7(),
            stream=self._append.stream,
            version=version,
            type=event.type,
            revision=REVISIONS[event.type],
            at=at,
            txn=self._metadata.txn,
            actor=self._metadata.actor,
            via=self._metadata.via,
            payload=payload,
        )
        header = codec.header_bytes(origin, recorded, len(payload), self._commitments[i])
        _insert_row(connection, recorded, header, self._salts[i])
        return recorded


def _insert_row(connection: Connection, recorded: Recorded, header: bytes, salt: bytes) -> None:
    connection.execute(
        "INSERT INTO event VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
        (
            recorded.position,
            recorded.id,
            recorded.stream,
            recorded.version,
            recorded.type,
            recorded.revision,
            recorded.at,
            recorded.txn,
            recorded.actor,
            header,
            codec.leaf_hash(header),
        ),
    )
    connection.execute(
        "INSERT INTO payload VALUES (?, ?, ?, NULL)",
        (recorded.position, salt, codec.canonical(recorded.payload)),
    )


def _end(connection: Connection) -> tuple[int, str]:
    row = connection.execute(
        "SELECT position, recorded_at FROM event ORDER BY position DESC LIMIT 1"
    ).fetchone()
    return row or (0, "")


def last_position(connection: Connection) -> int:
    """Return the position of the newest event, 0 in an empty file."""
    return _end(connection)[0]


def stream_version(connection: Connection, stream: str) -> int:
    """Return the version of a stream, NO_STREAM where there is none."""
    version: int = connection.execute(
        "SELECT coalesce(max(version), 0) FROM event WHERE stream = ?", (stream,)
    ).fetchone()[0]
    return version


def read_chunk(connection: Connection, after: int, upto: int) -> list[Recorded]:
    """Return the events after one position up to another."""
    rows = connection.execute(
        f"{_SELECT} WHERE position > ? AND position <= ? ORDER BY position", (after, upto)
    )
    return [codec.decode(header, body) for header, body in rows]
