"""The configuration: the newest value of every setting, and the version it has."""

import pytest

from ledger.events import CREDENTIAL_ISSUED, SETTINGS_CHANGED, Event
from projections.current.configuration import Settings
from projections.runner import StoredProjection
from scim_api import wiring
from scim_api.tenants.tenants import Tenant


@pytest.fixture
def change(tenant: Tenant, recorder):
    """Return what records a change of the settings."""
    record = recorder(tenant.ledger)
    return lambda effects: record(
        f"Settings-{tenant.ledger.tenant}", Event(SETTINGS_CHANGED, effects)
    )


def test_a_new_ledger_has_no_settings_and_version_0(tenant: Tenant) -> None:
    assert tenant.settings() == Settings(0, {})


def test_a_setting_has_its_newest_value(tenant: Tenant, change) -> None:
    change({"policy": "entra", "required": ["emails"]})
    change({"policy": "strict"})

    assert tenant.settings() == Settings(2, {"policy": "strict", "required": ["emails"]})


def test_null_unassigns_a_setting_and_still_counts_as_a_version(tenant: Tenant, change) -> None:
    change({"policy": "entra"})
    change({"policy": None})

    assert tenant.settings() == Settings(2, {})


def test_the_request_that_caused_a_change_is_no_setting(tenant: Tenant, change) -> None:
    change({"tolerances": {"adopt": True}})

    assert list(tenant.settings().values) == ["tolerances"]


def test_events_of_other_types_change_no_setting(tenant: Tenant, recorder) -> None:
    recorder(tenant.ledger)("User-1", Event("Created", {"userName": "x", "policy": "strict"}))

    assert tenant.settings() == Settings(0, {})


def test_a_rebuild_gives_the_same_rows_and_version(tenant: Tenant, change) -> None:
    change({"policy": "entra", "default_role": {"value": "member"}})
    schema = {"id": "urn:x:y", "name": "ü", "attributes": []}
    change({"policy": None, "schema:urn:x:y": {"resourceType": "User", "schema": schema}})
    before = tenant.settings()

    StoredProjection(tenant.ledger, tenant.configuration).rebuild()

    assert tenant.settings() == before
    assert [p.check() for p in wiring.projections_of(tenant)] == [None] * 4


def test_a_check_finds_a_setting_edited_by_hand(tenant: Tenant, change, foreign) -> None:
    change({"policy": "strict"})
    foreign(tenant.ledger.path).execute("UPDATE configuration SET value = '\"okta\"'")

    difference = StoredProjection(tenant.ledger, tenant.configuration).check()

    assert str(difference) == (
        "projection configuration: table configuration differs from a rebuild at key policy (value)"
    )


def test_a_credential_comes_with_the_version_of_the_settings(
    tenant: Tenant, change, recorder
) -> None:
    issued = {"name": "okta", "sha256": "ab" * 32, "policy": "entra", "user": "u1"}
    recorder(tenant.ledger)("Credential-1", Event(CREDENTIAL_ISSUED, issued))
    change({"policy": "strict"})

    with tenant.ledger.reading() as connection:
        found = tenant.credentials.by_hash(connection, "ab" * 32)

    assert found is not None
    assert (found[0].policy, found[0].user, found[1]) == ("entra", "u1", 1)


def test_an_unknown_hash_finds_nothing(tenant: Tenant) -> None:
    with tenant.ledger.reading() as connection:
        assert tenant.credentials.by_hash(connection, "00" * 32) is None
