"""The texts of secrets: how one is made, recognised and hashed.

`scl_<ledger>_<secret><checksum>`: what kind of secret it is; the ledger's 16 random hex digits, so
that it leads to its ledger; 256 bits in base 62; and a CRC-32 that tells a torn one from an unknown
one and lets secret scanners find leaked ones without asking.
"""

import hashlib
import hmac
import re
import secrets
import string
import zlib
from dataclasses import dataclass
from enum import StrEnum

_DIGITS = string.digits + string.ascii_uppercase + string.ascii_lowercase
_PAIRS = [first + second for first in _DIGITS for second in _DIGITS]  # two digits, by their value
_SHAPE = re.compile(r"(scl[arsco]?)_([0-9a-f]{16})_([0-9A-Za-z]{43})([0-9A-Za-z]{6})")


class Prefix(StrEnum):
    """What kind of secret a text is; whether it is one, only its hash tells."""

    TOKEN = "scl"
    ACCESS = "scla"
    REFRESH = "sclr"
    CLIENT_SECRET = "scls"
    CODE = "sclc"  # an authorization code
    CONNECT = "sclo"  # a one-time code of `scim-ledger connect`


_PREFIXES: dict[str, Prefix] = {str(each): each for each in Prefix}  # a look-up for each request


@dataclass(frozen=True, slots=True)
class Token:
    """A secret of the right shape: the ledger it names, its hash, and its kind."""

    tenant: str
    sha256: str
    prefix: Prefix = Prefix.TOKEN


def issue(tenant: str, prefix: Prefix = Prefix.TOKEN) -> str:
    """Return a new secret for a ledger; it is shown once and kept nowhere."""
    return _text(prefix, tenant, secrets.randbits(256))


def derive(tenant: str, prefix: Prefix, former: str, salt: str) -> str:
    """Return the one successor of a kind that a secret has with a salt.

    Neither the secret alone nor the salt alone is enough to know it.
    """
    made = hmac.digest(former.encode(), f"{prefix} {salt}".encode(), "sha256")
    return _text(prefix, tenant, int.from_bytes(made, "big"))


def parse(text: str) -> Token | None:
    """Return the secret that a text is, of whatever kind; None for a torn or mistyped one."""
    match = _SHAPE.fullmatch(text)
    if match is None or _checksum(text[:-6]) != match[4]:
        return None
    return Token(match[2], digest(text), _PREFIXES[match[1]])


def digest(text: str) -> str:
    """Return the SHA-256 of a secret: enough for one of 256 random bits."""
    return hashlib.sha256(text.encode()).hexdigest()


def _text(prefix: Prefix, tenant: str, number: int) -> str:
    text = f"{prefix}_{tenant}_{_base62(number, 43)}"
    return text + _checksum(text)


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
