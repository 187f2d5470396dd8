"""The tables of the current state as they were at a position: queries over the history.

They have the columns of the current ones, so that all reads of those read the past too. The
position is part of the queries' text: it is a number of ours, and never a client's text.
"""

from projections.history.contents import document_at, version_at
from projections.tables import Tables


def name_at(column: str, at: int | str) -> str:
    """Return SQL for a name of a row of `life`, at a position or last before it."""
    return (
        f"(SELECT named.{column} FROM life_name AS named WHERE named.born = life.born"
        f" AND named.since <= {at} ORDER BY named.since DESC LIMIT 1)"
    )


class PastTables(Tables):
    """The current-state tables, seen at a position."""

    are_indexed = False

    def __init__(self, at: int) -> None:
        then = f"since <= {at} AND until > {at}"

        def keys(kind: str) -> str:
            return f"resource_key WHERE kind = '{kind}' AND {then}"

        # Each of these columns costs a seek or more where it is used.
        self.resource = (
            f"(SELECT born AS position, id, type, {name_at('name_key', at)} AS name_key,"
            f" {name_at('display', at)} AS display, {version_at(at)} AS version,"
            f" {document_at(at)} AS document FROM life WHERE born <= {at} AND died > {at})"
        )
        self.by_name = f"position IN (SELECT born FROM {keys('name')} AND key = ?)"
        self.by_external_id = f"position IN (SELECT born FROM {keys('external')} AND key = ?)"
        self.email = f"(SELECT key AS email_key, born AS position FROM {keys('email')})"
        self.census = (
            "(SELECT type, size, block, coalesce((SELECT live FROM life_census AS seen"
            " WHERE seen.type = known.type AND seen.size = known.size AND seen.block = known.block"
            f" AND seen.position <= {at} ORDER BY seen.position DESC LIMIT 1), 0) AS live"
            " FROM census_block AS known)"
        )
        self.member = (
            "(SELECT group_born AS group_position, member_id, member_type FROM membership"
            f" WHERE {then})"
        )
        self.former_member = f"(SELECT member_id FROM membership WHERE until <= {at})"
