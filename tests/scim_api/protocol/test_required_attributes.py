"""Attributes that an operator declared required: the error names the missing one."""

import pytest

from scim_api.protocol.policy import PRESETS
from scim_api.protocol.schema.resource_types import ENTERPRISE_URN, USER_URN
from scim_api.tenants import configure
from tests.scim_api.client import employee, refusal, replace, user
from tests.scim_api.schemas_of_operators import opened, require

EMAILS = [{"value": "jane@example.com"}]
NAME = {"givenName": "Jane", "familyName": "Doe"}
DEPARTMENT = f"{ENTERPRISE_URN}:department"


@pytest.fixture
def demanding(api):
    """Return a client of a ledger whose users need an e-mail address and a whole name."""
    require(api.site, "emails", "name.givenName", "name.familyName")
    return api


@pytest.mark.parametrize(
    ("attributes", "missing"),
    [
        ({"name": NAME}, "emails"),
        ({"name": NAME, "emails": []}, "emails"),
        ({"name": NAME, "emails": None}, "emails"),
        ({"name": NAME, "emails": ""}, "emails"),
        ({"name": NAME, "emails": [{"value": ""}]}, "emails"),
        ({"name": NAME, "emails": [{}]}, "emails"),
        ({"name": NAME, "emails": [{"value": "", "type": "work", "primary": True}]}, "emails"),
        ({"name": NAME, "emails": [{"type": "work", "display": "W"}]}, "emails"),
        ({"emails": EMAILS, "name": {"familyName": "Doe"}}, "name.givenName"),
        ({"emails": EMAILS, "name": NAME | {"givenName": ""}}, "name.givenName"),
        ({"emails": EMAILS, "name": NAME | {"givenName": " "}}, "name.givenName"),
        ({"emails": EMAILS, "name": {}}, "name.givenName"),
        ({"emails": EMAILS}, "name.givenName"),
        ({"emails": EMAILS}, "name.familyName"),
    ],
    ids=str,
)
def test_a_user_without_a_required_attribute_is_refused_and_it_is_named(
    demanding, attributes, missing
):
    status, scim_type, detail = refusal(demanding.post(user() | attributes))

    assert (status, scim_type) == (400, "invalidValue")
    assert f"{missing} is required and must not be empty" in detail
    assert demanding.types() == []


def test_all_that_is_missing_is_named_at_once(demanding):
    detail = refusal(demanding.post(user()))[2]

    for name in ("emails", "name.givenName", "name.familyName"):
        assert f"{name} is required" in detail


def test_a_user_with_all_of_it_is_taken(demanding):
    assert demanding.post(user(emails=EMAILS, name=NAME)).status_code == 201


def test_a_put_that_leaves_one_out_is_refused(demanding):
    created = demanding.create(emails=EMAILS, name=NAME)

    assert "emails is required" in refusal(demanding.put(created, user(name=NAME)))[2]


@pytest.mark.parametrize("path", ["emails", "name", "name.givenName"])
def test_a_patch_cannot_remove_one(demanding, path):
    created = demanding.create(emails=EMAILS, name=NAME)

    response = demanding.patch(created, {"op": "remove", "path": path})

    assert refusal(response)[0] == 400
    assert path.partition(".")[0] in refusal(response)[2]


@pytest.mark.parametrize("policy", PRESETS)
def test_no_patch_leaves_a_required_list_without_a_value(demanding, policy):
    created = demanding.create(emails=[{"value": "jane@example.com", "type": "work"}], name=NAME)
    demanding.token = demanding.site.issue(demanding.ledger, policy=policy).token
    at_work, empty = 'emails[type eq "work"]', [{"type": "work", "primary": True, "value": ""}]
    operations = [
        {"op": "remove", "path": "emails.value"},
        {"op": "remove", "path": f"{at_work}.value"},
        {"op": "remove", "path": at_work},
        {"op": "replace", "path": f"{at_work}.value", "value": ""},
        {"op": "add", "path": f"{USER_URN}:{at_work}.value", "value": None},
        {"op": "replace", "path": at_work, "value": {"value": None}},
        {"op": "replace", "path": "emails", "value": empty},
        {"op": "replace", "value": {"emails": [{"type": "work"}]}},
        {"op": "replace", "value": {f"{at_work}.value": ""}},
    ]

    refused = [demanding.patch(created, operation).status_code for operation in operations]

    assert refused == [400] * len(operations)
    assert demanding.get(f"/Users/{created['id']}").json == created


@pytest.mark.parametrize("policy", PRESETS)
def test_removing_the_values_of_a_required_list_is_a_matter_of_mutability(demanding, policy):
    created = demanding.create(emails=[{"value": "jane@example.com", "type": "work"}], name=NAME)
    demanding.token = demanding.site.issue(demanding.ledger, policy=policy).token

    at_work = 'emails[type eq "work"]'
    for path in ("emails", "emails.value", at_work, f"{at_work}.value"):
        response = demanding.patch(created, {"op": "remove", "path": path})
        assert refusal(response)[:2] == (400, "mutability"), path


def test_one_patch_may_empty_and_fill_a_required_value(demanding):
    created = demanding.create(emails=[{"value": "jane@example.com", "type": "work"}], name=NAME)
    path = 'emails[type eq "work"].value'

    patched = demanding.patch(created, {"op": "remove", "path": path}, replace("j@x.org", path))

    assert patched.json["emails"] == [{"value": "j@x.org", "type": "work"}]


@pytest.mark.parametrize("policy", PRESETS)
def test_an_add_of_no_value_to_a_required_list_that_has_one_is_taken(demanding, policy):
    created = demanding.create(emails=EMAILS, name=NAME)
    demanding.token = demanding.site.issue(demanding.ledger, policy=policy).token

    for value in ([{"value": ""}], [{"type": "home"}], [{}], []):
        patched = demanding.patch(created, {"op": "add", "path": "emails", "value": value})
        assert patched.status_code == 200, value
        assert EMAILS[0] in patched.json["emails"]


@pytest.mark.parametrize("policy", ["okta", "strict"])
def test_a_required_object_is_more_than_blank_parts(api, policy):
    require(api.site, "name")
    created = api.create(name=NAME)
    api.token = api.site.issue(api.ledger, policy=policy).token

    for answer in (
        api.post(user(name={"formatted": ""})),
        api.put(created, user(name={"formatted": " "})),
        api.patch(created, *(replace(" ", f"name.{part}") for part in NAME)),
    ):
        assert refusal(answer)[:2] == (400, "invalidValue")
        assert "name is required and must not be empty" in refusal(answer)[2]


def test_a_required_address_is_more_than_its_type(api):
    require(api.site, "addresses")
    bare, whole = [{"type": "work", "primary": True}], [{"type": "work", "locality": "Bern"}]

    assert "addresses is required" in refusal(api.post(user(addresses=bare)))[2]
    assert api.post(user(addresses=whole)).status_code == 201


@pytest.mark.parametrize("value", [None, ""])
def test_unassigning_a_required_part_is_a_matter_of_mutability(demanding, value):
    created = demanding.create(emails=EMAILS, name=NAME)

    for operation in (
        {"op": "remove", "path": "name.givenName"},
        {"op": "remove", "path": f"{USER_URN}:NAME.givenname"},
        {"op": "replace", "path": "name.givenName", "value": value},
        {"op": "replace", "path": "name", "value": {"givenName": value}},
        {"op": "replace", "value": {"name.givenName": value}},
    ):
        status, scim_type, detail = refusal(demanding.patch(created, operation))
        assert (status, scim_type) == (400, "mutability")
        assert "name.givenName is required" in detail


def test_a_patch_of_something_else_is_taken(demanding):
    created = demanding.create(emails=EMAILS, name=NAME)

    assert demanding.patch(created, replace({"active": False})).json["active"] is False


def test_a_part_of_each_value_can_be_required(api):
    require(api.site, "emails.value")

    detail = refusal(api.post(user(emails=[{"type": "work"}])))[2]

    assert "emails[0].value is required" in detail
    assert "emails is required" in refusal(api.post(user()))[2]


def test_an_attribute_of_an_extension_can_be_required(api):
    require(api.site, DEPARTMENT)

    assert f"{DEPARTMENT} is required" in refusal(api.post(user()))[2]
    assert api.post(employee()).status_code == 201


def test_schemas_announces_required_attributes(demanding):
    attributes = demanding.get(f"/Schemas/{USER_URN}").json["attributes"]

    required = {each["name"]: each for each in attributes if each["required"]}
    subs = {each["name"]: each["required"] for each in required["name"]["subAttributes"]}
    assert required.keys() == {"userName", "name", "emails"}
    assert {name for name, needed in subs.items() if needed} == {"givenName", "familyName"}


def test_groups_keep_their_own_required_attributes(demanding):
    body = {"schemas": ["urn:ietf:params:scim:schemas:core:2.0:Group"], "displayName": "g"}

    assert demanding.post(body, "/Groups").status_code == 201


def test_a_released_attribute_is_not_needed_any_more(demanding):
    with opened(demanding.site) as (tenant, metadata):
        names = ["EMAILS", "name.givenName", "name.familyName"]
        gone = configure.release(tenant, names, metadata)

    assert gone == ["emails", "name.givenName", "name.familyName"]
    assert demanding.post(user()).status_code == 201


def test_another_ledger_does_not_need_it(site):
    one, other = site.make("one"), site.make("other")
    require(site, "emails", ledger="one")

    assert one.post(user()).status_code == 400
    assert other.post(user()).status_code == 201
