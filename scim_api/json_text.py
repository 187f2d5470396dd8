"""Text that is JSON, sent where an object or a list is due: what it says is meant, not the text."""

import re
from collections.abc import Iterator
from typing import Any

import orjson

from scim_api import exact_json
from scim_api.errors import InvalidValue
from scim_api.policy import Door

MAX_DEPTH = 32  # of JSON in JSON; a user needs four

_BEGINNING = re.compile(r"\s*[\[{]")
_UNMISTAKABLE = re.compile(r"""\s*(\{\s*["'}]|\[\s*[\[{"'\]])""")  # not, say, "[Admin] Berlin"


def decoded(value: Any, door: Door, path: str) -> Any:
    """Return the object or list that a text says by policy, any other value as it is.

    Raises InvalidValue for such a text where it is not forgiven, is broken, too deep, or holds
    another one: it is never taken as an id, an address or a name.
    """
    if not isinstance(value, str) or not _BEGINNING.match(value):
        return value
    meant = said_by(value)
    if meant is None and not _UNMISTAKABLE.match(value):
        return value
    if meant is None or not door.tolerates("json_as_text"):
        raise InvalidValue(f"{path} must be a JSON object or list, not text that looks like one")
    if deeper_than(meant, MAX_DEPTH):
        raise InvalidValue(f"{path} is JSON text nested deeper than {MAX_DEPTH} levels")
    if any(map(resembles_json, _texts_in(meant))):
        raise InvalidValue(f"{path} is JSON text that holds JSON text: send it as plain JSON")
    return meant


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
        return exact_json.loads(text.encode(errors="surrogatepass"))
    except orjson.JSONDecodeError:
        return None


def dumped(value: Any) -> str:
    """Return the JSON text of what `said_by` returned, digit for digit."""
    return orjson.dumps(value, default=lambda number: orjson.Fragment(str(number))).decode()


def _texts_in(value: Any) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict | list):
        for item in value.values() if isinstance(value, dict) else value:
            yield from _texts_in(item)


def deeper_than(value: Any, levels: int) -> bool:
    """Return whether lists and objects stand within each other deeper than some levels."""
    if not isinstance(value, dict | list):
        return False
    items = value.values() if isinstance(value, dict) else value
    return levels == 0 or any(deeper_than(item, levels - 1) for item in items)
