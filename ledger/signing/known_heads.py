"""The newest tree heads that others hold: an anchor's folder or URL, a witness's folder.

A head is trusted only if a key of the ledger signed it: a stray or forged file must not stop the
service.
"""

import os
from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from heapq import nlargest
from itertools import islice
from pathlib import Path

from ledger.contract import LedgerError
from ledger.http_client import RemoteTrouble, fetch, host_of
from ledger.signing.anchors import SUFFIX, sized
from ledger.signing.identity import Identity
from ledger.signing.keys import HEAD_FILE, Keys
from ledger.signing.note import KnownHead, MalformedNote, Note, VerifierKey
from ledger.signing.tree_heads import TreeHeads

HEADS = "heads"  # the folder of a witness's state that holds them
MOST = 200  # files looked at, the newest first, until one is trusted
TIMEOUT = 2.0  # seconds for the answer of an anchor's URL

HeadSource = tuple[str, Callable[[], Iterable[Note]]]  # its name, and what reads the notes there


@dataclass(frozen=True, slots=True)
class HeadSources:
    """Where others hold heads of a ledger, and where its key is."""

    anchor: Path | None = None
    witness: Path | None = None
    url: str | None = None
    keys: Keys | None = None

    def of(self, identity: Identity) -> Iterator[HeadSource]:
        """Yield each source, the network last."""
        if anchor := self.anchor:
            yield f"the anchor {anchor}", lambda: _in_anchor(anchor, identity)
        if witness := self.witness:
            yield f"the witness {witness}", lambda: _in_witness(witness)
        if url := self.url:
            yield f"the anchor {host_of(url)}", lambda: _at_url(url)


@dataclass(frozen=True, slots=True)
class Answers:
    """What the sources hold: the notes of each, none of them trusted yet."""

    notes: list[tuple[str, list[Note]]] = field(default_factory=list)
    troubles: list[str] = field(default_factory=list)


def known(heads: TreeHeads, sources: HeadSources, warn: Callable[[str], None]) -> list[KnownHead]:
    """Return the newest heads known outside a ledger's file, the one kept with its key first."""
    note = heads.keys.remembered()
    own = [KnownHead(str(heads.keys.folder / HEAD_FILE), note)] if note else []
    identity = heads.identity()
    found, warnings = newest_trusted(ask(sources, identity), identity, heads.keys)
    for each in warnings:
        warn(each)
    return own + found


def ask(sources: HeadSources, identity: Identity) -> Answers:
    """Read what all sources hold; one that cannot be asked stops nothing."""
    answers = Answers()
    for source, read in sources.of(identity):
        try:
            answers.notes.append((source, list(read())))
        except (LedgerError, OSError) as error:
            answers.troubles.append(f"{source} cannot be asked for tree heads: {error}")
    return answers


def newest_trusted(
    answers: Answers, identity: Identity, keys: Keys | None
) -> tuple[list[KnownHead], list[str]]:
    """Return the newest trusted head per source and origin, and warnings.

    For a former origin also the newest head from before the restore.
    """
    at_hand = keys and keys.at_hand(identity.origin)
    trusted = [key for _, key in identity.keys]
    trusted += [at_hand] if at_hand else []  # it may be newer than the events
    heads, warnings = [], [*answers.troubles]
    for source, notes in answers.notes:
        for _, origin in identity.origins:
            found = [KnownHead(source, note) for note in notes if note.is_head_of(origin)]
            newest = _newest(found, [key for key in trusted if key.name == origin], identity)
            if found and not newest:
                warnings.append(
                    f"{source} holds only tree heads of {origin} that no key of it signed"
                )
            heads += newest
    return heads, warnings


def _newest(found: list[KnownHead], keys: list[VerifierKey], identity: Identity) -> list[KnownHead]:
    """Return the newest head of an origin, after that of what was kept where it is another."""
    by_size = sorted(found, key=lambda each: each.head.size, reverse=True)
    trusted = (each for each in by_size if any(each.note.signed_by(key) for key in keys))
    newest = next(trusted, None)
    if newest is None:
        return []
    end = identity.end_of(newest.head.origin)
    if end is None or newest.head.size <= end:
        return [newest]
    return [*islice((each for each in trusted if each.head.size <= end), 1), newest]


def _in_anchor(root: Path, identity: Identity) -> Iterator[Note]:
    """Yield the largest heads in an anchor's folder under each origin, also of what was kept.

    There can be half a million a year: of the others no more than the names are looked at.
    """
    tenant = identity.origins[0].origin.rpartition("/")[2]
    folder = _must_be_there(root) / tenant
    names = os.listdir(folder) if folder.is_dir() else []
    for _, origin in identity.origins:
        found = sized(names, origin, tenant)
        end = identity.end_of(origin)
        kept = [each for each in found if end is None or each[0] <= end]
        largest = dict.fromkeys(name for _, name in (*nlargest(1, found), *nlargest(MOST, kept)))
        yield from _notes(folder / name for name in largest)


def _in_witness(root: Path) -> Iterator[Note]:
    """Yield the newest heads in a witness's folder, or in folders of several."""
    for folder in (_must_be_there(root) / HEADS, *sorted(root.glob(f"*/{HEADS}"))):
        yield from _notes(islice(sorted(folder.glob(f"*{SUFFIX}"), reverse=True), MOST))


def _at_url(url: str) -> Iterator[Note]:
    """Yield the head that an anchor's URL answers with, if it answers with one at all."""
    try:
        answer = fetch(url, display_name=host_of(url), timeout=TIMEOUT)
    except RemoteTrouble as error:
        if error.status is None:
            raise
        return  # it is for posting only
    with suppress(MalformedNote, UnicodeDecodeError):
        yield Note.parse(answer.decode())


def _must_be_there(root: Path) -> Path:
    if not root.is_dir():
        raise LedgerError(f"{root} is not a folder that is there")
    return root


def _notes(files: Iterable[Path]) -> Iterator[Note]:
    """Yield the notes in files; what is no note is passed over: a write may have been cut off."""
    for file in files:
        with suppress(MalformedNote, UnicodeDecodeError):
            yield Note.parse(file.read_text(encoding="utf-8"))
