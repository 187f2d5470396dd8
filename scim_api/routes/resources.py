"""The operations on one resource, of any type, or on /Me: HTTP in, the service, HTTP out."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any, NoReturn

from flask import Response

from scim_api.protocol.documents import (
    DEFAULT,
    Selection,
    answer,
    names_members,
    related,
    relation_of,
)
from scim_api.protocol.errors import NotServed
from scim_api.protocol.list_query import shown
from scim_api.protocol.schema.attributes import ResourceType
from scim_api.request_log.records import NoChange
from scim_api.service.reader import Answer, Reader
from scim_api.web.context import Exchange, current_exchange
from scim_api.web.messages import MAX_WITHOUT_MEMBERS, empty_response, json_response, read_json

MOST_SHOWN = 1000  # members that a PATCH answers with, unless it is asked for more


def create(name: str) -> Response:
    asked = ResourceRequest.of(name)
    made = asked.exchange.service(asked.type).create(
        asked.body(), asked.exchange.metadata("scim.post")
    )
    asked.note(made)
    return asked.response(made, 201)


def read(name: str, id_: str) -> Response:
    """GET one resource, or 304 when the client has it already."""
    asked = ResourceRequest.of(name)
    found = asked.reader.read(id_)
    conditions = asked.exchange.conditions()
    conditions.check_match(found.etag)
    if conditions.unchanged(found.etag) and asked.is_whole(found):
        return empty_response(304, asked.headers(found, 304))
    return asked.response(found)


def replace_(name: str, id_: str) -> Response:
    asked = ResourceRequest.of(name)
    exchange = asked.exchange
    changed = exchange.service(asked.type).replace(
        id_, asked.body(), exchange.conditions(), exchange.metadata("scim.put")
    )
    asked.note(changed)
    return asked.response(changed)


def patch(name: str, id_: str) -> Response:
    """PATCH a resource; answers 200 with the resource, which every client understands.

    A large group would be answered with all its members for one more. It is answered 204 instead,
    unless the client says which attributes it wants (RFC 7644 §3.5.2).
    """
    asked = ResourceRequest.of(name)
    exchange = asked.exchange
    changed = exchange.service(asked.type).patch(
        id_, asked.body(), exchange.conditions(), exchange.metadata("scim.patch")
    )
    asked.note(changed)
    asked_for_all = asked.selection in (None, DEFAULT)
    if asked_for_all and asked.reader.has_more_members(changed.row, MOST_SHOWN):
        return empty_response(204, {"ETag": changed.etag})
    return asked.response(changed)


def delete(name: str, id_: str) -> Response:
    asked = ResourceRequest.of(name)
    exchange = asked.exchange
    exchange.service(asked.type).delete(
        id_, exchange.conditions(), exchange.metadata("scim.delete")
    )
    return empty_response(204)


def own(view: Callable[[str, str], Response]) -> Response:
    """Serve /Me by the view of a user: the one whose own the credential is (RFC 7644 §3.11)."""
    user = current_exchange().principal.credential.user
    if user is None:
        raise NotServed(
            "me.no_user",
            "This token belongs to no user, so it has no /Me. An operator makes one that does:"
            " scim-ledger token create NAME --user USERNAME.",
        )
    return view("User", user)


def no_sign_up() -> NoReturn:
    """Refuse a POST to /Me."""
    raise NotServed("me.sign_up", "Users are created at /Users; nobody can sign up at /Me.")


def locate(response: Response) -> Response:
    """Add to every answer of /Me the URI of the user, once it is known."""
    exchange = current_exchange()
    who = exchange.authenticated
    if who and who.credential.user:
        response.headers["Location"] = f"{exchange.base_uri}/Users/{who.credential.user}"
    return response


@dataclass(frozen=True, slots=True)
class ResourceRequest:
    """A request about one resource: of which type, and which attributes to show."""

    exchange: Exchange
    type: ResourceType
    reader: Reader
    selection: Selection | None

    @classmethod
    def of(cls, name: str) -> "ResourceRequest":
        """Return the current request, about a resource type of a name."""
        exchange = current_exchange()
        type_ = exchange.principal.catalogue.by_name[name]
        return cls(exchange, type_, exchange.reader(type_), shown(exchange.parameters, type_))

    def body(self) -> Any:
        """Read the body of a write; raises ScimError."""
        has_members = "members" in self.type.declared  # only the body of a group can be large
        return read_json(self.exchange, None if has_members else MAX_WITHOUT_MEMBERS)

    def note(self, written: Answer) -> None:
        """Note for the request log that a write changed nothing."""
        if written.repeated:
            self.exchange.outcome = NoChange.of(written.row)

    def is_whole(self, found: Answer) -> bool:
        """Return whether the version covers all that is shown: not a user's groups."""
        relation = relation_of(self.type, self.selection)
        if relation == "members":  # their names are no part of the group's version
            return not names_members(self.selection)
        return relation is None or self.reader.never_grouped(found.row)

    def headers(self, found: Answer, status: int) -> dict[str, str]:
        """Return the headers that name the resource and its version (RFC 7643 §3.1)."""
        location = f"{self.exchange.base_uri}{self.type.endpoint}/{found.id}"
        headers = {"ETag": found.etag, "Content-Location": location}
        return headers | {"Location": location} if status == 201 else headers

    def response(self, found: Answer, status: int = 200) -> Response:
        """Return the answer that shows a resource."""
        chosen, row = self.selection, found.row
        if chosen and found.written:
            chosen = replace(chosen, specified=found.written)
        base, more = self.exchange.base_url.encode(), b""
        if relation_of(self.type, chosen) is not None:
            relations = self.reader.relations([row.place], named=names_members(chosen))
            more = related(self.type, chosen, relations.get(row.position, ()), base)
        body = answer(row.document, base, self.type, chosen, more)
        return json_response(self.exchange, body, status, self.headers(found, status))
