"""The operations of SCIM: read, decide, append. No HTTP and no SQL here."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from ledger import clock
from ledger.events import DELETED, Event, Metadata
from ledger.sqlite import SQLiteLedger
from ledger.store import NO_STREAM, Append, WrongExpectedVersion
from projections.query import Page, Query
from projections.resources import Kind, NotUnique, Resources
from projections.state import Attributes, Resource, document_of, evolve, resource_of
from scim_api import patch as patching
from scim_api.attributes import ResourceType
from scim_api.conditions import Conditions
from scim_api.errors import NotFound, PreconditionFailed, TooManyRequests, Uniqueness
from scim_api.intake import load_resource
from scim_api.policy import Policy
from scim_api.translate import creation, difference

ATTEMPTS = 50  # how often a change that lost a race is decided anew

Decide = Callable[[Attributes], Attributes]


@dataclass(frozen=True, slots=True)
class Answer:
    """A resource's stored document and its version."""

    id: str
    etag: str
    document: bytes


class Service:
    """The operations on one resource type of one ledger."""

    def __init__(
        self,
        ledger: SQLiteLedger,
        resources: Resources,
        resource_type: ResourceType,
        kind: Kind,
        policy: Policy,
        tolerated: Callable[[str], None],
    ) -> None:
        """`tolerated` is told the name of each tolerance of the policy that was made use of."""
        self._ledger = ledger
        self._resources = resources
        self._type = resource_type
        self._kind = kind
        self._policy = policy
        self._tolerated = tolerated

    def create(self, body: Any, metadata: Metadata) -> Answer:
        """Create a resource (RFC 7644 §3.3); raises ScimError."""
        attributes = load_resource(self._type, body, self._policy, self._tolerated)
        id_ = clock.uuid7()
        return self._append(id_, None, creation(attributes), metadata)

    def read(self, id_: str) -> Answer:
        """Return a resource (RFC 7644 §3.4.1); raises NotFound."""
        with self._ledger.reading() as connection:
            found = self._resources.document(connection, self._kind.type, id_)
        if found is None:
            raise self._not_found()
        document, version = found
        return Answer(id_, f'W/"{version}"', document)

    def search(self, query: Query) -> Page:
        """Return a page of a list (RFC 7644 §3.4.2)."""
        with self._ledger.reading() as connection:
            return self._resources.search(connection, self._kind.type, query)

    def replace(self, id_: str, body: Any, conditions: Conditions, metadata: Metadata) -> Answer:
        """Replace a resource (RFC 7644 §3.5.1); raises ScimError.

        Okta sends back what it read, so a missing `active` keeps its value.
        """
        self._must_exist(id_)
        desired = load_resource(self._type, body, self._policy, self._tolerated)

        def replaced(attributes: Attributes) -> Attributes:
            kept = {"active": attributes["active"]} if "active" in attributes else {}
            return {**kept, **desired}

        return self._change(id_, replaced, conditions, metadata)

    def patch(self, id_: str, body: Any, conditions: Conditions, metadata: Metadata) -> Answer:
        """Apply a PATCH, whole or not at all (RFC 7644 §3.5.2); raises ScimError."""

        def patched(attributes: Attributes) -> Mapping[str, Any]:
            return patching.apply(self._type, attributes, body, self._policy, self._tolerated)

        return self._change(id_, patched, conditions, metadata)

    def delete(self, id_: str, conditions: Conditions, metadata: Metadata) -> None:
        """Delete a resource (RFC 7644 §3.6): a tombstone, after which its name is free."""
        for _ in range(ATTEMPTS):
            current = self._current(id_)
            conditions.check_change(current.etag)
            append = Append(self._stream(id_), current.version, [Event(DELETED)])
            try:
                self._ledger.append([append], metadata)
            except WrongExpectedVersion:
                continue
            return
        raise _contended()

    def _change(
        self, id_: str, decide: Decide, conditions: Conditions, metadata: Metadata
    ) -> Answer:
        for _ in range(ATTEMPTS):
            current = self._current(id_)
            conditions.check_change(current.etag)
            events = difference(current.attributes, decide(current.attributes))
            if not events:
                return self._answer(current)
            try:
                return self._append(id_, current, events, metadata)
            except WrongExpectedVersion as race:
                if conditions.exact:
                    raise PreconditionFailed(
                        "The resource was changed by another request at the same moment."
                        " Read it again, then repeat the change."
                    ) from race
        raise _contended()

    def _append(
        self, id_: str, current: Resource | None, events: list[Event], metadata: Metadata
    ) -> Answer:
        expected = current.version if current else NO_STREAM
        append = Append(self._stream(id_), expected, events)
        try:
            recorded = self._ledger.append([append], metadata)
        except NotUnique as taken:
            raise self._taken(taken) from taken
        resource = current
        for event in recorded:
            resource = evolve(resource, event)
        if resource is None:
            raise RuntimeError("an update left no resource")
        return self._answer(resource)

    def _answer(self, resource: Resource) -> Answer:
        document = document_of(resource, self._kind.schema, self._kind.endpoint)
        return Answer(resource.id, resource.etag, document)

    def _stream(self, id_: str) -> str:
        return f"{self._kind.type}-{id_}"

    def _current(self, id_: str) -> Resource:
        return resource_of(self.read(id_).document)

    def _must_exist(self, id_: str) -> None:
        self.read(id_)

    def _not_found(self) -> NotFound:
        return NotFound(
            f"There is no {self._kind.type} with this id. If it was deleted, Okta has to create it"
            " anew: remove the assignment in Okta, then assign again."
        )

    def _taken(self, taken: NotUnique) -> Uniqueness:
        return Uniqueness(
            f"Another {self._kind.type} has this {taken.attribute} already"
            f" (upper and lower case do not matter); its id is {taken.holder}."
        )


def _contended() -> TooManyRequests:
    return TooManyRequests(
        "Many requests change this resource at once. Repeat this one in a few seconds.",
        headers={"Retry-After": "2"},
    )
