"""Creates and migrates a ledger's file."""

import re
import secrets
from collections.abc import Sequence
from pathlib import Path

from ledger import codec
from ledger.atomic_files import make_folder, new_file, sync_folder
from ledger.background import file_lock
from ledger.contract import NO_STREAM, Append, LedgerError, LedgerMisnamed, LedgerMissing
from ledger.events import LEDGER_OPENED, Event, Metadata
from ledger.ledger_stream import stream_of
from ledger.signing.keys import NEXT_FILE, Keys
from ledger.signing.note import Note, TreeHead
from ledger.sqlite import schema
from ledger.sqlite.connection import JOURNAL, SIDE_FILES, undo_cut_off
from ledger.sqlite.ledger import initialise

_NAME = re.compile(r"[a-z0-9][a-z0-9-]{0,62}")
# What a service or a command wrote about a ledger and left next to it.
_LEFT = (*sorted(SIDE_FILES), "anchor-folder.json", "anchor-url.json", "verified.json")


def may_name_a_ledger(name: str) -> bool:
    """Return whether a text can be the name of a ledger."""
    return _NAME.fullmatch(name) is not None


def must_name_a_ledger(name: str) -> None:
    """Raise LedgerMisnamed for what cannot be the name of a ledger."""
    if not may_name_a_ledger(name):
        raise LedgerMisnamed(
            f"{name!r} cannot name a ledger: use lower-case letters, digits and hyphens"
        )


class LedgerAway(LedgerMissing):
    """There is no ledger at a path, but there are files that belong to one."""

    def __init__(self, path: Path, left: Sequence[Path]) -> None:
        super().__init__(
            f"there is no ledger at {path.absolute()}, but what belongs to one is there:"
            f" {', '.join(str(each.absolute()) for each in left)}. Nothing was made or changed."
            " Put the ledger back (ledger.db, and ledger.db-wal if it had one; is a disk not"
            " mounted?), or run `scim-ledger restore BACKUP`, or, for a new ledger under this name,"
            " move these files away and keep them",
            path,
            reason="ledger missing",
        )


def left_of(path: Path, keys: Keys) -> list[Path]:
    """Return the files of a ledger that are there, whether it is there itself or not.

    The key of a creation that was cut off does not count: the draft of its ledger is there too.
    """
    waiting = keys.folder / NEXT_FILE
    found = keys.traces() + [
        path.with_name(name) for name in _LEFT if path.with_name(name).exists()
    ]
    for log in (Path(f"{path}-wal"), Path(f"{path}{JOURNAL}")):
        if log.exists() and log.stat().st_size > 0:  # SQLite would replay it into the new file
            found.append(log)
    if waiting.exists() and not _drafts(path):
        found.append(waiting)
    return found


def _drafts(path: Path) -> list[Path]:
    """Return what a creation that was cut off left of a ledger's file."""
    return list(path.parent.glob(f".{path.name}.*"))


def _must_be_free(path: Path, keys: Keys) -> None:
    """Raise LedgerError where a ledger is, or was."""
    left = left_of(path, keys)  # before the ledger: one that is being made puts its key last
    if path.exists():
        raise LedgerError(f"there is a ledger at {path.absolute()} already; nothing was changed")
    if left:
        raise LedgerAway(path, left)


def create(
    path: Path, name: str, *, software: str, metadata: Metadata, keys: Keys | None = None
) -> None:
    """Create a ledger file with its LedgerOpened event, whole or not at all, and its key.

    The key is kept in the same folder unless `keys` says otherwise. Raises LedgerError when there
    is a file already, LedgerAway where something of a ledger is, LedgerMisnamed for a name that is
    not fit. Cut off at any moment, it can be repeated.
    """
    must_name_a_ledger(name)
    keys = keys or Keys(path.parent)
    _must_be_free(path, keys)
    make_folder(path.parent)
    with file_lock(path.parent):
        _must_be_free(path, keys)
        if torn := _drafts(path):
            keys.discard()  # before the draft, which says that it is of no ledger
            for each in torn:
                each.unlink()
        try:
            with new_file(path) as draft:
                head = _fill(draft, name, software, metadata, keys)
        except BaseException:
            keys.discard()
            raise
        keys.settle()
        keys.remember(Note.parse(head))


def _fill(draft: Path, name: str, software: str, metadata: Metadata, keys: Keys) -> str:
    """Make a draft a ledger, and a key for it; return its first head.

    The draft is on the disk before the key: a key alone is never that of a creation cut off.
    """
    sync_folder(draft.parent)
    key = keys.make(f"{name}/{secrets.token_hex(8)}")
    effects = {"format": codec.FORMAT, "software": software, "verifier_key": str(key.verifier)}
    stream = stream_of(key.name.partition("/")[2])
    opened = Append(stream, NO_STREAM, [Event(LEDGER_OPENED, effects)])

    def sign(leaf: bytes) -> str:
        return str(key.note(TreeHead(key.name, 1, leaf).text))

    return initialise(draft, key.name, opened, metadata, sign)


def migrate(path: Path) -> list[str]:
    """Bring a ledger file's schema up to date; return the names of the steps taken.

    Raises LedgerUnavailable for a file that is no ledger, or one newer than this program.
    """
    undo_cut_off(path)
    schema.look_at(path, oldest=0)
    with file_lock(path.parent):
        return schema.migrate_file(path)
