"""Addresses of the ledger's own API: its base, the pages of a list, the requests that wait."""

from collections.abc import Mapping
from typing import Any
from urllib.parse import unquote, urlencode

from scim_api.web.context import Exchange

BASE = "/ledger/v1"

Bound = Mapping[str, Any]  # the parameters that say where a page begins or ends


def waits(path: str, query: str) -> bool:
    """Return whether a request, as it stands on its first line, may wait for an event."""
    if "ledger" not in path and "%" not in path:
        return False  # by far the most
    segments = [part for part in unquote(path).split("/") if part]
    address = "/" + "/".join(segments)
    if address == f"{BASE}/feed":
        return True
    return address == f"{BASE}/events" and "wait" in unquote(query)


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
