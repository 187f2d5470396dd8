"""Walks through lists by cursor (RFC 9865), by GET and by POST /.search."""

import pytest
from freezegun import freeze_time

from tests.scim_api.client import refusal

NOON = "2026-06-01T12:00:00Z"


@pytest.fixture
def people(api):
    """Return the names of seven users."""
    return api.fill(7)


def page(api, path="/Users", **parameters):
    response = api.get(path, query_string=parameters)
    assert response.status_code == 200, response.text
    return response.json


def by_get(api, path, parameters):
    return page(api, path, **parameters)


def by_search(api, path, parameters):
    response = api.search(path, **parameters)
    assert response.status_code == 200, response.text
    return response.json


def walk(api, ask=by_get, path="/Users", between=lambda: None, **parameters):
    """Return all pages of a walk."""
    pages = [ask(api, path, {**parameters, "cursor": ""})]
    while following := pages[-1].get("nextCursor"):
        between()
        pages.append(ask(api, path, {**parameters, "cursor": following}))
    return pages


def names(pages):
    return [user["userName"] for page in pages for user in page["Resources"]]


@pytest.mark.parametrize("ask", [by_get, by_search])
def test_a_walk_shows_everyone_once_in_order(api, people, ask):
    pages = walk(api, ask, count=3)

    assert names(pages) == people
    assert [page["itemsPerPage"] for page in pages] == [3, 3, 1]
    assert {page["totalResults"] for page in pages} == {7}


def test_pages_of_a_walk_have_no_start_index_and_the_last_no_cursor(api, people):
    pages = walk(api, count=4)

    assert ["startIndex" in page for page in pages] == [False, False]
    assert ["nextCursor" in page for page in pages] == [True, False]


@pytest.mark.parametrize("count", [7, 8, 100])
def test_a_list_of_one_page_has_no_cursor(api, people, count):
    assert len(walk(api, count=count)) == 1


def test_an_empty_list_is_one_empty_page(api):
    (only,) = walk(api)

    assert (only["totalResults"], only["Resources"]) == (0, [])


@pytest.mark.parametrize(
    "query",
    [
        {"filter": 'userName ne "user003@example.com"'},
        {"sortBy": "userName", "sortOrder": "descending"},
        {"sortBy": "title"},
        {"sortBy": "title", "sortOrder": "descending", "filter": "userName pr"},
    ],
)
def test_a_walk_gives_the_same_resources_as_one_page(api, people, query):
    for number, user in enumerate(api.find("userName pr")):
        title = {"op": "add", "path": "title", "value": f"t{number % 3}"}
        if number % 4:
            api.patch(user, title)

    pages = walk(api, count=2, **query)

    assert names(pages) == names([page(api, **query)])


def test_a_walk_crosses_all_types(api, people):
    api.group("Staff", "x")

    pages = walk(api, by_search, path="", count=3)

    kinds = [each["meta"]["resourceType"] for page in pages for each in page["Resources"]]
    assert kinds == ["User"] * 7 + ["Group"]
    assert pages[-1]["Resources"][-1]["members"] == [{"value": "x", "type": "User"}]


def test_a_deletion_during_a_walk_skips_nobody(api, people):
    def delete_first():
        api.delete(api.find("userName pr")[0])

    found = names(walk(api, count=2, between=delete_first))

    assert found == people


def test_a_resource_created_during_a_walk_comes_last(api, people):
    arrivals = iter(range(3))

    pages = walk(api, count=3, between=lambda: api.create(f"new{next(arrivals)}@example.com"))

    assert names(pages)[:7] == people
    assert len(set(names(pages))) == len(names(pages))


def test_a_cursor_can_be_used_again(api, people):
    cursor = page(api, cursor="", count=3)["nextCursor"]

    assert names([page(api, cursor=cursor)]) == names([page(api, cursor=cursor)]) == people[3:6]


def test_the_count_of_the_first_page_stays(api, people):
    cursor = page(api, cursor="", count=2)["nextCursor"]

    assert len(page(api, cursor=cursor)["Resources"]) == 2


def test_which_attributes_are_shown_may_change_from_page_to_page(api, people):
    cursor = page(api, cursor="", count=2)["nextCursor"]

    shown = page(api, cursor=cursor, attributes="userName")["Resources"][0]

    assert shown.keys() == {"schemas", "id", "userName"}


def test_a_cursor_of_a_get_goes_on_in_a_search(api, people):
    cursor = page(api, cursor="", count=3)["nextCursor"]

    assert names([by_search(api, "/Users", {"cursor": cursor})]) == people[3:6]


def test_a_count_of_none_gives_the_total_and_no_cursor(api, people):
    found = page(api, cursor="", count=0)

    assert (found["totalResults"], found["Resources"]) == (7, [])
    assert "nextCursor" not in found


def refused(api, path="/Users", /, **parameters):
    status, scim_type, detail = refusal(api.get(path, query_string=parameters))
    assert refusal(api.search(path, **parameters)) == (status, scim_type, detail)
    assert status == 400
    return scim_type, detail


@pytest.fixture
def cursor(api, people):
    """Return the cursor of a second page of three."""
    with freeze_time(NOON):
        return page(api, cursor="", count=3, filter="userName pr")["nextCursor"]


@pytest.mark.parametrize(
    "other",
    [
        {},
        {"filter": "title pr"},
        {"filter": "userName pr", "sortBy": "userName"},
        {"filter": "userName pr", "sortOrder": "descending"},
    ],
)
def test_a_cursor_of_another_query_is_refused(api, cursor, other):
    with freeze_time(NOON):
        scim_type, detail = refused(api, cursor=cursor, **other)

    assert scim_type == "invalidCursor"
    assert "empty cursor" in detail


@pytest.mark.parametrize("path", ["", "/Groups"])
def test_a_cursor_of_another_list_is_refused(api, cursor, path):
    with freeze_time(NOON):
        response = api.get(path, query_string={"cursor": cursor, "filter": "id pr"})

    assert refusal(response)[1] == "invalidCursor"


@pytest.mark.parametrize("text", ["x", "7", "%", "é", "AAAA" * 20, "=", " "])
def test_an_invalid_cursor_is_refused(api, people, text):
    assert refused(api, cursor=text)[0] == "invalidCursor"


@pytest.mark.parametrize("place", [0, 20, -1])
def test_a_cursor_with_another_letter_is_refused(api, cursor, place):
    letters = list(cursor)
    letters[place] = "A" if letters[place] != "A" else "B"

    with freeze_time(NOON):
        found = refused(api, cursor="".join(letters), filter="userName pr")

    assert found[0] == "invalidCursor"


def test_the_cursor_of_another_token_is_refused(api, cursor):
    other = api.site.client()

    with freeze_time(NOON):
        scim_type, _ = refused(other, cursor=cursor, filter="userName pr")

    assert scim_type == "invalidCursor"


@pytest.mark.parametrize(("at", "answer"), [("12:59:59", None), ("13:00:02", "expiredCursor")])
def test_a_cursor_can_be_used_for_an_hour(api, cursor, at, answer):
    with freeze_time(f"2026-06-01T{at}Z"):
        response = api.get("/Users", query_string={"cursor": cursor, "filter": "userName pr"})

    assert response.json.get("scimType") == answer


@pytest.mark.parametrize("count", [1, 4, 0])
def test_another_count_is_refused(api, cursor, count):
    with freeze_time(NOON):
        scim_type, detail = refused(api, cursor=cursor, count=count, filter="userName pr")

    assert scim_type == "invalidCount"
    assert "count=3" in detail


@pytest.mark.parametrize("count", ["abc", "1.5", "--1", "1e1", "٣", "0x10"])
@pytest.mark.parametrize("of", [{"cursor": ""}, {"cursor": "x"}, {}])
def test_a_count_that_is_no_whole_number_has_an_error_of_its_own_in_a_walk(api, count, of):
    expected = "invalidCount" if of else "invalidValue"

    asked = api.get("/Users", query_string={"count": count, **of})
    assert refusal(asked)[:2] == (400, expected)
    for sent in (count, True, [5], 1.5, 10.000000000000000001):
        for path in ("/Users", ""):
            assert refusal(api.search(path, count=sent, **of))[:2] == (400, expected)


@pytest.mark.parametrize("count", [-1, "-5", 0])
def test_a_count_below_one_gives_the_total_in_a_walk_as_in_a_list(api, people, count):
    found = page(api, cursor="", count=count)

    assert (found["totalResults"], found["Resources"]) == (len(people), [])


@pytest.mark.parametrize("text", ["", "x"])
def test_a_start_index_with_a_cursor_is_refused(api, text):
    scim_type, detail = refused(api, cursor=text, startIndex=1)

    assert scim_type == "invalidValue"
    assert "startIndex" in detail


def test_a_cursor_in_a_search_is_text(api):
    assert refusal(api.search("/Users", cursor=5))[:2] == (400, "invalidValue")


def test_a_cursor_reveals_no_names(api, people):
    api.create("zz-top@example.com")

    cursor = page(api, cursor="", count=1, sortBy="userName", sortOrder="descending")["nextCursor"]

    assert "zz-top" not in cursor
    assert cursor.replace("-", "").replace("_", "").isalnum()
