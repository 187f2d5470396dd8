"""What an operator pastes into which field of Okta, Entra or another identity provider."""

from collections.abc import Mapping
from typing import Any

from scim_api.auth.oauth.clients import AUTHORIZATION_CODE, Client
from scim_api.cli.console import Console
from scim_api.cli.credentials.clients import FEDERATION, KEY, SECRET, known_by
from scim_api.cli.terminal import note, print_record, say
from scim_api.routes.oauth.addresses import AUTHORIZE, TOKEN
from scim_api.settings import OAUTH, Settings

_OKTA = "In Okta, Provisioning > Integration > Edit, with the Authentication Mode OAuth 2:"
_ENTRA = "In Entra, on the app's Provisioning page, with the Authentication Method {method}:"
_METHODS = {
    SECRET: "OAuth2 client credentials grant",
    FEDERATION: "Workload identity federation",
    KEY: "private_key_jwt",
}

_TO_OKTA = {
    "scim_base_url": "SCIM connector base URL",
    "token_endpoint": "Access token endpoint URI",
    "authorization_endpoint": "Authorization endpoint URI",
    "client_id": "Client ID",
    "client_secret": "Client Secret",
}
_TO_ENTRA = {
    "scim_base_url": "Tenant URL",
    "token_endpoint": "Token endpoint",
    "client_id": "Client identifier",
    "client_secret": "Client secret",
}


def show(
    console: Console,
    client: Client,
    secret: str | None,
    expires_at: str | None,
    *,
    former_until: str | None = None,
) -> None:
    """Print what a client needs to know, with its secret, once."""
    document = _document(console.settings, client, secret, expires_at)
    if console.as_json:
        console.record(document | ({"former_until": former_until} if former_until else {}))
        return
    consents = AUTHORIZATION_CODE in client.grants
    say(_OKTA if consents else _ENTRA.format(method=_METHODS[known_by(client)]))
    fields: Mapping[str, str] = _TO_OKTA if consents else _TO_ENTRA
    print_record({f"  {fields[key]}": document[key] for key in fields if key in document})
    if secret:
        ends = f"it expires at {expires_at}" if expires_at else "it never expires"
        note(f"the secret is shown this once; {ends}")
    if former_until:
        note(f"the former secret works until {former_until}")
    elif consents:
        _say_what_follows(console, client)
    say_if_off(console)
    if not document["token_endpoint"].startswith("https:"):
        note("Okta and Entra connect only over https: set SCIM_BASE_URL to the public address")


def say_if_off(console: Console) -> None:
    """Say that clients get no tokens, where that is so."""
    if OAUTH not in console.settings.authentication:
        note("warning: OAuth 2 is off: SCIM_AUTHENTICATION does not have oauth")


def _say_what_follows(console: Console, client: Client) -> None:
    home = "" if client.tenant.name == "default" else f" --ledger {client.tenant.name}"
    if not client.redirect_uris:
        note(
            "it has no redirect URI yet: once the Okta app exists, open its page in the Admin"
            f" Console and run scim-ledger client set {client.name} --okta ADDRESS{home}"
        )
    note(
        "then save in Okta, make a one-time code with scim-ledger connect"
        f" {client.name}{home}, and press Authenticate: the page asks for the code"
    )


def _document(
    settings: Settings, client: Client, secret: str | None, expires_at: str | None
) -> dict[str, Any]:
    base = settings.base_url or settings.local_url
    root = settings.root_url or settings.local_url.removesuffix(settings.base_path)
    uris = [*client.redirect_uris]
    consents = AUTHORIZATION_CODE in client.grants
    return {
        "name": client.name,
        "ledger": client.tenant.name,
        "scim_base_url": base,
        "token_endpoint": root + TOKEN,
        **({"authorization_endpoint": root + AUTHORIZE, "redirect_uris": uris} if consents else {}),
        "client_id": client.client_id,
        **({"client_secret": secret, "expires_at": expires_at} if secret else {}),
        "grants": [*client.grants],
        "scopes": sorted(client.credential.scopes),
    }
