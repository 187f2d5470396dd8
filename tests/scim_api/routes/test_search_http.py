"""POST /.search, and GET at the base: lists of one type or of all (RFC 7644 §3.4.2.1, §3.4.3)."""

import pytest

from tests.scim_api.client import LIST_URN, SEARCH_URN, refusal

BODY = {"schemas": [SEARCH_URN], "filter": "userName pr"}
ROLE_URN = "urn:okta:scim:schemas:core:1.0:Role"


@pytest.fixture
def world(api):
    """Return two users, a group of one of them and a role, by a word for each."""
    jane = api.create("jane@example.com", displayName="Zoe", title="Chief")
    omar = api.create("omar@example.com", name={"familyName": "Adams"})
    staff = api.group("Staff", jane)
    role = api.post({"schemas": [ROLE_URN], "displayName": "Auditor"}, "/Roles").json
    return {"jane": jane, "omar": omar, "staff": staff, "role": role}


def words(world, response):
    """Return who is found, in order."""
    assert response.status_code == 200, response.text
    document = response.json
    assert document["schemas"] == [LIST_URN]
    assert document["itemsPerPage"] == len(document["Resources"])
    by_id = {resource["id"]: word for word, resource in world.items()}
    return [by_id[resource["id"]] for resource in document["Resources"]]


def test_a_search_at_the_root_finds_all_types_in_order_of_creation(api, world):
    assert words(world, api.search()) == EVERYONE


EVERYONE = ["jane", "omar", "staff", "role"]


@pytest.mark.parametrize(
    ("filter_", "found"),
    [
        ('nowhere eq "x"', []),
        ("nowhere pr", []),
        ("nowhere gt 5 or userName.nick eq true", []),
        ('emails[nick eq "x"]', []),
        ('nowhere[nick eq "x" and not (other pr)]', []),
        (f'{ROLE_URN}:nowhere eq "x"', []),
        ('nowhere ne "x"', EVERYONE),
        ("nowhere eq null and not (nowhere pr)", EVERYONE),
        ('nowhere eq "x" or userName sw "jane"', ["jane"]),
        ('userName ne "jane@example.com"', ["omar", "staff", "role"]),
        ('department eq "Sales" or not (department pr)', EVERYONE),
    ],
)
def test_at_the_root_an_attribute_that_no_type_has_is_absent(api, world, filter_, found):
    assert words(world, api.search(filter=filter_)) == found
    assert words(world, api.get("", query_string={"filter": filter_})) == found


def test_at_the_root_by_an_attribute_that_no_type_has_nothing_is_sorted(api, world):
    assert words(world, api.search(sortBy="nowhere")) == EVERYONE


@pytest.mark.parametrize("filter_", ['1a eq "x"', 'a..b eq "x"', "nowhere", "nowhere is 5"])
def test_what_is_no_filter_is_refused_at_the_root_too(api, world, filter_):
    assert refusal(api.search(filter=filter_))[:2] == (400, "invalidFilter")


def test_of_one_type_an_attribute_that_it_does_not_have_is_refused(api, world):
    assert refusal(api.search("/Users", filter='nowhere eq "x"'))[:2] == (400, "invalidFilter")


@pytest.mark.parametrize("path", ["", "/"])
def test_a_get_of_the_base_finds_the_same(api, world, path):
    response = api.get(path)

    assert response.json == api.search().json


@pytest.mark.parametrize(
    ("path", "found"),
    [("/Users", ["jane", "omar"]), ("/Groups", ["staff"]), ("/Roles", ["role"])],
)
def test_a_search_at_an_endpoint_finds_its_type_as_a_get_does(api, world, path, found):
    response = api.search(path)

    assert words(world, response) == found
    assert response.json == api.get(path).json


@pytest.mark.parametrize(
    ("filter_", "found"),
    [
        ('meta.resourceType eq "Group"', ["staff"]),
        ('meta.resourceType eq "user"', []),
        ('meta.resourceType eq "User" and userName sw "j"', ["jane"]),
        ('meta.resourceType eq "User" or meta.resourceType eq "Role"', ["jane", "omar", "role"]),
        ('displayName eq "staff"', ["staff"]),
        ("displayName pr", ["jane", "staff", "role"]),
        ("userName pr", ["jane", "omar"]),
        ("not (userName pr)", ["staff", "role"]),
        ('id eq "{role}"', ["role"]),
        ('members.value eq "{jane}"', ["staff"]),
        ('groups.value eq "{staff}"', ["jane"]),
        ("groups pr", ["jane"]),
        ('members[type eq "User"] or title eq "chief"', ["jane", "staff"]),
        ('schemas eq "urn:ietf:params:scim:schemas:core:2.0:Group"', ["staff"]),
    ],
)
def test_filters_reach_across_types(api, world, filter_, found):
    ids = {word: resource["id"] for word, resource in world.items()}
    query = filter_.format(**ids)

    assert words(world, api.search(filter=query)) == found
    assert words(world, api.get("", query_string={"filter": query})) == found


def test_a_nested_group_has_no_groups_of_its_own(api, world):
    api.group("Company", world["staff"])

    assert words(world, api.search(filter="groups pr")) == ["jane"]


@pytest.mark.parametrize(
    ("order", "found"),
    [
        ({"sortBy": "displayName"}, ["role", "staff", "jane", "omar"]),
        ({"sortBy": "displayName", "sortOrder": "descending"}, ["omar", "jane", "staff", "role"]),
        ({"sortBy": "id", "sortOrder": "descending"}, ["role", "staff", "omar", "jane"]),
        ({"sortBy": "meta.created", "sortOrder": "ascending"}, ["jane", "omar", "staff", "role"]),
    ],
)
def test_a_search_sorts(api, world, order, found):
    assert words(world, api.search(**order)) == found


def test_a_search_pages(api, world):
    response = api.search(startIndex=2, count=2)

    assert words(world, response) == ["omar", "staff"]
    assert (response.json["totalResults"], response.json["startIndex"]) == (4, 2)


@pytest.mark.parametrize("path", ["", "/Users", "/Groups"])
def test_a_count_of_none_gives_the_total_alone(api, world, path):
    document = api.search(path, count=0).json

    assert document["totalResults"] == {"": 4, "/Users": 2, "/Groups": 1}[path]
    assert (document["itemsPerPage"], document["Resources"]) == (0, [])


@pytest.mark.parametrize("names", [["userName"], ["USERNAME", "nothing"], "userName"])
def test_attributes_are_a_list(api, world, names):
    response = api.search("/Users", attributes=names)

    assert [each.keys() for each in response.json["Resources"]] == [
        {"schemas", "id", "userName"}
    ] * 2


def test_each_type_shows_those_of_the_attributes_it_has(api, world):
    found = api.search(attributes=["userName", "displayName", "members.value"]).json["Resources"]

    assert [each.keys() - {"schemas", "id"} for each in found] == [
        {"userName", "displayName"},
        {"userName"},
        {"displayName", "members"},
        {"displayName"},
    ]
    assert found[2]["members"] == [{"value": world["jane"]["id"]}]


def test_attributes_can_be_left_out(api, world):
    found = api.search(excludedAttributes=["meta", "members", "groups"]).json["Resources"]

    assert [each.keys() & {"meta", "members", "groups"} for each in found] == [set()] * 4
    assert found[0]["title"] == "Chief"


def test_groups_and_members_are_laid_on_in_a_list_of_all_types(api, world):
    jane, omar, staff, role = api.search().json["Resources"]

    assert jane["groups"][0]["value"] == world["staff"]["id"]
    assert staff["members"][0]["value"] == world["jane"]["id"]
    assert "groups" not in omar and "members" not in role


def test_names_of_a_search_are_read_in_any_case(api, world):
    body = {"SCHEMAS": [SEARCH_URN.upper()], "Filter": "userName pr", "COUNT": 1}

    response = api.post(body, "/.search")

    assert words(world, response) == ["jane"]


def test_what_a_search_does_not_know_does_nothing(api, world):
    assert words(world, api.search(odd=1, filter=None, count=None)) == list(world)


@pytest.mark.parametrize(
    ("wrong", "kind", "names"),
    [
        ({"filter": "no+thing eq 1"}, "invalidFilter", "no+thing"),
        ({"filter": ""}, "invalidFilter", "filter"),
        ({"filter": 'userName eq "'}, "invalidFilter", "filter"),
        ({"filter": 5}, "invalidValue", "filter"),
        ({"count": "5"}, "invalidValue", "count"),
        ({"count": 1.5}, "invalidValue", "count"),
        ({"startIndex": True}, "invalidValue", "startIndex"),
        ({"attributes": [1]}, "invalidValue", "attributes"),
        ({"attributes": {}}, "invalidValue", "attributes"),
        ({"sortOrder": "up"}, "invalidValue", "sortOrder"),
        ({"sortBy": ["id"]}, "invalidValue", "sortBy"),
    ],
)
@pytest.mark.parametrize("path", ["", "/Users"])
def test_a_wrong_search_is_refused_by_name(api, path, wrong, kind, names):
    status, scim_type, detail = refusal(api.search(path, **wrong))

    assert (status, scim_type) == (400, kind)
    assert names in detail


@pytest.mark.parametrize("body", [{}, {"schemas": []}, {"schemas": "x"}, {"schemas": [LIST_URN]}])
def test_a_search_says_that_it_is_one(api, body):
    status, scim_type, detail = refusal(api.post(body, "/.search"))

    assert (status, scim_type) == (400, "invalidValue")
    assert SEARCH_URN in detail


def test_a_search_is_an_object(api):
    assert refusal(api.post([], "/Users/.search"))[:2] == (400, "invalidSyntax")


def test_a_search_changes_nothing(api, world):
    before = api.recorded()

    api.search(filter="userName pr")

    assert api.recorded() == before


def test_a_get_of_the_search_address_is_refused(api):
    response = api.get("/.search")

    assert refusal(response)[0] == 405
    assert response.headers["Allow"] == "POST"


def test_a_search_needs_a_token(api):
    response = api.post(BODY, "/.search")
    refused = api.post(BODY, "/.search", headers={"Authorization": None})

    assert (response.status_code, refusal(refused)[0]) == (200, 401)
