"""The records kept of a request: only what this service gave out, nothing that a client wrote.

Of an address only fixed words, names of resource types, URNs of served schemas and ids; of a detail
our own words; of the headers the User-Agent, unless it could name a person.
"""

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import NamedTuple, TypeAlias

import orjson

from ledger.user_agents import family
from projections.query.model import Stored
from scim_api.protocol.errors import LEFT_OUT, Refusal
from scim_api.protocol.schema.attributes import ResourceType

MOST_PARTS = 100  # operations kept of one bulk request
MAX_PATH = 600  # characters of an address
MAX_METHOD = 16

# Refusals of who asks, whatever for: few of them are kept, as of 401s, and few are logged.
TURNED_AWAY = (
    *("client.network", "client.paused", "credential.network", "credential.paused"),
    *("oauth.keys", "rate.refusals", "rate.requests"),
)

_MAX_DETAIL = 1000  # characters
_MAX_SEGMENTS = 12
_METHODS = frozenset("GET HEAD POST PUT PATCH DELETE OPTIONS TRACE CONNECT".split())
_ID = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}", re.IGNORECASE)
_TOKEN = re.compile(r"scl[acors]?_[\w%-]*", re.ASCII | re.IGNORECASE)  # or another of our secrets
_PERSONAL = re.compile(
    r"@|%40|\sat\s|scl[acors]?_"  # an e-mail address, or a secret
    r"|\+(?:[ ().-]*\d){7}|(?=\d*[ +]+\d)\d(?:[ +]*\d){6}",  # a telephone number
    re.IGNORECASE,
)


@dataclass(frozen=True, slots=True)
class NoChange:
    """A write that changed nothing, and the version of the resource it was compared with."""

    type: str
    id: str
    version: int

    @classmethod
    def of(cls, row: Stored) -> "NoChange":
        return cls(row.type, row.id, row.version)


@dataclass(frozen=True, slots=True)
class Part:
    """One operation of a bulk request, as the client wrote it."""

    method: str
    path: str
    outcome: Refusal | NoChange


Outcome: TypeAlias = Refusal | NoChange | list[Part]


@dataclass(frozen=True, slots=True)
class KnownPaths:
    """The bases of the two interfaces, and the fixed words of all addresses."""

    scim: str
    ledger: str
    words: frozenset[str]

    def holds(self, path: str) -> bool:
        """Return whether an address is under one of the bases."""
        return f"{path}/".startswith((f"{self.scim}/", f"{self.ledger}/"))


@dataclass(frozen=True, slots=True)
class Entry:
    """A request to log; its records are made later, off the request path."""

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
    known: KnownPaths
    position: int | None = None  # of the past that was asked for

    @property
    def of_stranger(self) -> bool:
        """Whether it says more of who asks than of what was asked."""
        turned_away = isinstance(self.outcome, Refusal) and self.outcome.code in TURNED_AWAY
        return self.actor is None or self.status == 401 or turned_away


class Record(NamedTuple):
    """A record, as a row of the log; `attributes` is a JSON list.

    Numbers rise and are given once, when a record is written.
    """

    row: int | None  # its number
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
    code: str | None  # the rule that refused it


FindPosition = Callable[[NoChange], int | None]


def records_of(entry: Entry, find_position: FindPosition) -> list[Record]:
    """Return the records of a request: one, or one for each operation of a bulk request."""
    if isinstance(entry.outcome, list):
        return [_record(entry, part, 200, find_position) for part in entry.outcome]
    whole = Part(entry.method, entry.path, entry.outcome)
    return [_record(entry, whole, entry.status, find_position)]


def _record(entry: Entry, part: Part, status: int, find_position: FindPosition) -> Record:
    refusal = part.outcome if isinstance(part.outcome, Refusal) else None
    position = find_position(part.outcome) if isinstance(part.outcome, NoChange) else entry.position
    resource_type, id_ = _resource(entry, part)
    attributes = refusal.attributes if refusal else ()
    return Record(
        row=None,
        at=entry.at,
        request_id=entry.id,
        actor=entry.actor,
        client=known_client(entry.client),
        family=family(entry.client),
        method=known_method(part.method),
        path=known_path(part.path, entry.known.words, entry.types),
        status=refusal.status if refusal else status,
        scim_type=refusal.scim_type if refusal else None,
        detail=refusal.logged[:_MAX_DETAIL] if refusal else None,
        milliseconds=entry.milliseconds,
        resource_type=resource_type,
        resource_id=id_,
        position=position,
        attributes=orjson.dumps(attributes).decode() if attributes else None,
        bulk=isinstance(entry.outcome, list),
        code=_code(refusal, entry, part, id_) if refusal else None,
    )


def _code(refusal: Refusal, entry: Entry, part: Part, id_: str | None) -> str:
    """Return the rule code; where nothing was found, a malformed address is the rule."""
    bulk = isinstance(entry.outcome, list)
    if refusal.status == 404 and not bulk and not entry.known.holds(part.path):
        return "outside.base"
    if refusal.code.startswith("resource.") and id_ is None:
        return "bulk_path.id" if bulk else "foreign_id.form"
    return refusal.code


def _resource(entry: Entry, part: Part) -> tuple[str | None, str | None]:
    """Return the type and id of the resource that a request is about, if there is one."""
    if isinstance(part.outcome, NoChange):
        return part.outcome.type, part.outcome.id
    endpoint, _, rest = part.path.removeprefix(f"{entry.known.scim}/").partition("/")
    if endpoint == "Me" and entry.user:
        return "User", entry.user
    named = (each.name for each in entry.types if each.endpoint == f"/{endpoint}")
    return next(named, None), rest if _ID.fullmatch(rest) else None


def known_method(method: str) -> str:
    """Return a method of HTTP, and … for any other text."""
    return method if method in _METHODS else LEFT_OUT


def known_path(path: str, words: frozenset[str], types: Sequence[ResourceType]) -> str:
    """Return an address with … for each segment that this service did not give out."""
    segments = path.split("/")
    names = words | {each.name for each in types}
    schemas = (schema for each in types for schema in (each.schema, *each.extensions))
    urns = {schema.id.lower(): schema.id for schema in schemas}
    kept = [
        segment
        if segment in names or not segment or _ID.fullmatch(segment)
        else urns.get(segment.lower(), LEFT_OUT)
        for segment in segments[:_MAX_SEGMENTS]
    ]
    return "/".join(kept + [LEFT_OUT] * (len(segments) > _MAX_SEGMENTS))


def known_id(request_id: str) -> str:
    """Return a request id if it could be our own, and … for one that a client made."""
    return request_id if _ID.fullmatch(request_id) else LEFT_OUT


def without_names(record: Record) -> Record:
    """Return what an erasure leaves of a record: nothing that a client wrote of itself."""
    return record._replace(client=record.family, request_id=known_id(record.request_id))


def known_client(agent: str) -> str:
    """Return a User-Agent, or only its family if it could name a person or hold a token."""
    return family(agent) if _PERSONAL.search(agent) else agent


def without_tokens(agent: str) -> str:
    """Return a User-Agent without tokens and other secrets of this service."""
    return _TOKEN.sub("", agent) if "scl" in agent.lower() else agent
