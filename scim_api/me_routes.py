"""/Me: the user whose own the credential is (RFC 7644 §3.11)."""

from collections.abc import Callable
from typing import NoReturn, Protocol

from flask import Blueprint, Response, request

from scim_api.errors import NotServed
from scim_api.exchange import exchange_of
from scim_api.http import base_url
from scim_api.settings import Settings


class Views(Protocol):
    """The operations on one resource."""

    def read(self, name: str, id_: str) -> Response: ...
    def replace(self, name: str, id_: str) -> Response: ...
    def patch(self, name: str, id_: str) -> Response: ...
    def delete(self, name: str, id_: str) -> Response: ...


def add_me(scim: Blueprint, settings: Settings, views: Views) -> None:
    """Serve /Me by the operations on users."""
    for method, view in (
        ("GET", views.read),
        ("PUT", views.replace),
        ("PATCH", views.patch),
        ("DELETE", views.delete),
    ):
        scim.add_url_rule(
            "/Me",
            f"{view.__name__}_me",
            _own(view, settings),
            methods=[method],
            provide_automatic_options=False,
        )
    scim.add_url_rule(
        "/Me", "create_me", _no_sign_up, methods=["POST"], provide_automatic_options=False
    )


def _own(view: Callable[[str, str], Response], settings: Settings) -> Callable[[], Response]:
    def own() -> Response:
        exchange = exchange_of(request)
        user = exchange.principal.credential.user
        if user is None:
            raise NotServed(
                "This token belongs to no user, so it has no /Me. An operator makes one that does:"
                " scim-ledger token create NAME --user USERNAME."
            )
        response = view("User", user)
        response.headers["Content-Location"] = f"{base_url(exchange, settings)}/Users/{user}"
        return response

    return own


def _no_sign_up() -> NoReturn:
    raise NotServed("Users are created at /Users: nobody signs up at /Me.")
