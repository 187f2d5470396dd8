"""Settings reach every request without a further statement."""

import pytest

from ledger.events import SETTINGS_CHANGED
from ledger.sqlite.connection import connect
from scim_api.protocol.schema.resource_types import RESOURCE_TYPES
from scim_api.tenants.usage import USAGE_FILE, Usage
from tests.scim_api.client import Api, refusal, user
from tests.scim_api.schemas_of_operators import add_schema, opened


def served(api):
    """Return the ledger as the application has it open."""
    [tenant] = api.site.runtime.tenants
    return tenant


def settings_of(site, effects):
    """Record settings as another version of the program may write them."""
    with opened(site) as (tenant, _):
        stream, version = f"Settings-{tenant.ledger.tenant}", tenant.settings().version
    site.append("default", stream, version, (SETTINGS_CHANGED, effects))


@pytest.mark.parametrize("configured", [False, True])
def test_credential_and_settings_are_one_statement(api, configured):
    if configured:
        add_schema(api.site)
    api.get("/Users")
    tenant = served(api)
    statements = []
    with tenant.ledger.reading() as connection:
        connection.set_trace_callback(statements.append)

    tenant.find_credential("00" * 32)

    connection.set_trace_callback(None)
    assert len(statements) == 1


@pytest.mark.parametrize("effects", [{"policy": "later"}, {"tolerances": {"later": True}}], ids=str)
def test_settings_of_a_later_program_make_the_ledger_unavailable_not_lenient(api, effects):
    settings_of(api.site, effects)

    assert refusal(api.post(user()))[0] == 503


def test_a_token_with_a_policy_of_a_later_program_is_not_served(api):
    token = Api(api.site, "default", api.site.issue().token)
    settings_of(api.site, {"policy": "okta"})
    with opened(api.site) as (tenant, _), tenant.ledger.writing() as connection:
        connection.execute("UPDATE credential SET policy = 'later'")

    assert refusal(token.get("/Users"))[0] == 503


@pytest.mark.parametrize("resource_type", RESOURCE_TYPES, ids=lambda each: each.name)
def test_built_in_resource_types_withhold_nothing_that_is_kept(resource_type):
    assert not resource_type.withheld


# What was forgiven


def test_tolerances_are_added_up_by_credential_client_and_name(tmp_path, ledger):
    usage = Usage(tmp_path / USAGE_FILE, ledger)
    usage.note("c1", "Okta", {"adopt", "manager_id"}, "2026-11-24T08:00:00Z")
    usage.flush()
    usage.note("c1", "Okta", {"adopt"}, "2026-11-24T09:00:00Z")
    usage.note("c1", "Entra", {"adopt"}, "2026-11-24T07:00:00Z")

    found = [
        (use.client, use.name, use.requests, use.last_at[11:13]) for use in usage.tolerance_uses()
    ]

    assert found == [
        ("Okta", "adopt", 2, "09"),
        ("Okta", "manager_id", 1, "08"),
        ("Entra", "adopt", 1, "07"),
    ]


def test_a_file_of_an_earlier_version_is_read_and_written(tmp_path, ledger):
    (tmp_path / USAGE_FILE).touch()
    connection = connect(tmp_path / USAGE_FILE)
    connection.execute(
        "CREATE TABLE usage (credential TEXT, client TEXT, last_at TEXT, requests INTEGER,"
        " PRIMARY KEY (credential, client)) STRICT"
    )
    connection.close()
    usage = Usage(tmp_path / USAGE_FILE, ledger)

    before = usage.tolerance_uses()
    usage.note("c1", "Okta", {"adopt"}, "2026-11-24T08:00:00Z")

    assert before == []
    assert [use.name for use in usage.tolerance_uses()] == ["adopt"]


def test_a_request_that_needs_no_tolerance_counts_none(api):
    api.create()
    tenant = served(api)

    assert tenant.usage.tolerance_uses() == []
