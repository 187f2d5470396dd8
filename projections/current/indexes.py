"""Indexes of the attributes that an operator chose: their values in order, kept with each event."""

from collections.abc import Iterable, Mapping
from dataclasses import replace
from functools import lru_cache
from typing import Any, NamedTuple

import orjson

from ledger.contract import Connection
from projections.query.comparison import comparable
from projections.query.matching import values
from projections.query.model import Operator, Path, Type
from projections.state import Resource
from projections.tables import Tables

INDEX = "index:"  # before resource type, colon and attribute in the payload of SettingsChanged
BUILDING, READY, RETIRED = "building", "ready", "retired"

NOTHING = b""  # the key of a resource without a value
META = "meta"
TIMES = ("created", "lastModified")  # the parts of `meta` that can be indexed

_LEAST, _MOST = -(2**63), 2**63 - 1  # the integers that SQLite has

Definition = Mapping[str, Any]
Key = str | int | float | bytes


class Index(NamedTuple):
    """An index of an attribute of one resource type."""

    number: int
    type: str
    definition: str  # see text_of
    state: str

    @property
    def path(self) -> Path:
        return path_of(self.definition)

    @property
    def setting(self) -> str:
        return setting_of(self.type, self.path)


def definition_of(type_: str, path: Path) -> Definition:
    """Return what a setting says of an index: all that its rows depend on."""
    return {
        "resourceType": type_,
        "key": path.key,
        "sub": path.sub,
        "type": path.type.value,
        "multiValued": path.many,
        "caseExact": path.case_exact,
    }


def setting_of(type_: str, path: Path) -> str:
    """Return the path of the setting that asks for an index."""
    return f"{INDEX}{type_}:{name_of(path)}"


def name_of(path: Path) -> str:
    """Return an attribute as an operator writes it."""
    return f"{path.key}.{path.sub}" if path.sub else path.key


def text_of(definition: Definition) -> str:
    return orjson.dumps(definition, option=orjson.OPT_SORT_KEYS).decode()


@lru_cache(maxsize=256)
def path_of(definition: str) -> Path:
    """Return the path that a definition says, as filters have it."""
    said = orjson.loads(definition)
    urn, _, name = said["key"].rpartition(":")
    return Path(
        key=said["key"],
        steps=(urn, name) if urn else (name,),
        sub=said["sub"],
        type=Type(said["type"]),
        many=said["multiValued"],
        case_exact=said["caseExact"],
    )


def keys_of(path: Path, resource: Resource | None) -> set[Key]:
    """Return the keys under which an index finds a resource; those of none are none."""
    if resource is None:
        return set()
    found = _value(path, resource)
    comparables = (comparable(path, Operator.EQ, v) for v in values(replace(path, steps=()), found))
    keys: set[Key] = {_stored(each) for each in comparables if each is not None}
    return keys or (set() if path.many else {NOTHING})


def _value(path: Path, resource: Resource) -> Any:
    """Return the value of the whole attribute."""
    if path.key == META:
        return dict(zip(TIMES, (resource.created, resource.last_modified), strict=True))
    return resource.attributes.get(path.key)


def _stored(key: Any) -> Key:
    """Return a key as SQLite keeps it, and as it reads such a number in JSON."""
    if isinstance(key, int) and not _LEAST <= key <= _MOST:
        return float(key)
    found: Key = int(key) if isinstance(key, bool) else key
    return found


class AttributeIndexes:
    """The rows of indexes in the ledger's own tables. They follow the rows of resources."""

    def __init__(self, tables: Tables) -> None:
        self._index = tables.attribute_index
        self._value = tables.attribute_value

    def every(self, connection: Connection, type_: str | None = None) -> list[Index]:
        rows = connection.execute(
            f"SELECT number, type, definition, state FROM {self._index}"
            " WHERE ?1 IS NULL OR type = ?1 ORDER BY number",
            (type_,),
        )
        return [Index(*row) for row in rows]

    def ready(self, connection: Connection, type_: str) -> dict[Path, int]:
        """Return the numbers of the indexes that say all about a type, by path."""
        found = self.every(connection, type_)
        return {each.path: each.number for each in found if each.state == READY}

    def follow(
        self,
        connection: Connection,
        position: int,
        before: Resource | None,
        after: Resource | None,
    ) -> None:
        """Follow a change of the resource at a position; an index keeps up while it is built."""
        resource = after or before
        for number, _, definition, _ in self.every(connection, resource.type if resource else ""):
            path = path_of(definition)
            if before and after and _value(path, before) == _value(path, after):
                continue
            old, new = keys_of(path, before), keys_of(path, after)
            if gone := old - new:
                connection.executemany(
                    f"DELETE FROM {self._value} WHERE number = ? AND value_key = ?"
                    " AND position = ?",
                    [(number, key, position) for key in gone],
                )
            self.add(connection, [(number, key, position) for key in new - old])

    def add(self, connection: Connection, rows: Iterable[tuple[int, Key, int]]) -> None:
        """Add rows of number, key and position, some of which may be there."""
        connection.executemany(f"INSERT OR IGNORE INTO {self._value} VALUES (?, ?, ?)", rows)

    def follow_settings(self, connection: Connection, effects: Mapping[str, Any]) -> None:
        """Begin the indexes that a change of settings asks for, and retire those that it ends."""
        for setting, value in effects.items():
            if setting.startswith(INDEX):
                self.retire(connection, setting)
                if value is not None:
                    self.begin(connection, value["resourceType"], text_of(value))

    def begin(self, connection: Connection, type_: str, definition: str) -> None:
        connection.execute(
            f"INSERT INTO {self._index} (type, definition, state) VALUES (?, ?, ?)",
            (type_, definition, BUILDING),
        )

    def retire(self, connection: Connection, setting: str, but: int | None = None) -> None:
        """Retire the indexes that a setting asked for, but for one."""
        for each in self.every(connection):
            if each.setting == setting and each.number != but:
                connection.execute(
                    f"UPDATE {self._index} SET state = ? WHERE number = ?", (RETIRED, each.number)
                )

    def finish(self, connection: Connection, built: Index) -> None:
        """Put an index in use, in place of another of the same attribute."""
        self.retire(connection, built.setting, but=built.number)
        connection.execute(
            f"UPDATE {self._index} SET state = ? WHERE number = ? AND state = ?",
            (READY, built.number, BUILDING),
        )

    def forget(self, connection: Connection, index: Index) -> None:
        """Remove an index that has no rows."""
        connection.execute(f"DELETE FROM {self._index} WHERE number = ?", (index.number,))
