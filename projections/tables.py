"""The tables of a projection: made from its script, live or beside the live ones."""

from importlib.resources import files

from ledger.database import Connection
from ledger.migrations import statements


def create_tables(connection: Connection, script: str, suffix: str) -> None:
    """Run a script of this package, with `suffix` in place of each {s}."""
    text = files("projections").joinpath(script).read_text()
    for statement in statements(text.replace("{s}", suffix)):
        connection.execute(statement)
