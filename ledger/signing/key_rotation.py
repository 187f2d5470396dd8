"""Changing the key that signs tree heads: an event that both keys have signed."""

import base64

from ledger.events import KEY_ROTATED, Event, Metadata
from ledger.ledger_stream import record
from ledger.signing.keys import KeyUnusable
from ledger.signing.note import SigningKey, VerifierKey
from ledger.signing.tree_heads import TreeHeads


def statement(origin: str, size: int, old: VerifierKey | None, new: VerifierKey) -> bytes:
    """Return what both keys sign: from events beyond that size on, the new key speaks."""
    return _message("key rotation", origin, size, old or "-", new)


def recovery_statement(
    previous: str, size: int, key: VerifierKey | None, new: VerifierKey
) -> bytes:
    """Return what the former key signs: behind so many events the ledger goes on under another."""
    return _message("recovery", previous, size, key or "-", new)


def _message(about: str, *values: object) -> bytes:
    return "".join(f"{line}\n" for line in (f"scim-ledger {about}", *values)).encode()


def rotate(heads: TreeHeads, metadata: Metadata, given: str | None = None) -> VerifierKey:
    """Put a new key in the place of the one in force, which signs a last head; return it.

    `given` is a key to take instead of making one. Raises KeyUnusable.
    """
    old = heads.key()
    last = heads.sign()
    new = heads.keys.make(old.name, given)
    if new.verifier == old.verifier:
        raise KeyUnusable("the new key is the one in force")
    _announce(heads, metadata, last.size, old, new)
    heads.keys.settle()
    if not heads.keys.given:
        heads.sign()
    return new.verifier


def introduce(heads: TreeHeads, metadata: Metadata) -> VerifierKey | None:
    """Give a ledger that was opened without a key its first one; None where it has one."""
    if heads.periods():
        return None
    new = heads.keys.make(heads.ledger.origin)
    _announce(heads, metadata, heads.ledger.last_position(), None, new)
    heads.keys.settle()
    return new.verifier


def _announce(
    heads: TreeHeads, metadata: Metadata, size: int, old: SigningKey | None, new: SigningKey
) -> None:
    verifiers = old.verifier if old else None, new.verifier
    message = statement(new.name, size, *verifiers)
    effects = {
        "old": str(verifiers[0]) if old else None,
        "new": str(verifiers[1]),
        "size": size,
        "signature_old": signed_text(old, message) if old else None,
        "signature_new": signed_text(new, message),
    }
    record(heads.ledger, Event(KEY_ROTATED, effects), metadata)


def signed_text(key: SigningKey, message: bytes) -> str:
    """Return a signature as payloads have it, in base64."""
    return base64.b64encode(key.sign(message)).decode()
