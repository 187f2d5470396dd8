"""The members of a group: read from a request, changed without reading all current ones."""

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Protocol

from projections.current.memberships import Relation
from projections.query.matching import matcher, matches
from projections.query.model import Compare, Filter, Operator, Or, terms_of
from scim_api.protocol.errors import BodyTooLarge, InvalidValue, Mutability
from scim_api.protocol.patch.apply import MEMBERS, Op, Operation, contradiction, described_by
from scim_api.protocol.policy import Tolerances
from scim_api.protocol.values import by_folded_name, decoded, given_twice, ignore, is_nothing

TYPES = ("User", "Group")
TYPE = "User"  # of a member that no resource stands for, where nobody says
MAX_ID = 256
MAX_MEMBERS = 250_000  # that one request names: a second and 30 MB for each 50,000
MAX_LOOKS = 200_000  # members looked at in search of some, times comparisons: about a second
MOST_TERMS = 4  # comparisons with each member of a group larger than that

Given = dict[str, str | None]  # id -> the type the client gave


class CurrentMembers(Protocol):
    """The members of a group as they are now; each question costs the size of its answer."""

    def among(self, ids: Collection[str]) -> Mapping[str, str]: ...
    def all(self) -> list[Relation]: ...
    def known(self, ids: Collection[str]) -> Mapping[str, Relation]: ...


@dataclass(frozen=True, slots=True)
class Changes:
    """The members that join a group, with the type the client gave, and those that leave it."""

    joining: Given
    leaving: list[str]


class MemberChanges:
    """What one request adds to a group's members and removes, whatever the group's size."""

    def __init__(self, current: CurrentMembers) -> None:
        self._current = current
        self._added: Given = {}
        self._removed: set[str] = set()
        self._emptied = False
        self._looks = 0

    # What the request says

    def change(self, operation: Operation, tolerances: Tolerances) -> None:
        """Follow one operation of a PATCH; raises ScimError."""
        op, filter, value = operation.op, operation.filter, operation.value
        if operation.sub and (filter is None or op is Op.REMOVE):
            raise Mutability.immutable(operation.name)
        if filter is not None and op is not Op.REMOVE:
            chosen = self._chosen(filter)
            if chosen:
                self.add(_the_same(operation, chosen, tolerances))
            else:
                self.add(_made(operation, filter, tolerances))
        elif filter is not None:
            ids = _wanted_ids(filter)
            going = self._chosen(filter) if ids is None else ids
            nothing = is_nothing(value, tolerances)
            named = going if nothing else given_members(value, tolerances)
            self.remove(going.intersection(named))
        elif op is Op.REMOVE and value is None:  # all of them, as Entra means it
            self.replace({})
        elif op is Op.REMOVE:
            self.remove(given_members(value, tolerances))
        elif op is Op.ADD:
            self.add(given_members(value, tolerances))
        elif (only := _only_members(value, tolerances)) is not None:
            self.replace(only)

    def add(self, members: Given) -> None:
        """Add members; those already there stay as they are."""
        self._removed.difference_update(members)
        for id_, type_ in members.items():
            self._added[id_] = type_ or self._added.get(id_)
        _check_number(len(self._added))

    def remove(self, ids: Iterable[str]) -> None:
        """Remove members; those not there make no difference."""
        for id_ in ids:
            self._added.pop(id_, None)
            self._removed.add(id_)

    def replace(self, members: Given) -> None:
        """Make these the only members."""
        self._emptied = True
        self._removed.clear()
        self._added = dict(members)

    def _chosen(self, filter: Filter) -> set[str]:
        """Return the members that satisfy a filter; by id without looking at the others."""
        ids = _wanted_ids(filter)
        if ids is None:
            return self._matching(filter)
        known = {id_ for id_ in ids if self._stays(id_)}
        return (ids & self._added.keys()) | (self._current.among(known).keys() if known else set())

    def _matching(self, filter: Filter) -> set[str]:
        """Look at every member; raises BodyTooLarge when a request does so again and again."""
        if self._looks > MAX_LOOKS:
            raise _too_many_looks()
        there = {one.id: one for one in self._current.all() if self._stays(one.id)}
        known = self._current.known(self._added.keys() - there.keys())
        added = {
            id_: known.get(id_, Relation(id_, type_ or TYPE, None))
            for id_, type_ in self._added.items()
        }
        members = {**added, **there}
        self._looks += len(members) * terms_of(filter)
        if self._looks > max(MAX_LOOKS, MOST_TERMS * len(members)):
            raise _too_many_looks()
        is_meant = matcher(filter)
        return {id_ for id_, one in members.items() if is_meant(one.shown())}

    def _stays(self, id_: str) -> bool:
        return not self._emptied and id_ not in self._removed

    # What that comes to

    def changes(self) -> Changes:
        """Return who joins and who leaves, compared with the current members.

        Raises Mutability where a member is given another type than it has.
        """
        if self._emptied:
            before: Mapping[str, str] = {one.id: one.type for one in self._current.all()}
            leaving = sorted(before.keys() - self._added.keys())
        else:
            ids = [*self._added, *self._removed]
            before = self._current.among(ids) if ids else {}
            leaving = sorted(before.keys() & self._removed)
        if any(type_ and before.get(id_, type_) != type_ for id_, type_ in self._added.items()):
            raise Mutability.immutable(f"{MEMBERS}.type")
        joining = {id_: type_ for id_, type_ in self._added.items() if id_ not in before}
        return Changes(joining, leaving)


def _too_many_looks() -> BodyTooLarge:
    return BodyTooLarge(
        "patch.member_searches",
        "This PATCH searches the whole group too often: send it in several,"
        ' or name members by their ids, as in members[value eq "<id>"].',
    )


def _wanted_ids(filter: Filter) -> set[str] | None:
    """Return the ids that a filter such as `value eq "id"` asks for, and for nothing else."""
    match filter:
        case Compare(path, Operator.EQ, str(value)) if path.sub == "value":
            return {value}
        case Or(terms):
            each = [_wanted_ids(term) for term in terms]
            return None if None in each else set[str]().union(*(ids or () for ids in each))
    return None


def _the_same(operation: Operation, chosen: set[str], tolerances: Tolerances) -> Given:
    """Return the members chosen with the type that is given: who is a member never changes."""
    sub, value = operation.sub, operation.value
    if sub is not None and sub.name == "type":
        return dict.fromkeys(chosen, _type(value))
    if sub is not None and sub.name != "value":
        raise Mutability.immutable(operation.name)
    given = given_members([{"value": value}] if sub else value, tolerances)
    if given.keys() != chosen:
        raise Mutability.immutable(f"{MEMBERS}.value")
    return given


def _made(operation: Operation, filter: Filter, tolerances: Tolerances) -> Given:
    """Return the member that a filter matching nobody creates; raises NoTarget or InvalidValue."""
    described = described_by(operation, tolerances)
    value = {operation.sub.name.lower(): operation.value} if operation.sub else operation.value
    if isinstance(value, Mapping):
        value = {**described, **by_folded_name(value)}
    elif isinstance(value, str):
        value = [value]
    type_ = _type(described.get("type"))
    members = {id_: given or type_ for id_, given in given_members(value, tolerances).items()}
    for id_, given in members.items():
        if not matches(filter, {**described, "value": id_, "type": given}):
            raise contradiction(operation)
    return members


def _only_members(value: Any, tolerances: Tolerances) -> Given | None:
    """Read the members that are to be the only ones; None where, by policy, null says nothing."""
    if is_nothing(value, tolerances) and tolerances.allow("null_keeps_members"):
        return None
    return given_members(value, tolerances)


def given_members(value: Any, tolerances: Tolerances) -> Given:
    """Read members as clients write them: id -> type, or None where it is not said.

    Raises InvalidValue. Names and URIs of members are passed over: they are derived when read.
    """
    value = decoded(value, tolerances, MEMBERS)
    if is_nothing(value, tolerances):
        return {}
    if isinstance(value, dict):
        value = [value]  # one value may come without a list (RFC 7644 §3.5.2.1)
    if isinstance(value, str) and tolerances.allow("text_as_list"):
        value = [value]
    if not isinstance(value, list):
        raise _no_list()
    _check_number(len(value))
    return dict(_given_member(item, tolerances) for item in value)


def _check_number(named: int) -> None:
    if named > MAX_MEMBERS:
        raise BodyTooLarge(
            "members.too_many",
            "The request names more than {most} members: send it in several.",
            most=MAX_MEMBERS,
        )


def _no_list() -> InvalidValue:
    return InvalidValue("members.no_list", 'members must be a list such as [{{"value": "<id>"}}]')


def _given_member(item: Any, tolerances: Tolerances) -> tuple[str, str | None]:
    item = decoded(item, tolerances, MEMBERS)
    if isinstance(item, str) and tolerances.allow("values_as_strings"):
        return _id(item), None
    if not isinstance(item, dict):
        raise InvalidValue(
            "members.no_object", 'each of members must be an object such as {{"value": "<id>"}}'
        )
    if item.keys() <= {"value", "display", "$ref"}:
        return _id(item.get("value")), None
    given = by_folded_name(item)
    for name in given.keys() - {"value", "display", "$ref", "type"}:
        ignore(f"{MEMBERS}.{name}", tolerances)
    return _id(given.get("value")), _type(given.get("type"))


def _id(value: Any) -> str:
    if not isinstance(value, str) or not value.strip():
        raise InvalidValue(
            "members.no_id", "members.value is required: the id of the member, in quotes"
        )
    if len(value) > MAX_ID or not (value.isascii() and value.isprintable()):
        raise InvalidValue(
            "members.id",
            "members.value must be an id of at most {most} ASCII characters",
            most=MAX_ID,
        )
    return value


def _type(value: Any) -> str | None:
    if value is None or value == "":
        return None
    known = {name.lower(): name for name in TYPES}
    if not isinstance(value, str) or value.lower() not in known:
        raise InvalidValue("members.type", "members.type must be User or Group")
    return known[value.lower()]


@dataclass(frozen=True, slots=True)
class BodyAndMembers:
    """A body without its members, and these; None where the body gives no list of them.

    `named` says whether the body names them at all, if only as null.
    """

    body: Any
    members: Given | None = None
    named: bool = False


def split_members(body: Any, urn: str, tolerances: Tolerances) -> BodyAndMembers:
    """Take `members`, in any spelling, out of the body of a POST or PUT."""
    if not isinstance(body, Mapping):
        return BodyAndMembers(body)
    names = [name for name in body if name.lower() in (MEMBERS, f"{urn}:{MEMBERS}".lower())]
    if len(names) > 1:
        raise given_twice(MEMBERS)
    if not names:
        return BodyAndMembers(body)
    rest = {name: value for name, value in body.items() if name not in names}
    if isinstance(body[names[0]], dict) and not tolerances.allow("values_as_strings"):
        raise _no_list()
    return BodyAndMembers(rest, _only_members(body[names[0]], tolerances), named=True)
