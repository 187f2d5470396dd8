"""An export: the event that says so, a head signed over it, and the lines under that head.

The forms of lines are those of docs/ledger-format.md, "An export".
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import partial
from importlib import resources
from pathlib import Path
from typing import Any

import orjson

from ledger import merkle
from ledger.atomic_files import write_together
from ledger.codec import canonical, entry_leaves, entry_salts
from ledger.contract import LedgerError, LedgerUnavailable, Progress, RawEvent
from ledger.events import ERASED, EXPORTED, PROVING, WITHHELD, Event, Metadata
from ledger.ledger_stream import record
from ledger.signing.tree_heads import TreeHeads

FORMAT = "jsonl"
VERIFIER = "verify.py"
CHUNK = 1000  # lines between two looks at the progress


@dataclass(frozen=True, slots=True)
class Disclosure:
    """What of the payloads is shown: all but secrets, the paths named in `show`, or nothing."""

    show: frozenset[str] | None = None
    withhold: bool = False

    def shows(self, type_: str, path: str) -> bool:
        """Return whether an entry of a payload is shown; `members` means each `members:<id>`."""
        if self.withhold or path in WITHHELD.get(type_, ()):
            return False
        if path in PROVING.get(type_, ()):
            return True
        kind = path if path.startswith("urn:") else path.partition(":")[0]
        return self.show is None or path in self.show or kind in self.show


class Export:
    """The events from `first` to `last` as lines, and what proves them under a head over `size`."""

    def __init__(
        self,
        heads: TreeHeads,
        first: int,
        last: int | None,
        disclosure: Disclosure,
        metadata: Metadata,
    ) -> None:
        """Record the export, and have a head signed: this writes to the ledger.

        Without `last` the lines go up to that head.
        """
        heads.key()  # where no head can be signed nothing is recorded either
        effects = {
            "format": FORMAT,
            "from": first if first > 1 else None,
            "to": last,
            "show": None if disclosure.show is None else sorted(disclosure.show),
            "withhold": disclosure.withhold or None,
        }
        given = {name: value for name, value in effects.items() if value is not None}
        record(heads.ledger, Event(EXPORTED, given), metadata)
        signed = heads.sign()
        self.head = signed.note
        self.first, self.last, self.size = first, last or signed.size, signed.size
        self.unseen = set(disclosure.show or ())  # named to be shown, and in no line so far
        self._heads = heads
        self._disclosure = disclosure

    def lines(self, progress: Progress) -> Iterator[bytes]:
        first, last = self.first, self.last
        for event in self._heads.ledger.raw_events(first, last):
            line = line_of(event, self._disclosure)
            if self.unseen:
                self.unseen -= {name for name in self.unseen if _names(line, name)}
            yield line
            if event.position % CHUNK == 0:
                progress(event.position - first + 1, last - first + 1)
        self._must_be_complete()

    def _must_be_complete(self) -> None:
        """Raise LedgerError if a payload may be gone by an erasure that is not in the lines."""
        since = self._heads.ledger.read_all(self.size)
        if self.last == self.size and any(each.type == ERASED for each in since):
            raise LedgerError("a person was erased while this was being exported: export again")

    def write(self, path: Path, progress: Progress) -> None:
        """Write the lines to a new file, and the files that prove them next to it.

        Raises LedgerError where a file is in the way, and then nothing is written.
        """
        must_be_free(path)
        files: dict[Path, Iterable[bytes]] = {head_path(path): [self.head.encode()]}
        if (self.first, self.last) != (1, self.size):  # or the lines alone give the root
            files[proof_path(path)] = [self._proof()]
        if not path.with_name(VERIFIER).exists():
            files[path.with_name(VERIFIER)] = [verifier()]
        files[path] = self.lines(progress)
        try:
            write_together(files)
        except FileExistsError as error:
            raise _in_the_way(error.filename2) from None

    def _proof(self) -> bytes:
        """Return the hashes of the rest of the tree, from left to right, as JSON."""
        nodes = partial(self._heads.tree.nodes, self.size)
        document = {
            "from": self.first,
            "to": self.last,
            "size": self.size,
            "left": [each.hex() for each in nodes(merkle.cover(0, self.first - 1))],
            "right": [each.hex() for each in nodes(merkle.cover(self.last, self.size))],
        }
        return orjson.dumps(document, option=orjson.OPT_INDENT_2 | orjson.OPT_APPEND_NEWLINE)


def _names(line: bytes, path: str) -> bool:
    """Return whether a line shows a path (a value may look like one: it is for a warning only)."""
    return f'"{path}"'.encode() in line or f'"{path}:'.encode() in line


def must_be_free(path: Path) -> None:
    """Raise LedgerError unless an export can be written to a path, before anything is recorded."""
    if not path.parent.is_dir():
        raise LedgerError(f"there is no folder {path.parent}; nothing was written")
    for each in (path, head_path(path), proof_path(path)):
        if each.exists():
            raise _in_the_way(each)
    other = path.with_name(VERIFIER)
    if other.exists() and (not other.is_file() or other.read_bytes() != verifier()):
        raise LedgerError(f"there is another {other}; nothing was written")


def _in_the_way(path: Path) -> LedgerError:
    return LedgerError(f"there is a file at {path} already; nothing was written")


def head_path(path: Path) -> Path:
    """Return where the tree head of an export is written."""
    return path.with_name(f"{path.name}.tree-head")


def proof_path(path: Path) -> Path:
    """Return where the hashes that prove a part of a ledger are written."""
    return path.with_name(f"{path.name}.proof.json")


def verifier() -> bytes:
    """Return the program that checks an export."""
    return resources.files("ledger.export").joinpath(VERIFIER).read_bytes()


def line_of(event: RawEvent, disclosure: Disclosure) -> bytes:
    """Return an event as a line, the same bytes each time; raises LedgerUnavailable on damage."""
    try:
        type_ = orjson.loads(event.header)["type"]
        start = b'{"header":' + orjson.dumps(event.header.decode())
        if event.body is None or event.salt is None or disclosure.withhold:
            return start + b"}\n"
        payload = orjson.loads(event.body)
        if not isinstance(payload, dict) or canonical(payload) != event.body:
            raise ValueError("the payload is not as it was written")
        if disclosure.show is not None or type_ in WITHHELD:
            return start + b"," + _part(type_, payload, event.salt, disclosure)
        return b'%b,"payload":%b,"salt":"%b"}\n' % (start, event.body, event.salt.hex().encode())
    except (ValueError, KeyError, TypeError) as error:
        raise LedgerUnavailable(
            f"the event at position {event.position} is damaged; `scim-ledger verify` says more",
            reason="damaged file",
        ) from error


def _part(type_: str, payload: dict[str, Any], salt: bytes, disclosure: Disclosure) -> bytes:
    """Return the end of a line that shows some entries and proves the others hidden."""
    salts = entry_salts(salt, len(payload))
    shown = [
        [i, path, payload[path], salts[i].hex()]
        for i, path in enumerate(sorted(payload))
        if disclosure.shows(type_, path)
    ]
    leaves = [leaf.hex() for leaf in entry_leaves(payload, salt)]
    return orjson.dumps({"leaves": leaves, "shown": shown})[1:] + b"\n"
