"""The tables of projections: their names, made from a script, live or beside the live ones."""

from dataclasses import dataclass
from importlib.resources import files

from ledger.database import Connection
from ledger.migrations import statements


@dataclass(frozen=True, slots=True)
class Tables:
    """The names of the current-state tables; `suffix` names others than the live ones."""

    suffix: str = ""

    @property
    def resource(self) -> str:
        return f"resource{self.suffix}"

    @property
    def email(self) -> str:
        return f"resource_email{self.suffix}"

    @property
    def census(self) -> str:
        return f"resource_census{self.suffix}"

    @property
    def member(self) -> str:
        return f"member{self.suffix}"

    @property
    def unique_attribute(self) -> str:
        return f"unique_attribute{self.suffix}"

    @property
    def unique_value(self) -> str:
        return f"unique_value{self.suffix}"

    @property
    def former_member(self) -> str:
        return f"former_member{self.suffix}"


def create_tables(connection: Connection, script: str, suffix: str) -> None:
    """Run a script of this package, with `suffix` in place of each {s}."""
    text = files("projections").joinpath(script).read_text()
    for statement in statements(text.replace("{s}", suffix)):
        connection.execute(statement)
