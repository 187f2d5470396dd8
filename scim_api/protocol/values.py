"""The shapes in which clients write values: nothing, JSON as text, a list of one, names twice."""

import re
from collections.abc import Mapping
from typing import Any

import orjson

from scim_api.protocol import numbers
from scim_api.protocol.errors import BodyTooLarge, InvalidSyntax, InvalidValue, Quoted
from scim_api.protocol.policy import Tolerances

MAX_DEPTH = 32  # of JSON in JSON; a user needs four
MAX_OBJECTS = 250_000  # objects and lists in one body: a group's members are one object each
MAX_VALUES = 1_000_000

_BEGINNING = re.compile(r'\s*+"?\s*+[\[{]')
# Not, say, "[Admin] Berlin"; but JSON text in quotes of its own.
_UNMISTAKABLE = re.compile(r"""\s*(\{\s*["'}]|\[\s*[\[{"'\]]|"\s*[\[{])""")


def is_nothing(value: Any, tolerances: Tolerances) -> bool:
    """Return whether null, or by policy an empty text, stands where a value is due."""
    return value is None or (value == "" and tolerances.allow("empty_means_unassigned"))


def is_unassigned(value: Any, tolerances: Tolerances) -> bool:
    """Return whether a single value unassigns its attribute (RFC 7643 §2.5, and by policy)."""
    return is_nothing(value, tolerances) or (value == [] and is_nothing("", tolerances))


def one_object(value: Any, tolerances: Tolerances, path: str, setting: str = "list_as_one") -> Any:
    """Return the value given where one object is due, out of JSON text or by policy a list."""
    value = out_of_list(decoded(value, tolerances, path), tolerances, setting)
    return decoded(value, tolerances, path)


def out_of_list(value: Any, tolerances: Tolerances, setting: str = "list_as_one") -> Any:
    """Return the value of a list of one, by policy; any other value as it is."""
    alone = isinstance(value, list) and len(value) == 1 and tolerances.allow(setting)
    return value[0] if alone else value


# Names


def by_folded_name(members: Mapping[str, Any]) -> dict[str, Any]:
    """Return an object's members by lower-case name; raises InvalidSyntax if one is there twice."""
    given: dict[str, Any] = {}
    for name, value in members.items():
        folded = name.lower()
        if folded in given:
            raise given_twice(printable(folded))
        given[folded] = value
    return given


def ignore(name: str, tolerances: Tolerances) -> None:
    """Pass over an attribute that no schema declares; raises InvalidValue by policy."""
    if not tolerances.allow("unknown_attributes_ignored"):
        raise InvalidValue(
            "attribute.unknown",
            "{name} is not an attribute of any schema served here",
            name=printable(name),
        )


def given_twice(name: str) -> InvalidSyntax:
    """Return the error for a name that stands twice in one object, in different spellings.

    A client's own name has to be made `printable` first.
    """
    return InvalidSyntax(
        "body.name_twice", "{name} is given twice: upper and lower case do not matter", name=name
    )


def printable(name: str) -> Quoted:
    """Return a client's name for something as an error can show it."""
    return Quoted(name.encode("ascii", "backslashreplace").decode(), 200)


# JSON in texts: what the JSON says is meant, not the text


def decoded(value: Any, tolerances: Tolerances, path: str) -> Any:
    """Return the object or list that a text says by policy, any other value as it is.

    Raises InvalidValue for such a text where it is not forgiven, is broken, or too deep: it is
    never taken as an id, an address or a name. What stands within it is read in the same way.
    """
    if not isinstance(value, str) or not _BEGINNING.match(value):
        return value
    meant = said_by(value)
    if meant is None and not _UNMISTAKABLE.match(value):
        return value
    if meant is None or not tolerances.allow("json_as_text"):
        raise InvalidValue(
            "value.json_text",
            "{path} must be a JSON object or list, not text that looks like one",
            path=path,
            attributes=(path,),
        )
    if deeper_than(meant, MAX_DEPTH):
        raise InvalidValue(
            "value.json_depth",
            "{path} is JSON text nested deeper than {levels} levels",
            path=path,
            levels=MAX_DEPTH,
            attributes=(path,),
        )
    return meant


def resembles_json(text: str) -> bool:
    """Return whether a text is a JSON object or list, or a broken or foreign form of one."""
    if not _BEGINNING.match(text):
        return False
    return bool(_UNMISTAKABLE.match(text)) or said_by(text) is not None


def said_by(text: str) -> Any:
    """Return the object or list that JSON text says; None for any other text.

    Raises BodyTooLarge: what was escaped in the body is counted here.
    """
    if not _BEGINNING.match(text):
        return None
    raw = text.encode(errors="surrogatepass")
    count_objects(raw)
    try:
        meant = numbers.loads(raw)
    except orjson.JSONDecodeError:
        return None
    return meant if isinstance(meant, dict | list) else None


def count_objects(raw: bytes) -> int:
    """Return how many objects and lists a JSON text holds at most; raises BodyTooLarge.

    Each takes up to a hundred times the memory of its bytes, so they are counted before they are
    read. Those within texts are counted too.
    """
    objects = raw.count(b"{") + raw.count(b"[")
    if objects > MAX_OBJECTS or raw.count(b",") > MAX_VALUES:
        raise BodyTooLarge(
            "body.too_many_objects",
            "The body holds more than {objects} objects and lists or {values} values, the"
            " most this service takes. Send it in several requests.",
            objects=MAX_OBJECTS,
            values=MAX_VALUES,
        )
    return objects


def dumped(value: Any) -> str:
    """Return the JSON text of what `said_by` returned, digit for digit."""
    return orjson.dumps(value, default=lambda number: orjson.Fragment(str(number))).decode()


def deeper_than(value: Any, levels: int) -> bool:
    """Return whether lists and objects stand within each other deeper than some levels."""
    if not isinstance(value, dict | list):
        return False
    items = value.values() if isinstance(value, dict) else value
    return levels == 0 or any(deeper_than(item, levels - 1) for item in items)


# readOnly attributes that a client sends back


def is_as_read(given: Any, current: Any) -> bool:
    """Return whether a value is the current one; it may lack some of its parts.

    `current` has the ends of URLs only. Nothing is as good as null or an empty list. Lists may be
    in any order; their entries are matched by `value`.
    """
    if isinstance(given, Mapping) and isinstance(current, Mapping):
        parts = {name.lower(): part for name, part in current.items()}
        return all(is_as_read(part, parts.get(name.lower())) for name, part in given.items())
    if isinstance(given, list) and isinstance(current, list):
        if len(given) != len(current):
            return False
        return all(map(is_as_read, sorted(given, key=_value_of), sorted(current, key=_value_of)))
    if isinstance(given, str) and isinstance(current, str) and current.startswith("/"):
        return given.endswith(current)
    return given == current or (not given and not current)


def _value_of(entry: Any) -> str:
    parts = entry if isinstance(entry, Mapping) else {"value": entry}
    return next((str(part) for name, part in parts.items() if name.lower() == "value"), "")
