"""Projections as a whole: building their tables, rebuilding next to the live ones, checking."""

import gc
import secrets
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, closing, contextmanager, nullcontext
from dataclasses import dataclass
from typing import Any, Protocol

from ledger.background import file_lock
from ledger.contract import Connection, Ledger, LedgerError, NotMigrated, Progress, no_progress
from ledger.events import Recorded
from ledger.sqlite.connection import driver, scratch, snapshot, temporary
from projections import tables
from projections.state import UnknownChange

CHUNK = 500  # events a transaction while rebuilding: writers wait for one chunk at the most


OpenTables = Callable[[], AbstractContextManager[Connection]]  # a transaction


class Projection:
    """A projector whose tables can be thrown away and rebuilt."""

    name: str
    revision: int
    scripts: Sequence[str]  # create the tables
    tables: Mapping[str, str]  # table -> the columns that order it
    categories: Sequence[str] = ()  # whose streams it follows; none: all

    def __init__(self, suffix: str = "") -> None:
        self._suffix = suffix

    def twin(self, suffix: str) -> "Projection":
        """Return the same projection with tables of its own, to replay recorded events."""
        return type(self)(suffix)

    def create_tables(self, connection: Connection) -> None:
        for script in self.scripts:
            tables.create_tables(connection, script, self._suffix)

    def build(self, opened: OpenTables, ledger: Ledger, end: int, progress: Progress) -> None:
        """Create the tables and follow all events up to a position; raises CannotFollow.

        Each part is a short transaction, and nothing is read in one.
        """
        with opened() as connection:
            self.create_tables(connection)
        for events in self._parts(ledger, end):
            with opened() as connection:
                self.project_all(connection, events)
            progress(end if self.categories else events[-1].position, end)

    def _parts(self, ledger: Ledger, end: int) -> Iterator[Sequence[Recorded]]:
        if not self.categories:
            for first in range(0, end, CHUNK):
                yield ledger.read_chunk(first, min(first + CHUNK, end))
            return
        found = (e for each in self.categories for e in ledger.read_category(each))
        if events := sorted((e for e in found if e.position <= end), key=lambda e: e.position):
            yield events  # few: what an operator or an OAuth client did

    def blame(self, ledger: Ledger, stream: str, end: int) -> None:
        """Raise CannotFollow for the first event of a stream that cannot be followed, if one is."""
        with closing(temporary()) as alone:
            twin = self.twin("")
            twin.prepare(alone)
            twin.create_tables(alone)
            twin.project_all(alone, [e for e in ledger.read_stream(stream) if e.position <= end])

    def prepare(self, connection: Connection) -> None:
        """Register the functions that the projection's statements call."""

    def project(self, connection: Connection, recorded: Recorded, before: Any = None) -> Any:
        """Follow one event; what it returns is handed to whoever appended it.

        `before` is what it returned after the stream's last event, if somebody knows.
        """
        raise NotImplementedError

    def project_all(self, connection: Connection, events: Sequence[Recorded]) -> None:
        """Follow events; raises CannotFollow."""
        for recorded in events:
            try:
                self.project(connection, recorded)
            except STRANGE as error:
                raise CannotFollow(self.name, recorded, error) from error


class CannotFollow(LedgerError):
    """An event says something that a projection cannot make rows of."""

    def __init__(self, projection: str, recorded: Recorded, error: Exception) -> None:
        self.position = recorded.position
        self.says = f"what the {projection} cannot be made of: {type(error).__name__}: {error}"
        super().__init__(
            f"the {projection} cannot follow {recorded.type} at position {self.position}:"
            f" {type(error).__name__}: {error}; `scim-ledger verify` says more"
        )


# What a payload without an entry, or with another kind of value, ends in.
STRANGE = (
    *(LookupError, TypeError, ValueError, AttributeError, UnknownChange),
    *(driver.IntegrityError, driver.InterfaceError, driver.ProgrammingError),
)


class TableFile(Protocol):
    """A file of tables: the ledger's own, or one next to it."""

    def reading(self) -> AbstractContextManager[Connection]: ...
    def writing(self) -> AbstractContextManager[Connection]: ...


@dataclass(frozen=True, slots=True)
class Status:
    """A projection, the position that it has reached, and its size."""

    name: str
    revision: int
    position: int
    rows: Mapping[str, int]


@dataclass(frozen=True, slots=True)
class Difference:
    """The first row of a table that differs from that of a rebuild."""

    projection: str
    table: str
    key: Mapping[str, Any]
    columns: Sequence[str]

    def __str__(self) -> str:
        key = ", ".join(f"{column} {value}" for column, value in self.key.items())
        return (
            f"projection {self.projection}: table {self.table} differs from a rebuild at {key}"
            f" ({', '.join(self.columns)})"
        )


class Incomparable(LedgerError):
    """A table cannot be read to its end."""

    def __init__(self, projection: str, table: str, after: str, error: Exception) -> None:
        super().__init__(
            f"projection {projection}: table {table} cannot be read after {after}:"
            f" {type(error).__name__}: {error}"
        )


def outdated(ledger: Ledger, projections: Sequence[Projection]) -> list[Projection]:
    """Return the projections that have no tables yet, or tables of another revision."""
    with ledger.reading() as connection:
        built = tables.built(connection)
    return [p for p in projections if built.get(p.name) != p.revision]


@contextmanager
def _without_collector() -> Iterator[None]:
    """Look for no cycles: what is read and folded has none, and a tenth of the time goes there."""
    was_on = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_on:
            gc.enable()


class StoredProjection:
    """A projection whose tables are in the ledger's own file, up to date with each append.

    A subclass keeps them in a file of its own, which follows the ledger.
    """

    def __init__(self, ledger: Ledger, projection: Projection) -> None:
        self.ledger = ledger
        self.projection = projection
        self.file: TableFile = ledger

    @property
    def name(self) -> str:
        return self.projection.name

    def stands_at(self) -> int:
        """Return the position that the tables have reached, 0 if there are none to look at.

        Raises NotMigrated for tables that only `migrate` makes.
        """
        if outdated(self.ledger, [self.projection]):
            raise NotMigrated(self.ledger.path)
        return self._position(None)

    def _position(self, connection: Any) -> int:
        """Return the position that the tables have reached, in the state that a connection sees."""
        return self.ledger.last_position()

    def status(self) -> Status:
        name, revision = self.name, self.projection.revision
        if not self.stands_at():
            return Status(name, revision, 0, {})
        with self.file.reading() as connection, snapshot(connection):
            rows = {
                table: connection.execute(f"SELECT count(*) FROM {table}").fetchone()[0]
                for table in self.projection.tables
            }
            return Status(name, revision, self._position(connection), rows)

    def rebuild(self, progress: Progress = no_progress) -> int:
        """Rebuild next to the live tables, then replace them; return the position.

        The service goes on answering and writing meanwhile: each chunk is a short transaction.
        """
        with file_lock(self.ledger.path.parent):
            self.sweep()
            suffix = f"_building_{secrets.token_hex(4)}"
            twin = self.projection.twin(suffix)
            with self.file.writing() as connection:
                twin.prepare(connection)
            position = self._build(twin, self.file.writing, self.ledger.last_position, progress)
            with self.file.writing() as connection:
                end = self.ledger.last_position()
                twin.project_all(connection, self.ledger.read_chunk(position, end))
                tables.replace_tables(connection, list(self.projection.tables), suffix)
                self._set_checkpoint(connection, end)
            self.sweep()
        return end

    def sweep(self) -> None:
        """Drop replaced tables and those of an interrupted rebuild; call it under `file_lock`.

        A few rows a transaction, so that writers do not wait.
        """
        with self.file.reading() as connection:
            remains = tables.leftovers(connection, self.projection.tables)
        for table, key in remains.items():
            more = True
            while more:
                with self.file.writing() as connection:
                    more = tables.drop_some(connection, table, key)

    def check(self, progress: Progress = no_progress) -> Difference | None:
        """Prove that a rebuild gives the same rows; return the first difference."""
        if not self.stands_at():
            return None
        with scratch() as rebuilt:
            self.projection.prepare(rebuilt)
            rebuilt.execute("BEGIN")
            twin = self.projection.twin("")
            position = self._build(twin, lambda: nullcontext(rebuilt), self.stands_at, progress)
            with self.file.reading() as connection, snapshot(connection):
                rest = self.ledger.read_chunk(position, self._position(connection))
                twin.project_all(rebuilt, rest)
                return first_difference(connection, rebuilt, self.projection)

    def _build(
        self,
        twin: Projection,
        opened: OpenTables,
        last_position: Callable[[], int],
        progress: Progress,
    ) -> int:
        """Build up to the end, then follow what was written meanwhile up to the last chunk.

        Return the position reached.
        """
        end = last_position()
        with _without_collector():
            twin.build(opened, self.ledger, end, progress)
        while (last := last_position()) - end > CHUNK:
            events = self.ledger.read_chunk(end, end + CHUNK)
            with opened() as connection:
                twin.project_all(connection, events)
            end += CHUNK
            progress(end, last)
        return end

    def _set_checkpoint(self, connection: Connection, position: int) -> None:
        tables.set_checkpoint(connection, self.name, self.projection.revision, position)


def first_difference(
    live: Connection, rebuilt: Connection, projection: Projection
) -> Difference | None:
    """Return the first row that differs, by the smaller key of the two sides."""
    for table, order in projection.tables.items():
        keys, last = order.split(", "), tables.Row()
        try:
            differing = next(tables.differing_rows(live, rebuilt, table, order, last), None)
        except driver.Error as error:
            after = ", ".join(f"{key} {last[key]}" for key in keys if last) or "its beginning"
            raise Incomparable(projection.name, table, after, error) from error
        if differing:
            found, expected = differing
            rows = [row for row in (found, expected) if row]
            key, *others = sorted(({k: row[k] for k in keys} for row in rows), key=_nulls_first)
            changed = ["the whole row"]
            if found and expected and others == [key]:
                changed = [column for column in found if found[column] != expected[column]]
            return Difference(projection.name, table, key, changed)
    return None


def _nulls_first(key: Mapping[str, Any]) -> list[tuple[bool, Any]]:
    return [(value is not None, value) for value in key.values()]
