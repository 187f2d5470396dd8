"""Renewal: a ledger that lost events, or its key, continues under a new origin and key.

What was lost is judged by every head that is known outside the ledger's file. Everything is decided
before anything is recorded.
"""

import json
import secrets
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

from ledger.contract import LedgerError, RawEvent
from ledger.events import PROVING, RESTORED, Event, Metadata
from ledger.ledger_stream import next_append
from ledger.signing.forks import Histories
from ledger.signing.identity import Identity
from ledger.signing.key_rule import RECOVERY, Broken, Current, Stated, signature, statement, step
from ledger.signing.known_heads import HeadSources, Held, all_known
from ledger.signing.note import KnownHead, Note, SigningKey, TreeHead
from ledger.signing.rollback import contradictions
from ledger.signing.tree_heads import TreeHeads

Change = Mapping[str, Any]


class NotRenewed(LedgerError):
    """A ledger need not, or must not yet, continue under a new origin."""


@dataclass(frozen=True, slots=True)
class Comparison:
    """What heads known outside a ledger's file say about it.

    `contradicting` are the largest of each origin that cover events which it lacks or has others
    for. `agreed` is None where all its events are of the history that was signed, as far as known;
    otherwise it went on from there by itself, or later, before the `first_other` size of a head.
    `strange` are larger heads that others keep as this ledger's, by keys that it does not know.
    `failures` say who could not be asked, and what is strange.
    """

    known: Sequence[KnownHead]
    contradicting: Sequence[KnownHead] = ()
    agreed: int | None = None
    first_other: int | None = None
    failures: Sequence[str] = ()
    strange: Sequence[KnownHead] = ()

    def lost(self, end: int) -> list[KnownHead]:
        """Return the largest head of each origin that covers events which `end` events lack.

        Those by unknown keys count only here: whoever continues a ledger admits that they are lost.
        """
        more = [each for each in self.strange if each.head.size > end]
        largest = dict[str, KnownHead]()
        for each in (*self.contradicting, *more):
            so_far = largest.setdefault(each.head.origin, each)
            if each.head.size > so_far.head.size:
                largest[each.head.origin] = each
        return list(largest.values())

    def with_unknown_names(self, abandoned: Sequence[Note], now: Current) -> list[Note]:
        """Return heads to abandon, with the strange ones of origins that a ledger never had."""
        foreign = [each.note for each in self.strange if each.head.origin not in now.borne]
        return [*abandoned, *(note for note in foreign if note not in abandoned)]

    def __str__(self) -> str:
        told = [f"{each.source} (a head over {each.head.size:,} events)" for each in self.known]
        return ", ".join(dict.fromkeys(told)) or "nothing: no head is known outside its file"


def compare_in_place(heads: TreeHeads, sources: HeadSources) -> Comparison:
    """Compare a ledger with every head that is known; others are asked."""
    return compare(heads, all_known(heads, sources), sources)


def compare(heads: TreeHeads, held: Held, sources: HeadSources) -> Comparison:
    """Compare a ledger with the heads known, and with all that the folders of others hold."""
    known = held.heads
    identity, end = heads.identity(), heads.ledger.last_position()
    histories = Histories(sources, identity, heads.agrees)
    against = [*(each.known for each in contradictions(heads, known)), *histories.differing]
    largest = {e.head.origin: e for e in sorted(against, key=lambda e: e.head.size)}
    ordered = sorted(largest.values(), key=lambda each: each.head.origin != identity.origin)
    compared = [each.head for each in (*known, *histories.near_the_fork)]
    compared = [head for head in compared if head.origin == identity.origin]
    agreed = first = None
    if forked := [head.size for head in compared if head.size <= end and not heads.agrees(head)]:
        agreeing = [head.size for head in compared if heads.agrees(head)]
        first = min(forked)
        agreed = max((size for size in agreeing if size < first), default=0)
    return Comparison(known, ordered, agreed, first, held.warnings, held.strange)


@dataclass(frozen=True, slots=True)
class Renewal:
    """What Restored events will say: all of it is decided before anything is recorded.

    There is one event for each head in `abandoned`, or one that abandons none. `changes` are those
    of key and origin in the events that were lost, and `before` is what was in force after them;
    `former` is its key, where that is at hand.
    """

    before: Current
    former: SigningKey | None = None
    abandoned: Sequence[Note] = ()
    agreed: int | None = None
    changes: Sequence[Change] = ()


def decide(
    heads: TreeHeads, compared: Comparison, *, events_lost: bool, accept_changed: bool
) -> Renewal:
    """Decide how a ledger that is in place continues; raises NotRenewed."""
    found, newest = compared.contradicting, heads.ledger.newest_head()
    if not (found or events_lost or heads.trouble()):
        raise NotRenewed(
            f"nothing shows that events were lost, and the key is here. Compared with {compared}."
            " If you know that events were lost, add --events-lost"
        )
    last = [Note.parse(newest.note)] if newest else []
    if newest and newest.size > (end := heads.ledger.last_position()):
        raise NotRenewed(
            f"{heads.ledger.path} has {end:,} events and keeps a tree head of its own over"
            f" {newest.size:,}: its end was cut off, and it can sign nothing over fewer. Put a"
            " whole copy back: `scim-ledger restore BACKUP`"
        )
    if not (accept_changed or all(heads.agrees(TreeHead.of(note)) for note in last)):
        raise NotRenewed(
            "events are not lost but changed: the ledger's own newest tree head is over"
            f" {newest and newest.size:,} events, and they are others now. Put a true copy back"
            " (`scim-ledger restore BACKUP`); if there is none, see --accept-changed-events"
        )
    before, lost = current(heads.identity()), compared.lost(heads.ledger.last_position())
    abandoned = sorted((each.note for each in lost), key=lambda note: not _is_of(note, before))
    abandoned = compared.with_unknown_names(abandoned or last, before)
    return Renewal(before, heads.keys.search(before.key), abandoned, compared.agreed)


def _is_of(note: Note, now: Current) -> bool:
    return note.is_head_of(now.origin)


def current(identity: Identity) -> Current:
    """Return what is in force at the end of a ledger."""
    since = identity.keys[-1].since if identity.keys else 0
    return Current(identity.origin, identity.key, since, frozenset(identity.names))


def renew(heads: TreeHeads, renewal: Renewal, metadata: Metadata) -> str:
    """Give a ledger a new origin and key, from a Restored event on; return the origin."""
    heads.tree.root_at(heads.ledger.last_position())  # what cannot be signed is not recorded
    first, *more = renewal.abandoned or (None,)
    key = _record(heads, renewal, first, metadata)
    for note in more:
        after = Renewal(current(heads.identity()), key)
        key = _record(heads, after, note, metadata)
    heads.sign()
    return key.name


def _agreed(heads: TreeHeads, decided: int | None, note: Note | None) -> int | None:
    """Return up to which size a ledger agrees with a head that it abandons.

    Nothing is known of one over events that the ledger has others for, unless it was decided.
    """
    head = TreeHead.of(note) if decided is None and note else None
    here = head and head.size <= heads.ledger.last_position()
    return 0 if head and here and not heads.agrees(head) else decided


def _record(
    heads: TreeHeads, renewal: Renewal, abandoned: Note | None, metadata: Metadata
) -> SigningKey:
    """Record a Restored event; return the new key."""
    ledger, before, former = heads.ledger, renewal.before, renewal.former
    origin = f"{ledger.origin.partition('/')[0]}/{secrets.token_hex(8)}"
    size = ledger.last_position()
    key = heads.keys.make(origin)
    message = statement(RECOVERY, before.origin, size, before.key, key.verifier)
    effects = {
        "previous": before.origin,
        "abandoned": str(abandoned) if abandoned else None,
        "size": size,
        "verifier_key": str(key.verifier),
        "key": str(before.key) if before.key else None,
        "signature": signature(former, message) if former else None,
        "changes": [dict(each) for each in renewal.changes],
        "agreed": _agreed(heads, renewal.agreed, abandoned),
    }
    ledger.rename(origin, next_append(ledger, Event(RESTORED, effects)), metadata)
    heads.keys.settle()
    return key


def lost_changes(now: Current, own_events: Iterable[RawEvent]) -> tuple[Current, list[Change]]:
    """Return the changes of key and origin in events that were lost, and what they led to.

    `now` is what was in force before, `own_events` are of the ledger's own stream. What breaks the
    rule changed nothing then, and is left out.
    """
    changes: list[Change] = []
    for raw in own_events:
        with suppress(Broken, ValueError, KeyError, TypeError):
            header, payload = json.loads(raw.header), json.loads(raw.body or b"null")
            if header["type"] not in PROVING:
                continue
            type_, origin = header["type"], header["ledger"]
            now = step(now, Stated(type_, raw.position, origin, payload)).now
            proving = {name: payload[name] for name in PROVING[type_] if name in payload}
            changes.append({"type": type_, "ledger": origin, "position": raw.position, **proving})
    return now, changes
