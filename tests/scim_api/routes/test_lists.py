"""Lists: paging, order, sorting; attributes and excludedAttributes on every verb."""

import pytest

from scim_api.protocol.schema.resource_types import ENTERPRISE_URN, USER_URN
from tests.scim_api.client import LIST_URN, employee, refusal, replace, user

NAMES = [f"user{number:03}@example.com" for number in range(5)]


@pytest.fixture
def five(api):
    """Return a client of a ledger with five users."""
    api.fill(5)
    return api


def page(api, **parameters):
    return api.get("/Users", query_string=parameters).json


def numbers(document):
    return document["totalResults"], document["startIndex"], document["itemsPerPage"]


# Paging


def test_an_empty_list_is_a_list_response_all_the_same(api):
    response = api.get("/Users")

    assert response.status_code == 200
    assert response.json == {
        "schemas": [LIST_URN],
        "totalResults": 0,
        "startIndex": 1,
        "itemsPerPage": 0,
        "Resources": [],
    }


def test_paging_numbers_are_json_integers(five):
    found = page(five, startIndex="2", count="2")

    assert [type(number) for number in numbers(found)] == [int, int, int]


@pytest.mark.parametrize(
    ("start", "count", "expected"),
    [
        (1, 2, NAMES[0:2]),
        (2, 2, NAMES[1:3]),
        (4, 2, NAMES[3:5]),
        (5, 2, NAMES[4:5]),
        (1, 5, NAMES),
        (1, 6, NAMES),
    ],
)
def test_a_page_holds_what_stands_there(five, start, count, expected):
    found = page(five, startIndex=start, count=count)

    assert [resource["userName"] for resource in found["Resources"]] == expected
    assert numbers(found) == (5, start, len(expected))


@pytest.mark.parametrize("start", [6, 7, 10, 101, 2**31, 2**53 - 1, 9_999_999_999_999_999])
def test_a_page_beyond_the_end_is_empty_with_the_same_total(five, start):
    found = page(five, startIndex=start, count=100)

    assert found["Resources"] == []
    assert (found["totalResults"], found["itemsPerPage"]) == (5, 0)


@pytest.mark.parametrize("start", [2, 3, 101])
@pytest.mark.parametrize("users", [0, 1])
def test_a_page_beyond_the_end_of_a_small_list_is_empty(api, users, start):
    api.fill(users)

    found = page(api, startIndex=start, count=100)

    assert numbers(found) == (users, start, 0)


@pytest.mark.parametrize("start", [6, 101])
@pytest.mark.parametrize("more", [{"filter": "active eq true"}, {"sortBy": "userName"}])
def test_a_filtered_or_sorted_page_beyond_the_end_is_empty_too(five, start, more):
    assert numbers(page(five, startIndex=start, **more)) == (5, start, 0)


@pytest.mark.parametrize("start", [0, -1, -(2**31), "", "  "])
def test_a_start_below_one_is_one(five, start):
    assert numbers(page(five, startIndex=start)) == (5, 1, 5)


@pytest.mark.parametrize("count", [0, -1, -(2**31)])
def test_a_count_of_nothing_gives_the_total_only(five, count):
    assert numbers(page(five, count=count)) == (5, 1, 0)
    assert page(five, count=count)["Resources"] == []


def test_a_huge_count_is_clamped_to_the_announced_maximum(make_site):
    api = make_site(SCIM_MAX_RESULTS="100").make()
    api.fill(102)

    announced = api.get("/ServiceProviderConfig").json["filter"]["maxResults"]
    assert announced == 100
    assert numbers(page(api, count=2**40)) == (102, 1, 100)


def test_without_a_count_a_page_holds_a_hundred(api):
    api.fill(101)

    assert numbers(page(api)) == (101, 1, 100)


@pytest.mark.parametrize("name", ["startIndex", "count"])
@pytest.mark.parametrize("value", ["ten", "1.5", "1e3", "0x10", "²", "--1", "1;2"])
def test_what_is_no_whole_number_is_400_invalid_value(five, name, value):
    status, type_, detail = refusal(five.get("/Users", query_string={name: value}))

    assert (status, type_) == (400, "invalidValue")
    assert name in detail


# Order


def test_users_stand_in_order_of_creation(api):
    for name in ("c@example.com", "a@example.com", "b@example.com"):
        api.create(name)

    assert api.names() == ["c@example.com", "a@example.com", "b@example.com"]


def test_a_change_moves_nobody(five):
    first = five.find(f'userName eq "{NAMES[0]}"')[0]
    five.patch(first, replace({"userName": "zzz@example.com", "active": False}))

    assert five.names() == ["zzz@example.com", *NAMES[1:]]


def test_inactive_users_are_listed(five):
    five.patch(five.find(f'userName eq "{NAMES[2]}"')[0], replace({"active": False}))

    assert five.names() == NAMES
    assert five.names(filter="active eq false") == [NAMES[2]]


def test_an_import_page_by_page_loses_and_doubles_nobody_while_users_arrive(api):
    there = api.fill(25)
    seen, start, arrivals = [], 1, 0
    while (found := page(api, startIndex=start, count=10))["Resources"]:
        seen += [resource["userName"] for resource in found["Resources"]]
        start += found["itemsPerPage"]
        if arrivals < 8:
            arrivals += 1
            api.create(f"new{arrivals}@example.com")

    assert seen[:25] == there
    assert len(set(seen)) == len(seen) == found["totalResults"]


def test_a_total_follows_deletions(five):
    five.delete(five.find(f'userName eq "{NAMES[1]}"')[0])

    found = page(five, startIndex=2, count=2)

    assert [r["userName"] for r in found["Resources"]] == NAMES[2:4]
    assert numbers(found) == (4, 2, 2)


def test_a_list_shows_the_same_documents_as_a_read(api):
    created = api.post(employee(title="Boss")).json

    assert page(api)["Resources"] == [created]
    assert page(api, filter="title pr")["Resources"] == [created]


# Sorting


@pytest.mark.parametrize("order", [None, "ascending", "Ascending", "ASCENDING"])
def test_sorting_ascends_by_default(api, order):
    for name in ("c@example.com", "a@example.com", "B@example.com"):
        api.create(name)
    parameters = {"sortBy": "userName"} | ({"sortOrder": order} if order else {})

    assert api.names(**parameters) == ["a@example.com", "B@example.com", "c@example.com"]


def test_sorting_can_descend(five):
    assert five.names(sortBy="username", sortOrder="descending") == NAMES[::-1]


@pytest.mark.parametrize("order", ["ascending", "descending"])
def test_users_without_the_value_stand_last_ascending_and_first_descending(api, order):
    api.create("a@example.com", title="X")
    api.create("b@example.com")
    expected = ["a@example.com", "b@example.com"]

    names = api.names(sortBy="title", sortOrder=order)

    assert names == (expected if order == "ascending" else expected[::-1])


def test_a_list_of_values_sorts_by_the_primary_one(api):
    z_first = [{"value": "z@x.org"}, {"value": "a@x.org", "primary": True}]
    api.create("a@example.com", emails=[{"value": "m@x.org"}])
    api.create("b@example.com", emails=z_first)

    assert api.names(sortBy="emails") == ["b@example.com", "a@example.com"]


@pytest.mark.parametrize(
    "path",
    [
        "id",
        "meta.created",
        "name.familyName",
        "emails.value",
        f"{ENTERPRISE_URN}:department",
        f"{USER_URN}:userName",
        "active",
    ],
)
def test_every_returned_attribute_can_be_sorted_by(five, path):
    assert sorted(five.names(sortBy=path)) == NAMES


@pytest.mark.parametrize("path", ["noSuchAttribute", "name", "password", "userName.x", "a b"])
def test_what_cannot_be_sorted_by_is_400_invalid_value(five, path):
    response = five.get("/Users", query_string={"sortBy": path})

    assert refusal(response)[:2] == (400, "invalidValue")


def test_an_unknown_order_is_400_invalid_value(five):
    response = five.get("/Users", query_string={"sortBy": "id", "sortOrder": "upwards"})

    assert refusal(response)[:2] == (400, "invalidValue")


def test_pages_of_a_sorted_list_meet_without_gap_or_double(api):
    for number in range(6):
        api.create(f"user{number}@example.com", title="same")

    pages = [api.names(sortBy="title", startIndex=start, count=2) for start in (1, 3, 5)]

    assert [name for names in pages for name in names] == [
        f"user{number}@example.com" for number in range(6)
    ]


# Filters on HTTP (the grammar has tests of its own)


def test_a_filter_counts_what_it_finds(five):
    found = page(five, filter='userName ge "user003"', count=1)

    assert numbers(found) == (2, 1, 1)


@pytest.mark.parametrize(
    "query",
    [
        "filter=userName%20eq%20%22user001%40example.com%22&startIndex=1&count=100",
        "filter=userName+eq+%22user001%40example.com%22&startIndex=1&count=100",
        'filter=userName eq "USER001@EXAMPLE.COM"',
        "filter=userName+eq+user001@example.com",
        f"filter={USER_URN}:userName eq %22user001@example.com%22",
    ],
)
def test_these_encodings_of_a_lookup_find_the_user(five, query):
    response = five.get(f"/Users?{query}")

    assert [r["userName"] for r in response.json["Resources"]] == ["user001@example.com"]


def test_a_literal_plus_is_sent_as_percent_2b(api):
    created = api.create("jane+test@example.com")

    response = api.get("/Users?filter=userName%20eq%20%22jane%2Btest%40example.com%22")

    assert response.json["Resources"] == [created]


@pytest.mark.parametrize(
    "filter_",
    [
        "userName",
        "userName eq",
        'userName xx "a"',
        'noSuchAttribute eq "a"',
        'userName eq "a',
        '(userName eq "a"',
        "active gt false",
        'password eq "x"',
        "(" * 40 + "active eq true" + ")" * 40,
        " or ".join(["active eq true"] * 201),
        "userName eq " + '"' + "a" * 5000,
        "\x00",
        'userName eq "\\ud800"',
    ],
    ids=lambda text: text[:30],
)
def test_a_filter_that_cannot_be_read_is_400_invalid_filter(five, filter_):
    response = five.get("/Users", query_string={"filter": filter_})

    assert refusal(response)[:2] == (400, "invalidFilter")


# attributes and excludedAttributes

FULL = {
    "name": {"givenName": "Jane", "familyName": "Doe"},
    "emails": [
        {"value": "jane@example.com", "type": "work", "primary": True},
        {"value": "jane@home.example", "type": "home"},
    ],
    "title": "Boss",
    "active": False,
}
MINIMUM = {"schemas", "id"}


@pytest.fixture
def jane(api):
    """Return a user with values of every kind."""
    return api.post(employee(**FULL)).json


def ask_each_way(api, resource, **parameters):
    """Return the resource as each verb that answers with one shows it."""
    body = employee(**FULL)
    other = body | {"userName": "other@example.com"}
    return {
        "list": api.get("/Users", query_string=parameters).json["Resources"][0],
        "get": api.get(api.path(resource), query_string=parameters).json,
        "put": api.put(resource, body, query_string=parameters).json,
        "patch": api.patch(resource, replace("Chief", "title"), query_string=parameters).json,
        "post": api.post(other, query_string=parameters).json,
    }


@pytest.mark.parametrize(
    ("attributes", "shown"),
    [
        ("userName", {"userName"}),
        ("USERNAME", {"userName"}),
        (" userName , title ", {"userName", "title"}),
        (f"{USER_URN}:userName", {"userName"}),
        (f"{USER_URN.upper()}:USERNAME", {"userName"}),
        ("meta", {"meta"}),
        ("id", set()),
        ("noSuchAttribute", set()),
        ("password", set()),
        ("nickName", set()),
        (ENTERPRISE_URN, {ENTERPRISE_URN}),
        (f"{ENTERPRISE_URN}:department", {ENTERPRISE_URN}),
        ('emails[type eq "work"]', {"emails"}),
    ],
)
def test_attributes_name_what_is_shown_besides_id_and_schemas(api, jane, attributes, shown):
    for verb, answer in ask_each_way(api, jane, attributes=attributes).items():
        assert answer.keys() == MINIMUM | shown, verb


def test_attributes_can_name_parts(api, jane):
    for answer in ask_each_way(api, jane, attributes="name.givenName,emails.value").values():
        assert answer["name"] == {"givenName": "Jane"}
        assert answer["emails"] == [{"value": "jane@example.com"}, {"value": "jane@home.example"}]
        assert answer.keys() == MINIMUM | {"name", "emails"}


@pytest.mark.parametrize(
    "attributes", ["name,name.givenName", "name.givenName,name", "NAME.familyname,name.givenName"]
)
def test_an_attribute_and_its_part_together_are_the_attribute(api, jane, attributes):
    answer = api.get(api.path(jane), query_string={"attributes": attributes}).json

    assert answer["name"] == FULL["name"]


@pytest.mark.parametrize(
    ("excluded", "hidden"),
    [
        ("title", {"title"}),
        ("TITLE,emails", {"title", "emails"}),
        (f"{USER_URN}:title", {"title"}),
        (ENTERPRISE_URN, {ENTERPRISE_URN}),
        (f"{ENTERPRISE_URN}:DEPARTMENT", {ENTERPRISE_URN}),
        ("id,schemas", set()),
        ("noSuchAttribute", set()),
        ("name.givenName,name.familyName", {"name"}),
        ("meta", {"meta"}),
        ("active", {"active"}),
    ],
)
def test_excluded_attributes_are_not_shown_but_id_and_schemas_are(api, jane, excluded, hidden):
    for verb, answer in ask_each_way(api, jane, excludedAttributes=excluded).items():
        assert answer.keys() == jane.keys() - hidden, verb


def test_parts_can_be_excluded(api, jane):
    for answer in ask_each_way(api, jane, excludedAttributes="name.givenName,emails.type").values():
        assert answer["name"] == {"familyName": "Doe"}
        assert answer["emails"] == [
            {"value": "jane@example.com", "primary": True},
            {"value": "jane@home.example"},
        ]


@pytest.mark.parametrize(
    ("attributes", "excluded"),
    [
        ("title", "title"),
        ("name.givenName", "name.givenName"),
        ("NAME", "name"),
        ("name.givenName", "name"),
        ("name", "name.givenName,name.familyName"),
        ("emails.display", "emails.value"),
        ("emails.value", "emails.value"),
        ("emails.value,emails.type", "emails.TYPE,emails.value"),
        ("emails", "emails"),
        (ENTERPRISE_URN, ENTERPRISE_URN),
        (f"{ENTERPRISE_URN}:department", ENTERPRISE_URN),
        ("meta,groups", "meta,groups"),
        ("groups.value", "groups.value"),
    ],
)
def test_what_is_asked_for_and_excluded_is_not_shown(api, jane, attributes, excluded):
    api.group("Staff", jane)
    query = {"attributes": attributes, "excludedAttributes": excluded}

    for verb, answer in ask_each_way(api, jane, **query).items():
        assert answer.keys() == MINIMUM, verb


@pytest.mark.parametrize("empty", ["attributes", "excludedAttributes"])
def test_an_empty_parameter_is_as_good_as_none(api, jane, empty):
    assert api.get(api.path(jane), query_string={empty: ""}).json == jane


def test_a_chosen_view_changes_neither_etag_nor_location(api):
    response = api.post(user(), query_string={"attributes": "userName"})

    assert response.headers["ETag"] == 'W/"1"'
    assert response.headers["Location"].endswith(response.json["id"])
