"""schema, attribute, role, entitlement."""

import json

import pytest

from scim_api.protocol.schema.resource_types import ENTERPRISE_URN, ROLE_URN
from tests.scim_api.client import refusal, user
from tests.scim_api.schemas_of_operators import BADGE, BADGE_URN, changed


@pytest.fixture
def badge(tmp_path):
    """Return the file of a schema."""
    path = tmp_path / "badge.json"
    path.write_text(json.dumps(BADGE))
    return str(path)


def recorded(shell):
    return len(shell("events", "list", "--json").json)


# schema


def test_a_schema_is_added_from_a_file(shell, badge):
    added = shell("schema", "add", badge)

    rows = {row["schema"]: row for row in shell("schema", "list", "--json").json}
    assert added.err == f"User has the schema {BADGE_URN}\n"
    assert rows[BADGE_URN]["origin"] == "added"
    assert rows[BADGE_URN]["resource_type"] == "User"
    assert rows[ENTERPRISE_URN]["origin"] == "built in"


def test_a_schema_added_again_changes_nothing_and_says_so(shell, badge):
    shell("schema", "add", badge)
    before = recorded(shell)

    again = shell("schema", "add", badge, "--json").json

    assert again["changed"] is False
    assert again["says"].startswith("nothing changed")
    assert recorded(shell) == before


def test_a_schema_can_extend_another_resource_type(shell, badge):
    shell("schema", "add", badge, "--resource-type", "Group")

    rows = {row["schema"]: row for row in shell("schema", "list", "--json").json}
    assert rows[BADGE_URN]["resource_type"] == "Group"


def test_a_schema_printed_as_json_can_be_added_elsewhere(shell, badge, tmp_path):
    shell("schema", "add", badge)
    shown = tmp_path / "shown.json"

    shown.write_text(shell("schema", "show", BADGE_URN.upper(), "--json").out)

    shell("init", "--ledger", "other")
    assert "has the schema" in shell("schema", "add", str(shown), "--ledger", "other").err
    assert "nothing changed" in shell("schema", "add", str(shown)).err


def test_show_lists_parts_as_well(shell, badge):
    shell("schema", "add", badge)

    out = shell("schema", "show", BADGE_URN).out

    assert "badge.number" in out
    assert "shoeSize" in out


def test_a_schema_without_recorded_data_can_be_removed(shell, badge):
    shell("schema", "add", badge)

    shell("schema", "remove", BADGE_URN)

    assert shell("schema", "show", BADGE_URN, code=5).out == ""


def test_a_schema_with_recorded_data_cannot_be_removed(shell, api, badge):
    shell("schema", "add", badge)
    api.post(user() | {BADGE_URN: {"shoeSize": 42}})

    said = shell("schema", "remove", BADGE_URN, code=1).err

    assert "shoeSize would be gone, but 1 event has recorded it" in said


def test_a_schema_that_was_never_added_ends_with_5(shell):
    assert "no schema urn:x:y was added" in shell("schema", "remove", "urn:x:y", code=5).err


def test_a_built_in_schema_cannot_be_removed(shell):
    assert "is built in" in shell("schema", "remove", ENTERPRISE_URN, code=1).err


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("{", "this is not JSON"),
        (json.dumps(changed(BADGE, {"x": {"name": "x", "type": "text"}})), '"text" must be one of'),
    ],
)
def test_a_file_that_is_no_schema_is_refused_with_a_sentence(shell, tmp_path, text, sentence):
    (tmp_path / "bad.json").write_text(text)

    assert sentence in shell("schema", "add", str(tmp_path / "bad.json"), code=1).err


def test_a_file_that_is_not_there_is_refused_with_a_sentence(shell):
    assert "No such file" in shell("schema", "add", "nowhere.json", code=1).err


# attribute


def test_attributes_are_declared_required_and_listed(shell, api):
    said = shell("attribute", "require", "EMAILS", "name.givenname")

    rows = shell("attribute", "list", "--json").json
    assert said.err == "required from now on: emails, name.givenName\n"
    assert {"attribute": "emails", "declared_by": "attribute require"} in rows
    assert {"attribute": "userName", "declared_by": "schema"} in rows
    assert "emails is required" in refusal(api.post(user()))[2]


@pytest.mark.parametrize("name", ["emails", "userName", "Emails"])
def test_requiring_a_required_attribute_changes_nothing(shell, name):
    shell("attribute", "require", "emails")
    before = recorded(shell)

    assert "nothing changed" in shell("attribute", "require", name).err
    assert recorded(shell) == before


@pytest.mark.parametrize(
    ("name", "sentence"),
    [
        ("nothing", "is no attribute of users"),
        ("meta", "is readOnly"),
        ("groups.value", "is readOnly"),
        ("password", "accepted and dropped"),
    ],
)
def test_an_attribute_that_cannot_be_required_is_refused(shell, name, sentence):
    assert sentence in shell("attribute", "require", name, code=1).err


def test_an_attribute_that_a_user_lacks_cannot_be_required(shell, api):
    created = api.create()

    said = shell("attribute", "require", "emails", code=1).err

    assert "emails cannot be required yet: resources without it: 1" in said
    assert created["id"] in said


def test_a_required_attribute_can_be_released(shell, api):
    shell("attribute", "require", "emails", "title")

    assert shell("attribute", "release", "emails").err == "not required any more: emails\n"
    assert api.post(user(title="Boss")).status_code == 201
    assert "nothing changed" in shell("attribute", "release", "emails").err


DEPARTMENT = f"{ENTERPRISE_URN}:department"


def test_attributes_are_indexed_listed_and_dropped(shell, api):
    api.create(title="Boss")

    said = shell("attribute", "index", "TITLE", "name.familyname", DEPARTMENT).err

    assert said == f"indexed: title, name.familyName, {DEPARTMENT}\n"
    assert shell("attribute", "indexes", "--json").json == [
        {"attribute": name, "resource_type": "User", "state": "ready"}
        for name in ("title", "name.familyName", DEPARTMENT)
    ]
    assert api.get('/Users?filter=title sw "bo"&sortBy=title').json["totalResults"] == 1
    assert "nothing changed" in shell("attribute", "index", "title").err
    assert shell("attribute", "unindex", "title").err == "not indexed any more: title\n"
    assert "nothing changed" in shell("attribute", "unindex", "title").err
    shell("verify")


@pytest.mark.parametrize(
    ("name", "sentence"),
    [
        ("nothing", "is no attribute of a User"),
        ("userName", "is always indexed"),
        ("externalId", "is always indexed"),
        ("name", "name one of them"),
        ("groups.value", "cannot be indexed"),
        ("meta.version", "cannot be indexed"),
        ("password", "is never returned"),
        ("emails.primary", "two values only"),
    ],
)
def test_an_attribute_that_cannot_be_indexed_is_refused(shell, name, sentence):
    assert sentence in shell("attribute", "index", name, code=1).err


def test_the_schema_of_an_indexed_attribute_cannot_be_removed(shell, badge):
    shell("schema", "add", badge)
    name = f"{BADGE_URN}:badge.colour"
    shell("attribute", "index", name)

    said = shell("schema", "remove", BADGE_URN, code=1).err

    assert f"first: scim-ledger attribute unindex {name}" in said


# role, entitlement


@pytest.mark.parametrize(("word", "path"), [("role", "/Roles"), ("entitlement", "/Entitlements")])
def test_an_added_resource_is_served_and_listed(shell, api, word, path):
    id_ = shell(word, "add", "Admin", "--description", "all of it").out.strip()

    [served] = api.get(path).json["Resources"]
    [listed] = shell(word, "list", "--json").json
    assert (served["id"], served["displayName"], served["description"]) == (
        id_,
        "Admin",
        "all of it",
    )
    assert (listed["id"], listed["name"]) == (id_, "Admin")


@pytest.mark.parametrize("word", ["role", "entitlement"])
def test_a_name_is_taken_once(shell, word):
    shell(word, "add", "Admin")

    assert "already" in shell(word, "add", "ADMIN", code=1).err


@pytest.mark.parametrize("word", ["role", "entitlement"])
@pytest.mark.parametrize("by", ["id", "name"])
def test_a_removed_resource_is_gone(shell, word, by):
    made = shell(word, "add", "Admin", "--json").json

    shell(word, "remove", made[by])

    assert shell(word, "list", "--json").json == []
    assert "there is no" in shell(word, "remove", "Admin", code=5).err


def test_a_resource_created_by_scim_is_listed(shell, api):
    api.post({"schemas": [ROLE_URN], "displayName": "Reader"}, "/Roles")

    assert [row["name"] for row in shell("role", "list", "--json").json] == ["Reader"]


# The role of created users


def test_created_users_get_the_default_role_in_resource_and_event(shell, api):
    shell("role", "default", "member")

    created = api.create()

    assert created["roles"] == [{"value": "member"}]
    [event] = [e for e in api.site.events() if e.category == "User"]
    assert event.effects["roles"] == [{"value": "member"}]


def test_a_user_created_with_a_role_keeps_it(shell, api):
    shell("role", "default", "member")

    assert api.create(roles=[{"value": "boss"}])["roles"] == [{"value": "boss"}]


def test_the_default_role_shows_the_name_of_the_role_whose_id_it_is(shell, api):
    id_ = shell("role", "add", "Member").out.strip()

    shell("role", "default", id_)

    assert api.create()["roles"] == [{"value": id_, "display": "Member"}]


def test_the_name_of_a_role_in_place_of_its_id_is_taken_with_a_note(shell, api):
    id_ = shell("role", "add", "Member").out.strip()

    said = shell("role", "default", "Member")

    assert f"note: Member is the name of the role {id_}" in said.err
    assert api.create()["roles"] == [{"value": "Member"}]


def test_the_role_that_created_users_get_cannot_be_removed(shell, api):
    id_ = shell("role", "add", "Viewer").out.strip()
    shell("role", "default", id_)

    said = shell("role", "remove", "Viewer", code=1).err

    assert "new users get this role" in said
    assert api.get(f"/Roles/{id_}").status_code == 200


def test_to_remove_the_role_that_new_users_get_by_its_name_warns(shell):
    shell("role", "add", "member")
    shell("role", "add", "guest")
    shell("role", "default", "member")

    assert "warning: new users still get the role member" in shell("role", "remove", "member").err
    assert "warning" not in shell("role", "remove", "guest").err


def test_the_default_role_can_be_taken_back(shell, api):
    shell("role", "default", "member")

    shell("role", "default", "--none")

    assert "roles" not in api.create()
    assert "nothing changed" in shell("role", "default", "--none").err


@pytest.mark.parametrize("words", [[], ["member", "--none"], [""]])
def test_a_default_role_is_either_a_value_or_none(shell, words):
    assert "either a value or --none" in shell("role", "default", *words, code=2).err
