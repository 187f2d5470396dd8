"""/Bulk (RFC 7644 §3.7): references are resolved, each operation is a transaction."""

import time

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from scim_api.protocol.bulk import MAX_OPERATIONS, MAX_PAYLOAD
from scim_api.protocol.schema.resource_types import ENTERPRISE_URN, GROUP_URN, USER_URN
from scim_api.service import bulk as operations_of_bulk
from scim_api.tenants.configure import set_policy
from tests.scim_api.client import ERROR_URN, employee, patch, refusal, user
from tests.scim_api.schemas_of_operators import opened

REQUEST_URN = "urn:ietf:params:scim:api:messages:2.0:BulkRequest"
RESPONSE_URN = "urn:ietf:params:scim:api:messages:2.0:BulkResponse"
BASE_URL = "http://localhost/scim/v2"
NOBODY = "/Users/019aa000-0000-7000-8000-000000000000"


def request(*operations, **more):
    return {"schemas": [REQUEST_URN], "Operations": list(operations), **more}


def post(bulk_id, data, path="/Users"):
    return {"method": "POST", "path": path, "bulkId": bulk_id, "data": data}


def post_group(bulk_id, *members, name=None):
    values = [{"value": f"bulkId:{member}"} for member in members]
    data = {"schemas": [GROUP_URN], "displayName": name or bulk_id, "members": values}
    return post(bulk_id, data, "/Groups")


def on(method, path, data=None, **more):
    return {"method": method, "path": path, **({"data": data} if data else {}), **more}


@pytest.fixture
def bulk(api):
    """Send a bulk request that is carried out; return its results."""

    def send(*operations, **more):
        response = api.post(request(*operations, **more), "/Bulk")
        assert response.status_code == 200, response.text
        assert response.json["schemas"] == [RESPONSE_URN]
        return response.json["Operations"]

    return send


def statuses(results):
    return [result["status"] for result in results]


def at(api, result):
    """Return the resource that a result says it is about."""
    response = api.get(result["location"].removeprefix(BASE_URL))
    assert response.status_code == 200, response.text
    return response.json


def members(api, result):
    return sorted(member["value"] for member in at(api, result).get("members", ()))


def id_of(result):
    return result["location"].rpartition("/")[2]


def txns(api):
    """Return the transaction of each event about a resource."""
    kinds = ("User", "Group", "Role", "Entitlement")
    return [event.txn for event in api.site.events(api.ledger) if event.category in kinds]


# What is answered


def test_each_method_answers_as_the_rfc_shows(api, bulk):
    put, patched, deleted = (api.create(f"{name}@example.com") for name in ("a", "b", "c"))

    results = bulk(
        post("new", user("d@example.com")),
        on("PUT", f"/Users/{put['id']}", user("a@example.com", title="Dr")),
        on("PATCH", f"/Users/{patched['id']}", patch({"op": "add", "path": "title", "value": "x"})),
        on("DELETE", f"/Users/{deleted['id']}"),
    )

    new = api.find('userName eq "d@example.com"')[0]
    assert results == [
        {
            "method": "POST",
            "bulkId": "new",
            "location": new["meta"]["location"],
            "version": 'W/"1"',
            "status": "201",
        },
        {"method": "PUT", "location": put["meta"]["location"], "version": 'W/"2"', "status": "200"},
        {
            "method": "PATCH",
            "location": patched["meta"]["location"],
            "version": 'W/"2"',
            "status": "200",
        },
        {"method": "DELETE", "location": deleted["meta"]["location"], "status": "204"},
    ]


def test_the_answer_matches_what_was_recorded(api, bulk):
    api.create("taken@example.com")

    results = bulk(
        post("a", user("taken@example.com")),
        post("b", user("new@example.com")),
        on("DELETE", NOBODY),
        on("PUT", NOBODY, user("x@example.com")),
    )

    assert statuses(results) == ["409", "201", "404", "404"]
    assert api.names() == ["taken@example.com", "new@example.com"]


def test_a_refused_operation_says_why_in_a_scim_error(api, bulk):
    api.create("taken@example.com")

    result = bulk(post("a", user("taken@example.com")))[0]

    error = result.pop("response")
    assert result == {"method": "POST", "bulkId": "a", "status": "409"}
    assert (error["schemas"], error["status"]) == ([ERROR_URN], "409")
    assert error["scimType"] == "uniqueness"


@pytest.mark.parametrize("method", ["PUT", "PATCH", "DELETE"])
def test_a_refused_operation_on_a_resource_says_which(bulk, method):
    result = bulk(on(method, NOBODY, user()))[0]

    assert result["location"] == BASE_URL + NOBODY


def test_names_and_methods_are_taken_in_any_case(api):
    body = {
        "Schemas": [REQUEST_URN.upper()],
        "operations": [{"METHOD": "post", "Path": "Users/", "BULKID": "a", "Data": user()}],
    }

    response = api.post(body, "/Bulk")

    assert statuses(response.json["Operations"]) == ["201"]


def test_a_path_can_be_the_whole_url(api, bulk):
    results = bulk(post("a", user(), f"{BASE_URL}/Users"))

    assert statuses(results) == ["201"]


def test_a_version_is_the_condition_of_a_change(api, bulk):
    path = api.path(api.create())

    results = bulk(
        on("PATCH", path, patch({"op": "add", "path": "title", "value": "x"}), version='W/"7"'),
        on("PATCH", path, patch({"op": "add", "path": "title", "value": "y"}), version='W/"1"'),
        on("DELETE", path, version='W/"1"'),
    )

    assert statuses(results) == ["412", "200", "412"]
    assert api.get(path).json["title"] == "y"


def test_nothing_to_do_is_answered_with_nothing_done(bulk):
    assert bulk() == []


# What is recorded


def test_each_operation_is_a_transaction_of_its_own(api, bulk):
    bulk(post("a", user("a@example.com")), post("b", user("b@example.com")))

    assert len(set(txns(api))) == 2


def test_an_event_tells_the_operation_and_the_request_that_caused_it(api):
    body = request(post("a", user()), on("DELETE", "/Users/bulkId:a"))
    response = api.post(body, "/Bulk")

    created, deleted = api.site.events(api.ledger)[-2:]
    assert created.via == deleted.via == "scim.bulk"
    assert (created.request["method"], created.request["path"]) == ("POST", "/scim/v2/Users")
    assert deleted.request["method"] == "DELETE"
    assert deleted.request["path"] == f"/scim/v2/Users/{deleted.subject}"
    ids = {created.request["id"], deleted.request["id"]}
    assert ids == {response.headers["X-Request-Id"]}


# References


def test_a_backward_reference_becomes_the_id(api, bulk):
    results = bulk(post("u", user()), post_group("g", "u"))

    assert members(api, results[1]) == [id_of(results[0])]


def test_a_forward_reference_becomes_the_id_and_answers_keep_the_order(api, bulk):
    results = bulk(post_group("g", "u"), post("u", user()))

    assert [result["bulkId"] for result in results] == ["g", "u"]
    assert members(api, results[0]) == [id_of(results[1])]


def test_a_member_that_is_referred_to_has_the_right_type(api, bulk):
    results = bulk(post_group("outer", "inner", "u"), post_group("inner"), post("u", user()))

    types = {member["value"]: member["type"] for member in at(api, results[0])["members"]}
    assert types == {id_of(results[1]): "Group", id_of(results[2]): "User"}


def test_a_reference_in_an_extension_becomes_the_id(api, bulk):
    bob = employee("bob@example.com")
    bob[ENTERPRISE_URN]["manager"] = {"value": "bulkId:alice", "$ref": "../Users/bulkId:alice"}

    results = bulk(post("bob", bob), post("alice", user("alice@example.com")))

    assert at(api, results[0])[ENTERPRISE_URN]["manager"]["value"] == id_of(results[1])


def test_a_reference_in_a_path_becomes_the_id(api, bulk):
    results = bulk(
        on("PATCH", "/Users/bulkId:u", patch({"op": "add", "path": "title", "value": "x"})),
        on("PUT", "/Users/bulkId%3Au", user(title="y")),
        post("u", user()),
    )

    assert statuses(results) == ["200", "200", "201"]
    assert at(api, results[2])["title"] == "y"
    assert len({result["location"] for result in results}) == 1


def test_a_reference_in_a_patch_becomes_the_id(api, bulk):
    group = bulk(post_group("g"))[0]
    added = {"op": "add", "path": "members", "value": [{"value": "bulkId:u"}]}

    results = bulk(on("PATCH", f"/Groups/{id_of(group)}", patch(added)), post("u", user()))

    assert members(api, group) == [id_of(results[1])]


def test_references_are_found_under_names_in_any_case(api, bulk):
    bob = user("bob@example.com")
    bob["schemas"].append(ENTERPRISE_URN)
    bob[ENTERPRISE_URN.upper()] = {"MANAGER": {"Value": "bulkId:u", "$REF": "../Users/bulkId:u"}}
    carl = user("carl@example.com") | {"schemas": bob["schemas"]}
    carl[ENTERPRISE_URN] = {"Manager": "bulkId:u"}
    staff = {"schemas": [GROUP_URN], "displayName": "g", "MEMBERS": [{"VALUE": "bulkId:u"}]}
    added = {"OP": "add", "PATH": "Members", "VALUE": [{"Value": "bulkId:bob"}]}
    removed = {"Op": "remove", "Path": 'MEMBERS[VALUE EQ "bulkId:u"]'}
    urn = patch()["schemas"]

    results = bulk(
        post("g", staff, "/Groups"),
        on("PATCH", "/Groups/bulkId:g", {"schemas": urn, "OPERATIONS": [added]}),
        on("PATCH", "/Groups/bulkId:g", {"schemas": urn, "operations": [removed]}),
        post("bob", bob),
        post("carl", carl),
        post("u", user()),
    )

    assert statuses(results) == ["201", "200", "200", "201", "201", "201"]
    assert members(api, results[0]) == [id_of(results[3])]
    for one in results[3:5]:
        assert at(api, one)[ENTERPRISE_URN]["manager"]["value"] == id_of(results[5])


def test_a_reference_in_the_filter_of_a_patch_becomes_the_id(api, bulk):
    removed = {"op": "remove", "path": 'members[value eq "bulkId:u"]'}

    results = bulk(
        post("u", user("u@example.com")),
        post("v", user("v@example.com")),
        post_group("g", "u", "v"),
        on("PATCH", "/Groups/bulkId:g", patch(removed)),
    )

    assert members(api, results[2]) == [id_of(results[1])]


def test_references_in_json_text_become_the_ids(api, bulk):
    group = {"schemas": [GROUP_URN], "displayName": "g", "members": '[{"value":"bulkId:u"}]'}
    texts = ['{"value":"bulkId:v"}']

    results = bulk(
        post("g", group, "/Groups"),
        on("PATCH", "/Groups/bulkId:g", patch({"op": "add", "path": "members", "value": texts})),
        post("u", user("u@example.com")),
        post("v", user("v@example.com")),
    )

    assert members(api, results[0]) == sorted(map(id_of, results[2:]))


def test_a_long_chain_of_references_is_resolved(api, bulk):
    chain = [post_group(f"g{number}", f"g{number + 1}") for number in range(60)]

    results = bulk(*chain, post_group("g60"))

    ids = [id_of(result) for result in results]
    assert [members(api, result) for result in results[:-1]] == [[id_] for id_ in ids[1:]]


@pytest.mark.parametrize(
    "operation",
    [
        post_group("g", "nobody"),
        on("DELETE", "/Users/bulkId:nobody"),
        on("PATCH", NOBODY, patch({"op": "remove", "path": 'members[value eq "bulkId:nobody"]'})),
        post("x", employee() | {ENTERPRISE_URN: {"manager": "bulkId:nobody"}}),
        post("x", employee() | {ENTERPRISE_URN: {"Manager": "bulkId:nobody"}}),
        post("x", user(PHONENUMBERS=["bulkId:nobody"])),
        on(
            "PATCH",
            NOBODY,
            patch({"op": "add", "PATH": f"{ENTERPRISE_URN}:MANAGER", "Value": "bulkId:nobody"}),
        ),
    ],
    ids=["value", "path", "filter", "plain value", "other case", "a list", "a path"],
)
def test_a_reference_to_nothing_is_refused_with_its_name(api, bulk, operation):
    before = api.recorded()

    error = bulk(operation)[0]["response"]

    assert (error["status"], error["scimType"]) == ("400", "invalidValue")
    assert "bulkId nobody" in error["detail"]
    assert api.recorded() == before


def test_a_reference_to_an_adopted_user_becomes_the_id_it_has(api, bulk):
    with opened(api.site) as (tenant, metadata):
        set_policy(tenant, "okta", {"adopt": True}, metadata)
    known = api.create("jane@example.com", externalId="00u1", active=False)

    results = bulk(post_group("g", "u"), post("u", user("jane@example.com", externalId="00u1")))

    assert statuses(results) == ["201", "201"]
    assert results[1]["location"] == known["meta"]["location"]
    assert members(api, results[0]) == [known["id"]]


def test_text_that_only_looks_like_a_reference_is_kept(api, bulk):
    result = bulk(post("u", user(nickName="bulkId:nobody")))[0]

    assert at(api, result)["nickName"] == "bulkId:nobody"


def test_an_operation_that_refers_to_a_failed_creation_is_refused(api, bulk):
    api.create("taken@example.com")
    before = api.recorded()

    results = bulk(
        post("u", user("taken@example.com")),
        post_group("g", "u"),
        post_group("outer", "g"),
        on("PATCH", "/Users/bulkId:u", patch({"op": "add", "path": "title", "value": "x"})),
    )

    assert statuses(results) == ["409"] * 4
    assert "bulkId u, which was not created" in results[1]["response"]["detail"]
    assert "bulkId g, which was not created" in results[2]["response"]["detail"]
    assert "location" not in results[3]
    assert api.recorded() == before


def test_an_operation_that_refers_to_a_deleted_resource_is_refused(api, bulk):
    results = bulk(post("u", user()), on("DELETE", "/Users/bulkId:u"), post_group("g", "u"))

    assert statuses(results) == ["201", "204", "409"]
    assert "has deleted" in results[2]["response"]["detail"]


# Circles


def refused_for_a_circle(results):
    return [
        result["status"] == "409" and "circle" in result["response"]["detail"] for result in results
    ]


@pytest.mark.parametrize("size", [2, 3, 60])
def test_no_operation_of_a_circle_is_carried_out(api, bulk, size):
    before = api.recorded()

    results = bulk(*(post_group(f"g{n}", f"g{(n + 1) % size}") for n in range(size)))

    assert refused_for_a_circle(results) == [True] * size
    assert api.recorded() == before


def test_operations_that_refer_to_a_circle_are_refused_and_others_run(api, bulk):
    before = api.recorded()
    added = {"op": "add", "path": "members", "value": [{"value": "bulkId:u"}]}

    results = bulk(
        post_group("x", "a"),
        post_group("a", "b"),
        post_group("b", "a", "u"),
        post("u", user()),
        on("PATCH", "/Groups/bulkId:b", patch(added)),
    )

    assert refused_for_a_circle(results[:3]) == [True] * 3
    assert results[3]["status"] == "201"
    assert refused_for_a_circle(results[4:]) == [True]
    assert "location" not in results[4]
    assert api.recorded() == before + 1


def test_a_circle_is_refused_with_a_bulk_id_of_it_and_what_to_do(bulk):
    results = bulk(post_group("a", "b"), post_group("b", "a"))

    details = [result["response"]["detail"] for result in results]
    assert "bulkId b" in details[0]
    assert "bulkId a" in details[1]
    assert all("add that with a PATCH" in detail for detail in details)


def test_each_operation_of_a_circle_counts_as_an_error(bulk):
    results = bulk(post_group("a", "b"), post_group("b", "a"), post("u", user()), failOnErrors=2)

    assert statuses(results) == ["409", "409"]


def test_a_group_in_itself_is_a_group(api, bulk):
    result = bulk(post_group("g", "g"))[0]

    member = at(api, result)["members"][0]
    assert (member["value"], member["type"]) == (id_of(result), "Group")


@settings(
    max_examples=12,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
@given(st.dictionaries(st.integers(0, 7), st.sets(st.integers(0, 7)), min_size=1))
def test_of_any_web_of_references_all_is_created_but_what_leads_into_a_circle(api, bulk, web):
    run = api.recorded()  # names of its own for each example
    web = {number: found & web.keys() for number, found in web.items()}

    results = bulk(*(post_group(n, *found, name=f"{run} {n}") for n, found in texts(web).items()))

    circular = into_a_circle(web)
    assert statuses(results) == ["409" if number in circular else "201" for number in web]
    ids = {result["bulkId"]: id_of(result) for result in results if "location" in result}
    for result, found in zip(results, texts(web).values(), strict=True):
        if "location" in result:
            assert members(api, result) == sorted(ids[other] for other in found)


def into_a_circle(web):
    """Return what cannot be created one after the other; a group may be a member of itself."""
    left = dict(web)
    while done := {number for number, found in left.items() if not found & left.keys() - {number}}:
        left = {number: found for number, found in left.items() if number not in done}
    return left.keys()


def texts(web):
    return {str(number): sorted(map(str, found)) for number, found in web.items()}


def test_users_who_manage_each_other_are_a_circle(api, bulk):
    def employed(name, manager):
        return employee(name) | {ENTERPRISE_URN: {"manager": {"value": f"bulkId:{manager}"}}}

    results = bulk(post("a", employed("a@x.com", "b")), post("b", employed("b@x.com", "a")))

    assert refused_for_a_circle(results) == [True, True]
    assert api.names() == []


# Errors


def test_without_fail_on_errors_everything_is_tried(bulk):
    results = bulk(*(on("DELETE", NOBODY) for _ in range(5)), post("u", user()))

    assert statuses(results) == ["404"] * 5 + ["201"]


@pytest.mark.parametrize("most", [1, 2])
def test_fail_on_errors_stops_after_so_many(api, bulk, most):
    bad = on("DELETE", NOBODY)

    results = bulk(
        post("u", user("u@x.com")), bad, bad, post("v", user("v@x.com")), failOnErrors=most
    )

    assert statuses(results) == ["201"] + ["404"] * most
    assert api.names() == ["u@x.com"]


def test_after_fewer_errors_than_fail_on_errors_all_goes_on(bulk):
    results = bulk(on("DELETE", NOBODY), post("u", user()), failOnErrors=2)

    assert statuses(results) == ["404", "201"]


@pytest.mark.parametrize(
    ("operation", "status"),
    [
        ({}, "400"),
        ({"method": "GET", "path": "/Users"}, "400"),
        ({"method": 7, "path": "/Users"}, "400"),
        ({"method": "POST", "path": "/Users", "data": user()}, "400"),
        ({"method": "POST", "path": "/Users", "data": user(), "bulkId": ""}, "400"),
        ({"method": "POST", "path": "/Users", "data": user(), "bulkId": 5}, "400"),
        ({"method": "POST", "path": "/Users", "bulkId": "a"}, "400"),
        ({"method": "POST", "bulkId": "a", "data": user()}, "400"),
        ({"method": "POST", "path": "/Users/1", "bulkId": "a", "data": user()}, "400"),
        ({"method": "POST", "path": "/Bulk", "bulkId": "a", "data": user()}, "404"),
        ({"method": "POST", "path": "/Users", "bulkId": "a", "data": "text"}, "400"),
        ({"method": "PUT", "path": "/Users", "data": user()}, "400"),
        ({"method": "DELETE", "path": "/Users/1/2"}, "400"),
        ({"method": "DELETE", "path": "/Users/1", "version": 3}, "400"),
        ({"method": "PATCH", "path": NOBODY}, "400"),
    ],
)
def test_a_malformed_operation_is_refused_alone(bulk, operation, status):
    results = bulk(operation, post("good", user()))

    assert statuses(results) == [status, "201"]
    assert results[0]["response"]["detail"]


@pytest.mark.parametrize(
    ("body", "scim_type"),
    [
        ([], "invalidSyntax"),
        ({"Operations": []}, "invalidSyntax"),
        ({"schemas": [USER_URN], "Operations": []}, "invalidValue"),
        ({"schemas": [REQUEST_URN]}, "invalidSyntax"),
        ({"schemas": [REQUEST_URN], "Operations": {}}, "invalidSyntax"),
        (request("text"), "invalidSyntax"),
        (request({"path": "/a", "Path": "/b"}), "invalidSyntax"),
        (request(failOnErrors=0), "invalidValue"),
        (request(failOnErrors=True), "invalidValue"),
        (request(failOnErrors="1"), "invalidValue"),
        (request(post("a", user("a@x.com")), post("a", user("b@x.com"))), "invalidValue"),
        (request(post("a", user("a@x.com")), on("DELETE", NOBODY, bulkId="a")), "invalidValue"),
    ],
)
def test_a_malformed_request_is_refused_whole(api, body, scim_type):
    before = api.recorded()

    response = api.post(body, "/Bulk")

    assert refusal(response)[:2] == (400, scim_type)
    assert api.recorded() == before


def test_too_many_operations_are_413_with_the_limits(api):
    operations = [on("DELETE", NOBODY)] * (MAX_OPERATIONS + 1)

    status, _, detail = refusal(api.post(request(*operations), "/Bulk"))

    assert status == 413
    assert str(MAX_OPERATIONS) in detail
    assert str(MAX_PAYLOAD) in detail


def test_too_large_a_payload_is_413_with_the_limit(make_site):
    api = make_site(SCIM_MAX_BODY="5000000").make()

    status, _, detail = refusal(api.ask("POST", "/Bulk", data=b" " * (MAX_PAYLOAD + 1)))

    assert status == 413
    assert str(MAX_PAYLOAD) in detail


def test_a_request_that_takes_too_long_is_told_which_operations_are_left(api, bulk, monkeypatch):
    monkeypatch.setattr(operations_of_bulk, "MAX_SECONDS", 0.1)
    results = bulk(*[post(f"{number}", user(f"{number}@x.com")) for number in range(900)])

    done = statuses(results).count("201")
    assert 0 < done < 900
    assert statuses(results) == ["201"] * done + ["429"] * (900 - done)
    assert "operations that are left" in results[-1]["response"]["detail"]
    assert api.get("/Users").json["totalResults"] == done


def test_a_ledger_that_is_busy_is_asked_once(make_site):
    api = make_site(SCIM_WRITE_PATIENCE="0.3").make()
    api.get("/Users")
    operations = [post(f"{number}", user(f"{number}@x.com")) for number in range(10)]
    tenant = api.site.console.tenant("default")

    with tenant.ledger.writing():
        started = time.perf_counter()
        response = api.post(request(*operations), "/Bulk")
        took = time.perf_counter() - started
    tenant.close()

    assert statuses(response.json["Operations"]) == ["429"] * 10
    assert took < 2  # ten waits would be three seconds


def test_a_fault_of_ours_is_told_of_its_operation_only(api, bulk, capsys):
    broken = api.path(api.create("broken@example.com"))
    tenant = api.site.console.tenant("default")
    with tenant.ledger.writing() as connection:
        connection.execute("UPDATE resource SET document = x'7b'")  # no JSON
    tenant.close()

    results = bulk(
        post("u", user()),
        on("PATCH", broken, patch({"op": "add", "path": "title", "value": "x"})),
        post_group("g", "u"),
    )

    assert statuses(results) == ["201", "500", "201"]
    assert "bulk operation failed" in capsys.readouterr().err
