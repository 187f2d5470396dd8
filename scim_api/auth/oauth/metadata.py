"""What the authorization server can do, as a document (RFC 8414 §2)."""

from collections.abc import Sequence
from typing import Any

from scim_api.auth.oauth.clients import GRANT_TYPES
from scim_api.auth.scopes import Scope

METHODS = ("client_secret_basic", "client_secret_post", "private_key_jwt")


def document(
    issuer: str, *, authorize: str, token: str, revoke: str, algorithms: Sequence[str]
) -> dict[str, Any]:
    """Return the metadata of an issuer with its addresses, which are paths below the issuer.

    `algorithms` are those by which an assertion may be signed.
    """
    return {
        "issuer": issuer,
        "authorization_endpoint": issuer + authorize,
        "token_endpoint": issuer + token,
        "revocation_endpoint": issuer + revoke,
        "scopes_supported": [str(scope) for scope in Scope],
        "response_types_supported": ["code"],
        "response_modes_supported": ["query"],
        "grant_types_supported": list(GRANT_TYPES),
        "token_endpoint_auth_methods_supported": list(METHODS),
        "token_endpoint_auth_signing_alg_values_supported": list(algorithms),
        "revocation_endpoint_auth_methods_supported": list(METHODS),
        "revocation_endpoint_auth_signing_alg_values_supported": list(algorithms),
        "code_challenge_methods_supported": ["S256"],
        "authorization_response_iss_parameter_supported": True,  # RFC 9207
    }
