"""The newest tree heads that others hold: an anchor's folder or URL, a witness's folder.

Only what a key of the ledger signed counts: a stray or forged file must not stop the service.
"""

from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from itertools import islice
from pathlib import Path

from ledger.contract import LedgerError
from ledger.http_client import RemoteTrouble, fetch, host_of
from ledger.signing.anchors import SUFFIX, FolderAnchor
from ledger.signing.keys import HEAD_FILE
from ledger.signing.note import KnownHead, MalformedNote, Note, TreeHead, VerifierKey
from ledger.signing.rollback import former_names
from ledger.signing.tree_heads import TreeHeads

HEADS = "heads"  # the folder of a witness's state that holds them
MOST = 200  # files looked at, the newest first, until one is believed
PATIENCE = 2.0  # seconds for an anchor's answer at the start

Warn = Callable[[str], None]
Held = tuple[str, Callable[[], Iterable[Note]]]  # where, and what reads the notes there


def known(
    heads: TreeHeads, anchor: Path | None, witness: Path | None, url: str | None, warn: Warn
) -> Iterator[KnownHead]:
    """Yield the newest heads that are known to others than a ledger's file, its key's first."""
    if note := heads.keys.remembered():
        yield KnownHead(str(heads.keys.folder / HEAD_FILE), note)
    yield from believed(heads, places(heads, anchor, witness, url), warn)


def places(
    heads: TreeHeads, anchor: Path | None, witness: Path | None, url: str | None
) -> Iterator[Held]:
    """Yield where to look for heads of a ledger, the network last."""
    if anchor:
        yield in_anchor(anchor, heads)
    if witness:
        yield in_witness(witness)
    if url:
        yield at_url(url)


def in_anchor(root: Path, heads: TreeHeads) -> Held:
    """Return the heads in an anchor's folder under each name of the ledger, the largest first."""
    anchor = FolderAnchor(heads, root)

    def read() -> Iterator[Note]:
        must_be_there(root)
        for origin in [heads.ledger.origin, *(each.previous for each in former_names(heads))]:
            yield from _notes(anchor.files(origin, MOST))

    return f"the anchor {anchor.folder}", read


def in_witness(root: Path) -> Held:
    """Return the heads in a witness's folder, or in folders of several, the newest first."""

    def read() -> Iterator[Note]:
        folders = [must_be_there(root) / HEADS, *sorted(root.glob(f"*/{HEADS}"))]
        for folder in folders:
            yield from _notes(sorted(folder.glob(f"*{SUFFIX}"), reverse=True))

    return f"the witness {root}", read


def at_url(url: str) -> Held:
    """Return the head that an anchor's URL answers with, if it answers with one at all."""

    def read() -> Iterator[Note]:
        try:
            answer = fetch(url, called=host_of(url), patience=PATIENCE)
        except RemoteTrouble as error:
            if error.status is None:
                raise
            return  # it is for posting only
        with suppress(MalformedNote, UnicodeDecodeError):
            yield Note.parse(answer.decode())

    return f"the anchor {host_of(url)}", read


def believed(heads: TreeHeads, held: Iterable[Held], warn: Warn) -> Iterator[KnownHead]:
    """Yield of each place the newest head that a key of the ledger signed, under each of its names.

    What cannot be read, and what is not believed, is warned about and passed over.
    """
    keys = _keys(heads)
    origins = [heads.ledger.origin, *(each.previous for each in former_names(heads))]
    for source, read in held:
        try:
            notes = read() if len(origins) == 1 else list(read())
            found = [_first(origin, keys, notes, source, warn) for origin in origins]
        except (LedgerError, OSError) as error:
            warn(f"{source} cannot be asked for tree heads: {error}")
            continue
        yield from (KnownHead(source, note) for note in found if note)


def _first(
    origin: str, keys: set[VerifierKey], notes: Iterable[Note], source: str, warn: Warn
) -> Note | None:
    strange = False
    for note in notes:
        if not note.text.startswith(f"{origin}\n"):
            continue  # another ledger's, or of another name
        if any(_signed_by(note, key) for key in keys):
            return note
        strange = True
    if strange:
        warn(f"{source} holds only tree heads of {origin} that no key of it signed: passed over")
    return None


def _signed_by(note: Note, key: VerifierKey) -> bool:
    """Return whether a note is a tree head that a key signed."""
    with suppress(MalformedNote):
        return note.signed_by(key) and TreeHead.of(note).size >= 0
    return False


def _keys(heads: TreeHeads) -> set[VerifierKey]:
    """Return the keys of a ledger: those it tells of, and the one at hand.

    That one may be newer than the events of a ledger that was put back.
    """
    at_hand = heads.keys.at_hand(heads.ledger.origin)
    return {*(period.key for period in heads.periods()), *([at_hand] if at_hand else [])}


def must_be_there(root: Path) -> Path:
    """Return a folder; raises LedgerError where none is."""
    if not root.is_dir():
        raise LedgerError(f"{root} is not a folder that is there")
    return root


def _notes(files: Iterable[Path]) -> Iterator[Note]:
    """Yield the notes in files; what is no note is passed over: a write may have been cut off."""
    for file in islice(files, MOST):
        with suppress(MalformedNote, UnicodeDecodeError):
            yield Note.parse(file.read_text(encoding="utf-8"))
