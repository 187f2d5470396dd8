"""New resources before they are appended, several in one transaction if they need each other."""

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass

from ledger.contract import NO_STREAM, Append, Ledger
from ledger.events import Event, Metadata, Recorded
from projections.current.memberships import Relation
from projections.current.resources import NotUnique, Resources
from projections.kinds import ResourceKind
from projections.query.model import Stored
from projections.state import Attributes, document_of, followed
from scim_api.protocol.errors import InvalidValue, Quoted, Uniqueness
from scim_api.protocol.patch.members import TYPE, TYPES
from scim_api.protocol.policy import Tolerances
from scim_api.protocol.values import resembles_json
from scim_api.service.reader import Answer

SHOWN_IDS = 5

Record = Callable[[Sequence[Append], Metadata], Sequence[Recorded]]


@dataclass(frozen=True, slots=True)
class Enrolment:
    """A resource to be created, checked."""

    kind: ResourceKind
    id: str
    attributes: Attributes
    given: frozenset[str]  # the keys that the client gave
    events: Sequence[Event]

    @property
    def append(self) -> Append:
        return Append(f"{self.kind.type}-{self.id}", NO_STREAM, self.events)


def enrol(record: Record, enrolments: Sequence[Enrolment], metadata: Metadata) -> list[Answer]:
    """Create the resources in one transaction; raises NotUnique, and then creates none."""
    recorded = iter(record([enrolment.append for enrolment in enrolments], metadata))
    return [
        _answer(enrolment, [next(recorded) for _ in enrolment.events]) for enrolment in enrolments
    ]


def _answer(enrolment: Enrolment, recorded: Sequence[Recorded]) -> Answer:
    kind, resource = enrolment.kind, followed(None, recorded)
    if resource is None:
        raise RuntimeError("a creation left no resource")
    document = document_of(resource, kind.schema, kind.endpoint)
    position = recorded[0].position
    row = Stored(position, resource.id, kind.type, resource.version, None, document)
    return Answer(row, enrolment.given)


def taken(type_: str, fault: NotUnique) -> Uniqueness:
    """Return the error for a name that another resource has."""
    case = " (upper and lower case do not matter)" if fault.folded else ""
    return Uniqueness(
        "uniqueness.taken",
        "Another {type} already has this {attribute}{case}; its id is {holder}.",
        type=type_,
        attribute=fault.attribute,
        case=case,
        holder=fault.holder,
        attributes=(fault.attribute,),
    )


@dataclass(frozen=True, slots=True)
class Roll:
    """Who is a member of one group now (members.Roll)."""

    ledger: Ledger
    resources: Resources
    group: int

    def among(self, ids: Collection[str]) -> Mapping[str, str]:
        """Return which of the ids are members, with their types."""
        if not ids:
            return {}
        with self.ledger.reading() as connection:
            return self.resources.memberships.among(connection, self.group, ids)

    def all(self) -> list[Relation]:
        """Return every member."""
        with self.ledger.reading() as connection:
            return self.resources.memberships.members(connection, self.group)

    def known(self, ids: Collection[str]) -> Mapping[str, Relation]:
        """Return what those of the ids that resources have would be as members."""
        if not ids:
            return {}
        with self.ledger.reading() as connection:
            return self.resources.memberships.known(connection, ids)


def typed(
    ledger: Ledger,
    resources: Resources,
    joining: Mapping[str, str | None],
    expected: Mapping[str, str],
    tolerances: Tolerances,
) -> dict[str, str]:
    """Return the resource type of each member who joins; raises InvalidValue.

    By policy an id that no resource has is kept, as what the client says it is: refusing it would
    lose all the others of a push (RFC 7644 asks for no referential integrity).
    """
    if not joining:
        return {}
    json_texts = [id_ for id_ in joining if resembles_json(id_)]
    _refuse(json_texts, "member.json", "is JSON text, not the id of a member")
    with ledger.reading() as connection:
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
        shown = Quoted(", ".join(map(Quoted, ids[:SHOWN_IDS])), most=400)
        more = f" and {len(ids) - SHOWN_IDS} more" if len(ids) > SHOWN_IDS else ""
        raise InvalidValue(
            code,
            "members.value {ids}{more} {fault}.",
            ids=shown,
            more=more,
            fault=fault,
            attributes=("members.value",),
        )
