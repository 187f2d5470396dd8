"""A client asks for access to a ledger, and whoever has a one-time code of it gives consent."""

import re
from base64 import urlsafe_b64encode
from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import timedelta
from hashlib import sha256
from typing import Any
from urllib.parse import urlencode

from ledger import clock
from ledger.contract import NO_STREAM, Append, Connection
from ledger.events import (
    CONNECT_CODE,
    CONNECT_CODE_USED,
    CONSENT_GIVEN,
    GRANT,
    Event,
    Metadata,
)
from projections.current.credentials import Use
from scim_api.auth import tokens
from scim_api.auth.oauth import clients, connect_codes
from scim_api.auth.oauth.arrived import arrived
from scim_api.auth.oauth.client_authentication import must_be_able
from scim_api.auth.oauth.clients import Client
from scim_api.auth.oauth.errors import (
    InvalidRequest,
    OAuthError,
    UnauthorizedClient,
    UnsupportedResponseType,
    description,
)
from scim_api.auth.oauth.issuing import new_salt
from scim_api.auth.oauth.scopes import granted
from scim_api.auth.oauth.settling import Decided, settle
from scim_api.auth.tokens import Prefix
from scim_api.protocol.errors import Quoted
from scim_api.tenants.tenants import Tenant, Tenants

CODE_LIFETIME = timedelta(seconds=60)

_VERIFIER = re.compile(r"[A-Za-z0-9._~-]{43,128}")  # RFC 7636 §4.1
_CHALLENGE = re.compile(r"[A-Za-z0-9_-]{43}")  # RFC 7636 §4.2: a SHA-256


class NotAnswerable(InvalidRequest):
    """Nobody may be sent anywhere: the client or the redirect URI is wrong (RFC 6749 §4.1.2.1)."""

    def __init__(
        self, code: str, template: str, /, *, received: str, client: Client | None = None
    ) -> None:
        super().__init__(code, template, received=Quoted(received, 300))
        self.client = client
        self.received = received  # the client id or the redirect URI
        self.expected = client.redirect_uris if client else ()


@dataclass(frozen=True, slots=True)
class Asking:
    """Who asks, and to which of the client's addresses the answer goes."""

    client: Client
    redirect_uri: str
    state: str | None

    def answered(self, issuer: str, **parameters: str) -> str:
        """Return the address that the browser is sent to with some parameters."""
        given = {**parameters, "state": self.state, "iss": issuer}  # RFC 9207
        known = {name: each for name, each in given.items() if each is not None}
        query = urlencode(known, errors="surrogateescape")  # state goes back byte for byte
        uri = self.redirect_uri
        between = "" if uri.endswith(("?", "&")) else "&" if "?" in uri else "?"
        return f"{uri}{between}{query}"

    def refused(self, issuer: str, error: OAuthError) -> str:
        """Return the address that the browser is sent to with an error."""
        says = description(error.detail)
        return self.answered(issuer, error=error.error, error_description=says)


@dataclass(frozen=True, slots=True)
class Asked:
    """What a client asks for, checked."""

    by: Asking
    scopes: tuple[str, ...]
    challenge: str | None  # of a verifier (RFC 7636), always by S256
    arrived: Mapping[str, Any]  # what came, by names and lengths: for the record


def asking(tenants: Tenants, parameters: Mapping[str, str], connect_code: str = "") -> Asking:
    """Return who asks; raises NotAnswerable, which must be shown and never sent anywhere."""
    client_id = parameters.get("client_id", "")
    client = clients.find(tenants, client_id)
    if client is None:
        clients.must_not_be_missed(client_id, (connect_code.strip(),), tenants)
        raise NotAnswerable(
            "oauth.client_unknown", _why_unknown(tenants, client_id), received=client_id
        )
    uri, known = parameters.get("redirect_uri"), client.redirect_uris
    if uri is None and len(known) == 1:  # RFC 6749 §3.1.2.3
        uri = known[0]
    if uri is None or uri not in known:
        raise NotAnswerable(
            "oauth.redirect_uri",
            "The redirect URI {received} is not one of this client's: register it, character by"
            " character.",
            received=uri or "",
            client=client,
        )
    return Asking(client, uri, parameters.get("state"))


def _why_unknown(tenants: Tenants, client_id: str) -> str:
    """Return the template of a sentence about a client id that no client has."""
    if not client_id:
        return "The request has no client_id. Its operator finds it by: scim-ledger client list."
    home = clients.home_of(client_id)
    if home and tenants.find_open(home) is None:  # it was just looked for
        return (
            "No client has the client id {received}, and this service has no ledger with the id"
            " with which it begins. If one was moved away, put it back; else compare the client id"
            " with: scim-ledger client list."
        )
    return "No client has the client id {received}. Compare it with: scim-ledger client list."


def asked(by: Asking, parameters: Mapping[str, str]) -> Asked:
    """Return what is asked for; raises OAuthError, which the client is to be told."""
    response_type = parameters.get("response_type", "")
    if response_type != "code":
        raise UnsupportedResponseType(
            "oauth.response_type",
            "response_type must be code, not {received}.",
            received=Quoted(response_type),
        )
    if clients.AUTHORIZATION_CODE not in by.client.grants:
        raise UnauthorizedClient(
            "oauth.grant_type",
            "This client is not registered for authorization codes. Register another: scim-ledger"
            " client add --grant authorization_code.",
        )
    scope = parameters.get("scope", "")
    challenge = _challenge(parameters)
    came: dict[str, Any] = {
        **arrived(parameters),
        "scope": len(scope),
        "state": len(by.state or ""),
    }
    if challenge:
        came["pkce"] = "S256"
    return Asked(by, granted(scope, by.client.credential.scopes), challenge, came)


def _challenge(parameters: Mapping[str, str]) -> str | None:
    challenge, method = parameters.get("code_challenge"), parameters.get("code_challenge_method")
    if challenge is None and method is None:
        return None
    if method != "S256" or not _CHALLENGE.fullmatch(challenge or ""):
        raise InvalidRequest(
            "oauth.challenge",
            "code_challenge must be a SHA-256 in base64url, with code_challenge_method S256.",
        )
    return challenge


def fits(challenge: str, verifier: str) -> bool:
    """Return whether a verifier is that of a challenge (RFC 7636 §4.6)."""
    made = urlsafe_b64encode(sha256(verifier.encode("utf-8", "replace")).digest()).rstrip(b"=")
    return bool(_VERIFIER.fullmatch(verifier)) and made.decode() == challenge


def give(asked: Asked, connect_code: str, tenants: Tenants, metadata: Metadata) -> str:
    """Give consent by a one-time code and return the authorization code; raises OAuthError.

    The ledger is that of the one-time code, whatever the client's home is.
    """
    client, text = asked.by.client, connect_code.strip()
    tenant, presented = connect_codes.ledger_of(text, tenants)
    grant, salt = clock.uuid7(), new_salt()
    code = tokens.derive(tenant.ledger.tenant, Prefix.CODE, text, salt)

    def decide(connection: Connection) -> Decided[str]:
        try:
            must_be_able(client)
            if again := _given_just_now(asked, tenant, connection, text):
                return Decided(again)
            proof = connect_codes.usable(tenant, connection, presented, client)
        except OAuthError as error:
            return Decided(error)
        used = Event(CONNECT_CODE_USED, {"grant": grant})
        given = Event(CONSENT_GIVEN, _effects(asked, proof.id, tokens.digest(code), salt))
        return Decided(
            code,
            [
                Append(f"{CONNECT_CODE}-{proof.id}", proof.version, [used]),
                Append(f"{GRANT}-{grant}", NO_STREAM, [given]),
            ],
        )

    return settle(tenant, decide, replace(metadata, actor=grant))


def _effects(asked: Asked, connect_code: str, sha256: str, salt: str) -> dict[str, Any]:
    """Return what is recorded of a consent; the hash is that of the authorization code."""
    effects = {
        "client": asked.by.client.client_id,
        "name": asked.by.client.name,
        "scopes": list(asked.scopes),
        "redirect_uri": asked.by.redirect_uri,
        "connect_code": connect_code,
        "sha256": sha256,
        "salt": salt,
        "expires_at": clock.timestamp(clock.now() + CODE_LIFETIME),
        "arrived": dict(asked.arrived),
        "challenge": asked.challenge,
    }
    return {name: value for name, value in effects.items() if value is not None}


def _given_just_now(
    asked: Asked, tenant: Tenant, connection: Connection, connect_code: str
) -> str | None:
    """Return the authorization code that the same form was given, while it can be redeemed.

    Whoever clicks twice shows only the second answer to the client.
    """
    known, ledger = tenant.credentials, tenant.ledger.tenant
    grant = connect_codes.grant_of(tenant, connection, tokens.digest(connect_code))
    if grant is None or grant.revoked_at or "salt" not in grant.details:
        return None
    given = grant.client, grant.scopes, *map(grant.details.get, ("redirect_uri", "challenge"))
    by = asked.by
    if given != (by.client.client_id, {*asked.scopes}, by.redirect_uri, asked.challenge):
        return None
    code = tokens.derive(ledger, Prefix.CODE, connect_code, grant.details["salt"])
    secret = known.secret(connection, tokens.digest(code), Use.CODE)
    is_good = secret and not secret.spent_at and secret.is_live(clock.timestamp())
    return code if is_good else None
