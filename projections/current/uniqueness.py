"""Unique attributes of the operator's schemas: which they are, and who has which value."""

from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

import orjson

from ledger.sqlite.connection import Connection
from projections.query.comparison import fold, number_key
from projections.query.model import Type
from projections.state import Attributes, resource_of
from projections.tables import Tables

SCHEMA = "schema:"  # before the URN in the payload of SettingsChanged

EXACT, FOLDED, NUMBER = "exact", "folded", "number"  # how values compare


class NotUnique(Exception):
    """The value of a unique attribute is another resource's; the append was undone.

    `folded` says that values count as the same whatever the case of their letters.
    """

    def __init__(self, attribute: str, holder: str, claimant: str, *, folded: bool = True) -> None:
        super().__init__(f"{attribute} is taken by {holder}")
        self.attribute = attribute
        self.holder = holder
        self.claimant = claimant
        self.folded = folded


class Unique(NamedTuple):
    """A unique attribute, and the form in which its values are compared."""

    type: str
    key: str
    form: str


class Uniqueness:
    """The rows of unique values, in the tables of the current-state projection.

    A row says who has a value. There can be several of one value: what is recorded is never
    refused when it is read again, even where an earlier program let a second one in.
    """

    def __init__(self, tables: Tables, *, replaying: bool = False) -> None:
        """`replaying` says that all events are recorded already, so that none is refused."""
        self._resource = tables.resource
        self._attribute = tables.unique_attribute
        self._value = tables.unique_value
        self._replaying = replaying

    def settle(self, connection: Connection, effects: Mapping[str, Any]) -> None:
        """Follow a change of schemas; raises NotUnique when resources there are contradict it."""
        for path, value in effects.items():
            if path.startswith(SCHEMA):
                self._settle_one(connection, path.removeprefix(SCHEMA), value)

    def _settle_one(self, connection: Connection, urn: str, value: Any) -> None:
        old = {(type_, key): form for type_, key, form in self._declared(connection, urn)}
        new = dict(_unique_keys(value)) if value else {}
        for gone in old.items() - new.items():
            self._release(connection, *gone[0])
        for (type_, key), form in new.items() - old.items():
            connection.execute(
                f"INSERT INTO {self._attribute} VALUES (?, ?, ?)", (type_, key, form)
            )
            self._take_stock(connection, Unique(type_, key, form))

    def _declared(self, connection: Connection, urn: str) -> list[tuple[str, str, str]]:
        rows: list[tuple[str, str, str]] = connection.execute(
            f"SELECT type, key, form FROM {self._attribute}"
            " WHERE substr(key, 1, ?) = ? AND instr(substr(key, ?), ':') = 0",
            (len(urn) + 1, f"{urn}:", len(urn) + 2),
        ).fetchall()
        return rows

    def _release(self, connection: Connection, type_: str, key: str) -> None:
        for table in (self._attribute, self._value):
            connection.execute(f"DELETE FROM {table} WHERE type = ? AND key = ?", (type_, key))

    def _take_stock(self, connection: Connection, unique: Unique) -> None:
        rows = connection.execute(
            f"SELECT position, document FROM {self._resource} WHERE type = ? ORDER BY position",
            (unique.type,),
        )
        for position, document in rows.fetchall():
            resource = resource_of(document)
            value = resource.attributes.get(unique.key)
            if value is not None:
                self._claim(connection, unique, value, (position, resource.id))

    def follow(
        self,
        connection: Connection,
        type_: str,
        place: tuple[int, str],
        before: Attributes,
        after: Attributes,
    ) -> None:
        """Follow a change of a resource at a `place` (position, id); raises NotUnique."""
        if not any(":" in key for key in (*before, *after)):
            return  # the common case: only extensions have such attributes
        rows = connection.execute(
            f"SELECT type, key, form FROM {self._attribute} WHERE type = ?", (type_,)
        )
        for unique in map(Unique._make, rows.fetchall()):
            old, new = before.get(unique.key), after.get(unique.key)
            if old == new:
                continue
            if old is not None:
                self._free(connection, unique, old, place[0])
            if new is not None:
                self._claim(connection, unique, new, place)

    def _free(self, connection: Connection, unique: Unique, value: Any, position: int) -> None:
        connection.execute(
            f"DELETE FROM {self._value}"
            " WHERE type = ? AND key = ? AND value_key = ? AND position = ?",
            (unique.type, unique.key, key_of(value, unique.form), position),
        )

    def _claim(
        self, connection: Connection, unique: Unique, value: Any, place: tuple[int, str]
    ) -> None:
        claim = unique.type, unique.key, key_of(value, unique.form)
        holder = None if self._replaying else self._holder(connection, claim)
        if holder:
            raise NotUnique(unique.key, holder, place[1], folded=unique.form == FOLDED)
        connection.execute(f"INSERT INTO {self._value} VALUES (?, ?, ?, ?)", (*claim, place[0]))

    def _holder(self, connection: Connection, claim: tuple[str, str, str]) -> str | None:
        row = connection.execute(
            f"SELECT id FROM {self._value} JOIN {self._resource} USING (position)"
            f" WHERE {self._value}.type = ? AND key = ? AND value_key = ?"
            " ORDER BY position LIMIT 1",
            claim,
        ).fetchone()
        return row[0] if row else None

    def shared(self, connection: Connection) -> list[tuple[str, list[str]]]:
        """Return each unique attribute's key with the ids of resources that share a value of it."""
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
    """Return what two values have in common that count as the same."""
    if form == NUMBER and (key := number_key(value)):
        return key
    return fold(str(value)) if form == FOLDED else str(value)


def _unique_keys(setting: Mapping[str, Any]) -> Iterator[tuple[tuple[str, str], str]]:
    document = setting["schema"]
    for attribute in document["attributes"]:
        if attribute.get("uniqueness", "none") != "none":
            key = f"{document['id']}:{attribute['name']}"
            form = form_of(attribute.get("type"), attribute.get("caseExact", False))
            yield (setting["resourceType"], key), form
