"""The archive of a tenant, and how what it finds is shown on HTTP and on the command line."""

from typing import Any

from projections.archive import Archive
from projections.differences import Difference
from projections.state import Attributes
from scim_api.resource_types import KINDS
from scim_api.tenants import Tenant


def archive_of(tenant: Tenant) -> Archive:
    """Return what is asked about a ledger's past."""
    return Archive(tenant.ledger, tenant.history, tenant.credentials, KINDS)


def name_in(type_: str, attributes: Attributes) -> Any:
    """Return what a resource of a type is called."""
    return attributes.get(KINDS[type_].name_attribute)


def difference_documents(archive: Archive, found: list[Difference]) -> list[dict[str, Any]]:
    """Return differences as JSON has them, each with the cause of the last event in between."""
    causes = archive.causes_at(each.last for each in found if each.last)
    documents = []
    for each in found:
        cause = causes.get(each.last)
        relation = KINDS[each.type].relation
        turnover = {relation: each.turnover.document()} if relation and each.turnover else {}
        documents.append(
            {
                "kind": each.kind,
                "how": each.how,
                "resourceType": each.type,
                "id": each.id,
                "name": name_in(each.type, each.shown.attributes) if each.shown else None,
                "active": each.activity,
                "changes": {key: change._asdict() for key, change in each.changes.items()},
                **turnover,
                "events": each.events,
                "last": cause.document() if cause else None,
            }
        )
    return documents
