"""The routes of the authorization server, which need no token; without OAuth there are none."""

from urllib.parse import urlsplit

from flask import Blueprint, Response

from scim_api.auth.oauth import metadata
from scim_api.auth.oauth.issuing import Lifetimes
from scim_api.auth.oauth.key_sets import KeySets
from scim_api.auth.oauth.token_endpoint import TokenEndpoint
from scim_api.auth.oauth.trust import ALGORITHMS
from scim_api.protocol.errors import NotFound
from scim_api.routes.oauth import authorize, token
from scim_api.routes.oauth.addresses import AUTHORIZE, METADATA, REVOKE, TOKEN
from scim_api.routes.oauth.answers import json_answer
from scim_api.settings import Settings
from scim_api.tenants.tenants import Tenants
from scim_api.web.context import current_exchange
from scim_api.web.guard import route


def oauth_blueprint(settings: Settings, tenants: Tenants) -> Blueprint:
    """Return the authorization server."""
    oauth = Blueprint("oauth", __name__, template_folder="templates")
    endpoint = TokenEndpoint(tenants, KeySets(settings.jwks_hosts), Lifetimes.of(settings))
    route(oauth, "GET", AUTHORIZE, authorize.show, tenants=tenants)
    route(oauth, "POST", AUTHORIZE, authorize.decide, tenants=tenants)
    route(oauth, "POST", TOKEN, token.issue, endpoint=endpoint)
    route(oauth, "POST", REVOKE, token.revoke, endpoint=endpoint)
    route(oauth, "GET", METADATA, _metadata)
    route(oauth, "GET", f"{METADATA}/<path:path>", _metadata)
    return oauth


def _metadata(path: str = "") -> Response:
    """GET what the authorization server can do; `path` is that of the issuer (RFC 8414 §3.1)."""
    issuer = current_exchange().root_url
    if path and f"/{path}" != urlsplit(issuer).path:
        raise NotFound("oauth.issuer", "The issuer at this service is {issuer}.", issuer=issuer)
    found = metadata.document(
        issuer,
        authorize=AUTHORIZE,
        token=TOKEN,
        revoke=REVOKE,
        algorithms=ALGORITHMS,
    )
    return json_answer(found)
