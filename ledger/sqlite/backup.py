"""Online backup: a consistent copy of a ledger while it is written to."""

import os
import secrets
from collections.abc import Callable
from pathlib import Path

from ledger.atomic_files import sync_folder
from ledger.contract import LedgerError
from ledger.sqlite.connection import connect_read_only, driver, translate_errors

PAGES = 1000  # copied at a time; writers go on in between

Progress = Callable[[int, int], None]


def backup(source: Path, target: Path, progress: Progress) -> int:
    """Copy the ledger at `source` to a new file; return its size in bytes.

    A WAL database must not be copied by hand: the file alone lacks what is still in the log.
    The copy is made under another name and takes its own only when it is whole and on the disk.
    Raises LedgerError when there is a file at `target`.
    """
    if target.exists():
        raise LedgerError(f"there is a file at {target} already; nothing was written")
    if not target.parent.is_dir():
        raise LedgerError(f"there is no folder {target.parent}; nothing was written")
    draft = target.with_name(f"{target.name}.{secrets.token_hex(4)}.part")  # one for each backup
    try:
        _copy(source, draft, progress)
        os.link(draft, target)  # fails if somebody was quicker, unlike a rename
    except FileExistsError:
        raise LedgerError(f"there is a file at {target} already; nothing was written") from None
    finally:
        draft.unlink(missing_ok=True)
    sync_folder(target.parent)
    return target.stat().st_size


def _copy(source: Path, draft: Path, progress: Progress) -> None:
    descriptor = os.open(draft, os.O_CREAT | os.O_EXCL | os.O_RDWR, 0o600)
    os.close(descriptor)
    with translate_errors(source):
        reader = connect_read_only(source)
        writer = driver.connect(str(draft), isolation_level=None)
        try:
            # Within one read transaction the copy is of one state and is never begun again.
            reader.execute("BEGIN")
            reader.execute("SELECT count(*) FROM ledger").fetchone()
            reader.backup(
                writer, pages=PAGES, progress=lambda _, left, all_: progress(all_ - left, all_)
            )
            writer.execute("PRAGMA journal_mode=DELETE")  # one file, whole by itself
        finally:
            writer.close()
            reader.close()
    with open(draft, "rb") as file:
        os.fsync(file.fileno())
