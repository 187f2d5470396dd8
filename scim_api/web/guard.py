"""Routes, and the check before them: whose a request is (401), and what they may do (403)."""

from collections.abc import Callable
from functools import cache
from typing import Any

from flask import Blueprint, Response, request

from scim_api.auth.scopes import RequiredScopes, reads, require
from scim_api.tenants.tenants import Tenants
from scim_api.web.context import current_exchange


def route(
    blueprint: Blueprint, method: str, rule: str, view: Callable[..., Response], /, **fixed: Any
) -> None:
    """Serve a rule by one method; `fixed` are arguments of the view that the rule does not have."""
    blueprint.add_url_rule(
        rule,
        f"{method} {rule}".replace(".", ""),
        view,
        methods=[method],
        defaults=fixed,
        provide_automatic_options=False,
    )


def guard(
    blueprint: Blueprint,
    tenants: Tenants,
    base: str,
    scopes_for: Callable[[str, str], RequiredScopes],
    public: Callable[[str, str], bool] = lambda *_: False,
) -> None:
    """Refuse requests to a blueprint's views unless their token has a scope that opens the route.

    `scopes_for` gets the method of each route and its pattern below `base`, so no view can forget
    to ask. So does `public`: where it returns True, a request without a token is admitted, too,
    and has no principal; a wrong token is still refused.
    """

    @cache  # by route and method, not by what clients send
    def rule_of(method: str, pattern: str) -> tuple[RequiredScopes, bool, bool]:
        path = pattern.removeprefix(base)
        return scopes_for(method, path), public(method, path), not reads(method, path)

    @blueprint.before_request
    def _admit() -> None:
        exchange = current_exchange()
        allowed, for_all, writes = rule_of(
            exchange.environ["REQUEST_METHOD"], str(request.url_rule)
        )
        if for_all and not exchange.environ.get("HTTP_AUTHORIZATION"):
            return
        principal = exchange.admit(tenants, writes=writes)
        if allowed is not None:
            require(principal, *allowed)
