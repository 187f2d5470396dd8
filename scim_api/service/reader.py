"""Reading the resources of one type, with the members or groups that answers add to them."""

from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from typing import Any, NamedTuple, Protocol

from ledger.contract import Connection
from projections.current.memberships import Relation
from projections.current.reader import Place, ResourceReader
from projections.kinds import ResourceKind
from projections.query.model import Stored
from scim_api.protocol.errors import NotFound
from scim_api.protocol.schema.attributes import ResourceType
from scim_api.protocol.schema.resource_types import kind_of

_AGAIN = {  # what makes Okta create it again
    "User": "If it was deleted, Okta has to create it again: remove the assignment in Okta, then"
    " assign again.",
    "Group": "If it was deleted, Okta has to create it again: unlink the pushed group in Okta, then"
    " push it again.",
}


@dataclass(frozen=True, slots=True)
class Answer:
    """A stored resource, before members or groups are added.

    `written` are the payload keys of the attributes that the request gave; `repeated` is a write
    that changed nothing, so that no event was recorded.
    """

    row: Stored
    written: frozenset[str] = frozenset()
    repeated: bool = False

    @property
    def id(self) -> str:
        return self.row.id

    @property
    def etag(self) -> str:
        return self.row.etag


class Source(Protocol):
    """A file that is read: the ledger's, or that of its history."""

    def reading(self) -> AbstractContextManager[Connection]: ...


class Held(NamedTuple):
    """What one connection reads, as a source."""

    connection: Connection

    def reading(self) -> AbstractContextManager[Connection]:
        return nullcontext(self.connection)


class Reader:
    """Reads resources of one type."""

    def __init__(
        self,
        source: Source,
        readings: ResourceReader,
        resource_type: ResourceType,
        memory: dict[Any, Any] | None = None,
    ) -> None:
        """`memory` is what is remembered of the state that is read, if that is known."""
        self._source = source
        self._memory = memory
        self._readings = readings
        self._type = resource_type
        self._kind: ResourceKind = kind_of(resource_type)

    def read(self, id_: str) -> Answer:
        """Return a resource (RFC 7644 §3.4.1); raises NotFound."""
        return Answer(self._row(id_))

    def relations(
        self, places: Sequence[Place], *, named: bool, source: Source | None = None
    ) -> Mapping[int, Sequence[Relation]]:
        """Return the members or groups that documents show, by position; see ResourceReader."""
        with (source or self._source).reading() as connection:
            return self._readings.relations(
                connection, self._kind.type, places, named=named, memory=self._memory
            )

    def never_grouped(self, row: Stored) -> bool:
        """Return whether a resource was never in a group, so that its version says all of it."""
        with self._source.reading() as connection:
            left_one = self._readings.memberships.was_member(connection, row.id)
        return not (row.grouped or left_one)

    def has_more_members(self, row: Stored, number: int) -> bool:
        """Return whether the resource is a group with more members than a number."""
        if self._kind.relation != "members":
            return False
        with self._source.reading() as connection:
            return self._readings.memberships.more_than(connection, row.position, number)

    def _row(self, id_: str, source: Source | None = None) -> Stored:
        with (source or self._source).reading() as connection:
            row = self._readings.row(connection, self._kind.type, id_)
        if row is None:
            raise self._absent()
        return row

    def _absent(self) -> NotFound:
        type_ = self._kind.type
        return NotFound(
            "resource.unknown",
            "There is no {type} with this id.",
            okta=_AGAIN.get(type_, ""),
            type=type_,
        )


class PastReader(Reader):
    """Reads resources of one type as they were at a position."""

    def _absent(self) -> NotFound:
        return NotFound(
            "resource.unknown_then", "There was no {type} with this id then.", type=self._kind.type
        )
