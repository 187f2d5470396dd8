"""/oauth/authorize: a person at a browser consents that a client connects to a ledger."""

from collections.abc import Mapping
from urllib.parse import urlsplit

from flask import Response

from scim_api.auth.oauth import clients, consent
from scim_api.auth.oauth.client_authentication import must_be_able
from scim_api.auth.oauth.consent import Asked
from scim_api.auth.oauth.errors import AccessDenied, OAuthError
from scim_api.auth.scopes import Scope
from scim_api.routes.oauth import parameters
from scim_api.routes.oauth.addresses import AUTHORIZE, LONGEST_FORM
from scim_api.routes.oauth.answers import query_of, read_form, redirect
from scim_api.routes.oauth.pages import origin, page
from scim_api.tenants.tenants import Tenants
from scim_api.web.context import Exchange, current_exchange

_PERMISSIONS = {
    Scope.PROVISION: "read, create, change and delete users and groups",
    Scope.READ: "read users and groups",
    Scope.AUDIT: "read users, groups and everything that ever happened to them",
    Scope.OPERATE: "read the status of the service and its log of requests",
}


def show(tenants: Tenants) -> Response:
    """GET the page on which a person consents to what the address asks for."""
    return _answered(tenants, parameters.merged(query_of(current_exchange())))


def decide(tenants: Tenants) -> Response:
    """POST the form of that page; or a request of the client (RFC 6749 §3.1)."""
    exchange = current_exchange()
    text = read_form(exchange, LONGEST_FORM)
    form = parameters.merged(text)
    if "asked" in form:
        _must_be_ours(exchange)
        return _answered(tenants, parameters.merged(form["asked"]), form)
    return _answered(tenants, parameters.merged(query_of(exchange), text))


def _must_be_ours(exchange: Exchange) -> None:
    """Raise AccessDenied for a form that the browser says another site's page has sent.

    Else such a page could connect its reader's identity provider to a ledger of its own choice. A
    browser that does not say the site may name the origin; it does not over plain HTTP.
    """
    site, ours = exchange.environ.get("HTTP_SEC_FETCH_SITE"), origin(exchange.root_url)
    sender = exchange.environ.get("HTTP_ORIGIN")
    if site is None and sender is not None:
        site = "same-origin" if sender.lower() == ours.lower() else "cross-site"
    if site not in (None, "same-origin"):
        raise AccessDenied(
            "oauth.other_site",
            f"Another site has sent this form: {origin(sender or '') or 'one without a name'}."
            f" This service is {ours}. If both are the same service, SCIM_BASE_URL has to be the"
            " address that browsers use for it. Begin again in the identity provider.",
        )


def _answered(
    tenants: Tenants, given: Mapping[str, str], form: Mapping[str, str] | None = None
) -> Response:
    """Show the page, or do what its form says and send the browser back to the client.

    Raises NotAnswerable where nobody may be sent anywhere, and UnauthorizedClient where a one-time
    code would be used up for nothing.
    """
    exchange = current_exchange()
    exchange.is_about(tenants.find_open(clients.home_of(given.get("client_id", ""))))
    by = consent.asking(tenants, given, form.get("connect_code", "") if form else "")
    must_be_able(by.client)
    try:
        asked = consent.asked(by, given)
        if form and form.get("decision") == "cancel":
            raise AccessDenied("oauth.cancelled", "The person at the browser did not consent.")
    except OAuthError as error:
        exchange.outcome = error.refusal()
        return redirect(by.refused(exchange.root_url, error))
    if form is None:
        return _consent_page(exchange, asked, given)
    who = exchange.metadata("oauth.authorize", actor="", browser=True)  # then the grant
    try:
        code = consent.give(asked, form.get("connect_code", ""), tenants, who)
    except AccessDenied as error:
        if too_many := exchange.count_attempt():
            raise too_many from None
        exchange.outcome = error.refusal()
        return _consent_page(exchange, asked, given, error)
    return redirect(by.answered(exchange.root_url, code=code))


def _consent_page(
    exchange: Exchange,
    asked: Asked,
    given: Mapping[str, str],
    error: AccessDenied | None = None,
) -> Response:
    uri = asked.by.redirect_uri
    return page(
        "consent.html",
        error.status if error else 200,
        next_uri=uri,
        client=asked.by.client.name,
        permissions=[_PERMISSIONS[Scope(scope)] for scope in asked.scopes],
        action=urlsplit(exchange.root_url).path + AUTHORIZE,
        asked=parameters.written(given),
        destination=origin(uri) or uri,
        trouble=error.detail if error else None,
    )
