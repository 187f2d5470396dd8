"""The tables of the current state as they were at a position: queries over the history.

They have the columns of the current ones, so that all reads of those read the past too. The
position is part of the queries' text: it is a number of ours, and never a client's text.
"""

from typing import Any

from projections.history.contents import content_at, document_at, last_time, version_at
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
        self._at = at
        then = f"since <= {at} AND until > {at}"

        def keys(kind: str) -> str:
            return f"resource_key WHERE kind = '{kind}' AND {then}"

        # Each of these columns costs a seek or more where it is used.
        self.resource = (
            "(SELECT born AS position, stream, died, id, type,"
            f" {name_at('name_key', at)} AS name_key, {name_at('display', at)} AS display,"
            f" {version_at(at)} AS version, {document_at(at)} AS document"
            f" FROM life WHERE born <= {at} AND died > {at})"
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

    def part(self, key: str, sub: str | None) -> tuple[str, list[Any]] | None:
        if key == "id":
            return "json_object('id', resource.id)", []
        if key != "meta":
            return content_at(self._at, key)
        if sub == "created":
            time = "(SELECT at FROM entry WHERE position = resource.position)"
        elif sub == "lastModified":
            time = last_time(self._at)
        else:
            return None
        return f"json_object('meta', json_object('{sub}', {time}))", []
