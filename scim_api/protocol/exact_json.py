"""JSON whose numbers are exact, however many digits they have (RFC 8259 §6)."""

import json
import re
from decimal import Decimal, InvalidOperation
from typing import Any

import orjson

# A number of 16 characters or more, or with an exponent of three digits: one that a double may not
# hold. Up to 15 digits come back from a double as they were. It may also be found in a text, which
# costs time and nothing else.
_LONG = re.compile(rb"[:,\[\s]-?\d(?:[\d.]{15}|[\d.]*[eE][+-]?\d{3})")
_LONGEST = 1000  # characters of a number
_WHOLE = 20  # digits: one more than any whole number of 64 bits has


def loads(raw: bytes) -> Any:
    """Return what a JSON text says, with a Decimal for a number that a double may not hold.

    Raises orjson.JSONDecodeError.
    """
    if not _LONG.search(raw):
        return orjson.loads(raw)
    try:
        value = json.loads(
            raw.decode(), parse_float=_decimal, parse_int=_whole, parse_constant=_no_number
        )
        orjson.dumps(value, default=str)  # refuses the halves of surrogate pairs that json reads
    except (ValueError, TypeError, RecursionError):
        return orjson.loads(raw)  # says what is wrong, or what the caller refuses
    return value


def _decimal(text: str) -> Decimal:
    """Return a number; an infinite one for what is longer than anything that is taken here."""
    try:
        return Decimal(text if len(text) <= _LONGEST else "Infinity")
    except InvalidOperation:  # an exponent of more digits than any number has
        return Decimal("Infinity")


def _whole(text: str) -> int | Decimal:
    number = int(text) if len(text) <= _WHOLE else None
    return _decimal(text) if number is None or not -(2**63) <= number < 2**64 else number


def _no_number(text: str) -> Any:
    raise ValueError(f"{text} is no JSON")
