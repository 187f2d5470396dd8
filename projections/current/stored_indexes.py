"""The indexes of attributes as a projection: built, rebuilt and checked against the resources."""

from collections.abc import Iterator, Mapping
from typing import Any

from ledger.background import file_lock
from ledger.contract import Connection, Ledger, Progress, no_progress
from ledger.events import Recorded
from ledger.sqlite.connection import scratch, snapshot
from projections import tables
from projections.current.configuration import Configuration
from projections.current.indexes import (
    BUILDING,
    INDEX,
    READY,
    RETIRED,
    AttributeIndexes,
    Index,
    keys_of,
    text_of,
)
from projections.runner import CHUNK, Difference, Projection, StoredProjection, first_difference
from projections.state import resource_of
from projections.tables import Tables


class Indexes(Projection):
    """The tables of indexes; the projector of resources writes them with its own."""

    name = "indexes"
    revision = 1
    scripts = ("current/indexes.sql",)
    tables: Mapping[str, str] = {
        "attribute_index": "number",
        "attribute_value": "number, value_key, position",
    }

    def project(self, connection: Connection, recorded: Recorded, before: Any = None) -> None:
        """Do nothing: see Resources.project."""


class StoredIndexes(StoredProjection):
    """Indexes follow from the settings and from the rows of resources, not from single events."""

    def __init__(self, ledger: Ledger, projection: Projection | None = None) -> None:
        super().__init__(ledger, projection or Indexes())
        self._tables = Tables()
        self._rows = AttributeIndexes(self._tables)

    def every(self) -> list[Index]:
        with self.file.reading() as connection:
            return self._rows.every(connection)

    def build(self, progress: Progress = no_progress) -> None:
        """Finish what was begun, while the service runs: each chunk is a short transaction."""
        with file_lock(self.ledger.path.parent):
            for index in self.every():
                if index.state == BUILDING:
                    self._fill(index, progress)
            self.sweep()

    def rebuild(self, progress: Progress = no_progress) -> int:
        """Build each index once more next to the one in use, which it then replaces."""
        with self.file.writing() as connection:
            if not self.projection.tables.keys() <= tables.existing(connection):
                for table in self.projection.tables:
                    connection.execute(f"DROP TABLE IF EXISTS {table}")
                self.projection.create_tables(connection)
            self._set_checkpoint(connection, self.ledger.last_position())
            wanted = _wanted(connection)
            for index in self._rows.every(connection):
                if index.setting not in wanted or index.state == BUILDING:
                    self._rows.retire(connection, index.setting)
            for definition, type_ in wanted.values():
                self._rows.begin(connection, type_, definition)
        self.build(progress)
        return self.ledger.last_position()

    def _fill(self, index: Index, progress: Progress) -> None:
        """Add the rows of the resources there are; those that change meanwhile are followed."""
        position, newest = 0, self._newest(index)
        while True:
            with self.file.writing() as connection:
                found = list(self._keys(connection, index, position, CHUNK))
                self._rows.add(
                    connection, [(index.number, key, at) for at, keys in found for key in keys]
                )
                if len(found) < CHUNK:
                    self._rows.finish(connection, index)
                    return
            position = found[-1][0]
            progress(position, newest)

    def _newest(self, index: Index) -> int:
        """Return the position of the newest resource, near which building ends."""
        newest = f"SELECT coalesce(max(position), 0) FROM {self._tables.resource} WHERE type = ?"
        with self.file.reading() as connection:
            position: int = connection.execute(newest, (index.type,)).fetchone()[0]
        return position

    def _keys(
        self, connection: Connection, index: Index, after: int, most: int
    ) -> Iterator[tuple[int, set[Any]]]:
        """Yield position and keys of resources after a position."""
        rows = connection.execute(
            f"SELECT position, document FROM {self._tables.resource}"
            " WHERE type = ? AND position > ? ORDER BY position LIMIT ?",
            (index.type, after, most),
        )
        for position, document in rows:
            yield position, keys_of(index.path, resource_of(document))

    def sweep(self) -> None:
        """Delete what is retired, a few rows a transaction; call it under `file_lock`."""
        value = self._tables.attribute_value
        for index in self.every():
            more = index.state == RETIRED
            while more:
                with self.file.writing() as connection:
                    more = connection.execute(
                        f"DELETE FROM {value} WHERE number = ?1 AND (value_key, position) IN"
                        f" (SELECT value_key, position FROM {value} WHERE number = ?1 LIMIT ?2)",
                        (index.number, tables.SWEEP),
                    ).rowcount
                    if not more:
                        self._rows.forget(connection, index)

    # Checking

    def check(self, progress: Progress = no_progress) -> Difference | None:
        """Compare with what settings and resources say; return the first difference.

        An index that is not in use may be incomplete, and its values are not compared.
        """
        if not self.stands_at():
            return None
        with scratch() as expected, self.file.reading() as connection, snapshot(connection):
            self.projection.create_tables(expected)
            expected.execute("BEGIN")
            for index in self._expected(connection):
                expected.execute(
                    f"INSERT INTO {self._tables.attribute_index} VALUES (?, ?, ?, ?)", index
                )
                self._rows.add(expected, self._values(connection, index, progress))
            return first_difference(connection, expected, self.projection)

    def _expected(self, connection: Connection) -> Iterator[Index]:
        """Yield the indexes there should be."""
        wanted = _wanted(connection)
        last = 0
        for index in self._rows.every(connection):
            definition = wanted.get(index.setting, (None, None))[0]
            if index.state == RETIRED or definition == index.definition:
                yield index
            if index.state != RETIRED:
                wanted.pop(index.setting, None)
            last = index.number
        for number, (definition, type_) in enumerate(wanted.values(), last + 1):
            yield Index(number, type_, definition, BUILDING)

    def _values(
        self, connection: Connection, index: Index, progress: Progress
    ) -> Iterator[tuple[int, Any, int]]:
        """Yield the rows that an index should have; those it has, if it is not in use."""
        if index.state != READY:
            yield from connection.execute(
                f"SELECT * FROM {self._tables.attribute_value} WHERE number = ?", (index.number,)
            )
            return
        end = self.ledger.last_position()
        for number, (position, keys) in enumerate(self._keys(connection, index, 0, -1)):
            yield from ((index.number, key, position) for key in keys)
            if number % CHUNK == 0:
                progress(position, end)


def _wanted(connection: Connection) -> dict[str, tuple[str, str]]:
    """Return definition and resource type of each index that the settings ask for."""
    settings = Configuration().read(connection).values
    return {
        setting: (text_of(value), value["resourceType"])
        for setting, value in settings.items()
        if setting.startswith(INDEX)
    }
