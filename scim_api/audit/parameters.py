"""The addresses of the ledger's own API: its base, parameters, and the other pages of a list.

Reading a parameter raises InvalidValue.
"""

import re
from collections.abc import Iterable, Mapping
from typing import Any
from urllib.parse import urlencode

from projections.audit.blame import BEGINNING, Place
from projections.audit.timeline import Window
from projections.history.contents import NEVER
from scim_api.protocol.errors import InvalidValue
from scim_api.protocol.list_query import DEFAULT_COUNT, Parameters, descending, whole_number
from scim_api.protocol.schema.resource_types import KINDS
from scim_api.web.context import Exchange

BASE = "/ledger/v1"
MOST = 1000  # rows on a page

Bound = Mapping[str, Any]  # the parameters that say where a page begins or ends

_PLACE = re.compile(r"(?:(members|groups):(.{1,256})|([0-9]{1,16}))", re.ASCII)


def number(given: Parameters, name: str) -> int | None:
    """Read a whole number, None where it is not given."""
    return whole_number(given, name, 42) if given.get(name, "").strip() else None


def count(given: Parameters) -> int:
    """Read how many rows a page has at most."""
    found = whole_number(given, "count", DEFAULT_COUNT)
    if found < 1:
        raise InvalidValue(
            "parameter.page_size", "count must be a whole number from 1 to {most}.", most=MOST
        )
    return min(found, MOST)


def position(given: Parameters, name: str) -> int | None:
    """Read a position, None where it is not given."""
    found = number(given, name)
    if found is not None and found < 0:
        raise InvalidValue(
            "parameter.position", "{name} must be a position of the ledger, such as 42.", name=name
        )
    return found


def window(given: Parameters) -> Window:
    """Read which entries of a timeline are asked for."""
    before = position(given, "before")
    return Window(
        after=position(given, "after") or 0,
        before=NEVER if before is None else before,
        count=count(given),
        newest_first=descending(given.get("sortOrder")),
    )


def place(given: Parameters, type_: str) -> Place:
    """Read where a page of the blame of a resource begins."""
    text = given.get("after", "")
    if not text:
        return BEGINNING
    found = _PLACE.fullmatch(text)
    relation, key, values = found.groups() if found else (None, None, None)
    if values:
        return Place(int(values))
    if relation is None or relation != KINDS[type_].relation:
        raise InvalidValue(
            "parameter.page", "after must be left out, or taken from next of the page before."
        )
    if relation == "members":
        return Place(relation=key)
    return Place(relation=whole_number({"after": key or ""}, "after", 42))


def place_text(begin: Place) -> str:
    """Return what `place` reads."""
    if begin.relation is None:
        return str(begin.values)
    return f"{'members' if isinstance(begin.relation, str) else 'groups'}:{begin.relation}"


def one_of(given: Parameters, name: str, words: Iterable[str]) -> str | None:
    """Read one of the words there are, None where it is not given."""
    word = given.get(name)
    if word is not None and word not in words:
        template, known = "{name} must be one of: {words}.", ", ".join(words)
        raise InvalidValue("parameter.word", template, name=name, words=known)
    return word


def page_address(exchange: Exchange, given: Mapping[str, str], bound: Bound | None) -> str | None:
    """Return the address of another page: the request's own with other bounds. None without any."""
    if bound is None:
        return None
    query = urlencode({**given, **bound})
    return f"{exchange.root_url}{exchange.environ['PATH_INFO']}?{query}"


def page_links(
    exchange: Exchange,
    given: Mapping[str, str],
    low: int,
    high: int,
    older: bool,
    newer: bool,
    *,
    newest_first: bool = True,
) -> dict[str, str | None]:
    """Return the addresses of the next page and of the previous one of a page from low to high.

    `older` and `newer` say whether anything is before and after it.
    """
    before = page_address(exchange, given, {"before": low} if older else None)
    after = page_address(exchange, given, {"after": high} if newer else None)
    pages = (before, after) if newest_first else (after, before)
    return {"next": pages[0], "previous": pages[1]}
