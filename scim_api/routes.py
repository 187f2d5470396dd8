"""/Users and what will stand beside it: one thin view per operation, for any resource type."""

from collections.abc import Callable
from dataclasses import dataclass

from flask import Blueprint, Response, request

from scim_api.attributes import ResourceType
from scim_api.auth import authenticate
from scim_api.discovery_routes import add_discovery, add_not_yet_served
from scim_api.documents import Selection, answer, page_response
from scim_api.exchange import Exchange, exchange_of
from scim_api.http import base_url, empty_response, json_response, read_json
from scim_api.policy import OKTA
from scim_api.queries import list_request, shown
from scim_api.resource_types import RESOURCE_TYPES, kind_of
from scim_api.service import Answer, Service
from scim_api.settings import Settings
from scim_api.tenants import Tenants

View = Callable[..., Response]


def blueprint(settings: Settings, tenants: Tenants) -> Blueprint:
    """Return everything that is served under the SCIM base."""
    scim = Blueprint("scim", __name__, url_prefix=settings.base_path)

    @scim.before_request
    def _authenticate() -> None:
        exchange = exchange_of(request)
        header = exchange.environ.get("HTTP_AUTHORIZATION")
        principal = exchange.principal = authenticate(header, tenants, exchange.at)
        principal.tenant.usage.note(principal.credential.id, exchange.client, exchange.at)

    views = Views(settings)
    for resource_type in RESOURCE_TYPES:
        _add_resource_type(scim, views, resource_type)
    add_discovery(scim, settings)
    add_not_yet_served(scim)
    return scim


def _add_resource_type(scim: Blueprint, views: "Views", resource_type: ResourceType) -> None:
    endpoint = resource_type.endpoint
    rules: list[tuple[str, str, View]] = [
        (endpoint, "GET", views.search),
        (endpoint, "POST", views.create),
        (f"{endpoint}/<id_>", "GET", views.read),
        (f"{endpoint}/<id_>", "PUT", views.replace),
        (f"{endpoint}/<id_>", "PATCH", views.patch),
        (f"{endpoint}/<id_>", "DELETE", views.delete),
    ]
    for rule, method, view in rules:
        scim.add_url_rule(
            rule,
            f"{view.__name__}_{resource_type.name}",
            view,
            methods=[method],
            defaults={"resource_type": resource_type},
            provide_automatic_options=False,
        )


@dataclass(frozen=True, slots=True)
class Views:
    """The operations on resources: HTTP in, the service, HTTP out."""

    settings: Settings

    def search(self, resource_type: ResourceType) -> Response:
        """GET a page of resources."""
        exchange = exchange_of(request)
        asked = list_request(
            request.args,
            resource_type,
            max_results=self.settings.max_results,
            base_url=base_url(exchange, self.settings),
            tolerated=exchange.tolerated.add,
        )
        page = _service(exchange, resource_type).search(asked.query)
        body = page_response(page, self._base(exchange), resource_type, asked.selection)
        return json_response(exchange, body)

    def create(self, resource_type: ResourceType) -> Response:
        """POST a new resource."""
        exchange = exchange_of(request)
        selection = shown(request.args, resource_type)
        service = _service(exchange, resource_type)
        made = service.create(read_json(request), exchange.metadata("scim.post"))
        location = f"{base_url(exchange, self.settings)}{resource_type.endpoint}/{made.id}"
        return self._resource(exchange, made, resource_type, selection, location)

    def read(self, resource_type: ResourceType, id_: str) -> Response:
        """GET one resource, or 304 when the client has it already."""
        exchange = exchange_of(request)
        found = _service(exchange, resource_type).read(id_)
        if exchange.conditions().unchanged(found.etag):
            return empty_response(304, {"ETag": found.etag})
        selection = shown(request.args, resource_type)
        return self._resource(exchange, found, resource_type, selection)

    def replace(self, resource_type: ResourceType, id_: str) -> Response:
        """PUT a resource."""
        exchange = exchange_of(request)
        selection = shown(request.args, resource_type)
        changed = _service(exchange, resource_type).replace(
            id_, read_json(request), exchange.conditions(), exchange.metadata("scim.put")
        )
        return self._resource(exchange, changed, resource_type, selection)

    def patch(self, resource_type: ResourceType, id_: str) -> Response:
        """PATCH a resource; answers 200 with the resource, which every client understands."""
        exchange = exchange_of(request)
        selection = shown(request.args, resource_type)
        changed = _service(exchange, resource_type).patch(
            id_, read_json(request), exchange.conditions(), exchange.metadata("scim.patch")
        )
        return self._resource(exchange, changed, resource_type, selection)

    def delete(self, resource_type: ResourceType, id_: str) -> Response:
        """DELETE a resource."""
        exchange = exchange_of(request)
        service = _service(exchange, resource_type)
        service.delete(id_, exchange.conditions(), exchange.metadata("scim.delete"))
        return empty_response(204)

    def _resource(
        self,
        exchange: Exchange,
        found: Answer,
        resource_type: ResourceType,
        selection: Selection | None,
        location: str | None = None,
    ) -> Response:
        """Return a resource's answer; one with a location is new."""
        body = answer(found.document, self._base(exchange), resource_type, selection)
        if location is None:
            return json_response(exchange, body, 200, {"ETag": found.etag})
        return json_response(exchange, body, 201, {"ETag": found.etag, "Location": location})

    def _base(self, exchange: Exchange) -> bytes:
        return base_url(exchange, self.settings).encode()


def _service(exchange: Exchange, resource_type: ResourceType) -> Service:
    tenant = exchange.principal.tenant
    return Service(
        tenant.ledger,
        tenant.resources,
        resource_type,
        kind_of(resource_type),
        OKTA,
        exchange.tolerated.add,
    )
