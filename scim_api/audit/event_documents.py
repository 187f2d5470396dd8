"""Events as the ledger's API shows them: exactly what was hashed, what was kept, who caused it."""

from collections.abc import Mapping
from typing import Any

import orjson

from ledger.contract import RawEvent
from ledger.events import REQUEST_PREFIX, WITHHELD
from ledger.user_agents import family

FIELDS = (  # of a header, in the order in which they are shown
    "position",
    "id",
    "at",
    "type",
    "revision",
    "stream",
    "version",
    "txn",
    "actor",
    "via",
    "ledger",
    "attributes",
    "commitment",
    "v",
)


def event_document(line: RawEvent, credentials: Mapping[str, str]) -> dict[str, Any]:
    """Return an event; `credentials` are the names of credentials by their ids.

    The header is there as it was hashed, and each of its fields by its own name. The payload is as
    it was stored, so that the commitment in the header can be recomputed.
    """
    header = orjson.loads(line.header)
    payload = None if line.body is None else orjson.loads(line.body)
    withheld = sorted(WITHHELD.get(header["type"], frozenset()) & set(payload or ()))
    document: dict[str, Any] = {
        **{name: header[name] for name in FIELDS},
        "header": line.header.decode(),
        "leaf_hash": line.leaf_hash.hex(),
    }
    if withheld:
        document["withheld"] = withheld
    elif line.salt is not None:
        document["salt"] = line.salt.hex()
    shown = None if payload is None else {k: v for k, v in payload.items() if k not in withheld}
    return document | {
        "payload": shown,
        "request": None if payload is None else request_of(payload),
        "credential": credentials.get(header["actor"]),
    }


def request_of(payload: Mapping[str, Any]) -> dict[str, Any]:
    """Return the request that a payload names, and the family of its client."""
    size = len(REQUEST_PREFIX)
    request = {k[size:]: v for k, v in payload.items() if k.startswith(REQUEST_PREFIX)}
    return request | {"family": family(request.get("client", ""))}
