"""What an operator pastes into which field of Okta, Entra or another identity provider."""

import shlex
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

from scim_api.auth.oauth.clients import AUTHORIZATION_CODE, Client
from scim_api.auth.oauth.okta import is_redirect_uri
from scim_api.cli.console import Console
from scim_api.cli.credentials.clients import FEDERATION, SECRET, known_by
from scim_api.cli.terminal import note, print_record, say
from scim_api.routes.oauth.addresses import AUTHORIZE, TOKEN
from scim_api.settings import MICROSOFT_HOSTS, OAUTH, Settings


@dataclass(frozen=True, slots=True)
class _Form:
    """Where something is pasted, and what the fields are called there."""

    heading: str
    fields: Mapping[str, str]


_OKTA = _Form(
    "In Okta, Provisioning > Integration > Edit, with the Authentication Mode OAuth 2:",
    {
        "scim_base_url": "SCIM connector base URL",
        "token_endpoint": "Access token endpoint URI",
        "authorization_endpoint": "Authorization endpoint URI",
        "client_id": "Client ID",
        "client_secret": "Client Secret",
    },
)
_TO_ENTRA = {
    "scim_base_url": "Tenant URL",
    "token_endpoint": "Token endpoint",
    "client_id": "Client identifier",
    "client_secret": "Client secret",
}
_IN_ENTRA = "In Entra, on the app's Provisioning page, with the Authentication method"
_ENTRA = {
    SECRET: _Form(f"{_IN_ENTRA} OAuth2 client credentials grant:", _TO_ENTRA),
    FEDERATION: _Form(f"{_IN_ENTRA} Workload Identity Federation:", _TO_ENTRA),
}
_ANY = _Form(
    "What the client needs to know:",
    {
        "scim_base_url": "SCIM base URL",
        "token_endpoint": "Token endpoint",
        "authorization_endpoint": "Authorization endpoint",
        "client_id": "Client ID",
        "client_secret": "Client secret",
    },
)


def _form_of(client: Client) -> _Form:
    """Return the form of the identity provider that a client seems to be registered for."""
    known, uris = known_by(client), client.redirect_uris
    if AUTHORIZATION_CODE in client.grants:
        is_okta = known == SECRET and (not uris or any(map(is_redirect_uri, uris)))
        return _OKTA if is_okta else _ANY
    is_entra = client.credential.policy == "entra" or _is_microsoft(client)
    return _ENTRA.get(known, _ANY) if is_entra else _ANY


def _is_microsoft(client: Client) -> bool:
    return urlsplit((client.trust or {}).get("issuer", "")).hostname in MICROSOFT_HOSTS


def show(
    console: Console,
    client: Client,
    secret: str | None = None,
    expires_at: str | None = None,
    *,
    former_until: str | None = None,
) -> None:
    """Print what a client needs to know, with its secret if it is new, once."""
    document, form = _document(console.settings, client, secret, expires_at), _form_of(client)
    _say_where_from(console, client)
    if console.as_json:
        console.record(document | ({"former_until": former_until} if former_until else {}))
        return
    say(form.heading)
    fields = form.fields
    print_record({f"  {fields[key]}": document[key] for key in fields if key in document})
    if secret:
        ends = f"it expires at {expires_at}" if expires_at else "it never expires"
        note(f"the secret is shown this once; {ends}")
    if former_until:
        note(f"the former secret works until {former_until}")
    elif secret and AUTHORIZATION_CODE in client.grants:
        _say_what_follows(client, form)
    say_if_off(console)


def show_again(console: Console, client: Client) -> None:
    """Print what a client needs to know but its secret, and its redirect URIs."""
    show(console, client)
    if console.as_json:
        return
    if client.redirect_uris:
        say("Redirect URIs:")
    for uri in client.redirect_uris:
        say(f"  {uri}")
    if known_by(client) == SECRET:
        note(
            "the secret was shown when it was made; scim-ledger client rotate"
            f" {_argument(client)} makes a new one"
        )


def _say_where_from(console: Console, client: Client) -> None:
    """Say first what is wrong with the addresses: a secret is shown once."""
    base = console.settings.base_url
    if base is None:
        note(
            "warning: SCIM_BASE_URL is not set here, so these addresses are good on this machine"
            " only. For the right ones, without a new secret: SCIM_BASE_URL=https://ADDRESS"
            f" scim-ledger client show {_argument(client)}"
        )
    elif not base.startswith("https:"):
        note("warning: Okta and Entra connect only over https, and SCIM_BASE_URL is no such URL")


def _argument(client: Client) -> str:
    """Return how a client is named to a command, and its ledger."""
    home = client.tenant.name
    return shlex.quote(client.name) + ("" if home == "default" else f" --ledger {home}")


def say_if_off(console: Console) -> None:
    """Say that clients get no tokens, where that is so."""
    if OAUTH not in console.settings.authentication:
        note("warning: OAuth 2 is off: SCIM_AUTHENTICATION does not have oauth")


def _say_what_follows(client: Client, form: _Form) -> None:
    if not client.redirect_uris:
        note(f"it has no redirect URI yet: {set_redirect_uri(client)}")
    after, press = ("save in Okta, ", ", and press Authenticate") if form is _OKTA else ("", "")
    note(
        f"then {after}make a one-time code with scim-ledger connect {_argument(client)}{press}:"
        " the page asks for the code"
    )


def set_redirect_uri(client: Client) -> str:
    """Return how a client gets its redirect URI."""
    return (
        "once the Okta app exists, open its page in the Admin Console and run scim-ledger client"
        f" set {_argument(client)} --okta ADDRESS (another provider: --redirect URI)"
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
