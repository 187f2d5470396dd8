"""Following the keys of a log from one that is trusted, by events that both keys have signed."""

import json
from collections.abc import Mapping, Sequence
from typing import Any

from ledger import codec, merkle
from ledger.contract import LedgerError
from ledger.events import KEY_ROTATED
from ledger.signing.identity import rotation
from ledger.signing.note import Note, TreeHead, VerifierKey

Document = Mapping[str, Any]

# What reading a document that others wrote can raise, whatever they put in it.
UNFIT = (LedgerError, KeyError, TypeError, ValueError, AttributeError, OverflowError)


def followed(
    trusted: VerifierKey, note: Note, events: Sequence[Document], node: merkle.Node
) -> tuple[VerifierKey, list[Document]] | None:
    """Return the key that signed a head, and the rotations that lead to it; None if none do.

    `events` are the log's KeyRotated events, oldest first. Each counts only if both keys signed it
    and the tree under the head has it.
    """
    head, key, way = TreeHead.of(note), trusted, list[Document]()
    for event in events:
        new = _rotated(event, key)
        if new is not None and new.name == key.name and is_in(event, KEY_ROTATED, head, node):
            key = new
            way.append(event)
    return (key, way) if way and note.signed_by(key) else None


def is_in(event: Document, type_: str, head: TreeHead, node: merkle.Node) -> bool:
    """Return whether an event of a type, with its payload, is in the tree under a head."""
    try:
        raw = event["header"].encode()
        header = json.loads(raw)
        bound = codec.commitment(event["payload"], bytes.fromhex(event["salt"])).hex()
        position = header["position"]
        fit = (header["type"], header["commitment"]) == (type_, bound)
        if not (fit and isinstance(position, int) and 1 <= position <= head.size):
            return False
    except UNFIT:
        return False
    proof = merkle.inclusion_proof(position - 1, head.size, node)
    leaf = merkle.leaf_hash(raw)
    return merkle.verify_inclusion(leaf, position - 1, head.size, proof, head.root)


def _rotated(event: Document, old: VerifierKey) -> VerifierKey | None:
    """Return the key that replaces one by an event, if both have signed that."""
    try:
        found = rotation(0, old.name, old, event["payload"])
        replaces = event["payload"]["old"] == str(old)
    except UNFIT:
        return None
    return found.new if replaces and found.signed_by_old and found.signed_by_new else None
