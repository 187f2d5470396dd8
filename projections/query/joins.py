"""Members of groups and groups of users in filters: SQL over the rows of memberships.

No document holds them, so their values are rows v made here, like those of any other multi-valued
attribute. The rows of the resource table that is filtered are called `resource`.
"""

from projections.query.model import Path
from projections.tables import Tables

MEMBERS, GROUPS = "members", "groups"

# Groups are members of groups too, but only users show theirs: it matters to queries across all
# types.
_HAS_GROUPS = "resource.type = 'User'"


def is_joined(path: Path) -> bool:
    """Return whether the values of an attribute are rows of memberships."""
    return path.key in (MEMBERS, GROUPS)


def rows(path: Path, tables: Tables) -> str:
    """Return the values of the attribute as rows v (key, value, type, object)."""
    own = _member_rows(tables) if path.key == MEMBERS else _group_rows(tables)
    return f"(SELECT key, NULL AS value, 'object' AS type, object FROM ({own})) AS v"


def seek(path: Path, tables: Tables) -> str:
    """Return a condition on `resource` that it has a value; its one parameter is the `value`."""
    if path.key == MEMBERS:
        return f"position IN (SELECT group_position FROM {tables.member} WHERE member_id = ?)"
    return (
        f"({_HAS_GROUPS} AND position IN (WITH RECURSIVE within (id) AS ("
        f"SELECT member_id FROM {tables.member} WHERE group_position ="
        f" (SELECT position FROM {tables.resource} WHERE id = ?)"
        f" UNION SELECT inner_member.member_id FROM within"
        f" JOIN {tables.resource} AS nested ON nested.id = within.id"
        f" JOIN {tables.member} AS inner_member ON inner_member.group_position = nested.position"
        f") SELECT found.position FROM within JOIN {tables.resource} AS found"
        " ON found.id = within.id))"  # by position: asked for ids, SQLite reads all of the type
    )


def _member_rows(tables: Tables) -> str:
    return (
        "SELECT member_id AS key, json_object('value', member_id, 'type', member_type,"
        " 'display', known.display, '$ref',"
        " CASE WHEN known.id IS NOT NULL THEN '/' || member_type || 's/' || member_id END"
        f") AS object FROM {tables.member} LEFT JOIN {tables.resource} AS known"
        " ON known.id = member_id WHERE group_position = resource.position"
    )


def _group_rows(tables: Tables) -> str:
    return (
        "WITH RECURSIVE belongs (place, direct) AS ("
        f"SELECT group_position, 1 FROM {tables.member}"
        f" WHERE member_id = resource.id AND {_HAS_GROUPS}"
        f" UNION SELECT outer_member.group_position, 0 FROM belongs"
        f" JOIN {tables.resource} AS inner_group ON inner_group.position = belongs.place"
        f" JOIN {tables.member} AS outer_member ON outer_member.member_id = inner_group.id)"
        " SELECT place AS key, json_object('value', found.id, '$ref', '/Groups/' || found.id,"
        " 'display', found.display, 'type', CASE max(direct) WHEN 1 THEN 'direct'"
        " ELSE 'indirect' END) AS object"
        f" FROM belongs JOIN {tables.resource} AS found ON found.position = place GROUP BY place"
    )
