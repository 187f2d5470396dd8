"""Checks of former origins, and whether the trusted keys lead to the one in force.

What the ledger says of its origins and keys is read by `ledger.signing.identity`.
"""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from ledger.findings import Finding, Kind, short
from ledger.signing.identity import Identity
from ledger.signing.key_rule import Restore
from ledger.signing.keys import Keys
from ledger.signing.note import COSIGNATURE, KnownHead, VerifierKey


def check_name(identity: Identity, origin: str) -> Iterator[Finding]:
    """Find events that break the rule of keys and origins, and another name in the store."""
    yield from identity.findings
    if origin != identity.origin:
        since, expected = identity.origins[-1]
        at = None if identity.findings else since  # a broken event before it may be why
        what, found = "name that the file gives the ledger", short(origin)
        yield Finding(Kind.IDENTITY, at, what, f"{expected}, as its events say", found)


def check_abandoned(identity: Identity, roots: Mapping[int, bytes]) -> Iterator[Finding]:
    """Find abandoned heads that contradict the events that are said to be kept."""
    for restore in identity.restores:
        head = restore.head
        root = roots.get(head.size) if head and head.size <= restore.agreed else None
        if head and root is not None and root != head.root:
            what = f"root of the tree head that was abandoned, of size {head.size}"
            yield Finding(Kind.ROOT, restore.position, what, head.root.hex(), root.hex())


def not_admitted(restore: Restore, each: KnownHead) -> Finding:
    """Return the finding that a head covers more lost events than the restore admits."""
    expected = f"one of {each.head.size:,} events, as {each.source} has"
    found = f"one of {restore.admitted:,}" if restore.admitted else "none"
    what = "tree head that was abandoned"
    return Finding(Kind.HEAD, restore.position, what, expected, found)


def sizes_of(identity: Identity) -> set[int]:
    """Return the sizes at which `check_abandoned` compares roots."""
    heads = ((each.head, each.agreed) for each in identity.restores)
    return {head.size for head, agreed in heads if head and 0 < head.size <= agreed}


def trusted_keys(identity: Identity, given: Sequence[VerifierKey]) -> list[VerifierKey]:
    """Return the keys whose signature is trusted on a head that is brought.

    By default the ledger's. Where keys are given: they, and those for which they vouch.
    """
    return identity.trusted(given) if given else identity.known


def check_keys(
    identity: Identity, given: Sequence[VerifierKey], brought: Sequence[KnownHead] = ()
) -> Iterator[Finding]:
    """Find given keys that the ledger never had, and that none of them leads to the one in force.

    A witness's key, or one that signed a head that was brought, vouches for that head only.
    """
    in_force, names = identity.key, identity.names
    for key in given:
        if key.name in names and key not in identity.known:
            found = ", ".join(map(str, identity.keys_of(key.name))) or "none"
            yield Finding(Kind.IDENTITY, None, "verifier key", str(key), found)
    own = [key for key in given if key.name in names or not _is_of_others(key, brought)]
    trusted = identity.trusted(own)
    if own and in_force not in trusted:
        astray = (e for e in identity.handovers if e.old in trusted and e.new not in trusted)
        broken = next(astray, None)
        found = f"{in_force}, for which none of them vouches" if in_force else "none"
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
        f"{_where(each)} the ledger took the name {each.origin}, and its former key"
        " did not sign that: whoever can write the file can do so. Ask who runs it, and give --key"
        " with a key that you know from elsewhere"
        for each in identity.restores
        if not each.signed
    ]


def admissions(identity: Identity, keys: Keys | None = None) -> Iterator[str]:
    """Say which abandoned heads are signed by no key that the events name.

    Such a key was of events that are lost: the head only says what the operator admits. It may be
    among the keys that are kept.
    """
    for each in identity.restores:
        note, head = each.abandoned, each.head
        if note and head and not any(note.signed_by(key) for key in identity.keys_of(head.origin)):
            whose = (
                "its key is among those kept with the ledger's"
                if keys and keys.signed(note)
                else "its key was named in events that are lost, or somebody who can write the file"
                " made the head up. Compare it with the key of that name, where somebody keeps it"
            )
            yield (
                f"{_where(each)} a tree head of {short(head.origin)} of size {head.size:,} was"
                f" abandoned that no key named in the events signed: {whose}"
            )


def _where(each: Restore) -> str:
    if each.lost:
        return f"in events that were lost before position {each.position}"
    return f"at position {each.position}"


def in_words(restores: Sequence[Restore]) -> Iterator[str]:
    """Say in a sentence each what became of former origins."""
    for each in restores:
        by = "its former key signed that" if each.signed else "its former key did not sign that"
        what = "" if each.lost else f" {_kept(each, restores)}; {_abandoned(each)};"
        yield f"restored {_where(each)}: {each.previous} was replaced by {each.origin};{what} {by}"


def _kept(restore: Restore, restores: Sequence[Restore]) -> str:
    """Say which of the events that are there are of the history that ended."""
    other = restore.size - restore.agreed
    if _of_another(restore) or not other:
        return f"{restore.size} events were kept"
    lost = (each.previous for each in restores if each.lost and each.position == restore.position)
    borne = next(lost, restore.previous)  # no event that was kept bears a later name
    kept = f"{restore.agreed} events were kept"
    if borne != restore.previous:
        return (
            f"{kept}, and the {other} that follow are of {borne}, the name before: they are back in"
            " place of those that it had"
        )
    return f"{kept}, and {other} stay that were recorded under its name in another history"


def _abandoned(restore: Restore) -> str:
    """Say what is known of the events that were lost."""
    head, lost = restore.head, _lost(restore)
    if head is None:
        return "no head is named that was abandoned, so how many were lost is not known"
    of = f"{short(head.origin)}, of size " if _of_another(restore) else ""
    abandoned = f"a tree head of {of}{head.size} was abandoned"
    if lost is None:
        return f"{abandoned}: how many events of it were lost is not known"
    least = "at least " if of else ""
    return f"{abandoned}: {least}{lost} events were lost" if lost else abandoned


def _of_another(restore: Restore) -> bool:
    """Return whether the head that was abandoned is of another origin than the one that ended.

    Nothing is known then of which events the two histories share.
    """
    return restore.head is not None and restore.head.origin != restore.previous


def _lost(restore: Restore) -> int | None:
    """Return how many events were lost at least, None if that is not known."""
    if restore.head and _of_another(restore):
        return max(restore.head.size - restore.size, 0) or None
    return restore.missing


def as_object(restore: Restore) -> dict[str, Any]:
    """Return the same for programs; what the lost events said of their loss does not count."""
    kept = restore.size if _of_another(restore) else restore.agreed
    return {
        "position": restore.position,
        "previous": restore.previous,
        "origin": restore.origin,
        "kept": None if restore.lost else kept,
        "abandoned": restore.head.size if restore.head else None,
        "lost": None if restore.lost else _lost(restore),
        "signed_by_former_key": restore.signed,
        "event_lost": restore.lost,
    }
