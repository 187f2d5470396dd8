"""Cosignatures: a witness's statement, with a time, about a tree head (C2SP tlog-cosignature)."""

from dataclasses import replace

from ledger.signing.note import COSIGNATURE, MalformedNote, Note, Signature, SigningKey, VerifierKey

_TIME_SIZE = 8


def cosigner(key: SigningKey) -> VerifierKey:
    """Return what a witness's cosignatures are checked with."""
    return replace(key.verifier, kind=COSIGNATURE)


def cosigned(note: Note, key: SigningKey, at: int) -> Note:
    """Return a tree head with the cosignature of a witness, made at a POSIX time in seconds."""
    signature = at.to_bytes(_TIME_SIZE, "big") + key.sign(_message(note, at))
    own = Signature(key.name, cosigner(key).id + signature)
    return replace(note, signatures=(*note.signatures, own))


def cosigned_at(note: Note, witness: VerifierKey) -> int | None:
    """Return when a witness cosigned a tree head, None if it did not.

    Raises MalformedNote if a cosignature that is said to be the witness's is not.
    """
    for signature in note.signatures:
        if signature.name == witness.name and signature.raw[:4] == witness.id:
            at = int.from_bytes(signature.raw[4 : 4 + _TIME_SIZE], "big")
            if not witness.verify(_message(note, at), signature.raw[4 + _TIME_SIZE :]):
                raise MalformedNote(f"the cosignature of {witness.name} is not of this tree head")
            return at
    return None


def _message(note: Note, at: int) -> bytes:
    return f"cosignature/v1\ntime {at}\n{note.text}".encode()
