"""Credentials that an operator should look at: they expire soon, or nobody uses them.

status and doctor show them; the log has a notice 60, 30 and 7 days before one expires, and then.
"""

from dataclasses import dataclass
from datetime import datetime, timedelta

from ledger import clock
from ledger.events import CLIENT, GRANT, TOKEN
from projections.current.credentials import Credential, Use
from scim_api.auth.credentials import credentials_of
from scim_api.logs import LOGGER
from scim_api.tenants import usage
from scim_api.tenants.tenants import Tenant

WEEK = 7  # days; one that expired is named as long, unless it was replaced or revoked
NOTICES = (0, WEEK, 30, 60)  # days before

WORDS = {TOKEN: "token", CLIENT: "client", GRANT: "consent"}


@dataclass(frozen=True, slots=True)
class Expiring:
    """A credential that expires soon, or just did."""

    credential: Credential
    expires_at: str
    expired: bool
    days: int  # until it expires; less than 0 after that day

    @property
    def kind(self) -> str:
        return WORDS[self.credential.kind]

    @property
    def what(self) -> str:
        """What expires, as a sentence begins with it."""
        named = f"{self.kind} {self.credential.name}"
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


def expiring(tenant: Tenant) -> list[Expiring]:
    """Return what expires within 60 days, or did within a week; what is first to expire is first.

    What was revoked is left out.
    """
    now, today, found = clock.timestamp(), clock.now().date(), []
    for each in credentials_of(tenant, TOKEN, CLIENT, GRANT):
        if not each.revoked_at and (expires_at := _expiry_of(tenant, each)):
            days = (datetime.fromisoformat(expires_at).date() - today).days
            if -WEEK <= days <= max(NOTICES):
                found.append(Expiring(each, expires_at, expires_at <= now, days))
    return sorted(found, key=lambda each: each.expires_at)


def _expiry_of(tenant: Tenant, credential: Credential) -> str | None:
    """Return when a credential expires; a client that refreshes in time puts off that of a consent.

    A consent whose code was never redeemed is not missed.
    """
    if credential.kind != GRANT:
        return credential.expires_at
    with tenant.ledger.reading() as connection:
        secrets = tenant.credentials.secrets(connection, credential.id, Use.REFRESH)
    return max((s.expires_at for s in secrets if s.expires_at and not s.spent_at), default=None)


def unused(tenant: Tenant, days: int) -> list[Credential]:
    """Return the live credentials that nobody used for so many days; see tenants.usage.

    Raises SideFileUnavailable.
    """
    now, since = clock.timestamp(), clock.timestamp(clock.now() - timedelta(days=days))
    every = credentials_of(tenant, TOKEN, CLIENT, GRANT)
    return usage.unused(every, tenant.usage.last_use_of_each(), now, since)


class ExpiryNotices:
    """Logs each notice once, as far as this process knows; a job."""

    def __init__(self, tenant: Tenant) -> None:
        self._tenant = tenant
        self.path = tenant.ledger.path

    def step(self) -> bool:
        """Log what is due, once a day."""
        noticed, today = self._tenant.noticed, clock.timestamp()[:10]
        if noticed.get("day") == today:
            return False
        due = {f"{each.credential.id} {each.expires_at}": each for each in expiring(self._tenant)}
        for key, each in due.items():
            if noticed.get(key) != each.notice:
                _log(self._tenant, each)
        noticed.clear()
        noticed.update({key: each.notice for key, each in due.items()}, day=today)
        return False

    def settled(self) -> bool:
        return True

    def finish(self) -> None:
        """Do nothing: the next process logs what is due."""


def _log(tenant: Tenant, each: Expiring) -> None:
    fields = {
        "ledger": tenant.name,
        "credential": each.credential.name,
        "id": each.credential.id,
        "kind": each.kind,
        "expires_at": each.expires_at,
        "days": each.days,
    }
    says = "a credential has expired" if each.expired else "a credential expires soon"
    LOGGER.warning(says, extra={"fields": fields})
