"""/ServiceProviderConfig, /ResourceTypes and /Schemas on HTTP, and what is not offered yet."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any, NoReturn

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


@dataclass(frozen=True, slots=True)
class DiscoveryViews:
    """What RFC 7644 §4 lists, the same for every ledger."""

    settings: Settings

    def config(self) -> Response:
        """GET what the service can do."""
        document = discovery.service_provider_config(self.settings.max_results, self._base())
        return _document(document)

    def resource_types(self) -> Response:
        """GET every resource type."""
        base = self._base()
        return _listed(discovery.resource_type_document(t, base) for t in RESOURCE_TYPES)

    def resource_type(self, name: str) -> Response:
        """GET one resource type by its name."""
        for resource_type in RESOURCE_TYPES:
            if resource_type.name == name:
                return _document(discovery.resource_type_document(resource_type, self._base()))
        raise NotFound("There is no resource type of this name here.")

    def schemas(self) -> Response:
        """GET every schema."""
        base, used = self._base(), discovery.schemas_of(RESOURCE_TYPES)
        return _listed(discovery.schema_document(schema, base) for schema in used)

    def schema(self, urn: str) -> Response:
        """GET one schema by its URN."""
        for schema in discovery.schemas_of(RESOURCE_TYPES):
            if schema.id.lower() == urn.lower():
                return _document(discovery.schema_document(schema, self._base()))
        raise NotFound("There is no schema of this name here.")

    def _base(self) -> str:
        return base_url(exchange_of(request), self.settings)


def add_discovery(scim: Blueprint, settings: Settings) -> None:
    """Serve the discovery documents."""
    views = DiscoveryViews(settings)
    rules: list[tuple[str, View]] = [
        ("/ServiceProviderConfig", views.config),
        ("/ResourceTypes", views.resource_types),
        ("/ResourceTypes/<name>", views.resource_type),
        ("/Schemas", views.schemas),
        ("/Schemas/<urn>", views.schema),
    ]
    for rule, view in rules:
        _add(scim, rule, view, "GET")


def _document(document: dict[str, Any]) -> Response:
    _refuse_filter()
    return json_response(exchange_of(request), orjson.dumps(document))


def _listed(documents: Iterable[dict[str, Any]]) -> Response:
    _refuse_filter()
    items = [orjson.dumps(document) for document in documents]
    return json_response(exchange_of(request), list_response(len(items), 1, items))


def _refuse_filter() -> None:
    """Refuse as RFC 7644 §4 asks: a filter here could be mistaken for one that worked."""
    if "filter" in request.args:
        raise Forbidden("Discovery answers whole; it takes no filter.")


def add_not_yet_served(scim: Blueprint) -> None:
    """Answer for the parts of SCIM that are not offered: no group exists, so the list is empty."""
    _add(scim, "/Groups", _no_groups, "GET")
    _add(scim, "/Groups/<id_>", _no_group, "GET")
    _add(scim, "/Groups", _not_served, "POST")
    _add(scim, "/Groups/<id_>", _not_served, "PUT", "PATCH", "DELETE")
    _add(scim, "/Me", _not_served, "GET", "POST", "PUT", "PATCH", "DELETE")
    _add(scim, "/Bulk", _not_served, "POST")
    _add(scim, "/.search", _not_served, "POST")
    _add(scim, "/Users/.search", _not_served, "POST")


def _no_groups() -> Response:
    start_index = max(1, whole_number(request.args, "startIndex", 1))
    whole_number(request.args, "count", 0)
    return json_response(exchange_of(request), list_response(0, start_index, ()))


def _no_group(id_: str) -> NoReturn:
    raise NotFound("There is no Group with this id: this service keeps no groups yet.")


def _not_served(**_: str) -> NoReturn:
    raise NotServed(f"This service does not offer {request.method} on this address.")


def _add(scim: Blueprint, rule: str, view: View, *methods: str) -> None:
    scim.add_url_rule(
        rule,
        f"{view.__name__}{rule}".replace(".", ""),
        view,
        methods=methods,
        provide_automatic_options=False,
    )
