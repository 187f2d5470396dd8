"""An export: the event that says so, a head signed over it, and the lines under that head."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from importlib import resources
from pathlib import Path
from typing import Any

import orjson

from ledger import merkle
from ledger.atomic_files import write_together
from ledger.contract import LedgerError, Progress
from ledger.events import EXPORTED, Event, Metadata
from ledger.export.line import FORMAT, Disclosure, line_of
from ledger.ledger_stream import record
from ledger.signing.tiles import Tree
from ledger.signing.tree_heads import TreeHeads

VERIFIER = "verify.py"
CHUNK = 1000  # lines between two looks at the progress


class InTheWay(LedgerError):
    """A file is where one was to be written."""

    def __init__(self, path: Path) -> None:
        super().__init__(f"there is a file at {path} already; nothing was written")
        self.path = path


@dataclass(frozen=True, slots=True)
class Order:
    """A request for an export; without `last` up to the head that is signed for it."""

    first: int
    last: int | None
    disclosure: Disclosure

    def effects(self) -> dict[str, Any]:
        """Return the options that were given, for the event that records the export."""
        shown = self.disclosure.show
        given = {
            "from": self.first if self.first > 1 else None,
            "to": self.last,
            "show": None if shown is None else sorted(shown),
            "withhold": self.disclosure.withhold or None,
        }
        return {"format": FORMAT, **{k: v for k, v in given.items() if v is not None}}


@dataclass(frozen=True, slots=True)
class Span:
    """The positions from `first` to `last` among the first `size` events of a ledger."""

    first: int
    last: int
    size: int

    @property
    def whole(self) -> bool:
        """Return whether it leaves out nothing, so that the lines alone give the root."""
        return (self.first, self.last) == (1, self.size)

    def proof(self, tree: Tree) -> bytes:
        """Return the hashes of the rest of the tree, from left to right, as JSON."""
        left = tree.nodes(self.size, merkle.cover(0, self.first - 1))
        right = tree.nodes(self.size, merkle.cover(self.last, self.size))
        document = {
            "from": self.first,
            "to": self.last,
            "size": self.size,
            "left": [each.hex() for each in left],
            "right": [each.hex() for each in right],
        }
        return orjson.dumps(document, option=orjson.OPT_INDENT_2 | orjson.OPT_APPEND_NEWLINE)


class Export:
    """The lines of an order and what proves them."""

    def __init__(self, heads: TreeHeads, order: Order, metadata: Metadata) -> None:
        """Record the export, and have a head signed: this writes to the ledger."""
        self._heads = heads
        self._disclosure = order.disclosure
        heads.key()  # where no head can be signed nothing is recorded either
        record(heads.ledger, Event(EXPORTED, order.effects()), metadata)
        signed = heads.sign()
        self.head = signed.note
        self.unseen = set(order.disclosure.show or ())  # named to be shown, and in no line so far
        self.span = Span(order.first, order.last or signed.size, signed.size)

    def lines(self, progress: Progress) -> Iterator[bytes]:
        first, last = self.span.first, self.span.last
        for event in self._heads.ledger.raw_events(first, last):
            line = line_of(event, self._disclosure)
            self.unseen -= {name for name in self.unseen if _names(line, name)}
            yield line
            if event.position % CHUNK == 0:
                progress(event.position - first + 1, last - first + 1)

    def write(self, path: Path, progress: Progress) -> None:
        """Write the lines to a new file, and the files that prove them next to it.

        Raises LedgerError where a file is in the way, and then nothing is written.
        """
        must_be_free(path)
        files: dict[Path, Iterable[bytes]] = {head_path(path): [self.head.encode()]}
        if not self.span.whole:
            files[proof_path(path)] = [self.span.proof(self._heads.tree)]
        if not path.with_name(VERIFIER).exists():
            files[path.with_name(VERIFIER)] = [verifier()]
        files[path] = self.lines(progress)
        try:
            write_together(files)
        except FileExistsError as error:
            raise InTheWay(Path(error.filename2)) from None


def _names(line: bytes, path: str) -> bool:
    """Return whether a line shows a path (a value may look like one: it is for a warning only)."""
    return f'"{path}"'.encode() in line or f'"{path}:'.encode() in line


def must_be_free(path: Path) -> None:
    """Raise LedgerError unless an export can be written to a path, before anything is recorded."""
    if not path.parent.is_dir():
        raise LedgerError(f"there is no folder {path.parent}; nothing was written")
    for each in (path, head_path(path), proof_path(path)):
        if each.exists():
            raise InTheWay(each)
    other = path.with_name(VERIFIER)
    if other.exists() and (not other.is_file() or other.read_bytes() != verifier()):
        raise LedgerError(f"there is another {other}; nothing was written")


def head_path(path: Path) -> Path:
    """Return where the tree head of an export is written."""
    return path.with_name(f"{path.name}.tree-head")


def proof_path(path: Path) -> Path:
    """Return where the hashes that prove a part of a ledger are written."""
    return path.with_name(f"{path.name}.proof.json")


def verifier() -> bytes:
    """Return the program that checks an export."""
    return resources.files("ledger.export").joinpath(VERIFIER).read_bytes()
