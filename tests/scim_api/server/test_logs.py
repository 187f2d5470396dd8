"""The log: one JSON line per request with its id, without personal data or tokens."""

import json
from datetime import datetime

import pytest

from tests.scim_api.client import BASE, patch, replace, user
from tests.scim_api.process import wait_until

PERSON = "jane.unmistakable@example.com"
TRACES = ["unmistakable", "Doe-Unlikely", "jane.", "%40", "scl_", "Bearer"]


@pytest.fixture
def lines(api, capsys):
    """Return a function that gives what was logged since it was last called."""

    def read():
        return [json.loads(line) for line in capsys.readouterr().err.splitlines()]

    return read


def requests(server):
    """Send what succeeds and what fails; return how many requests that were."""
    name = {"givenName": "Jane", "familyName": "Doe-Unlikely"}
    created = server.ask("POST", "/Users", user(PERSON, name=name)).json
    id_ = created["id"]
    sent = [
        ("GET", f"/Users/{id_}", None),
        ("GET", f"/Users?filter=userName%20eq%20%22{PERSON}%22", None),
        ("GET", f"/Users?filter=userName%20eq%20%22{PERSON}", None),
        ("GET", f"/Users?sortBy={PERSON}&startIndex={PERSON}", None),
        ("GET", f"/Users/{PERSON}", None),
        ("GET", f"/{PERSON}", None),
        ("DELETE", f"/Users/{PERSON}/{PERSON}", None),
        ("FOO", f"/Users/{PERSON}", None),
        ("POST", "/Users", user(PERSON, name=name)),
        ("POST", "/Users", user(PERSON, name=PERSON)),
        ("POST", "/Users", PERSON.encode()),
        ("PUT", f"/Users/{id_}", user(PERSON, title="unmistakable")),
        ("PATCH", f"/Users/{id_}", patch(replace(PERSON, "displayName"))),
        ("PATCH", f"/Users/{id_}", patch(replace(PERSON, f"emails[value eq {PERSON}]"))),
        ("PATCH", f"/Users/{id_}", patch(replace({"active": "False"}))),
        ("GET", f"/Schemas/{PERSON}", None),
        ("GET", f"/Groups/{PERSON}", None),
        ("DELETE", f"/Users/{id_}", None),
    ]
    for method, path, body in sent:
        server.ask(method, path, body)
    server.ask("GET", "/Users", headers={"Authorization": f"Bearer {server.token}unmistakable"})
    server.ask("GET", "/Users", headers={"X-Request-Id": PERSON, "User-Agent": PERSON})
    return len(sent) + 3


def raw_requests(server):
    """Send what never reaches the application, in part breaking off."""
    head = f"GET {BASE}/Users/{PERSON} HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {server.token}"
    for data in (
        f"GET {BASE}/Users/{PERSON} {PERSON} {server.token}\r\n\r\n",
        f"GET {BASE}/{PERSON * 400} HTTP/1.1\r\n\r\n",
        f"{head}\r\nX-Long: {PERSON * 400}\r\n\r\n",
        f"{head}\r\n{PERSON}\r\n\r\n",
        head,
        head[:60],
    ):
        server.say(data.encode(), hang_up=True)


@pytest.mark.parametrize("level", ["info", "debug"])
def test_the_log_of_a_service_holds_neither_personal_data_nor_tokens(start, level):
    server = start(SCIM_LOG_LEVEL=level)

    requests(server)
    raw_requests(server)
    server.stop()

    log = server.stderr.read_text()
    assert [trace for trace in TRACES if trace in log] == []
    assert server.token[4:] not in log


def test_every_line_of_a_service_is_json_from_start_to_end(start):
    server = start()
    asked = requests(server)
    raw_requests(server)
    server.stop()

    lines = server.log_lines()

    assert {"time", "level", "message"} <= set.intersection(*(set(line) for line in lines))
    scim = [line for line in lines if line["message"] == "request" and line["route"] != "/livez"]
    assert len(scim) == asked


def test_a_request_that_never_reached_the_application_is_logged_with_its_id(start):
    server = start()

    answer = server.say(b"nonsense\r\n\r\n")

    assert wait_until(lambda: "request refused" in server.stderr.read_text())
    [line] = [line for line in server.log_lines() if line["message"] == "request refused"]
    assert line["request_id"].encode() in answer
    assert line["status"] == 400


def test_a_log_line_has_request_credential_and_outcome(api, lines):
    created = api.create()
    lines()

    api.get(api.path(created))

    [line] = lines()
    issued = next(e for e in api.site.events() if e.type == "CredentialIssued")
    assert line["message"] == "request"
    assert line["level"] == "info"
    assert line["method"] == "GET"
    assert line["route"] == "/scim/v2/Users/<id_>"
    assert line["status"] == 200
    assert line["ledger"] == "default"
    assert line["credential"] == issued.subject
    assert line["milliseconds"] > 0
    assert datetime.fromisoformat(line["time"]).utcoffset().total_seconds() == 0


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [("GET", "/Users/x", 404), ("GET", "/x", 404), ("PUT", "/Users", 405), ("GET", "/Users", 200)],
)
def test_the_id_in_the_answer_is_the_id_in_the_log(api, lines, method, path, status):
    response = api.ask(method, path)

    [line] = lines()
    assert line["request_id"] == response.headers["X-Request-Id"]
    assert line["status"] == response.status_code == status


def test_ids_differ_from_request_to_request(api):
    assert len({api.get("/Users").headers["X-Request-Id"] for _ in range(5)}) == 5


@pytest.mark.parametrize(
    "given",
    ["0123456789abcdef", "a1" * 32, "01a20b75-2088-7f3a-89fe-3706752370c4", "Request-000000042"],
)
def test_an_id_of_the_callers_is_kept(api, lines, given):
    response = api.get("/Users", headers={"X-Request-Id": given})

    assert response.headers["X-Request-Id"] == given
    assert lines()[0]["request_id"] == given


@pytest.mark.parametrize(
    "given",
    [
        "short-1",
        "a1" * 33,
        "with space 0000001",
        "jane.1234@example.com",
        "jane-doe-of-example-com",
        "",
    ],
)
def test_an_invalid_request_id_is_replaced(api, given):
    response = api.get("/Users", headers={"X-Request-Id": given})

    assert response.headers["X-Request-Id"] != given
    assert len(response.headers["X-Request-Id"]) == 36


def test_a_tolerance_made_use_of_is_named(api, lines):
    created = api.create()
    lines()

    api.patch(created, replace({"active": "False"}), query_string="aadOptscim062020")

    assert lines()[0]["tolerated"] == ["boolean_strings", "pathless_patch"]


def test_an_unforeseen_failure_is_logged_by_type_and_place_only(api, lines):
    created = api.create()
    tenant = api.site.console.tenant("default")
    with tenant.ledger.writing() as connection:  # a document that is no JSON: {jane@example.com
        connection.execute("UPDATE resource SET document = x'7b6a616e65406578616d706c652e636f6d'")
    tenant.close()
    lines()

    response = api.patch(created, replace({"active": False}))

    failed, request = lines()
    assert failed["level"] == "error"
    assert failed["error"] == "JSONDecodeError"
    assert any("service.py" in place for place in failed["where"])
    assert failed["request_id"] == request["request_id"] == response.headers["X-Request-Id"]


def test_unserved_addresses_are_not_logged_as_failures(api, lines):
    assert api.get("/Me").status_code == 501
    assert [line["level"] for line in lines()] == ["info"]


@pytest.mark.parametrize(("level", "expected"), [("info", 1), ("warning", 0), ("error", 0)])
def test_the_level_is_a_setting(make_site, capsys, level, expected):
    api = make_site(SCIM_LOG_LEVEL=level).make()

    api.get("/Users")

    assert len(capsys.readouterr().err.splitlines()) == expected
