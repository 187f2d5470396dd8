"""The state of a witness: a folder of its own, in which nothing is ever rewritten.

`witness.key` is its own key. `keys/` has the ledger's keys that it trusted, `heads/` the heads that
it accepted, `refused/` what it refused, all numbered from 1.
"""

import json
import secrets
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

from ledger.atomic_files import make_folder, write_new
from ledger.contract import LedgerError
from ledger.signing.known_heads import HEADS
from ledger.signing.note import (
    SEED_SIZE,
    MalformedNote,
    Note,
    SigningKey,
    TreeHead,
    VerifierKey,
    saved_text,
)

T = TypeVar("T")

KEY_FILE = "witness.key"
PUBLIC_FILE = "witness.vkey"
HEAD_SUFFIX = ".tree-head"
REMEMBERED, PRESENTED = f"remembered{HEAD_SUFFIX}", f"presented{HEAD_SUFFIX}"

_PUBLIC = 0o644  # the service may have to read them


class FolderUnusable(LedgerError):
    """What a witness remembers cannot be read."""


@dataclass(frozen=True, slots=True)
class Pin:
    """A key of the ledger that the witness trusts, and why."""

    key: VerifierKey
    how: str


class WitnessFolder:
    """The folder; made when it is first written to."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def key(self, name: str | None) -> SigningKey:
        """Return the witness's own key, made under a name the first time.

        Raises FolderUnusable, also if the key has another name.
        """
        file = self.path / KEY_FILE
        if not file.exists():
            name = name or f"scim-ledger-witness/{secrets.token_hex(8)}"
            key = SigningKey(name, secrets.token_bytes(SEED_SIZE))
            make_folder(self.path, mode=0o755)
            write_new(file, f"{key.private_text()}\n".encode())
            write_new(self.path / PUBLIC_FILE, f"{key.cosigner}\n".encode(), mode=_PUBLIC)
            return key
        key = _read(file, SigningKey.parse, "a key")
        if name not in (None, key.name):
            raise FolderUnusable(f"this witness is called {key.name}; another needs its own folder")
        return key

    def pins(self) -> list[Pin]:
        """Return the keys trusted so far, the one in force last; raises FolderUnusable."""
        return [_read(file, _pin, "a verifier key") for file in self._files("keys", ".json")]

    def pin(self, key: VerifierKey, how: str, events: list[Mapping[str, Any]]) -> None:
        """Trust a key from now on; `events` are what led to it."""
        content = {"verifier_key": str(key), "how": how, "events": events}
        self._add("keys", ".json", json.dumps(content, indent=2, ensure_ascii=False) + "\n")

    def newest(self) -> Note | None:
        """Return the head accepted last; raises FolderUnusable."""
        files = self._files(HEADS, HEAD_SUFFIX)
        return _read(files[-1], _head, "a tree head") if files else None

    def keep(self, note: Note) -> Path:
        """Add a head to the history; return its file."""
        return self._add(HEADS, f"-{TreeHead.of(note).size}{HEAD_SUFFIX}", str(note))

    def refused(self, origin: str) -> Path | None:
        """Return where the evidence against a log of a name lies, None if there is none."""
        for folder in sorted((self.path / "refused").glob("*")):
            file = folder / REMEMBERED
            if not file.exists() or _read(file, _head, "a tree head").is_head_of(origin):
                return folder
        return None

    def refuse(self, remembered: Note, presented: Note, says: str) -> Path:
        """Keep two heads that cannot both be true; return the folder that holds them."""
        parent = self.path / "refused"
        make_folder(parent, mode=0o755)
        folder = parent / f"{len(list(parent.iterdir())) + 1:010}"
        make_folder(folder, mode=0o755)
        write_new(folder / PRESENTED, str(presented).encode(), mode=_PUBLIC)
        write_new(folder / "why.txt", f"{says}\n".encode(), mode=_PUBLIC)
        write_new(folder / REMEMBERED, str(remembered).encode(), mode=_PUBLIC)
        return folder

    def _files(self, kind: str, suffix: str) -> list[Path]:
        files = (self.path / kind).glob(f"[0-9]*{suffix}")
        return sorted(files, key=_number)

    def _add(self, kind: str, ending: str, text: str) -> Path:
        """Write a file with the next number; another witness in the same folder is in the way."""
        folder = self.path / kind
        make_folder(folder, mode=0o755)
        numbers = [_number(file) for file in folder.glob("[0-9]*")]
        path = folder / f"{max(numbers, default=0) + 1:010}{ending}"
        write_new(path, text.encode(), mode=_PUBLIC)
        return path


def _number(file: Path) -> int:
    digits = file.name.partition(".")[0].partition("-")[0]
    return int(digits) if digits.isdigit() else 0


def _read(file: Path, parse: Callable[[str], T], kind: str) -> T:
    """Return what is in a file; raises FolderUnusable."""
    try:
        return parse(saved_text(file))
    except (MalformedNote, ValueError, KeyError, TypeError, AttributeError) as error:
        raise FolderUnusable(f"{file} cannot be read as {kind}") from error


def _pin(text: str) -> Pin:
    found = json.loads(text)
    return Pin(VerifierKey.parse(found["verifier_key"]), found["how"])


def _head(text: str) -> Note:
    note = Note.parse(text)
    TreeHead.of(note)  # raises MalformedNote
    return note
