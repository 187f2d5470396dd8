"""Unique attributes of the operator's schemas: which they are, and who has which value."""

from collections.abc import Iterator, Mapping
from typing import Any

from ledger.database import Connection
from projections.comparison import fold
from projections.state import Attributes, resource_of
from projections.tables import Tables

SCHEMA = "schema:"  # before the URN in the payload of SettingsChanged


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


class Uniqueness:
    """The rows of unique values, in the tables of the current-state projection."""

    def __init__(self, tables: Tables) -> None:
        self._resource = tables.resource
        self._attribute = tables.unique_attribute
        self._value = tables.unique_value

    def settle(self, connection: Connection, effects: Mapping[str, Any]) -> None:
        """Follow a change of schemas; raises NotUnique when resources there are contradict it."""
        for path, value in effects.items():
            if path.startswith(SCHEMA):
                self._settle_one(connection, path.removeprefix(SCHEMA), value)

    def _settle_one(self, connection: Connection, urn: str, value: Any) -> None:
        old = {(type_, key): exact for type_, key, exact in self._declared(connection, urn)}
        new = dict(_unique_keys(value)) if value else {}
        for gone in old.items() - new.items():
            self._release(connection, *gone[0])
        for (type_, key), exact in new.items() - old.items():
            connection.execute(
                f"INSERT INTO {self._attribute} VALUES (?, ?, ?)", (type_, key, exact)
            )
            self._take_stock(connection, type_, key, exact)

    def _declared(self, connection: Connection, urn: str) -> list[tuple[str, str, int]]:
        rows: list[tuple[str, str, int]] = connection.execute(
            f"SELECT type, key, case_exact FROM {self._attribute}"
            " WHERE substr(key, 1, ?) = ? AND instr(substr(key, ?), ':') = 0",
            (len(urn) + 1, f"{urn}:", len(urn) + 2),
        ).fetchall()
        return rows

    def _release(self, connection: Connection, type_: str, key: str) -> None:
        for table in (self._attribute, self._value):
            connection.execute(f"DELETE FROM {table} WHERE type = ? AND key = ?", (type_, key))

    def _take_stock(self, connection: Connection, type_: str, key: str, exact: int) -> None:
        rows = connection.execute(
            f"SELECT position, document FROM {self._resource} WHERE type = ? ORDER BY position",
            (type_,),
        )
        for position, document in rows.fetchall():
            resource = resource_of(document)
            value = resource.attributes.get(key)
            if value is not None:
                self._claim(connection, (type_, key, exact), value, position, resource.id)

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
            f"SELECT key, case_exact FROM {self._attribute} WHERE type = ?", (type_,)
        )
        for key, exact in rows.fetchall():
            if before.get(key) == after.get(key):
                continue
            connection.execute(
                f"DELETE FROM {self._value} WHERE type = ? AND key = ? AND value_key = ?",
                (type_, key, _key(before.get(key), exact)),
            )
            if after.get(key) is not None:
                self._claim(connection, (type_, key, exact), after[key], *place)

    def _claim(
        self,
        connection: Connection,
        attribute: tuple[str, str, int],
        value: Any,
        position: int,
        id_: str,
    ) -> None:
        type_, key, exact = attribute
        value_key = _key(value, exact)
        row = connection.execute(
            f"SELECT id FROM {self._value} JOIN {self._resource} USING (position)"
            f" WHERE {self._value}.type = ? AND key = ? AND value_key = ?",
            (type_, key, value_key),
        ).fetchone()
        if row:
            raise NotUnique(key, row[0], id_, folded=not exact and isinstance(value, str))
        connection.execute(
            f"INSERT INTO {self._value} VALUES (?, ?, ?, ?)", (type_, key, value_key, position)
        )


def _key(value: Any, exact: int) -> str:
    """Return what two values have in common that count as the same."""
    return str(value) if exact or not isinstance(value, str) else fold(value)


def _unique_keys(setting: Mapping[str, Any]) -> Iterator[tuple[tuple[str, str], int]]:
    document = setting["schema"]
    for attribute in document["attributes"]:
        if attribute.get("uniqueness", "none") != "none":
            key = f"{document['id']}:{attribute['name']}"
            yield (setting["resourceType"], key), int(attribute.get("caseExact", False))
