"""The gate before both HTTP APIs: who asks (401), and what their token opens (403)."""

from collections.abc import Callable
from functools import cache

from flask import Blueprint, request

from scim_api.auth.authenticate import authenticate
from scim_api.auth.scopes import Opening, require
from scim_api.tenants.tenants import Tenants
from scim_api.web.context import exchange_of


def _nothing(_method: str, _path: str) -> bool:
    return False


def guard(
    blueprint: Blueprint,
    tenants: Tenants,
    base: str,
    opening: Callable[[str, str], Opening],
    public: Callable[[str, str], bool] = _nothing,
) -> None:
    """Let a blueprint's views see only requests of tokens that open them, whatever the body.

    `opening` gets the method and the pattern below `base` of each route, also of one that is added
    later, so that no view can forget to ask. So does `public`: where it returns True, requests
    without a token are let in, too, and have no principal; a wrong token is refused.
    """

    @cache  # by route and method, not by what clients send
    def rule_of(method: str, pattern: str) -> tuple[Opening, bool]:
        path = pattern.removeprefix(base)
        return opening(method, path), public(method, path)

    @blueprint.before_request
    def _admit() -> None:
        exchange = exchange_of(request)
        header = exchange.environ.get("HTTP_AUTHORIZATION")
        allowed, for_all = rule_of(exchange.environ["REQUEST_METHOD"], str(request.url_rule))
        if for_all and not header:
            return
        principal = exchange.principal = authenticate(header, tenants, exchange.at)
        if allowed is not None:
            require(principal, *allowed)
