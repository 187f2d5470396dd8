"""Faults of values, missing ones among them, and the error that reports them."""

import re
from collections.abc import Iterator, Mapping
from itertools import islice
from typing import Any

from projections.query.model import Type
from scim_api.protocol.errors import InvalidValue
from scim_api.protocol.schema.attributes import Attribute, AttributeAt

REQUIRED = "is required and must not be empty"

_SHOWN_ERRORS = 5
_INDEX = re.compile(r"\[\d+\]")


class Expected(str):
    """A fault, and `okta`: a hint for Okta's admins."""

    okta = ""


# What is required


def is_given(attribute: Attribute, value: Any) -> bool:
    """Return whether a value satisfies an attribute that is required.

    It is not blank; an object, or one of a list, is more than a description of a value.
    """
    if isinstance(value, list):
        return any(is_given(attribute, item) for item in value)
    if isinstance(value, Mapping):
        return any(not _is_blank(value.get(name)) for name in attribute.substance)
    return not _is_blank(value)


def _is_blank(value: Any) -> bool:
    return value is None or (isinstance(value, str) and not value.strip())


def lacking(attribute: Attribute, parts: Mapping[str, Any]) -> dict[Any, Any]:
    """Return a fault for each required sub-attribute that an object lacks, if it has any part."""
    needed = attribute.required_parts if parts else ()
    return {name: [REQUIRED] for name in needed if parts.get(name) is None}


def faults_of_missing(attribute: Attribute) -> Any:
    """Return the faults of a required attribute that is missing: of an object, its parts."""
    if attribute.multi_valued or not attribute.required_parts:
        return [REQUIRED]
    return {name: [REQUIRED] for name in attribute.required_parts}


def check_complete(declared: AttributeAt, value: Any) -> None:
    """Check what was put together from parts: something required may be missing."""
    attribute, faults = declared.attribute, {}
    if attribute.required_parts and attribute.multi_valued:
        each = ((place, lacking(attribute, entry)) for place, entry in enumerate(value))
        faults = {place: found for place, found in each if found}
    if not faults and attribute.required and not is_given(attribute, value):
        faults = faults_of_missing(attribute)
    if not faults and attribute.required_parts and not attribute.multi_valued:
        faults = lacking(attribute, value)
    if faults:
        raise refusal(declared.key, faults)


# What a refusal says


def example(attribute: Attribute) -> str:
    names = [sub.name for sub in attribute.sub_attributes if not sub.read_only]
    shown = "value" if "value" in names else names[0]
    return f'{{"{shown}": "..."}}'


def expected_list(attribute: Attribute) -> Expected:
    if attribute.type is not Type.COMPLEX:
        return Expected('must be a list such as ["..."]')
    fault = Expected(f"must be a list such as [{example(attribute)}]")
    if "value" in attribute.subs:
        name = attribute.name
        fault.okta = f"In Okta, map {name}.^[primary==true].value and not {name}."
    return fault


def refusal(path: str, messages: Any) -> InvalidValue:
    """Return the error for faults below a path: the first few, each with its place."""
    faults = list(islice(_faults(path, messages), _SHOWN_ERRORS))
    names = dict.fromkeys(_INDEX.sub("", where) for where, _ in faults)
    hints = dict.fromkeys(fault.okta for _, fault in faults if isinstance(fault, Expected))
    said = "; ".join(map(" ".join, faults))
    if hint := " ".join(filter(None, hints)):
        return InvalidValue(
            "value.unfit", "{said}", okta="{hint}", said=said, hint=hint, attributes=tuple(names)
        )
    return InvalidValue("value.unfit", "{said}", said=said, attributes=tuple(names))


def _faults(path: str, messages: Any) -> Iterator[tuple[str, str]]:
    """Yield each faulty place and its fault."""
    if not isinstance(messages, dict):
        yield path, messages[0]
        return
    dot = "." if path else ""
    for step, inner in messages.items():
        place = f"[{step}]" if isinstance(step, int) else f"{dot}{step}"
        yield from _faults(path + place, inner)
