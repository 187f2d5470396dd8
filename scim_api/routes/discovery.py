"""/ServiceProviderConfig, /ResourceTypes and /Schemas on HTTP."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

import orjson
from flask import Blueprint, Response, request

from scim_api.protocol import discovery
from scim_api.protocol.documents import list_response
from scim_api.protocol.errors import Forbidden, NotFound
from scim_api.protocol.policy import OKTA, Policy, Tolerances
from scim_api.protocol.schema.attributes import Schema
from scim_api.routes.bulk import payload_limit
from scim_api.settings import Settings
from scim_api.tenants.catalogue import Catalogue
from scim_api.tenants.tenants import Tenants
from scim_api.web.context import exchange_of
from scim_api.web.messages import base_url, json_response

View = Callable[..., Response]


@dataclass(frozen=True, slots=True)
class DiscoveryViews:
    """What RFC 7644 §4 lists: of the ledger of the one who asks."""

    settings: Settings
    tenants: Tenants

    def config(self) -> Response:
        """GET what the service can do."""
        exchange = exchange_of(request)
        document = discovery.service_provider_config(
            Tolerances(self._policy(), exchange.tolerated.add),
            self._base(),
            max_results=self.settings.max_results,
            max_payload=payload_limit(self.settings),
        )
        return _document(document)

    def resource_types(self) -> Response:
        """GET every resource type."""
        base, catalogue = self._base(), _catalogue()
        return _listed(
            discovery.resource_type_document(each, base) for each in catalogue.resource_types
        )

    def resource_type(self, name: str) -> Response:
        """GET one resource type by its name."""
        resource_type = _catalogue().by_name.get(name)
        if resource_type is None:
            raise NotFound(
                "resource_type.unknown", "There is no resource type with this name here."
            )
        return _document(discovery.resource_type_document(resource_type, self._base()))

    def schemas(self) -> Response:
        """GET every schema."""
        base = self._base()
        return _listed(discovery.schema_document(schema, base) for schema in _schemas())

    def schema(self, urn: str) -> Response:
        """GET one schema by its URN."""
        for schema in _schemas():
            if schema.id.lower() == urn.lower():
                return _document(discovery.schema_document(schema, self._base()))
        raise NotFound("schema.unknown", "There is no schema with this URN here.")

    def _policy(self) -> Policy:
        """Return the token's policy; without a token that of the only ledger, or the default."""
        who = exchange_of(request).authenticated
        if who:
            return who.policy
        self.tenants.opened()
        only = self.tenants.only()
        return only.catalogue().policy if only else OKTA

    def _base(self) -> str:
        return base_url(exchange_of(request), self.settings)


def _catalogue() -> Catalogue:
    return exchange_of(request).principal.catalogue


def _schemas() -> list[Schema]:
    return discovery.schemas_of(_catalogue().resource_types)


def add_discovery(scim: Blueprint, settings: Settings, tenants: Tenants) -> None:
    """Serve the discovery documents."""
    views = DiscoveryViews(settings, tenants)
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
    where = {"Content-Location": document["meta"]["location"]}  # RFC 7643 §3.1
    return json_response(exchange_of(request), orjson.dumps(document), headers=where)


def _listed(documents: Iterable[dict[str, Any]]) -> Response:
    _refuse_filter()
    items = [orjson.dumps(document) for document in documents]
    return json_response(exchange_of(request), list_response(len(items), 1, items))


def _refuse_filter() -> None:
    """Refuse as RFC 7644 §4 asks: a filter here could be mistaken for one that worked."""
    if "filter" in request.args:
        raise Forbidden("discovery.filter", "Discovery endpoints take no filter.")


def _add(scim: Blueprint, rule: str, view: View, *methods: str) -> None:
    scim.add_url_rule(
        rule,
        f"{view.__name__}{rule}".replace(".", ""),
        view,
        methods=methods,
        provide_automatic_options=False,
    )
