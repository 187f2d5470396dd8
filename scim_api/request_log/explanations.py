"""Why a request was refused or changed nothing: the rule, the RFC, where to look in Okta.

explanations.json is keyed by the topic of the rule code, else by scimType, else by status; a key
can be narrowed by the request's method or its resource type, as in "resource User".
"""

import json
from collections.abc import Iterator
from dataclasses import dataclass, replace
from importlib.resources import files

from ledger.user_agents import OKTA
from scim_api.request_log.records import Row

ANOTHER = "None: the client is not Okta."


@dataclass(frozen=True, slots=True)
class Explanation:
    """The meaning of a row, where to look in Okta if the client is Okta, and what to do next."""

    rule: str
    rfc: str
    okta: str
    next: str


_TEXT = files("scim_api.request_log").joinpath("explanations.json").read_text("utf-8")
TABLE = {key: Explanation(**texts) for key, texts in json.loads(_TEXT).items()}


def explain(row: Row, base_url: str) -> Explanation:
    """Return the meaning of a row; `base_url` is the SCIM base URL that clients should have."""
    found = next(TABLE[key] for key in _keys(row) if key in TABLE)
    okta = found.okta if row.family == OKTA else ANOTHER
    return replace(found, okta=okta, next=found.next.replace("{base}", base_url))


def _keys(row: Row) -> Iterator[str]:
    topic = (row.code or "").partition(".")[0]
    for word in (topic, row.scim_type, str(row.status if row.status >= 400 else 200)):
        yield from (f"{word} {row.method}", f"{word} {row.resource_type}", word or "")
    yield "other"
