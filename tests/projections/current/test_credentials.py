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
from projections.current.credentials import Credential
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
