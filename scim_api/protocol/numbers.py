"""Numbers: read from JSON exactly, kept as text, shown as JSON numbers again.

Payloads hold no floats, so a decimal is text there: plain digits without needless zeros, so that
the same number is the same text (docs/ledger-format.md).
"""

import json
import re
from collections.abc import Callable, Mapping
from decimal import Decimal, InvalidOperation
from typing import Any

import orjson

from projections.query.comparison import decimal_of, digits_of
from projections.query.model import Type
from scim_api.protocol.schema.attributes import Attribute, ResourceType

PLACES = 40  # before the point, and after it
EXPECTED = (
    f"must be a decimal number such as 1.5, with at most {PLACES} digits before the point and"
    f" {PLACES} after it"
)


def is_bounded(number: Decimal) -> bool:
    """Return whether a number has few enough places to be written out."""
    last = number.adjusted() - len(digits_of(number)) + 1  # the place of the last digit
    return not number or (number.adjusted() < PLACES and last >= -PLACES)


def canonical(number: Decimal) -> str:
    """Return the one text of a number, which is also its JSON (RFC 7643 §2.3.3)."""
    if not number:
        return "0"
    if is_bounded(number):
        text = f"{number:f}"
        return text.rstrip("0").rstrip(".") if "." in text else text
    sign, digits = "-" if number < 0 else "", digits_of(number)
    fraction = f".{digits[1:]}" if digits[1:] else ""
    return f"{sign}{digits[0]}{fraction}E{number.adjusted():+d}"


def with_canonical_decimals(
    resource_type: ResourceType, attributes: Mapping[str, Any]
) -> Mapping[str, Any]:
    """Return attributes with canonical decimals: earlier versions recorded other texts."""
    if not resource_type.has_decimals:
        return attributes
    return {
        key: _each_decimal(declared.attribute, value, canonical, once=True)
        if (declared := resource_type.declared.get(key)) and declared.attribute.has_decimals
        else value
        for key, value in attributes.items()
    }


def shown(attribute: Attribute, value: Any) -> Any:
    """Return a value whose decimals are JSON numbers, digit for digit (RFC 7643 §2.3.3)."""
    return _each_decimal(attribute, value, lambda n: orjson.Fragment(canonical(n).encode()))


def _each_decimal(
    attribute: Attribute, value: Any, form: Callable[[Decimal], Any], *, once: bool = False
) -> Any:
    """Return a value with each decimal in a form; `once` drops doubles from a list."""
    if isinstance(value, list):
        each = [_each_decimal(attribute, item, form, once=once) for item in value]
        return list(dict.fromkeys(each)) if once and attribute.type is not Type.COMPLEX else each
    if isinstance(value, Mapping):
        return {
            name: _each_decimal(attribute.subs[name.lower()], part, form)
            for name, part in value.items()
        }
    number = decimal_of(value) if attribute.type is Type.DECIMAL else None
    return value if number is None else form(number)


# JSON (RFC 8259 §6)

# A number of 16 characters or more, or with an exponent of three digits: one that a double may not
# hold. Up to 15 digits come back from a double as they were. It may also be found in a text, which
# costs time and nothing else.
_LONG = re.compile(rb"[:,\[\s]-?\d(?:[\d.]{15}|[\d.]*[eE][+-]?\d{3})")
# The search takes longer than the reading. With its characters made alike, a text without any of
# these signs is known at once to have no such number.
_ALIKE = bytes.maketrans(b"123456789.E-,[ \t\n\r\f\v", b"0000000000e+::::::::")
_SIGNS = (b":" + b"0" * 16, b":+" + b"0" * 16, b"0e000", b"0e+000")
_LONGEST = 1000  # characters of a number
_WHOLE = 20  # digits: one more than any whole number of 64 bits has


def loads(raw: bytes) -> Any:
    """Return what a JSON text says, with a Decimal for a number that a double may not hold.

    Raises orjson.JSONDecodeError.
    """
    if not has_long(raw):
        return orjson.loads(raw)
    try:
        value = json.loads(
            raw.decode(), parse_float=_decimal_in, parse_int=_whole, parse_constant=_no_number
        )
        orjson.dumps(value, default=str)  # refuses the halves of surrogate pairs that json reads
    except (ValueError, TypeError, RecursionError):
        return orjson.loads(raw)  # says what is wrong, or what the caller refuses
    return value


def has_long(raw: bytes) -> bool:
    """Return whether a JSON text seems to hold a number that a double may not."""
    alike = raw.translate(_ALIKE)
    return any(sign in alike for sign in _SIGNS) and _LONG.search(raw) is not None


def _decimal_in(text: str) -> Decimal:
    """Return a number; an infinite one for a text longer than any number accepted here."""
    try:
        return Decimal(text if len(text) <= _LONGEST else "Infinity")
    except InvalidOperation:  # an exponent of more digits than any number has
        return Decimal("Infinity")


def _whole(text: str) -> int | Decimal:
    number = int(text) if len(text) <= _WHOLE else None
    return _decimal_in(text) if number is None or not -(2**63) <= number < 2**64 else number


def _no_number(text: str) -> Any:
    raise ValueError(f"{text} is no JSON")
