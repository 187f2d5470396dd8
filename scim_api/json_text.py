"""Text that is JSON, sent where an object or a list is due: what it says is meant, not the text."""

import re
from typing import Any

import orjson

from scim_api import exact_json
from scim_api.errors import InvalidValue
from scim_api.policy import Door

MAX_DEPTH = 32  # of JSON in JSON; a user needs four

_BEGINNING = re.compile(r'\s*+"?\s*+[\[{]')
# Not, say, "[Admin] Berlin"; but JSON text in quotes of its own.
_UNMISTAKABLE = re.compile(r"""\s*(\{\s*["'}]|\[\s*[\[{"'\]]|"\s*[\[{])""")


def decoded(value: Any, door: Door, path: str) -> Any:
    """Return the object or list that a text says by policy, any other value as it is.

    Raises InvalidValue for such a text where it is not forgiven, is broken, or too deep: it is
    never taken as an id, an address or a name. What stands within it is read in the same way.
    """
    if not isinstance(value, str) or not _BEGINNING.match(value):
        return value
    meant = said_by(value)
    if meant is None and not _UNMISTAKABLE.match(value):
        return value
    if meant is None or not door.tolerates("json_as_text"):
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
    """Return the object or list that JSON text says; None for any other text."""
    if not _BEGINNING.match(text):
        return None
    try:
        meant = exact_json.loads(text.encode(errors="surrogatepass"))
    except orjson.JSONDecodeError:
        return None
    return meant if isinstance(meant, dict | list) else None


def dumped(value: Any) -> str:
    """Return the JSON text of what `said_by` returned, digit for digit."""
    return orjson.dumps(value, default=lambda number: orjson.Fragment(str(number))).decode()


def deeper_than(value: Any, levels: int) -> bool:
    """Return whether lists and objects stand within each other deeper than some levels."""
    if not isinstance(value, dict | list):
        return False
    items = value.values() if isinstance(value, dict) else value
    return levels == 0 or any(deeper_than(item, levels - 1) for item in items)
