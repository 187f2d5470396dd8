"""The operations of SCIM: read, decide, append. No HTTP and no SQL here."""

import time
from collections.abc import Callable, Mapping
from functools import cache, partial
from typing import Any, TypeVar

import orjson

from ledger import clock
from ledger.contract import (
    NO_STREAM,
    Append,
    Check,
    Ledger,
    WrongExpectedVersion,
    unchecked,
)
from ledger.events import DELETED, Event, Metadata
from projections.current.memberships import StillMember
from projections.current.resources import Current, Resources
from projections.current.uniqueness import NotUnique
from projections.query.model import Stored
from projections.state import Attributes, is_active
from scim_api.protocol.body import load_resource
from scim_api.protocol.conditions import Conditions
from scim_api.protocol.errors import PreconditionFailed, TooManyRequests, Uniqueness
from scim_api.protocol.novelty import check_new
from scim_api.protocol.numbers import with_canonical_decimals
from scim_api.protocol.patch.members import BodyAndMembers, MemberChanges, split_members
from scim_api.protocol.patch.message import patched
from scim_api.protocol.policy import Tolerances
from scim_api.protocol.put import emptied, replaced
from scim_api.protocol.schema.attributes import ResourceType
from scim_api.protocol.to_events import creation, difference, membership
from scim_api.protocol.values import is_as_read
from scim_api.service.members import StoredMembers, leave_groups, member_types
from scim_api.service.reader import Answer, Reader
from scim_api.tenants.catalogue import Catalogue

ATTEMPTS = 50  # of a change that loses the race against other writers
TIMEOUT = 5.0  # seconds of processor time for all of them

T = TypeVar("T")
Decide = Callable[[Attributes, MemberChanges], Attributes]


class Service(Reader):
    """The operations on one resource type of one ledger; each raises ScimError."""

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

    def create(self, body: Any, metadata: Metadata, id_: str | None = None) -> Answer:
        """Create a resource (RFC 7644 §3.3), with an id chosen before if given."""
        given = self._split(body)
        loaded = load_resource(self._type, given.body, self._tolerances)
        role = self._catalogue.default_role if "roles" in self._type.declared else None
        granted = {"roles": [dict(role)]} if role else {}
        attributes = {**self._type.defaults, **granted, **loaded}
        check_new(self._type, {}, attributes, attributes, self._tolerances)
        id_ = id_ or clock.uuid7()
        itself = {id_: self._kind.type}  # a bulk request can name it before it exists
        joining = self._typed(given.members or {}, itself)
        events = creation(attributes) + membership(joining, ())
        try:
            row = self._append(id_, NO_STREAM, events, metadata)
        except NotUnique as fault:
            return self._adopted(attributes, fault, metadata)
        return Answer(row, frozenset(loaded))

    def _adopted(self, attributes: Attributes, fault: NotUnique, metadata: Metadata) -> Answer:
        """Reactivate the inactive user that a POST means, by policy; raises Uniqueness.

        Both userName and externalId must be the same: nobody's account is taken over.
        """
        external_id = attributes.get("externalId")
        same_name = fault.attribute == self._type.name_attribute
        if not ("adopt" in self._tolerances.policy and same_name and external_id):
            raise self._not_unique(fault) from fault

        def reactivated(before: Attributes, _: MemberChanges) -> Attributes:
            stays_away = is_active(before) or not is_active(attributes)
            if stays_away or before.get("externalId") != external_id:
                raise self._not_unique(fault) from fault
            self._tolerances.allow("adopt")
            return replaced(self._type, before, {**attributes, "active": True}, self._tolerances)

        return self._change(fault.holder, reactivated, Conditions(), metadata)

    def replace(self, id_: str, body: Any, conditions: Conditions, metadata: Metadata) -> Answer:
        """Replace a resource (RFC 7644 §3.5.1).

        Okta sends back what it read, so a missing `active` keeps its value; so do, by policy, the
        members of a group whose body does not name them.
        """
        found = self._row(id_)
        given = self._split(body)
        desired = load_resource(self._type, given.body, self._tolerances)
        cleared = emptied(self._type, given.body, self._tolerances)
        keeps = self._tolerances.allow

        def desired_of(before: Attributes, members: MemberChanges) -> Attributes:
            if given.members is not None:
                members.replace(given.members)
            elif self._has_members and not given.named and not keeps("put_keeps_members"):
                members.replace({})
            return replaced(self._type, before, desired, self._tolerances, cleared)

        return self._change(id_, desired_of, conditions, metadata, found)

    def patch(self, id_: str, body: Any, conditions: Conditions, metadata: Metadata) -> Answer:
        """Apply a PATCH, whole or not at all (RFC 7644 §3.5.2)."""

        def desired_of(before: Attributes, members: MemberChanges) -> Attributes:
            current = cache(partial(self._current, id_))

            def is_current(key: str, value: Any) -> bool:
                return id_ == value if key == "id" else is_as_read(value, current(key))

            return patched(self._type, before, body, self._tolerances, members, is_current)

        return self._change(id_, desired_of, conditions, metadata)

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
                leaving = leave_groups(self._resources, connection, id_)
            itself = leaving.pop(id_, None)  # a group can be a member of itself
            left = itself.events if itself else ()
            own = Append(self._stream(id_), row.version, [*left, Event(DELETED)], Current.of(row))
            self._ledger.append([*leaving.values(), own], metadata, self._check)

        _repeated(deleted, conditions, self._stream(id_))

    @property
    def _has_members(self) -> bool:
        return self._kind.relation == "members"

    def _split(self, body: Any) -> BodyAndMembers:
        if not self._has_members:
            return BodyAndMembers(body)
        return split_members(body, self._type.schema.id, self._tolerances)

    def _typed(
        self, joining: Mapping[str, str | None], expected: Mapping[str, str]
    ) -> dict[str, str]:
        return member_types(self._ledger, self._resources, joining, expected, self._tolerances)

    def _change(
        self,
        id_: str,
        decide: Decide,
        conditions: Conditions,
        metadata: Metadata,
        found: Stored | None = None,
    ) -> Answer:
        """Decide what a resource is to be, and append what that changes.

        It is read first, again after each lost race; `found` was read a moment ago.
        """
        first = [found] if found else []

        def changed() -> Answer:
            row = first.pop() if first else self._row(id_)
            conditions.check_change(row.etag)
            current = Current.of(row)
            before = with_canonical_decimals(self._type, current.resource.attributes)
            members = MemberChanges(StoredMembers(self._ledger, self._resources, row.position))
            after = decide(before, members)
            events = difference(before, after)
            written = frozenset(key for event in events for key in event.effects)
            check_new(self._type, before, after, written, self._tolerances)
            if self._has_members:
                changes = members.changes()
                joining = self._typed(changes.joining, {})
                events += membership(joining, changes.leaving)
            # Members are read after the row: those that nothing changed may be of a later version.
            if not events and self._has_members and self._row(id_).version != row.version:
                raise WrongExpectedVersion(self._stream(id_), row.version, self._row(id_).version)
            if not events:
                return Answer(row, written, repeated=True)
            try:
                new = self._append(id_, row.version, events, metadata, current)
            except NotUnique as fault:
                raise self._not_unique(fault) from fault
            return Answer(new, written)

        return _repeated(changed, conditions, self._stream(id_))

    def _append(
        self,
        id_: str,
        version: int,
        events: list[Event],
        metadata: Metadata,
        before: Current | None = None,
    ) -> Stored:
        """Append to the resource's stream; return its row as the projection wrote it."""
        append = Append(self._stream(id_), version, events, before)
        written: Current = self._ledger.append([append], metadata, self._check).rows[append.stream]
        return written.row

    def _not_unique(self, fault: NotUnique) -> Uniqueness:
        """Return the error for a value that another resource has."""
        return Uniqueness(
            "uniqueness.taken",
            "Another {type} already has this {attribute}{case}; its id is {holder}.",
            type=self._kind.type,
            attribute=fault.attribute,
            case=" (upper and lower case do not matter)" if fault.folded else "",
            holder=fault.holder,
            attributes=(fault.attribute,),
        )

    def _stream(self, id_: str) -> str:
        return f"{self._kind.type}-{id_}"


def _repeated(act: Callable[[], T], conditions: Conditions, stream: str) -> T:
    """Retry, for a bounded time, when another writer won the race.

    With If-Match, answer 412 instead, but only for a conflict on the resource itself, not on a
    group that it leaves.
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
        if time.thread_time() - started > TIMEOUT:
            break
    raise TooManyRequests(
        "busy.resource",
        "Many requests are changing this resource. Repeat this one in a few seconds.",
        headers={"Retry-After": "2"},
    )
