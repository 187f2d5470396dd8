"""GET /ledger/v1/events: filters, pages in either direction, each event as it was hashed."""

import hashlib
from urllib.parse import parse_qsl, urlsplit

import orjson
import pytest

from ledger import codec
from scim_api.audit import events
from scim_api.auth.scopes import Scope
from tests.scim_api.client import BASE, Site, refusal, replace, user

EVENTS = "/ledger/v1/events"
TYPES = [
    "LedgerOpened",
    "CredentialIssued",
    "CredentialIssued",
    "Created",
    "Updated",
    "Deactivated",
    "Created",
    "Created",
    "MembersAdded",
    "Deleted",
]


@pytest.fixture(scope="module")
def told(tmp_path_factory):
    """Return an auditor of a ledger of ten events, which no test adds to."""
    site = Site(tmp_path_factory.mktemp("told") / "data")
    api = site.make()
    auditor = site.client(called="auditor", scopes=[Scope.AUDIT])
    jane = api.create("Jane@example.com", title="Boss")
    api.patch(jane, replace({"title": "Chief"}), replace({"active": False}))
    john = api.post(user("john@example.com"), headers=OKTA).json
    api.group("Staff", john)
    api.delete(jane)
    yield auditor
    site.close()


OKTA = {"User-Agent": "Okta SCIM Client 1.0.0", "X-Request-Id": "request-of-john-0001"}


def ask(client, path="", **parameters):
    return client.ask("GET", EVENTS + path, base="", query_string=parameters)


def positions(client, **parameters):
    response = ask(client, **parameters)
    assert response.status_code == 200, response.text
    return [event["position"] for event in response.json["events"]]


def headers(response):
    return [orjson.loads(event["header"]) for event in response.json["events"]]


def follow(client, url):
    """Ask for a URL that an answer named."""
    parts = urlsplit(url)
    assert parts.path == EVENTS
    return ask(client, **dict(parse_qsl(parts.query)))


def test_the_newest_events_come_first(told):
    response = ask(told)

    assert [header["type"] for header in headers(response)] == TYPES[::-1]
    assert response.json["position"] == len(TYPES)
    assert response.json["ledger"].startswith("default/")
    assert (response.json["next"], response.json["previous"]) == (None, None)
    assert "Link" not in response.headers


def test_the_oldest_come_first_if_asked_so(told):
    assert positions(told, sortOrder="ascending", count=3) == [1, 2, 3]


@pytest.mark.parametrize(
    ("asked", "expected"),
    [
        ('type eq "Deactivated"', [6]),
        ('userName eq "JANE@example.com"', [10, 6, 5, 4]),
        ('userName co "JOHN"', [7]),
        ('resourceType eq "Group"', [9, 8]),
        ('stream eq "Gr"', []),
        ('stream sw "User-"', [10, 7, 6, 5, 4]),
        ('client eq "Okta"', [7]),
        ('client eq "CLI" and not (type eq null)', [3, 2, 1]),
        ('requestId eq "request-of-john-0001"', [7]),
        ('via eq "cli"', [3, 2, 1]),
        ('actor eq "operator" and position gt 1', [3, 2]),
        ("position ge 4 and position lt 6", [5, 4]),
        ('at ge "2020-01-01" and at lt "2100-01-01T00:00:00Z" and position le 2', [2, 1]),
        ('at lt "2020-01-01"', []),
        ("operator pr", [3, 2, 1]),
    ],
)
def test_events_are_found_by_a_filter(told, asked, expected):
    assert positions(told, filter=asked) == expected


def test_events_of_one_request_share_a_transaction(told):
    txn = headers(ask(told, filter="position eq 5"))[0]["txn"]

    assert positions(told, filter=f'txn eq "{txn}"') == [6, 5]


@pytest.mark.parametrize("order", ["ascending", "descending"])
@pytest.mark.parametrize("asked", [None, 'stream sw "User-" or type eq "CredentialIssued"'])
@pytest.mark.parametrize("most", [None, 1, 700], ids="16 MiB,1 byte,700 bytes".split(","))
def test_pages_lead_to_the_last_and_back_to_the_first(told, monkeypatch, order, asked, most):
    """Also where a page ends early, for its payloads are large."""
    given = {"count": 3, "sortOrder": order} | ({"filter": asked} if asked else {})
    whole = positions(told, **{**given, "count": 100})
    if most:
        monkeypatch.setattr(events, "MOST_BYTES", most)

    pages = [ask(told, **given).json]
    while pages[-1]["next"]:
        pages.append(follow(told, pages[-1]["next"]).json)
    back = [pages[-1]]
    while back[-1]["previous"]:
        back.append(follow(told, back[-1]["previous"]).json)

    assert [e["position"] for page in pages for e in page["events"]] == whole
    assert [e["position"] for page in back[::-1] for e in page["events"]] == whole
    assert most != 1 or all(len(page["events"]) == 1 for page in pages)


def test_the_link_header_names_the_same_pages(told):
    response = ask(told, count=2, before=7)

    body = response.json
    assert response.headers["Link"] == (
        f'<{body["next"]}>; rel="next", <{body["previous"]}>; rel="prev"'
    )


def test_a_page_beyond_the_end_leads_back(told):
    page = ask(told, after=100, sortOrder="ascending", count=2).json

    assert page["events"] == []
    assert [e["position"] for e in follow(told, page["previous"]).json["events"]] == [9, 10]


def test_the_commitment_can_be_recomputed_from_the_answer(told):
    shown = [event for event in ask(told).json["events"] if "withheld" not in event]

    assert len(shown) == len(TYPES) - 2
    for event in shown:
        header = orjson.loads(event["header"])
        salt = bytes.fromhex(event["salt"])
        assert codec.commitment(event["payload"], salt).hex() == header["commitment"]
        leaf = hashlib.sha256(b"\x00" + event["header"].encode()).hexdigest()
        assert event["leaf_hash"] == leaf


def test_the_fields_of_the_header_are_shown_each_by_its_name(told):
    shown = [*ask(told).json["events"], ask(told, "/4").json]

    for event in shown:
        header = orjson.loads(event["header"])
        assert {name: event[name] for name in header} == header


def test_the_payload_is_shown_as_it_was_recorded(told):
    event = ask(told, "/4").json

    assert event["payload"]["userName"] == "Jane@example.com"
    assert event["payload"]["request.method"] == "POST"


def test_the_request_and_the_credential_are_named(told):
    event = ask(told, "/7").json

    assert event["request"] == {
        "method": "POST",
        "path": f"{BASE}/Users",
        "client": OKTA["User-Agent"],
        "address": "127.0.0.1",
        "id": OKTA["X-Request-Id"],
        "family": "Okta",
    }
    assert event["credential"] == "okta"


def test_no_answer_reveals_or_proves_a_tokens_hash(told):
    hashes = [
        event.payload["sha256"] for event in told.site.events() if event.type == "CredentialIssued"
    ]

    for text in (ask(told).text, ask(told, "/2").text, ask(told, "/3").text):
        assert not any(hash_ in text for hash_ in hashes)
    issued = ask(told, "/2").json
    assert issued["withheld"] == ["sha256"]
    assert "salt" not in issued
    assert issued["payload"]["name"] == "okta"


def test_an_erased_event_is_shown_without_its_payload(api):
    auditor = api.site.client(scopes=[Scope.AUDIT])
    stream = f"User-{api.create()['id']}"
    [erased] = api.site.append("default", stream, 1, ("Erased",))

    event = ask(auditor, f"/{erased.position - 1}").json

    assert (event["payload"], event["request"], "salt" in event) == (None, None, False)
    assert len(event["leaf_hash"]) == 64


@pytest.mark.parametrize("position", ["0", "11", "x", "-1", "9" * 16, "9" * 40, "²"])
def test_an_event_that_is_not_there_is_404(told, position):
    assert refusal(ask(told, f"/{position}"))[0] == 404


@pytest.mark.parametrize(
    ("parameters", "scim_type", "words"),
    [
        ({"filter": 'kind eq "x"'}, "invalidFilter", "character 1: Event has no attribute"),
        ({"filter": 'kind eq "x"'}, "invalidFilter", "it has position, at, type, stream,"),
        ({"filter": 'type eq "x" and at gt 5'}, "invalidFilter", "character 23"),
        ({"filter": 'at ge "yesterday"'}, "invalidFilter", "compared with a time"),
        ({"filter": ""}, "invalidFilter", "expected the name of an attribute"),
        ({"sortOrder": "up"}, "invalidValue", "ascending or descending"),
        ({"count": "0"}, "invalidValue", "from 1 to 1000"),
        ({"count": "x"}, "invalidValue", "count"),
        ({"after": "-1"}, "invalidValue", "after must be a position"),
        ({"before": "x"}, "invalidValue", "before"),
        ({"after": "1", "before": "5"}, "invalidValue", "before cannot be combined"),
        ({"wait": "61"}, "invalidValue", "from 0 to 60"),
        ({"wait": "x"}, "invalidValue", "wait"),
        ({"wait": "0", "sortOrder": "descending"}, "invalidValue", "ascending"),
        ({"wait": "0", "before": "5"}, "invalidValue", "before cannot be combined"),
        ({"wait": "0", "after": "11"}, "invalidValue", "ends at position 10"),
    ],
    ids=str,
)
def test_an_unreadable_query_is_refused_with_a_reason(told, parameters, scim_type, words):
    status, found, detail = refusal(ask(told, **parameters))

    assert (status, found) == (400, scim_type)
    assert words in detail


def test_a_page_has_a_thousand_events_at_most(told):
    assert len(positions(told, count=10**9)) == len(TYPES)


# Long poll: see test_feed_http for waiting


def test_existing_events_are_answered_without_waiting(told):
    page = ask(told, wait=60, after=8).json

    assert [event["position"] for event in page["events"]] == [9, 10]
    assert dict(parse_qsl(urlsplit(page["next"]).query)) == {"wait": "60", "after": "10"}


def test_waiting_in_vain_leads_to_where_the_ledger_ended(told):
    page = ask(told, wait=0, after=5, filter='stream eq "Nothing"').json

    assert page["events"] == []
    assert "after=10" in page["next"]


def test_a_wait_without_a_position_begins_now(told):
    page = ask(told, wait=0).json

    assert page["events"] == []
    assert "after=10" in page["next"]


def test_a_waiting_client_needs_a_free_place(make_site):
    site = make_site(SCIM_FEEDS="0")
    site.console.create("default").close()
    client = site.client(scopes=[Scope.AUDIT])

    for path in (f"{EVENTS}?wait=1", "/ledger/v1/feed"):
        response = client.ask("GET", path, base="")
        assert refusal(response)[0] == 429
        assert int(response.headers["Retry-After"]) > 0
    assert client.ask("GET", EVENTS, base="").status_code == 200
