"""Limits of what a change newly brings in: texts, numbers, names, lists, the whole resource.

What was recorded before can be sent back unchanged, or made less.
"""

from collections.abc import Collection, Iterator, Mapping
from typing import Any

import orjson

from projections.query.comparison import MOST_MARKS, stream_safe
from projections.query.model import Type
from scim_api.protocol.errors import InvalidValue
from scim_api.protocol.multi_valued import check_number
from scim_api.protocol.policy import Tolerances
from scim_api.protocol.schema.attributes import Attribute, AttributeAt, ResourceType
from scim_api.protocol.schema.resource_types import kind_of
from scim_api.protocol.texts import FORMED, fault_of, fault_of_shown_name, fault_of_user_name

MAX_NAME = 1024  # characters of what a resource is found by, or shown by in others
MAX_TEXT = 65_536  # characters of any other text; URIs and binary values only fill the resource
MAX_RESOURCE = 1_048_576  # bytes of a resource as JSON, without its members

_WHOLE = (Type.REFERENCE, Type.BINARY)


def check_new(
    resource_type: ResourceType,
    before: Mapping[str, Any],
    after: Mapping[str, Any],
    changed: Collection[str],
    tolerances: Tolerances,
) -> None:
    """Refuse new texts and values that are too large, misleading or malformed: InvalidValue.

    `changed` are the keys of what is not the same before and after.
    """
    if not changed:
        return
    for key, value in after.items():
        if key in changed and (declared := resource_type.declared.get(key)):
            _check(resource_type, declared, before.get(key), value, tolerances)
    size = len(orjson.dumps(after))
    if size > MAX_RESOURCE and size > len(orjson.dumps(before)):
        raise InvalidValue(
            "value.resource_too_large",
            "the resource would have {size} bytes of JSON; it can have {most} at most",
            size=size,
            most=MAX_RESOURCE,
        )


def _check(
    resource_type: ResourceType,
    declared: AttributeAt,
    before: Any,
    after: Any,
    tolerances: Tolerances,
) -> None:
    key, attribute = declared.key, declared.attribute
    if isinstance(after, list) and len(after) > len(before or ()):
        check_number(after, key)
    if key != resource_type.name_attribute and _is_ordinary(attribute, after):
        return
    recorded: set[str] | None = None
    for path, part, text in _texts(attribute, after, key):
        fault = _fault(resource_type, declared, part, text, tolerances)
        if fault and recorded is None:
            recorded = {known for _, _, known in _texts(attribute, before, key)}
        if fault and text not in (recorded or ()):
            raise InvalidValue(
                "value.new", "{path} {fault}", path=path, fault=fault, attributes=(path,)
            )


def _is_ordinary(attribute: Attribute, value: Any) -> bool:
    """Return whether there is nothing to look for in any text of a value, as nearly always."""
    if isinstance(value, str):
        return value.isascii() and len(value) <= MAX_NAME and attribute.type not in FORMED
    if isinstance(value, list):
        for item in value:
            if not _is_ordinary(attribute, item):
                return False
    elif isinstance(value, dict):
        subs = attribute.subs
        for name, part in value.items():
            if (sub := subs.get(name.lower())) and not _is_ordinary(sub, part):
                return False
    return True


def _fault(
    resource_type: ResourceType,
    declared: AttributeAt,
    part: Attribute,
    text: str,
    tolerances: Tolerances,
) -> str | None:
    """Return what is wrong with a new text, or None."""
    is_name = declared.key == resource_type.name_attribute
    looked_up = declared.key in kind_of(resource_type).keys and part.name in (declared.key, "value")
    if looked_up or declared.key == "displayName" or part.uniqueness != "none":
        most = MAX_NAME
    else:
        most = MAX_RESOURCE if part.type in _WHOLE else MAX_TEXT
    if len(text) > most:
        return f"must have {most} characters at most; it has {len(text)}"
    if not stream_safe(text):
        return f"must not have more than {MOST_MARKS} combining marks in a row (UAX #15, D3)"
    fault = fault_of(part.type, text, tolerances)
    if fault or not is_name:
        return fault
    signs_in = resource_type.name_attribute == "userName"
    return fault_of_user_name(text) if signs_in else fault_of_shown_name(text)


def _texts(attribute: Attribute, value: Any, path: str) -> Iterator[tuple[str, Attribute, str]]:
    """Yield every text of a value with its path and its attribute."""
    if isinstance(value, str):
        yield path, attribute, value
    elif isinstance(value, list):
        for item in value:
            yield from _texts(attribute, item, path)
    elif isinstance(value, Mapping):
        for name, item in value.items():
            if sub := attribute.subs.get(name.lower()):
                yield from _texts(sub, item, f"{path}.{name}")
