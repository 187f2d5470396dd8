"""If-Match and If-None-Match (RFC 7644 §3.14)."""

import pytest

from ledger.sqlite.ledger import SQLiteLedger
from scim_api.protocol.conditions import conditions
from scim_api.service import service
from tests.scim_api.client import patch, refusal, replace, user

CURRENT = ['W/"2"', '"2"', "*", 'W/"1", W/"2"', '"7","2"', "2"]
OTHER = ['W/"1"', '"1"', 'W/"3"', 'W/"1", "3"', '""', "x", ""]


@pytest.mark.parametrize(
    ("if_match", "exact"), [(None, False), ("*", False), ('W/"1", *', False), ('W/"1"', True)]
)
def test_only_a_version_that_is_named_makes_a_lost_race_final(if_match, exact):
    assert conditions(if_match, None).exact is exact


@pytest.fixture
def second_version(api):
    return api.put(api.create(), user(title="Boss")).json


def change(api, method, resource, headers):
    bodies = {"PUT": user(title="Chief"), "PATCH": patch(replace("Chief", "title"))}
    return api.ask(method, api.path(resource), bodies.get(method), headers=headers)


@pytest.mark.parametrize(("patience", "answer", "races"), [(5.0, 200, 2), (-1.0, 429, 1)])
def test_a_change_that_loses_races_is_decided_again_for_a_bounded_time(
    api, monkeypatch, patience, answer, races
):
    """Others are faster twice: each change is recorded while the other is being decided."""
    path, appended, lost = api.path(api.create()), SQLiteLedger.append, []

    def append(ledger, appends, *others):
        if len(lost) < 2 and "first" in str(appends):
            lost.append("first")
            api.ask("PATCH", path, patch(replace(f"faster {len(lost)}", "title")))
        return appended(ledger, appends, *others)

    monkeypatch.setattr(service, "TIMEOUT", patience)
    monkeypatch.setattr(SQLiteLedger, "append", append)

    assert api.ask("PATCH", path, patch(replace("first", "title"))).status_code == answer
    assert len(lost) == races


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
