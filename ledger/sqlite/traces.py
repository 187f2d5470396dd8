"""Looks for marks in the raw bytes of files, in a process of its own (ledger.scrubbing says why).

Reads {"paths": [...], "marks": [hex, ...], "fragments": [hex, ...]} from stdin; writes the paths of
those that hold a mark anywhere, or a fragment where SQLite leaves copies of cells: in the unused
middle of a page, between the pointers to its cells and the cells. A copy may be half overwritten.
"""

import json
import sys
from collections.abc import Collection, Iterator
from typing import BinaryIO

CHUNK = 1 << 24
_MAGIC = b"SQLite format 3\0"
_HEADS = {2: 12, 5: 12, 10: 8, 13: 8}  # kind of page -> bytes before its cell pointers


def holds_any(path: str, marks: Collection[bytes], chunk: int = CHUNK) -> bool:
    """Return whether a file holds one of the marks, which are of small letters."""
    overlap = max(map(len, marks), default=1) - 1
    kept = b""
    with open(path, "rb") as file:
        while read := file.read(chunk):
            window = kept + read.lower()
            if any(mark in window for mark in marks):
                return True
            kept = window[max(len(window) - overlap, 0) :]
    return False


def residues(path: str) -> Iterator[bytes]:
    """Yield what stands in the unused middles of a database's pages, in small letters."""
    with open(path, "rb") as file:
        for start, page in _pages(file):
            head = _HEADS.get(page[start])
            if head:
                cells = int.from_bytes(page[start + 3 : start + 5], "big")
                content = int.from_bytes(page[start + 5 : start + 7], "big") or 65536
                unused = page[start + head + 2 * cells : content].strip(b"\0")
                if unused:
                    yield unused.lower()


def _pages(file: BinaryIO) -> Iterator[tuple[int, bytes]]:
    """Yield the pages of a database, and where the head of each begins; of other files none."""
    head = file.read(100)
    if not head.startswith(_MAGIC):
        return
    size = int.from_bytes(head[16:18], "big")
    size = 65536 if size == 1 else size
    yield 100, head + file.read(size - 100)
    while read := file.read(size * 1024):
        for start in range(0, len(read) - size + 1, size):
            yield 0, read[start : start + size]


def has_traces(path: str, marks: Collection[bytes], fragments: Collection[bytes]) -> bool:
    """Return whether a file holds a mark, or a page's unused middle a fragment."""
    if marks and holds_any(path, marks):
        return True
    return any(part in unused for unused in residues(path) for part in fragments)


def _main() -> None:
    asked = json.load(sys.stdin)
    marks, fragments = (
        {bytes.fromhex(each).lower() for each in asked[name]} for name in ("marks", "fragments")
    )
    json.dump([path for path in asked["paths"] if has_traces(path, marks, fragments)], sys.stdout)


if __name__ == "__main__":
    _main()
