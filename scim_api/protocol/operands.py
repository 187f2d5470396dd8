"""The value in a comparison: read as a JSON literal, then fitted to the attribute's type."""

import re
from decimal import Decimal

import orjson

from projections.query.comparison import SUBSTRING, decimal_of, instant
from projections.query.model import Operator, Type
from scim_api.protocol.instants import as_meant
from scim_api.protocol.numbers import PLACES, canonical, is_bounded
from scim_api.protocol.schema.attributes import Attribute

Value = str | bool | int | Decimal | None

_UNQUOTED = re.compile(r"""[^\x00-\x20()\[\]"'\ud800-\udfff][^\x00-\x20)\]"\ud800-\udfff]*""")
_STRING = re.compile(r'"(?:[^"\\\x00-\x1f\ud800-\udfff]++|\\(?:["\\/bfnrt]|u[0-9A-Fa-f]{4}))*+')
_NUMBER = re.compile(r"-?(?:0|[1-9][0-9]*)(\.[0-9]+)?([eE][+-]?[0-9]+)?", re.ASCII)

_OFFSET = re.compile(r" \d\d:\d\d(?![^\s)\]])", re.ASCII)  # whose plus an address made a blank
_BARE = frozenset({Type.BOOLEAN, Type.INTEGER, Type.DECIMAL})  # their values stand without quotes
_DATE = re.compile(r"\d{4}-\d\d-\d\d", re.ASCII)

_CONSTANTS: dict[str, bool | None] = {"true": True, "false": False, "null": None}
_EQUALITY = frozenset({Operator.EQ, Operator.NE})
_LARGEST = 2**63


class Unfit(Exception):
    """A value or operator that does not fit: why, and where in the text if it is known."""

    def __init__(self, reason: str, at: int | None = None) -> None:
        super().__init__(reason)
        self.reason = reason
        self.at = at


def read_literal(text: str, at: int, type_: Type) -> tuple[Value, int, bool]:
    """Read the literal at a place: its value, where it ends, whether it is an unquoted string.

    Unquoted, all but null is a string where the attribute's type is one, as it is written.
    """
    if text.startswith('"', at):
        return *_string(text, at), False
    found = _UNQUOTED.match(text, at)
    if not found:
        raise Unfit("expected a value, a text in double quotes", at)
    word, end = found[0], found.end()
    if type_ not in _BARE and word.lower() != "null":
        offset = _OFFSET.match(text, end) if type_ is Type.DATE_TIME else None
        return word + (offset[0] if offset else ""), offset.end() if offset else end, True
    if word.lower() in _CONSTANTS:
        return _CONSTANTS[word.lower()], end, False
    number = _NUMBER.fullmatch(word)
    if number:
        return _number(word, whole=number[1] is number[2] is None, at=at), end, False
    return word, end, True


def _string(text: str, at: int) -> tuple[str, int]:
    found = _STRING.match(text, at)
    end = found.end() if found else at
    if not text.startswith('"', end):
        raise _broken_string(text, at, end)
    if "\\" not in (inner := text[at + 1 : end]):
        return inner, end + 1
    try:
        decoded: str = orjson.loads(text[at : end + 1])
    except orjson.JSONDecodeError:  # the one thing left to be wrong: half of a surrogate pair
        raise Unfit("a \\u escape in this value is only half of a character", at) from None
    if "\0" in decoded:
        raise Unfit("a value cannot hold the character U+0000", at)
    return decoded, end + 1


def _broken_string(text: str, start: int, at: int) -> Unfit:
    if at == len(text):
        return Unfit("the value that starts here has no closing double quote", start)
    if text[at] == "\\":
        return Unfit("this escape is unknown; a backslash is written \\\\ in a value", at)
    return Unfit("a value cannot hold this character; write it as a \\u escape", at)


def _number(word: str, *, whole: bool, at: int) -> int | Decimal:
    # Compared by length first: int() of thousands of digits is slow, and refused by Python.
    if whole and len(word) <= 20:
        return int(word)
    number = decimal_of(word)
    if number is None or not is_bounded(number):
        raise Unfit(f"a number has at most {PLACES} digits before the point and after it", at)
    return number


def check_operator(attribute: Attribute, operator: Operator) -> None:
    """Refuse operators that the type does not have (RFC 7644 §3.4.2.2)."""
    name = attribute.name
    if attribute.type is Type.COMPLEX:
        names = ", ".join(f"{name}.{sub.name}" for sub in attribute.sub_attributes[:3])
        raise Unfit(f"{name} has parts and no value of its own; compare one of them, as {names}")
    if operator in _EQUALITY:
        return
    if attribute.type in (Type.BOOLEAN, Type.BINARY):
        raise Unfit(f"{name} is {attribute.type}: it can be compared with eq and ne only")
    if attribute.type in (Type.INTEGER, Type.DECIMAL) and operator in SUBSTRING:
        raise Unfit(f"{name} is a number: {operator} compares text only")


def with_time(attribute: Attribute, operator: Operator, value: Value) -> Value:
    """Complete a date alone by its first moment, UTC: so people ask for records."""
    is_time = attribute.type is Type.DATE_TIME and operator not in SUBSTRING
    if is_time and isinstance(value, str) and _DATE.fullmatch(value):
        return f"{value}T00:00:00Z"
    return value


def fitted(attribute: Attribute, operator: Operator, value: Value) -> str | bool | int | None:
    """Return a literal as payloads keep a value of the attribute's type; raises Unfit."""
    if value is None:
        if operator not in _EQUALITY:
            raise Unfit(f"null can be compared with eq and ne only, not with {operator}")
        return None
    match attribute.type:
        case Type.BOOLEAN:
            return _boolean(attribute, value)
        case Type.INTEGER:
            return _integer(attribute, value)
        case Type.DECIMAL:
            return _decimal(attribute, value)
        case Type.DATE_TIME:
            return _date_time(attribute, operator, value)
    return _text(attribute, value)


def _boolean(attribute: Attribute, value: Value) -> bool:
    if isinstance(value, str):  # Entra sends "True" and "False"
        value = {"true": True, "false": False}.get(value.lower())
    if not isinstance(value, bool):
        raise Unfit(f"{attribute.name} is compared with true or false")
    return value


def _integer(attribute: Attribute, value: Value) -> int:
    if isinstance(value, bool) or not isinstance(value, int):
        raise Unfit(f"{attribute.name} is compared with a whole number, without quotes")
    if abs(value) >= _LARGEST:
        raise Unfit("this number is too large")
    return value


def _decimal(attribute: Attribute, value: Value) -> str:
    number = None if isinstance(value, str) else decimal_of(value)
    if number is None:
        raise Unfit(f"{attribute.name} is compared with a number, without quotes")
    return canonical(number)


def _date_time(attribute: Attribute, operator: Operator, value: Value) -> str:
    text = _text(attribute, value)
    if operator in SUBSTRING:
        return text.replace(" ", "+")  # no time has a blank: an address made it of the plus
    moment = instant(as_meant(text))
    if moment is None:
        raise Unfit(f'{attribute.name} is compared with a time such as "2026-01-31T12:00:00Z"')
    return moment


def _text(attribute: Attribute, value: Value) -> str:
    if not isinstance(value, str):
        raise Unfit(f"{attribute.name} is compared with a text in double quotes")
    return value
