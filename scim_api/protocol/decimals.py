"""Decimal numbers: the one text in which each is kept, and the number that is shown of it.

Payloads hold no floats, so a decimal is text there: in plain digits, without zeros that say
nothing, so that the same number is the same text (docs/ledger-format.md).
"""

from collections.abc import Mapping
from decimal import Decimal
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


def shown(text: Any) -> orjson.Fragment | None:
    """Return a recorded decimal as a JSON number, digit for digit."""
    number = decimal_of(text)
    return None if number is None else orjson.Fragment(canonical(number).encode())


def settled(resource_type: ResourceType, attributes: Mapping[str, Any]) -> Mapping[str, Any]:
    """Return attributes with each decimal in its one text: earlier programs recorded others."""
    if not resource_type.has_decimals:
        return attributes
    return {
        key: _settled(declared.attribute, value)
        if (declared := resource_type.declared.get(key)) and declared.attribute.has_decimals
        else value
        for key, value in attributes.items()
    }


def _settled(attribute: Attribute, value: Any) -> Any:
    if isinstance(value, list):
        each = [_settled(attribute, item) for item in value]
        return each if attribute.type is Type.COMPLEX else list(dict.fromkeys(each))
    if isinstance(value, Mapping):
        subs = attribute.subs
        return {name: _settled(subs[name.lower()], part) for name, part in value.items()}
    number = decimal_of(value) if attribute.type is Type.DECIMAL else None
    return value if number is None else canonical(number)
