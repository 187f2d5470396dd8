"""What every store of a ledger promises. The words MUST and MAY are those of RFC 2119."""

from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple, Protocol

from ledger.events import Change, Event, Metadata, Recorded
from ledger.findings import Finding

NO_STREAM = 0
# Reasons for which a ledger cannot be used.
BUSY = "busy"
UNUSABLE = "unreadable file"  # where there is no better one
UNREADABLE, UNWRITABLE = "file not readable", "file not writable"
OUT_OF_REACH = (UNREADABLE, UNWRITABLE)  # these say nothing about what is in the ledger


class LedgerError(Exception):
    """An error whose message is a sentence for the operator; `reason` can be shown to anyone."""

    reason = BUSY


class WrongExpectedVersion(LedgerError):
    """Another writer appended to the stream since it was read."""

    def __init__(self, stream: str, expected: int, actual: int) -> None:
        super().__init__(f"stream {stream}: expected version {expected}, found {actual}")


class StreamErased(LedgerError):
    """The stream ends with an Erased event: nothing can be appended to it."""

    def __init__(self, stream: str) -> None:
        super().__init__(f"stream {stream} was erased; nothing can be recorded in it any more")


class LedgerBusy(LedgerError):
    """The write lock was not free within the time allowed; nothing was written."""


class LedgerUnavailable(LedgerError):
    """The ledger cannot be read or written: full disk, damage, permissions, a foreign file.

    The message names the file.
    """

    def __init__(self, message: str, *, reason: str = "unreadable") -> None:
        super().__init__(message)
        self.reason = reason


class RewriteFailed(LedgerError):
    """The store cannot be rewritten; bytes of what was forgotten may still be in its files."""


class LogStuck(LedgerError):
    """The log of a ledger grows and cannot be written back."""


class NoScratchSpace(LedgerError):
    """A database that is needed for a while cannot be made, or has no room."""


class NotMigrated(LedgerUnavailable):
    """An earlier version of the program made the tables, or built the projections."""

    def __init__(self, path: Path) -> None:
        super().__init__(
            f"{path} is of an earlier version; run `scim-ledger migrate`", reason="not migrated"
        )


class LedgerNewer(LedgerUnavailable):
    """A later version of the program wrote the ledger, or its settings."""


class SideFileUnavailable(LedgerUnavailable):
    """A side file cannot be read or written; the ledger itself may be sound.

    `file` is what it is to the operator: the history, the request log.
    """

    def __init__(self, message: str, *, reason: str = "unreadable", file: str = "") -> None:
        super().__init__(message, reason=reason)
        self.file = file


class LedgerMissing(LedgerUnavailable):
    """There is no ledger at a path."""

    def __init__(self, message: str, path: Path, *, reason: str = "no ledger") -> None:
        super().__init__(message, reason=reason)
        self.path = path


class LedgerMisnamed(LedgerError):
    """A text cannot be the name of a ledger."""


@dataclass(frozen=True, slots=True)
class Append:
    """Events for one stream, and the version the stream must have for them to be written.

    `before` is what the caller read of the stream at that version: what a projector returned after
    its last event. It spares projectors the same look; None says nothing.
    """

    stream: str
    expected_version: int
    events: Sequence[Event]
    before: Any = None


class RawEvent(NamedTuple):
    """An event as its bytes are stored; salt and body are None once it is erased."""

    position: int
    header: bytes
    leaf_hash: bytes
    salt: bytes | None
    body: bytes | None


class StoredHead(NamedTuple):
    """A signed tree head as it is stored; numbers count from 1."""

    number: int
    size: int
    signed_at: str
    note: str


class Connection(Protocol):
    """A connection to the tables of a store: all that projections get to see of it."""

    def execute(self, statement: str, parameters: Any = ..., /) -> Any:
        """Run one SQL statement and return a cursor."""

    def executemany(self, statement: str, rows: Any, /) -> Any:
        """Run one SQL statement for each row of parameters."""


Progress = Callable[[int, int], None]  # is called with how much of how much is done
Check = Callable[[Connection], None]
Decide = Callable[[Connection], Sequence[Append]]


def no_progress(done: int, total: int) -> None:
    """Show no progress."""


def unchecked(_: Connection) -> None:
    """Allow every append."""


class Projector(Protocol):
    """Follows the ledger inside the append's transaction.

    `project` gets each event in order. What it raises undoes the whole append; what it returns,
    such as the row it wrote, is handed to the caller of the append, and before that to the
    projectors as what was `before` the stream's next event.
    """

    @property
    def name(self) -> str: ...

    def project(self, connection: Connection, recorded: Recorded, before: Any) -> Any: ...


class Appended(list[Recorded]):
    """The events of an append, and `rows`: what a projector last returned for each stream."""

    def __init__(self) -> None:
        super().__init__()
        self.rows: dict[str, Any] = {}


class Ledger(Protocol):
    """An append-only sequence of events, dense from position 1; and inline projectors' tables.

    Every method MAY raise LedgerUnavailable; those that write also LedgerBusy. All methods MAY be
    called from any thread.
    """

    # Identity

    @property
    def path(self) -> Path:
        """The file that stands for the ledger: messages name it, side files lie in its folder."""

    @property
    def origin(self) -> str:
        """The name under which tree heads are signed; only `rename` changes it."""

    @property
    def tenant(self) -> str:
        """The random id that the ledger got when it was created; it MUST never change."""

    # Tables of projections

    def reading(self) -> AbstractContextManager[Connection]:
        """Give access to the tables; each statement sees the newest state."""

    def remembered(self) -> dict[Any, Any]:
        """Return what this thread noted of the tables as they are now.

        It MUST NOT hold what a commit may have changed since, unless that was of users only. Add to
        it what is read after this call, and nothing that depends on users.
        """

    def writing(self) -> AbstractContextManager[Connection]:
        """Give a transaction; it MUST commit at its end, and undo everything after an error.

        Other writers, appends too, wait meanwhile.
        """

    # Appending

    def append(
        self,
        appends: Sequence[Append],
        metadata: Metadata,
        check: Check = unchecked,
        decide: Decide | None = None,
    ) -> Appended:
        """Record events of one or several streams in one transaction.

        The events MUST be durable, and every inline projector's rows with them, when this
        returns. All events of a call MUST bear the same time, which MUST NOT be earlier than that
        of the event before. It MUST write nothing when it raises: WrongExpectedVersion,
        StreamErased, LedgerBusy, LedgerUnavailable, or what `check` or a projector raised.
        `check` is called under the write lock, before anything of this append is written.

        With `decide`, what that returns is recorded where there are no `appends`, or a stream has
        another version than they expect. It is called under the lock, after `check`; what its
        connection reads MUST be the newest state, with all appends before this one. What it raises
        is raised here.

        Appends of several threads MAY be committed together. Each MUST do what it would do alone,
        after those before it, and fail alone; only where the store fails MAY all of them fail.
        `check`, `decide` and the projectors MAY run in another thread than the caller's.

        With an Erased event the payloads of all earlier events of its stream MUST be forgotten in
        the same transaction, and the erasure MUST be among the unfinished ones. Only users are
        forgotten: with an Erased event for another stream it MUST raise ValueError.
        """

    def append_decided(self, decide: Decide, metadata: Metadata) -> list[Recorded]:
        """Record what `decide` returns, as `append` does; nobody else writes while it decides.

        What the ledger's own reads return to `decide` MUST be all that was ever committed. For
        what must not race and is rare: writers wait while it is decided.
        """

    def rename(self, origin: str, append: Append, metadata: Metadata) -> None:
        """Record a Restored event under a new origin, which the ledger has from then on."""

    def settle(self) -> None:
        """Wait for the append that is under way, if one is: its events may bear an earlier time.

        It waits for a moment only, then raises LedgerBusy.
        """

    # Reading events

    def last_position(self) -> int:
        """Return the position of the newest event."""

    def end(self) -> tuple[int, str]:
        """Return the position of the newest event and when it was recorded."""

    def time_of(self, position: int) -> str:
        """Return when the event at a position was recorded; there MUST be one."""

    def position_at(self, at: str) -> int:
        """Return the position of the last event recorded at a timestamp or before, 0 if none."""

    def position_before(self, at: str) -> int:
        """Return the position of the last event recorded before a timestamp, 0 if none was."""

    def read_all(self, after: int = 0, upto: int | None = None) -> Iterator[Recorded]:
        """Yield events by position; a slow reader MUST NOT keep the store from being cleaned up."""

    def read_chunk(self, after: int, upto: int) -> list[Recorded]:
        """Return the events after one position up to another, read at once."""

    def read_at(self, positions: Iterable[int]) -> dict[int, Recorded]:
        """Return the events at some positions, by position."""

    def read_stream(self, stream: str) -> list[Recorded]:
        """Return a stream's events by version."""

    def walk_stream(
        self,
        stream: str,
        first: int = 1,
        last: int | None = None,
        *,
        types: Collection[str] | None = None,
        without: Collection[str] = (),
        newest_first: bool = False,
    ) -> Iterator[Recorded]:
        """Yield a stream's events from one version to another, of all types or only some.

        They SHOULD be read as they are asked for: most callers stop early. The caller MUST go to
        the end or close the iterator, in one thread.
        """

    def read_category(self, category: str) -> list[Recorded]:
        """Return the events of all streams of a category (`User` of `User-<id>`) by position."""

    def read_changes(
        self, category: str, upto: int, *, after: tuple[str, int] | None = None, count: int
    ) -> list[Change]:
        """Return changes up to a position of a category's streams, by stream and version.

        The first `count`, or those that follow a version of a stream; fewer where they are large,
        but one at least. For whoever folds all of a category: each event costs a look-up.
        """

    def version(self, stream: str) -> int:
        """Return the version of a stream, NO_STREAM where there is none."""

    def version_at(self, stream: str, position: int) -> int:
        """Return the version that a stream had at a position, NO_STREAM before its first event."""

    def position_of(self, stream: str, version: int) -> int | None:
        """Return the position of the event of a stream's version, None where there is none."""

    def streams_between(
        self, after: int, upto: int, categories: Collection[str], count: int, *, start: int
    ) -> list[tuple[int, str, int]]:
        """Return the first event of each stream of some categories since a position `start`.

        As position, stream and version, by position; only those after one position up to another,
        `count` at most.
        """

    def wait_beyond(self, position: int, seconds: float) -> bool:
        """Wait for an event after a position; return whether there is one.

        It MUST hold no transaction meanwhile; many threads MAY wait at once.
        """

    def leave(self) -> None:
        """Give back what this thread holds, before it waits or goes on to other ledgers."""

    def stamp(self) -> object:
        """Return what differs after any change of the ledger, None where it cannot be found.

        It MUST cost no connection. Two changes within the resolution of its clock MAY look alike.
        """

    @property
    def reached(self) -> int:
        """The last position that this process recorded, 0 if it recorded nothing."""

    # Events as stored

    def raw_events(self, first: int, last: int) -> Iterator[RawEvent]:
        """Yield the events from one position to another, as `read_all` does.

        Raises LedgerUnavailable where one is missing.
        """

    def raw_events_at(self, positions: Sequence[int]) -> list[RawEvent]:
        """Return the events at some positions, in that order."""

    def fitting(self, positions: Sequence[int], most: int) -> int:
        """Return how many of the first events have at most so many bytes of payload; 1 or more.

        0 only where there are no positions.
        """

    def headers(self, first: int, last: int) -> list[bytes]:
        """Return the headers of the events from one position to another, read at once.

        Raises LedgerUnavailable where one is missing.
        """

    def leaf_hash(self, position: int) -> bytes | None:
        """Return the leaf of an event as it is stored, None where there is none."""

    # The tree and its signed heads

    def tile(self, level: int, number: int) -> bytes:
        """Return the hashes of a tile, none where it is not kept.

        Nobody believes them: they MAY be anything.
        """

    def put_tiles(self, tiles: Mapping[tuple[int, int], bytes]) -> None:
        """Keep the hashes of tiles, by level and number, in place of others.

        A tile that begins with these hashes MUST stay as it is: somebody else was quicker.
        """

    def drop_tiles(self) -> None:
        """Throw away all tiles."""

    def newest_head(self) -> StoredHead | None:
        """Return the newest tree head, None before the first."""

    def heads(self, after: int = 0, count: int = 1000) -> list[StoredHead]:
        """Return tree heads after a number, oldest first."""

    def add_head(self, size: int, note: str, *, again: bool = False) -> StoredHead:
        """Keep a signed head under the next number, signed now; return it.

        Sizes and times MUST NOT go back. Where the newest head is larger, or has this very note,
        that one is returned and nothing is kept, unless `again`.
        """

    # Erasures

    def unfinished_erasures(self) -> dict[int, str]:
        """Return streams whose erased payloads may still be in the store's files, by position."""

    def erased_since(self, at: str) -> dict[str, str]:
        """Return the streams that were erased after a timestamp, and when."""

    def prepare_rewrite(self, deadline: float) -> None:
        """Raise what `rewrite` would raise now, having changed nothing that a reader sees."""

    def rewrite(self, deadline: float) -> None:
        """Rewrite what the store is kept in, so that no byte of what was forgotten is left.

        Reads MUST go on; appends wait, or raise LedgerBusy. It raises LedgerBusy where a reader
        or a writer is in the way until `deadline` (monotonic seconds), RewriteFailed where there
        is too little space. It MAY be cut off at any point and called again.
        """

    def finish_erasures(self, positions: Iterable[int]) -> None:
        """Note that nothing is left of what some Erased events took."""

    # The store's health

    def check_place(self) -> None:
        """Raise LedgerUnavailable if the files are not those that were opened."""

    def check_log(self) -> None:
        """Raise LogStuck if the store's log only grows."""

    def log_size(self) -> int:
        """Return the size of the store's log, in bytes."""

    @property
    def is_suspect(self) -> bool:
        """Whether the last write of this process failed, or a part of the store proved damaged."""

    def fault(self) -> str | None:
        """Return in a few words why requests cannot be served now, None if they can.

        Reading and writing MUST have been tried, not long ago. It waits for a moment only: that
        others write is no fault, and `is_busy` says so.
        """

    @property
    def is_busy(self) -> bool:
        """Whether others wrote when `fault` last tried to write, for longer than it waited."""

    def glance(self) -> str | None:
        """Return in a few words what is visibly wrong with the files; None is no proof of health.

        It is cheap: nothing is written, and files that did not change since are not read again.
        """

    def close(self) -> None:
        """Give back everything; the ledger may be used again and opens what it needs."""


class StoredEvent(NamedTuple):
    """An event and its payload, column by column; damage can give each any value."""

    position: int
    id: str
    stream: str
    version: int
    type: str
    revision: int
    at: str
    txn: str
    actor: str
    header: bytes
    leaf_hash: bytes
    payload_position: int | None
    salt: bytes | None
    body: bytes | None
    erased_by: int | None


class Bounds(NamedTuple):
    """Where a ledger ends: its last position, the number of its last head, its size in bytes."""

    end: int
    heads: int
    size: int


class StoredRows(Protocol):
    """A ledger as it is stored, damaged or not: what a verification reads.

    It MUST NOT write. A method MAY raise LedgerBusy, and LedgerUnavailable: with a reason that is
    OUT_OF_REACH only if nothing could be read.
    """

    def close(self) -> None: ...

    def snapshot(self) -> AbstractContextManager[None]:
        """Read one state of the ledger throughout."""

    def check_identity(self) -> None:
        """Raise LedgerUnavailable unless it is a ledger of this program's version, or earlier.

        What an earlier version has no tables for is empty.
        """

    def is_migrated(self) -> bool:
        """Return whether the tables are those of this program's version."""

    def origin(self) -> str:
        """Return the origin in force."""

    def bounds(self) -> Bounds:
        """Return where the ledger ends now."""

    def own_stream(self) -> list[RawEvent]:
        """Return the events of the ledger's own stream: that of the first event."""

    def events(self, first: int, last: int) -> Iterator[StoredEvent]:
        """Yield the events from one position to another."""

    def event_before(self, position: int) -> tuple[int, str]:
        """Return position and time of the event before a position, 0 and "" before the first."""

    def type_and_stream(self, position: int) -> tuple[str, str] | None:
        """Return type and stream of an event, None where there is none."""

    def headers(self, first: int, last: int) -> list[bytes]:
        """Return the headers of the events from one position to another, those that are there."""

    def leaves(self, first: int, last: int) -> list[tuple[int, bytes]]:
        """Return position and leaf hash of the events from one position to another."""

    def stray_payloads(self, first: int, last: int) -> list[int]:
        """Return positions of payloads without an event, some of them where there are many."""

    def versions(self, end: int) -> Iterator[tuple[bytes, int, int]]:
        """Yield stream, version and position of the events up to an end, by stream and version."""

    def stream_versions(self, stream: bytes, end: int) -> list[tuple[int, int]]:
        """Return position and version of a stream's events up to an end, by position."""

    def heads(self, after: int, last: int) -> Iterator[StoredHead]:
        """Yield the tree heads after one number up to another."""

    def heads_of(self, size: int) -> list[StoredHead]:
        """Return the tree heads of a size."""

    def newest_head_over(self, position: int) -> StoredHead | None:
        """Return the newest tree head that covers an event."""

    def tile(self, level: int, number: int) -> bytes:
        """Return the hashes of a tile, none where it is not stored."""

    def tile_levels(self) -> list[tuple[int, int, int, int]]:
        """Return for each level its number, its hashes, its last tile's number, and its tiles."""

    def check_tables(self) -> Iterator[Finding]:
        """Find what is wrong with the schema or the ledger's own row."""

    def check_integrity(self) -> Iterator[Finding]:
        """Find what the store's own check of its files and constraints reports."""

    def check_markers(self, end: int) -> Iterator[Finding]:
        """Find checkpoints of projections where no event is, and erasures that never were."""

    def unfinished_erasures(self) -> list[int]:
        """Return the positions of erasures whose traces may be left in the files."""
