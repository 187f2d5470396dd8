"""What is kept of a request: only what this service itself gave out, and nothing that was written.

Of an address static words, names of resource types, URNs of served schemas and ids; of a detail
our own words; of the headers the User-Agent, unless it could name a person.
"""

import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import orjson

from ledger.user_agents import family
from scim_api.protocol.errors import Refusal
from scim_api.protocol.quotations import LEFT_OUT
from scim_api.protocol.schema.attributes import ResourceType
from scim_api.request_log.outcomes import Outcome, Part, Repetition, known_method
from scim_api.request_log.user_agents import known_client

MAX_DETAIL = 1000  # characters
_MAX_SEGMENTS = 12
_ID = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Served:
    """The addresses of which requests are kept, and the words that stand in addresses."""

    scim: str
    ledger: str
    words: frozenset[str]

    def holds(self, path: str) -> bool:
        """Return whether requests for an address are kept."""
        return f"{path}/".startswith((f"{self.scim}/", f"{self.ledger}/"))


@dataclass(frozen=True, slots=True)
class Entry:
    """A request that is to be kept, as it came: a reference to each thing, nothing worked out."""

    at: str
    id: str
    actor: str | None  # None: it was not authenticated
    user: str | None  # whose own the credential is
    client: str
    method: str
    path: str
    status: int
    milliseconds: float
    outcome: Outcome
    types: Sequence[ResourceType]
    served: Served
    position: int | None = None  # that of the past which was asked for

    @property
    def size(self) -> int:
        """How many rows it comes to."""
        return len(self.outcome) if isinstance(self.outcome, list) else 1


class Row(NamedTuple):
    """A row of the log, but for its number; `attributes` is a JSON list."""

    at: str
    request_id: str
    actor: str | None
    client: str
    family: str
    method: str
    path: str
    status: int
    scim_type: str | None
    detail: str | None
    milliseconds: float
    resource_type: str | None
    resource_id: str | None
    position: int | None
    attributes: str | None
    bulk: bool  # an operation of a bulk request


FindPosition = Callable[[Repetition], int | None]


def rows_of(entry: Entry, find_position: FindPosition) -> Iterator[Row]:
    """Yield the rows of a request: one, or one for each operation of a bulk request."""
    if not isinstance(entry.outcome, list):
        whole = Part(entry.method, entry.path, entry.outcome)
        yield _row(entry, whole, entry.status, find_position)
        return
    for part in entry.outcome:
        yield _row(entry, part, 200, find_position)


def _row(entry: Entry, part: Part, status: int, find_position: FindPosition) -> Row:
    outcome = part.outcome
    refusal = outcome if isinstance(outcome, Refusal) else None
    position = find_position(outcome) if isinstance(outcome, Repetition) else entry.position
    resource_type, id_ = _resource(entry, part)
    return Row(
        at=entry.at,
        request_id=entry.id,
        actor=entry.actor,
        client=known_client(entry.client),
        family=family(entry.client),
        method=known_method(part.method),
        path=known_path(part.path, entry.served.words, entry.types),
        status=refusal.status if refusal else status,
        scim_type=refusal.scim_type if refusal else None,
        detail=refusal.logged[:MAX_DETAIL] if refusal else None,
        milliseconds=entry.milliseconds,
        resource_type=resource_type,
        resource_id=id_,
        position=position,
        attributes=orjson.dumps(refusal.attributes).decode()
        if refusal and refusal.attributes
        else None,
        bulk=isinstance(entry.outcome, list),
    )


def known_path(path: str, words: frozenset[str], types: Sequence[ResourceType]) -> str:
    """Return an address with … for each segment that this service did not give out."""
    segments = path.split("/")
    names = {each.name for each in types}
    urns = {urn.lower(): urn for urn in _urns(types)}
    kept = [
        segment
        if segment in words or segment in names or not segment or _ID.fullmatch(segment)
        else urns.get(segment.lower(), LEFT_OUT)
        for segment in segments[:_MAX_SEGMENTS]
    ]
    return "/".join(kept + [LEFT_OUT] * (len(segments) > _MAX_SEGMENTS))


def _urns(types: Sequence[ResourceType]) -> Iterator[str]:
    for each in types:
        yield each.schema.id
        yield from (extension.id for extension in each.extensions)


def _resource(entry: Entry, part: Part) -> tuple[str | None, str | None]:
    """Return the type and id of the resource that a request is about, where there is one."""
    if isinstance(part.outcome, Repetition):
        return part.outcome.type, part.outcome.id
    endpoint, _, rest = part.path.removeprefix(f"{entry.served.scim}/").partition("/")
    if endpoint == "Me" and entry.user:
        return "User", entry.user
    named = (each.name for each in entry.types if each.endpoint == f"/{endpoint}")
    return next(named, None), rest if _ID.fullmatch(rest) else None
