"""/Users: create, read, replace, patch, delete; unique names."""

import time

import pytest

from scim_api.protocol.bulk import REQUEST_URN
from scim_api.protocol.patch.message import MAX_OPERATIONS
from scim_api.protocol.policy import PRESETS
from scim_api.protocol.schema.resource_types import ENTERPRISE_URN, USER_URN
from scim_api.tenants import configure
from tests.scim_api.client import employee, group, patch, refusal, replace, user
from tests.scim_api.schemas_of_operators import opened

NAME = {"givenName": "Jane", "familyName": "Doe"}
EMAILS = [
    {"value": "jane@example.com", "type": "work", "primary": True},
    {"value": "jane@home.example", "type": "home"},
]


def test_create_answers_201_with_the_whole_resource(api):
    response = api.post(user(name=NAME, emails=EMAILS, title="Boss"))

    assert response.status_code == 201
    assert response.json["userName"] == "jane@example.com"
    assert response.json["emails"] == EMAILS
    assert response.json["title"] == "Boss"


def test_create_names_in_location_and_meta_where_the_user_can_be_read(api):
    response = api.post(user())

    location = response.headers["Location"]
    assert location == response.json["meta"]["location"]
    assert location == f"http://localhost/scim/v2/Users/{response.json['id']}"
    assert api.get(location.removeprefix("http://localhost"), base="").json == response.json


def test_create_gives_the_version_in_meta_as_etag(api):
    response = api.post(user())

    assert response.headers["ETag"] == response.json["meta"]["version"] == 'W/"1"'


@pytest.mark.parametrize(
    ("method", "body", "headers"),
    [
        ("GET", None, {}),
        ("GET", None, {"If-None-Match": "*"}),
        ("PUT", user(title="x"), {}),
        ("PATCH", patch(replace("x", "title")), {}),
    ],
)
def test_an_answer_about_a_user_has_its_location_as_content_location(api, method, body, headers):
    created = api.post(user())
    location = created.json["meta"]["location"]

    response = api.ask(method, api.path(created.json), body, headers=headers)

    assert response.headers["Content-Location"] == location
    assert created.headers["Content-Location"] == location


def test_create_says_type_and_times_in_meta(api):
    meta = api.create()["meta"]

    assert meta["resourceType"] == "User"
    assert meta["created"] == meta["lastModified"]
    assert meta["created"].endswith("Z")


def test_create_makes_an_id_of_its_own_whatever_the_client_sends(api):
    created = api.create(id="00u-mine")

    assert created["id"] != "00u-mine"
    assert created["id"]


def test_create_records_one_event(api):
    api.create()

    assert api.types() == ["Created"]


def test_create_makes_a_user_without_active_active(api):
    assert api.create()["active"] is True


def test_create_can_make_an_inactive_user(api):
    assert api.create(active=False)["active"] is False


def test_create_keeps_the_user_name_as_it_was_sent(api):
    created = api.create("Jane.DOE@Example.com")

    assert created["userName"] == "Jane.DOE@Example.com"
    assert api.find('userName eq "jane.doe@example.com"') == [created]


def test_create_keeps_the_enterprise_extension_and_names_it_in_schemas(api):
    created = api.post(employee(department="Sales")).json

    assert created["schemas"] == [USER_URN, ENTERPRISE_URN]
    assert created[ENTERPRISE_URN] == {"department": "Sales"}


def test_create_ignores_read_only_attributes(api):
    created = api.create(meta={"version": 'W/"7"'}, groups=[{"value": "g"}])

    assert created["meta"]["version"] == 'W/"1"'
    assert "groups" not in created


def test_create_takes_nulls_and_empty_values_as_unassigned(api):
    created = api.create(title=None, nickName="", emails=[])

    assert created.keys() == {"schemas", "id", "userName", "active", "meta"}


def test_create_takes_the_same_external_id_twice(api):
    api.create("a@example.com", externalId="00u1")

    assert api.create("b@example.com", externalId="00u1")["externalId"] == "00u1"


@pytest.mark.parametrize(
    "body",
    [
        {"userName": "jane@example.com"},
        {"schemas": [], "userName": "jane@example.com"},
        {"schemas": [ENTERPRISE_URN], "userName": "jane@example.com"},
        {"schemas": [USER_URN]},
        user(""),
        user("  "),
        user(None),
        user(7),
        user(emails=7),
        user(active="perhaps"),
    ],
    ids=str,
)
def test_create_answers_400_invalid_value_to_an_incomplete_or_wrong_user(api, body):
    assert refusal(api.post(body))[:2] == (400, "invalidValue")
    assert api.types() == []


@pytest.mark.parametrize("body", [[], [user()], "text", 7, True, None])
def test_create_answers_400_invalid_syntax_unless_the_body_is_an_object(api, body):
    response = api.ask("POST", "/Users", json=body)

    assert refusal(response)[:2] == (400, "invalidSyntax")


@pytest.mark.parametrize("name", ["jane@example.com", "JANE@Example.COM"])
def test_a_taken_name_is_409_uniqueness_whatever_its_case(api, name):
    holder = api.create()

    status, type_, detail = refusal(api.post(user(name)))

    assert (status, type_) == (409, "uniqueness")
    assert holder["id"] in detail
    assert api.types() == ["Created"]


def test_names_that_differ_in_unicode_form_only_are_the_same(api):
    api.create("José@example.com")

    assert api.post(user("JOSE\u0301@example.com")).status_code == 409


def test_an_inactive_user_keeps_the_name(api):
    api.create(active=False)

    assert api.post(user()).status_code == 409


def test_a_deleted_users_name_is_free_for_another_id(api):
    first = api.create()
    api.delete(first)

    assert api.create()["id"] != first["id"]


@pytest.mark.parametrize("verb", ["put", "patch"])
def test_taking_anothers_name_is_409_and_changes_nothing(api, verb):
    api.create("a@example.com")
    second = api.create("b@example.com")

    if verb == "put":
        response = api.put(second, user("A@example.com", title="Boss"))
    else:
        response = api.patch(second, replace({"userName": "A@example.com", "title": "Boss"}))

    assert refusal(response)[:2] == (409, "uniqueness")
    assert api.get(api.path(second)).json == second


def test_a_user_may_change_the_case_of_its_own_name(api):
    created = api.create("jane@example.com")

    response = api.put(created, user("Jane@example.com"))

    assert response.json["userName"] == "Jane@example.com"
    assert api.types() == ["Created", "Updated"]


def test_a_name_given_up_is_free(api):
    created = api.create("old@example.com")
    api.put(created, user("new@example.com"))

    assert api.post(user("old@example.com")).status_code == 201


def test_read_gives_the_very_bytes_that_create_gave(api):
    response = api.post(employee(name=NAME, emails=EMAILS))

    assert api.get(f"/Users/{response.json['id']}").data == response.data


def test_head_is_get_without_the_body(api):
    created = api.create()

    response = api.ask("HEAD", api.path(created))

    assert (response.status_code, response.data) == (200, b"")
    assert response.headers["ETag"] == 'W/"1"'


@pytest.mark.parametrize(
    "id_",
    [
        "010101001010101011001010101011",
        "00919288221112222",
        "01a20b75-2088-7f3a-89fe-3706752370c4",
        "User-01a20b75",
        "null",
        "-1",
        "a" * 4000,
        "%00",
        "%F0%9F%98%80",
        "%25",
        "'; DROP TABLE resource; --",
        ".search",
    ],
)
@pytest.mark.parametrize("method", ["GET", "PUT", "PATCH", "DELETE"])
def test_an_id_that_is_not_ours_is_404(api, method, id_):
    bodies = {"PUT": user(), "PATCH": patch(replace({"active": False}))}

    response = api.ask(method, f"/Users/{id_}", bodies.get(method))

    assert refusal(response)[0] == 404
    assert api.types() == []


def test_ids_are_case_sensitive(api):
    created = api.create()

    assert api.get(f"/Users/{created['id'].upper()}").status_code == 404


def test_put_answers_200_with_the_new_resource(api):
    created = api.create(title="Boss")

    response = api.put(created, user(title="Chief"))

    assert response.status_code == 200
    assert response.json["title"] == "Chief"
    assert response.headers["ETag"] == response.json["meta"]["version"] == 'W/"2"'
    assert api.get(api.path(created)).data == response.data


def test_put_removes_missing_attributes(api):
    created = api.post(employee(title="Boss", name=NAME)).json

    replaced = api.put(created, user()).json

    assert replaced.keys() == {"schemas", "id", "userName", "active", "meta"}
    assert replaced["schemas"] == [USER_URN]


@pytest.mark.parametrize("active", [True, False])
def test_put_without_active_keeps_it(api, active):
    created = api.create(active=active)

    assert api.put(created, user(title="Boss")).json["active"] is active


UNASSIGNING = [
    *({"op": "remove", "path": path} for path in ("active", "ACTIVE", f"{USER_URN}:active")),
    {"op": "remove", "path": "active", "value": False},
    *(
        {"op": op, "path": path, "value": value}
        for op in ("add", "replace")
        for path in ("active", f"{USER_URN}:active")
        for value in (None, "", [])
    ),
    *(
        {"op": op, "value": {name: value}}
        for op in ("add", "Replace")
        for name in ("active", f"{USER_URN}:Active")
        for value in (None, "", [])
    ),
    {"op": "replace", "path": USER_URN, "value": {"active": None}},
]


@pytest.mark.parametrize("policy", PRESETS)
@pytest.mark.parametrize("active", [True, False])
def test_a_patch_that_unassigns_active_changes_nothing(api, active, policy):
    created = api.create(active=active)
    api.token = api.site.issue(api.ledger, policy=policy).token
    before = len(api.happened())
    address = api.path(created)

    answers = [api.patch(created, operation) for operation in UNASSIGNING]
    bulk = [{"method": "PATCH", "path": address, "data": patch(one)} for one in UNASSIGNING]
    answers.append(api.post({"schemas": [REQUEST_URN], "Operations": bulk}, "/Bulk"))

    assert {answer.status_code for answer in answers} <= {200, 400 if policy == "strict" else 200}
    assert api.happened(since=before) == []
    assert api.get(address).json == created


def test_a_patch_that_deactivates_and_unassigns_deactivates(api):
    created = api.create()

    patched = api.patch(created, replace({"active": False}), {"op": "remove", "path": "active"})

    assert patched.json["active"] is False
    assert api.happened()[-1:] == ["Deactivated"]


@pytest.mark.parametrize("active", [None, "", []])
def test_put_with_an_active_without_a_value_keeps_it(api, active):
    created = api.create(active=False)

    assert api.put(created, user(active=active)).json["active"] is False


def test_put_ignores_the_id_in_the_body(api):
    created, other = api.create("a@example.com"), api.create("b@example.com")

    response = api.put(created, user("c@example.com", id=other["id"]))

    assert response.json["id"] == created["id"]
    assert api.get(api.path(other)).json == other


def test_put_moves_last_modified_and_not_created(api):
    created = api.create()

    meta = api.put(created, user(title="Boss")).json["meta"]

    assert meta["created"] == created["meta"]["created"]
    assert meta["lastModified"] > created["meta"]["lastModified"]


def test_put_creates_nothing(api):
    assert api.put("00919288221112222", user()).status_code == 404
    assert api.types() == []


def test_put_records_a_change_of_active_as_an_event_of_its_own(api):
    created = api.create()

    api.put(created, user(active=False))
    api.put(created, user(active=True))

    assert api.types() == ["Created", "Deactivated", "Reactivated"]


def test_put_that_renames_and_deactivates_is_two_events_of_one_transaction(api):
    created = api.create()

    response = api.put(created, user("new@example.com", active=False))

    updated, deactivated = api.site.events()[-2:]
    assert (updated.type, deactivated.type) == ("Updated", "Deactivated")
    assert updated.txn == deactivated.txn
    assert response.headers["ETag"] == 'W/"3"'


def test_patch_answers_200_with_the_resource(api):
    created = api.create(title="Boss")

    response = api.patch(created, replace({"active": False}))

    assert response.status_code == 200
    assert response.json["active"] is False
    assert response.json["title"] == "Boss"
    assert response.headers["ETag"] == response.json["meta"]["version"] == 'W/"2"'
    assert api.get(api.path(created)).data == response.data


def test_patch_of_several_operations_is_one_event(api):
    created = api.create()

    api.patch(created, replace("Boss", "title"), replace({"nickName": "J"}))

    assert api.types() == ["Created", "Updated"]


UNKNOWN = "urn:ietf:params:scim:schemas:extension:custom:2.0:User:badge"
UNKNOWN_PATHS = [
    UNKNOWN,
    "badge",
    f"{ENTERPRISE_URN}:badge",
    "name.badge",
    "emails[badge eq 1].type",
]


@pytest.mark.parametrize("path", UNKNOWN_PATHS)
def test_a_patch_passes_over_an_operation_of_an_unknown_path_as_long_as_another_is_known(api, path):
    unknown = {"op": "Add", "path": path, "value": "1"}
    address = api.path(api.create())

    for several in ([unknown, replace("False", "active")], [replace(True, "active"), unknown]):
        operation = {"method": "PATCH", "path": address, "data": patch(*several)}
        answer = api.post({"schemas": [REQUEST_URN], "Operations": [operation]}, "/Bulk").json
        assert answer["Operations"][0]["status"] == "200"

    assert api.types() == ["Created", "Deactivated", "Reactivated"]


@pytest.mark.parametrize("path", UNKNOWN_PATHS)
def test_a_patch_without_a_known_path_is_refused_and_any_unknown_one_by_the_strict(api, path):
    created, unknown = api.create(), {"op": "replace", "path": path, "value": "1"}
    alone = refusal(api.patch(created, unknown, unknown | {"op": "remove", "path": "foo"}))
    api.token = api.site.issue(api.ledger, policy="strict").token

    strict = refusal(api.patch(created, unknown, replace(False, "active")))

    assert alone[:2] == strict[:2] == (400, "invalidPath")
    assert api.types() == ["Created"]


def test_a_read_resource_may_be_patched_back_under_every_policy(api):
    created = api.post(employee(title="Boss")).json
    api.post(group("Staff", created["id"]), "/Groups")
    with opened(api.site) as (tenant, metadata):
        configure.set_policy(tenant, "okta", {"read_only_in_value": False}, metadata)
    read = api.get(api.path(created)).json
    before = api.recorded()

    assert api.patch(created, replace(read)).json == read
    assert api.patch(created, replace({"groups": [{"value": read["groups"][0]["value"]}]})).json
    for other in (
        {"id": "other"},
        {"ID": None},
        {"meta": {"version": 'W/"7"'}},
        {"groups": []},
        {"groups": [{"value": created["id"]}]},
        {f"{ENTERPRISE_URN}:manager.displayName": "Ann"},
    ):
        response = api.patch(created, replace({"title": "Chief", **other}))
        assert refusal(response)[:2] == (400, "mutability")
    assert api.recorded() == before


def test_groups_sent_back_in_another_order_are_unchanged(api):
    created = api.create()
    for name in ("Staff", "Board", "Crew"):
        api.post(group(name, created), "/Groups")
    with opened(api.site) as (tenant, metadata):
        configure.set_policy(tenant, "okta", {"read_only_in_value": False}, metadata)
    first, *rest = api.read(created)["groups"]

    assert api.patch(created, replace({"groups": [*rest, first]})).status_code == 200
    for others in ([first, first, *rest[1:]], rest, [first, *rest, *rest]):
        answer = api.patch(created, replace({"groups": others}))
        assert refusal(answer)[:2] == (400, "mutability")


def test_many_groups_sent_back_are_compared_in_time_that_grows_with_their_number(api):
    created = api.create()
    staff = api.group("Staff", created)
    sent = {"groups": [{"value": f"{staff['id']}{number}"} for number in range(50_000)]}
    for number in range(100):
        api.group(f"Crew {number}", created)
    started = time.thread_time()

    assert api.patch(created, replace(sent)).status_code == 200
    assert time.thread_time() - started < 2


def test_patch_is_applied_whole_or_not_at_all(api):
    created = api.create()

    response = api.patch(created, replace("Boss", "title"), replace([5], "nickName"))

    assert refusal(response)[:2] == (400, "invalidValue")
    assert api.get(api.path(created)).json == created
    assert api.types() == ["Created"]


def test_patch_takes_a_boolean_in_quotes(api):
    created = api.create()

    assert api.patch(created, replace("False", "active")).json["active"] is False


@pytest.mark.parametrize("path", ["id", "meta.version", "groups", "meta"])
def test_patch_at_a_read_only_path_is_400_mutability(api, path):
    created = api.create()

    assert refusal(api.patch(created, replace("x", path)))[:2] == (400, "mutability")


def test_patch_without_a_path_ignores_read_only_attributes(api):
    created = api.create()

    response = api.patch(created, replace({"id": "x", "meta": {}, "active": False}))

    assert response.json["id"] == created["id"]
    assert response.json["active"] is False


def test_patch_cannot_remove_the_required_name(api):
    created = api.create()

    response = api.patch(created, {"op": "remove", "path": "userName"})

    assert refusal(response)[:2] == (400, "mutability")
    assert api.get(api.path(created)).json == created


def test_patch_of_too_many_operations_is_413(api):
    created = api.create()
    operations = [replace(str(number), "title") for number in range(MAX_OPERATIONS + 1)]

    response = api.patch(created, *operations)

    assert refusal(response)[0] == 413
    assert api.types() == ["Created"]


@pytest.mark.parametrize("body", [user(), {}, [], {"Operations": [replace({})]}], ids=str)
def test_patch_without_a_patch_message_is_400_invalid_syntax(api, body):
    created = api.create()

    response = api.ask("PATCH", api.path(created), json=body)

    assert refusal(response)[:2] == (400, "invalidSyntax")


def test_delete_answers_204_without_a_body(api):
    created = api.create()

    response = api.delete(created)

    assert (response.status_code, response.data) == (204, b"")
    assert "Content-Type" not in response.headers


def test_delete_ends_every_read_of_the_user(api):
    created = api.create(emails=EMAILS, externalId="00u1")
    api.delete(created)

    assert api.get(api.path(created)).status_code == 404
    assert api.get("/Users").json["totalResults"] == 0
    assert api.find('emails.value eq "jane@home.example" or externalId eq "00u1"') == []


def test_delete_leaves_the_history(api):
    api.delete(api.create())

    assert api.types() == ["Created", "Deleted"]


def test_a_second_delete_is_404(api):
    created = api.create()
    api.delete(created)

    assert refusal(api.delete(created))[0] == 404
    assert api.types() == ["Created", "Deleted"]


@pytest.mark.parametrize("method", ["PUT", "PATCH"])
def test_delete_ends_changes_too(api, method):
    created = api.create()
    api.delete(created)
    body = user() if method == "PUT" else patch(replace({"active": True}))

    assert api.ask(method, api.path(created), body).status_code == 404
    assert api.types() == ["Created", "Deleted"]
