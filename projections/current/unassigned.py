"""Users whose `active` was unassigned and not given again: they count as active, but should they?

PATCH once recorded that (a null), also of who had been deactivated.
"""

from collections.abc import Sequence
from typing import NamedTuple

from ledger.events import Recorded
from ledger.sqlite.connection import Connection
from projections.state import STANDING, resource_of
from projections.tables import Tables

ACTIVE = "active"


class Doubtful(NamedTuple):
    """A user who lives, and the position of the event that unassigned `active`."""

    id: str
    user_name: str
    position: int


class Unassigned:
    """The rows of such users, in the tables of the current-state projection."""

    def __init__(self, tables: Tables) -> None:
        self._table = tables.unassigned
        self._resource = tables.resource

    def follow(self, connection: Connection, place: int, recorded: Recorded) -> None:
        """Follow an event about the resource that was created at a position."""
        if ACTIVE not in STANDING.get(recorded.category, {}) or ACTIVE not in recorded.effects:
            return
        self.forget(connection, place)
        if recorded.effects[ACTIVE] is None:
            row = place, recorded.position
            connection.execute(f"INSERT INTO {self._table} VALUES (?, ?)", row)

    def forget(self, connection: Connection, place: int) -> None:
        """Forget a resource that is deleted."""
        connection.execute(f"DELETE FROM {self._table} WHERE resource_position = ?", (place,))

    def count(self, connection: Connection) -> int:
        """Return how many such users there are."""
        row = connection.execute(f"SELECT count(*) FROM {self._table}").fetchone()
        found: int = row[0]
        return found

    def first(self, connection: Connection, most: int) -> Sequence[Doubtful]:
        """Return the first of them, in order of creation."""
        rows = connection.execute(
            f"SELECT document, event_position FROM {self._table}"
            f" JOIN {self._resource} ON position = resource_position"
            " ORDER BY resource_position LIMIT ?",
            (most,),
        )
        found = [(resource_of(document), position) for document, position in rows]
        return [Doubtful(user.id, user.attributes["userName"], at) for user, at in found]
