"""Resources now and in the past: found by id or name, read with their groups or members."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, replace
from typing import Any

import orjson

from ledger.contract import Connection
from projections.audit.archive import Archive
from projections.audit.cause import Cause
from projections.audit.timeline import Timeline
from projections.current.memberships import Relation
from projections.current.reader import ResourceReader
from projections.history.contents import NEVER
from projections.history.history import History
from projections.query.model import START, Mark, Query
from projections.state import Resource
from scim_api.audit.documents import archive_of
from scim_api.cli.moments import last_position_of, say_position
from scim_api.cli.terminal import Exit, Failure, Progress, note, read_side_file
from scim_api.protocol.schema.resource_types import KINDS, RESOURCE_TYPES
from scim_api.tenants.tenants import Tenant

NAMESAKES = 5  # that are pointed out
TYPES = [resource_type.name for resource_type in RESOURCE_TYPES]
RELATIONS = ("members", "groups")
PAGE = 500  # rows read at once


def follow(history: History) -> None:
    """Bring the history up to its ledger, however long that takes."""
    with Progress("following the ledger") as progress:
        history.catch_up(progress=progress)


@dataclass(frozen=True, slots=True)
class View:
    """The resources of one moment, and the file they are read from."""

    resources: ResourceReader
    reading: Callable[[], AbstractContextManager[Connection]]
    position: int = NEVER

    def get(self, type_: str, name: str) -> Resource | None:
        """Return a resource, given by id or by its name at that moment."""
        with self.reading() as connection:
            found = self.resources.get(connection, type_, name)
            return found or self.resources.find_by_name(connection, type_, name)

    def document(self, type_: str, id_: str) -> dict[str, Any]:
        """Return a resource's document with its members or groups; raises Failure."""
        with self.reading() as connection:
            row = self.resources.row(connection, type_, id_)
            if row is None:
                raise absent(type_, id_)
            found = self.resources.relations(connection, type_, [row.place])
        return with_related(type_, row.document, found.get(row.position, ()))

    def search(
        self, type_: str | None, query: Query, limit: int | None = None
    ) -> Iterator[dict[str, Any]]:
        """Yield documents with their groups or members; raises TooCostly."""
        mark: Mark | None = START
        left = limit or float("inf")
        while mark is not None and left > 0:
            with self.reading() as connection:
                asked = replace(query, count=int(min(left, PAGE)), after=mark)
                page = self.resources.search(connection, type_, asked)
                places = [(at, groups) for at, of, groups, _ in page.rows if of == "User"]
                groups = self.resources.relations(connection, "User", places)
            for position, of, _, document in page.rows:
                found = groups
                if of == "Group":  # one at a time: it may have very many members
                    with self.reading() as connection:
                        found = self.resources.relations(connection, of, [(position, None)])
                yield with_related(of, document, found.get(position, ()))
            mark, left = page.next, left - len(page.rows)


@dataclass(frozen=True, slots=True)
class PastQuery:
    """Questions about a ledger's resources, now and in the past."""

    tenant: Tenant

    @property
    def archive(self) -> Archive:
        """The archive, once the history has caught up with the ledger."""
        follow(self.tenant.history)
        return archive_of(self.tenant)

    def now(self) -> View:
        return View(self.tenant.resources, self.tenant.ledger.reading)

    def at(self, position: int) -> View:
        history = self.archive.history
        return View(history.at(position), history.file.reading, position)

    def position(self, at: str) -> int:
        """Read --at as a position, and say which it is; raises UsageError."""
        position = last_position_of(self.tenant.ledger, at, "--at")
        say_position(self.tenant.ledger, position, "as of")
        return position

    def find(self, type_: str, name: str, *views: View, ever: bool = False) -> str:
        """Return the id of a resource: by id, or by its name in the first view that has it.

        With `ever` also a deleted one, by its id or its last name. Where nobody has the name, the
        one who had it before is meant. Raises Failure.
        """
        found = next(filter(None, (view.get(type_, name) for view in views)), None)
        id_ = found.id if found else None
        if id_ is None and ever:
            archive = self.archive
            known = Timeline(archive, type_, name).exists()
            deleted = [] if known else archive.lifetimes.deleted_with_name(type_, name)
            id_ = name if known else deleted[-1] if deleted else None
        if id_ is None:
            return self._former_holder(type_, name, views, ever)
        if id_ != name:
            self._point_out_namesakes(type_, name, id_)
        return id_

    def _former_holder(self, type_: str, name: str, views: Sequence[View], ever: bool) -> str:
        """Return the id of the only resource that had a name, and say so; raises Failure."""
        moment = max(view.position for view in views)
        held = read_side_file(
            lambda: self.archive.lifetimes.namesakes(type_, name, "", NAMESAKES, moment), []
        )
        if not held:
            raise absent(type_, name)
        for each in held:
            last = "now" if each.until == NEVER else each.until - 1
            note(f"note: {name!r} was the name of {each.id} from position {each.since} to {last}")
        ids = {each.id for each in held}
        word = type_.lower()
        if len(ids) > 1:
            raise Failure(
                f"no {word} has the name {name!r}, and several had it: give the id of one",
                Exit.NOT_FOUND,
            )
        [id_] = ids
        if not ever and not any(view.get(type_, id_) for view in views):
            raise Failure(
                f"the {word} that had the name {name!r} is not there at that moment; see"
                f" scim-ledger {word} history {id_}",
                Exit.NOT_FOUND,
            )
        return id_

    def _point_out_namesakes(self, type_: str, name: str, id_: str) -> None:
        for other in self.archive.lifetimes.namesakes(type_, name, id_, NAMESAKES):
            last = "now" if other.until == NEVER else other.until - 1
            note(f"note: this name was also that of {other.id} (positions {other.since} to {last})")


def walk(page: Callable[[Any], Any], begin: Any) -> Iterator[Any]:
    """Yield the rows of all pages; a page names the place of the next one."""
    while begin is not None:
        found = page(begin)
        yield from found.rows
        begin = found.next


def absent(type_: str, name: str) -> Failure:
    """Return the failure of a command that finds no such resource."""
    attribute = KINDS[type_].name_attribute
    return Failure(
        f"there is no {type_.lower()} with the id or {attribute} {name!r}", Exit.NOT_FOUND
    )


def with_related(type_: str, stored: bytes, found: Iterable[Relation]) -> dict[str, Any]:
    """Return a document with its members or groups as SCIM shows them."""
    document: dict[str, Any] = orjson.loads(stored)
    if relation := KINDS[type_].relation:
        document[relation] = [
            {"value": one.id}
            | ({} if one.display is None else {"display": one.display})
            | {"type": one.type}
            for one in found
        ]
    return document


def label(key: str) -> str:
    """Return an attribute's name for a table: without its URN or the id of a member."""
    kind, _, name = key.partition(":")
    return key.rpartition(":")[2] if kind == "urn" else kind if name else key


def shown(key: str, value: Any) -> Any:
    """Return an attribute's value for a table: of a member or group its name."""
    kind, _, id_ = key.partition(":")
    if kind in RELATIONS and isinstance(value, dict):
        return str(value.get("display") or value.get("value") or id_)
    return value


def cause_columns(cause: Cause) -> dict[str, Any]:
    """Return the columns of a table for a cause."""
    return {
        "position": cause.position,
        "at": cause.at,
        "type": cause.type,
        "who": cause.who,
        "client": cause.client,
    }
