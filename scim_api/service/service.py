"""The operations of SCIM: read, decide, append. No HTTP and no SQL here."""

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any, NamedTuple

import orjson

from ledger import clock
from ledger.contract import NO_STREAM, Append, Check, Connection, Ledger, unchecked
from ledger.events import DELETED, Event, Metadata
from projections.current.resources import Current, Resources
from projections.current.uniqueness import NotUnique
from projections.query.model import Stored
from projections.state import Attributes, is_active
from scim_api.protocol.body import load_resource
from scim_api.protocol.conditions import Conditions
from scim_api.protocol.errors import Uniqueness
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
from scim_api.service.reader import Answer, Held, Reader, Source
from scim_api.tenants.catalogue import Catalogue

Desired = Callable[[Attributes, MemberChanges, Source], Attributes]


class Decided(NamedTuple):
    """What a request comes to: what it appends, nothing if nothing changes, and to which row.

    `written` are the payload keys of what changes.
    """

    row: Stored
    written: frozenset[str]
    appends: Sequence[Append]


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
        joining = self._typed(given.members or {}, itself, self._ledger)
        events = creation(attributes) + membership(joining, ())
        own = Append(self._stream(id_), NO_STREAM, events)
        try:
            appended = self._ledger.append([own], metadata, self._check)
        except NotUnique as fault:
            return self._adopted(attributes, fault, metadata)
        return Answer(appended.rows[own.stream].row, frozenset(loaded))

    def _adopted(self, attributes: Attributes, fault: NotUnique, metadata: Metadata) -> Answer:
        """Reactivate the inactive user that a POST means, by policy; raises Uniqueness.

        Both userName and externalId must be the same: nobody's account is taken over.
        """
        external_id = attributes.get("externalId")
        same_name = fault.attribute == self._type.name_attribute
        if not ("adopt" in self._tolerances.policy and same_name and external_id):
            raise self._not_unique(fault) from fault

        def reactivated(before: Attributes, _: MemberChanges, __: Source) -> Attributes:
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

        def desired_of(before: Attributes, members: MemberChanges, _: Source) -> Attributes:
            if given.members is not None:
                members.replace(given.members)
            elif self._has_members and not given.named and not keeps("put_keeps_members"):
                members.replace({})
            return replaced(self._type, before, desired, self._tolerances, cleared)

        return self._change(id_, desired_of, conditions, metadata, found)

    def patch(self, id_: str, body: Any, conditions: Conditions, metadata: Metadata) -> Answer:
        """Apply a PATCH, whole or not at all (RFC 7644 §3.5.2)."""

        def desired_of(before: Attributes, members: MemberChanges, source: Source) -> Attributes:
            known: dict[str, Any] = {}  # many operations may be about one attribute

            def is_current(key: str, value: Any) -> bool:
                if key == "id":
                    return bool(id_ == value)
                if key not in known:
                    known[key] = self._current(id_, source, key)
                return is_as_read(value, known[key])

            return patched(self._type, before, body, self._tolerances, members, is_current)

        return self._change(id_, desired_of, conditions, metadata)

    def _current(self, id_: str, source: Source, key: str) -> Any:
        """Return the value of a readOnly attribute, `meta` or `groups`, as it is answered now."""
        row = self._row(id_, source)
        if key != "groups":
            return orjson.loads(row.document).get(key)
        groups = self.relations([row.place], named=True, source=source).get(row.position, ())
        return [group.shown() for group in groups]

    def delete(self, id_: str, conditions: Conditions, metadata: Metadata) -> None:
        """Delete a resource (RFC 7644 §3.6): a tombstone, after which its name is free.

        It leaves its groups in the same transaction. They are looked up under the lock: one that
        it joins meanwhile could not be told from its own version.
        """

        def deleted(connection: Connection) -> Sequence[Append]:
            row = self._row(id_, Held(connection))
            conditions.check_change(row.etag)
            leaving = leave_groups(self._resources, connection, id_)
            itself = leaving.pop(id_, None)  # a group can be a member of itself
            left = itself.events if itself else ()
            own = Append(self._stream(id_), row.version, [*left, Event(DELETED)], Current.of(row))
            return [*leaving.values(), own]

        conditions.check_change(self._row(id_).etag)  # a refusal needs no lock
        self._ledger.append((), metadata, self._check, deleted)

    @property
    def _has_members(self) -> bool:
        return self._kind.relation == "members"

    def _split(self, body: Any) -> BodyAndMembers:
        if not self._has_members:
            return BodyAndMembers(body)
        return split_members(body, self._type.schema.id, self._tolerances)

    def _typed(
        self, joining: Mapping[str, str | None], expected: Mapping[str, str], source: Source
    ) -> dict[str, str]:
        return member_types(source, self._resources, joining, expected, self._tolerances)

    def _change(
        self,
        id_: str,
        desired: Desired,
        conditions: Conditions,
        metadata: Metadata,
        found: Stored | None = None,
    ) -> Answer:
        """Decide what a resource is to be, and append what that changes.

        It is decided from what is read now; `found` was read a moment ago. If another request
        changes the resource first, it is decided again under the write lock, once and for all.
        """
        decide = partial(self._decided, id_, desired, conditions)
        decided = decide(self._ledger, found)

        def again(connection: Connection) -> Sequence[Append]:
            nonlocal decided
            decided = decide(Held(connection))
            return decided.appends

        new: Current | None = None
        if decided.appends or self._has_moved(decided.row):
            try:
                appended = self._ledger.append(decided.appends, metadata, self._check, again)
            except NotUnique as fault:
                raise self._not_unique(fault) from fault
            new = appended.rows.get(self._stream(id_))
        return Answer(new.row if new else decided.row, decided.written, repeated=new is None)

    def _has_moved(self, row: Stored) -> bool:
        """Return whether members, which are read after the row, may be of a later version."""
        return self._has_members and self._row(row.id).version != row.version

    def _decided(
        self,
        id_: str,
        desired: Desired,
        conditions: Conditions,
        source: Source,
        found: Stored | None = None,
    ) -> Decided:
        """Decide what a resource is to be from what the source says, or from the row found."""
        row = found or self._row(id_, source)
        conditions.check_change(row.etag)
        current = Current.of(row)
        before = with_canonical_decimals(self._type, current.resource.attributes)
        members = MemberChanges(StoredMembers(source, self._resources, row.position))
        after = desired(before, members, source)
        events = difference(before, after)
        written = frozenset(key for event in events for key in event.effects)
        check_new(self._type, before, after, written, self._tolerances)
        if self._has_members:
            changes = members.changes()
            joining = self._typed(changes.joining, {}, source)
            events += membership(joining, changes.leaving)
        own = Append(self._stream(id_), row.version, events, current)
        return Decided(row, written, [own] if events else [])

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
