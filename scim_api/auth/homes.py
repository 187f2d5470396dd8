"""What a grant is allowed: what its client is allowed, wherever that is registered.

In its own ledger a grant is found together with its client. The client of another ledger, its home,
is asked for there at each request with the grant: a copy of its limits could lag.
"""

from ledger.contract import LedgerUnavailable
from projections.current.credentials import Credential
from scim_api.tenants.tenants import Tenant, Tenants


def home_of(credential: Credential, tenant: Tenant, tenants: Tenants) -> Tenant | None:
    """Return the ledger in which the client of a grant is registered, where that is another one.

    Raises LedgerUnavailable where it cannot be read.
    """
    place = foreign(credential, tenant)
    home = tenants.find(place[0]) if place else None
    if place and home is None:
        raise missing(place[0])
    return home


def foreign(credential: Credential, tenant: Tenant) -> tuple[str, str] | None:
    """Return home and id of the client of a grant, where that is registered in another ledger."""
    place = credential.client_place
    return None if place is None or place[0] == tenant.ledger.tenant else place


def missing(home: str) -> LedgerUnavailable:
    """Return what to raise where the home of a client is gone: was the client removed?"""
    says = f"the ledger {home} of a client is not in the data directory"
    return LedgerUnavailable(says, reason="the one its client is registered in is missing")


def in_force(credential: Credential, home: Tenant | None) -> Credential:
    """Return a credential as it is in force; `home` is what `home_of` returned.

    A client that its home does not know, as after a restore, is as good as removed.
    """
    place = credential.client_place
    if home is None or place is None:
        return credential
    client = home.find_client(place[1])
    if client is None:
        return credential.without_client(credential.issued_at)
    return credential.under(client.revoked_at, client.policy, client.networks, client.allows)
