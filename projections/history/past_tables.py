"""The tables of the current state as they were at a position: queries over the history.

They have the columns of the current ones, so that all reads of those read the past too. The
position is part of the queries' text: it is a number of ours, and never a client's text.
"""

from projections.tables import BLOCK, LARGE_BLOCK, Tables


def latest(column: str, at: int | str) -> str:
    """Return SQL for a column of the newest version of a row of `life`, at a position."""
    return (
        f"(SELECT seen.{column} FROM resource_version AS seen WHERE seen.born = life.born"
        f" AND seen.position <= {at} ORDER BY seen.position DESC LIMIT 1)"
    )


class PastTables(Tables):
    """The current-state tables, seen at a position."""

    def __init__(self, at: int) -> None:
        then = f"since <= {at} AND until > {at}"

        def keys(kind: str) -> str:
            return f"resource_key WHERE kind = '{kind}' AND {then}"

        # Each column of a version costs a seek where it is used.
        names = ("name_key", "display", "version", "document")
        columns = ", ".join(f"{latest(name, at)} AS {name}" for name in names)
        self.resource = (
            f"(SELECT born AS position, id, type, {columns} FROM life"
            f" WHERE born <= {at} AND died > {at})"
        )
        self.by_name = f"position IN (SELECT born FROM {keys('name')} AND key = ?)"
        self.by_external_id = f"position IN (SELECT born FROM {keys('external')} AND key = ?)"
        self.email = f"(SELECT key AS email_key, born AS position FROM {keys('email')})"
        small = (
            "SELECT type, block, coalesce((SELECT live FROM life_census AS seen"
            " WHERE seen.type = known.type AND seen.block = known.block"
            f" AND seen.position <= {at} ORDER BY seen.position DESC LIMIT 1), 0) AS live"
            " FROM census_block AS known"
        )
        self.census = (
            f"(SELECT type, {BLOCK} AS size, block, live FROM ({small}) UNION ALL"
            f" SELECT type, {LARGE_BLOCK}, block / {LARGE_BLOCK // BLOCK}, sum(live) FROM ({small})"
            " GROUP BY 1, 3)"
        )
        self.member = (
            "(SELECT group_born AS group_position, member_id, member_type FROM membership"
            f" WHERE {then})"
        )
        self.former_member = f"(SELECT member_id FROM membership WHERE until <= {at})"
