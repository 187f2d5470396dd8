"""The newest tree heads that others hold: an anchor's folder or URL, a witness's folder.

A head is trusted only if a key of the ledger signed it: a stray or forged file must not stop the
service. A larger one that is kept as this ledger's causes a warning: a backup may know neither the
key nor the name that came after it.
"""

import math
import os
import re
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from heapq import nlargest
from pathlib import Path
from typing import NamedTuple

from ledger.contract import LedgerError
from ledger.http_client import RemoteTrouble, fetch, host_of
from ledger.signing.anchors import SUFFIX, of_others, sized
from ledger.signing.identity import Identity
from ledger.signing.keys import HEAD_FILE, Keys
from ledger.signing.note import (
    KnownHead,
    MalformedNote,
    Note,
    TreeHead,
    VerifierKey,
    saved_text,
)
from ledger.signing.tree_heads import TreeHeads

HEADS = "heads"  # the folder of a witness's state that holds them
MOST = 200  # files looked at, the largest heads first, until one is trusted
MOST_NAMES = 8  # origins that the ledger does not know, of which a head is looked at
TIMEOUT = 2.0  # seconds for the answer of an anchor's URL

_SIZE = re.compile(rf"[0-9]+-([0-9]{{1,19}}){re.escape(SUFFIX)}", re.ASCII)

NotesOf = Callable[[str], Iterable[Note]]  # the notes of an origin, the largest heads first


class Source(NamedTuple):
    """What somebody holds: notes of an origin, and of other origins than the ledger's own."""

    notes_of: NotesOf
    others: Callable[[], Iterable[Note]] = lambda: ()


class Held(NamedTuple):
    """The newest trusted heads, larger ones by keys that the ledger does not know, and warnings."""

    heads: list[KnownHead]
    strange: list[KnownHead]
    warnings: list[str]


Ask = Callable[[str], bytes]  # what a URL answers


def ask_url(url: str) -> bytes:
    """Return what an anchor's URL answers, nothing if it is for posting only; RemoteTrouble."""
    try:
        return fetch(url, display_name=host_of(url), timeout=TIMEOUT)
    except RemoteTrouble as error:
        if error.status is None:
            raise
        return b""


class AskedLately:
    """The same, but a URL is asked once for all ledgers that are opened within some seconds."""

    def __init__(self, seconds: float = 10.0) -> None:
        self._seconds = seconds
        self._answers: dict[str, tuple[float, bytes | RemoteTrouble]] = {}  # monotonic seconds

    def __call__(self, url: str) -> bytes:
        """Return the answer, or raise the trouble again."""
        at, answer = self._answers.get(url, (-math.inf, b""))
        if time.monotonic() > at + self._seconds:
            try:
                answer = ask_url(url)
            except RemoteTrouble as error:
                answer = error
            self._answers[url] = time.monotonic(), answer
        if isinstance(answer, RemoteTrouble):
            raise RemoteTrouble(str(answer), answer.status)
        return answer


@dataclass(frozen=True, slots=True)
class HeadSources:
    """Where others hold heads of a ledger, and where its key is."""

    anchor: Path | None = None
    witness: Path | None = None
    url: str | None = None
    keys: Keys | None = None
    ask: Ask = ask_url

    def of(self, identity: Identity) -> Iterator[tuple[str, Callable[[], Source]]]:
        """Yield the name of each source and a function that opens it, the network last."""
        if anchor := self.anchor:
            yield f"the anchor {anchor}", lambda: _in_anchor(anchor, identity)
        if witness := self.witness:
            yield f"the witness {witness}", lambda: _in_witness(witness, identity)
        if url := self.url:
            yield f"the anchor {host_of(url)}", lambda: _notes_in(self.ask(url))


def known(heads: TreeHeads, sources: HeadSources, warn: Callable[[str], None]) -> list[KnownHead]:
    """Return the newest heads known outside a ledger's file, the one kept with its key first."""
    held = all_known(heads, sources)
    for each in held.warnings:
        warn(each)
    return held.heads


def all_known(heads: TreeHeads, sources: HeadSources) -> Held:
    """Return the same, with what is strange and all warnings."""
    note = heads.keys.remembered()
    own = [KnownHead(str(heads.keys.folder / HEAD_FILE), note)] if note else []
    held = newest_trusted(sources, heads.identity())
    return held._replace(heads=own + held.heads)


def newest_trusted(sources: HeadSources, identity: Identity) -> Held:
    """Return the newest trusted head per source and origin, what is strange, and warnings.

    For a former origin also the newest head from before the restore. A source that cannot be asked
    stops nothing.
    """
    at_hand = sources.keys and sources.keys.at_hand(identity.origin)  # maybe newer than the events
    newer = [at_hand] if at_hand and at_hand not in identity.known else []
    held = Held([], [], [])
    for source, open_source in sources.of(identity):
        try:
            opened, strange = open_source(), list[Note]()
            for origin in identity.names:
                more = [key for key in newer if key.name == origin]
                found, larger = _newest(opened.notes_of(origin), origin, identity, more)
                held.heads.extend(KnownHead(source, note) for note in found)
                strange += larger[:1]
            strange += [note for note in opened.others() if not _admitted(identity, note)]
        except (LedgerError, OSError) as error:
            held.warnings.append(f"{source} cannot be asked for tree heads: {error}")
            continue
        held.strange.extend(KnownHead(source, note) for note in strange)
        held.warnings.extend(_says(source, TreeHead.of(note), identity) for note in strange)
    return held


def _says(source: str, head: TreeHead, identity: Identity) -> str:
    who = "that no key of it signed which this ledger knows"
    if head.origin not in identity.names:
        who = "a name that this ledger does not know"
    return (
        f"{source} holds tree heads of {head.origin}, up to size {head.size:,}, {who}: events up to"
        " there may be lost, or somebody put the files there"
    )


def _admitted(identity: Identity, note: Note) -> bool:
    """Return whether a ledger says that the events of a head may be lost, whoever signed it."""
    head = TreeHead.of(note)
    restore = identity.restore_of(head.origin)
    return restore is not None and head.size <= restore.admitted


def _newest(
    notes: Iterable[Note], origin: str, identity: Identity, more: list[VerifierKey]
) -> tuple[list[Note], list[Note]]:
    """Return the newest trusted head, after that of what was kept where it is another.

    `more` are keys to trust besides those in force. Also return the heads of the origin that are
    not trusted and larger than these, the largest first.
    """
    newest, strange, end = list[Note](), list[Note](), identity.end_of(origin)
    for note in notes:
        if not note.is_head_of(origin):
            continue  # another ledger's, or of another origin
        size = TreeHead.of(note).size
        if not any(note.signed_by(key) for key in (*identity.signers(origin, size), *more)):
            strange += [] if newest or _admitted(identity, note) else [note]
        elif end is None or size <= end:
            return [note, *newest], [each for each in strange if TreeHead.of(each).size > size]
        else:
            newest = newest or [note]
    return newest, strange


def _in_anchor(root: Path, identity: Identity) -> Source:
    """Return the notes in an anchor's folder: of a former origin the largest, then those kept.

    There can be half a million a year: of most no more than the names are looked at.
    """
    tenant = identity.origins[0].origin.rpartition("/")[2]
    folder = _must_be_there(root) / tenant
    names = os.listdir(folder) if folder.is_dir() else []

    def notes_of(origin: str) -> Iterator[Note]:
        found, end = sized(names, origin, tenant), identity.end_of(origin)
        kept = nlargest(MOST, (each for each in found if end is None or each[0] <= end))
        for size, name in dict.fromkeys((*nlargest(1, found), *kept)):
            yield from _note_in(folder / name, size)

    def others() -> Iterator[Note]:
        prefix = identity.origin.rpartition("/")[0]
        for size, name, id_ in of_others(names, identity.names, tenant)[:MOST_NAMES]:
            notes = _note_in(folder / name, size)
            yield from (note for note in notes if note.is_head_of(f"{prefix}/{id_}"))

    return Source(notes_of, others)


def _in_witness(root: Path, identity: Identity) -> Source:
    """Return the notes in a witness's folder, or in folders of several.

    A folder that has heads of the ledger is about it: so are the other heads in it.
    """
    folders = [_must_be_there(root) / HEADS, *root.glob(f"*/{HEADS}")]
    files = [file for folder in folders for file in folder.glob(f"*{SUFFIX}")]
    found = [(int(match[1]), file) for file in files if (match := _SIZE.fullmatch(file.name))]
    largest = nlargest(MOST, found)

    def others() -> Iterator[Note]:
        read = [(file.parent, note) for size, file in largest for note in _note_in(file, size)]
        names = identity.names
        own = {folder for folder, note in read if any(map(note.is_head_of, names))}
        met = dict[str, Note]()
        for folder, note in read:
            if folder in own and not any(map(note.is_head_of, names)):
                met.setdefault(TreeHead.of(note).origin, note)
        yield from list(met.values())[:MOST_NAMES]

    return Source(
        lambda _: (note for size, file in largest for note in _note_in(file, size)), others
    )


def _notes_in(answer: bytes) -> Source:
    """Return the head that an anchor's URL answers with, if it answers with one at all."""
    with suppress(MalformedNote):
        note = Note.parse(saved_text(answer))
        return Source(lambda _: [note])
    return Source(lambda _: [])


def _must_be_there(root: Path) -> Path:
    if not root.is_dir():
        raise LedgerError(f"{root} is not a folder that is there")
    return root


def _note_in(file: Path, size: int) -> Iterator[Note]:
    """Yield the head of a size in a file, if it is one: a write may have been cut off."""
    with suppress(MalformedNote):
        note = Note.parse(saved_text(file))
        if TreeHead.of(note).size == size:
            yield note
