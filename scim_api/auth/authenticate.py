"""Credential -> principal: the Authorization header in the forms that clients and admins give it.

`Bearer T`, `bearer T`, a bare `T` and a doubled `Bearer` are the same: Okta's header mode sends the
token alone, and admins paste it with and without the word. In `Basic` the token is the password,
and the user name is a label that means nothing. T is a token or an access token.
"""

import re
from base64 import b64decode
from dataclasses import dataclass, replace
from typing import Any

from ledger import clock
from ledger.contract import Connection
from projections.current.credentials import ALL, NOTHING, Credential
from scim_api.auth import homes, refusals, tokens
from scim_api.auth.networks import may_come_from
from scim_api.auth.tokens import Prefix
from scim_api.protocol.policy import Policy
from scim_api.settings import BASIC, HEADER, OAUTH
from scim_api.tenants.catalogue import Catalogue, preset
from scim_api.tenants.tenants import Tenant, Tenants

_BEARER = re.compile(r"(?:bearer[ \t]+)+", re.IGNORECASE)
_BLANK = ("", " ", "\t")
_OPENING = (Prefix.TOKEN, Prefix.ACCESS)
_CLAIM = re.compile(r"scl[arsco]?_([0-9a-f]{16})_")


@dataclass(frozen=True, slots=True)
class Principal:
    """The authenticated caller: a credential of one ledger."""

    tenant: Tenant
    credential: Credential
    catalogue: Catalogue
    policy: Policy  # the credential's own, or else the ledger's
    scheme: str  # how its token was sent: HEADER or BASIC
    sha256: str  # the token's
    address: str
    memory: dict[Any, Any]  # what was remembered of the ledger as it was when the token was found
    home: Tenant | None = None  # where its client is registered, if that is another ledger

    def under(self, catalogue: Catalogue) -> "Principal":
        """Return the same principal under the rules of another time."""
        own = self.credential.policy
        return replace(self, catalogue=catalogue, policy=preset(own) if own else catalogue.policy)

    def must_be_let_in(self, now: str) -> None:
        """Raise Unauthorized for a token that has ended by now, Forbidden for one from elsewhere.

        Whether it is paused is another question: must_be_allowed.
        """
        credential = self.credential
        _must_be_let_in(credential, self.address, now, self.scheme)
        if credential.user:
            with self.tenant.ledger.reading() as connection:
                _must_have_its_user(self.tenant, connection, credential.user, self.scheme)

    def must_be_allowed(self, *, writes: bool) -> None:
        """Raise Forbidden where the credential is paused."""
        _must_be_allowed(self.credential, writes=writes)

    def check(self, connection: Connection) -> None:
        """Raise Unauthorized or Forbidden unless the token would be let in to write now.

        A write waits for its turn, for seconds at most: what was recorded by then counts.
        """
        if self.home:
            self.home.ledger.check_place()
        found = self.tenant.credentials.by_hash(connection, self.sha256)
        credential = homes.in_force(found[0] if found else self.credential, self.home)
        _must_be_let_in(credential, self.address, clock.timestamp(), self.scheme)
        if found is None:  # an access token that was revoked by itself
            raise refusals.unknown_token(self.scheme, Prefix.ACCESS)
        _must_be_allowed(credential, writes=True)
        if credential.user:
            _must_have_its_user(self.tenant, connection, credential.user, self.scheme)


def recognise(
    header: str | None, address: str, schemes: tuple[str, ...], tenants: Tenants
) -> Principal:
    """Return whose a request from an address is, whether it is let in or not.

    `schemes` are the ways to authenticate that are on. Raises Unauthorized where no credential of
    ours was sent, or LedgerUnavailable.
    """
    scheme, token = _token_of(header, schemes)
    tenant = tenants.find(token.tenant)
    memory = tenant.ledger.remembered() if tenant else {}
    admitted = tenant.find_credential(token.sha256, memory) if tenant else None
    if tenant is None or admitted is None:
        raise refusals.unknown_token(scheme, token.prefix)
    credential, catalogue = admitted
    home = homes.home_of(credential, tenant, tenants) if credential.client else None
    if home:
        credential = homes.in_force(credential, home)
    policy = preset(credential.policy) if credential.policy else catalogue.policy
    how = scheme, token.sha256, address
    return Principal(tenant, credential, catalogue, policy, *how, memory, home)


def _token_of(header: str | None, schemes: tuple[str, ...]) -> tuple[str, tokens.Token]:
    """Return how a token was sent, and it; raises Unauthorized for what cannot be one."""
    scheme, text = _sent(header)
    if text == "":
        raise refusals.no_token(schemes)
    if scheme not in schemes and (scheme == BASIC or OAUTH not in schemes):
        raise refusals.scheme_is_off(scheme, schemes)
    token = tokens.parse(text) if text else None
    if token is None and scheme == BASIC:
        raise refusals.no_password_of_ours(*_fault_of((header or "").strip()[5:].strip()))
    if token is None:
        raise refusals.no_token_of_ours(scheme)
    if token.prefix not in _OPENING:
        raise refusals.another_secret(scheme, token.prefix)
    way = OAUTH if token.prefix == Prefix.ACCESS else scheme
    if way not in schemes:
        raise refusals.scheme_is_off(way, schemes)
    return scheme, token


def presented(header: str | None) -> tokens.Token | None:
    """Return the token of a header, live or not; None where it has none, or part of one."""
    return tokens.parse(_sent(header)[1] or "")


def claimed_ledger(header: str | None) -> str | None:
    """Return the id of the ledger that a token names; that proves nothing."""
    found = _CLAIM.match(_sent(header)[1] or "")
    return found[1] if found else None


def _sent(header: str | None) -> tuple[str, str | None]:
    """Return how a header sends a token, and the text in its place; "" where there is none.

    The text is None where Basic is followed by something else than RFC 7617 has there.
    """
    text = (header or "").strip()
    if text[:5].lower() == BASIC and text[5:6] in _BLANK:
        return BASIC, _password(text[5:].strip())
    return HEADER, _BEARER.sub("", text, count=1)


def _password(encoded: str) -> str | None:
    """Return the password after the first colon; the user name may be in whatever encoding."""
    try:
        password = b64decode(encoded, validate=True).partition(b":")[2].decode()
    except ValueError:  # neither base64 nor UTF-8
        return None
    return password.strip() or None


def _fault_of(encoded: str) -> tuple[str, str]:
    """Return what is wrong with Basic credentials that have no token in their place."""
    try:
        user, colon, password = (
            each.strip() for each in b64decode(encoded, validate=True).partition(b":")
        )
    except ValueError:
        return refusals.NO_BASE64
    if not colon:
        return refusals.NO_COLON if user else refusals.EMPTY
    if _is_token(user):
        return refusals.IN_USER_NAME
    if b":" in password and _is_token(password.rpartition(b":")[2]):
        return refusals.COLON_IN_USER_NAME
    return refusals.NO_TOKEN if password else refusals.EMPTY


def _is_token(text: bytes) -> bool:
    return tokens.parse(text.decode("latin-1")) is not None


def _must_be_let_in(credential: Credential, address: str, now: str, scheme: str) -> None:
    state = credential.state(now)
    if state != "live":
        raise refusals.ended(scheme, credential, state)
    if not may_come_from(address, credential.networks):
        raise refusals.another_network(credential, address)


def _must_be_allowed(credential: Credential, *, writes: bool) -> None:
    if credential.allows == NOTHING or (writes and credential.allows != ALL):
        raise refusals.paused(credential)


def _must_have_its_user(tenant: Tenant, connection: Connection, user: str, scheme: str) -> None:
    if not tenant.has_active_user(connection, user):
        raise refusals.user_gone(scheme)
