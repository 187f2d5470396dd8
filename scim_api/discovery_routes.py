"""/ServiceProviderConfig, /ResourceTypes and /Schemas on HTTP, and what is not offered yet."""

from collections.abc import Callable
from typing import Any

import orjson
from flask import Blueprint, Response, request

from scim_api import discovery
from scim_api.documents import list_response
from scim_api.errors import Forbidden, NotFound, NotServed
from scim_api.exchange import exchange_of
from scim_api.http import base_url, json_response
from scim_api.queries import whole_number
from scim_api.resource_types import RESOURCE_TYPES
from scim_api.settings import Settings

View = Callable[..., Response]


def add_discovery(scim: Blueprint, settings: Settings) -> None:
    """Serve what RFC 7644 §4 lists, the same for every ledger."""

    def document(make: Callable[[str], dict[str, Any] | None]) -> Response:
        _refuse_filter()
        found = make(base_url(exchange_of(request), settings))
        if found is None:
            raise NotFound("There is no schema or resource type of this name here.")
        return json_response(exchange_of(request), orjson.dumps(found))

    def listed(make: Callable[[str], list[dict[str, Any]]]) -> Response:
        _refuse_filter()
        items = [orjson.dumps(item) for item in make(base_url(exchange_of(request), settings))]
        return json_response(exchange_of(request), list_response(len(items), 1, items))

    def config() -> Response:
        return document(lambda base: discovery.service_provider_config(settings.max_results, base))

    def resource_types() -> Response:
        return listed(
            lambda base: [discovery.resource_type_document(t, base) for t in RESOURCE_TYPES]
        )

    def resource_type(name: str) -> Response:
        found = next((t for t in RESOURCE_TYPES if t.name == name), None)
        return document(
            lambda base: discovery.resource_type_document(found, base) if found else None
        )

    def schemas() -> Response:
        used = discovery.schemas_of(RESOURCE_TYPES)
        return listed(lambda base: [discovery.schema_document(s, base) for s in used])

    def schema(urn: str) -> Response:
        used = discovery.schemas_of(RESOURCE_TYPES)
        found = next((s for s in used if s.id.lower() == urn.lower()), None)
        return document(lambda base: discovery.schema_document(found, base) if found else None)

    rules: list[tuple[str, View]] = [
        ("/ServiceProviderConfig", config),
        ("/ResourceTypes", resource_types),
        ("/ResourceTypes/<name>", resource_type),
        ("/Schemas", schemas),
        ("/Schemas/<urn>", schema),
    ]
    for rule, view in rules:
        scim.add_url_rule(rule, view_func=view, methods=["GET"], provide_automatic_options=False)


def _refuse_filter() -> None:
    """Refuse as RFC 7644 §4 asks: a filter here could be mistaken for one that worked."""
    if "filter" in request.args:
        raise Forbidden("Discovery answers whole; it takes no filter.")


def add_not_yet_served(scim: Blueprint) -> None:
    """Answer for the parts of SCIM that are not offered: no group exists, so the list is empty."""

    def no_groups() -> Response:
        start_index = max(1, whole_number(request.args, "startIndex", 1))
        whole_number(request.args, "count", 0)
        return json_response(exchange_of(request), list_response(0, start_index, ()))

    def no_group(id_: str) -> Response:
        raise NotFound("There is no Group with this id: this service keeps no groups yet.")

    def not_served(**_: str) -> Response:
        raise NotServed(f"This service does not offer {request.method} on this address.")

    def add(rule: str, view: View, *methods: str) -> None:
        scim.add_url_rule(
            rule,
            f"{view.__name__}{rule}".replace(".", ""),
            view,
            methods=methods,
            provide_automatic_options=False,
        )

    add("/Groups", no_groups, "GET")
    add("/Groups/<id_>", no_group, "GET")
    add("/Groups", not_served, "POST")
    add("/Groups/<id_>", not_served, "PUT", "PATCH", "DELETE")
    add("/Me", not_served, "GET", "POST", "PUT", "PATCH", "DELETE")
    add("/Bulk", not_served, "POST")
    add("/.search", not_served, "POST")
    add("/Users/.search", not_served, "POST")
