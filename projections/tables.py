"""The tables of projections: their names, made from a script, live or beside the live ones."""

from dataclasses import dataclass
from importlib.resources import files

from ledger.sqlite.connection import Connection
from ledger.sqlite.schema import statements


@dataclass(frozen=True)
class Tables:
    """The current-state tables, by name; `suffix` names others than the live ones.

    What reads them puts a table's name after FROM, so that in its place can also stand a query for
    the same columns: the rows of a past position (projections.past).
    """

    suffix: str = ""

    @property
    def by_name(self) -> str:
        """A condition on rows of `resource`, by index; its parameter is a folded name."""
        return "name_key = ?"

    @property
    def by_external_id(self) -> str:
        """A condition on rows of `resource`, by index; its parameter is an external id."""
        return "(external_id IS NOT NULL AND external_id = ?)"

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
    def unassigned(self) -> str:
        return f"unassigned_active{self.suffix}"

    @property
    def former_member(self) -> str:
        return f"former_member{self.suffix}"


def create_tables(connection: Connection, script: str, suffix: str) -> None:
    """Run a script of this package, with `suffix` in place of each {s}."""
    text = files("projections").joinpath(script).read_text()
    for statement in statements(text.replace("{s}", suffix)):
        connection.execute(statement)
