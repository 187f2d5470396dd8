"""How client list shows clients and their consents, as these are in force."""

from collections.abc import Mapping, Sequence
from typing import Any

from ledger import clock
from projections.current.credentials import Credential, Use
from scim_api.auth import credentials
from scim_api.auth.homes import in_force
from scim_api.auth.oauth.clients import Client, grants_of, home_of
from scim_api.auth.oauth.key_sets import file_of, read_key_set, saved_in
from scim_api.auth.oauth.trust import ALGORITHMS
from scim_api.cli.credentials import credential as shown
from scim_api.cli.credentials.clients import known_by
from scim_api.cli.terminal import read_side_file
from scim_api.tenants import usage
from scim_api.tenants.tenants import Tenant

# States of a consent that opens nothing.
HOME_MISSING, CLIENT_GONE = "home missing", "client gone"


class Listing:
    """Rows of clients, with the consents that they have in some ledgers."""

    def __init__(self, ledgers: Sequence[Tenant]) -> None:
        self._ledgers = ledgers
        self._uses: dict[str, Mapping[str, usage.Use]] = {}  # by ledger, each read once

    def row(self, client: Client) -> dict[str, Any]:
        credential, now = client.credential, clock.timestamp()
        return {
            "client_id": client.client_id,
            "name": client.name,
            "home": client.tenant.name,
            "state": shown.state_of(credential, now),
            "grants": [*client.grants],
            "scopes": sorted(credential.scopes),
            "known_by": known_by(client),
            "trust": _trust(client),
            "policy": credential.policy,
            "networks": [*credential.networks],
            "redirect_uris": [*client.redirect_uris],
            "issued_at": credential.issued_at,
            "expires_at": credential.expires_at,
            "former_until": credentials.former_until(client.tenant, credential, now),
            "removed_at": credential.revoked_at,
            "last_token_at": _last_token_at(client.tenant, credential),
            **self._last_use(client.tenant, credential),
            "consents": [
                self._consent(client.tenant, *each) for each in grants_of(client, self._ledgers)
            ],
        }

    def rows_from_elsewhere(
        self, tenant: Tenant, grants: Sequence[Credential]
    ) -> list[dict[str, Any]]:
        """Return the clients of other ledgers that have consents in this one, with only those."""
        rows = dict[str, dict[str, Any]]()
        for grant in grants:
            client_id = str(grant.client)
            home = next((t for t in self._ledgers if t.ledger.tenant == home_of(client_id)), None)
            row = {"client_id": client_id, "name": grant.name, "home": home and home.name}
            rows.setdefault(client_id, {**row, "consents": []})["consents"].append(
                self._consent(home, tenant, grant)
            )
        return [*rows.values()]

    def _consent(self, home: Tenant | None, tenant: Tenant, grant: Credential) -> dict[str, Any]:
        """Return a consent as it is in force: what its client is refused, it is refused."""
        forced = in_force(grant, home)
        state = shown.state_of(forced, clock.timestamp())
        if home is None and state == "live":
            state = HOME_MISSING
        elif forced.client_is_gone:
            state = CLIENT_GONE
        return {
            "id": grant.id,
            "ledger": tenant.name,
            "state": state,
            "scopes": sorted(grant.scopes),
            "networks": [*forced.networks],
            "consented_at": grant.issued_at,
            "ended_at": grant.revoked_at,
            "last_refresh_at": _last_token_at(tenant, grant),
            **self._last_use(tenant, grant),
            "arrived": grant.details.get("arrived"),
        }

    def _last_use(self, tenant: Tenant, credential: Credential) -> dict[str, Any]:
        if tenant.name not in self._uses:
            self._uses[tenant.name] = read_side_file(tenant.usage.last_use_of_each, {})
        return shown.last_use(self._uses[tenant.name].get(credential.id))


def _trust(client: Client) -> dict[str, Any] | None:
    """Return whose assertions a client is known by, and which keys are known of them now."""
    trust = client.trust
    if trust is None:
        return None
    url, fetched_at = trust.get("jwks_uri"), None
    if url is None:
        keys = read_key_set(trust["jwks"])
    else:
        saved = saved_in(file_of(client.tenant.ledger.path.parent, url))
        keys, fetched_at = saved or ((), None)
    return {
        "issuer": trust.get("issuer", client.client_id),
        "subject": trust.get("subject", client.client_id),
        "audiences": [*trust.get("audiences", ())],
        "tenant": trust.get("tenant"),
        "algorithms": [*trust.get("algorithms", ALGORITHMS)],
        "key_set": url or "pasted",
        "key_ids": [str(key.kid) for key in keys],
        "fetched_at": clock.timestamp(fetched_at) if fetched_at else None,
    }


def _last_token_at(tenant: Tenant, credential: Credential) -> str | None:
    """Return when a client or a grant last got an access token."""
    with tenant.ledger.reading() as connection:
        secrets = tenant.credentials.secrets(connection, credential.id, Use.ACCESS)
    return max((each.issued_at for each in secrets), default=None)
