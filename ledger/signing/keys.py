"""The key that signs a ledger's tree heads, and the newest head it signed: outside its file.

Whoever has only the ledger's file cannot sign, and a ledger that was restored from a backup is
compared with the head that its key has signed since.
"""

import base64
import binascii
import os
import stat
from contextlib import suppress
from pathlib import Path

from ledger import owners
from ledger.atomic_files import make_folder, sync_folder, write_whole
from ledger.contract import UNREADABLE, LedgerError, LedgerUnavailable
from ledger.signing.note import (
    SEED_SIZE,
    MalformedNote,
    Note,
    SigningKey,
    TreeHead,
    VerifierKey,
    saved_text,
)

KEY_FILE = "signing.key"
NEXT_FILE = "signing.key.next"  # a key whose KeyRotated event may not be recorded yet
HEAD_FILE = "signing.head"
VARIABLE = "SCIM_SIGNING_KEY"


class KeyUnusable(LedgerError):
    """No tree head can be signed: the key is missing, unreadable or not the ledger's."""


class Keys:
    """The signing key of one ledger: in a folder, or given by the environment."""

    def __init__(self, folder: Path, given: str | None = None) -> None:
        """`given` is a key as text, or its 32 bytes in base64, and then there is no key file."""
        self.folder = folder
        self.given = given

    @property
    def file(self) -> Path:
        return self.folder / KEY_FILE

    def traces(self) -> list[Path]:
        """Return the files of a key in use and of a head: where one is, a ledger was."""
        return [self.folder / name for name in (KEY_FILE, HEAD_FILE) if _there(self.folder / name)]

    def origins(self) -> dict[Path, str]:
        """Return the origin that a key in use and a head name, where they can be read."""
        found = {self.file: _name_in(self.file)}
        with suppress(LedgerError):
            if note := self.remembered():
                found[self.folder / HEAD_FILE] = TreeHead.of(note).origin
        return {path: origin for path, origin in found.items() if origin}

    def find(self, in_force: VerifierKey) -> SigningKey:
        """Return the key that signs now; raises KeyUnusable."""
        if self.given:
            key = SigningKey(in_force.name, seed_of(self.given))
            if key.verifier != in_force:
                raise KeyUnusable(f"{VARIABLE} is not the key of {in_force.name}, {in_force}")
            return key
        if self._read(NEXT_FILE, in_force):
            self.settle()  # a rotation was cut off after its event was recorded
        if found := self._read(KEY_FILE, in_force):
            return found
        if kept := self.search(in_force):
            return kept  # the ledger was put back from before a restore
        if _there(self.file):
            raise KeyUnusable(f"{self.file} is not the key of this ledger, {in_force}")
        raise KeyUnusable(
            f"there is no signing key at {self.file}: put the key of {in_force.name} back, or,"
            " if it is lost, see `scim-ledger recover --help`"
        )

    def _read(self, name: str, in_force: VerifierKey) -> SigningKey | None:
        """Return the key in a file if it is the one in force."""
        path = self.folder / name
        try:
            key = SigningKey.parse(saved_text(path))
        except (FileNotFoundError, NotADirectoryError):
            return None
        except OSError as error:
            raise KeyUnusable(owners.unreadable(path, error)) from error
        except MalformedNote as error:
            raise KeyUnusable(f"{path} cannot be read as a signing key: {error}") from error
        return key if key.verifier == in_force else None

    def at_hand(self, origin: str) -> VerifierKey | None:
        """Return the key that is there, in force or not; None where none can be read."""
        with suppress(LedgerError, OSError):
            if self.given:
                return SigningKey(origin, seed_of(self.given)).verifier
            return SigningKey.parse(saved_text(self.file)).verifier
        return None

    def search(self, wanted: VerifierKey | None) -> SigningKey | None:
        """Return a key if it is anywhere in the folder, in use or kept, or the one given."""
        if wanted is None:
            return None
        if self.given:
            key = SigningKey(wanted.name, seed_of(self.given))
            return key if key.verifier == wanted else None
        for path in sorted(self.folder.glob(f"{KEY_FILE}*")):
            with suppress(KeyUnusable):
                if found := self._read(path.name, wanted):
                    return found
        return None

    def signed(self, note: Note) -> bool:
        """Return whether a key that is anywhere in the folder, or the one given, signed a note."""
        if self.given:
            with suppress(KeyUnusable):
                name = note.text.partition("\n")[0]
                return note.signed_by(SigningKey(name, seed_of(self.given)).verifier)
        for path in self.folder.glob(f"{KEY_FILE}*"):
            with suppress(MalformedNote, OSError):
                if note.signed_by(SigningKey.parse(saved_text(path)).verifier):
                    return True
        return False

    def make(self, origin: str, given: str | None = None) -> SigningKey:
        """Return a new key of an origin, kept but not yet in use: `settle` puts it to use.

        One that is `given`, here or by the environment, is taken instead.
        """
        chosen = given or self.given
        key = SigningKey(origin, seed_of(chosen) if chosen else os.urandom(SEED_SIZE))
        if self.given:
            return key
        make_folder(self.folder)
        for torn in self.torn():
            torn.unlink(missing_ok=True)
        write_whole(self.folder / NEXT_FILE, f"{key.private_text()}\n".encode())
        return key

    def torn(self) -> list[Path]:
        """Return the private keys that were cut off while they were written."""
        return list(self.folder.glob(f".{NEXT_FILE}.*"))

    def discard_foreign(self, origin: str | None) -> None:
        """Remove a key that was made for another origin than the one in force."""
        waiting = _name_in(self.folder / NEXT_FILE)
        if waiting and waiting != origin:
            self.discard()

    def discard(self) -> None:
        """Remove a key that was made and will not be put to use."""
        if (self.folder / NEXT_FILE).exists():
            (self.folder / NEXT_FILE).unlink()
            sync_folder(self.folder)

    def settle(self) -> None:
        """Put the key that was made last to use, in place of an earlier one of its origin.

        A key of another origin is kept under another name: the ledger it signs for may be away.
        """
        if (self.folder / NEXT_FILE).exists():
            self._keep_foreign(_name_in(self.folder / NEXT_FILE))
            os.replace(self.folder / NEXT_FILE, self.file)
            sync_folder(self.folder)

    def _keep_foreign(self, origin: str | None) -> None:
        if not self.file.exists() or (found := _name_in(self.file)) == origin is not None:
            return
        mark = found.rpartition("/")[2] if found else "unknown"
        for number in range(1, 1000):
            again = f".{number}" if number > 1 else ""
            with suppress(FileExistsError):
                return os.link(self.file, self.folder / f"{KEY_FILE}.{mark}{again}")

    def rights(self) -> str | None:
        """Return what is wrong with the rights of the key file, if anything is."""
        if self.given or not _there(self.file):
            return None
        mode = stat.S_IMODE(self.file.stat().st_mode)
        return f"others can read {self.file}: chmod 600 {self.file}" if mode & 0o077 else None

    def remember(self, note: Note) -> None:
        """Keep the newest head, next to the key."""
        make_folder(self.folder)
        write_whole(self.folder / HEAD_FILE, str(note).encode())

    def remembered(self) -> Note | None:
        """Return the newest head that the key signed; raises LedgerUnavailable if it is damaged."""
        path = self.folder / HEAD_FILE
        try:
            return Note.parse(saved_text(path))
        except (FileNotFoundError, NotADirectoryError):
            return None
        except OSError as error:
            says = owners.unreadable(path, error)
            raise LedgerUnavailable(says, reason=UNREADABLE) from error
        except MalformedNote as error:
            raise LedgerUnavailable(
                f"{path} cannot be read as a tree head: {error}. It is the newest head that was"
                " signed: put it back from a copy, or from whoever holds one; if there is none,"
                " move it away, and what was signed before is known to others only",
                reason="damaged signing.head",
            ) from error


def _there(path: Path) -> bool:
    """Return whether there is a file, also in a folder that is closed to this process."""
    try:
        path.stat()
    except (FileNotFoundError, NotADirectoryError):
        return False
    except OSError:
        return True
    return True


def _name_in(path: Path) -> str | None:
    """Return the name of the key in a file; None where there is no key in it."""
    with suppress(MalformedNote, OSError):
        return SigningKey.parse(saved_text(path)).name
    return None


def seed_of(given: str) -> bytes:
    """Return a key's seed from a text as an environment can give it; raises KeyUnusable."""
    try:
        if given.startswith("PRIVATE+KEY+"):
            return SigningKey.parse(given).seed
        seed = base64.b64decode(given.strip(), validate=True)
    except (MalformedNote, binascii.Error, ValueError):
        seed = b""
    if len(seed) != SEED_SIZE:
        raise KeyUnusable(f"{VARIABLE} is neither a signing key nor 32 bytes in base64")
    return seed
