"""Files that are there together and whole, or not at all."""

import os
import secrets
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import BinaryIO

from ledger.atomic_files import sync_folder
from ledger.contract import LedgerError

Writer = Callable[[BinaryIO], object]


class InTheWay(LedgerError):
    """A file is where one was to be written."""

    def __init__(self, path: Path) -> None:
        super().__init__(f"there is a file at {path} already; nothing was written")
        self.path = path


def publish(files: Mapping[Path, Writer]) -> None:
    """Write new files of one folder, readable by their owner only; durable when this returns.

    They take their names, one after the other, when all are written. Raises InTheWay, and what a
    writer raises.
    """
    drafts: dict[Path, Path] = {}
    named: list[Path] = []
    try:
        for path, write in files.items():
            drafts[path] = path.with_name(f".{path.name}.{secrets.token_hex(4)}")
            _write(drafts[path], write)
        for path, draft in drafts.items():
            _name(draft, path)
            named.append(path)
    except BaseException:
        for path in named:
            path.unlink()
        raise
    finally:
        for draft in drafts.values():
            draft.unlink(missing_ok=True)
    for folder in {path.parent for path in files}:
        sync_folder(folder)


def _write(draft: Path, write: Writer) -> None:
    descriptor = os.open(draft, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600)
    with open(descriptor, "wb") as file:
        write(file)
        file.flush()
        os.fsync(file.fileno())


def _name(draft: Path, path: Path) -> None:
    try:
        os.link(draft, path)  # fails if somebody was quicker, unlike a rename
    except FileExistsError:
        raise InTheWay(path) from None
