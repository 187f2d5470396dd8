"""Online backup: a consistent copy of a ledger while it is written to."""

from contextlib import closing
from pathlib import Path

from ledger.atomic_files import new_file
from ledger.contract import LedgerError, Progress
from ledger.sqlite.connection import connect_read_only, driver, translate_errors

PAGES = 1000  # copied at a time; writers go on in between


def backup(source: Path, target: Path, progress: Progress) -> int:
    """Copy the ledger at `source` to a new file; return its size in bytes.

    A WAL database must not be copied by hand: the file alone lacks what is still in the log.
    The copy is made under another name and takes its own only when it is whole and on the disk.
    Raises LedgerError when there is a file at `target`.
    """
    if not target.parent.is_dir():
        raise LedgerError(f"there is no folder {target.parent}; nothing was written")
    try:
        if target.exists():
            raise FileExistsError
        with new_file(target) as draft:
            _copy(source, draft, progress)
    except FileExistsError:
        raise LedgerError(f"there is a file at {target} already; nothing was written") from None
    return target.stat().st_size


def _copy(source: Path, draft: Path, progress: Progress) -> None:
    with (
        translate_errors(source),
        closing(connect_read_only(source)) as reader,
        closing(driver.connect(str(draft), isolation_level=None)) as writer,
    ):
        # Within one read transaction the copy is of one state and is never begun again.
        reader.execute("BEGIN")
        reader.execute("SELECT count(*) FROM ledger").fetchone()
        reader.backup(
            writer, pages=PAGES, progress=lambda _, left, all_: progress(all_ - left, all_)
        )
        writer.execute("PRAGMA journal_mode=DELETE")  # one file, whole by itself
