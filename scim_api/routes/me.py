"""/Me: the user whose own the credential is (RFC 7644 §3.11)."""

from collections.abc import Callable
from typing import NoReturn, Protocol

from flask import Blueprint, Response, request

from scim_api.protocol.errors import NotServed
from scim_api.settings import Settings
from scim_api.web.context import exchange_of
from scim_api.web.messages import base_url


class Views(Protocol):
    """The operations on one resource."""

    def read(self, name: str, id_: str) -> Response: ...
    def replace(self, name: str, id_: str) -> Response: ...
    def patch(self, name: str, id_: str) -> Response: ...
    def delete(self, name: str, id_: str) -> Response: ...


def add_me(scim: Blueprint, settings: Settings, views: Views) -> None:
    """Serve /Me by the operations on users; every answer says where the user is."""
    me = Blueprint("me", __name__)
    for method, view in (
        ("GET", views.read),
        ("PUT", views.replace),
        ("PATCH", views.patch),
        ("DELETE", views.delete),
    ):
        me.add_url_rule(
            "/Me",
            view.__name__,
            _own(view),
            methods=[method],
            provide_automatic_options=False,
        )
    me.add_url_rule("/Me", "create", _no_sign_up, methods=["POST"], provide_automatic_options=False)

    @me.after_request
    def _locate(response: Response) -> Response:
        if location := _location(settings):
            response.headers["Location"] = location
        return response

    scim.register_blueprint(me)


def _location(settings: Settings) -> str | None:
    """Return the URI of the user whose own the token is, once it is known."""
    exchange = exchange_of(request)
    who = exchange.authenticated
    if who is None or who.credential.user is None:
        return None
    return f"{base_url(exchange, settings)}/Users/{who.credential.user}"


def _own(view: Callable[[str, str], Response]) -> Callable[[], Response]:
    def own() -> Response:
        user = exchange_of(request).principal.credential.user
        if user is None:
            raise NotServed(
                "me.no_user",
                "This token belongs to no user, so it has no /Me. An operator makes one that does:"
                " scim-ledger token create NAME --user USERNAME.",
            )
        return view("User", user)

    return own


def _no_sign_up() -> NoReturn:
    raise NotServed("me.sign_up", "Users are created at /Users; nobody can sign up at /Me.")
