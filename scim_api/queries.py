"""List requests: query parameters -> Query and Selection (RFC 7644 §3.4.2)."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace

from projections.query import And, Compare, Filter, Not, Or, Path, Query
from scim_api.attributes import ResourceType
from scim_api.documents import Selection, selection
from scim_api.errors import InvalidValue
from scim_api.grammar import parse_filter, parse_sort

DEFAULT_COUNT = 100
_MOST = 2**53


@dataclass(frozen=True, slots=True)
class ListRequest:
    """What a list request asks for, and what its resources are to show."""

    query: Query
    selection: Selection | None


def list_request(
    parameters: Mapping[str, str],
    resource_type: ResourceType,
    *,
    max_results: int,
    base_url: str,
    tolerated: Callable[[str], None],
) -> ListRequest:
    """Read the parameters; raises InvalidFilter or InvalidValue. Unknown ones do nothing.

    `base_url` is what locations begin with when shown; stored, they are relative.
    """
    filter_, sort_by = parameters.get("filter"), parameters.get("sortBy")
    query = Query(
        filter=None
        if filter_ is None
        else _relative(parse_filter(filter_, resource_type, tolerated=tolerated), base_url),
        sort_by=parse_sort(sort_by, resource_type) if sort_by else None,
        descending=_descending(parameters.get("sortOrder")),
        start_index=max(1, whole_number(parameters, "startIndex", 1)),
        count=min(max(0, whole_number(parameters, "count", DEFAULT_COUNT)), max_results),
    )
    return ListRequest(query, shown(parameters, resource_type))


def _relative(filter_: Filter, base_url: str) -> Filter:
    """Take the base URL off what is compared with meta.location."""
    match filter_:
        case Compare(Path(key="meta", sub="location"), _, str(value)):
            return replace(filter_, value=value.removeprefix(base_url))
        case Not(term):
            return Not(_relative(term, base_url))
        case And(terms) | Or(terms):
            return type(filter_)(tuple(_relative(term, base_url) for term in terms))
    return filter_


def shown(parameters: Mapping[str, str], resource_type: ResourceType) -> Selection | None:
    """Read `attributes` and `excludedAttributes`."""
    return selection(
        parameters.get("attributes"), parameters.get("excludedAttributes"), resource_type
    )


def whole_number(parameters: Mapping[str, str], name: str, default: int) -> int:
    """Return a parameter that is a whole number; raises InvalidValue."""
    text = parameters.get(name, "").strip()
    if not text:
        return default
    digits = text.removeprefix("-")
    if not (digits.isascii() and digits.isdigit()) or len(digits) > 16:
        raise InvalidValue(f"{name} is a whole number, such as {default}.")
    return min(int(text), _MOST)


def _descending(order: str | None) -> bool:
    word = (order or "ascending").lower()
    if word not in ("ascending", "descending"):
        raise InvalidValue("sortOrder is ascending or descending.")
    return word == "descending"
