"""Members of groups as stored: the current ones, their types, and leaving all groups."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass

from ledger.contract import Append, Connection
from projections.current.memberships import Relation
from projections.current.resources import Resources
from scim_api.protocol.errors import InvalidValue, Quoted
from scim_api.protocol.patch.members import TYPE, TYPES
from scim_api.protocol.policy import Tolerances
from scim_api.protocol.to_events import membership
from scim_api.protocol.values import resembles_json
from scim_api.service.reader import Source

SHOWN_IDS = 5


@dataclass(frozen=True, slots=True)
class StoredMembers:
    """The current members of one group (CurrentMembers of patch/members.py)."""

    source: Source
    resources: Resources
    group: int  # its position

    def among(self, ids: Collection[str]) -> Mapping[str, str]:
        """Return which of the ids are members, with their types."""
        with self.source.reading() as connection:
            return self.resources.memberships.among(connection, self.group, ids)

    def all(self) -> list[Relation]:
        """Return every member."""
        with self.source.reading() as connection:
            return self.resources.memberships.members(connection, self.group)

    def known(self, ids: Collection[str]) -> Mapping[str, Relation]:
        """Return, of those ids that resources have, what each would be as a member."""
        with self.source.reading() as connection:
            return self.resources.memberships.known(connection, ids)


def member_types(
    source: Source,
    resources: Resources,
    joining: Mapping[str, str | None],
    expected: Mapping[str, str],
    tolerances: Tolerances,
) -> dict[str, str]:
    """Return the resource type of each member who joins; raises InvalidValue.

    By policy an id that no resource has is kept, with the type that the client gave: refusing it
    would lose all the others of a push (RFC 7644 asks for no referential integrity).
    """
    if not joining:
        return {}
    json_texts = [id_ for id_ in joining if resembles_json(id_)]
    _refuse(json_texts, "member.json", "is JSON text, not the id of a member")
    with source.reading() as connection:
        known = resources.memberships.known(connection, joining.keys())
    types = {**{id_: one.type for id_, one in known.items()}, **expected}
    found = {id_: types.get(id_) for id_ in joining}
    _refuse(
        [id_ for id_, type_ in found.items() if type_ and type_ not in TYPES],
        "member.type",
        "cannot be a member: it is neither User nor Group",
    )
    unknown = [id_ for id_, type_ in found.items() if type_ is None]
    if unknown and not tolerances.allow("unknown_members_kept"):
        _refuse(unknown, "member.unknown", "is not a User or Group here")
    return {id_: found[id_] or type_ or TYPE for id_, type_ in joining.items()}


def _refuse(ids: Sequence[str], code: str, fault: str) -> None:
    if ids:
        raise InvalidValue(
            code,
            "members.value {ids}{more} {fault}.",
            ids=Quoted(", ".join(map(Quoted, ids[:SHOWN_IDS])), most=400),
            more=f" and {len(ids) - SHOWN_IDS} more" if len(ids) > SHOWN_IDS else "",
            fault=fault,
            attributes=("members.value",),
        )


def leave_groups(resources: Resources, connection: Connection, id_: str) -> dict[str, Append]:
    """Return the appends by which a deleted or erased resource leaves its groups, by their ids."""
    groups = resources.memberships.direct_groups(connection, id_)
    return {
        group: Append(f"Group-{group}", version, membership({}, [id_])) for group, version in groups
    }
