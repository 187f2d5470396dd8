"""Everything under the SCIM base: one thin view per operation, for any resource type."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

from flask import Blueprint, Response, request

from projections.current.memberships import Relation
from scim_api.auth.scopes import needs_no_token, opening_scim
from scim_api.protocol.documents import DEFAULT, Selection, answer, names_members, relation_of
from scim_api.protocol.list_query import shown
from scim_api.protocol.schema.attributes import ResourceType
from scim_api.protocol.schema.resource_types import RESOURCE_TYPES
from scim_api.request_log.records import NoChange
from scim_api.routes.bulk import add_bulk
from scim_api.routes.discovery import add_discovery
from scim_api.routes.lists import add_lists
from scim_api.routes.me import add_me
from scim_api.service.reader import Answer, PastReader, Reader
from scim_api.service.service import Service
from scim_api.settings import Settings
from scim_api.tenants.tenants import Tenants
from scim_api.web import as_of
from scim_api.web.context import Exchange, exchange_of
from scim_api.web.guard import guard
from scim_api.web.messages import base_url, body_limit, empty_response, json_response, read_json

MOST_SHOWN = 1000  # members that a PATCH answers with, unless it is asked for more

View = Callable[..., Response]


def blueprint(settings: Settings, tenants: Tenants) -> Blueprint:
    """Return everything that is served under the SCIM base."""
    scim = Blueprint("scim", __name__, url_prefix=settings.base_path)

    def is_public(method: str, path: str) -> bool:
        return settings.config_public and needs_no_token(method, path)

    guard(scim, tenants, settings.base_path, opening_scim, is_public)

    @scim.before_request
    def _enter_the_past() -> None:
        moment = as_of.asked(request)
        if moment is not None:
            as_of.enter(exchange_of(request), moment)

    views = Views(settings)
    for resource_type in RESOURCE_TYPES:
        _add_resource_type(scim, views, resource_type)
    add_lists(scim, settings, reader_of)
    add_me(scim, settings, views)
    add_bulk(scim, settings, service_of)
    add_discovery(scim, settings, tenants)
    return scim


def _add_resource_type(scim: Blueprint, views: "Views", resource_type: ResourceType) -> None:
    endpoint = resource_type.endpoint
    rules: list[tuple[str, str, View]] = [
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
            defaults={"name": resource_type.name},
            provide_automatic_options=False,
        )


def service_of(exchange: Exchange, resource_type: ResourceType, base: str) -> Service:
    """Return the operations on a resource type; `base` is the base URL as the client sees it."""
    principal = exchange.principal
    return Service(
        principal.tenant.ledger,
        principal.tenant.resources,
        resource_type,
        principal.catalogue,
        replace(exchange.tolerances, base_url=base),
        principal.check,
    )


def reader_of(exchange: Exchange, resource_type: ResourceType) -> Reader:
    """Return what reads a resource type for the one who asks: as it is, or as it was."""
    past = exchange.past
    if past is None:
        tenant = exchange.principal.tenant
        return Reader(tenant.ledger, tenant.resources, resource_type)
    return PastReader(past, past.resources, resource_type)


@dataclass(frozen=True, slots=True)
class Views:
    """The operations on one resource: HTTP in, the service, HTTP out."""

    settings: Settings

    def create(self, name: str) -> Response:
        """POST a new resource."""
        asked = self._asked(name)
        made = asked.service.create(asked.body(), asked.exchange.metadata("scim.post"))
        asked.note(made)
        return asked.response(made, 201, {"Location": asked.location(made)})

    def read(self, name: str, id_: str) -> Response:
        """GET one resource, or 304 when the client has it already."""
        asked = self._asked(name)
        found = asked.reader.read(id_)
        conditions = asked.exchange.conditions()
        conditions.check_match(found.etag)
        if conditions.unchanged(found.etag) and asked.is_whole(found):
            return empty_response(304, asked.headers(found))
        return asked.response(found)

    def replace(self, name: str, id_: str) -> Response:
        """PUT a resource."""
        asked = self._asked(name)
        changed = asked.service.replace(
            id_,
            asked.body(),
            asked.exchange.conditions(),
            asked.exchange.metadata("scim.put"),
        )
        asked.note(changed)
        return asked.response(changed)

    def patch(self, name: str, id_: str) -> Response:
        """PATCH a resource; answers 200 with the resource, which every client understands.

        But for a large group: one member more would be answered with all of them. Then it is 204,
        unless the client says which attributes it wants (RFC 7644 §3.5.2).
        """
        asked = self._asked(name)
        changed = asked.service.patch(
            id_,
            asked.body(),
            asked.exchange.conditions(),
            asked.exchange.metadata("scim.patch"),
        )
        asked.note(changed)
        asked_for_all = asked.selection in (None, DEFAULT)
        if asked_for_all and asked.reader.has_more_members(changed.row, MOST_SHOWN):
            return empty_response(204, {"ETag": changed.etag})
        return asked.response(changed)

    def delete(self, name: str, id_: str) -> Response:
        """DELETE a resource."""
        asked = self._asked(name)
        asked.service.delete(
            id_, asked.exchange.conditions(), asked.exchange.metadata("scim.delete")
        )
        return empty_response(204)

    def _asked(self, name: str) -> "Asked":
        exchange = exchange_of(request)
        resource_type = exchange.principal.catalogue.by_name[name]
        return Asked(
            exchange,
            resource_type,
            reader_of(exchange, resource_type),
            shown(request.args, resource_type),
            base_url(exchange, self.settings),
            body_limit(self.settings, members="members" in resource_type.declared),
        )


@dataclass(frozen=True, slots=True)
class Asked:
    """A request about one resource: who asks, of what type, what is to be shown."""

    exchange: Exchange
    type: ResourceType
    reader: Reader
    selection: Selection | None
    base: str
    most_bytes: int

    @property
    def service(self) -> Service:
        """The operations that change something: of the present only."""
        return service_of(self.exchange, self.type, self.base)

    def body(self) -> Any:
        """Read the body of a write; raises ScimError."""
        return read_json(request, limit=self.most_bytes)

    def note(self, written: Answer) -> None:
        """Note for the request log that a write changed nothing."""
        if written.repeated:
            self.exchange.outcome = NoChange.of(written.row)

    def is_whole(self, found: Answer) -> bool:
        """Return whether the version stands for all that is shown: not for a user's groups."""
        relation = relation_of(self.type, self.selection)
        if relation == "members":  # their names are no part of the group's version
            return not names_members(self.selection)
        return relation is None or self.reader.never_grouped(found.row)

    def location(self, found: Answer) -> str:
        """Return the URI of a resource, as its meta.location has it."""
        return f"{self.base}{self.type.endpoint}/{found.id}"

    def headers(self, found: Answer) -> dict[str, str]:
        """Return what says which resource is answered, in which version (RFC 7643 §3.1)."""
        return {"ETag": found.etag, "Content-Location": self.location(found)}

    def response(
        self, found: Answer, status: int = 200, headers: dict[str, str] | None = None
    ) -> Response:
        """Return a resource's answer; `headers` are added to `self.headers`."""
        chosen, row = self.selection, found.row
        if chosen and found.written:
            chosen = replace(chosen, specified=found.written)
        relations: Sequence[Relation] | None = None
        if relation_of(self.type, chosen) is not None:
            related = self.reader.relations([row.place], named=names_members(chosen))
            relations = related.get(row.position, ())
        body = answer(row.document, self.base.encode(), self.type, chosen, relations)
        return json_response(self.exchange, body, status, self.headers(found) | (headers or {}))
