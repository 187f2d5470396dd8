"""Lists of one resource type, or of all: GET with parameters, POST /.search (RFC 7644 §3.4.2-3)."""

from collections.abc import Sequence

from flask import Response

from ledger.contract import Connection
from projections.current.memberships import Relation
from projections.query.model import Listed
from projections.state import located
from scim_api.protocol import cursors
from scim_api.protocol.documents import (
    answer,
    list_response,
    names_members,
    related,
    relation_of,
)
from scim_api.protocol.list_query import Parameters, list_query, search_parameters, shown
from scim_api.protocol.schema.attributes import AllTypes, ResourceType
from scim_api.web import as_of
from scim_api.web.context import Exchange, current_exchange
from scim_api.web.messages import MAX_WITHOUT_MEMBERS, json_response, read_json


def read(name: str | None) -> Response:
    """GET a page of resources, across all types if none is named."""
    return _answered(name, current_exchange().parameters)


def search(name: str | None) -> Response:
    """POST a SearchRequest for a page of resources."""
    exchange = current_exchange()
    body = read_json(exchange, MAX_WITHOUT_MEMBERS)
    moment = as_of.asked_in(body)
    if moment is not None:
        as_of.enter(exchange, moment)
    return _answered(name, search_parameters(body, exchange.tolerances))


def _answered(name: str | None, parameters: Parameters) -> Response:
    exchange = current_exchange()
    by_name, past = exchange.principal.catalogue.by_name, exchange.past
    types = (by_name[name],) if name else tuple(by_name.values())
    bound = types[0] if name else AllTypes.of(types)
    most = exchange.settings.max_results
    query = list_query(parameters, bound, exchange.tolerances, max_results=most)
    is_walk = cursors.is_walk(parameters)
    if is_walk:
        about = ",".join(each.name for each in types) + (f"@{past.position}" if past else "")
        sealed = (
            about,
            bytes.fromhex(exchange.principal.credential.seal),
        )  # a cursor's place and key
        query = cursors.resumed(query, parameters, *sealed)
    source, readings = exchange.source
    with source.reading() as connection:
        page = readings.search(connection, name, query)
        resources = _documents(exchange, connection, types, parameters, page.rows)
    if is_walk:
        following = cursors.following(page, query, parameters, *sealed)
        body = list_response(page.total, resources, next_cursor=following)
    else:
        body = list_response(page.total, resources, start_index=page.start_index)
    return json_response(exchange, body)


def _documents(
    exchange: Exchange,
    connection: Connection,
    types: Sequence[ResourceType],
    parameters: Parameters,
    rows: Sequence[Listed],
) -> list[bytes]:
    """Return the resources of a page as they are shown, in its order."""
    if len(types) == 1:
        return _of_type(exchange, connection, types[0], parameters, rows)
    found: dict[int, bytes] = {}
    for resource_type in types:
        own = [row for row in rows if row[1] == resource_type.name]
        documents = _of_type(exchange, connection, resource_type, parameters, own) if own else []
        found.update(zip((position for position, *_ in own), documents, strict=True))
    return [found[position] for position, *_ in rows]


def _of_type(
    exchange: Exchange,
    connection: Connection,
    resource_type: ResourceType,
    parameters: Parameters,
    rows: Sequence[Listed],
) -> list[bytes]:
    selection = shown(parameters, resource_type)
    base = exchange.base_url.encode()
    relation, memberships = relation_of(resource_type, selection), exchange.source[1].memberships

    def more(relations: Sequence[Relation]) -> bytes:
        return related(resource_type, selection, relations, base)

    if relation == "members":  # one group's at a time: there may be very many
        named = names_members(selection)
        return [
            answer(
                document,
                base,
                resource_type,
                selection,
                more(memberships.members(connection, position, named=named)),
            )
            for position, _, _, document in rows
        ]
    # Many users are in the same groups: what is added to their documents is made once.
    grouped = {row[2] for row in rows if row[2]} if relation else set[str]()
    groups = memberships.groups(connection, grouped, exchange.memory) if grouped else {}
    added: dict[str | None, bytes] = dict.fromkeys((row[2] for row in rows), b"")
    added.update((text, more(relations)) for text, relations in groups.items())
    if selection is None:  # the common case, and a hundred of them
        return [located(document, base, added[text]) for _, _, text, document in rows]
    return [
        answer(document, base, resource_type, selection, added[text])
        for _, _, text, document in rows
    ]
