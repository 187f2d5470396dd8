"""The one meaning of the events about a resource, and its stored form."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import orjson

from ledger import events
from ledger.contract import LedgerError
from ledger.events import REQUEST_PREFIX, Change, Payload, Recorded

Attributes = Mapping[str, Any]

ACTIVE = "active"
MEMBER = "members:"  # before the id of a member in the payloads of a group's events

# The values of a resource of a type until an event sets others, and again once it unassigns them: a
# user is active unless `active` is false.
STANDING: Mapping[str, Attributes] = {"User": {ACTIVE: True}}


class UnknownChange(LedgerError):
    """An event about a resource whose meaning this program does not know."""


@dataclass(frozen=True, slots=True)
class Resource:
    """A resource as its events add up: attributes by payload key, no URLs, no derived values."""

    type: str
    id: str
    version: int
    created: str
    last_modified: str
    attributes: Attributes


_UPDATES = {
    events.UPDATED,
    events.DEACTIVATED,
    events.REACTIVATED,
    events.MEMBERS_ADDED,
    events.MEMBERS_REMOVED,
}


def evolve(resource: Resource | None, recorded: Recorded) -> Resource | None:
    """Return the resource after an event; None once it is deleted. Raises UnknownChange."""
    if recorded.type in (events.DELETED, events.ERASED):
        return None
    must_fit(recorded, resource is not None)
    before: Attributes = {}
    created = recorded.at
    if resource and recorded.type != events.CREATED:
        created, before = resource.created, resource.attributes
    return Resource(
        type=recorded.category,
        id=recorded.subject,
        version=recorded.version,
        created=created,
        last_modified=recorded.at,
        attributes=laid_over(before, recorded.effects, recorded.category),
    )


def must_fit(recorded: Recorded | Change, exists: bool) -> None:
    """Raise UnknownChange unless an event says something about a resource that it can be about."""
    if recorded.type == events.CREATED:
        return
    if recorded.type not in _UPDATES:
        raise UnknownChange(f"an event of type {recorded.type} says nothing about a resource")
    if not exists:
        at = recorded.position
        raise UnknownChange(f"{recorded.type} at position {at} changes nothing known")


class Fold:
    """What the events of one stream add up to: as `evolve`, with the attributes laid on at the end.

    A thousand changes of a resource cost a thousand dictionaries updated, and one resource made.
    """

    __slots__ = ("_at", "_created", "_effects", "_version", "born", "id", "stream", "type")

    def __init__(self, stream: str) -> None:
        self.stream = stream
        self.type, _, self.id = stream.partition("-")
        self.born: int | None = None  # the position of its Created event, while it exists
        self._effects: dict[str, Any] = {}

    def follow(self, change: Change, payload: Payload) -> None:
        """Follow an event with its payload, which was not forgotten; raises UnknownChange."""
        if self.born is not None and change.type in _UPDATES:
            self._effects.update(payload)
        elif change.type in (events.DELETED, events.ERASED):
            self.born = None
            return
        else:
            must_fit(change, self.born is not None)
            self.born = self.born or change.position
            self._created, self._effects = change.at, dict(payload)
        self._version, self._at = change.version, change.at

    def resource(self) -> Resource:
        """Return the resource, which exists."""
        effects = self._effects
        own = {key: effects[key] for key in effects if not key.startswith(REQUEST_PREFIX)}
        return Resource(
            type=self.type,
            id=self.id,
            version=self._version,
            created=self._created,
            last_modified=self._at,
            attributes=laid_over({}, own, self.type),
        )


def is_active(attributes: Attributes) -> bool:
    """Return whether a resource is active: it is unless `active` is false."""
    return attributes.get("active") is not False


def laid_over(attributes: Attributes, effects: Attributes, type_: str) -> dict[str, Any]:
    """Return the attributes of a resource of a type after an event's effects: the whole rule.

    null unassigns; an attribute in STANDING then has its value there.
    """
    after = {**attributes, **effects}
    if None in after.values():
        after = {key: value for key, value in after.items() if value is not None}
    for key, value in STANDING.get(type_, {}).items():
        after.setdefault(key, value)
    return after


def document_of(resource: Resource, schema: str, endpoint: str) -> bytes:
    """Return the SCIM document with a relative location, without `groups` and `members`.

    Keys stand sorted, so that rebuilding gives the same bytes; `meta` comes last and `location`
    last in it, where `located` finds it.
    """
    own, extensions = _split(resource.attributes)
    body = {**own, **extensions}
    head = {"schemas": [schema, *sorted(extensions)], "id": resource.id}
    meta = {
        "resourceType": resource.type,
        "created": resource.created,
        "lastModified": resource.last_modified,
        "version": f'W/"{resource.version}"',  # the ETag
        "location": f"{endpoint}/{resource.id}",
    }
    parts = (
        orjson.dumps(head)[1:-1],
        orjson.dumps(body, option=orjson.OPT_SORT_KEYS)[1:-1],
        b'"meta":' + orjson.dumps(meta),
    )
    return b"{" + b",".join(part for part in parts if part) + b"}"


def _split(attributes: Attributes) -> tuple[dict[str, Any], dict[str, dict[str, Any]]]:
    """Split payload keys into core attributes and, by URN, those of extensions; not members."""
    own: dict[str, Any] = {}
    extensions: dict[str, dict[str, Any]] = {}
    for key, value in attributes.items():
        if ":" not in key:
            own[key] = value
        elif not key.startswith(MEMBER):
            urn, _, name = key.rpartition(":")
            extensions.setdefault(urn, {})[name] = value
    return own, extensions


_LOCATION = b'"location":"'


def located(document: bytes, base_url: bytes, more: bytes = b"") -> bytes:
    """Put the base URL before a stored document's location, and `more` before its last brace."""
    before, _, after = document.rpartition(_LOCATION)
    return b"".join((before, _LOCATION, base_url, after[:-1], more, b"}"))


def resource_of(document: bytes) -> Resource:
    """Read a resource back from its stored document."""
    body = orjson.loads(document)
    meta = body.pop("meta")
    id_ = body.pop("id")
    del body["schemas"]
    attributes: dict[str, Any] = {}
    for key, value in body.items():
        if key.startswith("urn:"):
            attributes.update((f"{key}:{name}", item) for name, item in value.items())
        else:
            attributes[key] = value
    return Resource(
        type=meta["resourceType"],
        id=id_,
        version=int(meta["version"][3:-1]),
        created=meta["created"],
        last_modified=meta["lastModified"],
        attributes=attributes,
    )
