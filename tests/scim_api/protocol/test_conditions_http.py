"""If-Match and If-None-Match (RFC 7644 §3.14)."""

import pytest

from ledger.sqlite.ledger import SQLiteLedger
from tests.scim_api.client import patch, refusal, replace, user

CURRENT = ['W/"2"', '"2"', "*", 'W/"1", W/"2"', '"7","2"', "2"]
OTHER = ['W/"1"', '"1"', 'W/"3"', 'W/"1", "3"', '""', "x", ""]


@pytest.fixture
def second_version(api):
    return api.put(api.create(), user(title="Boss")).json


def change(api, method, resource, headers):
    bodies = {"PUT": user(title="Chief"), "PATCH": patch(replace("Chief", "title"))}
    return api.ask(method, api.path(resource), bodies.get(method), headers=headers)


@pytest.fixture
def overtaken(api, monkeypatch):
    """Let another request be faster: it is recorded just before the next append takes the lock."""

    def by(method, path, body=None):
        appended, others = SQLiteLedger.append, [(method, path, body)]

        def append(ledger, *given):
            if others:
                api.ask(*others.pop())
            return appended(ledger, *given)

        monkeypatch.setattr(SQLiteLedger, "append", append)

    return by


@pytest.mark.parametrize(("method", "answer"), [("PUT", 200), ("PATCH", 200), ("DELETE", 204)])
@pytest.mark.parametrize("headers", [{}, {"If-Match": "*"}])
def test_a_change_that_was_overtaken_is_decided_again_from_what_is_there(
    api, second_version, overtaken, method, answer, headers
):
    overtaken("PATCH", api.path(second_version), patch(replace("Europe/Rome", "timezone")))

    response = change(api, method, second_version, headers)

    assert response.status_code == answer
    if method == "DELETE":
        assert api.get(api.path(second_version)).status_code == 404
    else:
        timezone = "Europe/Rome" if method == "PATCH" else None  # a PUT replaces the whole
        now = api.read(second_version)
        assert now == response.json
        assert (now["title"], now.get("timezone")) == ("Chief", timezone)
        assert now["meta"]["version"] == 'W/"4"'


@pytest.mark.parametrize("method", ["PUT", "PATCH", "DELETE"])
def test_with_if_match_a_change_that_was_overtaken_is_refused(
    api, second_version, overtaken, method
):
    overtaken("PATCH", api.path(second_version), patch(replace("Europe/Rome", "timezone")))

    response = change(api, method, second_version, {"If-Match": 'W/"2"'})

    assert response.status_code == 412
    assert api.read(second_version)["title"] == "Boss"


@pytest.mark.parametrize("method", ["PUT", "PATCH", "DELETE"])
def test_a_change_that_a_deletion_overtook_finds_nothing(api, second_version, overtaken, method):
    overtaken("DELETE", api.path(second_version))

    assert change(api, method, second_version, {}).status_code == 404


@pytest.mark.parametrize("method", ["PUT", "PATCH"])
def test_a_change_that_the_same_change_overtook_records_nothing(
    api, second_version, overtaken, method
):
    overtaken("PATCH", api.path(second_version), patch(replace("Chief", "title")))

    assert change(api, method, second_version, {}).headers["ETag"] == 'W/"3"'
    assert api.read(second_version)["meta"]["version"] == 'W/"3"'


@pytest.mark.parametrize("tag", CURRENT)
@pytest.mark.parametrize("method", ["PUT", "PATCH", "DELETE"])
def test_if_match_with_the_current_version_allows_a_change(api, second_version, method, tag):
    response = change(api, method, second_version, {"If-Match": tag})

    assert response.status_code in (200, 204)


@pytest.mark.parametrize("tag", OTHER)
@pytest.mark.parametrize("method", ["PUT", "PATCH", "DELETE"])
def test_if_match_with_another_version_is_412_and_changes_nothing(api, second_version, method, tag):
    response = change(api, method, second_version, {"If-Match": tag})

    assert refusal(response)[0] == 412
    assert api.get(api.path(second_version)).json == second_version


@pytest.mark.parametrize("tag", CURRENT)
def test_if_none_match_with_the_current_version_answers_a_read_with_304(api, second_version, tag):
    response = api.get(api.path(second_version), headers={"If-None-Match": tag})

    assert (response.status_code, response.data) == (304, b"")
    assert response.headers["ETag"] == 'W/"2"'
    assert "Content-Type" not in response.headers


@pytest.mark.parametrize("tag", OTHER)
def test_if_none_match_with_another_version_gives_the_resource(api, second_version, tag):
    response = api.get(api.path(second_version), headers={"If-None-Match": tag})

    assert response.json == second_version


@pytest.mark.parametrize("method", ["PUT", "PATCH", "DELETE"])
def test_if_none_match_with_the_current_version_refuses_a_change(api, second_version, method):
    response = change(api, method, second_version, {"If-None-Match": 'W/"2"'})

    assert refusal(response)[0] == 412


@pytest.mark.parametrize("tag", OTHER)
@pytest.mark.parametrize("method", ["PUT", "PATCH", "DELETE"])
def test_if_none_match_with_another_version_allows_a_change(api, second_version, method, tag):
    response = change(api, method, second_version, {"If-None-Match": tag})

    assert response.status_code in (200, 204)
    assert api.types()[-1] == ("Deleted" if method == "DELETE" else "Updated")


def test_if_match_on_a_user_that_is_gone_is_404(api, second_version):
    api.delete(second_version)

    response = change(api, "PUT", second_version, {"If-Match": "*"})

    assert response.status_code == 404


def test_the_detail_names_the_current_version(api, second_version):
    response = change(api, "PUT", second_version, {"If-Match": 'W/"1"'})

    assert 'W/"2"' in refusal(response)[2]


def test_a_read_of_another_version_than_if_match_names_is_412(api):
    created = api.create()

    other = api.get(api.path(created), headers={"If-Match": 'W/"9"'})
    same = api.get(api.path(created), headers={"If-Match": created["meta"]["version"]})

    assert (other.status_code, same.status_code) == (412, 200)
