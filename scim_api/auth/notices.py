"""Credentials that an operator should look at: they expire, were misused, or nobody uses them.

status and doctor show them; the log has a notice 60, 30 and 7 days before one expires, and then.
What has expired is shown until it is rotated, replaced or revoked.
"""

import math
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta

from ledger import clock
from ledger.contract import LedgerError
from ledger.events import CLIENT, GRANT, REUSE_DETECTED, TOKEN
from projections.current.credentials import Credential, Use
from scim_api.auth import homes
from scim_api.auth.credentials import KINDS, credentials_of
from scim_api.logs import LOGGER
from scim_api.tenants import usage
from scim_api.tenants.tenants import Tenant

WEEK = 7  # days
NOTICES = (0, WEEK, 30, 60)  # days before
REUSE_DAYS = 30  # for so long a secret that was used twice is shown

WORDS = {TOKEN: "token", CLIENT: "client", GRANT: "consent"}


@dataclass(frozen=True, slots=True)
class Expiring:
    """A credential that expires soon, or did."""

    credential: Credential
    ledger: str
    expires_at: str
    expired: bool
    days: int  # until it expires; less than 0 after that day

    @property
    def kind(self) -> str:
        return WORDS[self.credential.kind]

    @property
    def what(self) -> str:
        """What expires, as a sentence begins with it."""
        named = f"{self.kind} {self.credential.name} ({self.credential.id})"
        return f"the secret of {named}" if self.credential.kind == CLIENT else named

    @property
    def when(self) -> str:
        """When it expires, as that sentence ends."""
        number = f"{abs(self.days)} day{'' if abs(self.days) == 1 else 's'}"
        if self.days == 0:
            return "has expired today" if self.expired else "expires today"
        return f"expired {number} ago" if self.expired else f"expires in {number}"

    @property
    def notice(self) -> int:
        """The last notice that is due."""
        return 0 if self.expired else next(each for each in NOTICES[1:] if self.days <= each)

    @property
    def advice(self) -> str:
        """What to do, as commands that can be pasted."""
        id_, where = self.credential.id, _option(self.ledger)
        if self.credential.kind != GRANT:
            end = "revoke" if self.credential.kind == TOKEN else "remove"
            return _either(f"{self.kind} rotate {id_}{where}", f"{self.kind} {end} {id_}{where}")
        again = f"{_connect(self.credential, self.ledger)}, then press Authenticate in the app"
        return _either(again, f"client withdraw {id_}{where}")


@dataclass(frozen=True, slots=True)
class Reuse:
    """A consent that ended by itself: a secret of it was used a second time."""

    credential: Credential
    ledger: str
    of: str
    at: str
    mended: bool  # the client was connected again, and got tokens since

    @property
    def says(self) -> str:
        """What happened, and what to do."""
        named = f"{self.credential.name} ({self.credential.id})"
        what = self.of.replace("_", " ").replace("code", "authorization code")
        then = (
            "the client was connected again since"
            if self.mended
            else f"scim-ledger {_connect(self.credential, self.ledger)}, then press Authenticate in"
            " the app"
        )
        return (
            f"the {what} of consent {named} was used twice, at {self.at}: it may have been copied,"
            f" so the consent ended; {then}"
        )


@dataclass(frozen=True, slots=True)
class Stranded:
    """A consent that opens nothing, for its client is not found in its home, or that is not."""

    credential: Credential
    ledger: str
    why: str

    @property
    def says(self) -> str:
        """What is wrong, and what to do."""
        id_ = self.credential.id
        return (
            f"consent {self.credential.name} ({id_}) opens nothing: {self.why}, or end it:"
            f" scim-ledger client withdraw {id_}{_option(self.ledger)}"
        )


def _option(ledger: str) -> str:
    return "" if ledger == "default" else f" --ledger {ledger}"


def _connect(grant: Credential, ledger: str) -> str:
    return f"connect {grant.client}{_option(ledger)}"


def _either(needed: str, not_needed: str) -> str:
    return f"scim-ledger {needed}; if it is not needed: scim-ledger {not_needed}"


def expiring(tenant: Tenant) -> list[Expiring]:
    """Return what expires within 60 days, and what has expired; what is first to expire is first.

    What was revoked is left out, and an expired consent whose client has a newer one.
    """
    now, today, found = clock.timestamp(), clock.now().date(), []
    every = [c for c in credentials_of(tenant, *KINDS) if not c.revoked_at]
    for each in every:
        expires_at, since = _expiry_of(tenant, each)
        if expires_at is None or (expires_at <= now and _is_replaced(tenant, each, since, every)):
            continue
        days = (datetime.fromisoformat(expires_at).date() - today).days
        if days <= max(NOTICES):
            found.append(Expiring(each, tenant.name, expires_at, expires_at <= now, days))
    return sorted(found, key=lambda each: each.expires_at)


def _expiry_of(tenant: Tenant, credential: Credential) -> tuple[str | None, str]:
    """Return when a credential expires, and when what expires was issued.

    A client that refreshes in time puts off the end of its consent. A consent whose code was never
    redeemed is not missed.
    """
    if credential.kind != GRANT:
        return credential.expires_at, credential.issued_at
    with tenant.ledger.reading() as connection:
        secrets = tenant.credentials.secrets(connection, credential.id, Use.REFRESH)
    ends = ((s.expires_at, s.issued_at) for s in secrets if s.expires_at and not s.spent_at)
    return max(ends, default=(None, credential.issued_at))


def _is_replaced(
    tenant: Tenant,
    credential: Credential,
    since: str,
    every: Iterable[Credential],
    used_since: str = "",
) -> bool:
    """Return whether the client of a consent was given another since, and got tokens by that.

    One whose code was never redeemed connects nothing.
    """
    if credential.kind != GRANT:
        return False
    others = (
        each
        for each in every
        if each.kind == GRANT and each.client == credential.client and each.issued_at > since
    )
    tokens = (_expiry_of(tenant, each) for each in others)
    return any(expires_at and issued_at > used_since for expires_at, issued_at in tokens)


def reuses(tenant: Tenant) -> list[Reuse]:
    """Return which consents ended within 30 days because a secret of theirs was used twice."""
    since, found = clock.timestamp(clock.now() - timedelta(days=REUSE_DAYS)), []
    every = credentials_of(tenant, GRANT)
    for each in every:
        if (each.revoked_at or "") >= since:
            stream = f"{GRANT}-{each.id}"
            position = tenant.ledger.position_of(stream, tenant.ledger.version(stream))
            last = tenant.ledger.read_at([position])[position] if position else None
            if last and last.type == REUSE_DETECTED:
                others = [other for other in every if not other.revoked_at]
                mended = _is_replaced(tenant, each, each.issued_at, others, last.at)
                found.append(Reuse(each, tenant.name, last.effects["of"], last.at, mended))
    return found


def stranded(tenant: Tenant, ledgers: Callable[[], Iterable[Tenant]]) -> list[Stranded]:
    """Return which live consents have a client of another ledger that is not found there.

    `ledgers` gives those that can be opened; it is called only where a client is of another one.
    """
    every = [(each, homes.foreign(each, tenant)) for each in credentials_of(tenant, GRANT)]
    found = [(each, place) for each, place in every if place and not each.revoked_at]
    known = {each.ledger.tenant: each for each in ledgers()} if found else {}
    return [
        Stranded(grant, tenant.name, why)
        for grant, (home, client) in found
        if (why := _why_stranded(known.get(home), home, client))
    ]


def _why_stranded(home: Tenant | None, id_: str, client: str) -> str | None:
    try:
        if home and home.find_client(client):
            return None
    except LedgerError:
        home = None
    if home:
        named = f"ledger {home.name}"
        return f"its client is not registered (any more) in {named}. Register it there and connect"
    return f"the ledger of its client, {id_}, is missing or cannot be read. Put it in its place"


def unused(tenant: Tenant, days: int) -> list[Credential]:
    """Return the live credentials that nobody used for so many days; see tenants.usage.

    Raises SideFileUnavailable.
    """
    now, since = clock.timestamp(), clock.timestamp(clock.now() - timedelta(days=days))
    every = credentials_of(tenant, *KINDS)
    return usage.unused(every, tenant.usage.last_use_of_each(), now, since)


class ExpiryNotices:
    """Logs each notice once, as far as this process knows; a job."""

    def __init__(self, tenant: Tenant) -> None:
        self._tenant = tenant
        self.path = tenant.ledger.path

    def step(self) -> bool:
        """Log what is due, once an hour: some credentials live for less than a day.

        A consent has one notice after the other while it is not refreshed. What expired long ago
        was logged then, by the process before.
        """
        noticed, hour = self._tenant.noticed, clock.timestamp()[:13]
        if noticed.get("hour") == hour:
            return False
        due = {_key(each): each for each in expiring(self._tenant) if each.days >= -WEEK}
        for key, each in due.items():
            if each.notice < noticed.get(key, math.inf):
                _log(self._tenant, each)
        noticed.clear()
        noticed.update({key: each.notice for key, each in due.items()}, hour=hour)
        return False

    def settled(self) -> bool:
        return True

    def finish(self) -> None:
        """Do nothing: the next process logs what is due."""


def _key(each: Expiring) -> str:
    """Return what has its notices of its own: a secret; a consent, whose refreshes put it off."""
    id_ = each.credential.id
    return id_ if each.credential.kind == GRANT else f"{id_} {each.expires_at}"


def _log(tenant: Tenant, each: Expiring) -> None:
    fields = {
        "ledger": tenant.name,
        "credential": each.credential.name,
        "id": each.credential.id,
        "kind": each.kind,
        "expires_at": each.expires_at,
        "days": each.days,
        "do": each.advice,
    }
    says = "a credential has expired" if each.expired else "a credential expires soon"
    LOGGER.warning(says, extra={"fields": fields})
