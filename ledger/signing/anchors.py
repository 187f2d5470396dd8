"""Anchors: where each tree head goes, in order, out of the operator's reach."""

import fcntl
import hashlib
import json
import os
import re
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path

from ledger.atomic_files import make_folder, sync_file, write_once, write_whole
from ledger.contract import LedgerError, StoredHead
from ledger.http_client import fetch, host_of
from ledger.signing.tree_heads import TreeHeads

AT_ONCE = 100  # heads delivered in one step
STEP = 5.0  # seconds that a step takes at most, and an answer to one head
LONGEST_PAUSE = 300.0  # seconds between two attempts
SUFFIX = ".tree-head"
LOCK_FILE = "anchors.lock"

_OF_LATER = re.compile(
    rf"[0-9]+-([0-9]{{1,19}})-([0-9a-f]{{16}})(?:\.[2-9])?{re.escape(SUFFIX)}", re.ASCII
)


class AnchorTrouble(LedgerError):
    """A head could not be delivered; it is tried again."""


@contextmanager
def only_writer(folder: Path) -> Iterator[None]:
    """Hold what one process of a ledger's folder may do at a time: write a head into an anchor.

    At its end a worker delivers what it recorded, though another may just write the same: a file
    that is not whole yet would look cut off.
    """
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)


class Anchor:
    """A job that delivers the heads of one ledger, in order, and remembers how far it is."""

    kind = ""

    def __init__(self, heads: TreeHeads, target: str, display_name: str) -> None:
        """`target` identifies the anchor; `display_name` is for messages."""
        self.display_name = display_name
        self._heads = heads
        self._target = _digest(target)
        self._trouble: LedgerError | OSError | None = None
        self._pause = 0.0
        self._next_try = 0.0

    @property
    def path(self) -> Path:
        return self._heads.ledger.path

    @property
    def state_file(self) -> Path:
        """The file next to the ledger that says how far the anchor is."""
        return self.path.with_name(f"anchor-{self.kind}.json")

    def deliver(self, signed: StoredHead) -> None:
        """Hand a head over; when this returns, the anchor has it. May raise LedgerError."""
        raise NotImplementedError

    def pending(self) -> int:
        """Return how many heads are not delivered yet."""
        newest = self._heads.ledger.newest_head()
        return newest.number - self._delivered() if newest else 0

    def step(self) -> bool:
        """Deliver some heads, unless it failed lately; return whether there are more."""
        if self._trouble and time.monotonic() < self._next_try:
            raise self._trouble
        try:
            more = self._deliver_some(time.monotonic() + STEP)
        except (LedgerError, OSError) as error:
            self._trouble = error
            self._pause = min(max(2 * self._pause, 2.0), LONGEST_PAUSE)
            self._next_try = time.monotonic() + self._pause
            raise
        self._trouble, self._pause = None, 0.0
        return more

    def settled(self) -> bool:
        return True

    def finish(self) -> None:
        """Do nothing: the rest is delivered when a service runs again."""

    def _deliver_some(self, deadline: float) -> bool:
        last = None
        heads = self._heads.ledger.heads(self._delivered(), AT_ONCE)
        try:
            for signed in heads:
                self.deliver(signed)
                last = signed
                if time.monotonic() > deadline:
                    return True
        finally:
            if last:
                self._note(last)
        return len(heads) == AT_ONCE

    def _delivered(self) -> int:
        """Return the number of the head that was delivered last.

        A note of another ledger or of another anchor does not count: then all heads under the
        present origin are delivered.
        """
        try:
            state = json.loads(self.state_file.read_text(encoding="utf-8"))
            number = int(state["number"])
            [same] = self._heads.ledger.heads(number - 1, 1)
            if (state["target"], state["note"]) == (self._target, _digest(same.note)):
                return number
        except (OSError, ValueError, KeyError, TypeError):
            pass
        first = f"{self._heads.ledger.origin}\n"
        return next((h.number - 1 for h in self._heads.every() if h.note.startswith(first)), 0)

    def _note(self, signed: StoredHead) -> None:
        state = {"target": self._target, "number": signed.number, "note": _digest(signed.note)}
        write_whole(self.state_file, json.dumps(state).encode())


class FolderAnchor(Anchor):
    """A folder where each head becomes a file that is never rewritten, such as a WORM mount."""

    kind = "folder"

    def __init__(self, heads: TreeHeads, root: Path) -> None:
        super().__init__(heads, str(root), f"folder {root}")
        self._root = root
        self.folder = root / heads.ledger.tenant

    def deliver(self, signed: StoredHead) -> None:
        """Write a head's file, unless it is there; raises AnchorTrouble or OSError."""
        if not self._root.is_dir():
            raise AnchorTrouble(f"the folder {self._root} is not there")
        make_folder(self.folder, mode=0o777)
        with only_writer(self.path.parent):
            self._write(signed)

    def _write(self, signed: StoredHead) -> None:
        for attempt in range(1, 10):
            path = self.folder / self._name(signed, attempt)
            try:
                return write_once(path, signed.note.encode())
            except FileExistsError:
                if path.read_bytes() == signed.note.encode():
                    return sync_file(path)  # whoever wrote it may have been cut off before
        raise AnchorTrouble(f"{self.folder} holds other files in the place of {path.name}")

    def finish(self) -> None:
        """Deliver the last heads; it takes no network."""
        self.step()

    def _name(self, signed: StoredHead, attempt: int) -> str:
        """Name a head, again if a write was cut off."""
        again = f".{attempt}" if attempt > 1 else ""
        mark = _mark(self._heads.ledger.origin, self._heads.ledger.tenant)
        return f"{signed.number:010}-{signed.size}{mark}{again}{SUFFIX}"


class UrlAnchor(Anchor):
    """A URL to which each head is posted as text."""

    kind = "url"

    def __init__(self, heads: TreeHeads, url: str) -> None:
        super().__init__(heads, url, host_of(url))
        self._url = url

    def deliver(self, signed: StoredHead) -> None:
        """Post a head; raises RemoteTrouble unless a 2xx is answered."""
        fetch(self._url, body=signed.note.encode(), display_name=self.display_name, timeout=STEP)


def anchors(heads: TreeHeads, folder: Path | None, url: str | None) -> list[Anchor]:
    """Return the anchors of a ledger, as far as they are configured."""
    found: list[Anchor] = [FolderAnchor(heads, folder)] if folder else []
    return [*found, UrlAnchor(heads, url)] if url else found


def sized(names: Iterable[str], origin: str, tenant: str) -> list[tuple[int, str]]:
    """Return size and name of the files in an anchor's folder that are heads of an origin."""
    mark = re.escape(_mark(origin, tenant))
    form = re.compile(rf"[0-9]+-([0-9]{{1,19}}){mark}(?:\.[2-9])?{re.escape(SUFFIX)}", re.ASCII)
    return [(int(match[1]), match[0]) for match in map(form.fullmatch, names) if match]


def of_others(
    names: Iterable[str], origins: Iterable[str], tenant: str
) -> list[tuple[int, str, str]]:
    """Return size, name and id of the largest head each of other origins in an anchor's folder."""
    known = {tenant, *(origin.rpartition("/")[2] for origin in origins)}
    found = dict[str, tuple[int, str, str]]()
    for match in filter(None, map(_OF_LATER.fullmatch, names)):
        size, name, id_ = int(match[1]), match[0], match[2]
        if id_ not in known:
            found[id_] = max(found.get(id_, (0, "", "")), (size, name, id_))
    return sorted(found.values(), reverse=True)


def _mark(origin: str, tenant: str) -> str:
    """Return what the names of files have for an origin: nothing for the first one."""
    id_ = origin.rpartition("/")[2]
    return "" if id_ == tenant else f"-{id_}"


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()
