"""The token endpoint: tokens for a code, a refresh token or a client itself; and their revocation.

Every token is issued by an event, and what is answered is decided under the ledger's lock.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace

from ledger import clock
from ledger.contract import Append, Connection
from ledger.events import (
    ACCESS_TOKEN_REVOKED,
    CLIENT,
    CONSENT_WITHDRAWN,
    Event,
    Metadata,
)
from projections.current.credentials import Use
from scim_api.auth import tokens
from scim_api.auth.oauth import clients
from scim_api.auth.oauth.arrived import arrived
from scim_api.auth.oauth.client_authentication import (
    Authenticated,
    Presented,
    authenticate,
    must_not_be_paused,
    must_still_hold,
)
from scim_api.auth.oauth.clients import Client
from scim_api.auth.oauth.errors import (
    InvalidGrant,
    InvalidRequest,
    OAuthError,
    UnauthorizedClient,
    UnsupportedGrantType,
)
from scim_api.auth.oauth.issuing import Issued, Lifetimes, issued_event, new_pair
from scim_api.auth.oauth.key_sets import KeySets
from scim_api.auth.oauth.redeeming import Redemption
from scim_api.auth.oauth.scopes import granted
from scim_api.auth.oauth.settling import Decided, settle
from scim_api.auth.tokens import Prefix, Token
from scim_api.protocol.errors import Quoted
from scim_api.tenants.tenants import Tenant, Tenants

_REDEEMED = {
    clients.AUTHORIZATION_CODE: ("code", Prefix.CODE, Use.CODE),
    clients.REFRESH_TOKEN: ("refresh_token", Prefix.REFRESH, Use.REFRESH),
}


@dataclass(frozen=True, slots=True)
class Request:
    """A request to the token endpoint, or for a revocation.

    `form` has each parameter once, those without a value left out, and `proof` is what of it and of
    the header is to prove who sends it. `endpoints` are the issuer, the
    token endpoint and this one: for one of them an assertion must be meant. The actor of the
    metadata becomes the grant or the client. `recognised` gets the client that is named, proved
    or not, and `admit` its id once it has proved that: it raises where a client asks too often.
    """

    form: Mapping[str, str]
    proof: Presented
    address: str
    endpoints: tuple[str, ...]
    metadata: Metadata
    recognised: Callable[[Client], None] = lambda _: None
    admit: Callable[[str], None] = lambda _: None
    scope: str | None = None  # of the address: Okta's admins configure it there


@dataclass(frozen=True, slots=True)
class Answer:
    """Tokens, and whose they are: the grant or the client, in which ledger."""

    tenant: Tenant
    client: Client
    issued: Issued


@dataclass(frozen=True, slots=True)
class TokenEndpoint:
    """Issues and revokes tokens of all ledgers of a service."""

    tenants: Tenants
    key_sets: KeySets
    lifetimes: Lifetimes = field(default_factory=Lifetimes)

    def issue(self, request: Request) -> Answer:
        """Issue tokens (RFC 6749 §4.1.3, §4.4.2 and §6); raises OAuthError."""
        by, grant_type = self._client(request), request.form.get("grant_type")
        request.admit(by.client.id)  # first: the refusals of a paused one count, too
        must_not_be_paused(by.client.credential)
        if grant_type is None:
            raise InvalidRequest("oauth.grant_type", "grant_type is missing.")
        if grant_type not in clients.GRANT_TYPES:
            raise UnsupportedGrantType(
                "oauth.grant_type",
                "grant_type must be {known}, not {received}.",
                known=" or ".join(clients.GRANT_TYPES),
                received=Quoted(grant_type),
            )
        if grant_type not in by.client.grants:
            raise UnauthorizedClient(
                "oauth.grant_type",
                "This client is registered for {registered}, not for {asked}. Register another:"
                " scim-ledger client add --grant.",
                registered=" and ".join(by.client.grants) or "nothing",
                asked=grant_type,
            )
        if grant_type == clients.CLIENT_CREDENTIALS:
            return self._to_client(request, by)
        return self._redeem(request, by, grant_type)

    def revoke(self, request: Request) -> None:
        """Revoke a token (RFC 7009); one that is unknown is as good as revoked. Raises OAuthError.

        With a refresh token its grant ends, with an access token that alone. A paused client may.
        """
        by, text = self._client(request), request.form.get("token")
        if text is None:
            raise InvalidRequest("oauth.token_missing", "token is missing.")
        token = tokens.parse(text.strip())
        tenant = self.tenants.find(token.tenant) if token else None
        if token and tenant and token.prefix in _REVOKED:
            _revoke(request, by, tenant, token)

    def _client(self, request: Request) -> Authenticated:
        return authenticate(
            request.proof,
            request.address,
            request.endpoints,
            self.tenants,
            self.key_sets,
            recognised=request.recognised,
        )

    def _redeem(self, request: Request, by: Authenticated, grant_type: str) -> Answer:
        """Issue tokens for a code or a refresh token: in the ledger that it names."""
        name, prefix, use = _REDEEMED[grant_type]
        text = request.form.get(name, "").strip()
        if not text:
            raise InvalidRequest("oauth.missing", "{name} is missing.", name=name)
        token = tokens.parse(text)
        tenant = self.tenants.find(token.tenant) if token and token.prefix == prefix else None
        if tenant is None:
            raise InvalidGrant(
                "oauth.grant_form",
                "{name} is not one of this service: part of it is missing, or it was mistyped.",
                name=name,
            )
        scope = _scope(request)
        redemption = Redemption(tenant, by, self.lifetimes, use, text, request.form, scope)
        with tenant.ledger.reading() as connection:
            found = tenant.credentials.secret(connection, tokens.digest(text), use)
        actor = found.credential if found else by.client.id
        metadata = replace(request.metadata, actor=actor)
        return Answer(tenant, by.client, settle(tenant, redemption.decide, metadata))

    def _to_client(self, request: Request, by: Authenticated) -> Answer:
        """Issue an access token to a client itself, of its home."""
        client, tenant = by.client, by.client.tenant
        scopes = granted(_scope(request), client.credential.scopes)
        access, _ = new_pair(tenant.ledger.tenant, with_refresh=False)

        def decide(connection: Connection) -> Decided[Issued]:
            try:
                current = must_still_hold(by, tenant, connection)
                must_not_be_paused(current)
            except OAuthError as error:
                return Decided(error)
            now = clock.now()
            issued = Issued(client.id, access, clock.timestamp(now + self.lifetimes.access), scopes)
            effects = {
                "grant_type": clients.CLIENT_CREDENTIALS,
                "arrived": arrived(request.form),
                **by.effects(),
            }
            event = issued_event(issued, self.lifetimes, now, effects)
            return Decided(issued, [Append(f"{CLIENT}-{client.id}", current.version, [event])])

        metadata = replace(request.metadata, actor=client.id)
        return Answer(tenant, client, settle(tenant, decide, metadata))


def _scope(request: Request) -> str:
    """Return the scopes that are asked for: those of the form, or else of the address."""
    return request.form.get("scope") or request.scope or ""


# Revocation

_REVOKED = {Prefix.REFRESH: Use.REFRESH, Prefix.ACCESS: Use.ACCESS}


def _revoke(request: Request, by: Authenticated, tenant: Tenant, token: Token) -> None:
    """Revoke a token, if it was given to the client; raises OAuthError."""
    use, known, client = _REVOKED[token.prefix], tenant.credentials, by.client

    def decide(connection: Connection) -> Decided[None]:
        secret = known.secret(connection, token.sha256, use)
        owner = known.get(connection, secret.credential) if secret else None
        if secret is None or owner is None or owner.revoked_at:
            return Decided(None)
        if client.id != owner.id and client.client_id != owner.client:
            return Decided(
                InvalidGrant("oauth.token_of_other", "The token was given to another client.")
            )
        if use == Use.ACCESS and not secret.is_live(clock.timestamp()):
            return Decided(None)
        try:
            must_still_hold(by, tenant, connection)
        except OAuthError as error:
            return Decided(error)
        revoked = Event(ACCESS_TOKEN_REVOKED, {"sha256": token.sha256, **by.used()})
        if use == Use.REFRESH:
            revoked = Event(CONSENT_WITHDRAWN, {"why": "revoked by the client", **by.used()})
        return Decided(None, [Append(f"{owner.kind}-{owner.id}", owner.version, [revoked])])

    settle(tenant, decide, replace(request.metadata, actor=client.id))
