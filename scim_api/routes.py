"""/Users and what will stand beside it: one thin view per operation, for any resource type."""

from collections.abc import Callable
from dataclasses import dataclass

from flask import Blueprint, Response, g, request

from ledger import clock
from ledger.events import Metadata
from scim_api.attributes import ResourceType
from scim_api.auth import Principal, authenticate
from scim_api.conditions import Conditions, conditions
from scim_api.discovery_routes import add_discovery, add_not_yet_served
from scim_api.documents import Selection, answer, page_response
from scim_api.http import base_url, json_response, read_json
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
        principal = authenticate(request.headers.get("Authorization"), tenants)
        client = _client()
        principal.tenant.usage.note(principal.credential.id, client)
        g.principal, g.client = principal, client

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
        asked = list_request(
            request.args, resource_type, self.settings.max_results, _count_tolerance
        )
        page = _service(resource_type).search(asked.query)
        return json_response(
            request, page_response(page, self._base(), resource_type, asked.selection)
        )

    def create(self, resource_type: ResourceType) -> Response:
        """POST a new resource."""
        selection = shown(request.args, resource_type)
        made = _service(resource_type).create(read_json(request), _metadata("scim.post"))
        response = self._resource(made, resource_type, selection, 201)
        response.headers["Location"] = f"{self._base().decode()}{resource_type.endpoint}/{made.id}"
        return response

    def read(self, resource_type: ResourceType, id_: str) -> Response:
        """GET one resource, or 304 when the client has it already."""
        found = _service(resource_type).read(id_)
        if _conditions().unchanged(found.etag):
            return _empty(304, ETag=found.etag)
        return self._resource(found, resource_type, shown(request.args, resource_type))

    def replace(self, resource_type: ResourceType, id_: str) -> Response:
        """PUT a resource."""
        selection = shown(request.args, resource_type)
        changed = _service(resource_type).replace(
            id_, read_json(request), _conditions(), _metadata("scim.put")
        )
        return self._resource(changed, resource_type, selection)

    def patch(self, resource_type: ResourceType, id_: str) -> Response:
        """PATCH a resource; answers 200 with the resource, which every client understands."""
        selection = shown(request.args, resource_type)
        changed = _service(resource_type).patch(
            id_, read_json(request), _conditions(), _metadata("scim.patch")
        )
        return self._resource(changed, resource_type, selection)

    def delete(self, resource_type: ResourceType, id_: str) -> Response:
        """DELETE a resource."""
        _service(resource_type).delete(id_, _conditions(), _metadata("scim.delete"))
        return _empty(204)

    def _resource(
        self,
        found: Answer,
        resource_type: ResourceType,
        selection: Selection | None,
        status: int = 200,
    ) -> Response:
        response = json_response(
            request, answer(found.document, self._base(), resource_type, selection), status
        )
        response.headers["ETag"] = found.etag
        return response

    def _base(self) -> bytes:
        return base_url(request, self.settings).encode()


def _empty(status: int, **headers: str) -> Response:
    """Return an answer without a body, and so without a media type."""
    response = Response(status=status, headers=headers)
    del response.headers["Content-Type"]
    return response


def _service(resource_type: ResourceType) -> Service:
    tenant = _principal().tenant
    return Service(
        tenant.ledger,
        tenant.resources,
        resource_type,
        kind_of(resource_type),
        OKTA,
        _count_tolerance,
    )


def _principal() -> Principal:
    principal: Principal = g.principal
    return principal


def _count_tolerance(name: str) -> None:
    """Note that a tolerance was used; the log line of the request names it."""
    g.setdefault("tolerated", set()).add(name)


def _conditions() -> Conditions:
    return conditions(request.headers.get("If-Match"), request.headers.get("If-None-Match"))


def _client() -> str:
    agent = request.headers.get("User-Agent", "unknown")
    if len(agent) <= 120 and agent.isascii() and agent.isprintable():
        return agent
    return "".join(c for c in agent[:120] if c.isascii() and c.isprintable()) or "unknown"


def _metadata(via: str) -> Metadata:
    """Say who caused a change: in the header an opaque id, the rest where it can be forgotten."""
    return Metadata(
        actor=_principal().credential.id,
        via=via,
        txn=clock.uuid7(),
        request={
            "method": request.method,
            "path": request.path,
            "client": g.client,
            "address": request.remote_addr or "",
            "id": g.request_id,
        },
    )
