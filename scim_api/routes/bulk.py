"""/Bulk on HTTP."""

from dataclasses import replace

import orjson
from flask import Response

from ledger.events import Metadata
from scim_api.logs import LOGGER
from scim_api.protocol.bulk import MAX_PAYLOAD, BulkOperation, bulk_request
from scim_api.protocol.errors import Refusal
from scim_api.request_log.records import MAX_METHOD, MAX_PATH, MOST_PARTS, NoChange, Part
from scim_api.service.bulk import BulkContext, carry_out
from scim_api.web.context import Exchange, current_exchange
from scim_api.web.messages import json_response, read_json, refusal_of


def bulk() -> Response:
    exchange = current_exchange()
    body = read_json(exchange, MAX_PAYLOAD)
    answer = carry_out(*bulk_request(body, exchange.tolerances), _context(exchange))
    return json_response(exchange, orjson.dumps(answer))


def _context(exchange: Exchange) -> BulkContext:
    base_path, base_url = exchange.settings.base_path, exchange.base_url

    def metadata(method: str, path: str) -> Metadata:
        own = exchange.metadata("scim.bulk")
        operation = {"method": method, "path": base_path + path}
        return replace(own, request={**own.request, **operation})

    def refused(error: Exception) -> Refusal:
        refusal = refusal_of(error, okta=exchange.is_okta)
        if refusal.status >= 500:
            fields = {"request_id": exchange.id}
            LOGGER.error("bulk operation failed", exc_info=error, extra={"fields": fields})
        return refusal

    def note(operation: BulkOperation, outcome: Refusal | NoChange) -> None:
        """Note the first operations that need it for the request log."""
        parts = exchange.outcome if isinstance(exchange.outcome, list) else []
        if len(parts) < MOST_PARTS:
            path = operation.path if isinstance(operation.path, str) else ""
            own = base_path + path.removeprefix(base_url)[:MAX_PATH]
            parts.append(Part(str(operation.method)[:MAX_METHOD], own, outcome))
            exchange.outcome = parts

    return BulkContext(
        resource_types=exchange.principal.catalogue.resource_types,
        service_of=exchange.service,
        metadata=metadata,
        refusal=refused,
        note=note,
        base_url=base_url,
    )
