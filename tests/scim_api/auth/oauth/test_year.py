"""A year of an app that Okta refreshes every hour, in the same process and with its clock."""

import json
import tempfile
from datetime import timedelta
from itertools import product
from pathlib import Path

import pytest
from click.testing import CliRunner
from freezegun import freeze_time

import app
from ledger import clock
from tests.scim_api.auth.oauth.service import Service
from tests.scim_api.client import Site, user
from tests.scim_api.routes.oauth.browser import CALLBACK, Browser

DAYS = 365
IDLE_DAYS = 90  # so that most refresh tokens of the year would have expired within it
MEMORY = Path("/dev/shm")  # a disk would be waited for 9,000 times
PROBE = "/Users?startIndex=1&count=2"


class Year:
    """An app of Okta's, with the tokens that it has now."""

    def __init__(self, site):
        self.browser = Browser(site.make())
        self.secret = {"client_id": self.browser.client.client_id}
        self.secret["client_secret"] = self.browser.secret
        self.endpoint = Service(site)  # the same without HTTP, which takes longer
        self.endpoint.with_lifetimes(refresh=timedelta(days=IDLE_DAYS))
        form = {"grant_type": "authorization_code", "redirect_uri": CALLBACK}
        self.tokens = self.asks(**form, code=self.browser.consent()).json

    def asks(self, **form):
        return self.browser.ask("POST", "/oauth/token", {**form, **self.secret})

    def refreshes(self, *, by_http):
        """Refresh, and return the answer."""
        token = self.tokens["refresh_token"]
        if by_http:
            return self.asks(grant_type="refresh_token", refresh_token=token).json
        return self.endpoint.refresh((self.browser.client, self.browser.secret), token)

    def scim(self, method, path, body=None):
        headers = {"Authorization": f"Bearer {self.tokens['access_token']}"}
        return self.browser.api.ask(method, path, body, headers=headers).status_code

    def passes(self, time):
        """Refresh every hour, with requests between; return all refresh tokens.

        Once a day a user is created, and the answer to a refresh is lost.
        """
        former = []
        for day, hour in product(range(DAYS), range(24)):
            if hour == 0:
                assert self.scim("POST", "/Users", user(f"day{day}@example.com")) == 201
            elif hour % 6 == 0:
                assert self.scim("GET", PROBE) == 200
            time.tick(3600)
            former.append(self.tokens["refresh_token"])
            lost = None if hour else self.refreshes(by_http=True)
            answer = self.refreshes(by_http=not hour)
            assert lost in (None, answer)
            self.tokens = answer
        return former


@pytest.mark.slow
def test_a_year_of_hourly_refreshes_is_proved_rebuilt_and_bounded():
    with tempfile.TemporaryDirectory(dir=MEMORY if MEMORY.is_dir() else None) as folder:
        site = Site(Path(folder) / "data", SCIM_REFRESH_TOKEN_DAYS=str(IDLE_DAYS))
        with freeze_time(clock.now()) as time:
            year = Year(site)
            former = year.passes(time)
            events = must_hold(site)
            rows = rows_of(site)
            yesterday = year.asks(grant_type="refresh_token", refresh_token=former[-24])
            time.tick(timedelta(seconds=1))
            after = year.scim("GET", PROBE)

        assert events["TokensIssued"] == DAYS * 24 + 1
        assert events["Created"] == DAYS
        assert sum(events.values()) < DAYS * 25 + 20
        assert 0 <= rows["secret"] - IDLE_DAYS * 24 < 10
        assert rows["credential"] == 4  # a token, a client, its grant, a one-time code
        assert (yesterday.status_code, yesterday.json["error"]) == (400, "invalid_grant")
        assert after == 401
        assert rows_of(site)["secret"] < 10
        year.endpoint.close()
        site.close()


def must_hold(site):
    """Have the ledger verified, rebuilt and checked; return how many events of each type it has."""
    shell = CliRunner(env={"SCIM_DATA_DIR": str(site.data_dir)})
    for words in (["projections", "rebuild"], ["projections", "check"], ["verify"]):
        ended = shell.invoke(app.cli, words)
        assert ended.exit_code == 0, ended.output
    listed = json.loads(shell.invoke(app.cli, ["client", "list", "--json"]).stdout)
    [consent] = listed[0]["consents"]
    assert consent["last_refresh_at"] == clock.timestamp()
    events = dict[str, int]()
    for event in site.events():
        events[event.type] = events.get(event.type, 0) + 1
    return events


def rows_of(site):
    """Return how many rows some tables have."""
    with site.runtime.tenants.named("default").ledger.reading() as connection:
        return {
            name: connection.execute(f"SELECT count(*) FROM {name}").fetchone()[0]
            for name in ("credential", "secret")
        }
