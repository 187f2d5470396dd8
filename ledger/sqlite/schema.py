"""The ledger file's schema, step by step; a step that has been released is never changed."""

from collections.abc import Iterator
from contextlib import closing
from importlib.resources import files
from pathlib import Path

from sqlite_utils import Database, Migrations

from ledger.contract import LedgerNewer, LedgerUnavailable, NotMigrated
from ledger.sqlite.connection import (
    APPLICATION_ID,
    SCHEMA_VERSION,
    Connection,
    connect,
    connect_read_only,
    driver,
    temporary,
    translate_errors,
)

SCRIPTS = ("ledger.sql", "tree.sql", "users.sql")  # by step
TILES, CHECKPOINT = "tile", "checkpoint"  # tables that follow from the events

migrations = Migrations("ledger")


@migrations()
def tables(db: Database) -> None:
    """Make the tables and the triggers that keep them append-only."""
    _run(db, "ledger.sql", 1)
    db.execute(f"PRAGMA application_id={APPLICATION_ID}")


@migrations()
def tree(db: Database) -> None:
    """Make the tables of the tree, of its signed heads and of erasures; let origins be renewed."""
    _run(db, "tree.sql", 2)


@migrations()
def users(db: Database) -> None:
    """Let nothing but what was said of users be forgotten."""
    _run(db, "users.sql", 3)


def _run(db: Database, script: str, version: int) -> None:
    for statement in statements(_text(script)):
        db.execute(statement)
    db.execute(f"PRAGMA user_version={version}")


def _text(script: str) -> str:
    return files("ledger.sqlite").joinpath(script).read_text()


def schema_sql(version: int = SCHEMA_VERSION) -> dict[str, str]:
    """Return the definition of each table and trigger, by name, as a file of a version keeps it."""
    schema: dict[str, str] = {}
    for script in SCRIPTS[:version]:
        for statement in statements(_text(script)):
            verb, _, name = statement.rstrip(";").split()[:3]
            if verb == "DROP":
                del schema[name]
            else:
                schema[name] = statement.rstrip(";")
    return schema


def statements(script: str) -> Iterator[str]:
    """Split a script into statements: `executescript` would commit the open transaction."""
    statement = ""
    for line in script.splitlines():
        if line.startswith("--"):
            continue
        statement += line + "\n"
        if driver.complete_statement(statement):
            yield statement.strip()
            statement = ""


def migrate(connection: Connection) -> list[str]:
    """Apply what is pending, each step in a transaction; return the names of the steps."""
    db = Database(connection, execute_plugins=False)
    pending = [step.name for step in migrations.pending(db)]
    migrations.apply(db)
    return pending


def migrate_file(path: Path) -> list[str]:
    """Apply what is pending to a ledger's file; return the names of the steps."""
    with translate_errors(path), closing(connect(path)) as connection:
        return migrate(connection)


def steps(version: int = SCHEMA_VERSION) -> list[tuple[str, str]]:
    """Return the set and the name of each step, in order, as a file of a version has them."""
    with closing(temporary()) as connection:
        pending = migrations.pending(Database(connection, execute_plugins=False))
        return [(migrations.name, step.name) for step in pending[:version]]


def lend_tables(connection: Connection) -> None:
    """Let a connection find the tables that a file lacks, empty; also tiles kept in another way."""
    found = definitions(connection)
    for name, sql in schema_sql().items():
        lacking = name not in found or (name == TILES and found[name] != sql)
        if lacking and sql.startswith("CREATE TABLE "):
            connection.execute(sql.replace("CREATE TABLE", "CREATE TEMP TABLE", 1))


def definitions(connection: Connection) -> dict[str, str]:
    """Return how the file of a connection defines each table, index and trigger."""
    return dict(
        connection.execute("SELECT name, sql FROM main.sqlite_master WHERE sql IS NOT NULL")
    )


def has_tiles(connection: Connection) -> bool:
    """Return whether the table of tiles is as this program makes it."""
    return definitions(connection).get(TILES) == schema_sql()[TILES]


def make_tiles(connection: Connection) -> None:
    """Put an empty table of tiles in place of what there is: it can be thrown away."""
    of_its_name = "SELECT type FROM sqlite_master WHERE name = ?"
    for (type_,) in connection.execute(of_its_name, (TILES,)).fetchall():
        connection.execute(f"DROP {type_} {TILES}")
    connection.execute(schema_sql()[TILES])


def version_of(connection: Connection) -> int:
    """Return the version of the tables of a ledger's file."""
    return int(connection.execute("PRAGMA user_version").fetchone()[0])


def check_identity(connection: Connection, path: Path, oldest: int = SCHEMA_VERSION) -> None:
    """Raise LedgerUnavailable unless the file is a ledger, and of a version that is wanted."""
    (application,) = connection.execute("PRAGMA application_id").fetchone()
    schema = version_of(connection)
    if not connection.execute("PRAGMA page_count").fetchone()[0]:
        raise LedgerUnavailable(
            f"{path} is empty, not a ledger; it was left as it is", reason="foreign file"
        )
    if application != APPLICATION_ID:
        raise LedgerUnavailable(
            f"{path} is a SQLite database of another program, not a ledger; it was left as it is",
            reason="foreign file",
        )
    if schema > SCHEMA_VERSION:
        raise LedgerNewer(
            f"{path} was written by a newer scim-ledger (schema {schema}; this program knows"
            f" {SCHEMA_VERSION}); install that version or a later one. It was left as it is",
            reason="ledger newer than the program",
        )
    if schema < oldest:
        raise NotMigrated(path)


def look_at(path: Path, oldest: int = SCHEMA_VERSION) -> None:
    """Check a file's identity, and leave one that is not ours as it is, to the byte."""
    with translate_errors(path), closing(connect_read_only(path)) as connection:
        check_identity(connection, path, oldest)
