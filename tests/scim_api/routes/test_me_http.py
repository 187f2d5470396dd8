"""/Me: the user to whom the token belongs (RFC 7644 §3.11)."""

import pytest

from tests.scim_api.client import patch, refusal, replace, user


@pytest.fixture
def jane(api):
    return api.create("jane@example.com", title="Chief")


@pytest.fixture
def own(api, jane):
    """Return a client with a token of Jane's own."""
    return api.site.client(user=jane["id"])


def test_it_is_the_user_of_the_token(api, own, jane):
    response = own.get("/Me")

    assert (response.status_code, response.json) == (200, jane)
    assert response.headers["ETag"] == jane["meta"]["version"]
    assert response.headers["Content-Location"] == jane["meta"]["location"]


def test_each_token_has_its_own(api, own):
    other = api.create("other@example.com")

    assert api.site.client(user=other["id"]).get("/Me").json == other


def test_it_shows_the_attributes_that_are_asked_for(own, jane):
    response = own.get("/Me", query_string={"attributes": "userName"})

    assert response.json.keys() == {"schemas", "id", "userName"}


def test_it_shows_groups(api, own, jane):
    staff = api.group("Staff", jane)

    assert [one["value"] for one in own.get("/Me").json["groups"]] == [staff["id"]]


def test_it_is_answered_304_where_nothing_changed(own, jane):
    response = own.get("/Me", headers={"If-None-Match": jane["meta"]["version"]})

    assert (response.status_code, response.data) == (304, b"")
    assert response.headers["Content-Location"] == jane["meta"]["location"]


def test_it_can_be_replaced(own, api, jane):
    response = own.ask("PUT", "/Me", user("jane@example.com", title="Boss"))

    assert response.status_code == 200
    assert response.json == api.read(jane)
    assert response.json["title"] == "Boss"
    assert response.headers["Content-Location"] == jane["meta"]["location"]


def test_it_can_be_patched(own, api, jane):
    response = own.ask("PATCH", "/Me", patch(replace("Boss", "title")))

    assert response.json["title"] == "Boss"
    assert api.happened() == ["Created", "Updated"]


def test_it_can_be_deleted_after_which_the_token_is_refused(own, api, jane):
    deleted = own.ask("DELETE", "/Me")

    assert (deleted.status_code, deleted.data) == (204, b"")
    assert [refusal(own.get(path))[0] for path in ("/Me", "/Users")] == [401, 401]
    assert api.get(api.path(jane)).status_code == 404


def test_the_token_of_an_inactive_user_is_refused_until_it_is_active_again(own, api, jane):
    own.ask("PATCH", "/Me", patch(replace({"active": False})))
    refused = [refusal(own.get(path))[0] for path in ("/Me", "/Users")]
    api.patch(jane, replace({"active": True}))

    assert refused == [401, 401]
    assert own.get("/Me").json["active"] is True


def test_a_change_obeys_if_match(own):
    response = own.ask("PATCH", "/Me", patch(replace("x", "title")), headers={"If-Match": '"9"'})

    assert refusal(response)[0] == 412


@pytest.mark.parametrize(
    ("status", "method", "asked"),
    [
        (200, "GET", {}),
        (200, "PATCH", {"body": patch(replace("x", "title"))}),
        (204, "DELETE", {}),
        (304, "GET", {"headers": {"If-None-Match": "*"}}),
        (400, "PUT", {"body": {"schemas": []}}),
        (403, "GET", {"query_string": {"asOf": "1"}}),
        (412, "DELETE", {"headers": {"If-Match": '"9"'}}),
        (501, "POST", {"body": user("new@example.com")}),
    ],
)
def test_every_answer_says_where_the_user_is(own, jane, status, method, asked):
    response = own.ask(method, "/Me", **asked)

    assert response.status_code == status, response.text
    assert response.headers["Location"] == jane["meta"]["location"]


def test_an_error_has_no_content_location_and_a_stranger_no_location(own):
    failed = own.ask("PUT", "/Me", {"schemas": []})
    stranger = own.get("/Me", headers={"Authorization": None})

    assert "Content-Location" not in failed.headers
    assert "Location" not in stranger.headers


def test_a_reader_who_may_not_change_the_user_is_told_where_it_is(api, jane):
    response = api.site.client(user=jane["id"], scopes=["read"]).ask("DELETE", "/Me")

    assert refusal(response)[0] == 403
    assert response.headers["Location"] == jane["meta"]["location"]


@pytest.mark.parametrize("method", ["GET", "PUT", "PATCH", "DELETE"])
def test_a_token_of_no_user_has_none(api, method):
    body = user() if method in ("PUT", "PATCH") else None

    status, _, detail = refusal(api.ask(method, "/Me", body))

    assert status == 501
    assert "token create" in detail and "--user" in detail


def test_nobody_signs_up_there(api, own):
    answers = [client.post(user("new@example.com"), "/Me") for client in (api, own)]

    assert [refusal(answer)[0] for answer in answers] == [501, 501]
    assert api.happened() == ["Created"]


def test_other_methods_are_refused(own):
    response = own.ask("OPTIONS", "/Me")

    assert refusal(response)[0] == 405
    assert response.headers["Allow"] == "DELETE, GET, HEAD, PATCH, POST, PUT"


def test_the_base_url_of_the_settings_is_in_the_location(make_site):
    site = make_site(SCIM_BASE_URL="https://scim.example.com/scim/v2")
    jane = site.make().create()

    response = site.client(user=jane["id"]).get("/Me")

    for name in ("Location", "Content-Location"):
        assert response.headers[name].startswith("https://scim.example.com/scim/v2/Users/")
