"""Signed notes and the keys that sign them (C2SP signed-note), and the text of a tree head.

A note is a text, an empty line, and a line for each signature: an em dash, the key's name, and in
base64 four bytes of the key's id and the signature. A tree head's text (C2SP tlog-checkpoint) is
three lines: origin, size, root in base64. A witness signs with a time (C2SP tlog-cosignature).
"""

import base64
import binascii
import codecs
import hashlib
import re
from dataclasses import dataclass, replace
from pathlib import Path

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

from ledger.contract import LedgerError

ED25519 = b"\x01"
COSIGNATURE = b"\x04"
SEED_SIZE = 32
MAX_NOTE = 64 * 1024  # characters

_DASH = "\u2014 "
_P = 2**255 - 19  # the field of Ed25519
# The y of the points of small order: such a key has signatures that fit any message.
_SMALL_ORDER = frozenset(
    (
        *(0, 1, _P - 1),
        0x05FC536D880238B13933C6D305ACDFD5F098EFF289F4C345B027B2C28F95E826,
        0x7A03AC9277FDC74EC6CC392CFA53202A0F67100D760B3CBA4FD84D3D706A17C7,
    )
)
_PRIVATE = "PRIVATE+KEY+"
_SIZE = re.compile("0|[1-9][0-9]{0,18}")
_TIME_SIZE = 8  # bytes of the POSIX time before a cosignature


class MalformedNote(LedgerError):
    """A text is not the note, tree head or key that it should be."""


@dataclass(frozen=True, slots=True)
class VerifierKey:
    """A public key under its name; as text `name+id+key`, id in hex, type and key in base64."""

    name: str
    public: bytes  # 32 bytes
    kind: bytes = ED25519

    @property
    def id(self) -> bytes:
        """The four bytes that identify one of a name's keys."""
        return hashlib.sha256(self.name.encode() + b"\n" + self.kind + self.public).digest()[:4]

    def __str__(self) -> str:
        return f"{self.name}+{self.id.hex()}+{_base64(self.kind + self.public)}"

    @classmethod
    def parse(cls, text: str) -> "VerifierKey":
        """Read a key back; raises MalformedNote."""
        name, id_, raw = _key_parts(text.strip(), "a verifier key is name+id+key")
        key = cls(name, raw[1:], raw[:1])
        if len(raw) != 33 or key.kind not in (ED25519, COSIGNATURE) or key.id.hex() != id_:
            raise MalformedNote(f"{text.strip()!r} is not an Ed25519 verifier key")
        return key

    def verify(self, message: bytes, signature: bytes) -> bool:
        """Return whether the key signed a message; a key of small order signs nothing."""
        y = int.from_bytes(self.public, "little") % 2**255
        if y >= _P or y in _SMALL_ORDER:
            return False
        try:
            Ed25519PublicKey.from_public_bytes(self.public).verify(signature, message)
        except (InvalidSignature, ValueError):
            return False
        return True


@dataclass(frozen=True, slots=True, repr=False)  # repr: it is secret
class SigningKey:
    """A private key under its name."""

    name: str
    seed: bytes

    @property
    def verifier(self) -> VerifierKey:
        return VerifierKey(self.name, self._key.public_key().public_bytes_raw())

    @property
    def cosigner(self) -> VerifierKey:
        """The public key that cosignatures made with it are checked with."""
        return replace(self.verifier, kind=COSIGNATURE)

    @property
    def _key(self) -> Ed25519PrivateKey:
        return Ed25519PrivateKey.from_private_bytes(self.seed)

    def sign(self, message: bytes) -> bytes:
        """Return the Ed25519 signature of a message, 64 bytes."""
        return self._key.sign(message)

    def note(self, text: str) -> "Note":
        """Return a text as a note with this key's signature."""
        return Note(text, (Signature(self.name, self.verifier.id + self.sign(text.encode())),))

    def cosign(self, note: "Note", at: int) -> "Note":
        """Return a tree head with this key's cosignature, made at a POSIX time in seconds."""
        time = at.to_bytes(_TIME_SIZE, "big")
        own = Signature(self.name, self.cosigner.id + time + self.sign(_cosigned(note.text, time)))
        return replace(note, signatures=(*note.signatures, own))

    def private_text(self) -> str:
        """Return the key as text, as it is kept in a file."""
        return f"{_PRIVATE}{self.name}+{self.verifier.id.hex()}+{_base64(ED25519 + self.seed)}"

    @classmethod
    def parse(cls, text: str) -> "SigningKey":
        """Read a key back; raises MalformedNote, which does not quote it."""
        if not text.startswith(_PRIVATE):
            raise MalformedNote("this is not a signing key")
        name, id_, raw = _key_parts(text.strip().removeprefix(_PRIVATE), "this is no signing key")
        key = cls(name, raw[1:])
        if len(raw) != 33 or raw[:1] != ED25519 or key.verifier.id.hex() != id_:
            raise MalformedNote("this is not an Ed25519 signing key")
        return key


@dataclass(frozen=True, slots=True)
class Signature:
    """A line below a note: who signed, and the key's id with the signature."""

    name: str
    raw: bytes

    def __str__(self) -> str:
        return f"{_DASH}{self.name} {_base64(self.raw)}\n"


@dataclass(frozen=True, slots=True)
class Note:
    """A text, which ends with a newline, and its signatures."""

    text: str
    signatures: tuple[Signature, ...]

    def __str__(self) -> str:
        return self.text + "\n" + "".join(map(str, self.signatures))

    @classmethod
    def parse(cls, text: str) -> "Note":
        """Read a note; raises MalformedNote."""
        body, middle, lines = text.rpartition("\n\n")
        if not middle or not lines.endswith("\n") or len(text) > MAX_NOTE:
            raise MalformedNote("this is not a signed note: a text, an empty line, signatures")
        if any(each < " " and each != "\n" for each in text):
            raise MalformedNote("there are control characters in this note")
        return cls(body + "\n", tuple(map(_signature, lines.split("\n")[:-1])))

    def is_head_of(self, origin: str) -> bool:
        """Return whether it is a tree head of an origin, whoever signed it."""
        try:
            return TreeHead.of(self).origin == origin
        except MalformedNote:
            return False

    def signed_by(self, key: VerifierKey) -> bool:
        """Return whether a key, a ledger's or a witness's, signed it."""
        for signature in self.signatures:
            if signature.name == key.name and signature.raw[:4] == key.id:
                raw, message = signature.raw[4:], self.text.encode()
                if key.kind == COSIGNATURE:
                    message, raw = _cosigned(self.text, raw[:_TIME_SIZE]), raw[_TIME_SIZE:]
                return key.verify(message, raw)
        return False


def saved_text(file: Path | bytes) -> str:
    """Return the text in a file, or of its bytes, however it was saved; raises MalformedNote.

    Ends of lines, a byte order mark, UTF-16 with one and empty lines at the end do not matter.
    """
    raw = file if isinstance(file, bytes) else file.read_bytes()
    marked = raw.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE))
    try:
        text = raw.decode("utf-16" if marked else "utf-8-sig")
    except UnicodeDecodeError as error:
        raise MalformedNote("it is not UTF-8: saved in another encoding, or damaged") from error
    return text.replace("\r\n", "\n").rstrip("\n") + "\n"


def _cosigned(text: str, time: bytes) -> bytes:
    return f"cosignature/v1\ntime {int.from_bytes(time)}\n{text}".encode()


def _signature(line: str) -> Signature:
    name, _, encoded = line.removeprefix(_DASH).partition(" ")
    if not line.startswith(_DASH) or not name or len(raw := _raw(encoded)) < 5:
        raise MalformedNote("a line below this note is not a signature")
    return Signature(name, raw)


@dataclass(frozen=True, slots=True)
class TreeHead:
    """What a tree head says: the root of the first `size` events of the log of a name."""

    origin: str
    size: int
    root: bytes

    @property
    def text(self) -> str:
        """The text that is signed (C2SP tlog-checkpoint)."""
        return f"{self.origin}\n{self.size}\n{_base64(self.root)}\n"

    @classmethod
    def parse(cls, note: str) -> "TreeHead":
        """Read the text of a signed note; raises MalformedNote."""
        return cls.of(Note.parse(note))

    @classmethod
    def of(cls, note: Note) -> "TreeHead":
        """Read a note as a tree head; raises MalformedNote."""
        lines = note.text.split("\n")
        if len(lines) < 4 or not lines[0] or not _SIZE.fullmatch(lines[1]) or "" in lines[3:-1]:
            raise MalformedNote("this note is not a tree head: origin, size, root")
        head = cls(lines[0], int(lines[1]), _raw(lines[2]))
        if len(head.root) != 32:
            raise MalformedNote("the root in this tree head is not a SHA-256 hash")
        return head


@dataclass(frozen=True, slots=True)
class KnownHead:
    """A head that was signed over a ledger, and who knows of it other than the ledger's file."""

    source: str
    note: Note

    @property
    def head(self) -> TreeHead:
        """What it says; raises MalformedNote."""
        return TreeHead.of(self.note)


def _key_parts(text: str, otherwise: str) -> tuple[str, str, bytes]:
    """Split a key's text into its name, its id, and its type and bytes."""
    parts = text.split("+", 2)  # base64 may have a plus, a name may not
    if len(parts) != 3 or not parts[0] or any(each.isspace() for each in text):
        raise MalformedNote(otherwise)
    return parts[0], parts[1], _raw(parts[2])


def _base64(raw: bytes) -> str:
    return base64.b64encode(raw).decode()


def _raw(text: str) -> bytes:
    try:
        raw = base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError) as error:
        raise MalformedNote("this is not base64") from error
    if _base64(raw) != text:
        raise MalformedNote("this is not base64 in its one form")
    return raw
