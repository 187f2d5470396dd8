"""Attributes of a schema that an operator added behave like built-in ones."""

import pytest

from projections.runner import StoredProjection
from scim_api.protocol.schema.document import SchemaRefused
from scim_api.protocol.schema.resource_types import ENTERPRISE_URN, USER_URN
from scim_api.server.checks import examine
from scim_api.tenants import configure
from scim_api.wiring import projections_of
from tests.scim_api.client import id_of, refusal, replace, user
from tests.scim_api.schemas_of_operators import BADGE, BADGE_URN, add_schema, changed, opened


@pytest.fixture
def extended(api):
    """Return a client of a ledger that was already served when a schema was added to it."""
    api.get("/Users")
    add_schema(api.site)
    return api


def badged(user_name="jane@example.com", /, **attributes):
    return user(user_name) | {"schemas": [USER_URN, BADGE_URN], BADGE_URN: attributes}


def create(api, user_name="jane@example.com", /, **attributes):
    response = api.post(badged(user_name, **attributes))
    assert response.status_code == 201, response.text
    return response.json


# Kept and checked


def test_attributes_are_kept_and_returned(extended):
    created = create(extended, shoeSize=42, remote=True, nicknames=["J"])

    assert created[BADGE_URN] == {"shoeSize": 42, "remote": True, "nicknames": ["J"]}
    assert created["schemas"] == [USER_URN, BADGE_URN]
    assert extended.get(extended.path(created)).json == created


def test_before_it_is_added_its_attributes_are_ignored(api):
    assert BADGE_URN not in create(api, shoeSize=42)


@pytest.mark.parametrize(
    ("attributes", "path"),
    [
        ({"shoeSize": "large"}, "shoeSize"),
        ({"remote": "perhaps"}, "remote"),
        ({"hiredOn": "yesterday"}, "hiredOn"),
        ({"badge": {"number": "x"}}, "badge.number"),
        ({"badge": 7}, "badge"),
        ({"nicknames": [1]}, "nicknames[0]"),
    ],
)
def test_a_value_of_a_wrong_type_is_refused_and_named(extended, attributes, path):
    status, scim_type, detail = refusal(extended.post(badged(**attributes)))

    assert (status, scim_type) == (400, "invalidValue")
    assert f"{BADGE_URN}:{path} must be" in detail


def test_names_and_urn_are_found_in_any_case(extended):
    body = user() | {BADGE_URN.upper().replace("URN:", "urn:"): {"SHOESIZE": 42}}

    assert extended.post(body).json[BADGE_URN] == {"shoeSize": 42}


def test_a_schema_of_another_ledger_is_unknown(site):
    one, other = site.make("one"), site.make("other")
    add_schema(site, ledger="one")

    assert BADGE_URN in create(one, shoeSize=42)
    assert BADGE_URN not in create(other, shoeSize=42)
    assert other.get(f"/Schemas/{BADGE_URN}").status_code == 404


def test_a_group_can_be_extended(api):
    add_schema(api.site, resource_type="Group")
    group = {"schemas": ["urn:ietf:params:scim:schemas:core:2.0:Group", BADGE_URN]}

    made = api.post(group | {"displayName": "g", BADGE_URN: {"remote": True}}, "/Groups")

    assert made.json[BADGE_URN] == {"remote": True}


def test_a_unique_value_is_taken_only_once(extended):
    create(extended, "one@example.com", code="A1")

    status, scim_type, detail = refusal(extended.post(badged("two@example.com", code="a1")))

    assert (status, scim_type) == (409, "uniqueness")
    assert "code" in detail


# Filtered, sorted, patched


@pytest.mark.parametrize(
    "filter_",
    [
        "{}:shoeSize gt 41",
        "{}:shoeSize eq 42 and {}:remote eq true",
        '{}:badge.colour eq "RED"',
        '{}:badge.colour eq "red" and {}:badge.number eq 7',
        '{}:nicknames eq "jj"',
        '{}:keys[type eq "front" and value pr]',
        '{}:hiredOn lt "2026-02-01T00:00:00Z"',
        '{}:mark eq "Aa"',
    ],
)
def test_a_filter_finds_by_an_added_attribute(extended, filter_):
    create(
        extended,
        shoeSize=42,
        remote=True,
        badge={"number": 7, "colour": "red"},
        nicknames=["JJ"],
        keys=[{"value": "k", "type": "front"}],
        hiredOn="2026-01-31T12:00:00Z",
        mark="Aa",
    )
    create(extended, "other@example.com", shoeSize=40, remote=False, mark="aa")

    found = extended.find(filter_.replace("{}", BADGE_URN))

    assert [each["userName"] for each in found] == ["jane@example.com"]


def test_a_list_is_sorted_by_an_added_attribute(extended):
    create(extended, "a@example.com", shoeSize=43)
    create(extended, "b@example.com", shoeSize=41)

    assert extended.names(sortBy=f"{BADGE_URN}:shoeSize") == ["b@example.com", "a@example.com"]


@pytest.mark.parametrize(
    ("value", "path"),
    [
        (43, f"{BADGE_URN}:shoeSize"),
        ({f"{BADGE_URN}:shoeSize": 43}, None),
        ({BADGE_URN: {"shoeSize": 43}}, None),
    ],
)
def test_a_patch_changes_an_added_attribute(extended, value, path):
    created = create(extended, shoeSize=42, remote=True)

    patched = extended.patch(created, replace(value, path)).json

    assert patched[BADGE_URN] == {"shoeSize": 43, "remote": True}


def test_a_patch_changes_a_part_of_an_added_attribute(extended):
    created = create(extended, badge={"number": 7, "colour": "red"})

    patched = extended.patch(created, replace("blue", f"{BADGE_URN}:badge.colour")).json

    assert patched[BADGE_URN]["badge"] == {"number": 7, "colour": "blue"}


# Immutable


def test_an_immutable_attribute_can_be_set_once(extended):
    created = create(extended)
    path = f"{BADGE_URN}:hiredOn"

    first = extended.patch(created, replace("2026-01-01T00:00:00Z", path))
    second = extended.patch(created, replace("2026-01-02T00:00:00Z", path))

    assert first.status_code == 200
    assert refusal(second)[:2] == (400, "mutability")


def test_a_put_cannot_change_an_immutable_attribute(extended):
    created = create(extended, hiredOn="2026-01-01T00:00:00Z")

    response = extended.put(created, badged(hiredOn="2026-01-02T00:00:00Z"))

    assert refusal(response)[:2] == (400, "mutability")


# Returned


def test_returned_request_attributes_are_omitted_unless_requested(extended):
    created = create(extended, salary=1.5, shoeSize=42)
    path = extended.path(created)

    assert extended.get(path).json[BADGE_URN] == {"shoeSize": 42}
    asked = extended.get(path, query_string={"attributes": f"{BADGE_URN}:salary"}).json
    assert asked[BADGE_URN] == {"salary": 1.5}


def test_returned_request_attributes_are_in_the_answer_to_their_write(extended):
    created = create(extended, salary=1.5, shoeSize=42)
    other = extended.patch(created, {"op": "add", "path": "title", "value": "T"}).json
    operation = {"op": "add", "path": f"{BADGE_URN}:salary", "value": 2}
    raised = extended.patch(created, operation).json

    assert created[BADGE_URN] == {"salary": 1.5, "shoeSize": 42}
    assert other[BADGE_URN] == {"shoeSize": 42}
    assert raised[BADGE_URN] == {"salary": 2, "shoeSize": 42}


def test_a_put_of_the_read_resource_keeps_hidden_attributes(extended):
    badge = {"number": 7, "pin": "1234", "hint": "dog"}
    created = create(extended, badge=badge, salary=1.5, riddle="sphinx", shoeSize=42)
    seen = extended.get(extended.path(created)).json

    answered = extended.put(created, seen).json
    query = {"attributes": f"{BADGE_URN}:salary,{BADGE_URN}:badge.hint"}
    kept = extended.get(extended.path(created), query_string=query).json[BADGE_URN]

    assert seen[BADGE_URN] == {"badge": {"number": 7}, "shoeSize": 42}
    assert answered["meta"]["version"] == seen["meta"]["version"]
    assert kept == {"salary": 1.5, "badge": {"hint": "dog"}}


@pytest.mark.parametrize("policy", ["okta", "strict"])
def test_a_put_clears_hidden_attributes_by_null(extended, policy):
    created = create(extended, salary=1.5, riddle="sphinx", shoeSize=42)
    extended.token = extended.site.issue(extended.ledger, policy=policy).token
    query = {"attributes": f"{BADGE_URN}:salary"}

    extended.put(created, badged(shoeSize=42, salary=None))

    assert BADGE_URN not in extended.get(extended.path(created), query_string=query).json


@pytest.mark.parametrize("attributes", [None, f"{BADGE_URN}:riddle,userName", BADGE_URN])
def test_returned_never_attributes_are_in_no_answer(extended, attributes):
    created = create(extended, riddle="sphinx", shoeSize=42)
    query = {"attributes": attributes} if attributes else {}

    one = extended.get(extended.path(created), query_string=query)
    listed = extended.get("/Users", query_string=query)

    for answer in (one, listed):
        assert "sphinx" not in answer.text


@pytest.mark.parametrize(
    "query",
    [{"attributes": "userName"}, {"excludedAttributes": f"{BADGE_URN}:mark"}],
    ids=["attributes", "excludedAttributes"],
)
def test_returned_always_attributes_are_in_every_answer(extended, query):
    created = create(extended, mark="x", shoeSize=42)

    shown = extended.get(extended.path(created), query_string=query).json

    assert shown[BADGE_URN]["mark"] == "x"


BADGE_PARTS = {"number": 7, "pin": "1234", "hint": "dog", "serial": "s"}


@pytest.mark.parametrize(
    ("query", "shown"),
    [
        ({}, {"number": 7, "serial": "s"}),
        ({"attributes": f"{BADGE_URN}:badge"}, {"number": 7, "serial": "s"}),
        ({"attributes": f"{BADGE_URN}:badge.hint"}, {"hint": "dog", "serial": "s"}),
        ({"attributes": f"{BADGE_URN}:badge.pin"}, {"serial": "s"}),
        ({"excludedAttributes": f"{BADGE_URN}:badge.number"}, {"serial": "s"}),
        ({"excludedAttributes": f"{BADGE_URN}:badge.serial"}, {"number": 7, "serial": "s"}),
    ],
)
def test_parts_of_an_attribute_are_returned_as_each_declares(extended, query, shown):
    created = create(extended, badge=BADGE_PARTS)

    answer = extended.get(extended.path(created), query_string=query).json

    assert answer[BADGE_URN]["badge"] == shown


def test_a_patch_of_another_attribute_keeps_hidden_ones(extended):
    created = create(extended, salary=1.5)

    extended.patch(created, replace("Boss", "title"))

    query = {"attributes": f"{BADGE_URN}:salary"}
    asked = extended.get(extended.path(created), query_string=query).json
    assert asked[BADGE_URN] == {"salary": 1.5}


def test_write_only_attributes_are_in_no_event(api):
    secret = {"name": "pass", "mutability": "writeOnly", "returned": "never"}
    add_schema(api.site, changed(BADGE, {"pass": secret}))

    created = create(api, **{"pass": "hunter2", "shoeSize": 42})

    assert created[BADGE_URN] == {"shoeSize": 42}
    assert "hunter2" not in str(api.site.events())


# Announced


def test_schemas_lists_it_after_those_built_in(extended):
    listed = extended.get("/Schemas").json["Resources"]

    assert listed[-1]["id"] == BADGE_URN
    assert [a["name"] for a in listed[-1]["attributes"]] == [a["name"] for a in BADGE["attributes"]]
    assert extended.get(f"/Schemas/{BADGE_URN}").json == listed[-1]


def test_the_resource_type_names_it(extended):
    document = extended.get("/ResourceTypes/User").json

    assert document["schemaExtensions"] == [
        {"schema": ENTERPRISE_URN, "required": False},
        {"schema": BADGE_URN, "required": False},
    ]


def test_an_extension_with_a_required_attribute_is_announced_as_required(api):
    add_schema(api.site, changed(BADGE, {"level": {"name": "level", "required": True}}))

    document = api.get("/ResourceTypes/User").json

    assert {"schema": BADGE_URN, "required": True} in document["schemaExtensions"]
    assert "level is required" in refusal(api.post(badged(shoeSize=42)))[2]
    assert api.post(badged(level="1")).status_code == 201


# Over time


def test_an_attribute_that_is_added_is_served_at_once(extended):
    extended.get("/Users")

    add_schema(extended.site, changed(BADGE, {"desk": {"name": "desk"}}))

    assert create(extended, desk="4-12")[BADGE_URN] == {"desk": "4-12"}


def test_a_removed_schema_is_not_served_any_more(extended):
    with opened(extended.site) as (tenant, metadata):
        configure.remove_schema(tenant, BADGE_URN, metadata, lambda done, total: None)

    assert extended.get(f"/Schemas/{BADGE_URN}").status_code == 404
    assert BADGE_URN not in create(extended, shoeSize=42)


def test_a_rebuild_gives_the_same_rows(extended):
    create(extended, shoeSize=42, code="A1", badge=BADGE_PARTS)
    before = extended.get("/Users").json

    with opened(extended.site) as (tenant, _):
        for projection in projections_of(tenant):
            projection.rebuild()
        faults = [p.check() for p in projections_of(tenant)]

    assert not any(faults)
    assert extended.get("/Users").json == before
    assert refusal(extended.post(badged("two@example.com", code="A1")))[0] == 409


# A unique value is its holder's alone


EXACT = {"code": {"name": "code", "caseExact": True, "uniqueness": "server"}}


@pytest.mark.parametrize("word", ["None", "null", "True", "1", "none"])
def test_another_users_first_value_frees_nobodys(api, word):
    add_schema(api.site, changed(BADGE, EXACT))
    create(api, "holder@example.com", code=word)
    create(api, "first@example.com", code="other")
    later = create(api, "later@example.com")
    api.patch(later, replace("another", f"{BADGE_URN}:code"))

    assert refusal(api.post(badged("second@example.com", code=word)))[0] == 409
    assert refusal(api.patch(later, replace(word, f"{BADGE_URN}:code")))[0] == 409


def test_a_value_is_free_once_its_holder_has_another_or_none_or_is_gone(extended):
    holders = [create(extended, f"{n}@example.com", code=f"c{n}") for n in range(3)]
    extended.patch(holders[0], replace("c9", f"{BADGE_URN}:code"))
    extended.put(holders[1], badged("1@example.com"))
    extended.delete(holders[2])

    for n in range(3):
        create(extended, f"new{n}@example.com", code=f"C{n}")


def test_an_attribute_that_stops_being_unique_can_be_shared_and_be_unique_again_after(extended):
    free, unique = {"code": {"name": "code"}}, {"code": {"name": "code", "uniqueness": "server"}}
    create(extended, "one@example.com", code="A1")

    add_schema(extended.site, changed(BADGE, free))
    other = create(extended, "two@example.com", code="a1")
    with pytest.raises(SchemaRefused, match="code cannot be unique"):
        add_schema(extended.site, changed(BADGE, unique))

    extended.patch(other, replace("A2", f"{BADGE_URN}:code"))
    add_schema(extended.site, changed(BADGE, unique))
    assert refusal(extended.post(badged("three@example.com", code="a2")))[0] == 409


@pytest.fixture
def doubled(extended):
    """Return a client, and two users who share a unique value as an earlier program let them."""
    first = create(extended, "one@example.com", code="A1")
    with opened(extended.site) as (tenant, _), tenant.ledger.writing() as connection:
        connection.execute("DELETE FROM unique_value")
    second = create(extended, "two@example.com", code="a1")
    with opened(extended.site) as (tenant, _):
        StoredProjection(tenant.ledger, tenant.resources).rebuild()
    return extended, first, second


def test_a_rebuild_accepts_two_holders_of_a_unique_value(doubled):
    api, first, second = doubled

    assert {one["id"] for one in api.find(f'{BADGE_URN}:code eq "A1"')} == {
        id_of(first),
        id_of(second),
    }
    with opened(api.site) as (tenant, _):
        assert not any(p.check() for p in projections_of(tenant))


def test_a_shared_value_is_free_only_when_nobody_has_it(doubled):
    api, first, second = doubled

    api.patch(first, replace("B1", f"{BADGE_URN}:code"))
    assert refusal(api.post(badged("new@example.com", code="A1")))[0] == 409
    api.patch(second, replace("B2", f"{BADGE_URN}:code"))
    create(api, "new@example.com", code="A1")


def test_a_holder_of_a_shared_value_can_change_everything_else(doubled):
    api, _, second = doubled

    assert api.patch(second, replace("T", "title")).status_code == 200
    assert api.put(second, badged("two@example.com", code="a1")).status_code == 200


def test_doctor_names_resources_that_share_a_unique_value(doubled):
    api, first, second = doubled
    environment = {"SCIM_DATA_DIR": str(api.site.data_dir)}
    checks = examine(environment, api.site.console.tenant)

    [found] = [check for check in checks if check.check == "ledger default unique values"]
    assert not found.ok
    assert id_of(first) in found.says
    assert id_of(second) in found.says


# Decimals


@pytest.mark.parametrize(
    ("term", "found"),
    [("eq 1.50", ["b"]), ("gt 1.5", ["c"]), ("le 1.5", ["a", "b"]), ("ne 1.5", ["a", "c", "d"])],
)
def test_decimals_are_found_by_their_value(extended, term, found):
    for name, salary in (("c", 10), ("b", "1.5"), ("a", 0.25)):
        create_named(extended, name, salary=salary)
    create_named(extended, "d")
    query = {"filter": f"{BADGE_URN}:salary {term}", "sortBy": "userName"}

    assert extended.names(**query) == found


def test_decimals_sort_by_their_value(extended):
    for name, salary in (("c", 10), ("b", "9.5"), ("a", -0.25)):
        create_named(extended, name, salary=salary)

    assert extended.names(sortBy=f"{BADGE_URN}:salary") == ["a", "b", "c"]


def create_named(api, name, **attributes):
    body = badged(**attributes) | {"userName": name}
    assert api.post(body).status_code == 201
