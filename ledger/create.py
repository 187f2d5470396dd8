"""Ledger files: making one whole or not at all, bringing one up to date, who may do so."""

import fcntl
import re
import secrets
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import IO

from ledger import codec
from ledger.atomic_files import make_folder, new_file
from ledger.contract import NO_STREAM, Append, LedgerBusy, LedgerError, LedgerMisnamed
from ledger.events import LEDGER_OPENED, Event, Metadata
from ledger.ledger_stream import stream_of
from ledger.signing.keys import Keys
from ledger.signing.note import Note, SigningKey, TreeHead
from ledger.sqlite import schema
from ledger.sqlite.connection import connect, translate_errors
from ledger.sqlite.ledger import append_events, draft_of

_NAME = re.compile(r"[a-z0-9][a-z0-9-]{0,62}")


def must_name_a_ledger(name: str) -> None:
    """Refuse what is not fit for the name of a ledger; raises LedgerMisnamed."""
    if not _NAME.fullmatch(name):
        raise LedgerMisnamed(name)


def create(
    path: Path, name: str, *, software: str, metadata: Metadata, keys: Keys | None = None
) -> None:
    """Make a new ledger file with its LedgerOpened event, whole or not at all, and its key.

    The key is kept beside it unless `keys` says otherwise.
    Raises LedgerError when there is a file already or the name is not fit for one.
    """
    must_name_a_ledger(name)
    keys = keys or Keys(path.parent)
    make_folder(path.parent)
    with file_lock(path.parent), translate_errors(path):
        if path.exists():
            raise LedgerError(f"there is a ledger at {path} already; nothing was changed")
        _refuse_stray_log(path)
        for torn in path.parent.glob(f".{path.name}.*"):  # of a creation that was cut off
            torn.unlink()
        key = keys.make(f"{name}/{secrets.token_hex(8)}")
        with new_file(path) as draft:
            note = _write_first_event(draft, key, software, metadata)
        keys.settle()
        keys.remember(note)


def _refuse_stray_log(path: Path) -> None:
    """Stop at a log without its file: SQLite would play it into whatever new file is beside it."""
    log = path.with_name(f"{path.name}-wal")
    if log.exists() and log.stat().st_size > 0:
        raise LedgerError(
            f"there is {log}, a log without its ledger: put the ledger back beside it, or move"
            " the log away; nothing was changed"
        )


def migrate(path: Path) -> list[str]:
    """Bring a ledger file's schema up to date; return the names of the steps taken.

    Raises LedgerUnavailable for a file that is no ledger, or one newer than this program.
    """
    schema.look_at(path, schema.check_origin)
    with file_lock(path.parent), translate_errors(path), closing(connect(path)) as connection:
        return schema.migrate(connection)


def _write_first_event(path: Path, key: SigningKey, software: str, metadata: Metadata) -> Note:
    """Write the first event, and a tree head over it: none is ever without one; return it."""
    origin, tenant = key.name, key.name.partition("/")[2]
    effects = {"format": codec.FORMAT, "software": software, "verifier_key": str(key.verifier)}
    with closing(connect(path)) as connection:  # the last one to close removes the log
        schema.migrate(connection)
        connection.execute("BEGIN IMMEDIATE")
        append = Append(stream_of(tenant), NO_STREAM, [Event(LEDGER_OPENED, effects)])
        [opened] = append_events(connection, origin, [draft_of(append, metadata)], metadata)
        connection.execute(
            "INSERT INTO ledger VALUES (1, ?, ?, ?)", (origin, opened.at, codec.FORMAT)
        )
        [leaf] = connection.execute("SELECT leaf_hash FROM event").fetchone()
        note = key.note(TreeHead(origin, 1, leaf).text)
        connection.execute("INSERT INTO tree_head VALUES (1, 1, ?, ?)", (opened.at, str(note)))
        connection.execute("COMMIT")
    return note


@contextmanager
def file_lock(folder: Path, *, timeout: float | None = None) -> Iterator[None]:
    """Hold what only one process may do at a time: making and migrating a ledger, rebuilding.

    Raises LedgerBusy after `timeout` seconds; without it there is no end to waiting.
    """
    with open(folder / "ledger.lock", "a") as file:
        if timeout is None:
            fcntl.flock(file, fcntl.LOCK_EX)
        else:
            _lock_within(file, time.monotonic() + timeout)
        yield


def _lock_within(file: IO[str], deadline: float) -> None:
    while True:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            return
        except BlockingIOError:
            if time.monotonic() > deadline:
                raise LedgerBusy("a rebuild or a migration of the ledger is under way") from None
        time.sleep(0.05)
