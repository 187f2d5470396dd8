"""Refusals of the authorization server: the words of RFC 6749, with sentences for the admin."""

from typing import ClassVar

from scim_api.protocol.errors import Refusal, ScimError

_PLAIN = str.maketrans({'"': "'", "\\": "/"})  # the only ASCII that a description may not have
_BY_STATUS = {429: "temporarily_unavailable", 503: "temporarily_unavailable"}


class OAuthError(ScimError):
    """A request refused by the authorization server; `error` is the word of RFC 6749 §5.2."""

    error: ClassVar[str] = "invalid_request"


class InvalidRequest(OAuthError):
    """A parameter is missing, malformed or repeated."""


class InvalidClient(OAuthError):
    """The client is unknown, or could not prove to be the one that it says it is."""

    status = 401
    error = "invalid_client"


class InvalidGrant(OAuthError):
    """The code or refresh token is wrong, has ended, or was given to another client."""

    error = "invalid_grant"


class UnauthorizedClient(OAuthError):
    """The client is who it says it is, and may not do this."""

    error = "unauthorized_client"


class UnsupportedGrantType(OAuthError):
    error = "unsupported_grant_type"


class UnsupportedResponseType(OAuthError):
    error = "unsupported_response_type"


class InvalidScope(OAuthError):
    """The client asks for scopes of which it may have none."""

    error = "invalid_scope"


class AccessDenied(OAuthError):
    """Whoever was asked does not allow it, or has not proved that they may."""

    status = 403
    error = "access_denied"


def document_of(error: Exception, refusal: Refusal) -> dict[str, str]:
    """Return the body of a refusal (RFC 6749 §5.2), whatever the request was refused with."""
    if isinstance(error, OAuthError):
        word = error.error
    else:
        other = "server_error" if refusal.status >= 500 else "invalid_request"
        word = _BY_STATUS.get(refusal.status, other)
    return {"error": word, "error_description": description(refusal.detail)}


def description(text: str) -> str:
    """Return a sentence in the characters that an error description may have."""
    return "".join(c if " " <= c <= "~" else "?" for c in text.translate(_PLAIN))
