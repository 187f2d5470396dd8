"""OAuth clients: registered by the operator in one ledger, their home, where their secrets are."""

import ipaddress
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

from ledger import clock
from ledger.contract import NO_STREAM, Append, LedgerError
from ledger.events import (
    CLIENT,
    CLIENT_CHANGED,
    CLIENT_REGISTERED,
    Event,
    Metadata,
)
from projections.current.credentials import Credential, Use
from scim_api.auth import credentials, homes, tokens
from scim_api.auth.scopes import DEFAULT, Scope
from scim_api.auth.tokens import Prefix
from scim_api.tenants.tenants import Tenant, Tenants

AUTHORIZATION_CODE, REFRESH_TOKEN = "authorization_code", "refresh_token"
CLIENT_CREDENTIALS = "client_credentials"
GRANT_TYPES = (AUTHORIZATION_CODE, REFRESH_TOKEN, CLIENT_CREDENTIALS)
BY_CONSENT = (AUTHORIZATION_CODE, REFRESH_TOKEN)

_OF_A_GRANT = {
    Prefix.CODE: Use.CODE,
    Prefix.REFRESH: Use.REFRESH,
    Prefix.ACCESS: Use.ACCESS,
    Prefix.CONNECT: Use.CONNECT,
}
_ID = re.compile(r"([0-9a-f]{16})-([0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12})")
_URI = re.compile(r"[!#-;=?-\[\]_a-z~]{1,2000}")  # RFC 3986 §2
_PLAIN_HTTP = ("localhost", "system-admin.okta1.com")  # the second is Okta's own test cell


class NotARedirectUri(ValueError):
    """No client can be sent to this address; the message says why."""


@dataclass(frozen=True, slots=True)
class Client:
    """A registered client and its home."""

    tenant: Tenant
    credential: Credential

    @property
    def id(self) -> str:
        """The id in events, and of the client's stream."""
        return self.credential.id

    @property
    def client_id(self) -> str:
        """The id by which the client knows itself: it names the home."""
        return f"{self.tenant.ledger.tenant}-{self.id}"

    @property
    def name(self) -> str:
        return self.credential.name

    @property
    def grants(self) -> tuple[str, ...]:
        """The grant types that it may use."""
        return tuple(self.credential.details.get("grants", ()))

    @property
    def redirect_uris(self) -> tuple[str, ...]:
        return tuple(self.credential.details.get("redirect_uris", ()))

    @property
    def trust(self) -> Mapping[str, Any] | None:
        """Whose assertions prove that it is this client, if any do."""
        trust: Mapping[str, Any] | None = self.credential.details.get("trust")
        return trust


@dataclass(frozen=True, slots=True)
class Registered:
    """A client just registered, with the only copy of its secret, if it has one."""

    client: Client
    secret: str | None
    expires_at: str | None  # of the secret


def register(
    tenant: Tenant,
    metadata: Metadata,
    name: str,
    *,
    grants: Iterable[str],
    scopes: Iterable[Scope] = DEFAULT,
    redirect_uris: Iterable[str] = (),
    trust: Mapping[str, Any] | None = None,
    with_secret: bool = True,
    expires_at: str | None = None,
    networks: Iterable[str] = (),
    policy: str | None = None,
) -> Registered:
    """Register a client; raises NotARedirectUri.

    One that waits for its redirect URI gets none. Without `expires_at` its secret never expires.
    """
    secret = tokens.issue(tenant.ledger.tenant, Prefix.CLIENT_SECRET) if with_secret else None
    ends = expires_at if secret else None
    effects = {
        "name": name,
        "grants": [each for each in GRANT_TYPES if each in set(grants)],
        "scopes": sorted(str(scope) for scope in set(scopes)),
        "redirect_uris": _checked(redirect_uris),
        "sha256": tokens.digest(secret) if secret else None,
        "expires_at": ends,
        "trust": dict(trust) if trust else None,
        "networks": list(networks) or None,
        "policy": policy,
    }
    return Registered(_recorded(tenant, metadata, effects), secret, ends)


def _recorded(tenant: Tenant, metadata: Metadata, effects: Mapping[str, Any]) -> Client:
    """Record a new client and return it."""
    event = Event(CLIENT_REGISTERED, {k: v for k, v in effects.items() if v is not None})
    id_ = clock.uuid7()
    tenant.ledger.append([Append(f"{CLIENT}-{id_}", NO_STREAM, [event])], metadata)
    client = _get(tenant, id_)
    assert client
    return client


def home_of(client_id: str) -> str | None:
    """Return the id of the ledger that a client id names; that proves nothing."""
    found = _parts(client_id)
    return found[1] if found else None


def find(tenants: Tenants, client_id: str) -> Client | None:
    """Return the client of a client id, unless it was removed."""
    found = _parts(client_id)
    tenant = tenants.find(found[1]) if found else None
    client = _get(tenant, found[2]) if found and tenant else None
    return None if client is None or client.credential.revoked_at else client


def must_not_be_missed(client_id: str, presented: Iterable[str], tenants: Tenants) -> None:
    """Raise LedgerUnavailable for a client with live access whose home `find` has not found.

    Whether it was removed is not known then. What is presented, codes and tokens, names the ledger
    of that access: one look-up, where a search through all of them would be a stranger's to cause.
    """
    found = _parts(client_id)
    if found is None or tenants.find_open(found[1]):
        return
    for token in filter(None, map(tokens.parse, presented)):
        tenant, use = tenants.find(token.tenant), _OF_A_GRANT.get(token.prefix)
        if tenant is None or use is None:
            continue
        with tenant.ledger.reading() as connection:
            secret = tenant.credentials.secret(connection, token.sha256, use)
            owner = tenant.credentials.get(connection, secret.credential) if secret else None
        if owner and owner.client == found[0] and not owner.revoked_at:
            raise homes.missing(found[1])


def _parts(client_id: str) -> re.Match[str] | None:
    """Return home and client of a client id; as it is pasted, it may have blanks around it."""
    return _ID.fullmatch(client_id.strip())


def clients_of(tenant: Tenant) -> list[Client]:
    """Return the clients of a ledger, those that were removed too."""
    with tenant.ledger.reading() as connection:
        return [Client(tenant, each) for each in tenant.credentials.all(connection, CLIENT)]


def grants_of(client: Client, tenants: Iterable[Tenant]) -> Iterator[tuple[Tenant, Credential]]:
    """Yield the grants that a client was given in some ledgers, those that ended too."""
    for tenant in tenants:
        with tenant.ledger.reading() as connection:
            found = tenant.credentials.of_client(connection, client.client_id)
        yield from ((tenant, grant) for grant in found)


def change(
    client: Client,
    metadata: Metadata,
    *,
    redirect_uris: Sequence[str] | None = None,
    trust: Mapping[str, Any] | None = None,
) -> bool:
    """Change where a client may be sent to, or whose assertions prove that it is this client.

    Returns whether anything changed; raises NotARedirectUri.
    """
    uris = None if redirect_uris is None else _checked(redirect_uris)
    wanted = {"redirect_uris": uris, "trust": trust}

    def event(found: Credential) -> Event | None:
        before = found.details
        new = {k: v for k, v in wanted.items() if v is not None and before.get(k) != v}
        return Event(CLIENT_CHANGED, new) if new else None

    return credentials.record(client.tenant, metadata, client.id, event)


Left = dict[str, Exception]  # the ledgers in which something could not be done, and why


def remove(client: Client, tenants: Sequence[Tenant], metadata: Metadata) -> tuple[bool, Left]:
    """Withdraw the grants of a client in every ledger of the service, then remove it.

    What was consented meanwhile is withdrawn after that: nothing new can come then. Where a ledger
    fails, the others follow; with the same again the rest is done. Returns whether anything
    changed, and what is left.
    """
    changed = [_withdraw_all(client, tenants, metadata, Left())]
    changed.append(credentials.revoke(client.tenant, metadata, client.id))
    left = Left()
    changed.append(_withdraw_all(client, tenants, metadata, left))
    return any(changed), left


def _withdraw_all(
    client: Client, tenants: Iterable[Tenant], metadata: Metadata, left: Left
) -> bool:
    ended = list[bool]()
    for tenant in tenants:
        with _noting(left, tenant):
            for grant in _live_grants(client, tenant):
                ended.append(credentials.revoke(tenant, metadata, grant.id, "client removed"))
    return any(ended)


def _live_grants(client: Client, tenant: Tenant) -> list[Credential]:
    return [grant for _, grant in grants_of(client, [tenant]) if not grant.revoked_at]


@contextmanager
def _noting(left: Left, tenant: Tenant) -> Iterator[None]:
    """Note that a ledger could not be read or written, and go on."""
    try:
        yield
    except (LedgerError, OSError) as error:
        left[tenant.name] = error


def _get(tenant: Tenant, id_: str) -> Client | None:
    with tenant.ledger.reading() as connection:
        found = tenant.credentials.get(connection, id_)
    return Client(tenant, found) if found and found.kind == CLIENT else None


def _checked(redirect_uris: Iterable[str]) -> list[str]:
    """Return redirect URIs, each once; raises NotARedirectUri."""
    found = list(dict.fromkeys(redirect_uris))
    for each in found:
        _must_be_redirect_uri(each)
    return found


def _must_be_redirect_uri(text: str) -> None:
    """Raise NotARedirectUri unless a browser can be sent there with a code in the query."""
    try:
        parts = urlsplit(text)
        host = parts.hostname if _URI.fullmatch(text) else None
        parts.port  # noqa: B018 raises ValueError
    except ValueError:
        host = None
    if not host or parts.scheme not in ("http", "https"):
        raise NotARedirectUri(f"{text!r} is not a redirect URI: it must be a whole https URL")
    if parts.fragment or "#" in text or "@" in parts.netloc:  # RFC 6749 §3.1.2
        raise NotARedirectUri(f"{text} has a fragment or a user name: leave it out")
    if parts.scheme == "http" and not _may_be_plain(host):
        raise NotARedirectUri(f"{text} must begin with https: a code would pass it unencrypted")


def _may_be_plain(host: str) -> bool:
    if host in _PLAIN_HTTP:
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False
