"""One event: its header, leaf and payload, and that a signed tree head stands over it."""

from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path

from ledger import merkle
from ledger.contract import StoredEvent, StoredHead, StoredRows
from ledger.findings import Finding, Kind, short
from ledger.signing.identity import Identity, identity_of
from ledger.signing.note import TreeHead
from ledger.signing.tree import Edge, EventsChanged, Place, Proved, hashed, kept_edge
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
        expected = f"one of {key}" if key else "one of the ledger's key"
        yield Finding(Kind.HEAD, None, f"signature of {what}", expected, "none of it")
    if head.origin != origin:
        yield Finding(Kind.HEAD, None, f"origin of {what}", origin, short(head.origin))
    if not event.position <= head.size <= (end := rows.bounds().end):
        expected, found = f"{event.position:,} to {end:,}", f"{head.size:,}"
        yield Finding(Kind.HEAD, None, f"size of {what}", expected, found)
        return
    yield from _check_path(rows, event, head, what, result)


def _check_path(
    rows: StoredRows, event: StoredEvent, head: TreeHead, what: str, result: EventResult
) -> Iterator[Finding]:
    """Prove the event under a head: by the tiles if they are right, if not by all events."""
    edge, made = kept_edge(rows, head.size), dict[Place, bytes]()
    if not (edge and edge.root == head.root):
        edge = Edge()
        made = hashed(rows, 1, head.size, edge)
        made |= edge.begun()
    first, last, proved = 1, head.size, edge.root == head.root
    tree = Proved(rows, edge, made)
    try:
        proved = proved and tree.leaf(event.position) == merkle.leaf_hash(event.header)
        result.proof = tree.inclusion(event.position, head.size) if proved else []
    except EventsChanged as error:
        first, last, proved = error.first, error.last, False
    if not proved:
        expected = f"included in {what}, of {head.size:,} events"
        found = f"not: it or another of the events {first} to {last} is none that was signed"
        yield Finding(Kind.ROOT, event.position, "leaf", expected, found)
        return
    for (level, number), hashes in made.items():
        kept = rows.tile(level, number)
        if not (kept.startswith(hashes) or hashes.startswith(kept)):
            expected = "the hashes of the events under it"
            yield Finding(Kind.TILES, None, f"tile {level}/{number}", expected, "others")
