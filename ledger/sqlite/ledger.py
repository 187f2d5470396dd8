"""SQLiteLedger: one file is one ledger."""

import os
import threading
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import closing
from pathlib import Path
from typing import NamedTuple

from ledger import clock, codec
from ledger.contract import (
    UNWRITABLE,
    Append,
    Appended,
    Check,
    Decide,
    LedgerBusy,
    LedgerError,
    LedgerUnavailable,
    Projector,
    StoredHead,
    StreamErased,
    WrongExpectedVersion,
    unchecked,
)
from ledger.events import ERASABLE, ERASED, REVISIONS, Event, Metadata, Payload, Recorded
from ledger.merkle import leaf_hash
from ledger.sqlite import schema
from ledger.sqlite.connection import (
    Connection,
    connect,
    connect_read_only,
    driver,
    json_list,
    translate_errors,
)
from ledger.sqlite.database import MOMENT, Place
from ledger.sqlite.reads import (
    AT_POSITIONS,
    LedgerReads,
    end,
    newest_head,
    tile,
    version_of,
)

BEHIND = "behind what was recorded"
RETRIAL = 1.0  # seconds between two writes on trial


class SQLiteLedger(LedgerReads):
    """A ledger in one SQLite file; see contract.Ledger for what each method promises."""

    def __init__(
        self,
        path: Path,
        projectors: Sequence[Projector] = (),
        *,
        timeout: float = 10.0,
        read_only: bool = False,
    ) -> None:
        """Open the ledger at `path`; `timeout` is the longest wait for the write lock, in seconds.

        `read_only` leaves the file as it is, to the byte. Raises LedgerMissing or
        LedgerUnavailable.
        """
        super().__init__(path, self._prepared, timeout, Place(path))
        self._connect = connect_read_only if read_only else connect
        self.projectors = tuple(projectors)
        self._reached = 0  # the last position that this process recorded
        self._reaching = threading.Lock()
        self._trial = threading.Lock()
        self._tried: tuple[float, str | None] = -RETRIAL, None  # a write, when and with what result
        self.is_busy = False  # whether that write found no turn
        self._glanced: object = None  # the stamp of the files when a glance found nothing wrong
        schema.look_at(path)
        try:
            self.origin, self.tenant = self._who()
        except BaseException:
            self.close()  # what stays open keeps others from replacing the file
            raise

    def _who(self) -> tuple[str, str]:
        """Return the ledger's origin and id."""
        with self.reading() as connection:
            row = connection.execute("SELECT origin FROM ledger").fetchone()
            first = connection.execute("SELECT header FROM event WHERE position = 1").fetchone()
        if row is None or first is None:
            says = f"{self.path} holds no ledger: it was never finished, or is damaged"
            raise LedgerUnavailable(says)
        return row[0], codec.decode(first[0], None).subject

    def _prepared(self) -> Connection:
        connection = self._connect(self.path)
        for projector in self.projectors:
            if prepare := getattr(projector, "prepare", None):
                prepare(connection)
        return connection

    # Appending

    def append(
        self,
        appends: Sequence[Append],
        metadata: Metadata,
        check: Check = unchecked,
        decide: Decide | None = None,
    ) -> Appended:
        ready = _drafts_of(appends, metadata)  # before the lock is taken

        def record(connection: Connection) -> Appended:
            check(connection)
            drafts = ready
            if decide and not (appends and _are_expected(connection, appends)):
                drafts = _drafts_of(decide(connection), metadata)
            return self._record(connection, drafts, metadata)

        return self._reach(self.together(record))

    def append_decided(self, decide: Decide, metadata: Metadata) -> list[Recorded]:
        with self.writing() as connection:
            recorded = self._record(connection, _drafts_of(decide(connection), metadata), metadata)
        return self._reach(recorded)

    def rename(self, origin: str, append: Append, metadata: Metadata) -> None:
        with self.writing() as connection:
            drafts = _drafts_of([append], metadata)
            recorded = self._record(connection, drafts, metadata, origin)
            connection.execute("UPDATE ledger SET origin = ?", (origin,))
        self._reach(recorded)
        self.origin = origin

    def _record(
        self,
        connection: Connection,
        drafts: Sequence["Draft"],
        metadata: Metadata,
        origin: str = "",
    ) -> Appended:
        """Append events in the open transaction, in which others may have been appended before."""
        last = end(connection)
        self._must_have_kept(last[0])
        return append_events(
            connection, origin or self.origin, last, drafts, metadata, self.projectors
        )

    def _reach(self, recorded: Appended) -> Appended:
        """Note what was committed, and return it."""
        if recorded:
            with self._reaching:
                self._reached = max(self._reached, recorded[-1].position)
        return recorded

    def _must_have_kept(self, position: int) -> None:
        """Refuse to continue from a position before the last that this process recorded."""
        if position < self._reached:
            raise LedgerUnavailable(
                f"{self.path} ends at position {position:,}, but {self._reached:,} was recorded: an"
                " older copy was written over it. Put the newer one back",
                reason=BEHIND,
            )

    def _state(self, connection: Connection) -> tuple[int, bytes] | None:
        last: tuple[int, bytes] | None = connection.execute(
            "SELECT position, leaf_hash FROM event ORDER BY position DESC LIMIT 1"
        ).fetchone()
        return last

    def _check_state(self, connection: Connection, left: tuple[int, bytes]) -> None:
        position, leaf = left
        query = "SELECT leaf_hash FROM event WHERE position = ?"
        if connection.execute(query, (position,)).fetchone() != (leaf,):
            raise LedgerUnavailable(
                f"{self.path} does not have the event that this process saw at position"
                f" {position:,}: another file was written over it. Put the right one back",
                reason=BEHIND,
            )

    @property
    def is_suspect(self) -> bool:
        return self.refusal is not None or self.damage is not None

    @property
    def reached(self) -> int:
        return self._reached

    def fault(self) -> str | None:
        try:
            self.check_place()
            self.last_position()
        except LedgerError as trouble:
            return trouble.reason
        if not os.access(self.path, os.W_OK):
            return UNWRITABLE
        return self._write_fault() or self.inspection.fault()

    def glance(self) -> str | None:
        try:
            self.check_place()
            stamp = self.stamp()
            if stamp is None or stamp != self._glanced:
                self._read_again()
                self._glanced = stamp
        except LedgerBusy:
            return None
        except LedgerError as trouble:
            return trouble.reason
        return None if os.access(self.path, os.R_OK | os.W_OK) else UNWRITABLE

    def _read_again(self) -> None:
        """Read the end of the file itself, not what a connection remembers of its pages."""
        if self.is_read_here:
            with translate_errors(self.path), closing(connect_read_only(self.path)) as connection:
                self._must_have_kept(end(connection)[0])
        else:
            self.last_position()
            self.leave()

    def _write_fault(self) -> str | None:
        """Return why nothing can be written: tried, at most once a second.

        It is tried again at once after a write of a request had another result. A transaction
        without a change would never touch the log, and so prove nothing. Where no turn comes in a
        moment, what was known still holds.
        """
        with self._trial:
            at, found = self._tried
            if time.monotonic() < at + RETRIAL and found == self.refusal:
                return found
            self.is_busy = False
            try:
                with self.writing(MOMENT) as connection:
                    self._must_have_kept(end(connection)[0])
                    version = connection.execute("PRAGMA user_version").fetchone()[0]
                    connection.execute(f"PRAGMA user_version={version}")
                found = None
            except LedgerBusy:
                found, self.is_busy = self.refusal, True
            except LedgerError as trouble:
                found = trouble.reason
            self._tried = time.monotonic(), found
            return found

    def settle(self) -> None:
        with self.writing(MOMENT):
            pass

    # The tree and its heads

    def put_tiles(self, tiles: Mapping[tuple[int, int], bytes]) -> None:
        with self.writing() as connection:
            if not schema.has_tiles(connection):
                schema.make_tiles(connection)
            for place, hashes in tiles.items():
                if not tile(connection, *place).startswith(hashes):
                    connection.execute("REPLACE INTO tile VALUES (?, ?, ?)", (*place, hashes))

    def drop_tiles(self) -> None:
        with self.writing() as connection:
            schema.make_tiles(connection)

    def add_head(self, size: int, note: str, *, again: bool = False) -> StoredHead:
        with self.writing() as connection:
            last = newest_head(connection)
            if last and (last.size > size or (last.note == note and not again)):
                return last  # another process was quicker
            at = clock.timestamp()
            if last:
                at = max(at, last.signed_at)  # the clock went back
            head = StoredHead(last.number + 1 if last else 1, size, at, note)
            connection.execute("INSERT INTO tree_head VALUES (?, ?, ?, ?)", head)
        return head

    # Erasures

    def finish_erasures(self, positions: Iterable[int]) -> None:
        with self.writing() as connection:
            connection.execute(f"DELETE FROM purge WHERE {AT_POSITIONS}", (json_list(positions),))


class DraftedEvent(NamedTuple):
    """An event to be recorded, with all that can be computed before the lock is taken."""

    type: str
    payload: Payload
    body: bytes
    salt: bytes
    commitment: str


class Draft(NamedTuple):
    """An append, and its events as far as they can be computed before the lock is taken."""

    append: Append
    events: list[DraftedEvent]


def initialise(
    path: Path, origin: str, opened: Append, metadata: Metadata, sign: Callable[[bytes], str]
) -> str:
    """Make an empty file a ledger with its first event; return the tree head over it.

    `sign` makes that head of the event's leaf: no ledger is ever without one.
    """
    with translate_errors(path), closing(connect(path)) as connection:  # closing removes the log
        schema.migrate(connection)
        connection.execute("BEGIN IMMEDIATE")
        drafts = _drafts_of([opened], metadata)
        [first] = append_events(connection, origin, (0, ""), drafts, metadata)
        connection.execute(
            "INSERT INTO ledger VALUES (1, ?, ?, ?)", (origin, first.at, codec.FORMAT)
        )
        head = sign(*connection.execute("SELECT leaf_hash FROM event").fetchone())
        connection.execute("INSERT INTO tree_head VALUES (1, 1, ?, ?)", (first.at, head))
        connection.execute("COMMIT")
    return head


def _drafts_of(appends: Sequence[Append], metadata: Metadata) -> list[Draft]:
    return [draft_of(append, metadata) for append in appends]


def draft_of(append: Append, metadata: Metadata) -> Draft:
    """Compute the payloads, salts and commitments of an append; raises ValueError."""
    if not append.stream.startswith(ERASABLE) and any(e.type == ERASED for e in append.events):
        raise ValueError(f"only the stream of a user is erased, not {append.stream}")
    return Draft(append, [_drafted(event, metadata) for event in append.events])


def _drafted(event: Event, metadata: Metadata) -> DraftedEvent:
    payload, salt = codec.payload_of(event, metadata), os.urandom(codec.SALT_SIZE)
    commitment = codec.commitment(payload, salt).hex()
    return DraftedEvent(event.type, payload, codec.canonical(payload), salt, commitment)


def append_events(
    connection: Connection,
    origin: str,
    last: tuple[int, str],
    drafts: Sequence[Draft],
    metadata: Metadata,
    projectors: Sequence[Projector] = (),
) -> Appended:
    """Append events in the open transaction; raises WrongExpectedVersion, StreamErased.

    `last` is the position and the time of the newest event. All events bear one time, so that no
    instant divides a transaction.
    """
    position, at = last[0], max(clock.timestamp(), last[1])
    recorded = Appended()
    for append, events in drafts:
        version = append.expected_version
        if not events:
            _must_be_of_version(connection, append.stream, version)
        for drafted in events:
            position, version = position + 1, version + 1
            new = Recorded(
                position=position,
                id=clock.uuid7(),
                stream=append.stream,
                version=version,
                type=drafted.type,
                revision=REVISIONS[drafted.type],
                at=at,
                txn=metadata.txn,
                actor=metadata.actor,
                via=metadata.via,
                payload=drafted.payload,
            )
            size = len(drafted.payload)
            header = codec.header_bytes(origin, new, size, drafted.commitment)
            _insert(connection, new, header, drafted)
            recorded.append(new)
    known = {draft.append.stream: draft.append.before for draft in reversed(drafts)}
    for new in recorded:
        for projector in projectors:
            before = recorded.rows.get(new.stream, known[new.stream])
            if (row := projector.project(connection, new, before)) is not None:
                recorded.rows[new.stream] = row
        if new.type == ERASED:
            _forget(connection, new)
    return recorded


def _insert(connection: Connection, new: Recorded, header: bytes, drafted: DraftedEvent) -> None:
    columns = (new.position, new.id, new.stream, new.version, new.type, new.revision, new.at)
    row = (*columns, new.txn, new.actor, header, leaf_hash(header))
    try:
        connection.execute("INSERT INTO event VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)", row)
    except driver.IntegrityError as error:  # a trigger's, which looked: why is asked only now
        _must_be_of_version(connection, new.stream, new.version - 1)
        erased = "SELECT 1 FROM event WHERE stream = ? AND type = ?"
        if connection.execute(erased, (new.stream, ERASED)).fetchone():
            raise StreamErased(new.stream) from error
        raise
    payload = new.position, drafted.salt, drafted.body
    connection.execute("INSERT INTO payload VALUES (?, ?, ?, NULL)", payload)


def _are_expected(connection: Connection, appends: Sequence[Append]) -> bool:
    """Return whether every stream has the version that the first append to it expects."""
    expected = {append.stream: append.expected_version for append in reversed(appends)}
    return all(version_of(connection, stream) == v for stream, v in expected.items())


def _must_be_of_version(connection: Connection, stream: str, expected: int) -> None:
    version = version_of(connection, stream)
    if version != expected:
        raise WrongExpectedVersion(stream, expected, version)


def _forget(connection: Connection, erased: Recorded) -> None:
    """Remove the payloads before an Erased event, and note that the files have to be rewritten."""
    connection.execute(
        "UPDATE payload SET body = NULL, salt = NULL, erased_by = ? WHERE position IN"
        " (SELECT position FROM event WHERE stream = ? AND version < ?)",
        (erased.position, erased.stream, erased.version),
    )
    connection.execute("INSERT INTO purge VALUES (?)", (erased.position,))
