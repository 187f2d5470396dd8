"""Lists of one resource type, or of all: GET with parameters, POST /.search (RFC 7644 §3.4.2-3)."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from flask import Response, request

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
from scim_api.service.reader import search_all
from scim_api.web import as_of
from scim_api.web.context import Exchange, exchange_of
from scim_api.web.messages import body_limit, json_response, read_json


def read(name: str | None) -> Response:
    """GET a page of resources, across all types if none is named."""
    return _answered(name, request.args)


def search(name: str | None) -> Response:
    """POST a SearchRequest for a page of resources."""
    exchange = exchange_of(request)
    body = read_json(request, body_limit(exchange.settings, members=False))
    moment = as_of.asked_in(body)
    if moment is not None:
        as_of.enter(exchange, moment)
    return _answered(name, search_parameters(body, exchange.tolerances))


def _answered(name: str | None, parameters: Parameters) -> Response:
    exchange = exchange_of(request)
    by_name = exchange.principal.catalogue.by_name
    asked = Listing(exchange, (by_name[name],) if name else tuple(by_name.values()), parameters)
    query = asked.query
    page = asked.page(query)
    resources = asked.documents(page.rows)
    if cursors.is_walk(parameters):
        following = cursors.following(page, query, parameters, asked.about, asked.key)
        body = cursor_response(page.total, following, resources)
    else:
        body = list_response(page.total, page.start_index, resources)
    return json_response(exchange, body)


@dataclass(frozen=True, slots=True)
class Listing:
    """A request for a list: of which types, by which parameters."""

    exchange: Exchange
    types: Sequence[ResourceType]
    parameters: Parameters

    @property
    def about(self) -> str:
        """The types listed, and the position: the pages of a walk through the past stay there."""
        past = self.exchange.past
        then = f"@{past.position}" if past else ""
        return ",".join(resource_type.name for resource_type in self.types) + then

    @property
    def key(self) -> bytes:
        """The client's own key of cursors."""
        return bytes.fromhex(self.exchange.principal.token_sha256)

    @property
    def query(self) -> Query:
        """The query; in a walk it begins after the cursor."""
        bound = self.types[0] if len(self.types) == 1 else AllTypes.of(tuple(self.types))
        most = self.exchange.settings.max_results
        query = list_query(self.parameters, bound, self.exchange.tolerances, max_results=most)
        if not cursors.is_walk(self.parameters):
            return query
        return cursors.resumed(query, self.parameters, self.about, self.key)

    def page(self, query: Query) -> Page:
        """Return the page."""
        if len(self.types) == 1:
            return self.exchange.reader(self.types[0]).search(query)
        if past := self.exchange.past:
            return search_all(past.file, past.resources, query)
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
        base = self.exchange.base_url.encode()
        relations: Mapping[int, Sequence[Relation]] = {}
        related = relation_of(resource_type, selection) is not None
        if related:
            places = [(position, groups) for position, _, groups, _ in rows]
            reader = self.exchange.reader(resource_type)
            relations = reader.relations(places, named=names_members(selection))
        if not relations and selection is None:  # the common case, and a hundred of them
            return [located(row[3], base) for row in rows]
        nobody = () if related else None
        return [
            answer(document, base, resource_type, selection, relations.get(position, nobody))
            for position, _, _, document in rows
        ]
