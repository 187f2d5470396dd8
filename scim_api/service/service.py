"""The operations of SCIM: read, decide, append. No HTTP and no SQL here."""

import time
from collections.abc import Callable, Mapping, Sequence
from functools import cache, partial
from typing import Any, TypeVar

import orjson

from ledger import clock
from ledger.contract import Append, Check, Ledger, WrongExpectedVersion, unchecked
from ledger.events import DELETED, Event, Metadata, Recorded
from projections.current.resources import NotUnique, Resources, StillMember
from projections.query.model import Stored
from projections.state import Attributes, Resource, document_of, followed, is_active, resource_of
from scim_api.protocol.body import load_resource
from scim_api.protocol.conditions import Conditions
from scim_api.protocol.errors import PreconditionFailed, TooManyRequests
from scim_api.protocol.novelty import check_new
from scim_api.protocol.numbers import with_canonical_decimals
from scim_api.protocol.patch.members import BodyAndMembers, MemberChanges, split_members
from scim_api.protocol.patch.message import patched
from scim_api.protocol.policy import Tolerances
from scim_api.protocol.put import emptied, replaced
from scim_api.protocol.schema.attributes import ResourceType
from scim_api.protocol.to_events import creation, difference, membership
from scim_api.protocol.values import is_as_read
from scim_api.service.create import Enrolment, Roll, enrol, taken, typed
from scim_api.service.departures import departures
from scim_api.service.reader import Answer, Reader
from scim_api.tenants.catalogue import Catalogue

ATTEMPTS = 50  # how often a change that lost a race is decided anew
PATIENCE = 5.0  # seconds of processor time after which it is not

NOTHING: Mapping[str, str] = {}

T = TypeVar("T")
Decide = Callable[[Attributes, MemberChanges], Attributes]


class Service(Reader):
    """The operations on one resource type of one ledger.

    Where a method takes `expected`, it names ids that are about to exist, with their types: in a
    bulk request resources refer to each other before they are there.
    """

    def __init__(
        self,
        ledger: Ledger,
        resources: Resources,
        resource_type: ResourceType,
        catalogue: Catalogue,
        tolerances: Tolerances,
        check: Check = unchecked,
    ) -> None:
        """`check` is called under the write lock before anything is recorded."""
        super().__init__(ledger, resources, resource_type)
        self._ledger = ledger
        self._resources = resources
        self._catalogue = catalogue
        self._tolerances = tolerances
        self._check = check

    def record(self, appends: Sequence[Append], metadata: Metadata) -> list[Recorded]:
        """Record events in one transaction, if the caller may still do so; raises ScimError."""
        return self._ledger.append(appends, metadata, self._check)

    def create(
        self,
        body: Any,
        metadata: Metadata,
        id_: str | None = None,
        expected: Mapping[str, str] = NOTHING,
    ) -> Answer:
        """Create a resource (RFC 7644 §3.3), with an id allotted beforehand if given.

        Raises ScimError.
        """
        enrolment = self.enrolment(body, id_ or clock.uuid7(), expected)
        try:
            return enrol(self.record, [enrolment], metadata)[0]
        except NotUnique as fault:
            return self._adopted(enrolment.attributes, fault, metadata)

    def enrolment(self, body: Any, id_: str, expected: Mapping[str, str] = NOTHING) -> Enrolment:
        """Check the body of a POST and return what is to be appended; raises ScimError."""
        given = self._parted(body)
        loaded = self._loaded(given.body)
        attributes = {**self._type.defaults, **self._default_role(), **loaded}
        check_new(self._type, {}, attributes, self._tolerances)
        joining = self._typed(given.members or {}, expected)
        events = creation(attributes) + membership(joining, ())
        return Enrolment(self._kind, id_, attributes, frozenset(loaded), events)

    def _default_role(self) -> Attributes:
        role = self._catalogue.default_role
        return {"roles": [dict(role)]} if role and "roles" in self._type.declared else {}

    def _adopted(self, attributes: Attributes, fault: NotUnique, metadata: Metadata) -> Answer:
        """Reactivate the inactive user that is meant, by policy; raises Uniqueness.

        Both userName and externalId must be the same: nobody's account is taken over.
        """
        external_id = attributes.get("externalId")
        same_name = fault.attribute == self._type.name_attribute
        if not ("adopt" in self._tolerances.policy and same_name and external_id):
            raise taken(self._kind.type, fault) from fault

        def reactivated(before: Attributes, _: MemberChanges) -> Attributes:
            stays_away = is_active(before) or not is_active(attributes)
            if stays_away or before.get("externalId") != external_id:
                raise taken(self._kind.type, fault) from fault
            self._tolerances.allow("adopt")
            return replaced(self._type, before, {**attributes, "active": True}, self._tolerances)

        return self._change(fault.holder, reactivated, Conditions(), metadata)

    def replace(self, id_: str, body: Any, conditions: Conditions, metadata: Metadata) -> Answer:
        """Replace a resource (RFC 7644 §3.5.1); raises ScimError.

        Okta sends back what it read, so a missing `active` keeps its value; so do, by policy, the
        members of a group whose body does not name them.
        """
        self._row(id_)
        given = self._parted(body)
        desired = self._loaded(given.body)
        cleared = emptied(self._type, given.body, self._tolerances)

        def desired_of(before: Attributes, members: MemberChanges) -> Attributes:
            if given.members is not None:
                members.replace(given.members)
            elif self._kind.relation == "members" and not given.named:
                self._keep_or_empty(members)
            return replaced(self._type, before, desired, self._tolerances, cleared)

        return self._change(id_, desired_of, conditions, metadata)

    def _keep_or_empty(self, members: MemberChanges) -> None:
        if not self._tolerances.allow("put_keeps_members"):
            members.replace({})

    def patch(self, id_: str, body: Any, conditions: Conditions, metadata: Metadata) -> Answer:
        """Apply a PATCH, whole or not at all (RFC 7644 §3.5.2); raises ScimError."""
        tolerances = self._tolerances

        def decided(before: Attributes, members: MemberChanges) -> Attributes:
            current = cache(partial(self._current, id_))

            def is_current(key: str, value: Any) -> bool:
                return id_ == value if key == "id" else is_as_read(value, current(key))

            return patched(self._type, before, body, tolerances, members, is_current)

        return self._change(id_, decided, conditions, metadata)

    def _current(self, id_: str, key: str) -> Any:
        """Return the value of a readOnly attribute, `meta` or `groups`, as it is answered now."""
        row = self._row(id_)
        if key != "groups":
            return orjson.loads(row.document).get(key)
        groups = self.relations([row.place], named=True).get(row.position, ())
        return [group.shown() for group in groups]

    def delete(self, id_: str, conditions: Conditions, metadata: Metadata) -> None:
        """Delete a resource (RFC 7644 §3.6): a tombstone, after which its name is free.

        It leaves its groups in the same transaction.
        """

        def deleted() -> None:
            row = self._row(id_)
            conditions.check_change(row.etag)
            with self._ledger.reading() as connection:
                leaving = departures(self._resources, connection, id_)
            itself = leaving.pop(id_, None)  # a group can be a member of itself
            left = itself.events if itself else ()
            own = Append(self._stream(id_), row.version, [*left, Event(DELETED)])
            self.record([*leaving.values(), own], metadata)

        _repeated(deleted, conditions, self._stream(id_))

    def _parted(self, body: Any) -> BodyAndMembers:
        """Part the body of a group from its members; no other type has any."""
        is_group = self._kind.relation == "members"
        return (
            split_members(body, self._type.schema.id, self._tolerances)
            if is_group
            else BodyAndMembers(body)
        )

    def _loaded(self, body: Any) -> Attributes:
        return load_resource(self._type, body, self._tolerances)

    def _typed(
        self, joining: Mapping[str, str | None], expected: Mapping[str, str]
    ) -> dict[str, str]:
        return typed(self._ledger, self._resources, joining, expected, self._tolerances)

    def _change(
        self, id_: str, decide: Decide, conditions: Conditions, metadata: Metadata
    ) -> Answer:
        def changed() -> Answer:
            row = self._row(id_)
            conditions.check_change(row.etag)
            before = resource_of(row.document)
            members = MemberChanges(Roll(self._ledger, self._resources, row.position))
            attributes = with_canonical_decimals(self._type, before.attributes)
            after = decide(attributes, members)
            check_new(self._type, attributes, after, self._tolerances)
            events = difference(attributes, after) + self._moves(members)
            written = frozenset(key for event in events for key in event.effects)
            if events:
                return Answer(self._append(row, before, events, metadata), written)
            self._must_stand(row)
            return Answer(row, written, repeated=True)

        return _repeated(changed, conditions, self._stream(id_))

    def _must_stand(self, row: Stored) -> None:
        """Raise WrongExpectedVersion if a group moved on while its members were looked at.

        They are read after it: what changed nothing of them may be of a later version.
        """
        if self._kind.relation == "members":
            version = self._row(row.id).version
            if version != row.version:
                raise WrongExpectedVersion(self._stream(row.id), row.version, version)

    def _moves(self, members: MemberChanges) -> list[Event]:
        changes = members.changes()
        return membership(self._typed(changes.joining, NOTHING), changes.leaving)

    def _append(
        self, row: Stored, before: Resource, events: Sequence[Event], metadata: Metadata
    ) -> Stored:
        try:
            recorded = self.record([Append(self._stream(row.id), row.version, events)], metadata)
        except NotUnique as fault:
            raise taken(self._kind.type, fault) from fault
        after = followed(before, recorded)
        if after is None:
            raise RuntimeError("an update left no resource")
        document = document_of(after, self._kind.schema, self._kind.endpoint)
        return row._replace(version=after.version, document=document)

    def _stream(self, id_: str) -> str:
        return f"{self._kind.type}-{id_}"


def _repeated(act: Callable[[], T], conditions: Conditions, stream: str) -> T:
    """Decide again, for a bounded time, when another writer was faster.

    With If-Match it is a 412 instead, but only where the resource itself was changed, not a group
    that it leaves.
    """
    started = time.thread_time()
    for _ in range(ATTEMPTS):
        try:
            return act()
        except (WrongExpectedVersion, StillMember) as race:
            if conditions.exact and getattr(race, "stream", None) == stream:
                raise PreconditionFailed(
                    "version.race",
                    "The resource was changed by another request at the same moment."
                    " Read it again, then repeat the change.",
                ) from race
        if time.thread_time() - started > PATIENCE:
            break
    raise TooManyRequests(
        "busy.resource",
        "Many requests are changing this resource. Repeat this one in a few seconds.",
        headers={"Retry-After": "2"},
    )
