"""Credentials: what a token may do, also one made before there were scopes."""

from collections.abc import Callable
from pathlib import Path

import pytest

import app
from ledger import events
from ledger.contract import LedgerUnavailable
from ledger.events import Event, Recorded
from ledger.sqlite import ledger
from ledger.sqlite.connection import Connection
from ledger.sqlite.ledger import SQLiteLedger
from projections.current.credentials import Credential, Use
from projections.runner import StoredProjection
from scim_api import wiring
from scim_api.tenants.tenants import Tenant

Record = Callable[..., list[Recorded]]

# by revision: what a program of that time recorded
ISSUED = {
    1: {"name": "first", "sha256": f"{1:064x}"},
    2: {"name": "second", "sha256": f"{2:064x}", "policy": "entra"},
    3: {"name": "third", "sha256": f"{3:064x}", "scopes": ["audit", "read"]},
}
SCOPES = {"first": {"provision"}, "second": {"provision"}, "third": {"audit", "read"}}


@pytest.fixture
def issued(
    tenant: Tenant, recorder: Callable[[SQLiteLedger], Record], monkeypatch: pytest.MonkeyPatch
) -> Tenant:
    """Return a ledger with a token of each revision, each recorded as of that revision."""
    for revision, effects in ISSUED.items():
        with monkeypatch.context() as patch:
            then = {**events.REVISIONS, events.CREDENTIAL_ISSUED: revision}
            patch.setattr(ledger, "REVISIONS", then)
            record = recorder(tenant.ledger)
            record(f"Credential-{revision}", Event(events.CREDENTIAL_ISSUED, effects))
    return tenant


def all_of(tenant: Tenant) -> list[Credential]:
    with tenant.ledger.reading() as connection:
        return tenant.credentials.all(connection)


def scopes_of(tenant: Tenant) -> dict[str, frozenset[str]]:
    return {credential.name: credential.scopes for credential in all_of(tenant)}


def test_the_events_are_of_the_revision_they_were_recorded_as(
    issued: Tenant, foreign: Callable[[Path], Connection]
) -> None:
    rows = foreign(issued.ledger.path).execute(
        "SELECT revision FROM event WHERE type = 'CredentialIssued' ORDER BY position"
    )

    assert [revision for (revision,) in rows] == [1, 2, 3]


def test_a_token_whose_event_names_no_scopes_provisions_and_no_more(issued: Tenant) -> None:
    assert scopes_of(issued) == SCOPES


def test_a_rebuild_from_events_of_every_revision_gives_the_same_credentials(
    issued: Tenant,
) -> None:
    before = all_of(issued)

    StoredProjection(issued.ledger, issued.credentials).rebuild()

    assert all_of(issued) == before
    assert scopes_of(issued) == SCOPES
    assert StoredProjection(issued.ledger, issued.credentials).check() is None


def test_a_token_of_no_scope_at_all_stays_one(
    tenant: Tenant, recorder: Callable[[SQLiteLedger], Record]
) -> None:
    effects = {"name": "none", "sha256": "0" * 64, "scopes": []}
    recorder(tenant.ledger)("Credential-1", Event(events.CREDENTIAL_ISSUED, effects))

    assert scopes_of(tenant) == {"none": frozenset()}


def test_a_ledger_of_the_program_before_is_migrated_and_its_tokens_provision(
    issued: Tenant, foreign: Callable[[Path], Connection]
) -> None:
    path = issued.ledger.path
    issued.close()
    older = foreign(path)
    older.execute("ALTER TABLE credential DROP COLUMN scopes")
    older.execute("UPDATE checkpoint SET revision = 2 WHERE projector = 'credentials'")
    with pytest.raises(LedgerUnavailable, match="run `scim-ledger migrate`"):
        wiring.open_tenant(path)

    assert app.console().migrate("acme") == ["built projection credentials"]

    migrated = wiring.open_tenant(path)
    assert scopes_of(migrated) == SCOPES
    migrated.close()


CLIENT_ID = "0123456789abcdef-c"
CONSENT = {
    "client": CLIENT_ID,
    "name": "okta",
    "scopes": ["provision", "read"],
    "sha256": "code",
    "expires_at": "2100",
    "redirect_uri": "https://okta.example/callback",
}


def tokens(number: int, **more: object) -> dict[str, object]:
    return {
        "grant_type": "refresh_token",
        "scopes": ["provision"],
        "access_sha256": f"access {number}",
        "access_expires_at": f"210{number}",
        "refresh_sha256": f"refresh {number}",
        "refresh_expires_at": f"220{number}",
        **more,
    }


@pytest.fixture
def granted(tenant: Tenant, recorder: Callable[[SQLiteLedger], Record]) -> Tenant:
    """Return a ledger with a client and its grant, which was refreshed once."""
    record = recorder(tenant.ledger)
    client = {"name": "okta", "grants": ["refresh_token"], "scopes": [], "redirect_uris": []}
    record("Client-c", Event(events.CLIENT_REGISTERED, {**client, "sha256": "secret"}))
    record("Grant-g", Event(events.CONSENT_GIVEN, CONSENT))
    record("Grant-g", Event(events.TOKENS_ISSUED, tokens(1, redeems="code")))
    record("Grant-g", Event(events.TOKENS_ISSUED, tokens(2, redeems="refresh 1", salt="s")))
    return tenant


def presented(tenant: Tenant, sha256: str) -> Credential | None:
    with tenant.ledger.reading() as connection:
        found = tenant.credentials.by_hash(connection, sha256)
    return found[0] if found else None


def test_only_a_token_or_an_access_token_lets_a_request_in(granted: Tenant) -> None:
    found = {each: presented(granted, each) for each in ("secret", "code", "refresh 2", "access 1")}

    assert {each for each, credential in found.items() if credential} == {"access 1"}
    access = presented(granted, "access 2")
    assert access is not None
    assert (access.id, access.client, access.expires_at) == ("g", CLIENT_ID, "2102")
    assert access.scopes == {"provision"}  # narrower than its grant's


def test_a_grant_is_allowed_no_more_than_its_client(
    granted: Tenant, recorder: Callable[[SQLiteLedger], Record]
) -> None:
    paused = {"allows": "reads", "networks": ["192.0.2.0/24"]}
    recorder(granted.ledger)("Client-c", Event(events.CREDENTIAL_CHANGED, paused))

    access = presented(granted, "access 2")

    assert access is not None
    assert (access.allows, access.networks) == ("reads", ("192.0.2.0/24",))
    recorder(granted.ledger)("Client-c", Event(events.CLIENT_REMOVED))
    ended = presented(granted, "access 2")
    assert ended is not None
    assert ended.revoked_at


def test_of_two_secrets_that_were_replaced_only_the_newest_goes_on_for_a_while(
    tenant: Tenant, recorder: Callable[[SQLiteLedger], Record]
) -> None:
    record = recorder(tenant.ledger)
    record("Credential-t", Event(events.CREDENTIAL_ISSUED, {"name": "t", "sha256": "1"}))
    for number in (2, 3):
        again = {"sha256": f"{number}", "former_until": f"210{number}"}
        record("Credential-t", Event(events.CREDENTIAL_ROTATED, again))

    now = tenant.ledger.end()[1]
    found = [presented(tenant, each) for each in "123"]

    assert [each and each.expires_at for each in found] == [now, "2103", None]


def test_a_redeemed_secret_stays_known_until_its_grant_ends(
    granted: Tenant, recorder: Callable[[SQLiteLedger], Record]
) -> None:
    def known() -> dict[str, bool]:
        with granted.ledger.reading() as connection:
            every = granted.credentials.secrets(connection, "g", Use.REFRESH)
        return {each.sha256: each.spent_at is not None for each in every}

    assert known() == {"refresh 1": True, "refresh 2": False}
    recorder(granted.ledger)("Grant-g", Event(events.REUSE_DETECTED, {"of": "refresh_token"}))
    assert known() == {"refresh 2": False}


def test_a_rebuild_from_the_events_of_clients_and_grants_gives_the_same(granted: Tenant) -> None:
    assert StoredProjection(granted.ledger, granted.credentials).check() is None


def test_a_grant_is_read_at_the_same_cost_however_often_it_was_refreshed(
    granted: Tenant, recorder: Callable[[SQLiteLedger], Record]
) -> None:
    def steps() -> int:
        taken = 0

        def step() -> int:
            nonlocal taken
            taken += 1
            return 0

        with granted.ledger.reading() as connection:
            connection.set_progress_handler(step, 1)
            found = granted.credentials.get(connection, "g")
            connection.set_progress_handler(None, 1)
        assert found is not None
        return taken

    before = steps()
    for number in range(3, 60):
        issued = tokens(number, redeems=f"refresh {number - 1}", salt="s")
        recorder(granted.ledger)("Grant-g", Event(events.TOKENS_ISSUED, issued))

    assert steps() < before + 10


def test_a_redeemed_refresh_token_is_forgotten_once_it_would_have_expired(
    granted: Tenant, recorder: Callable[[SQLiteLedger], Record]
) -> None:
    for number, former in ((3, 2), (4, 3)):
        issued = tokens(number, redeems=f"refresh {former}", salt="s")
        recorder(granted.ledger)(
            "Grant-g", Event(events.TOKENS_ISSUED, {**issued, "refresh_expires_at": "2000"})
        )

    with granted.ledger.reading() as connection:
        every = granted.credentials.secrets(connection, "g", Use.REFRESH)
        code = granted.credentials.secret(connection, "code", Use.CODE)
    assert [each.sha256 for each in every] == ["refresh 1", "refresh 2", "refresh 4"]
    assert code is not None  # used again, it ends the grant
    assert StoredProjection(granted.ledger, granted.credentials).check() is None
