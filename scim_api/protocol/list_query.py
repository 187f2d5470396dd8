"""List requests: parameters of a URL or of a SearchRequest -> Query (RFC 7644 §3.4.2, §3.4.3)."""

from collections.abc import Mapping
from typing import Any

from projections.query.model import Query
from scim_api.protocol.body import names_message
from scim_api.protocol.documents import Selection, selection
from scim_api.protocol.errors import InvalidCount, InvalidSyntax, InvalidValue, ScimError
from scim_api.protocol.filter import parse_filter, parse_sort
from scim_api.protocol.policy import Tolerances
from scim_api.protocol.schema.attributes import ResourceType

SEARCH_URN = "urn:ietf:params:scim:api:messages:2.0:SearchRequest"
DEFAULT_COUNT = 100
_MOST = 2**53
_NUMBERS = ("startIndex", "count")
_LISTS = ("attributes", "excludedAttributes")
_TEXTS = ("filter", "sortBy", "sortOrder", "cursor")

Parameters = Mapping[str, str]


def list_query(
    parameters: Parameters,
    resource_type: ResourceType,
    tolerances: Tolerances,
    *,
    max_results: int,
) -> Query:
    """Read all parameters except `cursor`; raises InvalidFilter, InvalidCount or InvalidValue.

    Unknown ones do nothing.
    """
    filter_, sort_by = parameters.get("filter"), parameters.get("sortBy")
    return Query(
        filter=None if filter_ is None else parse_filter(filter_, resource_type, tolerances),
        sort_by=parse_sort(sort_by, resource_type) if sort_by else None,
        descending=descending(parameters.get("sortOrder")),
        start_index=max(1, whole_number(parameters, "startIndex", 1)),
        count=min(max(0, whole_number(parameters, "count", DEFAULT_COUNT)), max_results),
    )


def shown(parameters: Parameters, resource_type: ResourceType) -> Selection | None:
    """Read `attributes` and `excludedAttributes`."""
    return selection(
        parameters.get("attributes"), parameters.get("excludedAttributes"), resource_type
    )


def search_parameters(body: Any, tolerances: Tolerances) -> dict[str, str]:
    """Return the parameters of a SearchRequest message as those of a URL (RFC 7644 §3.4.3).

    Raises InvalidSyntax or InvalidValue.
    """
    if not isinstance(body, dict):
        raise InvalidSyntax(
            "body.search_object", "The body must be a JSON object, a SearchRequest."
        )
    given = {name.lower(): value for name, value in body.items() if value is not None}
    if not names_message(given.get("schemas"), SEARCH_URN, tolerances):
        raise InvalidValue(
            "parameter.search_schemas", 'schemas must contain "{urn}".', urn=SEARCH_URN
        )
    names = (*_NUMBERS, *_LISTS, *_TEXTS)
    return {name: _as_text(name, given) for name in names if name.lower() in given}


def _as_text(name: str, given: Mapping[str, Any]) -> str:
    value = given[name.lower()]
    if name in _NUMBERS:
        if isinstance(value, int) and not isinstance(value, bool):
            return str(value)
        template = "{name} must be a whole number, without quotes."
        raise _fault_of(name, given)("parameter.json_number", template, name=name)
    if name in _LISTS and isinstance(value, list):
        if all(isinstance(item, str) for item in value):
            return ",".join(value)
        template = "{name} must be a list of attribute names in quotes."
        raise InvalidValue("parameter.names", template, name=name)
    if isinstance(value, str):
        return value
    raise InvalidValue("parameter.text", "{name} must be text in quotes.", name=name)


def whole_number(parameters: Parameters, name: str, default: int) -> int:
    """Return a parameter that is a whole number; raises InvalidValue or InvalidCount."""
    text = parameters.get(name, "").strip()
    if not text:
        return default
    digits = text.removeprefix("-")
    if not (digits.isascii() and digits.isdigit()):
        template = "{name} must be a whole number, such as {default}."
        error = _fault_of(name, parameters)
        raise error("parameter.number", template, name=name, default=default)
    if len(digits) > 16:  # more than any list has; not even converted
        return _MOST if digits == text else -_MOST
    return min(int(text), _MOST)


def _fault_of(name: str, parameters: Mapping[str, Any]) -> type[ScimError]:
    """Return the error for a number that is malformed; `count` next to a cursor has its own."""
    is_walk = parameters.get("cursor") is not None
    return InvalidCount if name == "count" and is_walk else InvalidValue


def descending(order: str | None) -> bool:
    """Read sortOrder; raises InvalidValue."""
    word = (order or "ascending").lower()
    if word not in ("ascending", "descending"):
        raise InvalidValue("parameter.sort_order", "sortOrder must be ascending or descending.")
    return word == "descending"
