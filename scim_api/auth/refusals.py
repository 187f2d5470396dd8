"""Why a request is not let in: 401 for what proves no credential, 403 for one that may not now."""

from typing import Any

from ledger.events import GRANT, TOKEN
from projections.current.credentials import NOTHING, Credential
from scim_api.auth.tokens import Prefix
from scim_api.protocol.errors import Forbidden, Unauthorized
from scim_api.settings import BASIC, HEADER, OAUTH

_CHALLENGES = {HEADER: 'Bearer realm="SCIM"', BASIC: 'Basic realm="SCIM", charset="UTF-8"'}
_REFUSED = {HEADER: 'Bearer realm="SCIM", error="invalid_token"', BASIC: _CHALLENGES[BASIC]}
_WAYS = {
    HEADER: "a token alone or after Bearer",
    BASIC: "Basic authentication",
    OAUTH: "access tokens",
}
_OTHERS = {
    Prefix.REFRESH: "refresh token",
    Prefix.CLIENT_SECRET: "client secret",
    Prefix.CODE: "authorization code",
    Prefix.CONNECT: "one-time code of scim-ledger connect",
}


def no_token(schemes: tuple[str, ...]) -> Unauthorized:
    """Return the refusal of a request that has no token and needs one."""
    return Unauthorized(
        "token.missing",
        "This request has no token. Send one in the Authorization header.",
        okta="In Okta, paste it into the API Token or Authorization field of the app's provisioning"
        " settings.",
        headers={"WWW-Authenticate": _challenge(schemes)},
    )


def scheme_is_off(scheme: str, schemes: tuple[str, ...]) -> Unauthorized:
    return Unauthorized(
        "token.scheme",
        "This service does not take {sent}. The ServiceProviderConfig lists how to authenticate;"
        " its operator chooses that by SCIM_AUTHENTICATION.",
        sent=_WAYS[scheme],
        headers={"WWW-Authenticate": _challenge(schemes)},
    )


# What is wrong with Basic credentials: the code of the error and how it begins.
NO_BASE64 = "token.basic_base64", "What follows Basic is not base64 (RFC 7617 §2)."
NO_COLON = "token.basic_colon", "What follows Basic has no colon between user name and password."
EMPTY = "token.basic_empty", "Basic came without a password."
IN_USER_NAME = "token.basic_swapped", "The token is in the user name: it is the password."
COLON_IN_USER_NAME = (
    "token.basic_user",
    "The user name has a colon, where it ends (RFC 7617 §2): use one without.",
)
NO_TOKEN = "token.password", "The password is not a token of this service."


def no_password_of_ours(code: str, fault: str) -> Unauthorized:
    return _refused(
        BASIC,
        code,
        f"{fault} Basic authentication takes any user name without a colon, and as the password a"
        " token made with scim-ledger token create, pasted whole.",
    )


def no_token_of_ours(scheme: str) -> Unauthorized:
    return _refused(
        scheme,
        "token.form",
        "The token is not one of this service: part of it is missing, or it was mistyped."
        " A token begins with scl_ and must be pasted whole.",
    )


def another_secret(scheme: str, prefix: Prefix) -> Unauthorized:
    """Return the refusal of a secret of ours that opens nothing here."""
    return _refused(
        scheme,
        "token.kind",
        "This is {secret}. SCIM requests are made with a token, which begins with scl_, or with an"
        " access token, which begins with scla_.",
        secret=f"{'an' if prefix is Prefix.CODE else 'a'} {_OTHERS[prefix]}",
    )


def unknown_token(scheme: str, prefix: Prefix) -> Unauthorized:
    if prefix is Prefix.ACCESS:
        return _refused(
            scheme,
            "token.unknown",
            "The access token is unknown to this service, or expired long ago. Request another one"
            " at /oauth/token.",
        )
    return _refused(
        scheme,
        "token.unknown",
        "The token is unknown to this service. Make one: scim-ledger token create.",
    )


def ended(scheme: str, credential: Credential, state: str) -> Unauthorized:
    """Return the refusal of a token that has expired, or whose credential was revoked."""
    if credential.kind == TOKEN and state == "expired" and credential.replaced_at:
        return _refused(
            scheme,
            "token.replaced",
            "The token was replaced at {at} (token rotate), and the time for which both worked is"
            " over. Paste the new one; if it is lost: scim-ledger token rotate.",
            at=credential.replaced_at,
        )
    if credential.kind == TOKEN:
        return _refused(
            scheme,
            "token.ended",
            "The token {ended}. Make a new one: scim-ledger token create.",
            okta="Then paste it into Okta.",
            ended="has expired" if state == "expired" else "was revoked",
        )
    if state == "expired":
        return _refused(
            scheme,
            "token.ended",
            "The access token has expired. Request another one at /oauth/token.",
        )
    if credential.client_is_gone and credential.client:
        return _refused(
            scheme,
            "token.ended",
            "The access token opens nothing: its client is not registered (any more) in its home,"
            " the ledger with the id {home}. Register it again: scim-ledger client add.",
            okta="Then connect the app again: press Authenticate in its provisioning settings.",
            home=credential.client[:16],
        )
    return _refused(
        scheme,
        "token.ended",
        "The access token was revoked: {why}.",
        okta="Connect the app again: press Authenticate in its provisioning settings.",
        why="its consent was withdrawn" if credential.kind == GRANT else "its client was removed",
    )


def user_gone(scheme: str) -> Unauthorized:
    return _refused(
        scheme, "token.user_gone", "The token belongs to a user who was deactivated or deleted."
    )


def paused(credential: Credential) -> Forbidden:
    return Forbidden(
        f"{_topic(credential)}.paused",
        "The operator of this service paused this {token}, which may {do} until it is resumed.",
        token=_named(credential),
        do="do nothing" if credential.allows == NOTHING else "only read",
    )


def another_network(credential: Credential, address: str) -> Forbidden:
    """Return the refusal of a request from an address that the credential is not for."""
    return Forbidden(
        f"{_topic(credential)}.network",
        "This {token} may not be used from {address}. The operator of this service can add that"
        " address, or its network, to those that are allowed.",
        token=_named(credential),
        address=address or "an unknown address",
    )


def _topic(credential: Credential) -> str:
    """Return by what the request log explains how to change what is refused."""
    return "credential" if credential.kind == TOKEN else "client"


def _named(credential: Credential) -> str:
    return "token" if credential.kind == TOKEN else "client"


def _challenge(schemes: tuple[str, ...]) -> str:
    """Return how to authenticate, by each way that is on."""
    ways = (BASIC if scheme == BASIC else HEADER for scheme in schemes)
    return ", ".join(_CHALLENGES[way] for way in dict.fromkeys(ways))


def _refused(
    scheme: str, code: str, template: str, *, okta: str = "", **arguments: Any
) -> Unauthorized:
    challenge = {"WWW-Authenticate": _REFUSED[scheme]}
    return Unauthorized(code, template, okta=okta, headers=challenge, **arguments)
