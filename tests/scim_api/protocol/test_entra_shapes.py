"""What Entra and Microsoft's SCIM Validator send for users, under the default policy and their own.

All through HTTP, but for the preset `entra`, whose PATCH is applied by itself.
"""

import pytest

from scim_api.protocol.errors import NoTarget
from scim_api.protocol.patch.message import patched
from scim_api.protocol.policy import PRESETS, Tolerances
from scim_api.protocol.schema.resource_types import ENTERPRISE_URN, USER, USER_URN
from tests.scim_api.client import LIST_URN, patch, refusal

MANAGER = f"{ENTERPRISE_URN}:manager"
JUNK = "  Ünïcödé\t<&>'\"\\ /zz-ZZ_404 \u2028e\u0301 "
ROLE = 'roles[primary eq "True"]'
FLAG = {"query_string": {"aadOptscim062020": ""}}

VALIDATOR_USER = {
    "schemas": [USER_URN, ENTERPRISE_URN],
    "externalId": "0a21f0f2-8d2a-4f8e-bf98-7363c4aed4ef",
    "userName": "Test_User_ab6490ee@Example.com",
    "active": "True",
    "displayName": "BOBBIE",
    "nickName": "CASTRKQT",
    "profileUrl": JUNK,
    "title": "MXQJYTWL",
    "userType": "YXQKQLCK",
    "locale": JUNK,
    "timezone": JUNK,
    "preferredLanguage": JUNK,
    "meta": {"resourceType": "User", "created": "junk"},
    "name": {
        "formatted": "Adrienne",
        "familyName": "Wanda",
        "givenName": "Lauretta",
        "middleName": "Sabryna",
        "honorificPrefix": "Rocky",
        "honorificSuffix": "Johathan",
    },
    "emails": [{"type": "work", "value": "a@b.example", "Primary": "True"}],
    "phoneNumbers": [
        {"type": "work", "value": "1"},
        {"type": "mobile", "value": "2"},
        {"type": "fax", "value": "3"},
    ],
    "addresses": [
        {
            "type": "work",
            "formatted": "F",
            "streetAddress": "S",
            "locality": "L",
            "region": "R",
            "postalCode": "P",
            "country": JUNK,
            "primary": True,
        }
    ],
    "roles": [{"primary": "True", "display": "D", "value": "V", "type": "T"}],
    ENTERPRISE_URN: {
        "employeeNumber": "E",
        "department": "D",
        "costCenter": "C",
        "organization": "O",
        "division": "V",
        "manager": "A4FVXTPQMQ",
    },
}


def same(resource, sent):
    """Return what of a resource a client sent, by the names it used."""
    return {name: resource.get(name) for name in sent}


def as_stored(sent):
    """Return the validator's user in the form in which it is answered."""
    return {name: value for name, value in sent.items() if name != "meta"} | {
        "active": True,
        "emails": [{"type": "work", "value": "a@b.example", "primary": True}],
        "roles": [sent["roles"][0] | {"primary": True}],
        ENTERPRISE_URN: sent[ENTERPRISE_URN] | {"manager": {"value": "A4FVXTPQMQ"}},
    }


def changed(api, user, *operations, **more):
    """Return a user after a PATCH that succeeds."""
    response = api.patch(user, *operations, **more)
    assert response.status_code == 200, response.text
    assert response.json == api.get(f"/Users/{user['id']}").json
    return response.json


def op(op, path=None, *value):
    operation = {"op": op} if path is None else {"op": op, "path": path}
    return operation | ({"value": value[0]} if value else {})


def employed(api, manager="m1"):
    """Create a user with a manager and return it."""
    extension = {"department": "Sales", "manager": {"value": manager}}
    return api.create(schemas=[USER_URN, ENTERPRISE_URN], **{ENTERPRISE_URN: extension})


# Look-ups


@pytest.mark.parametrize(
    "filter_",
    [
        'userName eq "2f1a5b0c-6c5e-4f4e-8f38-7a7f1a2b3c4d"',
        'externalId eq "2f1a5b0c-6c5e-4f4e-8f38-7a7f1a2b3c4d"',
        'emails[type eq "work"].value eq "nobody@example.com"',
        "userName eq nobody",
    ],
)
def test_the_test_of_the_connection_finds_nobody(api, filter_):
    response = api.get("/Users", query_string={"filter": filter_}, content_type=None)

    assert response.status_code == 200
    assert response.json["schemas"] == [LIST_URN]
    assert (response.json["totalResults"], response.json["Resources"]) == (0, [])


@pytest.mark.parametrize(
    "filter_",
    [
        'userName eq "JANE@example.com"',
        "userName eq jane@example.com",
        "(UserName eq jane@example.com) AND (active eq TRUE)",
        'externalId eq "e1"',
        'emails[type eq "work"].value eq "w@x.org"',
        'emails[type eq "work" and value eq "w@x.org"]',
        'emails.Value co "w@"',
        'active eq "True"',
        'roles[primary eq "True"].display eq "D"',
        'meta.Created gt "2020-01-01T00:00:00Z"',
        'name.FamilyName sw "Do" or userName eq "x"',
        f'{MANAGER} eq "m1"',
        'manager eq "m1"',
    ],
)
def test_a_user_is_found(api, filter_):
    found = api.create(
        externalId="e1",
        name={"familyName": "Doe"},
        emails=[{"type": "work", "value": "w@x.org"}],
        roles=[{"primary": "True", "display": "D", "value": "V"}],
        **{ENTERPRISE_URN: {"manager": "m1"}},
    )

    assert api.find(filter_) == [found]


@pytest.mark.parametrize(
    "filter_", ['userName+eq+"JANE@example.com"', "userName%20eq%20%22JANE@example.com%22"]
)
def test_a_filter_may_come_with_plus_signs_and_quotes_as_they_are(api, filter_):
    user = api.create()

    assert api.get(f"/Users?filter={filter_}").json["Resources"] == [user]


def test_a_filter_finds_a_user_by_id_and_manager(api):
    user = employed(api)

    assert api.find(f'id eq "{user["id"]}" and manager eq "m1"') == [user]
    assert api.find(f'id eq "{user["id"]}" and manager eq "m2"') == []


def test_attributes_may_be_asked_for_with_a_filter_in_brackets(api):
    user = api.create(emails=[{"type": "work", "value": "w@x.org"}], title="T")

    shown = api.get(f'/Users/{user["id"]}?attributes=emails[type eq "work"],UserName').json

    assert shown["emails"] == user["emails"]
    assert "title" not in shown


# Creation


def test_the_validators_user_is_answered_field_by_field(api):
    response = api.post(VALIDATOR_USER)

    assert response.status_code == 201
    expected = as_stored(VALIDATOR_USER)
    assert same(response.json, expected) == expected
    assert api.find(f'userName eq "{VALIDATOR_USER["userName"].upper()}"') == [response.json]


@pytest.mark.parametrize(
    "name", ["locale", "profileUrl", "timezone", "preferredLanguage", "title", "externalId"]
)
def test_junk_is_kept_byte_for_byte(api, name):
    created = api.create(**{name: JUNK})
    replaced = changed(api, created, op("replace", name, JUNK[::-1].strip()))

    assert created[name] == JUNK
    assert replaced[name] == JUNK[::-1].strip()


def test_the_user_of_microsofts_collection_is_created(api):
    sent = {
        "UserName": "UserName123",
        "Active": "True",
        "DisplayName": "lennay",
        "Emails": [{"Primary": "true", "type": "work", "value": "t@x.org"}],
        "NAME": {"FamilyName": "Doe"},
        "roles": [],
        "id": None,
        "nickName": None,
    }
    user = api.post({"schemas": [USER_URN], **sent}).json

    assert user["active"] is True
    assert user["displayName"] == "lennay"
    assert user["emails"] == [{"primary": True, "type": "work", "value": "t@x.org"}]
    assert user["name"] == {"familyName": "Doe"}
    assert user["id"]
    assert user.keys().isdisjoint({"roles", "nickName"})


def test_a_duplicate_is_refused_as_such(api):
    api.create("Same@x.org")

    assert refusal(api.post({"schemas": [USER_URN], "userName": "same@X.ORG"}))[:2] == (
        409,
        "uniqueness",
    )


# PATCH with a path for each attribute

ENTERPRISE_PATHS = [
    f"{ENTERPRISE_URN}:{name}"
    for name in ("employeeNumber", "department", "costCenter", "organization", "division")
]
PLAIN_PATHS = [
    *("displayName", "nickName", "profileUrl", "title", "userType", "externalId"),
    *("locale", "timezone", "preferredLanguage"),
    *("name.formatted", "name.familyName", "name.givenName", "name.middleName"),
    *("name.honorificPrefix", "name.honorificSuffix"),
    *ENTERPRISE_PATHS,
]
ADDRESS_PARTS = ["formatted", "streetAddress", "locality", "region", "postalCode", "country"]
FILTER_PATHS = [
    'emails[type eq "work"].value',
    *(f'phoneNumbers[type eq "{kind}"].value' for kind in ("work", "mobile", "fax")),
    *(f'addresses[type eq "work"].{part}' for part in ADDRESS_PARTS),
    *(f"{ROLE}.{part}" for part in ("display", "value", "type")),
]


def in_one_request(name):
    """Return an operation for each path, as the validator sends them in one PATCH."""
    paths = [*PLAIN_PATHS, *FILTER_PATHS]
    operations = [op(name, path, f"new {path}") for path in paths]
    return [*operations, op(name, MANAGER, "AB12CD34"), op(name, "active", "False")]


def check_all_new(user):
    """Check that each attribute has its new value, and that each filter found or made one entry."""
    extension = {path.rpartition(":")[2]: f"new {path}" for path in ENTERPRISE_PATHS}
    assert user[ENTERPRISE_URN] == extension | {"manager": {"value": "AB12CD34"}}
    assert user["name"].keys() == VALIDATOR_USER["name"].keys()
    assert user["name"]["givenName"] == "new name.givenName"
    assert user["locale"] == "new locale"
    assert user["active"] is False
    [email], [address], [role] = user["emails"], user["addresses"], user["roles"]
    assert (email["type"], email["value"]) == ("work", 'new emails[type eq "work"].value')
    assert {part: address[part] for part in ("type", *ADDRESS_PARTS)} == {"type": "work"} | {
        part: f'new addresses[type eq "work"].{part}' for part in ADDRESS_PARTS
    }
    parts = {part: f"new {ROLE}.{part}" for part in ("display", "value", "type")}
    assert role == parts | {"primary": True}
    assert [phone["type"] for phone in user["phoneNumbers"]] == ["work", "mobile", "fax"]
    assert all(phone["value"].startswith("new phone") for phone in user["phoneNumbers"])


@pytest.mark.parametrize("name", ["replace", "Replace", "add", "Add"])
def test_every_attribute_of_a_full_user_is_replaced_in_one_request(api, name):
    user = api.post(VALIDATOR_USER).json

    check_all_new(changed(api, user, *in_one_request(name)))


@pytest.mark.parametrize("name", ["add", "Add"])
def test_every_attribute_is_added_to_a_user_with_a_name_only_in_one_request(api, name):
    check_all_new(changed(api, api.create(), *in_one_request(name)))


def test_a_replace_whose_filter_matches_nothing_is_no_target_by_default(api):
    user = api.create()

    response = api.patch(user, op("Replace", 'emails[type eq "work"].value', "x"))

    assert refusal(response)[:2] == (400, "noTarget")
    assert api.get(f"/Users/{user['id']}").json == user


def test_several_operations_on_one_attribute_are_applied_in_order(api):
    user = changed(
        api,
        api.create(),
        op("add", "displayName", "first"),
        op("remove", "displayName"),
        op("add", "displayName", "second"),
        op("replace", "displayName", "third"),
    )

    assert user["displayName"] == "third"


@pytest.mark.parametrize("path", ["USERNAME", "Name.FamilyName", 'EMAILS[Type eq "WORK"].Value'])
def test_names_in_a_path_may_be_in_any_case(api, path):
    user = api.post(VALIDATOR_USER).json

    assert "new one" in str(changed(api, user, op("Replace", path, "new one")))


# Deactivation


@pytest.mark.parametrize(
    "operation",
    [
        op("Replace", "active", "False"),
        op("Replace", "active", False),
        op("replace", "active", False),
        op("Replace", None, {"active": "False"}),
        op("replace", None, {"active": False}),
        op("Add", "Active", "false"),
        op("Replace", "active", "FALSE"),
    ],
)
def test_a_user_is_disabled_and_still_found(api, operation):
    user = api.create()

    assert changed(api, user, operation)["active"] is False
    assert [found["active"] for found in api.find('userName eq "jane@example.com"')] == [False]
    assert api.types() == ["Created", "Deactivated"]


def test_a_user_is_deleted_for_good(api):
    user = api.create()

    assert api.delete(user).status_code == 204
    assert refusal(api.get(f"/Users/{user['id']}"))[0] == 404
    assert refusal(api.delete(user))[0] == 404


# PATCH without a path


def test_keys_with_dots_and_urns_are_attributes(api):
    user = api.post(VALIDATOR_USER).json
    value = {
        "displayName": "new",
        "Name.GivenName": "new",
        "active": "False",
        f"{USER_URN}:title": "new",
        f"{ENTERPRISE_URN}:employeeNumber": "new",
        f"{MANAGER}": "new",
        'emails[type eq "work"].value': "new",
        f"{ROLE}.display": "new",
    }

    after = changed(api, user, op("replace", None, value), **FLAG)

    assert after["displayName"] == after["title"] == after["name"]["givenName"] == "new"
    assert after["name"]["familyName"] == "Wanda"
    assert after["active"] is False
    assert after[ENTERPRISE_URN]["employeeNumber"] == "new"
    assert after[ENTERPRISE_URN]["department"] == "D"
    assert after[ENTERPRISE_URN]["manager"] == {"value": "new"}
    assert after["emails"][0]["value"] == after["roles"][0]["display"] == "new"


@pytest.mark.parametrize("name", ["add", "Replace"])
def test_a_key_with_a_filter_makes_the_value_it_does_not_find(api, name):
    value = {
        'addresses[type eq "work"].streetAddress': "S",
        'addresses[type eq "work"].locality': "L",
        f"{ROLE}.value": "V",
    }

    after = changed(api, api.create(), op(name, None, value), **FLAG)

    assert after["addresses"] == [{"type": "work", "streetAddress": "S", "locality": "L"}]
    assert after["roles"] == [{"primary": True, "value": "V"}]


def test_a_user_is_renamed_without_a_path(api):
    after = changed(api, api.create(), op("replace", None, {"userName": "New@x.org"}))

    assert after["userName"] == "New@x.org"


def test_no_operations_change_nothing_by_the_policy_and_are_refused_by_the_default(api):
    user = api.create()
    assert refusal(api.patch(user))[:2] == (400, "invalidSyntax")

    api.token = api.site.issue(api.ledger, policy="entra").token

    assert changed(api, user) == user
    assert "Updated" not in api.happened()


# The manager


@pytest.mark.parametrize("path", [MANAGER, MANAGER.upper(), "manager", f"{MANAGER}.value"])
@pytest.mark.parametrize("name", ["Add", "replace"])
def test_a_manager_is_set_by_its_id(api, name, path):
    assert changed(api, employed(api), op(name, path, "m2"))[ENTERPRISE_URN]["manager"] == {
        "value": "m2"
    }
    assert changed(api, api.create("b"), op(name, path, "m2"))[ENTERPRISE_URN] == {
        "manager": {"value": "m2"}
    }


@pytest.mark.parametrize(
    "value",
    [{"value": "m2", "$ref": "u"}, [{"$ref": "u", "value": "m2"}], {"VALUE": "m2", "$Ref": "u"}],
)
def test_a_manager_is_set_by_an_object(api, value):
    after = changed(api, employed(api), op("Add", "manager", value))

    assert after[ENTERPRISE_URN]["manager"]["value"] == "m2"
    assert after[ENTERPRISE_URN]["manager"]["$ref"].endswith("u")


@pytest.mark.parametrize(
    "operation",
    [
        op("remove", MANAGER),
        op("Remove", "manager"),
        op("Remove", MANAGER, "m1"),
        op("Remove", MANAGER, [{"value": "m1"}]),
        op("replace", MANAGER, ""),
        op("replace", MANAGER, {"value": ""}),
        op("replace", MANAGER, [{"value": ""}]),
        op("replace", MANAGER, {"value": None}),
        op("replace", MANAGER, None),
        op("Replace", "manager", ""),
        op("replace", f"{MANAGER}.value", ""),
        op("remove", f"{MANAGER}.value"),
        op("Add", MANAGER, {"value": ""}),
        op("replace", None, {MANAGER: ""}),
        op("replace", None, {MANAGER: {"value": ""}}),
        op("replace", None, {ENTERPRISE_URN: {"manager": {"value": ""}}}),
    ],
)
def test_a_manager_is_removed_in_every_way(api, operation):
    user = employed(api)

    assert changed(api, user, operation)[ENTERPRISE_URN] == {"department": "Sales"}


@pytest.mark.parametrize("value", ["", {"value": ""}, [{"value": ""}], [], {}, None])
def test_an_empty_manager_is_unassigned_on_create(api, value):
    user = api.create(**{ENTERPRISE_URN: {"department": "D", "manager": value}})

    assert user[ENTERPRISE_URN] == {"department": "D"}


# Removal by value


@pytest.mark.parametrize(
    "operation",
    [
        op("Remove", "emails", [{"value": "a@b.c"}]),
        op("Remove", "emails", [{"$ref": None, "Value": "A@b.c"}]),
        op("remove", "emails", {"value": "a@b.c", "type": "home"}),
        op("remove", 'emails[value eq "a@b.c"]'),
    ],
)
def test_only_the_named_values_are_removed(api, operation):
    work = {"value": "w@x.org", "type": "work"}
    user = api.create(emails=[work, {"value": "a@b.c", "type": "home"}])

    assert changed(api, user, operation)["emails"] == [work]


# The policy `entra`


@pytest.mark.parametrize("name", ["Add", "Replace"])
def test_entras_policy_makes_one_value_for_each_filter_whatever_the_operation(name):
    after = patched(
        USER, {"userName": "a"}, patch(*in_one_request(name)), Tolerances(PRESETS["entra"])
    )

    extension = {
        key.rpartition(":")[2]: value for key, value in after.items() if key.startswith("urn:")
    }
    check_all_new(after | {ENTERPRISE_URN: extension})


def test_entras_policy_makes_no_value_for_a_filter_that_describes_none():
    operation = op("Replace", 'emails[type ne "work"].value', "x")

    with pytest.raises(NoTarget):
        patched(USER, {"userName": "a"}, patch(operation), Tolerances(PRESETS["entra"]))
