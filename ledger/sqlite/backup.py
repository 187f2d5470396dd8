"""Online backup: a consistent copy of a ledger while it is written to."""

import os
import shutil
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

from ledger.atomic_files import new_file
from ledger.contract import LedgerError, Progress
from ledger.sqlite.connection import code_of, connect_read_only, driver, translate_errors

PAGES = 1000  # copied at a time; writers go on in between

_OF_WRITING = (driver.SQLITE_FULL, driver.SQLITE_READONLY, driver.SQLITE_CANTOPEN)


def backup(source: Path, target: Path, progress: Progress) -> int:
    """Copy the ledger at `source` to a new file; return its size in bytes.

    A WAL database must not be copied by hand: the file alone lacks what is still in the log.
    The copy is made under another name and takes its own only when it is whole and on the disk.
    Raises LedgerError when there is a file at `target`.
    """
    if target.is_dir():
        raise LedgerError(
            f"{target} is a folder; nothing was written. Name a file in it, or, to copy every"
            f" ledger to it: scim-ledger backup --all {target}"
        )
    if not target.parent.is_dir():
        raise LedgerError(f"there is no folder {target.parent}; nothing was written")
    try:
        if target.exists():
            raise FileExistsError
        with new_file(target) as draft:
            _copy(source, draft, target, progress)
    except FileExistsError:
        raise LedgerError(f"there is a file at {target} already; nothing was written") from None
    return target.stat().st_size


def _copy(source: Path, draft: Path, target: Path, progress: Progress) -> None:
    with translate_errors(source), closing(connect_read_only(source)) as reader:
        # Within one read transaction the copy is of one state and is never begun again.
        reader.execute("BEGIN")
        reader.execute("SELECT count(*) FROM ledger").fetchone()
        with (
            _blaming(target, draft),
            closing(driver.connect(str(draft), isolation_level=None)) as writer,
        ):
            writer.execute("PRAGMA journal_mode=OFF")  # a copy that fails is thrown away
            reader.backup(
                writer, pages=PAGES, progress=lambda _, left, all_: progress(all_ - left, all_)
            )
            writer.execute("PRAGMA journal_mode=DELETE")  # one file, whole by itself


@contextmanager
def _blaming(target: Path, draft: Path) -> Iterator[None]:
    """Name the copy where it could not be written; other errors are those of what is copied."""
    free = shutil.disk_usage(target.parent).free / 2**20
    try:
        yield
    except driver.OperationalError as error:
        if code_of(error) not in _OF_WRITING and _can_grow(draft):
            raise
        raise LedgerError(
            f"{target.absolute()} cannot be written ({error}): {free:,.1f} MiB were free under"
            f" {target.parent.absolute()}. Nothing was left there; the ledger was only read"
        ) from error


def _can_grow(draft: Path) -> bool:
    """Return whether more can be written to a file: SQLite calls any other failure a disk's."""
    try:
        with draft.open("ab") as file:
            file.write(bytes(4096))
            file.flush()
            os.fsync(file.fileno())
    except OSError:
        return False
    return True
