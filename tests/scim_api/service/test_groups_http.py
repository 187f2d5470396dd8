"""Groups over HTTP: members, the groups of users, names, versions, and what is read."""

import json

import pytest

from ledger.sqlite.ledger import SQLiteLedger
from tests.scim_api.client import (
    GROUP_URN,
    add,
    group,
    patch,
    refusal,
    remove,
    replace,
    user,
)

BULK_URN = "urn:ietf:params:scim:api:messages:2.0:BulkRequest"

MANY = [f"member-{number:04}" for number in range(1001)]


@pytest.fixture
def jane(api):
    return api.create("jane@example.com", displayName="Jane")


@pytest.fixture
def staff(api, jane):
    return api.group("Staff", jane)


@pytest.fixture
def company(api, staff):
    """Return a group that holds a group."""
    return api.group("Company", staff)


@pytest.fixture
def crowd(api):
    """Return a group with more members than a PATCH answers with."""
    return api.group("Crowd", *MANY)


# Names


@pytest.mark.parametrize("name", ["Staff", "STAFF", "staff"])
def test_a_name_is_unique_whatever_its_case(api, staff, name):
    response = api.post(group(name), "/Groups")

    status, scim_type, detail = refusal(response)
    assert (status, scim_type) == (409, "uniqueness")
    assert "displayName" in detail and staff["id"] in detail


def test_a_rename_to_the_name_of_another_group_is_refused_and_changes_nothing(api, staff):
    other = api.group("Other")

    by_put = api.put(other, group("STAFF", "x"))
    by_patch = api.patch(other, add("x"), replace("STAFF", "displayName"))

    assert [refusal(answer)[:2] for answer in (by_put, by_patch)] == [(409, "uniqueness")] * 2
    assert api.read(other) == other


def test_the_case_of_its_own_name_can_be_changed(api, staff):
    response = api.patch(staff, replace("STAFF", "displayName"))

    assert response.json["displayName"] == "STAFF"


def test_a_user_may_have_the_name_of_a_group(api, staff):
    assert api.create("Staff")["userName"] == "Staff"


def test_the_name_of_a_deleted_group_is_free(api, staff):
    api.delete(staff)

    assert api.group("Staff")["id"] != staff["id"]


def test_a_group_needs_a_name(api):
    assert refusal(api.post({"schemas": [GROUP_URN]}, "/Groups"))[:2] == (400, "invalidValue")


# The groups of a user


def test_a_user_shows_the_group_it_is_in(api, jane, staff):
    (shown,) = api.read(jane)["groups"]

    assert shown == {
        "value": staff["id"],
        "$ref": staff["meta"]["location"],
        "display": "Staff",
        "type": "direct",
    }


def test_groups_of_groups_are_indirect(api, jane, staff, company):
    world = api.group("World", company)

    assert api.groups(jane) == {
        staff["id"]: "direct",
        company["id"]: "indirect",
        world["id"]: "indirect",
    }


def test_a_group_shows_its_new_name_at_once_whoever_renamed_it(api, jane, staff):
    for version, name in enumerate(("Crew", "Team"), 2):
        event = "Updated", {"displayName": name}
        api.site.append("default", f"Group-{staff['id']}", version, event)
        assert [group["display"] for group in api.get(f"/Users/{jane['id']}").json["groups"]] == [
            name
        ]
        listed = api.get("/Users").json["Resources"]
        assert {group["display"] for each in listed for group in each.get("groups", [])} == {name}


def test_a_group_that_is_both_is_direct(api, jane, staff, company):
    api.patch(company, add(jane))

    assert api.groups(jane)[company["id"]] == "direct"


def test_groups_that_hold_each_other_are_listed_once(api, jane, staff, company):
    api.patch(staff, add(company, staff))

    assert api.groups(jane) == {staff["id"]: "direct", company["id"]: "indirect"}


def test_members_who_leave_an_inner_group_leave_the_outer_one(api, jane, staff, company):
    api.patch(staff, remove(jane))

    assert api.groups(jane) == {}


def test_deleting_the_group_between_takes_the_outer_one_away(api, jane, staff, company):
    api.delete(staff)

    assert api.groups(jane) == {}
    assert api.members(company) == []


def test_lists_and_answers_to_changes_show_the_groups_of_users(api, jane, staff):
    other = api.create("other@example.com")

    listed = {each["id"]: each.get("groups") for each in api.get("/Users").json["Resources"]}
    patched = api.patch(jane, replace("Chief", "title")).json
    put = api.put(jane, user("jane@example.com", groups=[])).json
    unchanged = api.put(jane, user("jane@example.com")).json

    expected = api.read(jane)["groups"]
    assert listed == {jane["id"]: expected, other["id"]: None}
    assert [patched["groups"], put["groups"], unchanged["groups"]] == [expected] * 3


def test_a_new_name_of_the_group_is_shown_at_once(api, jane, staff):
    api.patch(staff, replace("Crew", "displayName"))

    assert [one["display"] for one in api.read(jane)["groups"]] == ["Crew"]


def test_parts_of_groups_can_be_asked_for(api, jane, staff):
    named = api.read(jane, attributes="groups.display")
    without = api.read(jane, excludedAttributes="groups")

    assert named["groups"] == [{"display": "Staff"}]
    assert "groups" not in without


@pytest.mark.parametrize(
    "filter_",
    [
        'groups.value eq "{staff}"',
        'groups eq "{staff}"',
        'groups[value eq "{staff}" and type eq "direct"]',
        'groups[value eq "{company}" and type eq "indirect"]',
        'groups.display eq "COMPANY"',
        'groups.$ref eq "http://localhost/scim/v2/Groups/{company}"',
        "groups pr",
        'not (not (groups pr)) and groups.display sw "st"',
    ],
)
def test_users_are_found_by_their_groups(api, jane, staff, company, filter_):
    api.create("other@example.com")

    found = api.find(filter_.format(staff=staff["id"], company=company["id"]))

    assert [each["userName"] for each in found] == ["jane@example.com"]


@pytest.mark.parametrize(
    "filter_",
    ['groups[value eq "{company}" and type eq "direct"]', 'groups.value eq "none"'],
)
def test_users_are_not_found_by_groups_they_are_not_in(api, staff, company, filter_):
    assert api.find(filter_.format(company=company["id"])) == []


@pytest.mark.parametrize(
    "filter_",
    [
        'members.value eq "{jane}"',
        'members eq "{jane}"',
        'members[value eq "{jane}" and type eq "User"]',
        'members.display eq "jane"',
        'members[$ref eq "http://localhost/scim/v2/Users/{jane}"]',
        'displayName eq "STAFF" and members pr',
    ],
)
def test_groups_are_found_by_their_members(api, jane, staff, company, filter_):
    query = {"filter": filter_.format(jane=jane["id"])}

    found = api.get("/Groups", query_string=query).json

    assert [each["displayName"] for each in found["Resources"]] == ["Staff"]
    assert found["totalResults"] == 1


# Users who are deleted


def test_a_deleted_user_leaves_its_groups_in_the_same_transaction(api, jane, staff, company):
    api.patch(company, add(jane))
    before = len(api.site.events())

    response = api.delete(jane)

    events = api.site.events()[before:]
    assert response.status_code == 204
    assert [(e.type, e.subject) for e in events] == [
        ("MembersRemoved", staff["id"]),
        ("MembersRemoved", company["id"]),
        ("Deleted", jane["id"]),
    ]
    assert len({event.txn for event in events}) == 1
    assert api.members(staff) == []


def test_a_group_that_is_a_member_of_itself_can_be_deleted(api, jane, staff, company):
    api.patch(staff, add(staff))

    response = api.delete(staff)

    assert response.status_code == 204
    assert (api.groups(jane), api.members(company)) == ({}, [])


def test_deleting_a_group_leaves_its_members(api, jane, staff):
    api.delete(staff)

    assert api.read(jane)["active"] is True


def test_a_deactivated_user_stays_in_its_groups(api, jane, staff):
    api.patch(jane, replace({"active": False}))

    assert api.members(staff) == [jane["id"]]


# Versions


def test_a_user_who_was_in_a_group_is_never_answered_304(api, jane, staff):
    headers = {"If-None-Match": api.get(api.path(jane)).headers["ETag"]}

    within = api.get(api.path(jane), headers=headers).status_code
    api.patch(staff, remove(jane))
    after = api.get(api.path(jane), headers=headers).status_code
    api.delete(staff)
    at_last = api.get(api.path(jane), headers=headers)

    assert [within, after, at_last.status_code] == [200, 200, 200]
    assert "groups" not in at_last.json


def test_a_user_whose_group_was_deleted_is_not_answered_304(api, jane, staff):
    headers = {"If-None-Match": 'W/"1"'}
    api.delete(staff)

    assert api.get(api.path(jane), headers=headers).status_code == 200


def test_without_its_groups_a_user_may_be_answered_304(api, jane, staff):
    path, query = api.path(jane), {"excludedAttributes": "groups"}

    response = api.get(path, query_string=query, headers={"If-None-Match": 'W/"1"'})

    assert response.status_code == 304


def test_a_change_of_members_is_a_new_version_of_the_group(api, staff):
    changed = api.patch(staff, add("someone"))
    stale = api.patch(staff, add("other"), headers={"If-Match": staff["meta"]["version"]})

    assert changed.headers["ETag"] == changed.json["meta"]["version"] != staff["meta"]["version"]
    assert changed.json["meta"]["lastModified"] > staff["meta"]["lastModified"]
    assert stale.status_code == 412


@pytest.mark.parametrize(
    "operation",
    [
        {"op": "add", "path": "members", "value": [{"value": "{jane}"}]},
        {"op": "add", "path": "members", "value": [{"value": "{jane}", "type": "USER"}]},
        {"op": "replace", "path": "members", "value": [{"value": "{jane}", "display": "J"}]},
        {"op": "replace", "path": 'members[value eq "{jane}"]', "value": {"value": "{jane}"}},
        {"op": "remove", "path": 'members[value eq "nobody"]'},
        {"op": "remove", "path": "members", "value": [{"value": "nobody"}]},
        {"op": "remove", "path": "members", "value": []},
        {"op": "add", "path": "members", "value": []},
        {"op": "replace", "value": {"displayName": "Staff", "id": "{staff}"}},
    ],
)
def test_a_patch_that_changes_nothing_records_nothing(api, jane, staff, operation):
    text = json.dumps(operation).replace("{jane}", jane["id"]).replace("{staff}", staff["id"])
    before = api.recorded()

    response = api.patch(staff, json.loads(text))

    assert (response.status_code, response.json) == (200, staff)
    assert api.recorded() == before


@pytest.mark.parametrize("members", [None, "same", "twice"])
def test_a_put_that_changes_nothing_records_nothing(api, jane, staff, members):
    ids = {None: [None], "same": [jane], "twice": [jane, jane]}[members]
    before = api.recorded()

    response = api.put(staff, group("Staff", *ids))

    assert (response.status_code, response.json) == (200, staff)
    assert api.recorded() == before


# PUT and PATCH


def test_a_put_without_members_keeps_them(api, jane, staff):
    response = api.put(staff, group("Crew", None))

    assert response.json["displayName"] == "Crew"
    assert [member["value"] for member in response.json["members"]] == [jane["id"]]


@pytest.mark.parametrize("nothing", [None, ""])
@pytest.mark.parametrize("policy", ["okta", "keycloak"])
def test_a_put_whose_members_are_null_keeps_them(api, jane, staff, policy, nothing):
    client = api.site.client(called=policy, policy=policy)

    response = client.put(staff, group("Crew", None, members=nothing))

    assert response.json["displayName"] == "Crew"
    assert api.members(staff) == [jane["id"]]


def test_under_strict_null_empties_the_group_and_a_text_is_no_list(api, jane, staff):
    strict = api.site.client(called="strict", policy="strict")

    text = strict.put(staff, group("Staff", None, members=""))
    kept = api.members(staff)
    strict.put(staff, group("Staff", None, members=None))

    assert refusal(text)[:2] == (400, "invalidValue")
    assert (kept, api.members(staff)) == ([jane["id"]], [])


def test_a_put_with_an_empty_list_empties_the_group(api, staff):
    response = api.put(staff, group("Staff", None, members=[]))

    assert response.json["members"] == []
    assert api.happened()[-1] == "MembersRemoved"


def test_a_put_records_only_joining_and_leaving_members(api, staff):
    api.put(staff, group("Staff", "a", "b", "c"))
    before = len(api.site.events())

    api.put(staff, group("Staff", "b", "c", "d"))

    events = api.site.events()[before:]
    assert [dict(event.effects) for event in events] == [
        {"members:a": None},
        {"members:d": {"type": "User"}},
    ]


def test_one_failing_operation_undoes_the_others(api, jane, staff):
    response = api.patch(staff, remove(jane), add("x"), {"op": "remove", "path": "displayName"})

    assert refusal(response)[:2] == (400, "mutability")
    assert api.members(staff) == [jane["id"]]


def test_a_name_and_members_change_together(api, jane, staff):
    response = api.patch(staff, replace({"displayName": "Crew", "members": [{"value": "x"}]}))

    assert response.json["displayName"] == "Crew"
    assert [each["value"] for each in response.json["members"]] == ["x"]
    assert api.happened()[-3:] == ["Updated", "MembersRemoved", "MembersAdded"]


@pytest.mark.parametrize(
    "text", ['[{"value":"x"},{"value":"y"}]', ['{"value":"x"}', '{"value":"y"}']]
)
def test_members_as_json_text_are_those_it_names_in_every_verb(api, staff, text):
    whole = json.dumps({"displayName": "Staff", "members": [{"value": "x"}]})
    nested = json.dumps({"displayName": "Staff", "members": text})
    answers = [
        api.patch(staff, {"op": "replace", "path": "members", "value": text}),
        api.patch(staff, {"op": "replace", "value": whole}),
        api.patch(staff, {"op": "replace", "value": nested}),
        api.patch(staff, {"op": "replace", "value": {"members": text}}),
        api.put(staff, staff | {"members": text}),
    ]

    found = [[each["value"] for each in answer.json["members"]] for answer in answers]
    assert found == [["x", "y"], ["x"], ["x", "y"], ["x", "y"], ["x", "y"]]


def test_a_role_cannot_be_a_member(api, staff):
    role = api.post(
        {"schemas": ["urn:okta:scim:schemas:core:1.0:Role"], "displayName": "r"}, "/Roles"
    ).json

    status, scim_type, detail = refusal(api.patch(staff, add(role), add("x")))

    assert (status, scim_type) == (400, "invalidValue")
    assert role["id"] in detail
    assert "x" not in api.members(staff)


def test_the_type_of_a_member_is_the_resources_not_the_clients(api, jane, staff):
    members = [{"value": jane["id"], "type": "Group"}, {"value": staff["id"]}]

    made = api.post(group("Mixed", None, members=members), "/Groups").json

    assert {each["value"]: each["type"] for each in made["members"]} == {
        jane["id"]: "User",
        staff["id"]: "Group",
    }
    assert made["members"][0]["$ref"] == jane["meta"]["location"]


@pytest.mark.parametrize("operator", ["eq", "co", "sw"])
def test_members_are_removed_by_the_uri_by_which_a_list_finds_their_group(api, jane, operator):
    omar = api.create("omar@example.com")
    staff = api.group("Staff", jane, omar, "unknown here")
    found = f'members[$ref {operator} "{jane["meta"]["location"]}"]'
    removal = {"op": "remove", "path": found}

    listed = api.get("/Groups", query_string={"filter": found}).json["Resources"]
    response = api.patch(staff, removal)

    assert [one["id"] for one in listed] == [staff["id"]]
    assert response.status_code == 200
    assert api.members(staff) == sorted([omar["id"], "unknown here"])


def test_a_bulk_request_removes_members_by_their_uri_too(api, jane, staff):
    removal = patch({"op": "remove", "path": f'members[$ref eq "{jane["meta"]["location"]}"]'})
    operation = {"method": "PATCH", "path": f"/Groups/{staff['id']}", "data": removal}

    api.post({"schemas": [BULK_URN], "Operations": [operation]}, "/Bulk")

    assert api.members(staff) == []


@pytest.mark.parametrize("given", ["User", "user", "", None])
def test_a_put_may_repeat_the_type_of_a_member_but_not_change_it(api, jane, staff, given):
    def members(type_):
        return group("Crew", None, members=[{"value": jane["id"], "type": type_}, {"value": "x"}])

    other = api.put(staff, members("Group"))
    kept = api.read(staff)
    same = api.put(staff, members(given))

    assert (refusal(other)[:2], kept) == ((400, "mutability"), staff)
    assert same.status_code == 200
    assert api.members(staff) == sorted([jane["id"], "x"])


def test_the_names_of_members_are_shown_where_they_are_asked_for(api, jane, staff):
    shown = api.read(staff, attributes="members.value,members.display")

    assert shown["members"] == [{"value": jane["id"], "display": "Jane"}]


@pytest.mark.parametrize(
    "query",
    [
        {"attributes": "members.display"},
        {"attributes": "id", "excludedAttributes": "members"},
        {"excludedAttributes": "members.value,members.type,members.$ref"},
    ],
)
def test_members_of_which_nothing_is_shown_are_not_shown(api, query):
    staff = api.group("Staff", "unknown here")

    assert "members" not in api.read(staff, **query)


def test_a_group_without_members_says_so_wherever_members_are_shown(api):
    made, auditor = api.group("Staff", None), api.site.client(scopes=["audit"])
    search = api.search("/Groups", filter='displayName eq "Staff"').json["Resources"]
    root = api.search(filter='displayName eq "Staff"', attributes=["members"]).json["Resources"]
    answers = [
        made,
        api.read(made),
        api.read(made, attributes="members.display"),
        auditor.read(made, asOf=api.recorded()),
        api.get("/Groups").json["Resources"][0],
        *(*search, *root),
        api.put(made, group("Crew", None)).json,
        api.patch(made, add()).json,
    ]

    assert [answer.get("members") for answer in answers] == [[]] * len(answers)


@pytest.mark.parametrize("query", [{"attributes": "id"}, {"excludedAttributes": "members"}])
def test_members_that_are_not_shown_are_not_said_to_be_none(api, query):
    staff = api.group("Staff", None)

    answers = [
        api.read(staff, **query),
        api.get("/Groups", query_string=query).json["Resources"][0],
        api.patch(staff, add(), query_string=query).json,
    ]

    assert [answer.get("members") for answer in answers] == [None] * 3


@pytest.mark.parametrize(
    "named",
    [
        "members,members.display",
        "members.display,members",
        f"{GROUP_URN}:members,{GROUP_URN}:Members.Display",
        f"{GROUP_URN},members.display",
    ],
)
def test_members_named_with_a_part_shown_on_request_are_shown_with_it(api, jane, staff, named):
    alone = api.read(staff)["members"][0]

    read = api.read(staff, attributes=named)
    listed = api.get("/Groups", query_string={"attributes": named}).json["Resources"][0]

    assert read["members"] == listed["members"] == [{**alone, "display": "Jane"}]
    assert "members" not in api.read(staff, excludedAttributes=named)


def test_only_okta_gets_the_hint_about_a_missing_group(api, staff):
    api.delete(staff)

    for client, said in (("Okta SCIM Client 1.0.0", True), ("curl/8", False)):
        own = {"headers": {"User-Agent": client}}
        path = api.path(staff)
        answers = [
            api.get(path, **own),
            api.patch(staff, add("x"), **own),
            api.delete(staff, **own),
        ]
        assert {answer.status_code for answer in answers} == {404}
        assert {"unlink the pushed group" in refusal(answer)[2] for answer in answers} == {said}


def test_an_attempt_to_find_members_again_and_again_is_refused(api, crowd):
    search = {"op": "remove", "path": 'members[type eq "Group"]'}

    status, _, detail = refusal(api.patch(crowd, *[search] * 1000))

    assert status == 413
    assert "members[value eq" in detail


# Large groups


def test_a_patch_of_a_large_group_answers_204_with_its_version(api, crowd):
    response = api.patch(crowd, add("one more"))

    assert (response.status_code, response.data) == (204, b"")
    assert response.headers["ETag"] == 'W/"4"'
    assert api.members(crowd) == sorted([*MANY, "one more"])


@pytest.mark.parametrize("query", [{"attributes": "id"}, {"excludedAttributes": "members"}])
def test_it_answers_with_the_requested_attributes(api, crowd, query):
    response = api.patch(crowd, add("one more"), query_string=query)

    assert response.status_code == 200
    assert response.json["id"] == crowd["id"]
    assert "members" not in response.json


def test_it_answers_with_all_members_if_they_are_asked_for(api, crowd):
    response = api.patch(crowd, add("x"), query_string={"attributes": "members"})

    assert len(response.json["members"]) == len(MANY) + 1


def test_a_patch_of_a_group_of_a_thousand_answers_200(api, crowd):
    response = api.patch(crowd, remove(MANY[0]))

    assert len(response.json["members"]) == 1000


@pytest.fixture
def statements(api, monkeypatch):
    """Return the SQL of reads, as it is run."""
    seen = []
    opening = SQLiteLedger._open

    def traced(ledger):
        connection = opening(ledger)
        connection.set_trace_callback(seen.append)
        return connection

    monkeypatch.setattr(SQLiteLedger, "_open", traced)
    return seen


@pytest.mark.parametrize(
    ("path", "query", "read"),
    [
        ("/Groups/{id}", {"excludedAttributes": "members"}, False),
        ("/Groups/{id}", {"attributes": "displayName"}, False),
        ("/Groups", {"excludedAttributes": "members"}, False),
        ("/Groups", {"filter": 'displayName eq "a"', "excludedAttributes": "members"}, False),
        ("", {"excludedAttributes": "members,groups"}, False),
        ("/Groups/{id}", {"attributes": "members.value"}, True),
        ("/Groups", {}, True),
    ],
)
def test_members_are_read_only_to_be_shown(api, statements, path, query, read):
    id_ = api.group("A", "x")["id"]
    statements.clear()

    response = api.get(path.format(id=id_), query_string=query)

    assert response.status_code == 200
    assert any("member_type" in statement for statement in statements) is read
