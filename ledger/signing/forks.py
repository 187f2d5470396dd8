"""Where the heads that others hold part from a ledger: all of them count, few are read."""

import os
from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from heapq import nlargest
from pathlib import Path

from ledger.signing.anchors import SUFFIX
from ledger.signing.identity import Identity
from ledger.signing.known_heads import HEADS, MOST, HeadSources
from ledger.signing.note import KnownHead, MalformedNote, Note, TreeHead, saved_text


class Histories:
    """The heads of a ledger's origin in the folders of others, compared with its events.

    A folder numbers its heads, and there can be half a million a year. From some number on, each
    has a head that the ledger does not agree with, if any has: so the first is searched for.
    """

    def __init__(
        self, sources: HeadSources, identity: Identity, agrees: Callable[[TreeHead], bool]
    ) -> None:
        """`agrees` says whether a head was signed over the first events of the ledger."""
        self.differing: list[KnownHead] = []  # the largest of each folder
        self.near_the_fork: list[KnownHead] = []  # the last before it and the first after it
        at_hand = sources.keys and sources.keys.at_hand(identity.origin)  # maybe a newer one
        self._keys = [*identity.keys_of(identity.origin), *([at_hand] if at_hand else [])]
        self._origin, self._agrees = identity.origin, agrees
        for source, folder in _folders(sources, identity):
            with suppress(OSError):  # known_heads says whom nobody can ask
                self._look(source, folder)

    def _look(self, source: str, folder: Path) -> None:
        files = _numbered(folder)
        numbers, heads = sorted(files), dict[int, list[KnownHead]]()

        def differing(number: int) -> list[KnownHead]:
            if number not in heads:
                paths = (folder / name for name in files[number])
                heads[number] = [KnownHead(source, note) for note in self._trusted(paths)]
            return [each for each in heads[number] if not self._agrees(each.head)]

        twice = nlargest(MOST, (number for number in numbers if len(files[number]) > 1))
        found = [number for number in sorted({*numbers[-MOST:], *twice}) if differing(number)]
        if not found:
            return
        all_found = (each for number in found for each in differing(number))
        self.differing.append(max(all_found, key=lambda each: each.head.size))
        low, high = -1, numbers.index(found[0])
        while high - low > 1:
            middle = (low + high) // 2
            low, high = (low, middle) if differing(numbers[middle]) else (middle, high)
        for number in numbers[max(low, 0) : high + 1]:
            differing(number)
            self.near_the_fork += heads[number]

    def _trusted(self, files: Iterable[Path]) -> Iterator[Note]:
        for file in files:
            with suppress(MalformedNote):
                note = Note.parse(saved_text(file))
                if note.is_head_of(self._origin) and any(note.signed_by(k) for k in self._keys):
                    yield note


def _folders(sources: HeadSources, identity: Identity) -> Iterator[tuple[str, Path]]:
    if sources.anchor:
        tenant = identity.origins[0].origin.rpartition("/")[2]
        yield f"the anchor {sources.anchor}", sources.anchor / tenant
    if witness := sources.witness:
        for folder in (witness / HEADS, *witness.glob(f"*/{HEADS}")):
            yield f"the witness {witness}", folder


def _numbered(folder: Path) -> dict[int, list[str]]:
    """Return the names of the heads in a folder, by their numbers."""
    found: dict[int, list[str]] = {}
    for name in os.listdir(folder) if folder.is_dir() else ():
        number = name.partition("-")[0]
        if name.endswith(SUFFIX) and number.isascii() and number.isdigit():
            found.setdefault(int(number), []).append(name)
    return found
