"""The request log over HTTP: filters, pages, and explanations."""

import pytest

from tests.scim_api.client import refusal, replace, user
from tests.scim_api.request_log.test_request_log import AN_ID, LEDGER, bulk, kept, with_reader


@pytest.fixture
def api(api):
    return with_reader(api)


@pytest.fixture
def full(api):
    """Return a client whose log holds ten refusals and a write that changed nothing."""
    created = api.create()
    for number in range(5):
        api.get(f"/Users/{number}", headers={"User-Agent": "Okta SCIM Client 1.0.0"})
    for _ in range(5):
        api.post(user(), headers={"User-Agent": "curl/8"})
    api.patch(created, replace(True, "active"), headers={"User-Agent": "Mozilla/5.0"})
    return api


def numbers(api, filter_):
    return [each["number"] for each in kept(api, filter=filter_)]


@pytest.mark.parametrize(
    ("filter_", "expected"),
    [
        ("status eq 404", [5, 4, 3, 2, 1]),
        ("status ge 409", [10, 9, 8, 7, 6]),
        ("not (status ge 400)", [11]),
        ('client eq "okta" and method eq "get"', [5, 4, 3, 2, 1]),
        ('userAgent sw "CURL" or client eq "browser"', [11, 10, 9, 8, 7, 6]),
        ('scimType eq "uniqueness"', [10, 9, 8, 7, 6]),
        ("not (scimType pr)", [11, 5, 4, 3, 2, 1]),
        ("resourceId pr", [11]),
        ("position gt 0", [11]),
        ('resourceType eq "user"', list(range(11, 0, -1))),
        ('path ew "…"', [5, 4, 3, 2, 1]),
        ('at ge "2100-01-01T00:00:00Z"', []),
        ('at ge "2000-01-01T00:00:00Z"', list(range(11, 0, -1))),
        (f'resourceId eq "{AN_ID}"', []),
        ('actor eq "x" or requestId eq "x"', []),
    ],
)
def test_a_filter_chooses_by_any_attribute(full, filter_, expected):
    assert numbers(full, filter_) == expected


def test_ids_match_in_any_case(full):
    [newest, *_] = kept(full, filter="resourceId pr")
    for name in ("requestId", "actor", "resourceId"):
        found = kept(full, filter=f'{name} eq "{newest[name].upper()}"')
        assert newest in found, name

    answer = full.reader.get(f"/requests/{newest['requestId'].upper()[:30]}", base=LEDGER)

    assert answer.json["requestId"] == newest["requestId"]


@pytest.mark.parametrize(
    "filter_", ['detail eq "x"', "status", 'status eq "x"', "", 'at[x eq "y"]']
)
def test_a_filter_that_cannot_be_read_is_refused(full, filter_):
    answer = full.reader.get("/requests", base=LEDGER, query_string={"filter": filter_})

    assert refusal(answer)[:2] == (400, "invalidFilter")


@pytest.mark.parametrize("name", ["after", "before", "count"])
def test_a_bound_that_is_no_number_is_refused(full, name):
    answer = full.reader.get("/requests", base=LEDGER, query_string={name: "x"})

    assert refusal(answer)[:2] == (400, "invalidValue")


def follow(api, link, path):
    """Return the pages from an address on."""
    pages = []
    while path:
        answer = api.reader.get(path, base="").json
        pages.append([each["number"] for each in answer["requests"]])
        path = (answer[link] or "").removeprefix("http://localhost")
    return pages


def test_pages_lead_to_the_end_and_back(full):
    there = follow(full, "next", f"{LEDGER}/requests?count=4&filter=status ge 400")
    back = follow(full, "previous", f"{LEDGER}/requests?count=4&after=0&filter=status ge 400")

    assert there == [[10, 9, 8, 7], [6, 5, 4, 3], [2, 1]]
    assert back == [[4, 3, 2, 1], [8, 7, 6, 5], [10, 9]]


def test_the_first_page_has_none_before_it_and_the_last_none_after_it(full):
    first = full.reader.get("/requests", base=LEDGER, query_string={"count": 11}).json
    last = full.reader.get("/requests", base=LEDGER, query_string={"before": 2}).json

    assert (first["next"], first["previous"]) == (None, None)
    assert last["next"] is None
    assert last["previous"] == "http://localhost/ledger/v1/requests?after=1"


def test_a_page_after_a_record_links_back_to_it(full):
    page = full.reader.get("/requests", base=LEDGER, query_string={"after": 9}).json

    assert [each["number"] for each in page["requests"]] == [11, 10]
    assert page["next"] == "http://localhost/ledger/v1/requests?before=10"
    assert page["previous"] is None


def test_both_bounds_enclose_a_page(full):
    found = kept(full, after=3, before=6)

    assert [each["number"] for each in found] == [5, 4]


def test_one_request_is_shown_with_its_explanation(full):
    [newest, *_] = kept(full, filter="status eq 409")

    answer = full.reader.get(f"/requests/{newest['requestId']}", base=LEDGER).json

    assert answer["requestId"] == newest["requestId"]
    [shown] = answer["requests"]
    explanation = shown.pop("explanation")
    assert shown == newest
    assert explanation.keys() == {"rule", "rfc", "okta", "next"}
    assert "userName" in explanation["rule"]


def test_a_bulk_request_is_shown_with_each_operation(full):
    sent = bulk(full, *({"method": "DELETE", "path": f"/Users/{n}"} for n in range(3)))

    shown = full.reader.get(f"/requests/{sent.headers['X-Request-Id']}", base=LEDGER).json

    assert [each["status"] for each in shown["requests"]] == [404, 404, 404]


def test_a_request_is_found_by_the_beginning_of_its_id(api):
    api.get("/Users/x", headers={"X-Request-Id": "0123456789abcdef-one"})
    api.get("/Users/x", headers={"X-Request-Id": "0123456789abcdef-two"})

    found = api.reader.get("/requests/0123456789abcdef-o", base=LEDGER)
    several = api.reader.get("/requests/0123456789", base=LEDGER)
    none = api.reader.get("/requests/1", base=LEDGER)

    assert found.json["requestId"] == "0123456789abcdef-one"
    assert refusal(several)[:2] == (400, "invalidValue")
    assert refusal(none)[0] == 404
