"""Credentials of clients: issued and revoked by events; of a token only its hash is kept."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import timedelta

from ledger import clock
from ledger.contract import NO_STREAM, Append
from ledger.events import CREDENTIAL_ISSUED, CREDENTIAL_REVOKED, Event, Metadata
from projections.current.credentials import Credential
from scim_api.auth import tokens
from scim_api.auth.scopes import DEFAULT, Scope
from scim_api.tenants.tenants import Tenant

LIFETIME = timedelta(days=365)  # of a secret, unless something else is said (RFC 7644 §7.4)


def usual_expiry() -> str:
    """Return when a secret that is made now expires, if nothing else is said."""
    return clock.timestamp(clock.now() + LIFETIME)


@dataclass(frozen=True, slots=True)
class Issued:
    """A credential just issued, with the only copy of its token."""

    id: str
    name: str
    ledger: str
    expires_at: str | None
    token: str
    scopes: tuple[Scope, ...]
    policy: str | None = None
    user: str | None = None


def issue(
    tenant: Tenant,
    metadata: Metadata,
    name: str,
    *,
    expires_at: str | None = None,
    policy: str | None = None,
    user: str | None = None,
    scopes: Iterable[Scope] = DEFAULT,
) -> Issued:
    """Issue a credential; `user` is the id of the user it belongs to, if it is for /Me.

    Without `expires_at` it never expires.
    """
    token, id_ = tokens.issue(tenant.ledger.tenant), clock.uuid7()
    allowed = tuple(sorted(set(scopes)))
    effects = {
        "name": name,
        "sha256": tokens.digest(token),
        "expires_at": expires_at,
        "policy": policy,
        "user": user,
        "scopes": [str(scope) for scope in allowed],
    }
    event = Event(CREDENTIAL_ISSUED, {k: v for k, v in effects.items() if v is not None})
    tenant.ledger.append([Append(f"Credential-{id_}", NO_STREAM, [event])], metadata)
    return Issued(id_, name, tenant.name, expires_at, token, allowed, policy, user)


def revoke(tenant: Tenant, metadata: Metadata, id_: str) -> None:
    """Revoke a credential: the next request with its token is refused."""
    append = Append(f"Credential-{id_}", 1, [Event(CREDENTIAL_REVOKED)])
    tenant.ledger.append([append], metadata)


def credentials_of(tenant: Tenant) -> list[Credential]:
    """Return every credential of a ledger, revoked ones too."""
    with tenant.ledger.reading() as connection:
        return tenant.credentials.all(connection)


def names_of(tenant: Tenant) -> dict[str, str]:
    """Return the names of a ledger's credentials by id."""
    return {each.id: each.name for each in credentials_of(tenant)}
