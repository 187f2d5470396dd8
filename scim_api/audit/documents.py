"""The archive of a tenant, and how what it finds is shown on HTTP and on the command line."""

from typing import Any

from projections.audit.archive import Archive
from projections.audit.diff import Difference, Reasons, reasons_of
from scim_api.protocol.schema.resource_types import KINDS
from scim_api.tenants.tenants import Tenant


def archive_of(tenant: Tenant) -> Archive:
    """Return what is asked about a ledger's past."""
    return Archive(tenant.ledger, tenant.history, tenant.credentials, KINDS)


def difference_documents(archive: Archive, found: list[Difference]) -> list[dict[str, Any]]:
    """Return differences as JSON has them, each with its causes."""
    return [difference_document(each, reasons_of(archive, each)) for each in found]


def difference_document(found: Difference, reasons: Reasons) -> dict[str, Any]:
    """Return a difference as JSON has it."""
    kind, shown = KINDS[found.type], found.shown
    turnover = (
        {kind.relation: found.turnover.document()} if kind.relation and found.turnover else {}
    )
    made, last = reasons.made, reasons.last
    return {
        "kind": found.kind,
        "how": found.how,
        "resourceType": found.type,
        "id": found.id,
        "name": shown.attributes.get(kind.name_attribute) if shown else None,
        "active": found.activity,
        "changes": {key: _change(key, found, reasons) for key in found.changes},
        **turnover,
        "events": found.events,
        "by": [{"who": one.who, "client": one.client} for one in reasons.distinct],
        "complete": reasons.complete,
        "event": made.document() if made else None,
        "last": last.document() if last else None,
    }


def _change(key: str, found: Difference, reasons: Reasons) -> dict[str, Any]:
    cause = reasons.causes.get(key)
    return found.changes[key]._asdict() | {"cause": cause.document() if cause else None}
