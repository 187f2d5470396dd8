"""Checks of credentials: do they expire, are they of use, can the keys of clients be had."""

from collections.abc import Iterator, Sequence
from contextlib import suppress

from ledger import clock
from ledger.contract import SideFileUnavailable
from ledger.events import CLIENT, TOKEN
from scim_api.auth import notices
from scim_api.auth.credentials import credentials_of
from scim_api.auth.oauth.clients import clients_of
from scim_api.auth.oauth.key_sets import KeySetUnfit, file_of, must_be_key_set_url, saved_in
from scim_api.settings import OAUTH, Settings
from scim_api.tenants.tenants import Tenant
from scim_api.tenants.usage import Use

Finding = tuple[bool, str]  # whether it is as it should be, and what there is to say


def expiry(tenant: Tenant, settings: Settings) -> Iterator[Finding]:
    """Find credentials that have expired, do within a week, or were misused; name others."""
    found, uses = notices.expiring(tenant), dict[str, Use]()
    with suppress(SideFileUnavailable):  # the check of that file says so
        uses = tenant.usage.last_use_of_each()
        for one in notices.unused(tenant, settings.unused_days):
            named = f"{notices.WORDS[one.kind]} {one.name} ({one.id})"
            yield True, f"{named} was not used for {settings.unused_days} days: is it needed?"
    for each in found:
        used = uses.get(each.credential.id)
        last = f", last used at {used.last_at}" if used else ""
        yield each.days > notices.WEEK, f"{each.what} {each.when}{last}: {each.advice}"
    yield from _useless(tenant, settings)
    for reuse in notices.reuses(tenant):
        yield reuse.mended, reuse.says
    if not found:
        yield True, f"none has expired or does within {max(notices.NOTICES)} days"


def stranded(tenant: Tenant, opened: Sequence[Tenant]) -> Iterator[Finding]:
    """Find consents whose client is in none of the ledgers that can be opened."""
    yield from ((False, each.says) for each in notices.stranded(tenant, lambda: opened))


def _useless(tenant: Tenant, settings: Settings) -> Iterator[Finding]:
    """Name how many credentials open nothing because their way to authenticate is off."""
    for kind, is_on, needed in (
        (TOKEN, settings.takes_tokens, "neither header nor basic"),
        (CLIENT, OAUTH in settings.authentication, "no oauth"),
    ):
        count = sum(not each.revoked_at for each in credentials_of(tenant, kind))
        if count and not is_on:
            named = f"{count:,} {notices.WORDS[kind]}{'' if count == 1 else 's'}"
            yield True, f"SCIM_AUTHENTICATION has {needed}, so {named} cannot be used"


def key_sets(tenant: Tenant, settings: Settings) -> Iterator[Finding]:
    """Find clients whose keys may not be fetched; name the keys of the others."""
    for client in clients_of(tenant):
        url = (client.trust or {}).get("jwks_uri")
        if url is None or client.credential.revoked_at:
            continue
        try:
            must_be_key_set_url(url, settings.jwks_hosts)
        except KeySetUnfit as error:
            yield False, f"client {client.name} gets no tokens: {error}"
            continue
        saved = saved_in(file_of(tenant.ledger.path.parent, url))
        says = "its first request fetches its keys"
        if saved:
            ids = ", ".join(str(key.kid) for key in saved[0]) or "none"
            says = f"its keys are {ids}, fetched at {clock.timestamp(saved[1])}"
        yield True, f"client {client.name}: {says}"
