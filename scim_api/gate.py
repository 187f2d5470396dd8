"""The gate before both HTTP APIs: who asks (401), and what their token opens (403)."""

from collections.abc import Callable
from functools import cache

from flask import Blueprint, request

from scim_api.auth import authenticate
from scim_api.exchange import exchange_of
from scim_api.scopes import Opening, require
from scim_api.tenants import Tenants


def guard(
    blueprint: Blueprint,
    tenants: Tenants,
    base: str,
    opening: Callable[[str, str], Opening],
    *,
    public: bool = False,
) -> None:
    """Let a blueprint's views see only requests of tokens that open them, whatever the body.

    `opening` is told the method and the pattern below `base` of each route, also of one that is
    added later, so that no view can forget to ask. What is `public` is open to requests without a
    token too; they have no principal.
    """

    @cache  # by route and method, not by what clients send
    def opening_of(method: str, pattern: str) -> Opening:
        return opening(method, pattern.removeprefix(base))

    @blueprint.before_request
    def _admit() -> None:
        exchange = exchange_of(request)
        header = exchange.environ.get("HTTP_AUTHORIZATION")
        if public and not header:
            return
        principal = exchange.principal = authenticate(header, tenants, exchange.at)
        principal.tenant.usage.note(principal.credential.id, exchange.client, exchange.at)
        allowed = opening_of(exchange.environ["REQUEST_METHOD"], str(request.url_rule))
        if allowed is not None:
            require(principal, *allowed)
