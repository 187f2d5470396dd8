"""Changing the key that signs tree heads: an event that both keys have signed."""

from ledger.events import KEY_ROTATED, Event, Metadata
from ledger.ledger_stream import record
from ledger.signing.identity import ROTATION, signature, statement
from ledger.signing.keys import KeyUnusable
from ledger.signing.note import SigningKey, VerifierKey
from ledger.signing.tree_heads import TreeHeads


def rotate(heads: TreeHeads, metadata: Metadata, given: str | None = None) -> VerifierKey:
    """Replace the key in force, which signs a last head, and return the new one.

    `given` is a key to take instead of a random one. Raises KeyUnusable.
    """
    old = heads.key()
    last = heads.sign()
    new = heads.keys.make(old.name, given)
    if new.verifier == old.verifier:
        raise KeyUnusable("the new key is the one in force")
    _record(heads, metadata, last.size, old, new)
    if not heads.keys.given:
        heads.sign()
    return new.verifier


def introduce(heads: TreeHeads, metadata: Metadata) -> VerifierKey | None:
    """Give a ledger that was opened without a key its first one; None where it has one."""
    if heads.identity().keys:
        return None
    new = heads.keys.make(heads.ledger.origin)
    _record(heads, metadata, heads.ledger.last_position(), None, new)
    return new.verifier


def _record(
    heads: TreeHeads, metadata: Metadata, size: int, old: SigningKey | None, new: SigningKey
) -> None:
    message = statement(ROTATION, new.name, size, old.verifier if old else None, new.verifier)
    effects = {
        "old": str(old.verifier) if old else None,
        "new": str(new.verifier),
        "size": size,
        "signature_old": signature(old, message) if old else None,
        "signature_new": signature(new, message),
    }
    record(heads.ledger, Event(KEY_ROTATED, effects), metadata)
    heads.keys.settle()
