"""One-time codes of `scim-ledger connect`: whoever has one may connect a client to its ledger."""

from ledger import clock
from ledger.contract import NO_STREAM, Append, Connection
from ledger.events import CONNECT_CODE, CONNECT_CODE_ISSUED, Event, Metadata
from projections.current.credentials import Credential, Use
from scim_api.auth import credentials, tokens
from scim_api.auth.oauth.clients import Client
from scim_api.auth.oauth.errors import AccessDenied
from scim_api.auth.tokens import Prefix, Token
from scim_api.tenants.tenants import Tenant, Tenants

_AGAIN = " Ask whoever operates this service for another: scim-ledger connect."


def issue(tenant: Tenant, client: Client, metadata: Metadata, *, expires_at: str) -> str:
    """Return a new code by which a client gets into a ledger, which need not be its home."""
    code = tokens.issue(tenant.ledger.tenant, Prefix.CONNECT)
    effects = {"sha256": tokens.digest(code), "client": client.client_id, "expires_at": expires_at}
    append = Append(
        f"{CONNECT_CODE}-{clock.uuid7()}", NO_STREAM, [Event(CONNECT_CODE_ISSUED, effects)]
    )
    tenant.ledger.append([append], metadata)
    return code


def cancel_all(tenant: Tenant, metadata: Metadata) -> int:
    """Cancel the codes that can still be used; return how many."""
    now, known = clock.timestamp(), tenant.credentials
    with tenant.ledger.reading() as connection:
        unused = [
            each.id
            for each in known.all(connection, CONNECT_CODE)
            if each.state(now) == "live"
            and not any(s.spent_at for s in known.secrets(connection, each.id, Use.CONNECT))
        ]
    for id_ in unused:
        credentials.revoke(tenant, metadata, id_)
    return len(unused)


def ledger_of(text: str, tenants: Tenants) -> tuple[Tenant, Token]:
    """Return the ledger that a code is for, and what is known of it; raises AccessDenied."""
    code = tokens.parse(text.strip())
    if code is None or code.prefix != Prefix.CONNECT:
        raise AccessDenied(
            "oauth.connect_form",
            "This is no one-time code: it begins with sclo_ and must be pasted whole." + _AGAIN,
        )
    tenant = tenants.find(code.tenant)
    if tenant is None:
        raise _unknown()
    return tenant, code


def usable(tenant: Tenant, connection: Connection, code: Token, client: Client) -> Credential:
    """Return what is known of a code that the client can be connected with; raises AccessDenied."""
    secret = tenant.credentials.secret(connection, code.sha256, Use.CONNECT)
    found = tenant.credentials.get(connection, secret.credential) if secret else None
    if secret is None or found is None or found.client != client.client_id:
        raise _unknown()
    if found.revoked_at:
        raise AccessDenied("oauth.connect_ended", "This one-time code was cancelled." + _AGAIN)
    if secret.spent_at:
        raise AccessDenied("oauth.connect_used", "This one-time code was used before." + _AGAIN)
    if not secret.is_live(clock.timestamp()):
        raise AccessDenied("oauth.connect_expired", "This one-time code has expired." + _AGAIN)
    return found


def grant_of(tenant: Tenant, connection: Connection, sha256: str) -> Credential | None:
    """Return the grant that a code was used for."""
    known = tenant.credentials
    secret = known.secret(connection, sha256, Use.CONNECT)
    found = known.get(connection, secret.credential) if secret and secret.spent_at else None
    return known.get(connection, found.details.get("grant", "")) if found else None


def _unknown() -> AccessDenied:
    return AccessDenied(
        "oauth.connect_unknown", "This one-time code is unknown, or is for another client." + _AGAIN
    )
