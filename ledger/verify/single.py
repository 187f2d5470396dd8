"""One event: its header, leaf and payload, and that a signed tree head stands over it."""

from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path

from ledger import merkle
from ledger.contract import StoredEvent, StoredHead, StoredRows
from ledger.findings import Finding, Kind, short
from ledger.signing.identity import Identity, identity_of
from ledger.signing.tiles import WIDTH, node_of
from ledger.verify.heads import parse
from ledger.verify.ranges import Outcome, Range
from ledger.verify.workers import open_rows


@dataclass(slots=True)
class EventResult:
    """What was found of one event; `head` is the newest head that stands over it, if one does."""

    event: StoredEvent
    shown: bool  # its payload was there to be checked
    head: StoredHead | None = None
    proof: list[bytes] = field(default_factory=list)
    findings: list[Finding] = field(default_factory=list)


def verify_position(path: Path, position: int) -> EventResult | None:
    """Verify one event; None where there is none. Raises LedgerError."""
    with closing(open_rows(path)) as rows, rows.snapshot():
        rows.check_identity()
        event = next(rows.events(position, position), None)
        if event is None:
            return None
        identity = identity_of(rows.own_stream(), rows.origin())
        outcome = Outcome()
        Range(position, position, tuple(identity.origins)).check(rows, outcome)
        result = EventResult(event, outcome.payloads == 1)
        result.findings += [*identity.findings, *outcome.findings]
        for check in (_check_version(rows, event), _check_inclusion(rows, event, identity, result)):
            result.findings += readable(check)
    return result


def readable(findings: Iterator[Finding]) -> Iterator[Finding]:
    """Yield findings; a damaged column of another type, which stops a check, is one too."""
    try:
        yield from findings
    except (TypeError, ValueError, AttributeError) as error:
        found = f"{type(error).__name__}: {short(error)}"
        yield Finding(Kind.STORE, None, "row", "readable", found)


def _check_version(rows: StoredRows, event: StoredEvent) -> Iterator[Finding]:
    before = rows.stream_versions(event.stream.encode(), event.position - 1)
    expected = max((version for _, version in before), default=0) + 1
    if event.version != expected:
        what, found = "version in its stream", short(event.version)
        yield Finding(Kind.EVENT, event.position, what, str(expected), found)


def _check_inclusion(
    rows: StoredRows, event: StoredEvent, identity: Identity, result: EventResult
) -> Iterator[Finding]:
    result.head = rows.newest_head_over(event.position)
    if result.head is None:
        return
    parsed, what = parse(result.head), f"tree head {result.head.number}"
    if isinstance(parsed, Finding):
        yield parsed
        return
    note, head = parsed
    key, origin = identity.key_at(head.size), identity.origin_at(head.size)
    if key is None or not note.signed_by(key):
        yield Finding(Kind.HEAD, None, f"signature of {what}", f"one of {key}", "none of it")
    if head.origin != origin:
        yield Finding(Kind.HEAD, None, f"origin of {what}", origin, short(head.origin))
    leaf, index = merkle.leaf_hash(event.header), event.position - 1
    result.proof = merkle.inclusion_proof(index, head.size, _nodes(rows))
    if not merkle.verify_inclusion(leaf, index, head.size, result.proof, head.root):
        expected = f"included in {what}, of {head.size:,} events"
        found = "not: it, another event, or a tile of the tree was changed"
        yield Finding(Kind.ROOT, event.position, "leaf", expected, found)


def _nodes(rows: StoredRows) -> merkle.Node:
    """Return the nodes of the tree: from the tiles, or from the leaves where tiles are missing."""

    def hashes(level: int, first: int, count: int) -> list[bytes]:
        if level == 0:
            return [leaf for _, leaf in rows.leaves(first + 1, first + count)]
        number, start = divmod(first, WIDTH)
        kept = merkle.split(rows.tile(level, number))[start : start + count]
        if len(kept) == count and len(kept[-1]) == merkle.HASH_SIZE:
            return kept
        below = (hashes(level - 1, n * WIDTH, WIDTH) for n in range(first, first + count))
        return [merkle.tree_hash(each) for each in below]

    return node_of(hashes)
