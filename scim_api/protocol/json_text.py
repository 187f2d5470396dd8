"""Text that is JSON, sent where an object or a list is due: what it says is meant, not the text."""

import re
from typing import Any

import orjson

from scim_api.protocol import exact_json
from scim_api.protocol.errors import BodyTooLarge, InvalidValue
from scim_api.protocol.policy import Tolerances

MAX_DEPTH = 32  # of JSON in JSON; a user needs four
MAX_OBJECTS = 250_000  # objects and lists in one body: a group's members are one object each
MAX_VALUES = 1_000_000

_BEGINNING = re.compile(r'\s*+"?\s*+[\[{]')
# Not, say, "[Admin] Berlin"; but JSON text in quotes of its own.
_UNMISTAKABLE = re.compile(r"""\s*(\{\s*["'}]|\[\s*[\[{"'\]]|"\s*[\[{])""")


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
        raise _refusal(path, "must be a JSON object or list, not text that looks like one")
    if deeper_than(meant, MAX_DEPTH):
        raise _refusal(path, f"is JSON text nested deeper than {MAX_DEPTH} levels")
    return meant


def _refusal(path: str, fault: str) -> InvalidValue:
    return InvalidValue(f"{path} {fault}", attributes=(path,))


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
        meant = exact_json.loads(raw)
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
            f"The body holds more than {MAX_OBJECTS} objects and lists or {MAX_VALUES} values, the"
            " most this service takes. Send it in several requests."
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
