"""The events in pieces: ranges of positions, each checked by itself, and the versions of streams.

A range holds one event at a time, and 32 bytes of each for its part of the tree: memory does not
grow with the ledger.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

from ledger import merkle
from ledger.contract import StoredRows
from ledger.events import ERASED
from ledger.findings import Finding, Kind, short
from ledger.signing.identity import OriginSpan, in_force
from ledger.signing.tiles import HEIGHT
from ledger.verify.event import EventCheck

SPAN = 1 << 14  # events of a range: each but the last is a full part of the tree
LOWEST = -(2**63)  # the lowest position that a table can hold at all
MAX_FINDINGS = 100


@dataclass(slots=True)
class Outcome:
    """What was found in a piece: of the tree, the nodes above each 256 leaves.

    `read` is the last position read, `roots` are those of the leaves up to each size that was asked
    for. `whole` is False where a page could not be read.
    """

    read: int = 0
    events: int = 0
    payloads: int = 0
    erased: int = 0
    erasures: int = 0
    findings: list[Finding] = field(default_factory=list)
    tiles: list[bytes] = field(default_factory=list)
    roots: dict[int, bytes] = field(default_factory=dict)
    whole: bool = True

    def hash(self, leaves: list[bytes], start: int, sizes: Sequence[int]) -> None:
        """Hash the leaves from a position on, up to the sizes of the tree at which it is asked."""
        levels = merkle.levels(leaves)
        self.tiles = levels[HEIGHT] if len(levels) > HEIGHT else []
        for size in sizes:
            if size - start < len(leaves):
                self.roots[size] = merkle.root(size - start + 1, lambda h, n: levels[h][n])


@dataclass(frozen=True, slots=True)
class Range:
    """Positions to read, the origins in force, and the tree sizes whose root is wanted."""

    first: int
    last: int
    origins: tuple[OriginSpan, ...]
    sizes: tuple[int, ...] = ()

    def check(self, rows: StoredRows, outcome: Outcome) -> None:
        """Check each event, and that no payload is without one."""
        start, starting, leaves = max(self.first, 1), dict(self.origins), list[bytes]()
        outcome.read, time = rows.event_before(self.first)  # so that no gap is between ranges
        check = EventCheck(rows, in_force(self.origins, start) or "", outcome.read, time)
        for row in rows.events(self.first, self.last):
            check.origin = starting.get(row.position, check.origin)
            leaf, findings = check.check(row)
            if findings and len(outcome.findings) < MAX_FINDINGS:
                outcome.findings += findings
            leaves.append(leaf)
            outcome.read = row.position
            outcome.events += 1
            outcome.payloads += row.body is not None
            outcome.erased += row.body is None and row.payload_position is not None
            outcome.erasures += row.type == ERASED
        outcome.findings += check_strays(rows, self.first, self.last)
        outcome.hash(leaves, start, self.sizes)


@dataclass(frozen=True, slots=True)
class Leaves:
    """Positions of which only the leaf hashes are read: the rest was verified before."""

    first: int
    last: int
    sizes: tuple[int, ...] = ()

    def check(self, rows: StoredRows, outcome: Outcome) -> None:
        """Read the leaves; the tree over them shows whether they are what they were."""
        found = rows.leaves(self.first, self.last)
        outcome.events = len(found)
        outcome.read = found[-1][0] if found else 0
        outcome.hash([leaf for _, leaf in found], self.first, self.sizes)


@dataclass(frozen=True, slots=True)
class Versions:
    """The versions of all streams up to an end: 1, 2, 3 in order of position.

    The index has them stream by stream, so that nothing needs to be remembered; that it agrees
    with the table is for SQLite's integrity check to say.
    """

    end: int

    def check(self, rows: StoredRows, outcome: Outcome) -> None:
        for stream in _uneven(rows, self.end):
            outcome.findings += check_stream(rows, stream, self.end)
            if len(outcome.findings) >= MAX_FINDINGS:
                return


@dataclass(frozen=True, slots=True)
class Integrity:
    """SQLite's own check of its pages, indexes and constraints."""

    def check(self, rows: StoredRows, outcome: Outcome) -> None:
        outcome.findings += rows.check_integrity()


def check_strays(rows: StoredRows, first: int, last: int) -> list[Finding]:
    """Find payloads without an event."""
    return [
        Finding(Kind.EVENT, position, "payload", "an event it belongs to", "none")
        for position in rows.stray_payloads(first, last)
    ]


def _uneven(rows: StoredRows, end: int) -> Iterator[bytes]:
    """Yield streams whose versions are not as they must be; one may come several times."""
    last, before, where = b"", 0, 0
    for stream, version, position in rows.versions(end):
        if stream != last:
            before, where = 0, LOWEST
        if version != before + 1 or position < where:
            yield stream
        last, before, where = stream, version, position


def check_stream(rows: StoredRows, stream: bytes, end: int) -> Iterator[Finding]:
    """Find the versions of a stream that do not follow the one before."""
    before = 0
    for position, version in rows.stream_versions(stream, end):
        if version != before + 1 or type(version) is not int:
            what, expected = "version in its stream", short(before + 1)
            yield Finding(Kind.EVENT, position, what, expected, short(version))
        before = version
