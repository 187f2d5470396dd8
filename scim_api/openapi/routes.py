"""/openapi.json: the OpenAPI document, without a token or as a token's ledger is set up."""

from importlib.metadata import version

from flask import Blueprint, Response, request

from scim_api.auth.authenticate import authenticate
from scim_api.openapi.document import PATH, document
from scim_api.settings import Settings
from scim_api.tenants.catalogue import BUILT_IN, Catalogue
from scim_api.tenants.tenants import Tenants
from scim_api.web.context import exchange_of
from scim_api.web.messages import plain_json

VERSION = version("scim-ledger")


def blueprint(settings: Settings, tenants: Tenants) -> Blueprint:
    """Return the one address; a token is not needed, but one that is wrong is refused."""
    openapi = Blueprint("openapi", __name__)

    @openapi.get(PATH, provide_automatic_options=False)
    def openapi_json() -> Response:
        described = document(
            _catalogue(tenants),
            server=exchange_of(request).root_url,
            base_path=settings.base_path,
            version=VERSION,
            config_public=settings.config_public,
            tlog_public=settings.tlog_public,
        )
        return plain_json(described)

    return openapi


def _catalogue(tenants: Tenants) -> Catalogue:
    exchange = exchange_of(request)
    header = exchange.environ.get("HTTP_AUTHORIZATION")
    return authenticate(header, tenants, exchange.at).catalogue if header else BUILT_IN
