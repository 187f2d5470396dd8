"""The forms of binary values, times and decimals (RFC 7643 §2.3): asked of new texts only."""

import re
from collections.abc import Callable, Mapping

from projections.query.comparison import decimal_of, instant
from projections.query.model import Type
from scim_api.protocol.numbers import EXPECTED, is_bounded
from scim_api.protocol.policy import Tolerances

# Whole groups of four; of the last, padding may be left out (RFC 7643 §2.3.6).
_BASE64 = re.compile(r"(?:[A-Za-z0-9+/]{4})*+(?:[A-Za-z0-9+/]{2}(?:==)?|[A-Za-z0-9+/]{3}=?)?")
_BLANKS = " \t"
_URL_ALPHABET = str.maketrans("-_", "+/")
_OFFSET = re.compile(r".*(?:Z|[+-](?:(?:0\d|1[0-3]):[0-5]\d|14:00)|T[^+-]*)", re.ASCII)

NOT_BASE64 = "must be base64 text (RFC 4648 §4), such as TWFueQ=="
OUT_OF_RANGE = "must lie between the years 1 and 9999 in UTC"
NOT_AN_OFFSET = "must have an offset between -14:00 and +14:00, or Z (XML Schema Part 2 §3.2.7.3)"

Fault = str | None


def fault_of(type_: Type, text: str, tolerances: Tolerances) -> Fault:
    """Return what is wrong with a new text of a type; None if nothing is."""
    look = _FAULTS.get(type_)
    return look(text, tolerances) if look else None


def has_form(type_: Type) -> bool:
    """Return whether a type's texts have a form to be looked at."""
    return type_ in _FAULTS


def _of_binary(text: str, tolerances: Tolerances) -> Fault:
    if _BASE64.fullmatch(text):
        return None
    joined = _in_one_line(text)
    if joined != text and not tolerances.allow("base64_in_lines"):
        return NOT_BASE64
    if _BASE64.fullmatch(joined):
        return None
    if "+" in joined or "/" in joined or not _BASE64.fullmatch(joined.translate(_URL_ALPHABET)):
        return NOT_BASE64
    return None if tolerances.allow("base64_url_alphabet") else NOT_BASE64


def _in_one_line(text: str) -> str:
    """Return a text without its line breaks and the blanks around them, in linear time."""
    first, *others = text.replace("\r\n", "\n").split("\n")
    if not others:
        return text
    *middle, last = others
    inner = (line.strip(_BLANKS) for line in middle)
    return "".join((first.rstrip(_BLANKS), *inner, last.lstrip(_BLANKS)))


def _of_decimal(text: str, _: Tolerances) -> Fault:
    number = decimal_of(text)
    return None if number is not None and is_bounded(number) else EXPECTED


def _of_time(text: str, _: Tolerances) -> Fault:
    if not _OFFSET.fullmatch(text):
        return NOT_AN_OFFSET
    return None if instant(text) else OUT_OF_RANGE  # which no filter could find


_FAULTS: Mapping[Type, Callable[[str, Tolerances], Fault]] = {
    Type.BINARY: _of_binary,
    Type.DECIMAL: _of_decimal,
    Type.DATE_TIME: _of_time,
}
