"""Which client a command means, and the ledgers in which it may have consents."""

from collections.abc import Mapping

from ledger.contract import LedgerError
from ledger.events import GRANT
from projections.current.credentials import Credential
from scim_api.auth import homes
from scim_api.auth.credentials import credentials_of
from scim_api.auth.oauth.clients import AUTHORIZATION_CODE, Client, clients_of
from scim_api.cli.console import Console, failure_of
from scim_api.cli.terminal import Exit, Failure, note
from scim_api.tenants.tenants import Tenant

SECRET, KEY, FEDERATION = "secret", "private_key_jwt", "federation"


def known_by(client: Client) -> str:
    """Return how a client proves who it is."""
    if client.trust is None:
        return SECRET
    return FEDERATION if "issuer" in client.trust else KEY


def ledgers_with_consents(
    console: Console, *clients: Client
) -> tuple[list[Tenant], dict[str, Exception]]:
    """Return the ledgers in which clients may have consents, and those that cannot be opened."""
    by_consent = any(AUTHORIZATION_CODE in client.grants for client in clients)
    return every_ledger(console) if by_consent else ([], {})


def consents_from_elsewhere(tenant: Tenant) -> list[Credential]:
    """Return the consents to a ledger of clients that are registered in others, ended ones too."""
    return [each for each in credentials_of(tenant, GRANT) if homes.foreign(each, tenant)]


def warn_of(console: Console, left: Mapping[str, Exception]) -> None:
    for name, error in left.items():
        note(f"warning: ledger {name} is left out: {failure_of(console, error).message}")


def every_ledger(console: Console) -> tuple[list[Tenant], dict[str, Exception]]:
    """Return every ledger, and those that cannot be opened."""
    found, left = list[Tenant](), dict[str, Exception]()
    for name in console.names:
        try:
            tenant = console.tenant(name)
            tenant.leave()  # whoever needs it opens it again
            found.append(tenant)
        except (LedgerError, OSError) as error:
            left[name] = error
    return found, left


def one_of(tenant: Tenant, text: str, *, or_removed: bool = False) -> Client:
    """Return the client of a name, an id or a client id; raises Failure."""
    found = _named(clients_of(tenant), text, or_removed=or_removed)
    if len(found) > 1:
        ids = ", ".join(each.client_id for each in found)
        raise Failure(f"several clients are named {text!r}; choose one by its client id: {ids}")
    if not found:
        raise Failure(f"there is no client {text!r} in ledger {tenant.name}", Exit.NOT_FOUND)
    if found[0].credential.revoked_at and not or_removed:
        raise Failure(f"client {text!r} was removed, at {found[0].credential.revoked_at}")
    return found[0]


def one_of_service(console: Console, tenant: Tenant, text: str | None) -> Client:
    """Return a client of a ledger or, by its client id, of another; without text, the only one.

    Raises Failure.
    """
    if text is None:
        live = [each for each in clients_of(tenant) if not each.credential.revoked_at]
        if len(live) == 1:
            return live[0]
        names = ", ".join(each.name for each in live)
        raise Failure(
            f"say which client: {names}"
            if live
            else f"ledger {tenant.name} has no client; scim-ledger client add registers one"
        )
    homes = [tenant]
    if _is_client_id(text) and not text.startswith(f"{tenant.ledger.tenant}-"):
        homes, left = every_ledger(console)
        warn_of(console, left)
    home = next((each for each in homes if text.startswith(f"{each.ledger.tenant}-")), tenant)
    return one_of(home, text)


def _is_client_id(text: str) -> bool:
    return len(text) == 53 and text[16] == "-"  # see oauth.clients.Client.client_id


def _named(clients: list[Client], text: str, *, or_removed: bool) -> list[Client]:
    by_id = [each for each in clients if text in (each.client_id, each.id)]
    named = [each for each in clients if each.name == text]
    live = [each for each in named if not each.credential.revoked_at]
    return by_id or live or (named if or_removed else [])
