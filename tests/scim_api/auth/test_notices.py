"""Notices before credentials expire, each logged once; credentials that nobody uses."""

import logging

import pytest
from freezegun import freeze_time

from scim_api import wiring
from scim_api.auth import credentials, notices
from scim_api.logs import LOGGER

EXPIRY = "2028-06-30T12:00:00.000000Z"


@pytest.fixture
def tenant(site):
    """Return a ledger with a token that expires, one that never does, and one that was revoked."""
    with freeze_time("2028-01-01T12:00:00Z"):
        tenant = site.console.create("default")
        own = {"expires_at": EXPIRY}
        credentials.issue(tenant, site.console.metadata(), "okta", **own)
        credentials.issue(tenant, site.console.metadata(), "for ever")
        gone = credentials.issue(tenant, site.console.metadata(), "gone", **own)
        credentials.revoke(tenant, site.console.metadata(), gone.id)
    yield tenant
    tenant.close()


def token(tenant, name):
    return next(each for each in credentials.credentials_of(tenant) if each.name == name)


class Listener(logging.Handler):
    """Keeps what is logged."""

    def __init__(self):
        super().__init__()
        self.fields = []

    def emit(self, record):
        self.fields.append(record.fields)


@pytest.fixture
def noticed(tenant, monkeypatch):
    """Return a function that does the ledger's jobs on a day and returns what that logged."""
    listener = Listener()
    monkeypatch.setattr(LOGGER, "handlers", [listener])
    monkeypatch.setattr(LOGGER, "level", logging.INFO)

    def on(day, of=tenant, hour="00"):
        listener.fields.clear()
        with freeze_time(f"{day}T{hour}:00:01Z"):
            *_, job = wiring.jobs_of(of)
            assert (job.step(), job.settled()) == (False, True)
        return [(each["credential"], each["days"], each["expires_at"]) for each in listener.fields]

    return on


def test_each_notice_is_logged_once_at_its_day(noticed):
    days = ("04-30", "05-01", "05-02", "05-31", "06-23", "06-30", "07-01", "07-02")

    logged = {day: [days for _, days, _ in noticed(f"2028-{day}")] for day in days}

    assert logged == dict(zip(days, ([], [60], [], [30], [7], [], [-1], []), strict=True))


def test_a_credential_that_lives_for_hours_has_its_notices_within_the_day(noticed, tenant, site):
    noticed("2028-03-01", hour="09")
    end = "2028-03-01T12:00:00.000000Z"
    with freeze_time("2028-03-01T09:30:00Z"):
        credentials.issue(tenant, site.console.metadata(), "short", expires_at=end)

    logged = [noticed("2028-03-01", hour=hour) for hour in ("10", "11", "12", "13")]

    assert logged == [[("short", 0, end)], [], [("short", 0, end)], []]


def test_a_process_that_begins_does_not_log_what_expired_long_ago(noticed, tenant, site):
    again = site.console.tenant("default")

    assert noticed("2028-08-01", of=again) == []
    again.close()


def test_a_notice_names_the_credential_and_its_end(noticed):
    assert noticed("2028-06-01") == [("okta", 29, EXPIRY)]


def test_a_process_that_begins_logs_the_notice_that_is_due(noticed, tenant, site):
    noticed("2028-06-01")

    again = site.console.tenant("default")

    assert len(noticed("2028-06-02", of=again)) == 1
    again.close()


def test_a_rotated_token_is_noticed_again_before_its_new_end(noticed, tenant, site):
    noticed("2028-06-01")
    okta = token(tenant, "okta")
    ends = {"expires_at": "2028-08-01T00:00:00.000000Z", "former_until": "2028-06-09"}
    with freeze_time("2028-06-02T12:00:00Z"):
        credentials.rotate(tenant, site.console.metadata(), okta, **ends)

    logged = [noticed(day) for day in ("2028-06-03", "2028-07-01", "2028-07-02")]

    at = ends["expires_at"]
    assert logged == [[("okta", 59, at)], [], [("okta", 30, at)]]


def test_a_credential_is_unused_when_neither_it_nor_its_use_is_younger(tenant):
    okta = token(tenant, "okta")
    with freeze_time("2028-03-01T12:00:00Z"):
        tenant.usage.note(okta.id, "Okta", (), "2028-03-01T12:00:00.000000Z")
        tenant.usage.flush()

        found = [notices.unused(tenant, days) for days in (61, 59)]

    assert [[each.name for each in some] for some in found] == [[], ["for ever"]]
