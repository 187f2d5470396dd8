"""Bearer tokens: how one is made, recognised and hashed.

`scl_<ledger>_<secret><checksum>`: the ledger's 16 random hex digits, so that a token leads to its
ledger; 256 random bits in base 62; and a CRC-32 that tells a torn token from an unknown one and
lets secret scanners find leaked ones without asking.
"""

import hashlib
import re
import secrets
import string
import zlib
from dataclasses import dataclass

_DIGITS = string.digits + string.ascii_uppercase + string.ascii_lowercase
_PAIRS = [first + second for first in _DIGITS for second in _DIGITS]  # two digits, by their value
_SHAPE = re.compile(r"scl_([0-9a-f]{16})_([0-9A-Za-z]{43})([0-9A-Za-z]{6})")


@dataclass(frozen=True, slots=True)
class Token:
    """A token of the right shape: the ledger it names, and its hash."""

    tenant: str
    sha256: str


def issue(tenant: str) -> str:
    """Return a new token for a ledger; it is shown once and kept nowhere."""
    secret = _base62(secrets.randbits(256), 43)
    text = f"scl_{tenant}_{secret}"
    return text + _checksum(text)


def parse(text: str) -> Token | None:
    """Return the token that a text is; None for an incomplete or mistyped one."""
    match = _SHAPE.fullmatch(text)
    if match is None or _checksum(text[:-6]) != match[3]:
        return None
    return Token(match[1], digest(text))


def digest(text: str) -> str:
    """Return the SHA-256 of a token: enough for one of 256 random bits."""
    return hashlib.sha256(text.encode()).hexdigest()


def _checksum(text: str) -> str:
    rest, last = divmod(zlib.crc32(text.encode()), len(_PAIRS))
    first, middle = divmod(rest, len(_PAIRS))
    return _PAIRS[first] + _PAIRS[middle] + _PAIRS[last]


def _base62(number: int, width: int) -> str:
    digits = ""
    while number:
        number, digit = divmod(number, 62)
        digits = _DIGITS[digit] + digits
    return digits.rjust(width, _DIGITS[0])
