"""Unique values: the name of each resource, and the unique attributes of the operator's schemas."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NamedTuple

import orjson

from ledger.contract import Connection
from projections.kinds import ResourceKind
from projections.query.comparison import fold, number_key
from projections.query.model import Type
from projections.state import Attributes, Resource, resource_of
from projections.tables import Tables

SCHEMA = "schema:"  # before the URN in the payload of SettingsChanged

EXACT, FOLDED, NUMBER = "exact", "folded", "number"  # how values compare


class NotUnique(Exception):
    """Another resource has the value of a unique attribute; the append was undone.

    `folded` says that values count as the same whatever the case of their letters.
    """

    def __init__(self, attribute: str, holder: str, claimant: str, *, folded: bool = True) -> None:
        super().__init__(f"{attribute} is taken by {holder}")
        self.attribute = attribute
        self.holder = holder
        self.claimant = claimant
        self.folded = folded


class Unique(NamedTuple):
    """A unique attribute of an operator's schema, and the form in which its values compare."""

    type: str
    key: str
    form: str


def name_key(kind: ResourceKind, attributes: Attributes) -> str:
    """Return a unique name in the form in which two of them count as the same."""
    return fold(attributes[kind.name_attribute])


class Uniqueness:
    """Decides whether a value is free, and keeps the rows of unique values.

    A row says who has a value of an operator's attribute. There can be several rows of one value:
    recorded events are never refused on replay, even where an earlier program accepted a second.
    """

    def __init__(self, tables: Tables, *, replaying: bool = False) -> None:
        """With `replaying` no value of an operator's attribute is refused."""
        self._resource = tables.resource
        self._attribute = tables.unique_attribute
        self._value = tables.unique_value
        self._replaying = replaying

    def claim_name(self, connection: Connection, kind: ResourceKind, resource: Resource) -> str:
        """Return the key of a resource's name; raises NotUnique when another has it."""
        key = name_key(kind, resource.attributes)
        row = connection.execute(
            f"SELECT id FROM {self._resource} WHERE type = ? AND name_key = ?", (kind.type, key)
        ).fetchone()
        if row and row[0] != resource.id:
            raise NotUnique(kind.name_attribute, row[0], resource.id)
        return key

    def follow(
        self,
        connection: Connection,
        type_: str,
        place: tuple[int, str],
        before: Attributes,
        after: Attributes,
    ) -> None:
        """Follow a change of a resource at a `place` (position, id); raises NotUnique."""
        extended = [key for key in before.keys() | after.keys() if ":" in key]
        if all(before.get(key) == after.get(key) for key in extended):
            return  # the common case: only extensions have such attributes
        rows = connection.execute(
            f"SELECT type, key, form FROM {self._attribute} WHERE type = ?", (type_,)
        )
        for unique in map(Unique._make, rows.fetchall()):
            old, new = before.get(unique.key), after.get(unique.key)
            if old == new:
                continue
            if old is not None:
                connection.execute(
                    f"DELETE FROM {self._value}"
                    " WHERE type = ? AND key = ? AND value_key = ? AND position = ?",
                    (*unique[:2], key_of(old, unique.form), place[0]),
                )
            if new is not None:
                self._claim(connection, unique, new, place)

    def claim_all(self, connection: Connection, born: Sequence[tuple[int, Resource]]) -> None:
        """Write the unique values of resources that are recorded already, by their positions."""
        table = self._attribute
        if born and connection.execute(f"SELECT 1 FROM {table} LIMIT 1").fetchone():
            for position, resource in born:
                place = position, resource.id
                self.follow(connection, resource.type, place, {}, resource.attributes)

    def follow_settings(self, connection: Connection, effects: Mapping[str, Any]) -> None:
        """Follow a change of schemas; raises NotUnique when existing resources contradict it."""
        for path, value in effects.items():
            if path.startswith(SCHEMA):
                self._replace_schema(connection, path.removeprefix(SCHEMA), value)

    def _replace_schema(self, connection: Connection, urn: str, value: Any) -> None:
        old = self._declared(connection, urn)
        new = set(_unique_attributes(value)) if value else set()
        for type_, key, _ in old - new:
            for table in (self._attribute, self._value):
                connection.execute(f"DELETE FROM {table} WHERE type = ? AND key = ?", (type_, key))
        for unique in new - old:
            connection.execute(f"INSERT INTO {self._attribute} VALUES (?, ?, ?)", unique)
            self._claim_existing(connection, unique)

    def _declared(self, connection: Connection, urn: str) -> set[Unique]:
        rows = connection.execute(
            f"SELECT type, key, form FROM {self._attribute}"
            " WHERE substr(key, 1, ?) = ? AND instr(substr(key, ?), ':') = 0",
            (len(urn) + 1, f"{urn}:", len(urn) + 2),
        )
        return set(map(Unique._make, rows.fetchall()))

    def _claim_existing(self, connection: Connection, unique: Unique) -> None:
        rows = connection.execute(
            f"SELECT position, document FROM {self._resource} WHERE type = ? ORDER BY position",
            (unique.type,),
        )
        for position, document in rows.fetchall():
            resource = resource_of(document)
            value = resource.attributes.get(unique.key)
            if value is not None:
                self._claim(connection, unique, value, (position, resource.id))

    def _claim(
        self, connection: Connection, unique: Unique, value: Any, place: tuple[int, str]
    ) -> None:
        claim = unique.type, unique.key, key_of(value, unique.form)
        holder = connection.execute(
            f"SELECT id FROM {self._value} JOIN {self._resource} USING (position)"
            f" WHERE {self._value}.type = ? AND key = ? AND value_key = ?"
            " ORDER BY position LIMIT 1",
            claim,
        ).fetchone()
        if holder and not self._replaying:
            raise NotUnique(unique.key, holder[0], place[1], folded=unique.form == FOLDED)
        connection.execute(f"INSERT INTO {self._value} VALUES (?, ?, ?, ?)", (*claim, place[0]))

    def shared(self, connection: Connection) -> list[tuple[str, list[str]]]:
        """Return each unique attribute's key with the ids of resources that share a value of it.

        Only programs before revision 4 of these tables accepted a value twice.
        """
        rows = connection.execute(
            f"SELECT key, json_group_array(id) FROM (SELECT {self._value}.type AS of, key,"
            f" value_key, id FROM {self._value} JOIN {self._resource} USING (position)"
            " ORDER BY of, key, value_key, position)"
            " GROUP BY of, key, value_key HAVING count(*) > 1"
        )
        return [(key, orjson.loads(ids)) for key, ids in rows.fetchall()]


def form_of(type_: str | None, case_exact: bool) -> str:
    """Return how the values of a unique attribute compare, by what its schema declares."""
    if type_ in (Type.DECIMAL, Type.INTEGER):
        return NUMBER
    return EXACT if case_exact else FOLDED


def key_of(value: Any, form: str) -> str:
    """Return a value in the form in which two of them count as the same."""
    if form == NUMBER and (key := number_key(value)):
        return key
    return fold(str(value)) if form == FOLDED else str(value)


def _unique_attributes(setting: Mapping[str, Any]) -> Iterator[Unique]:
    document = setting["schema"]
    for attribute in document["attributes"]:
        if attribute.get("uniqueness", "none") != "none":
            key = f"{document['id']}:{attribute['name']}"
            form = form_of(attribute.get("type"), attribute.get("caseExact", False))
            yield Unique(setting["resourceType"], key, form)
