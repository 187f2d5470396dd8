"""requests list and show; how many were refused, in status."""

import pytest

from projections.query import effort
from tests.scim_api.client import replace, user


@pytest.fixture
def refused(api):
    """Return a client whose log holds a 409, a 404 and a write that changed nothing."""
    created = api.create()
    api.post(user(), headers={"X-Request-Id": "conflict-00000001"})
    api.delete("019ab6d3-0000-7000-8000-000000000000")
    api.patch(created, replace(True, "active"))
    api.site.close()  # writes down what is pending
    return created


def listed(shell, *options):
    found = shell("requests", "list", "--json", *options).json
    return [(each["method"], each["status"]) for each in found]


def test_list_shows_the_newest_first(shell, refused):
    assert listed(shell) == [("PATCH", 200), ("DELETE", 404), ("POST", 409)]


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        (["--status", "409"], [("POST", 409)]),
        (["--method", "delete"], [("DELETE", 404)]),
        (["--refused"], [("DELETE", 404), ("POST", 409)]),
        (["--no-ops"], [("PATCH", 200)]),
        (["--limit", "1"], [("PATCH", 200)]),
        (["--since", "1h", "--refused", "--status", "404"], [("DELETE", 404)]),
        (["--since", "2100-01-01"], []),
        (["--filter", 'scimType eq "uniqueness"'], [("POST", 409)]),
        (["--resource", "019ab6d3-0000-7000-8000-000000000000"], [("DELETE", 404)]),
    ],
)
def test_list_chooses(shell, refused, options, expected):
    assert listed(shell, *options) == expected


def test_list_is_a_table_for_people(shell, refused):
    lines = shell("requests", "list").out.splitlines()

    assert lines[0].split()[:5] == ["at", "requestId", "who", "client", "method"]
    assert len(lines) == 5


def test_list_says_that_there_are_none(shell):
    assert shell("requests", "list").err == "no such requests\n"


def test_a_filter_that_cannot_be_read_is_a_usage_error(shell):
    said = shell("requests", "list", "--filter", "detail pr", code=2)

    assert "has no attribute" in said.err


def test_a_search_that_takes_too_long_ends_in_a_sentence(shell, api, monkeypatch):
    for _ in range(50):
        api.delete("019ab6d3-0000-7000-8000-000000000000")
    api.site.close()
    monkeypatch.setattr(effort, "PATIENCE", -1.0)

    said = shell("requests", "list", "--filter", " or ".join(['path co "x"'] * 100), code=1)

    assert "processor time" in said.err


def test_show_explains_a_request_found_by_the_beginning_of_its_id(shell, refused):
    [shown] = shell("requests", "show", "conflict-", "--json").json

    assert (shown["status"], shown["attributes"]) == (409, ["userName"])
    assert shown["credential"] == "okta"
    assert refused["id"] in shown["detail"]
    assert "RFC 7644" in shown["explanation"]["rfc"]


def test_show_is_readable(shell, refused):
    said = shell("requests", "show", "CONFLICT-00000001").out

    for word in ("credential    okta", "uniqueness", "rule", "rfc", "okta", "next"):
        assert word in said


def test_show_of_no_request_is_not_found(shell, refused):
    said = shell("requests", "show", "nothing", code=5)

    assert said.err.startswith("Error: no request nothing was refused")


def test_show_of_several_requests_asks_for_more(shell, refused):
    said = shell("requests", "show", "0", code=2)

    assert "2 requests have ids that begin with 0" in said.err


def test_status_tells_how_many_were_refused(shell, refused):
    [status] = shell("status", "--json").json

    assert status["requests_refused_last_24h"] == 2
