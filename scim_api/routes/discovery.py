"""/ServiceProviderConfig, /ResourceTypes and /Schemas (RFC 7644 §4), of the caller's ledger."""

from collections.abc import Iterable
from typing import Any

import orjson
from flask import Response, request

from scim_api.protocol import discovery
from scim_api.protocol.bulk import MAX_PAYLOAD
from scim_api.protocol.documents import list_response
from scim_api.protocol.errors import Forbidden, NotFound
from scim_api.protocol.policy import OKTA, Policy, Tolerances
from scim_api.protocol.schema.attributes import Schema
from scim_api.tenants.tenants import Tenants
from scim_api.web.context import current_exchange
from scim_api.web.messages import json_response


def config(tenants: Tenants) -> Response:
    """GET what the service can do."""
    exchange = current_exchange()
    settings = exchange.settings
    document = discovery.service_provider_config(
        Tolerances(_policy(tenants), exchange.tolerated.add),
        exchange.base_url,
        max_results=settings.max_results,
        max_payload=min(MAX_PAYLOAD, settings.max_body),
        schemes=settings.authentication,
    )
    return _document(document)


def _policy(tenants: Tenants) -> Policy:
    """Return the token's policy; without a token that of the only ledger, or the default."""
    who = current_exchange().authenticated
    if who:
        return who.policy
    tenants.opened()
    only = tenants.only()
    return only.catalogue().policy if only else OKTA


def resource_types() -> Response:
    exchange = current_exchange()
    types, base = exchange.principal.catalogue.resource_types, exchange.base_url
    return _listed(discovery.resource_type_document(each, base) for each in types)


def resource_type(name: str) -> Response:
    exchange = current_exchange()
    found = exchange.principal.catalogue.by_name.get(name)
    if found is None:
        raise NotFound("resource_type.unknown", "There is no resource type with this name here.")
    return _document(discovery.resource_type_document(found, exchange.base_url))


def schemas() -> Response:
    base = current_exchange().base_url
    return _listed(discovery.schema_document(each, base) for each in _schemas())


def schema(urn: str) -> Response:
    found = next((each for each in _schemas() if each.id.lower() == urn.lower()), None)
    if found is None:
        raise NotFound("schema.unknown", "There is no schema with this URN here.")
    return _document(discovery.schema_document(found, current_exchange().base_url))


def _schemas() -> list[Schema]:
    return discovery.schemas_of(current_exchange().principal.catalogue.resource_types)


def _document(document: dict[str, Any]) -> Response:
    _refuse_filter()
    exchange = current_exchange()
    below = document["meta"]["location"].removeprefix(exchange.base_url)
    where = {"Content-Location": exchange.base_uri + below}  # RFC 7643 §3.1
    return json_response(exchange, orjson.dumps(document), headers=where)


def _listed(documents: Iterable[dict[str, Any]]) -> Response:
    _refuse_filter()
    items = [orjson.dumps(document) for document in documents]
    return json_response(current_exchange(), list_response(len(items), items, start_index=1))


def _refuse_filter() -> None:
    """Refuse as RFC 7644 §4 asks: a filter here could be mistaken for one that worked."""
    if "filter" in request.args:
        raise Forbidden("discovery.filter", "Discovery endpoints take no filter.")
