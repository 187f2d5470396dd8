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
    moment = moment.astimezone(UTC) if moment else now()
    return moment.isoformat(timespec="microseconds").removesuffix("+00:00") + "Z"


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
    milliseconds = f"{int(now().timestamp() * 1000):012x}"
    random = _random_bytes()
    digits, variant = random.hex(), "89ab"[random[2] >> 4 & 3]
    return (
        f"{milliseconds[:8]}-{milliseconds[8:]}-7{digits[1:4]}-{variant}{digits[5:8]}-{digits[8:]}"
    )


_pool: list[bytes] = []  # each is used for one id
os.register_at_fork(after_in_child=_pool.clear)


def _random_bytes() -> bytes:
    """Return ten random bytes; the system is asked for those of 256 ids at once."""
    while True:
        try:
            return _pool.pop()
        except IndexError:
            drawn = os.urandom(2560)
            _pool.extend(drawn[at : at + 10] for at in range(0, len(drawn), 10))
