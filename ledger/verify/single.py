"""One event: its header, leaf and payload, and that a signed tree head stands over it."""

from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass, field
from hashlib import sha256
from pathlib import Path
from typing import Any

from ledger import merkle
from ledger.signing.note import MalformedNote, Note, TreeHead
from ledger.sqlite.connection import Connection, connect_read_only, snapshot, speaking
from ledger.sqlite.schema import check_identity
from ledger.verify.bytes import root_of
from ledger.verify.event import Finding, as_far_as_readable, short
from ledger.verify.heads import Kept, signed
from ledger.verify.identity import Identity, identity_of
from ledger.verify.ranges import Outcome, Range, lenient, read_range
from ledger.verify.tree import WIDTH

_HEIGHT = 8
_SIZE = 32


@dataclass(slots=True)
class Single:
    """What was found of one event; `head` is the newest head that stands over it, if one does."""

    position: int
    type: str = ""
    stream: str = ""
    recorded_at: str = ""
    shown: bool = False  # its payload was there to be checked
    head: Kept | None = None
    proof: list[bytes] = field(default_factory=list)
    findings: list[Finding] = field(default_factory=list)


def verify_position(path: Path, position: int) -> Single | None:
    """Verify one event; None where there is none. Raises LedgerError."""
    with speaking(path), closing(connect_read_only(path)) as connection, snapshot(connection):
        check_identity(connection, path)
        connection.text_factory = lenient
        row = connection.execute(
            "SELECT type, stream, recorded_at, header, version, (SELECT origin FROM ledger)"
            " FROM event WHERE position = ?",
            (position,),
        ).fetchone()
        if row is None:
            return None
        single = Single(position, *row[:3])
        identity = identity_of(connection, str(row[5]))
        single.findings += identity.findings
        for check in (
            _event(connection, single, identity),
            _version(connection, single, row[4]),
            _included(connection, single, identity, row[3]),
        ):
            single.findings += as_far_as_readable(check)
    return single


def _event(connection: Connection, single: Single, identity: Identity) -> Iterator[Finding]:
    """Read the event as a range of its own, in the snapshot that is open."""
    outcome, origins = Outcome(), tuple(identity.origins)
    read_range(connection, Range(single.position, single.position, origins), outcome)
    single.shown = outcome.payloads == 1
    yield from outcome.findings


def _version(connection: Connection, single: Single, version: Any) -> Iterator[Finding]:
    before = connection.execute(
        "SELECT coalesce(max(version), 0) FROM event WHERE stream = ? AND +position < ?",
        (single.stream, single.position),
    ).fetchone()[0]
    if version != before + 1:
        yield Finding(single.position, "version in its stream", str(before + 1), short(version))


def _included(
    connection: Connection, single: Single, identity: Identity, header: bytes
) -> Iterator[Finding]:
    row = connection.execute(
        "SELECT number, size, signed_at, note FROM tree_head WHERE size >= ?"
        " ORDER BY number DESC LIMIT 1",
        (single.position,),
    ).fetchone()
    if row is None:
        return
    single.head = Kept(*row)
    what = f"tree head {single.head.number}"
    try:
        note = Note.parse(single.head.note)
        head = TreeHead.of(note)
    except (MalformedNote, TypeError, AttributeError) as error:
        yield Finding(None, what, "a signed note", short(error))
        return
    key = identity.key_at(head.size)
    if key is None or not signed(note, key):
        yield Finding(None, f"signature of {what}", f"one of {key}", "none of it")
    if head.origin != identity.origin_at(head.size):
        expected = identity.origin_at(head.size)
        yield Finding(None, f"origin of {what}", expected, short(head.origin))
    leaf, index = sha256(b"\x00" + header).digest(), single.position - 1
    single.proof = merkle.inclusion_proof(index, head.size, _Nodes(connection).node)
    if not merkle.verify_inclusion(leaf, index, head.size, single.proof, head.root):
        expected = f"included in {what}, of {head.size:,} events"
        found = "not: it, another event, or a tile of the tree was changed"
        yield Finding(single.position, "leaf", expected, found)


class _Nodes:
    """The nodes of the tree: from the tiles, and where those are missing from the leaves."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def node(self, height: int, number: int) -> bytes:
        """Return the hash of a full subtree; see merkle.Node."""
        tile = self._tile(height, number)
        if not tile and height <= _HEIGHT:
            leaves = self._leaves(height, number)
            return root_of(leaves) if leaves else b""
        return tile or self._joined(height, number)

    def _leaves(self, height: int, number: int) -> list[bytes]:
        first = (number << height) + 1
        rows = self._connection.execute(
            "SELECT leaf_hash FROM event WHERE position BETWEEN ? AND ? ORDER BY position",
            (first, first + (1 << height) - 1),
        )
        return [leaf for (leaf,) in rows]

    def _tile(self, height: int, number: int) -> bytes:
        level, rest = divmod(height, _HEIGHT)
        row = (
            None
            if rest or not level
            else self._connection.execute(
                "SELECT substr(hashes, ?, ?) FROM tile WHERE level = ? AND number = ?",
                (number % WIDTH * _SIZE + 1, _SIZE, level, number // WIDTH),
            ).fetchone()
        )
        return row[0] if row and isinstance(row[0], bytes) and len(row[0]) == _SIZE else b""

    def _joined(self, height: int, number: int) -> bytes:
        left, right = (self.node(height - 1, 2 * number + side) for side in (0, 1))
        return sha256(b"\x01" + left + right).digest()
