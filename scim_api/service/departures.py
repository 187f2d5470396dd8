"""How a resource leaves its groups: what is recorded of each when it is deleted or erased."""

from ledger.contract import Append
from ledger.sqlite.connection import Connection
from projections.current.resources import Resources
from scim_api.protocol.to_events import membership


def departures(resources: Resources, connection: Connection, id_: str) -> dict[str, Append]:
    """Return how a resource leaves its groups, by the group's id."""
    groups = resources.memberships.direct_groups(connection, id_)
    return {
        group: Append(f"Group-{group}", version, membership({}, [id_])) for group, version in groups
    }
