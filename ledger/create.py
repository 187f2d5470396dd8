"""Creates and migrates a ledger's file."""

import re
import secrets
from pathlib import Path

from ledger import codec
from ledger.atomic_files import make_folder, new_file
from ledger.background import file_lock
from ledger.contract import NO_STREAM, Append, LedgerError, LedgerMisnamed
from ledger.events import LEDGER_OPENED, Event, Metadata
from ledger.ledger_stream import stream_of
from ledger.signing.keys import Keys
from ledger.signing.note import Note, TreeHead
from ledger.sqlite import schema
from ledger.sqlite.ledger import initialise

_NAME = re.compile(r"[a-z0-9][a-z0-9-]{0,62}")


def must_name_a_ledger(name: str) -> None:
    """Raise LedgerMisnamed for what cannot be the name of a ledger."""
    if not _NAME.fullmatch(name):
        raise LedgerMisnamed(
            f"{name!r} cannot name a ledger: use lower-case letters, digits and hyphens"
        )


def create(
    path: Path, name: str, *, software: str, metadata: Metadata, keys: Keys | None = None
) -> None:
    """Create a ledger file with its LedgerOpened event, whole or not at all, and its key.

    The key is kept in the same folder unless `keys` says otherwise. Raises LedgerError when there
    is a file already, LedgerMisnamed for a name that is not fit.
    """
    must_name_a_ledger(name)
    keys = keys or Keys(path.parent)
    make_folder(path.parent)
    with file_lock(path.parent):
        if path.exists():
            raise LedgerError(f"there is a ledger at {path} already; nothing was changed")
        log = path.with_name(f"{path.name}-wal")
        if log.exists() and log.stat().st_size > 0:  # SQLite would replay it into the new file
            raise LedgerError(
                f"there is {log}, a log without its ledger: put the ledger back next to it, or move"
                " the log away; nothing was changed"
            )
        for torn in path.parent.glob(f".{path.name}.*"):  # of a creation that was cut off
            torn.unlink()
        key = keys.make(f"{name}/{secrets.token_hex(8)}")
        effects = {"format": codec.FORMAT, "software": software, "verifier_key": str(key.verifier)}
        stream = stream_of(key.name.partition("/")[2])
        opened = Append(stream, NO_STREAM, [Event(LEDGER_OPENED, effects)])

        def sign(leaf: bytes) -> str:
            return str(key.note(TreeHead(key.name, 1, leaf).text))

        with new_file(path) as draft:
            head = initialise(draft, key.name, opened, metadata, sign)
        keys.settle()
        keys.remember(Note.parse(head))


def migrate(path: Path) -> list[str]:
    """Bring a ledger file's schema up to date; return the names of the steps taken.

    Raises LedgerUnavailable for a file that is no ledger, or one newer than this program.
    """
    schema.look_at(path, oldest=0)
    with file_lock(path.parent):
        return schema.migrate_file(path)
