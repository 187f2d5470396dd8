"""The tables of projections: names, creation, and replacement after a rebuild."""

from collections.abc import Iterable, Iterator, Sequence
from importlib.resources import files
from itertools import zip_longest
from typing import Any

import orjson

from ledger.contract import Connection
from ledger.sqlite.schema import CHECKPOINT, definitions, schema_sql, statements

BLOCK, LARGE_BLOCK = 1024, 65_536  # positions whose resources are counted together
SWEEP = 1000  # rows deleted at once

Row = dict[str, Any]


class Tables:
    """The current-state tables, by name; `suffix` names others than the live ones.

    Statements put a name after FROM, so that a query for the same columns can take its place: the
    rows of a past position (history.past_tables).
    """

    # Conditions on rows of `resource`, by index; the parameter is a folded name or an external id.
    by_name = "name_key = ?"
    by_external_id = "(external_id IS NOT NULL AND likelihood(external_id = ?, 0.00001))"  # few
    are_indexed = True  # by attributes that the operator chose

    def __init__(self, suffix: str = "") -> None:
        self.resource = f"resource{suffix}"
        self.email = f"resource_email{suffix}"
        self.census = f"resource_census{suffix}"
        self.member = f"member{suffix}"
        self.former_member = f"former_member{suffix}"
        self.unique_attribute = f"unique_attribute{suffix}"
        self.unique_value = f"unique_value{suffix}"
        self.unassigned = f"unassigned_active{suffix}"
        self.attribute_index = f"attribute_index{suffix}"
        self.attribute_value = f"attribute_value{suffix}"

    def part(self, key: str, sub: str | None) -> tuple[str, list[Any]] | None:
        """Return SQL for JSON of a row of `resource` that has an attribute under its payload key.

        It may have no more of it than a sub-attribute. None where the document costs no more.
        """
        return None


def json_list(values: Iterable[Any]) -> str:
    """Return values as a parameter for json_each."""
    return orjson.dumps(list(values)).decode()


def create_tables(connection: Connection, script: str, suffix: str) -> None:
    """Run a script of this package, with `suffix` in place of each {s}."""
    for statement in statements_of(script, suffix):
        connection.execute(statement)


def statements_of(script: str, suffix: str) -> list[str]:
    """Return the statements of a script of this package, with `suffix` in place of each {s}."""
    text = files("projections").joinpath(script).read_text()
    return list(statements(text.replace("{s}", suffix)))


def built(connection: Connection) -> dict[str, int]:
    """Return the revision of each projection that has tables."""
    if CHECKPOINT not in definitions(connection):
        return {}
    return dict(connection.execute("SELECT projector, revision FROM checkpoint"))


def set_checkpoint(connection: Connection, projector: str, revision: int, position: int) -> None:
    """Record the revision of a projection's tables, and the position that they have reached."""
    connection.execute(schema_sql()[CHECKPOINT].replace("TABLE", "TABLE IF NOT EXISTS", 1))
    connection.execute(
        "INSERT OR REPLACE INTO checkpoint VALUES (?, ?, ?)", (projector, revision, position)
    )


def replace_tables(connection: Connection, tables: Sequence[str], suffix: str) -> None:
    """Put the tables with a suffix in place of the live ones, which `leftovers` then returns."""
    live = existing(connection)
    for table in tables:
        if table in live:
            connection.execute(f"ALTER TABLE {table} RENAME TO {table}_retired{suffix}")
        connection.execute(f"ALTER TABLE {table}{suffix} RENAME TO {table}")


def leftovers(connection: Connection, tables: Iterable[str]) -> dict[str, str]:
    """Return replaced tables and those of an interrupted rebuild, with their key columns.

    Those of another revision may have others.
    """
    return {
        name: _key_of(connection, name)
        for name in existing(connection)
        for table in tables
        if name.startswith((f"{table}_building_", f"{table}_retired_"))
    }


def drop_some(connection: Connection, table: str, key: str) -> bool:
    """Drop an index of a table or some rows, at last the table; return whether something is left.

    Deleted pages are overwritten (secure_delete): to drop a large table takes long.
    """
    of_it = "SELECT name FROM sqlite_master WHERE type = 'index' AND tbl_name = ? AND sql NOT NULL"
    if index := connection.execute(of_it, (table,)).fetchone():
        connection.execute(f"DROP INDEX {index[0]}")
        return True
    deleted = connection.execute(
        f"DELETE FROM {table} WHERE ({key}) IN (SELECT {key} FROM {table} LIMIT {SWEEP})"
    ).rowcount
    if not deleted:
        connection.execute(f"DROP TABLE {table}")
    return bool(deleted)


def differing_rows(
    left: Connection, right: Connection, table: str, order: str, last: Row
) -> Iterator[tuple[Row | None, Row | None]]:
    """Yield the rows of a table that two files do not have alike, side by side.

    An error leaves in `last` the row before it, if there was one.
    """
    statement = f"SELECT * FROM {table} ORDER BY {order}"
    found, expected = left.execute(statement), right.execute(statement)
    columns = [column[0] for column in found.description]
    before: Sequence[Any] | None = None
    rows = zip_longest(found, expected)
    while True:
        try:
            pair = next(rows)
        except StopIteration:
            return
        except Exception:
            last |= dict(zip(columns, before, strict=True)) if before else {}
            raise
        before = pair[1]
        if pair[0] != pair[1]:
            one, other = (dict(zip(columns, row, strict=True)) if row else None for row in pair)
            yield one, other


def _key_of(connection: Connection, table: str) -> str:
    columns = connection.execute(
        "SELECT name FROM pragma_table_info(?) WHERE pk > 0 ORDER BY pk", (table,)
    )
    return ", ".join(column for (column,) in columns) or "rowid"


def existing(connection: Connection) -> set[str]:
    """Return the names of all tables."""
    rows = connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'")
    return {name for (name,) in rows}
