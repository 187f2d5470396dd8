"""The setting `adopt`: a POST of an existing inactive user reactivates it."""

import pytest

from scim_api.protocol.schema.attributes import Attribute, Schema
from scim_api.tenants.configure import add_schema, set_policy
from tests.scim_api.client import refusal, user
from tests.scim_api.schemas_of_operators import opened


@pytest.fixture
def adopting(api):
    """Return a client of a ledger that adopts."""
    tenant = api.site.console.tenant(api.ledger)
    set_policy(tenant, "okta", {"adopt": True}, api.site.console.metadata())
    tenant.close()
    return api


def inactive(api, **attributes):
    created = api.create("jane@example.com", externalId="00u1", **attributes)
    api.patch(created, {"op": "replace", "path": "active", "value": False})
    return created


def test_an_inactive_user_with_both_names_is_reactivated_with_the_posted_values(adopting):
    before = inactive(adopting, title="Old")

    response = adopting.post(user("JANE@example.com", externalId="00u1", nickName="J"))

    assert response.status_code == 201
    assert response.json["id"] == before["id"]
    assert response.headers["Location"].endswith(before["id"])
    assert (response.json["active"], response.json["nickName"]) == (True, "J")
    assert "title" not in response.json
    assert adopting.types()[-2:] == ["Updated", "Reactivated"]


def test_an_adoption_is_counted_and_named_in_the_log_and_a_refused_one_is_not(adopting, capsys):
    inactive(adopting)
    adopting.post(user("jane@example.com", externalId="00u2"))
    refused = capsys.readouterr().err
    adopting.post(user("jane@example.com", externalId="00u1"))
    adopted = capsys.readouterr().err
    adopting.site.close()

    assert '"adopt"' not in refused
    assert '"tolerated":["adopt"]' in adopted
    with opened(adopting.site) as (tenant, _):
        [used] = [row for row in tenant.usage.tolerance_uses() if row.name == "adopt"]
    assert used.requests == 1


def test_off_by_default_it_is_409(api):
    inactive(api)

    assert refusal(api.post(user("jane@example.com", externalId="00u1")))[:2] == (409, "uniqueness")


@pytest.mark.parametrize("external_id", ["00u2", "00U1", None])
def test_another_external_id_takes_nobody_over(adopting, external_id):
    before = inactive(adopting)
    given = {"externalId": external_id} if external_id else {}

    assert refusal(adopting.post(user("jane@example.com", **given)))[0] == 409
    assert adopting.get(adopting.path(before)).json["active"] is False


def test_two_users_without_external_id_are_not_the_same(adopting):
    created = adopting.create("jane@example.com")
    adopting.patch(created, {"op": "replace", "path": "active", "value": False})

    assert refusal(adopting.post(user("jane@example.com")))[0] == 409


def test_an_active_user_is_not_taken_over(adopting):
    adopting.create("jane@example.com", externalId="00u1")

    assert refusal(adopting.post(user("jane@example.com", externalId="00u1")))[0] == 409


def test_a_user_who_is_to_stay_inactive_is_not_brought_back(adopting):
    before = inactive(adopting)

    response = adopting.post(user("jane@example.com", externalId="00u1", active=False))

    assert refusal(response)[0] == 409
    assert adopting.get(adopting.path(before)).json["active"] is False


def test_another_unique_attribute_is_no_reason_to_adopt(adopting):
    tenant = adopting.site.console.tenant(adopting.ledger)
    badge = Attribute("badge", "The card.", uniqueness="server")
    schema = Schema("urn:example:scim:2.0:User", "Badge", "Badges.", (badge,))
    add_schema(tenant, schema, "User", adopting.site.console.metadata(), lambda *_: None)
    tenant.close()
    badged = {schema.id: {"badge": "7"}}
    before = inactive(adopting, **badged)

    response = adopting.post(user("other@example.com", externalId="00u1", **badged))

    assert refusal(response)[0] == 409
    assert adopting.get(adopting.path(before)).json["userName"] == "jane@example.com"
