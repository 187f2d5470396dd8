"""Lists of one resource type, or of all: GET with parameters, POST /.search (RFC 7644 §3.4.2-3)."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace

from flask import Blueprint, Response, request

from projections.current.memberships import Relation
from projections.query.model import Listed, Page, Query
from projections.state import located
from scim_api.protocol import cursors
from scim_api.protocol.documents import (
    answer,
    cursor_response,
    list_response,
    names_members,
    relation_of,
)
from scim_api.protocol.list_query import Parameters, list_query, search_parameters, shown
from scim_api.protocol.schema.attributes import AllTypes, ResourceType
from scim_api.protocol.schema.resource_types import RESOURCE_TYPES
from scim_api.service.reader import Reader, search_all
from scim_api.settings import Settings
from scim_api.web import as_of
from scim_api.web.context import Exchange, exchange_of
from scim_api.web.messages import base_url, body_limit, json_response, read_json

ReaderOf = Callable[[Exchange, ResourceType], Reader]


def add_lists(scim: Blueprint, settings: Settings, reader_of: ReaderOf) -> None:
    """Serve the lists."""
    views = ListViews(settings, reader_of)
    for endpoint, name in [("", None), *((t.endpoint, t.name) for t in RESOURCE_TYPES)]:
        for rule, method, view in (
            (endpoint, "GET", views.read),
            (f"{endpoint}/.search", "POST", views.search),
        ):
            scim.add_url_rule(
                rule,
                f"{view.__name__}_list_{name}",
                view,
                methods=[method],
                defaults={"name": name},
                provide_automatic_options=False,
            )


@dataclass(frozen=True, slots=True)
class ListViews:
    """Lists: of the type that is named, or across all types if none is."""

    settings: Settings
    reader_of: ReaderOf

    def read(self, name: str | None) -> Response:
        """GET a page of resources."""
        return self._answered(name, request.args)

    def search(self, name: str | None) -> Response:
        """POST a SearchRequest for a page of resources."""
        exchange = exchange_of(request)
        body = read_json(request, limit=body_limit(self.settings, members=False))
        moment = as_of.asked_in(body)
        if moment is not None:
            as_of.enter(exchange, moment)
        return self._answered(name, search_parameters(body, exchange.tolerances))

    def _answered(self, name: str | None, parameters: Parameters) -> Response:
        asked = self._asked(name, parameters)
        query = asked.query
        page = asked.page(query)
        resources = asked.documents(page.rows)
        if cursors.is_walk(parameters):
            following = cursors.following(page, query, parameters, asked.about, asked.key)
            body = cursor_response(page.total, following, resources)
        else:
            body = list_response(page.total, page.start_index, resources)
        return json_response(asked.exchange, body)

    def _asked(self, name: str | None, parameters: Parameters) -> "Listing":
        exchange = exchange_of(request)
        by_name = exchange.principal.catalogue.by_name
        types = (by_name[name],) if name else tuple(by_name.values())
        return Listing(exchange, types, parameters, self.settings, self.reader_of)


@dataclass(frozen=True, slots=True)
class Listing:
    """A request for a list: who asks, of which types, by which parameters."""

    exchange: Exchange
    types: Sequence[ResourceType]
    parameters: Parameters
    settings: Settings
    reader_of: ReaderOf

    @property
    def about(self) -> str:
        """What is listed, in a word, and of when: a walk through the past stays there."""
        past = self.exchange.past
        then = f"@{past.position}" if past else ""
        return ",".join(resource_type.name for resource_type in self.types) + then

    @property
    def key(self) -> bytes:
        """The client's own key of cursors."""
        return bytes.fromhex(self.exchange.principal.token_sha256)

    @property
    def query(self) -> Query:
        """The query, behind its cursor in a walk."""
        bound = self.types[0] if len(self.types) == 1 else AllTypes.of(tuple(self.types))
        base = base_url(self.exchange, self.settings)
        tolerances = replace(self.exchange.tolerances, base_url=base)
        query = list_query(
            self.parameters, bound, tolerances, max_results=self.settings.max_results
        )
        if not cursors.is_walk(self.parameters):
            return query
        return cursors.resumed(query, self.parameters, self.about, self.key)

    def page(self, query: Query) -> Page:
        """Return the page."""
        if len(self.types) == 1:
            return self.reader_of(self.exchange, self.types[0]).search(query)
        if past := self.exchange.past:
            return search_all(past, past.resources, query)
        tenant = self.exchange.principal.tenant
        return search_all(tenant.ledger, tenant.resources, query)

    def documents(self, rows: Sequence[Listed]) -> list[bytes]:
        """Return the resources of a page as they are shown, in its order."""
        if len(self.types) == 1:
            return self._of_type(self.types[0], rows)
        found: dict[int, bytes] = {}
        for resource_type in self.types:
            own = [row for row in rows if row[1] == resource_type.name]
            documents = self._of_type(resource_type, own) if own else []
            found.update(zip((position for position, *_ in own), documents, strict=True))
        return [found[position] for position, *_ in rows]

    def _of_type(self, resource_type: ResourceType, rows: Sequence[Listed]) -> list[bytes]:
        selection = shown(self.parameters, resource_type)
        base = base_url(self.exchange, self.settings).encode()
        relations: Mapping[int, Sequence[Relation]] = {}
        related = relation_of(resource_type, selection) is not None
        if related:
            places = [(position, groups) for position, _, groups, _ in rows]
            reader = self.reader_of(self.exchange, resource_type)
            relations = reader.relations(places, named=names_members(selection))
        if not relations and selection is None:  # the common case, and a hundred of them
            return [located(row[3], base) for row in rows]
        nobody = () if related else None
        return [
            answer(document, base, resource_type, selection, relations.get(position, nobody))
            for position, _, _, document in rows
        ]
