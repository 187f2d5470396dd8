"""What an origin that was given up leaves behind: who vouches for the new one, what was lost."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from ledger.signing.note import COSIGNATURE, KnownHead, VerifierKey
from ledger.verify.event import Finding, short
from ledger.verify.heads import signed
from ledger.verify.identity import Handover, Identity, Renewal


def check_abandoned(identity: Identity, roots: Mapping[int, bytes]) -> Iterator[Finding]:
    """Find heads that were abandoned and are not the former name's, or not of what was kept."""
    for renewal in identity.renewals:
        head = renewal.head
        if head is None or renewal.abandoned is None:
            continue
        at, what = renewal.position, "the tree head that was abandoned"
        if head.origin != renewal.previous:
            yield Finding(at, f"origin of {what}", renewal.previous, short(head.origin))
        keys = [key for _, key in identity.keys if key.name == renewal.previous]
        if not any(signed(renewal.abandoned, key) for key in keys):
            names = ", ".join(map(str, keys)) or f"a key of {renewal.previous}"
            yield Finding(at, f"signature of {what}", f"one of {names}", "none of it")
        root = roots.get(head.size) if head.size <= renewal.kept else None
        if root is not None and root != head.root:
            yield Finding(at, f"root of {what}, of size {head.size}", head.root.hex(), root.hex())


def is_lost(identity: Identity, each: KnownHead) -> bool:
    """Return whether a head covers events that a restore lost."""
    given_up = identity.end_of(each.head.origin)
    return given_up is not None and each.head.size > given_up


def admitted(identity: Identity, each: KnownHead) -> Iterator[Finding]:
    """Find that a head is of what was lost, and more than was said to be when it was."""
    for renewal in identity.renewals:
        told = renewal.head.size if renewal.head else renewal.kept
        if renewal.previous == each.head.origin and each.head.size > max(told, renewal.kept):
            what = "tree head that was abandoned"
            expected = f"one of {each.head.size:,} events, as {each.source} has"
            found = f"one of {told:,}" if renewal.head else "none"
            yield Finding(renewal.position, what, expected, found)


def sizes_of(identity: Identity) -> set[int]:
    """Return the sizes at which the root is wanted for this."""
    heads = [(each.head, each.kept) for each in identity.renewals]
    return {head.size for head, kept in heads if head and head.size <= kept}


def trusted_keys(identity: Identity, given: Sequence[VerifierKey]) -> list[VerifierKey]:
    """Return the keys whose signature is believed on a head that is brought.

    Keys of the ledger are, by default; where keys are given, they, those that they lead to, and of
    a rotation that one of these signed as the new key, the old one.
    """
    if not given:
        return [key for _, key in identity.keys]
    trusted = _followed(identity, given)
    for each in reversed(identity.handovers):
        if each.old and each.new in trusted and each.signed_by_new:
            trusted.append(each.old)
    return trusted


def _followed(identity: Identity, given: Sequence[VerifierKey]) -> list[VerifierKey]:
    """Return the given keys and those that they handed the ledger on to."""
    trusted = [*given]
    for each in identity.handovers:
        if each.old in trusted and each.signed_by_old:
            trusted.append(each.new)
    return trusted


def keys_must_be(
    identity: Identity, given: Sequence[VerifierKey], brought: Sequence[KnownHead] = ()
) -> Iterator[Finding]:
    """Find given keys that the ledger never had, and that none of them leads to the one in force.

    A witness's, or one that signed a head that was brought, vouches for that head only.
    """
    known = [key for _, key in identity.keys]
    names = {name for _, name in identity.origins}
    for key in given:
        if key.name in names and key not in known:
            found = ", ".join(str(each) for each in known if each.name == key.name)
            yield Finding(None, "verifier key", str(key), found or "none")
    own = [key for key in given if key.name in names or not _is_of_others(key, brought)]
    trusted = _followed(identity, own)
    if own and not (known and known[-1] in trusted):
        broken = next((each for each in identity.handovers if _goes_astray(each, trusted)), None)
        expected = "one that a given key leads to"
        found = f"{known[-1]}, for which none of them vouches" if known else "none"
        yield Finding(broken.position if broken else None, "key in force", expected, found)


def _goes_astray(handover: Handover, trusted: Sequence[VerifierKey]) -> bool:
    return handover.old in trusted and handover.new not in trusted


def _is_of_others(key: VerifierKey, brought: Sequence[KnownHead]) -> bool:
    return key.kind == COSIGNATURE or any(signed(each.note, key) for each in brought)


def doubts(identity: Identity) -> list[str]:
    """Say which names were taken without the key of the one before."""
    return [
        f"at position {each.position} the ledger took the name {each.origin}, and its former key"
        " did not sign that: whoever can write the file can do so. Ask who runs it, and give --key"
        " with a key that you know from elsewhere"
        for each in identity.renewals
        if not each.signed
    ]


def in_words(renewal: Renewal) -> str:
    """Say in a sentence what became of a name that was given up."""
    if renewal.head is None:
        lost = "no head is named that was abandoned, so how many were lost is not known"
    elif renewal.lost:
        lost = f"a tree head of {renewal.head.size} was abandoned: {renewal.lost} events were lost"
    else:
        lost = f"a tree head of {renewal.head.size} was abandoned"
    by = "its former key signed that" if renewal.signed else "its former key did not sign that"
    return (
        f"restored at position {renewal.position}: {renewal.previous} was given up for"
        f" {renewal.origin}; {renewal.kept} events were kept; {lost}; {by}"
    )


def as_object(renewal: Renewal) -> dict[str, Any]:
    """Return the same for programs."""
    return {
        "position": renewal.position,
        "previous": renewal.previous,
        "origin": renewal.origin,
        "kept": renewal.kept,
        "abandoned": renewal.head.size if renewal.head else None,
        "lost": renewal.lost,
        "signed_by_former_key": renewal.signed,
    }
