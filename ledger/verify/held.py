"""The newest tree heads that others hold, of every name that a ledger has had."""

import os
from collections.abc import Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from heapq import nlargest
from pathlib import Path

from ledger.contract import LedgerError
from ledger.signing.anchors import sized
from ledger.signing.keys import Keys
from ledger.signing.known_heads import MOST, Held, at_url, in_witness, must_be_there
from ledger.signing.note import KnownHead, MalformedNote, Note, TreeHead, VerifierKey
from ledger.verify.heads import signed
from ledger.verify.identity import Identity


@dataclass(frozen=True, slots=True)
class Places:
    """Where heads of a ledger are that are not its own, and where its key is."""

    anchor: Path | None = None
    witness: Path | None = None
    url: str | None = None
    keys: Keys | None = None


@dataclass(slots=True)
class Asked:
    """What the places answered: notes of each, none of them believed yet."""

    answers: list[tuple[str, list[Note]]] = field(default_factory=list)
    troubles: list[str] = field(default_factory=list)


def ask(places: Places, identity: Identity) -> Asked:
    """Read what all places hold; one that cannot be asked stops nothing."""
    asked = Asked()
    for source, read in _held(places, identity):
        try:
            asked.answers.append((source, list(read())))
        except (LedgerError, OSError) as error:
            asked.troubles.append(f"{source} cannot be asked for tree heads: {error}")
    return asked


def _held(places: Places, identity: Identity) -> Iterator[Held]:
    if places.anchor:
        root = places.anchor
        yield f"the anchor {root}", lambda: _in_anchor(root, identity)
    if places.witness:
        yield in_witness(places.witness)
    if places.url:
        yield at_url(places.url)


def _in_anchor(root: Path, identity: Identity) -> Iterator[Note]:
    """Yield the heads in an anchor's folder, of each name the largest; see `anchors`."""
    tenant = identity.origins[0][1].rpartition("/")[2]
    folder = must_be_there(root) / tenant
    names = os.listdir(folder) if folder.is_dir() else []
    for _, origin in identity.origins:
        found = sized(names, origin, tenant)
        given_up = identity.end_of(origin)
        kept = found if given_up is None else [each for each in found if each[0] <= given_up]
        for name in dict.fromkeys(name for _, name in (*nlargest(1, found), *nlargest(MOST, kept))):
            with suppress(MalformedNote, UnicodeDecodeError):  # a write may have been cut off
                yield Note.parse((folder / name).read_text(encoding="utf-8"))


def believed(asked: Asked, identity: Identity, places: Places) -> tuple[list[KnownHead], list[str]]:
    """Return the newest head of each place and name that a key of that name signed, and notes.

    Of a name that was given up, the newest of what was kept as well.
    """
    keys = [key for _, key in identity.keys]
    at_hand = places.keys and places.keys.at_hand(identity.origins[-1][1])
    keys += [at_hand] if at_hand else []  # it may be newer than the events
    heads, notes = [], [*asked.troubles]
    for source, answer in asked.answers:
        for _, origin in identity.origins:
            found = [
                KnownHead(source, note) for note in answer if note.text.startswith(f"{origin}\n")
            ]
            good = sorted(_signed(found, keys), key=lambda each: each.head.size)
            if found and not good:
                notes.append(f"{source} holds only tree heads of {origin} that no key of it signed")
            heads += _newest(good, identity.end_of(origin))
    return heads, notes


def _signed(found: Iterable[KnownHead], keys: list[VerifierKey]) -> Iterator[KnownHead]:
    for each in found:
        with suppress(MalformedNote):
            origin = TreeHead.of(each.note).origin
            if any(key.name == origin and signed(each.note, key) for key in keys):
                yield each


def _newest(good: list[KnownHead], given_up: int | None) -> list[KnownHead]:
    """Return the newest head, and that of what was kept where it is another."""
    kept = [each for each in good if given_up is None or each.head.size <= given_up]
    return kept[-1:] + (good[-1:] if good[-1:] != kept[-1:] else [])
