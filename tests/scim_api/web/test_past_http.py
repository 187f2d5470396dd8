"""asOf on the SCIM API: what it accepts and refuses; a walk stays at its instant."""

import threading
import time
from datetime import timedelta

import pytest
from freezegun import freeze_time

from ledger import clock
from ledger.events import ERASED
from scim_api.web.as_of import position_of
from tests.scim_api.client import add, refusal, remove, replace
from tests.scim_api.schemas_of_operators import BADGE, add_schema

LATER = timedelta(hours=1)


@pytest.fixture
def auditor(api):
    """Return a client that may read the past."""
    return api.site.client(scopes=["audit"])


def end(api):
    return api.recorded()


# What is taken


def test_a_position_means_the_state_after_its_event(api, auditor):
    jane = api.create(title="Clerk")
    then = end(api)
    api.patch(jane, replace("Chef", "title"))

    assert auditor.read(jane, asOf=then)["title"] == "Clerk"
    assert auditor.read(jane, asOf=then + 1)["title"] == "Chef"


@pytest.mark.parametrize("write", ["{}Z", "{}+00:00", "{}z"])
def test_an_instant_means_the_last_event_up_to_it(api, auditor, write):
    with freeze_time("2027-10-01T08:00:00.123456"):
        jane = api.create(title="Clerk")
    with freeze_time("2027-10-02T08:00:00"):
        api.patch(jane, replace("Chef", "title"))

    def title(text):
        return auditor.read(jane, asOf=write.format(text))["title"]

    assert title("2027-10-01T08:00:00.123456") == "Clerk"
    assert title("2027-10-02T07:59:59.999999") == "Clerk"
    assert title("2027-10-02T08:00:00") == "Chef"


def test_the_end_of_a_day_is_the_beginning_of_the_next(api, auditor):
    with freeze_time("2027-10-01T23:59:59"):
        jane = api.create(title="Clerk")
    with freeze_time("2027-10-02T00:00:00"):
        api.patch(jane, replace("Chef", "title"))

    assert auditor.read(jane, asOf="2027-10-01T23:59:59.5Z")["title"] == "Clerk"
    assert auditor.read(jane, asOf="2027-10-01T24:00:00Z")["title"] == "Chef"
    assert len(auditor.find('meta.lastModified eq "2027-10-01T24:00:00Z"')) == 1
    assert len(auditor.find('meta.created lt "2027-10-01T24:00:00.0Z"')) == 1
    moment = {"asOf": "2027-10-01T24:00:01Z"}
    assert refusal(auditor.get("/Users", query_string=moment))[:2] == (400, "invalidValue")


def test_an_instant_may_have_an_offset_also_when_its_plus_came_as_a_space(api, auditor):
    with freeze_time("2027-10-01T08:00:00"):
        jane = api.create()
    with freeze_time("2027-10-01T09:00:00"):
        api.delete(jane)

    for text in ("2027-10-01T10:30:00%2B02:00", "2027-10-01T10:30:00+02:00"):
        assert auditor.get(f"/Users/{jane['id']}?asOf={text}").status_code == 200


def test_the_answer_says_for_which_position_it_stands(api, auditor):
    with freeze_time("2027-10-01T08:00:00"):
        jane = api.create()
        then = end(api)
    with freeze_time("2027-10-01T09:00:00"):
        api.delete(jane)

    for path in ("/Users", f"/Users/{jane['id']}", "/Schemas", "/"):
        answer = auditor.get(path, query_string={"asOf": "2027-10-01T08:00:00Z"})
        assert answer.headers["Ledger-Position"] == str(then)
    assert "Ledger-Position" not in auditor.get("/Users").headers


def test_the_etag_is_that_of_the_time(api, auditor):
    jane = api.create()
    then = end(api)
    api.patch(jane, replace("Chef", "title"))
    path = f"/Users/{jane['id']}?asOf={then}"

    assert auditor.get(path).headers["ETag"] == 'W/"1"'
    assert auditor.get(path, headers={"If-None-Match": 'W/"1"'}).status_code == 304
    assert auditor.get(path, headers={"If-None-Match": 'W/"2"'}).status_code == 200
    assert auditor.get(path, headers={"If-Match": 'W/"2"'}).status_code == 412


def test_a_former_member_gets_200_and_not_304(api, auditor):
    jane = api.create()
    alone = end(api)
    staff = api.group("Staff", jane)
    api.patch(staff, remove(jane))
    left = end(api)
    known = {"If-None-Match": 'W/"1"'}

    def status(moment):
        return auditor.get(f"/Users/{jane['id']}?asOf={moment}", headers=known).status_code

    assert (status(alone), status(left)) == (304, 200)


def test_an_instant_waits_for_the_transaction_that_is_open(api):
    tenant = api.site.console.tenant(api.ledger)
    order, held = [], threading.Event()

    def write():
        with tenant.ledger.writing():
            held.set()
            time.sleep(0.2)
            order.append("written")

    writer = threading.Thread(target=write)
    writer.start()
    held.wait()
    position_of(tenant.ledger, clock.timestamp())
    order.append("answered")
    writer.join()
    tenant.close()

    assert order == ["written", "answered"]


def test_the_name_of_the_parameter_counts_in_any_case(api, auditor):
    jane = api.create(title="Clerk")
    then = end(api)
    api.patch(jane, replace("Chef", "title"))

    assert auditor.read(jane, asof=then)["title"] == "Clerk"


def test_a_search_takes_it_in_the_body_and_in_the_address(api, auditor):
    jane = api.create(title="Clerk")
    then = end(api)
    api.delete(jane)

    for as_of in (then, str(then)):
        found = auditor.search("/Users", filter='title eq "Clerk"', asOf=as_of)
        assert found.headers["Ledger-Position"] == str(then)
        assert found.json["totalResults"] == 1
    assert auditor.search("", asOf=then).json["totalResults"] == 1
    assert (
        auditor.post(
            {"schemas": ["urn:ietf:params:scim:api:messages:2.0:SearchRequest"]},
            f"/Users/.search?asOf={then}",
        ).json["totalResults"]
        == 1
    )


def test_me_as_of_a_moment_is_the_user_of_then(api):
    jane = api.create(title="Clerk")
    then = end(api)
    api.patch(jane, replace("Chef", "title"))
    own = api.site.client(scopes=["audit"], user=jane["id"])

    assert own.get(f"/Me?asOf={then}").json["title"] == "Clerk"


def test_the_schemas_and_rules_are_those_of_the_time(api, auditor):
    jane = api.create()
    before = end(api)
    add_schema(api.site)
    after = end(api)
    filter_ = f"{BADGE['id']}:{BADGE['attributes'][0]['name']} pr"

    assert auditor.get(f"/Schemas/{BADGE['id']}?asOf={before}").status_code == 404
    assert auditor.get(f"/Schemas/{BADGE['id']}?asOf={after}").status_code == 200
    then = auditor.get("/Users", query_string={"filter": filter_, "asOf": before})
    assert refusal(then)[1] == "invalidFilter"
    assert (
        auditor.get("/Users", query_string={"filter": filter_, "asOf": after}).json["totalResults"]
        == 0
    )
    assert auditor.read(jane, asOf=before)["schemas"] == jane["schemas"]


# What is refused


@pytest.mark.parametrize(
    "text",
    ["", "yesterday", "0", "-1", "1.5", "2026-10-01", "2026-10-01T00:00:00", "2026-13-01T00:00:00Z",
     "99999999999999999999", "2026-10-01T24:61:00Z", "null", "42a", "٤٢"],
)  # fmt: skip
def test_an_invalid_moment_is_refused(api, auditor, text):
    api.create()

    status, kind, detail = refusal(auditor.get("/Users", query_string={"asOf": text}))

    assert (status, kind) == (400, "invalidValue")
    assert "asOf" in detail or "Positions" in detail


def test_before_the_ledger_began_and_beyond_its_end_is_refused(api, auditor):
    api.create()
    last = end(api)
    future = clock.timestamp(clock.now() + LATER)

    for text, words in (
        ("2001-01-01T00:00:00Z", "before the ledger began"),
        (future, "future"),
        (str(last + 1), f"end of the ledger, position {last}"),
    ):
        status, kind, detail = refusal(auditor.get("/Users", query_string={"asOf": text}))
        assert (status, kind) == (400, "invalidValue")
        assert words in detail


def test_a_quiet_ledger_answers_for_every_instant_until_now(api, auditor):
    with freeze_time("2027-10-01T08:00:00"):
        jane = api.create()

    with freeze_time("2027-12-01T00:00:00"):
        assert auditor.read(jane, asOf="2027-11-30T00:00:00Z") == api.read(jane)


def test_the_past_is_not_written(api):
    jane = api.create()
    both = api.site.client(scopes=["audit", "provision"])
    before = end(api)

    for answer in (
        both.post({"schemas": [], "userName": "x"}, "/Users?asOf=1"),
        both.ask("PATCH", f"/Users/{jane['id']}?asOf=1", {}),
        both.ask("PUT", f"/Users/{jane['id']}?asOf=1", {}),
        both.ask("DELETE", f"/Users/{jane['id']}?asOf=1"),
        both.post({}, "/Bulk?asof=1"),
    ):
        assert refusal(answer)[:2] == (400, "invalidValue")
    assert end(api) == before


@pytest.mark.parametrize("scopes", [["provision"], ["read"], ["read", "provision"]])
def test_the_past_is_for_auditors(api, scopes):
    api.create()
    client = api.site.client(scopes=scopes)

    assert refusal(client.get("/Users?asOf=1"))[0] == 403
    assert refusal(client.search("/Users", asOf=1))[0] == 403
    assert refusal(client.get("/Schemas?asOf=1"))[0] == 403


def test_two_moments_at_once_are_refused(api, auditor):
    api.create()

    assert refusal(auditor.get("/Users?asOf=1&asOf=2"))[0] == 400
    twice = auditor.post(
        {"schemas": ["urn:ietf:params:scim:api:messages:2.0:SearchRequest"], "asOf": 1},
        "/Users/.search?asOf=2",
    )
    assert refusal(twice)[0] == 400
    assert refusal(auditor.search("/Users", asOf=True))[0] == 400


def test_a_user_created_later_is_not_found(api, auditor):
    before = end(api)
    jane = api.create()

    answer = auditor.get(f"/Users/{jane['id']}?asOf={before}")

    assert refusal(answer)[0] == 404
    assert "then" in answer.json["detail"]
    assert answer.headers["Ledger-Position"] == str(before)


# Lists


def walk(client, **parameters):
    """Return the userNames of a walk by cursor; yields to the caller between pages."""
    cursor = ""
    while cursor is not None:
        page = client.get("/Users", query_string={**parameters, "cursor": cursor}).json
        yield [one["userName"] for one in page["Resources"]]
        cursor = page.get("nextCursor")


@pytest.mark.parametrize("sort", [{}, {"sortBy": "userName", "sortOrder": "descending"}])
def test_a_walk_stays_at_its_instant(api, auditor, sort):
    names = api.fill(7)
    then = clock.timestamp()
    pages = []
    for page in walk(auditor, count=2, asOf=then, **sort):
        pages += page
        api.create(f"zz{len(pages)}@example.com")
        api.delete(api.find(f'userName eq "{names[len(pages) % 7]}"')[0])

    assert sorted(pages) == names


def test_a_cursor_of_one_moment_is_invalid_at_another(api, auditor):
    api.fill(3)
    then = end(api)
    page = auditor.get("/Users", query_string={"cursor": "", "count": 1, "asOf": then}).json
    next_ = {"cursor": page["nextCursor"], "count": 1}

    assert auditor.get("/Users", query_string={**next_, "asOf": then}).status_code == 200
    for other in ({}, {"asOf": then - 1}):
        answer = auditor.get("/Users", query_string={**next_, **other})
        assert refusal(answer)[1] == "invalidCursor"


def test_pages_by_index_show_the_population_of_the_time(api, auditor):
    names = api.fill(5)
    then = end(api)
    for name in names[:4]:
        api.delete(api.find(f'userName eq "{name}"')[0])

    page = auditor.get("/Users", query_string={"startIndex": 3, "count": 2, "asOf": then}).json
    assert page["totalResults"] == 5
    assert [one["userName"] for one in page["Resources"]] == names[2:4]


def test_members_and_groups_are_those_of_the_time(api, auditor):
    jane, staff = api.create(displayName="Jane"), api.group("Staff")
    api.patch(staff, add(jane))
    then = end(api)
    api.patch(jane, replace("Janet", "displayName"))
    api.patch(staff, remove(jane))
    api.patch(staff, replace("People", "displayName"))

    past = auditor.read(staff, asOf=then, attributes="displayName,members.display,members.value")
    assert past["members"] == [{"value": jane["id"], "display": "Jane"}]
    assert past["displayName"] == "Staff"
    assert auditor.read(jane, asOf=then)["groups"][0]["display"] == "Staff"
    found = auditor.get(
        "/Users", query_string={"filter": f'groups.value eq "{staff["id"]}"', "asOf": then}
    )
    assert found.json["totalResults"] == 1


# Forgetting


def erase(api, resource):
    """Forget a resource as an erasure does: an event, and its stream's payloads are gone."""
    stream = f"User-{resource['id']}"
    tenant = api.site.console.tenant(api.ledger)
    try:
        version = len(tenant.ledger.read_stream(stream))
        api.site.append(api.ledger, stream, version, (ERASED, {}))
    finally:
        tenant.close()


@pytest.mark.parametrize("known", [True, False], ids=["followed before", "followed after"])
def test_an_erased_person_is_absent_at_every_instant(api, auditor, known):
    jane, john = api.create(), api.create("john@example.com")
    staff = api.group("Staff", jane, john)
    there = end(api)
    if known:
        assert auditor.read(jane, asOf=there)["userName"] == "jane@example.com"
    api.patch(staff, remove(jane))
    api.delete(jane)
    erase(api, jane)

    for moment in range(1, end(api) + 1):
        at = {"asOf": moment}
        users = auditor.get("/Users", query_string=at).json
        assert users["totalResults"] == len(users.get("Resources", ()))
        assert jane["id"] not in str(users)
        assert auditor.get(f"/Users/{jane['id']}", query_string=at).status_code == 404
        found = auditor.get(
            "/Users", query_string={**at, "filter": 'userName eq "jane@example.com"'}
        )
        assert found.json["totalResults"] == 0
    members = auditor.read(staff, asOf=there)["members"]
    assert [member["value"] for member in members] == [john["id"]]


def test_a_raw_plus_in_a_filter_is_read_as_asof_reads_it(api):
    api.create()
    before, after = "2020-01-01T00:00:00+02:00", "2199-01-01T00:00:00+02:00"

    found = [
        api.get(f"/Users?filter=meta.created%20ge%20%22{moment}%22").json["totalResults"]
        for moment in (before, after)
    ]

    assert found == [1, 0]
