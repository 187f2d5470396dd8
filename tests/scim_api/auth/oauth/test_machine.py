"""Whatever two clients and the operator do with two ledgers: tokens open what a model says."""

import shutil
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from tempfile import TemporaryDirectory

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)

from ledger import clock
from scim_api.auth import credentials
from scim_api.auth.oauth.clients import BY_CONSENT, CLIENT_CREDENTIALS
from scim_api.auth.oauth.errors import OAuthError
from tests.scim_api.auth.oauth.service import Service
from tests.scim_api.client import Site

MINUTE, HOUR, YEAR = timedelta(minutes=1), timedelta(hours=1), timedelta(days=365)
LEDGERS = ("acme", "beta")  # each is the home of one client
SECONDS = (1, 58, 59, 60, 61, 3541, 3600, 86_400, 365 * 86_400)


@dataclass
class Owner:
    """A grant, or a client that acts itself."""

    client: str
    ledger: str
    id: str
    live: bool = True
    recorded: int = 1  # events of its stream


@dataclass
class Proof:
    """A code or a refresh token."""

    text: str
    owner: Owner
    expires_at: datetime
    spent_at: datetime | None = None
    pair: tuple[str, str] | None = None  # what it was redeemed for


@dataclass
class Access:
    """An access token."""

    text: str
    owner: Owner
    expires_at: datetime
    revoked: bool = False


def of(name):
    """Return the condition that there is one of the things of a name."""
    return precondition(lambda self: getattr(self, name))


class OAuth(RuleBasedStateMachine):
    template: Path  # a data directory with the two ledgers
    who, which = st.sampled_from(LEDGERS), st.integers(0, 5)

    def __init__(self):
        super().__init__()
        self.folder = TemporaryDirectory()
        data = Path(self.folder.name) / "data"
        shutil.copytree(self.template, data)
        self.service = Service(Site(data))
        self.now = datetime(2030, 1, 1, tzinfo=UTC)
        self.codes, self.refreshes, self.accesses, self.grants = [], [], [], []
        with self.at_this_time():
            both = {"grants": [*BY_CONSENT, CLIENT_CREDENTIALS], "name": "client"}
            self.clients = {name: self.service.register(name, **both) for name in LEDGERS}
        self.selves = {name: Owner(name, name, self.clients[name][0].id) for name in LEDGERS}

    def at_this_time(self):
        return clock.pretending(self.now)

    def attempt(self, ask, *arguments):
        """Return the answer, or None if it is refused."""
        with self.at_this_time():
            try:
                return ask(*arguments)
            except OAuthError as error:
                assert error.error == "invalid_grant"
                return None

    @rule(seconds=st.sampled_from(SECONDS))
    def wait(self, seconds):
        self.now += timedelta(seconds=seconds)

    @rule(client=who, ledger=who)
    def consent(self, client, ledger):
        with self.at_this_time():
            code = self.service.consent(self.clients[client][0], ledger)
        grant = Owner(client, ledger, self.service.events(ledger)[-1].subject)
        self.grants.append(grant)
        self.codes.append(Proof(code, grant, self.now + MINUTE))

    @of("codes")
    @rule(client=who, which=which)
    def redeem(self, client, which):
        code = latest(self.codes, which)
        self.follow(
            client, code, self.attempt(self.service.redeem, self.clients[client], code.text)
        )

    @of("refreshes")
    @rule(client=who, which=which)
    def refresh(self, client, which):
        token = latest(self.refreshes, which)
        answer = self.attempt(self.service.refresh, self.clients[client], token.text)
        ours = token.owner.live and token.owner.client == client
        if ours and token.spent_at and self.now <= token.spent_at + MINUTE:
            assert (answer["access_token"], answer["refresh_token"]) == token.pair
        else:
            self.follow(client, token, answer)

    def follow(self, client, proof, answer):
        """Check an answer, and follow what it changes."""
        owner = proof.owner
        if client != owner.client or not owner.live:
            assert answer is None
        elif proof.spent_at:
            assert answer is None
            owner.recorded += 1  # ReuseDetected
            owner.live = False
        elif self.now >= proof.expires_at:
            assert answer is None
        else:
            owner.recorded += 1
            access, refresh = proof.pair = answer["access_token"], answer["refresh_token"]
            proof.spent_at = self.now
            self.accesses.append(Access(access, owner, self.now + HOUR))
            self.refreshes.append(Proof(refresh, owner, self.now + YEAR))

    @rule(client=who)
    def act_itself(self, client):
        with self.at_this_time():
            token = self.service.of_itself(self.clients[client])["access_token"]
        self.selves[client].recorded += 1
        self.accesses.append(Access(token, self.selves[client], self.now + HOUR))

    @of("accesses")
    @rule(client=who, which=which)
    def give_back_an_access_token(self, client, which):
        access = latest(self.accesses, which)
        self.attempt(self.service.revoke, self.clients[client], access.text)
        live = access.owner.live and not access.revoked and self.now < access.expires_at
        if live and client == access.owner.client:
            access.revoked = True
            access.owner.recorded += 1

    @of("refreshes")
    @rule(client=who, which=which)
    def give_back_a_refresh_token(self, client, which):
        token = latest(self.refreshes, which)
        self.attempt(self.service.revoke, self.clients[client], token.text)
        if token.owner.live and client == token.owner.client:
            token.owner.live = False
            token.owner.recorded += 1

    @precondition(lambda self: any(grant.live for grant in self.grants))
    @rule(which=which)
    def withdraw(self, which):
        grant = latest([grant for grant in self.grants if grant.live], which)
        with self.at_this_time():
            tenant, metadata = self.service.ledger(grant.ledger), self.service.metadata()
            credentials.revoke(tenant, metadata, grant.id)
        grant.live = False
        grant.recorded += 1

    @invariant()
    def tokens_open_what_they_should(self):
        with self.at_this_time():
            for access in self.accesses:
                owner = access.owner
                live = owner.live and not access.revoked and self.now < access.expires_at
                for ledger in LEDGERS:
                    expected = live and ledger == owner.ledger
                    assert self.service.opens(access.text, ledger) == expected

    @invariant()
    def nothing_else_is_recorded(self):
        for ledger in LEDGERS:
            grants = sum(grant.recorded for grant in self.grants if grant.ledger == ledger)
            assert len(self.service.events(ledger)) == grants
            itself = self.selves[ledger].recorded
            assert len(self.service.events(ledger, "Client")) == itself

    def teardown(self):
        self.service.must_be_rebuildable()
        self.service.close()
        self.folder.cleanup()


def latest(things, which):
    """Return one of the newest things: old ones are of little interest."""
    return things[-1 - which % len(things)]


def test_tokens_open_what_they_should_whatever_happened_before(two_ledgers):
    OAuth.template = two_ledgers
    run_state_machine_as_test(
        OAuth,
        settings=settings(
            max_examples=25,
            stateful_step_count=30,
            deadline=None,
            suppress_health_check=list(HealthCheck),
        ),
    )
