"""Credential -> principal: the Authorization header in the forms that Okta's admins paste it."""

import re
from dataclasses import dataclass, replace
from typing import Any

from ledger import clock
from ledger.contract import Connection
from projections.current.credentials import Credential
from scim_api.auth import tokens
from scim_api.protocol.errors import Unauthorized
from scim_api.protocol.policy import Policy
from scim_api.tenants.catalogue import Catalogue, preset
from scim_api.tenants.tenants import Tenant, Tenants

_SCHEME = re.compile(r"(?:bearer[ \t]+)+", re.IGNORECASE)
_CLAIM = re.compile(r"scl_([0-9a-f]{16})_")
_CHALLENGE = {"WWW-Authenticate": 'Bearer realm="SCIM"'}
_REFUSED = {"WWW-Authenticate": 'Bearer realm="SCIM", error="invalid_token"'}


@dataclass(frozen=True, slots=True)
class Principal:
    """The authenticated caller: a credential of one ledger."""

    tenant: Tenant
    credential: Credential
    catalogue: Catalogue
    policy: Policy  # the credential's own, or else the ledger's
    token_sha256: str  # seals what only this client may send back (RFC 9865)
    memory: dict[Any, Any]  # what was remembered of the ledger as it was when the token was found

    def under(self, catalogue: Catalogue) -> "Principal":
        """Return the same principal under the rules of another time."""
        own = self.credential.policy
        return replace(self, catalogue=catalogue, policy=preset(own) if own else catalogue.policy)

    def check(self, connection: Connection) -> None:
        """Raise Unauthorized if the token was revoked, or the like, since it was let in.

        A write waits for its turn, for seconds at most: what was recorded by then counts.
        """
        found = self.tenant.credentials.by_hash(connection, self.token_sha256)
        credential = found[0] if found else self.credential
        _must_be_live(credential, clock.timestamp())
        if credential.user:
            _must_have_its_user(self.tenant, connection, credential.user)


def authenticate(header: str | None, tenants: Tenants, now: str) -> Principal:
    """Return the principal of a request made `now` (a timestamp); raises Unauthorized.

    `Bearer T`, `bearer T`, a bare `T` and a doubled `Bearer` are the same (Okta's header mode
    sends the token alone, and admins paste it with and without the word).
    """
    text = _text(header)
    if not text:
        raise no_token()
    token = tokens.parse(text)
    if token is None:
        raise Unauthorized(
            "token.form",
            "The token is not one of this service: part of it is missing, or it was mistyped."
            " A token begins with scl_ and must be pasted whole.",
            headers=_REFUSED,
        )
    tenant = tenants.find(token.tenant)
    memory = tenant.ledger.remembered() if tenant else {}
    admitted = tenant.find_credential(token.sha256, memory) if tenant else None
    if tenant is None or admitted is None:
        raise Unauthorized(
            "token.unknown",
            "The token is unknown to this service. Make one: scim-ledger token create.",
            headers=_REFUSED,
        )
    credential, catalogue = admitted
    _must_be_live(credential, now)
    if credential.user:
        with tenant.ledger.reading() as connection:
            _must_have_its_user(tenant, connection, credential.user)
    policy = preset(credential.policy) if credential.policy else catalogue.policy
    return Principal(tenant, credential, catalogue, policy, token.sha256, memory)


def no_token() -> Unauthorized:
    """Return the refusal of a request that has no token and needs one."""
    return Unauthorized(
        "token.missing",
        "This request has no token. Send one in the Authorization header.",
        okta="In Okta, paste it into the API Token or Authorization field of the app's provisioning"
        " settings.",
        headers=_CHALLENGE,
    )


def presented(header: str | None) -> tokens.Token | None:
    """Return the token of a header, live or not; None where it has none, or part of one."""
    return tokens.parse(_text(header))


def claimed_ledger(header: str | None) -> str | None:
    """Return the id of the ledger that a token names; that proves nothing."""
    found = _CLAIM.match(_text(header))
    return found[1] if found else None


def _text(header: str | None) -> str:
    return _SCHEME.sub("", (header or "").strip(), count=1)


def _must_have_its_user(tenant: Tenant, connection: Connection, user: str) -> None:
    if not tenant.has_active_user(connection, user):
        raise Unauthorized(
            "token.user_gone",
            "The token belongs to a user who was deactivated or deleted.",
            headers=_REFUSED,
        )


def _must_be_live(credential: Credential, now: str) -> None:
    state = credential.state(now)
    if state != "live":
        ended = "has expired" if state == "expired" else "was revoked"
        raise Unauthorized(
            "token.ended",
            "The token {ended}. Make a new one: scim-ledger token create.",
            okta="Then paste it into Okta.",
            ended=ended,
            headers=_REFUSED,
        )
