"""The one clock and the one generator of ids: SQL is never asked for either."""

import os
import re
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta

_END_OF_DAY = re.compile(r"([\d-]+[Tt ])24(?=:00(:00(\.0+)?)?(?![:.\d]))", re.ASCII)

_pretended: datetime | None = None


def now() -> datetime:
    """Return the time, in UTC."""
    return _pretended or datetime.now(UTC)


@contextmanager
def pretending(moment: datetime) -> Iterator[None]:
    """Set the time of this whole process: only to write the history of a demonstration.

    A ledger's time never goes back, so this can add nothing before its last event.
    """
    global _pretended
    _pretended = moment
    try:
        yield
    finally:
        _pretended = None


def timestamp(moment: datetime | None = None) -> str:
    """Return a moment (now by default) as RFC 3339 in UTC with six decimals and Z."""
    text = (moment or now()).astimezone(UTC).isoformat(timespec="microseconds")
    return text.removesuffix("+00:00") + "Z"


def from_iso(text: str) -> datetime:
    """Return the moment that an ISO 8601 text stands for; raises ValueError or OverflowError.

    24:00:00 is the beginning of the next day (XML Schema Part 2 §3.2.7).
    """
    found = _END_OF_DAY.match(text)
    if not found:
        return datetime.fromisoformat(text)
    return datetime.fromisoformat(f"{found[1]}00{text[found.end() :]}") + timedelta(days=1)


def uuid7() -> str:
    """Return a new UUID version 7: time-ordered, with 74 random bits (RFC 9562 §5.7).

    Ordered keys write a third less to disk than random ones.
    """
    milliseconds = int(now().timestamp() * 1000)
    bits = milliseconds << 80 | int.from_bytes(os.urandom(10))
    bits = bits & ~(0xF << 76) | 0x7 << 76
    bits = bits & ~(0x3 << 62) | 0x2 << 62
    digits = f"{bits:032x}"
    return f"{digits[:8]}-{digits[8:12]}-{digits[12:16]}-{digits[16:20]}-{digits[20:]}"
