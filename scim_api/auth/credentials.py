"""Tokens issued, and credentials of every kind rotated, paused and revoked: by events.

Of a secret only its hash is kept.
"""

from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import timedelta

from ledger import clock
from ledger.contract import NO_STREAM, Append, Connection, LedgerError
from ledger.events import (
    CLIENT,
    CLIENT_REMOVED,
    CONNECT_CODE,
    CONNECT_CODE_CANCELLED,
    CONSENT_WITHDRAWN,
    CREDENTIAL_CHANGED,
    CREDENTIAL_ISSUED,
    CREDENTIAL_REVOKED,
    CREDENTIAL_ROTATED,
    GRANT,
    TOKEN,
    Event,
    Metadata,
    Payload,
)
from projections.current.credentials import Credential, use_of
from scim_api.auth import tokens
from scim_api.auth.scopes import DEFAULT, Scope
from scim_api.auth.tokens import Prefix
from scim_api.tenants.tenants import Tenant

KINDS = (TOKEN, CLIENT, GRANT)  # all that authenticate; a code of connect does not
ENDINGS = {
    TOKEN: CREDENTIAL_REVOKED,
    CLIENT: CLIENT_REMOVED,
    GRANT: CONSENT_WITHDRAWN,
    CONNECT_CODE: CONNECT_CODE_CANCELLED,
}
LIFETIME = timedelta(days=365)  # of a secret, unless something else is said (RFC 7644 §7.4)


class CredentialEnded(LedgerError):
    """A credential that is to be changed has been revoked, removed or withdrawn."""


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
    networks: tuple[str, ...] = ()


def issue(
    tenant: Tenant,
    metadata: Metadata,
    name: str,
    *,
    expires_at: str | None = None,
    policy: str | None = None,
    user: str | None = None,
    scopes: Iterable[Scope] = DEFAULT,
    networks: Sequence[str] = (),
) -> Issued:
    """Issue a credential; `user` is the id of the user it belongs to, if it is for /Me.

    Without `expires_at` it never expires. Without networks it may be used from any.
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
        "networks": [*networks] or None,
    }
    event = Event(CREDENTIAL_ISSUED, {k: v for k, v in effects.items() if v is not None})
    tenant.ledger.append([Append(f"Credential-{id_}", NO_STREAM, [event])], metadata)
    return Issued(id_, name, tenant.name, expires_at, token, allowed, policy, user, tuple(networks))


def rotate(
    tenant: Tenant,
    metadata: Metadata,
    credential: Credential,
    *,
    expires_at: str | None,
    former_until: str,
) -> str:
    """Give a token or a client another secret and return that; the former ends by then at last."""
    prefix = Prefix.CLIENT_SECRET if credential.kind == CLIENT else Prefix.TOKEN
    secret = tokens.issue(tenant.ledger.tenant, prefix)
    effects = {"sha256": tokens.digest(secret), "former_until": former_until}
    if expires_at:
        effects["expires_at"] = expires_at
    record(tenant, metadata, credential.id, lambda _: Event(CREDENTIAL_ROTATED, effects))
    return secret


def change(
    tenant: Tenant,
    metadata: Metadata,
    id_: str,
    *,
    allows: str | None = None,
    networks: Sequence[str] | None = None,
) -> bool:
    """Pause or resume a credential, or set its networks; return whether anything changed."""

    def event(found: Credential) -> Event | None:
        effects: Payload = {
            **({"allows": allows} if allows not in (None, found.allows) else {}),
            **({"networks": [*networks]} if networks not in (None, [*found.networks]) else {}),
        }
        return Event(CREDENTIAL_CHANGED, effects) if effects else None

    return record(tenant, metadata, id_, event)


def revoke(tenant: Tenant, metadata: Metadata, id_: str, why: str = "operator") -> bool:
    """End a credential, of whatever kind: the next request with it is refused.

    `why` is recorded of a grant, which others can end, too. Return whether it had not ended yet.
    """

    def event(found: Credential) -> Event:
        return Event(ENDINGS[found.kind], {"why": why} if found.kind == GRANT else {})

    with suppress(CredentialEnded):
        return record(tenant, metadata, id_, event)
    return False


def record(
    tenant: Tenant,
    metadata: Metadata,
    id_: str,
    event: Callable[[Credential], Event | None],
) -> bool:
    """Record what happened to a credential, if anything did; raises CredentialEnded."""

    def decide(connection: Connection) -> Sequence[Append]:
        found = tenant.credentials.get(connection, id_)
        if found is None or found.revoked_at:
            raise CredentialEnded(f"credential {id_} has ended in the meantime")
        what = event(found)
        return [Append(f"{found.kind}-{id_}", found.version, [what])] if what else []

    return bool(tenant.ledger.append_decided(decide, metadata))


def credentials_of(tenant: Tenant, *kinds: str) -> list[Credential]:
    """Return every credential of some kinds (by default tokens), revoked ones too."""
    with tenant.ledger.reading() as connection:
        return tenant.credentials.all(connection, *kinds)


def former_until(tenant: Tenant, credential: Credential, now: str) -> str | None:
    """Return when the former secret of a rotated credential ends, if it still lives."""
    use = use_of(credential.kind)
    with tenant.ledger.reading() as connection:
        secrets = tenant.credentials.secrets(connection, credential.id, use)
    former = [each.expires_at for each in secrets if each.spent_at and each.is_live(now)]
    return max((each for each in former if each), default=None)


def names_of(tenant: Tenant) -> dict[str, str]:
    """Return the names of a ledger's credentials of every kind by id."""
    return {each.id: each.name for each in credentials_of(tenant, *KINDS)}
