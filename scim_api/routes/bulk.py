"""/Bulk on HTTP."""

from collections.abc import Callable
from dataclasses import replace

import orjson
from flask import Blueprint, Response, request

from ledger.events import Metadata
from scim_api.logs import LOGGER
from scim_api.protocol.bulk import MAX_PAYLOAD, BulkOperation, bulk_request
from scim_api.protocol.errors import Refusal
from scim_api.protocol.schema.attributes import ResourceType
from scim_api.request_log.records import MAX_METHOD, MAX_PATH, MOST_PARTS, NoChange, Part
from scim_api.service.bulk import BulkContext, carry_out
from scim_api.service.service import Service
from scim_api.settings import Settings
from scim_api.web.context import Exchange, exchange_of
from scim_api.web.messages import base_url, json_response, read_json, refusal_of

ServiceOf = Callable[[Exchange, ResourceType, str], Service]


def payload_limit(settings: Settings) -> int:
    """Return the most bytes a bulk request may have."""
    return min(MAX_PAYLOAD, settings.max_body)


def add_bulk(scim: Blueprint, settings: Settings, service_of: ServiceOf) -> None:
    """Serve /Bulk; `service_of` returns the service of a resource type to the one who asks."""

    def bulk() -> Response:
        exchange = exchange_of(request)
        asked = bulk_request(read_json(request, limit=payload_limit(settings)), exchange.tolerances)
        answer = carry_out(asked, _context(exchange, settings, service_of))
        return json_response(exchange, orjson.dumps(answer))

    scim.add_url_rule("/Bulk", "bulk", bulk, methods=["POST"], provide_automatic_options=False)


def _context(exchange: Exchange, settings: Settings, service_of: ServiceOf) -> BulkContext:
    def metadata(method: str, path: str) -> Metadata:
        own = exchange.metadata("scim.bulk")
        operation = {"method": method, "path": settings.base_path + path}
        return replace(own, request={**own.request, **operation})

    def refused(error: Exception) -> Refusal:
        refusal = refusal_of(error, okta=exchange.is_okta)
        if refusal.status >= 500:
            fields = {"request_id": exchange.id}
            LOGGER.error("bulk operation failed", exc_info=error, extra={"fields": fields})
        return refusal

    base = base_url(exchange, settings)

    return BulkContext(
        resource_types=exchange.principal.catalogue.resource_types,
        service_of=lambda resource_type: service_of(exchange, resource_type, base),
        metadata=metadata,
        refusal=refused,
        note=noting(exchange, settings.base_path, base),
        base_url=base,
    )


def noting(
    exchange: Exchange, base_path: str, base_url: str
) -> Callable[[BulkOperation, Refusal | NoChange], None]:
    """Return what notes for the request log the first operations that need it."""

    def note(operation: BulkOperation, outcome: Refusal | NoChange) -> None:
        parts = exchange.outcome if isinstance(exchange.outcome, list) else []
        if len(parts) < MOST_PARTS:
            path = operation.path if isinstance(operation.path, str) else ""
            own = base_path + path.removeprefix(base_url)[:MAX_PATH]
            parts.append(Part(str(operation.method)[:MAX_METHOD], own, outcome))
            exchange.outcome = parts

    return note
