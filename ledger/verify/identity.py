"""Checks of former origins, and whether the trusted keys lead to the one in force.

What the ledger says of its origins and keys is read by `ledger.signing.identity`.
"""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from ledger.findings import Finding, Kind, short
from ledger.signing.identity import Identity, Restore
from ledger.signing.note import COSIGNATURE, KnownHead, VerifierKey


def check_abandoned(identity: Identity, roots: Mapping[int, bytes]) -> Iterator[Finding]:
    """Find abandoned heads that are not the former origin's, or not of the kept events."""
    for restore in identity.restores:
        head, note = restore.head, restore.abandoned
        if head is None or note is None:
            continue
        at, what = restore.position, "the tree head that was abandoned"
        if head.origin != restore.previous:
            expected, found = restore.previous, short(head.origin)
            yield Finding(Kind.HEAD, at, f"origin of {what}", expected, found)
        keys = identity.keys_of(restore.previous)
        if not any(note.signed_by(key) for key in keys):
            names = ", ".join(map(str, keys)) or f"a key of {restore.previous}"
            yield Finding(Kind.HEAD, at, f"signature of {what}", f"one of {names}", "none of it")
        root = roots.get(head.size) if head.size <= restore.kept else None
        if root is not None and root != head.root:
            what = f"root of {what}, of size {head.size}"
            yield Finding(Kind.ROOT, at, what, head.root.hex(), root.hex())


def is_lost(identity: Identity, each: KnownHead) -> bool:
    """Return whether a head covers events that a restore lost."""
    end = identity.end_of(each.head.origin)
    return end is not None and each.head.size > end


def check_admitted(identity: Identity, each: KnownHead) -> Iterator[Finding]:
    """Find that a head covers more lost events than the restore admitted."""
    restore, size = identity.restore_of(each.head.origin), each.head.size
    if restore and size > max(restore.admitted, restore.kept):
        expected = f"one of {size:,} events, as {each.source} has"
        found = f"one of {restore.admitted:,}" if restore.head else "none"
        what = "tree head that was abandoned"
        yield Finding(Kind.HEAD, restore.position, what, expected, found)


def sizes_of(identity: Identity) -> set[int]:
    """Return the sizes at which `check_abandoned` compares roots."""
    return {each.admitted for each in identity.restores if 0 < each.admitted <= each.kept}


def trusted_keys(identity: Identity, given: Sequence[VerifierKey]) -> list[VerifierKey]:
    """Return the keys whose signature is trusted on a head that is brought.

    By default the ledger's. Where keys are given: they, those that they lead to, and the old key of
    a rotation that one of these signed as the new key.
    """
    if not given:
        return [key for _, key in identity.keys]
    trusted = identity.followed(given)
    for each in reversed(identity.handovers):
        if each.old and each.new in trusted and each.signed_by_new:
            trusted.append(each.old)
    return trusted


def check_keys(
    identity: Identity, given: Sequence[VerifierKey], brought: Sequence[KnownHead] = ()
) -> Iterator[Finding]:
    """Find given keys that the ledger never had, and that none of them leads to the one in force.

    A witness's key, or one that signed a head that was brought, vouches for that head only.
    """
    known = [key for _, key in identity.keys]
    names = {name for _, name in identity.origins}
    for key in given:
        if key.name in names and key not in known:
            found = ", ".join(map(str, identity.keys_of(key.name))) or "none"
            yield Finding(Kind.IDENTITY, None, "verifier key", str(key), found)
    own = [key for key in given if key.name in names or not _is_of_others(key, brought)]
    trusted = identity.followed(own)
    if own and not (known and known[-1] in trusted):
        astray = (e for e in identity.handovers if e.old in trusted and e.new not in trusted)
        broken = next(astray, None)
        found = f"{known[-1]}, for which none of them vouches" if known else "none"
        yield Finding(
            Kind.IDENTITY,
            broken.position if broken else None,
            "key in force",
            "one that a given key leads to",
            found,
        )


def _is_of_others(key: VerifierKey, brought: Sequence[KnownHead]) -> bool:
    return key.kind == COSIGNATURE or any(each.note.signed_by(key) for each in brought)


def doubts(identity: Identity) -> list[str]:
    """Say which origins were taken without the key of the one before."""
    return [
        f"at position {each.position} the ledger took the name {each.origin}, and its former key"
        " did not sign that: whoever can write the file can do so. Ask who runs it, and give --key"
        " with a key that you know from elsewhere"
        for each in identity.restores
        if not each.signed
    ]


def in_words(restore: Restore) -> str:
    """Say in a sentence what became of a former origin."""
    if restore.head is None:
        lost = "no head is named that was abandoned, so how many were lost is not known"
    else:
        lost = f"a tree head of {restore.head.size} was abandoned"
        lost += f": {restore.lost} events were lost" if restore.lost else ""
    by = "its former key signed that" if restore.signed else "its former key did not sign that"
    return (
        f"restored at position {restore.position}: {restore.previous} was replaced by"
        f" {restore.origin}; {restore.kept} events were kept; {lost}; {by}"
    )


def as_object(restore: Restore) -> dict[str, Any]:
    """Return the same for programs."""
    return {
        "position": restore.position,
        "previous": restore.previous,
        "origin": restore.origin,
        "kept": restore.kept,
        "abandoned": restore.head.size if restore.head else None,
        "lost": restore.lost,
        "signed_by_former_key": restore.signed,
    }
