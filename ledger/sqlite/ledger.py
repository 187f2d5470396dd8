"""SQLiteLedger: one file is one ledger."""

import os
from bisect import bisect_left, bisect_right
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from ledger import clock, codec
from ledger.contract import Append, LedgerUnavailable, Projector, StreamErased, WrongExpectedVersion
from ledger.events import REVISIONS, Metadata, Recorded
from ledger.merkle import leaf_hash
from ledger.sqlite import schema
from ledger.sqlite.connection import Connection, connect, connect_read_only, driver
from ledger.sqlite.database import DatabaseFile
from ledger.sqlite.place import Place

CHUNK = 1000

Decide = Callable[[Connection], Sequence[Append]]
Check = Callable[[Connection], None]


def unchecked(connection: Connection) -> None:
    """Allow every change."""


class SQLiteLedger(DatabaseFile):
    """A ledger in one SQLite file."""

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
        super().__init__(path, self._prepared, patience, Place(path))
        self._connect = connect_read_only if read_only else connect
        self.projectors = tuple(projectors)
        self._reached = 0  # the last position that this process recorded
        schema.look_at(path, schema.check_identity)
        with self.reading() as connection:
            row = connection.execute("SELECT origin FROM ledger").fetchone()
            first = connection.execute("SELECT header FROM event WHERE position = 1").fetchone()
        if row is None or first is None:
            raise LedgerUnavailable(f"{path} holds no ledger: it was never finished, or is damaged")
        self.origin: str = row[0]
        self.tenant: str = codec.decode(first[0], None).subject

    def _prepared(self) -> Connection:
        connection = self._connect(self.path)
        for projector in self.projectors:
            prepare = getattr(projector, "prepare", None)
            if prepare:
                prepare(connection)
        return connection

    def append(
        self, appends: Sequence[Append], metadata: Metadata, check: Check = unchecked
    ) -> list[Recorded]:
        """Record events of one or several streams in one transaction; see store.Ledger.

        `check` looks at the ledger under the write lock; if it raises, nothing is recorded.
        """
        drafts = [Draft(append, metadata) for append in appends]
        with self.writing() as connection:
            check(connection)
            recorded = self._record(connection, drafts, self.origin)
        self._reached = max(self._reached, recorded[-1].position if recorded else 0)
        return recorded

    def try_writing(self) -> None:
        """Write a page that changes nothing; raises what `append` would raise.

        A transaction without a change would never touch the log, and so prove nothing.
        """
        with self.writing() as connection:
            self._must_have_kept(last_position(connection))
            version = connection.execute("PRAGMA user_version").fetchone()[0]
            connection.execute(f"PRAGMA user_version={version}")

    def _must_have_kept(self, end: int) -> None:
        """Refuse to continue from a position before the last that this process recorded."""
        if end < self._reached:
            raise LedgerUnavailable(
                f"{self.path} ends at position {end:,}, but {self._reached:,} was recorded: an"
                " older copy was written over it. Put the newer one back",
                reason="behind what was recorded",
            )

    @contextmanager
    def deciding(
        self, decide: Decide, metadata: Metadata
    ) -> Iterator[tuple[Connection, list[Recorded]]]:
        """Record what is decided under the write lock, and give the transaction to go on with.

        For what must not race and is rare: writers wait while it is decided. What is raised
        within undoes all of it.
        """
        with self.writing() as connection:
            drafts = [Draft(append, metadata) for append in decide(connection)]
            yield connection, self._record(connection, drafts, self.origin)

    def renew(self, origin: str, append: Append, metadata: Metadata) -> None:
        """Record a Restored event under a new origin, which the ledger has from then on."""
        draft = Draft(append, metadata)
        with self.writing() as connection:
            self._record(connection, [draft], origin)
            connection.execute("UPDATE ledger SET origin = ?", (origin,))
        self.origin = origin

    def _record(
        self, connection: Connection, drafts: Sequence["Draft"], origin: str
    ) -> list[Recorded]:
        recorded = _insert(connection, drafts, origin)
        if recorded:
            self._must_have_kept(recorded[0].position - 1)
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
        return self._bisected(bisect_left, at)

    def position_at(self, at: str) -> int:
        """Return the position of the last event recorded at a timestamp or before, 0 if none."""
        return self._bisected(bisect_right, at)

    def _bisected(self, bisect: Callable[..., int], at: str) -> int:
        """Return how many events are before a time: times never go back, positions have no gaps."""
        with self.reading() as connection:
            positions = range(1, last_position(connection) + 1)
            return bisect(positions, at, key=lambda position: time_of(connection, position))

    def leaf_hash(self, position: int) -> bytes | None:
        """Return the leaf of an event, None where there is none."""
        with self.reading() as connection:
            row = connection.execute(
                "SELECT leaf_hash FROM event WHERE position = ?", (position,)
            ).fetchone()
        return row[0] if row else None

    def read_chunk(self, after: int, upto: int) -> list[Recorded]:
        """Return the events after one position up to another."""
        with self.reading() as connection:
            return read_chunk(connection, after, upto)

    def read_all(self, after: int = 0, upto: int | None = None) -> Iterator[Recorded]:
        """Yield events by position, each chunk its own read; see store.Ledger."""
        end = self.last_position() if upto is None else upto
        while after < end:
            chunk = self.read_chunk(after, min(after + CHUNK, end))
            if not chunk:
                return
            yield from chunk
            after = chunk[-1].position

    def read_stream(self, stream: str) -> list[Recorded]:
        """Return a stream's events by version."""
        with self.reading() as connection:
            return list(events_where(connection, "stream = ? ORDER BY version", (stream,)))


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

    def insert(self, connection: Connection, origin: str, position: int, at: str) -> list[Recorded]:
        """Write the events behind a position, the ledger's end, recorded at a timestamp."""
        stream, expected = self._append.stream, self._append.expected_version
        version = stream_version(connection, stream)
        if version != expected:
            raise WrongExpectedVersion(stream, expected, version)
        try:
            return [
                self._insert_one(connection, origin, i, position + 1 + i, version + 1 + i, at)
                for i in range(len(self._payloads))
            ]
        except driver.IntegrityError as error:
            if "follows an Erased event" in str(error):  # the trigger's words: it looks anyway
                raise StreamErased(stream) from error
            raise

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


def _insert(connection: Connection, drafts: Sequence[Draft], origin: str) -> list[Recorded]:
    """Write events at the ledger's end, all at one time: no instant divides a transaction."""
    position, last_at = _end(connection)
    at = max(clock.timestamp(), last_at)
    recorded: list[Recorded] = []
    for draft in drafts:
        recorded += draft.insert(connection, origin, position + len(recorded), at)
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
            leaf_hash(header),
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
    ).fetchone()[0]  # of the index alone
    return version


def read_chunk(connection: Connection, after: int, upto: int) -> list[Recorded]:
    """Return the events after one position up to another."""
    where = "position > ? AND position <= ? ORDER BY position"
    return list(events_where(connection, where, (after, upto)))


def read_bodies(connection: Connection, after: int, upto: int) -> list[tuple[int, str, bytes]]:
    """Return position, stream and payload, as it lies there, of events that are not forgotten."""
    rows: list[tuple[int, str, bytes]] = connection.execute(
        "SELECT position, stream, body FROM event JOIN payload USING (position)"
        " WHERE position > ? AND position <= ? AND body IS NOT NULL",
        (after, upto),
    ).fetchall()
    return rows


def events_where(
    connection: Connection, where: str, parameters: Sequence[Any]
) -> Iterator[Recorded]:
    """Yield the events that satisfy a condition, read as they are asked for."""
    rows = connection.execute(
        f"SELECT header, body FROM event LEFT JOIN payload USING (position) WHERE {where}",
        parameters,
    )
    return (codec.decode(header, body) for header, body in rows)


def time_of(connection: Connection, position: int) -> str:
    """Return when the event at a position was recorded."""
    at: str = connection.execute(
        "SELECT recorded_at FROM event WHERE position = ?", (position,)
    ).fetchone()[0]
    return at
