"""How values compare: the form of text and times in filters, sorting, uniqueness and indexes."""

import re
from datetime import UTC, datetime
from decimal import Decimal
from functools import cache
from typing import Any
from unicodedata import combining, decomposition, normalize

from ledger import clock
from projections.query.model import Operator, Path, Type

MOST_MARKS = 30  # non-starters in a row in Stream-Safe Text (UAX #15, D3)

# A character decomposes to three marks at most: so many of them may be more than MOST_MARKS.
_SUSPECT = 13
_BEYOND = 0x1F000  # no non-starter has a higher code point

Comparable = str | bool | int | float

SUBSTRING = frozenset({Operator.CO, Operator.SW, Operator.EW})

_DATE_TIME = re.compile(
    r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(?:\.\d+)?(?:Z|[+-](?:[01]\d|2[0-3]):[0-5]\d)?", re.ASCII
)
_NUMBER = re.compile(r"[+-]?\d{1,400}(\.\d{1,400})?([eE][+-]?\d{1,9})?", re.ASCII)


def fold(text: str) -> str:
    """Return a text in the form that ignores case; folding twice changes nothing more."""
    if text.isascii():
        return text.lower()
    return normalize("NFC", normalize("NFC", _in_order(text)).casefold())


def _in_order(text: str) -> str:
    """Return a canonically equivalent text whose long runs of marks stand in canonical order.

    `normalize` puts each run in order in time that grows with its square: half a minute for
    150,000 marks. Both normalize to the same text.
    """
    if len(text) <= MOST_MARKS:
        return text
    return _run(MOST_MARKS + 1).sub(lambda found: _sorted(found[0]), text)


def stream_safe(text: str) -> bool:
    """Return whether a text has the Stream-Safe format: at most MOST_MARKS marks in a row."""
    if text.isascii() or not _run(_SUSPECT).search(text):
        return True
    return not _run(MOST_MARKS + 1).search(normalize("NFKD", _in_order(text)))


def _sorted(marks: str) -> str:
    parts = (part for mark in marks for part in normalize("NFD", mark))
    return "".join(sorted(parts, key=combining))


@cache
def _run(length: int) -> re.Pattern[str]:
    """Return a pattern that finds runs of at least so many non-starters."""
    marks = (chr(code) for code in range(0x300, _BEYOND))
    return re.compile(f"[{''.join(filter(_is_non_starter, marks))}]{{{length},}}")


def _is_non_starter(character: str) -> bool:
    if not combining(character) and not decomposition(character):
        return False
    return all(combining(part) for part in normalize("NFKD", character))


def moment_of(text: str) -> datetime | None:
    """Return the time of an xsd:dateTime, in UTC without an offset; None when it is none."""
    text = text.upper()
    if not _DATE_TIME.fullmatch(text):
        return None
    try:
        moment = clock.from_iso(text)
    except (ValueError, OverflowError):
        return None
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)


def instant(text: str) -> str | None:
    """Return an xsd:dateTime in UTC to the microsecond, so that text order is order in time.

    None when it is no dateTime.
    """
    moment = moment_of(text)
    try:
        return clock.timestamp(moment) if moment else None
    except OverflowError:
        return None


def decimal_of(value: Any) -> Decimal | None:
    """Return the exact number that a value is; decimals are kept as text. None if it is none."""
    if isinstance(value, float):
        value = repr(value)  # the shortest text of the same double, which is what was written
    if isinstance(value, str):
        return Decimal(value) if _NUMBER.fullmatch(value) else None
    if isinstance(value, bool) or not isinstance(value, int | Decimal):
        return None
    number = Decimal(value)
    return number if number.is_finite() else None


def digits_of(number: Decimal) -> str:
    """Return a number's digits from the first to the last that is not 0; "" for zero."""
    return "".join(map(str, number.as_tuple().digits)).rstrip("0") if number else ""


_COMPLEMENT = str.maketrans("0123456789", "9876543210")
_OFFSET = 10**10  # more than any exponent that decimal_of reads


def number_key(value: Any) -> str | None:
    """Return a text for a number, so that text order is numeric order and equals are equal.

    The places before the point come first, then the digits; of negative numbers each digit is
    turned round, and `~` stands after the last. None when it is no number.
    """
    number = decimal_of(value)
    if number is None:
        return None
    if not number:
        return "1"
    size = f"{number.adjusted() + _OFFSET:011d}{digits_of(number)}"
    return f"2{size}" if number > 0 else f"0{size.translate(_COMPLEMENT)}~"


def by_instant(path: Path, operator: Operator) -> bool:
    """Return whether values compare as times; a part of a time can only be text."""
    return path.type is Type.DATE_TIME and operator not in SUBSTRING


def missing(path: Path) -> bool | None:
    """Return the value that a missing one compares as: false for `primary` (RFC 7643 §2.4)."""
    of_a_value = path.many or not path.steps
    is_primary = path.sub == "primary" and path.type is Type.BOOLEAN
    return False if of_a_value and is_primary else None


def comparable(path: Path, operator: Operator, value: Any) -> Comparable | None:
    """Return the form in which a value compares; None for a value that is not of the type."""
    if path.type is Type.BOOLEAN:
        return value if isinstance(value, bool) else None
    if path.type is Type.DECIMAL:
        return number_key(value)
    if path.type is Type.INTEGER:
        return None if isinstance(value, bool) or not isinstance(value, int | float) else value
    if not isinstance(value, str):
        return None
    if by_instant(path, operator):
        return instant(value)
    # Case-exact text compares code point by code point, as the indexed columns do.
    return value if path.case_exact else fold(value)
