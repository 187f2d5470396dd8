"""The tables of the current state as they were at a position: queries over the history.

They have the columns of the current ones, so that all that reads those reads the past too. The
position stands in the text of the queries: it is a number of ours, and never a client's text.
"""

from dataclasses import dataclass

from projections.tables import Tables


@dataclass(frozen=True)
class PastTables(Tables):
    """The current-state tables, seen at a position."""

    at: int = 0

    def __post_init__(self) -> None:
        """Make sure that the position is a number before it becomes part of SQL."""
        if not isinstance(self.at, int):
            raise TypeError("a position is a whole number")

    @property
    def resource(self) -> str:
        """Resources that lived then; each column of a version costs a seek where it is used."""
        columns = ", ".join(map(self._latest, ("name_key", "display", "version", "document")))
        return (
            f"(SELECT born AS position, id, type, {columns} FROM life"
            f" WHERE born <= {self.at} AND died > {self.at})"
        )

    def _latest(self, column: str) -> str:
        return (
            f"(SELECT seen.{column} FROM resource_version AS seen WHERE seen.born = life.born"
            f" AND seen.position <= {self.at} ORDER BY seen.position DESC LIMIT 1) AS {column}"
        )

    @property
    def email(self) -> str:
        return f"(SELECT key AS email_key, born AS position FROM {self._keys('email')})"

    @property
    def by_name(self) -> str:
        return f"position IN (SELECT born FROM {self._keys('name')} AND key = ?)"

    @property
    def by_external_id(self) -> str:
        return f"position IN (SELECT born FROM {self._keys('external')} AND key = ?)"

    def _keys(self, kind: str) -> str:
        return f"resource_key WHERE kind = '{kind}' AND {self._then}"

    @property
    def _then(self) -> str:
        return f"since <= {self.at} AND until > {self.at}"

    @property
    def census(self) -> str:
        return (
            "(SELECT type, block, coalesce((SELECT live FROM life_census AS seen"
            " WHERE seen.type = known.type AND seen.block = known.block"
            f" AND seen.position <= {self.at} ORDER BY seen.position DESC LIMIT 1), 0) AS live"
            " FROM census_block AS known)"
        )

    @property
    def member(self) -> str:
        return (
            "(SELECT group_born AS group_position, member_id, member_type FROM membership"
            f" WHERE {self._then})"
        )

    @property
    def former_member(self) -> str:
        return f"(SELECT member_id FROM membership WHERE until <= {self.at})"
