"""/Me: the user whose own the credential is (RFC 7644 §3.11)."""

from collections.abc import Callable, Mapping
from typing import NoReturn

from flask import Blueprint, Response, request

from scim_api.protocol.errors import NotServed
from scim_api.web.context import exchange_of
from scim_api.web.guard import route


def add_me(scim: Blueprint, views: Mapping[str, Callable[[str, str], Response]]) -> None:
    """Serve /Me by the views of users, by method; every answer has the user's Location."""
    me = Blueprint("me", __name__)
    for method, view in views.items():
        route(me, method, "/Me", _own, view=view)
    route(me, "POST", "/Me", _no_sign_up)
    me.after_request(_locate)
    scim.register_blueprint(me)


def _own(view: Callable[[str, str], Response]) -> Response:
    user = exchange_of(request).principal.credential.user
    if user is None:
        raise NotServed(
            "me.no_user",
            "This token belongs to no user, so it has no /Me. An operator makes one that does:"
            " scim-ledger token create NAME --user USERNAME.",
        )
    return view("User", user)


def _no_sign_up() -> NoReturn:
    raise NotServed("me.sign_up", "Users are created at /Users; nobody can sign up at /Me.")


def _locate(response: Response) -> Response:
    """Add the URI of the user whose own the token is, once it is known."""
    exchange = exchange_of(request)
    who = exchange.authenticated
    if who and who.credential.user:
        response.headers["Location"] = f"{exchange.base_url}/Users/{who.credential.user}"
    return response
