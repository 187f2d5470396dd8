"""The keys and origins of a log on another machine, as far as the tree under a head proves them.

They are read from the few events that change them; nothing else of the ledger is fetched. A log
that leaves out some of these events can hide a change, not make one.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass

from ledger import codec, merkle
from ledger.contract import LedgerError, RawEvent
from ledger.signing.identity import IDENTITY_TYPES, Identity, identity_of
from ledger.signing.note import Note, TreeHead, VerifierKey
from ledger.witness.remote_log import Document, RemoteLog

# What reading a document that others wrote can raise, whatever they put in it.
_UNFIT = (LedgerError, KeyError, TypeError, ValueError, AttributeError, OverflowError)


@dataclass(frozen=True, slots=True)
class History:
    """Who a log is and was, and the events that say so, by position."""

    identity: Identity
    documents: dict[int, Document]

    def way(self, trusted: VerifierKey) -> list[Document] | None:
        """Return the events by which a key, through others, handed over to the one in force."""
        if self.identity.key not in self.identity.trusted([trusted]):
            return None
        found, positions = {trusted}, dict[int, None]()
        for each in self.identity.handovers:
            if each.old in found and each.signed_by_old:
                found.add(each.new)
                positions[each.position] = None
        return [self.documents[each] for each in positions]

    def ends(self, origin: str) -> list[Document]:
        """Return the event that ended a former origin, if there is one."""
        restore = self.identity.restore_of(origin)
        return [self.documents[restore.position]] if restore else []

    def kept(self, origin: str) -> int:
        """Return how many of the first events of a former origin are still there, as events say."""
        restores = self.identity.restores
        ended = next(
            (n for n, each in enumerate(restores) if each.previous == origin), len(restores)
        )
        return min((each.agreed for each in restores[ended:]), default=0)


def history_under(note: Note, log: RemoteLog) -> History | None:
    """Ask a log for the events that changed its key and origin; raises RemoteTrouble.

    Those that the tree under a head does not have are passed over. None if the key to which the
    events lead did not sign the head.
    """
    head = TreeHead.of(note)
    events = [each for type_ in IDENTITY_TYPES for each in log.events(type_)]
    told = {
        raw.position: (raw, each)
        for each in events
        if (raw := _stored(each)) and 1 <= raw.position <= head.size
    }
    if _signer(told, note) is None:
        return None  # before anything is fetched for a head that nobody signed
    node = log.node(head.size)
    proved = {at: both for at, both in told.items() if _is_in_the_tree(both[0], head, node)}
    identity = _signer(proved, note)
    return History(identity, {at: each for at, (_, each) in proved.items()}) if identity else None


def _signer(told: Mapping[int, tuple[RawEvent, Document]], note: Note) -> Identity | None:
    """Return the identity that events add up to, if its key signed a head of its origin."""
    identity = identity_of((told[at][0] for at in sorted(told)), "")
    signed = identity.key and note.is_head_of(identity.origin) and note.signed_by(identity.key)
    return identity if signed else None


def _stored(event: Document) -> RawEvent | None:
    """Return an event as it was stored, if its payload is the one that its header binds."""
    try:
        raw, payload, salt = event["header"].encode(), event["payload"], event["salt"]
        header, bound = json.loads(raw), codec.commitment(payload, bytes.fromhex(salt)).hex()
        position, body = header["position"], codec.canonical(payload)
        fit = header["commitment"] == bound and type(position) is int
    except _UNFIT:
        return None
    leaf = merkle.leaf_hash(raw)
    return RawEvent(position, raw, leaf, bytes.fromhex(salt), body) if fit else None


def _is_in_the_tree(event: RawEvent, head: TreeHead, node: merkle.Node) -> bool:
    index = event.position - 1
    proof = merkle.inclusion_proof(index, head.size, node)
    return merkle.verify_inclusion(event.leaf_hash, index, head.size, proof, head.root)
