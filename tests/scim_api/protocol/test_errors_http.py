"""Every refusal is a SCIM error, for any request in any form."""

import json
import time

import pytest

from scim_api.protocol.bulk import REQUEST_URN as BULK_URN
from tests.scim_api.client import BASE, ERROR_URN, PATCH_URN, USER_URN, patch, refusal, user
from tests.scim_api.process import Server

NOBODYS = "019ab6d3-0000-7000-8000-000000000000"


def bulk_of(method, path):
    return {"schemas": [BULK_URN], "Operations": [{"method": method, "path": path}]}


# Addresses and methods

UNKNOWN = ["", "/", "/scim", "/scim/v1/Users", "/index.html", "/favicon.ico", "/livez/x", "/%00"]
METHODS = ["GET", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "FOO"]


@pytest.mark.parametrize("path", UNKNOWN)
@pytest.mark.parametrize("method", METHODS)
def test_an_unknown_address_is_404(api, method, path):
    assert refusal(api.ask(method, path, base=""))[0] == 404


@pytest.mark.parametrize("path", ["/Nothing", "/Users/a/b", "/users", "/ServiceProviderConfigs"])
@pytest.mark.parametrize("method", METHODS)
def test_an_unknown_address_under_the_base_is_404(api, method, path):
    assert refusal(api.ask(method, path))[0] == 404


@pytest.mark.parametrize(
    ("path", "methods", "allowed"),
    [
        ("/Users", ["PUT", "PATCH", "DELETE", "OPTIONS", "TRACE", "FOO"], "GET, HEAD, POST"),
        ("/Users/x", ["POST", "OPTIONS", "FOO"], "DELETE, GET, HEAD, PATCH, PUT"),
        ("/Groups", ["PUT", "PATCH", "DELETE", "OPTIONS"], "GET, HEAD, POST"),
        ("/Bulk", ["GET", "PUT", "OPTIONS"], "POST"),
        ("/Schemas", ["OPTIONS"], "GET, HEAD"),
    ],
)
def test_an_unknown_method_is_405_and_says_which_are_known(api, path, methods, allowed):
    for method in methods:
        response = api.ask(method, path)

        assert refusal(response)[0] == 405
        assert response.headers["Allow"] == allowed


@pytest.mark.parametrize("path", ["/livez", "/readyz"])
@pytest.mark.parametrize("method", ["POST", "DELETE", "OPTIONS"])
def test_the_health_addresses_take_no_other_method(api, method, path):
    assert refusal(api.ask(method, path, base=""))[0] == 405


BARE = {"schemas": [USER_URN], "userName": "a", "emails": "a@example.com"}
EXPIRED = "2020-01-01T00:00:00.000000Z"


@pytest.mark.parametrize(
    ("method", "path", "body", "token"),
    [
        ("GET", "/Nothing", None, {}),
        ("GET", f"/Users/{NOBODYS}", None, {}),
        ("PATCH", f"/Groups/{NOBODYS}", patch(), {}),
        ("DELETE", f"/Groups/{NOBODYS}", None, {}),
        ("GET", "/Users", None, None),
        ("GET", "/Users", None, {"expires_at": EXPIRED}),
        ("POST", "/Users", BARE, {"policy": "strict"}),
        ("POST", "/Bulk", bulk_of("DELETE", f"/Users/{NOBODYS}"), {}),
    ],
)
def test_only_okta_gets_hints_about_okta(api, method, path, body, token):
    own = api.site.client(**token) if token else api
    sent = {"Authorization": None} if token is None else {}
    agents = ["Okta SCIM Client 1.0.0", "OKTA SCIM Integration", "authentik/2026.8", "curl/8", None]

    told = [
        own.ask(method, path, body, headers={**sent, "User-Agent": agent}).text for agent in agents
    ]

    assert ["Okta" in text for text in told] == [True, True, False, False, False]
    assert all("detail" in text for text in told)


def test_a_refusal_has_the_media_type_of_scim(api):
    response = api.get("/Users/none")

    assert response.headers["Content-Type"] == "application/scim+json"
    assert response.headers["Cache-Control"] == "no-store"


def test_a_refusal_carries_the_request_id(api):
    response = api.get("/Users/none", headers={"X-Request-Id": "0123456789abcdef"})

    assert response.headers["X-Request-Id"] == "0123456789abcdef"


# Bodies


def deep(levels):
    return b'{"schemas": ' + b"[" * levels + b"]" * levels + b"}"


NO_JSON = [
    b"not json",
    b"{",
    b'{"schemas": ["x"]',
    b"{} {}",
    b"[1,]",
    b"{'userName': 'x'}",
    b'{"active": NaN}',
    b'{"active": Infinity}',
    b'{"active": 01}',
    b'{"userName": "\\ud800"}',
    b'{"userName": "\xff\xfe"}',
    b"\x1f\x8b\x08\x00",
    b"\x00",
    b'"\\x"',
    b"[" * 100_000,
    deep(100_000),
    deep(1000),
    deep(40),
]


@pytest.mark.parametrize("body", NO_JSON, ids=lambda body: repr(body[:24]) + str(len(body)))
def test_a_body_that_is_no_proper_json_is_400_invalid_syntax(api, body):
    response = api.ask("POST", "/Users", data=body)

    assert refusal(response)[:2] == (400, "invalidSyntax")


def test_an_empty_body_is_400_invalid_syntax(api):
    assert refusal(api.ask("POST", "/Users", data=b""))[:2] == (400, "invalidSyntax")


def test_json_in_json_may_be_as_deep_as_the_limit_and_no_deeper(api):
    def nested(levels):
        return b'{"extra":' + b"[" * levels + b"]" * levels + b',"schemas":7}'

    assert refusal(api.ask("POST", "/Users", data=nested(31)))[1] == "invalidValue"
    assert refusal(api.ask("POST", "/Users", data=nested(32)))[1] == "invalidSyntax"


@pytest.mark.parametrize(
    "value",
    [
        "a\0b",
        7,
        1.5,
        2**53,
        2**64,
        -(2**80),
        1e300,
        True,
        [],
        ["x"],
        {"value": "x"},
    ],
    ids=str,
)
def test_a_user_name_that_is_no_proper_text_is_400_invalid_value(api, value):
    assert refusal(api.post(user(value)))[:2] == (400, "invalidValue")
    assert api.types() == []


@pytest.mark.parametrize(
    "text", ["1e999", "-1e999", "1" * 400, "0." + "1" * 400, "1e-999", "123456789012345678901234"]
)
def test_numbers_of_any_size_do_no_harm(api, text):
    body = b'{"schemas":["urn:ietf:params:scim:schemas:core:2.0:User"],"userName":%s}'

    response = api.ask("POST", "/Users", data=body % text.encode())

    assert refusal(response)[0] == 400


@pytest.mark.parametrize(
    ("attribute", "value"),
    [
        ("name", "Jane"),
        ("name", {"givenName": ["x"]}),
        ("name", {"givenName": {"x": 1}}),
        ("emails", [["x"]]),
        ("emails", [{"value": {"value": "x"}}]),
        ("emails", [{"value": "x", "primary": 1}]),
        ("emails", [{"value": "x", "primary": True}, {"value": "y", "primary": True}]),
        ("active", 1),
        ("active", {}),
        ("title", 7),
        ("profileUrl", 7),
        ("x509Certificates", [{"value": "not base64!"}]),
        ("title", "half \0 way"),
    ],
    ids=str,
)
def test_a_value_of_the_wrong_shape_is_400_and_names_its_attribute(api, attribute, value):
    status, type_, detail = refusal(api.post(user(**{attribute: value})))

    assert (status, type_) == (400, "invalidValue")
    assert attribute in detail


def test_a_name_given_twice_in_two_spellings_is_400(api):
    response = api.post({**user(), "USERNAME": "other@example.com"})

    assert refusal(response)[:2] == (400, "invalidSyntax")


def test_names_given_twice_are_found_in_time_that_grows_with_the_body(api):
    body = {f"n{number}": 0 for number in range(50_000)} | {"last": 1, "Last": 1}
    path = api.path(api.create())
    started = time.thread_time()

    assert refusal(api.ask("PATCH", path, body))[:2] == (400, "invalidSyntax")
    assert time.thread_time() - started < 3


def test_a_name_given_twice_in_one_spelling_is_never_half_understood(api):
    body = json.dumps(user())[:-1] + ', "userName": "second@example.com"}'

    response = api.ask("POST", "/Users", data=body.encode())

    if response.status_code == 201:
        assert api.names() == [response.json["userName"]]
    else:
        assert refusal(response)[0] == 400


@pytest.mark.parametrize(
    "operation",
    [
        None,
        "x",
        [],
        {},
        {"op": "move", "path": "title"},
        {"op": "replace", "path": "title"},
        {"op": "replace", "path": 7, "value": "x"},
        {"op": "replace", "path": "title[", "value": "x"},
        {"op": "replace", "path": "emails[type eq", "value": "x"},
        {"op": "replace", "path": "a" * 9000, "value": "x"},
        {"op": "replace", "path": "emails[" + "(" * 40, "value": "x"},
        {"op": "replace", "value": "x"},
        {"op": "remove"},
        {"op": 7, "value": {}},
        {"op": "replace", "path": "title", "value": "\ud800"},
        {"op": "add", "path": "emails", "value": [7]},
        {"op": "replace", "path": "\0", "value": "x"},
    ],
    ids=lambda operation: str(operation)[:60].encode("unicode_escape").decode(),
)
def test_a_hostile_operation_is_400_and_changes_nothing(api, operation):
    created = api.create()
    body = json.dumps({"schemas": [PATCH_URN], "Operations": [operation]})

    response = api.ask("PATCH", api.path(created), data=body.encode())

    assert refusal(response)[0] == 400
    assert api.get(api.path(created)).json == created


def test_operations_that_are_none_are_400(api):
    created = api.create()

    for operations in (None, {}, "x", 7):
        body = {"schemas": [PATCH_URN], "Operations": operations}
        assert refusal(api.ask("PATCH", api.path(created), body))[0] == 400


@pytest.mark.parametrize("parameter", ["count", "startIndex"])
@pytest.mark.parametrize("number", ["9" * 20, "-" + "9" * 20])
def test_a_number_too_large_is_taken_for_as_much_as_there_is(api, parameter, number):
    api.create()

    response = api.get("/Users", query_string={parameter: number})

    assert response.status_code == 200
    assert response.json["totalResults"] == 1


@pytest.mark.parametrize("method", ["POST", "PUT", "PATCH"])
def test_a_body_over_the_limit_is_413_with_words(make_site, method):
    api = make_site(SCIM_MAX_BODY="10000").make()
    path = "/Users" if method == "POST" else api.path(api.create())

    status, _, detail = refusal(api.ask(method, path, user(title="x" * 10_000)))

    assert status == 413
    assert "10000 bytes" in detail


def test_a_body_at_the_limit_is_taken(make_site):
    api = make_site(SCIM_MAX_BODY="10000").make()
    body = json.dumps(user()).encode()

    response = api.ask("POST", "/Users", data=body + b" " * (10_000 - len(body)))

    assert response.status_code == 201


# What is not of the client's making


def test_an_unforeseen_failure_is_500_without_a_trace(api, capsys):
    created = api.create()
    tenant = api.site.console.tenant("default")
    with tenant.ledger.writing() as connection:  # a document that is no JSON: {jane@example.com
        connection.execute("UPDATE resource SET document = x'7b6a616e65406578616d706c652e636f6d'")
    tenant.close()

    response = api.ask("PATCH", api.path(created), {"schemas": [PATCH_URN], "Operations": [{}]})

    status, _, detail = refusal(response)
    assert status == 500
    assert "request id" in detail
    assert "Traceback" not in response.text
    assert "jane@example.com" not in response.text + capsys.readouterr().err


# What the server says before the application is asked


def answers(raw):
    """Part the bytes of a connection into answers: status, headers, body."""
    found = []
    while raw:
        head, _, raw = raw.partition(b"\r\n\r\n")
        status, *lines = head.decode().split("\r\n")
        headers = {n.lower(): v for n, _, v in (line.partition(": ") for line in lines)}
        size = int(headers.get("content-length", 0))
        found.append((int(status.split()[1]), headers, raw[:size]))
        raw = raw[size:]
    return found


def check_refused(raw, *statuses):
    status, headers, body = answers(raw)[-1]
    document = json.loads(body)
    assert status in statuses, raw
    assert document["schemas"] == [ERROR_URN]
    assert document["status"] == str(status)
    assert document["detail"]
    assert headers["content-type"] == "application/scim+json"
    assert headers["x-request-id"]
    assert headers["cache-control"] == "no-store"


def request(server, line, *headers, body=b""):
    """Return the bytes of a request that ends its connection."""
    own = [b"Host: scim.example.com", f"Authorization: Bearer {server.token}".encode()]
    return b"\r\n".join([line, *own, b"Connection: close", *headers, b"", body])


LIST = f"GET {BASE}/Users HTTP/1.1".encode()
CREATE = f"POST {BASE}/Users HTTP/1.1".encode()
SCIM = b"Content-Type: application/scim+json"


@pytest.mark.parametrize(
    "data",
    [
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\r\n\r\n",
        b"GET\r\n\r\n",
        b"\r\n\r\n\r\n\r\nx\r\n\r\n",
        b"GET / HTTP/9.9\r\n\r\n",
        b"get / HTTP/1.1\r\nHost: x\r\n\r\n",
        b"GET /\xff HTTP/1.1\r\nHost: x\r\n\r\n",
        b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n",
        b"GET /livez HTTP/1.1\r\n\r\n",
        b"GET /livez HTTP/1.1\r\nHost:\r\n\r\n",
        b"GET /livez HTTP/1.1\r\nHost: a b\r\nConnection: close\r\n\r\n",
        b"GET /livez HTTP/1.1\r\nHost: a, b\r\nConnection: close\r\n\r\n",
        b"GET http://a/livez HTTP/1.1\r\n\r\n",
        b"GET /ledger/v1/feed HTTP/1.1\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost : a\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: a\r\nX: a\x00b\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: a\r\nX: a\r\n b\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: a\r\nno colon\r\n\r\n",
    ],
    ids=lambda data: repr(data[:40]),
)
def test_malformed_http_is_400_in_scim_json(server, data):
    check_refused(server.say(data), 400)


def test_http_1_0_needs_no_host(server):
    assert server.say(b"GET /livez HTTP/1.0\r\n\r\n").startswith(b"HTTP/1.0 200 ")


@pytest.mark.parametrize(
    "data",
    [
        b"GET /livez HTTP/1.0\r\n\r\n",
        b"GET /nothing HTTP/1.0\r\n\r\n",
        b"nonsense\r\n\r\n",
        b"GET /livez HTTP/1.1\r\n\r\n",
        b"GET /" + b"a" * 9000 + b" HTTP/1.1\r\nHost: x\r\n\r\n",
    ],
    ids=lambda data: repr(data[:30]),
)
def test_no_answer_names_the_software_that_gives_it(server, data):
    answer = server.say(data).lower()

    words = (b"server:", b"gunicorn", b"werkzeug", b"python")
    assert [word for word in words if word in answer] == []


def test_a_request_line_over_the_limit_is_414(server):
    line = f"GET {BASE}/Users?filter={'a' * 9000} HTTP/1.1".encode()

    check_refused(server.say(request(server, line)), 414)


@pytest.mark.parametrize(
    ("path", "headers", "status"),
    [
        ("/oauth/token?scope=" + "a" * 9000, [], 414),
        ("/oauth/token", [b"X: " + b"a" * 9000], 431),
        ("/oauth/revoke", [b"Host: twice"], 400),
    ],
    ids=["line", "headers", "host"],
)
def test_no_request_of_oauth_is_refused_in_scim_json(server, path, headers, status):
    raw = server.say(request(server, f"POST {path} HTTP/1.1".encode(), *headers))

    found, told, body = answers(raw)[-1]
    assert (found, told["content-type"]) == (status, "application/json")
    assert json.loads(body)["error"] == "invalid_request"


@pytest.mark.parametrize(
    "headers",
    [
        [b"X: " + b"a" * 9000],
        [b"X%d: a" % number for number in range(100)],
        [b"X%d: " % number + b"a" * 8000 for number in range(100)],
    ],
    ids=["long", "many", "many and long"],
)
def test_headers_over_the_limit_are_431(server, headers):
    check_refused(server.say(request(server, LIST, *headers)), 431)


@pytest.mark.parametrize(
    "headers",
    [
        [b"Transfer-Encoding: chunked", b"Content-Length: 5"],
        [b"Content-Length: 5", b"Transfer-Encoding: chunked"],
        [b"Transfer-Encoding: chunked", b"Transfer-Encoding: chunked"],
        [b"Transfer-Encoding: chunked, identity"],
        [b"Transfer-Encoding: xchunked"],
        [b"Transfer-Encoding: \x0bchunked"],
        [b"Content-Length: 5", b"Content-Length: 6"],
        [b"Content-Length: 5, 6"],
        [b"Content-Length: -1"],
        [b"Content-Length: +5"],
        [b"Content-Length: 0x5"],
    ],
    ids=repr,
)
def test_a_body_of_doubtful_length_is_400_and_nothing_after_it_is_a_request(server, headers):
    smuggled = b"0\r\n\r\n" + request(server, f"DELETE {BASE}/Users/x HTTP/1.1".encode())

    raw = server.say(request(server, CREATE, SCIM, *headers, body=smuggled))

    assert len(answers(raw)) == 1
    check_refused(raw, 400)


@pytest.mark.parametrize(
    "body",
    [
        b"zz\r\n{}\r\n0\r\n\r\n",
        b"-2\r\n{}\r\n0\r\n\r\n",
        b"2\r\n{}xx0\r\n\r\n",
        b"2;" + b"x" * 9000 + b"\r\n{}\r\n0\r\n\r\n",
        b"2",
        b"FF\r\n{}",
        b"2\r\n{}\r\n",
    ],
    ids=lambda body: repr(body[:24]),
)
def test_garbage_among_the_chunks_of_a_body_is_400(server, body):
    data = request(server, CREATE, SCIM, b"Transfer-Encoding: chunked", body=body)

    check_refused(server.say(data, hang_up=True), 400)


def whole(server, title):
    return json.dumps(user(f"{title}@example.com")).encode()


def test_a_body_that_breaks_off_is_400_and_not_acted_on(server):
    body = whole(server, "broken-off")
    length = b"Content-Length: %d" % (len(body) + 10)

    raw = server.say(request(server, CREATE, SCIM, length, body=body), hang_up=True)

    check_refused(raw, 400)
    found = server.ask("GET", "/Users?filter=userName%20eq%20%22broken-off@example.com%22")
    assert found.json["totalResults"] == 0


def test_a_chunked_body_is_read_whole(server):
    body = whole(server, "chunked")
    chunks = b"".join(b"%x\r\n%s\r\n" % (len(part), part) for part in (body[:20], body[20:]))

    raw = server.say(
        request(server, CREATE, SCIM, b"Transfer-Encoding: chunked", body=chunks + b"0\r\n\r\n")
    )

    assert answers(raw)[-1][0] == 201


@pytest.mark.parametrize("size", [5_000_000, 30_000_000])
def test_a_client_can_send_all_of_a_body_that_is_refused_for_its_size(server, size):
    assert refusal(server.ask("POST", "/Users", b" " * size))[0] == 413


@pytest.fixture(scope="module")
def narrow(tmp_path_factory):
    """Return a running service that takes no more than 1 MiB at once."""
    started = Server(tmp_path_factory.mktemp("narrow"), SCIM_MAX_BODY=1_048_576)
    yield started
    started.clean_up()


@pytest.mark.parametrize("size", [1_048_577, 1_200_000, 5_000_000])
def test_a_body_over_the_limit_is_413_with_a_length(narrow, size):
    data = request(narrow, CREATE, SCIM, b"Content-Length: %d" % size, body=b" " * size)

    check_refused(narrow.say(data), 413)


@pytest.mark.parametrize("size", [1_048_577, 1_200_000, 5_000_000])
def test_a_body_over_the_limit_is_413_in_chunks(narrow, size):
    body = b"%x\r\n%s\r\n0\r\n\r\n" % (size, b" " * size)

    check_refused(
        narrow.say(request(narrow, CREATE, SCIM, b"Transfer-Encoding: chunked", body=body)), 413
    )


def test_the_part_of_a_chunked_body_within_the_limit_is_not_taken_for_the_whole(narrow):
    body = whole(narrow, "cut-off").ljust(1_048_576) + b"garbage"
    chunks = b"%x\r\n%s\r\n0\r\n\r\n" % (len(body), body)

    raw = narrow.say(request(narrow, CREATE, SCIM, b"Transfer-Encoding: chunked", body=chunks))

    check_refused(raw, 413)


def test_a_body_of_the_greatest_size_in_chunks_is_taken(server):
    body = whole(server, "greatest").ljust(1_048_576)
    chunks = b"%x\r\n%s\r\n0\r\n\r\n" % (len(body), body)

    raw = server.say(request(server, CREATE, SCIM, b"Transfer-Encoding: chunked", body=chunks))

    assert answers(raw)[-1][0] == 201


def test_the_rest_of_a_refused_body_is_never_taken_for_a_request(narrow):
    smuggled = request(narrow, LIST).replace(b"Connection: close\r\n", b"") * 8000
    length = b"Content-Length: %d" % len(smuggled)
    refused = request(narrow, CREATE, SCIM, length, body=smuggled)

    raw = narrow.say(refused.replace(b"Connection: close\r\n", b"", 1))

    assert [status for status, _, _ in answers(raw)] == [413]


@pytest.mark.parametrize("method", ["TRACE", "CONNECT", "PROPFIND"])
def test_odd_methods_are_405(server, method):
    check_refused(server.say(request(server, f"{method} {BASE}/Users HTTP/1.1".encode())), 405)


def test_an_expectation_that_cannot_be_met_is_400(server):
    data = request(server, CREATE, SCIM, b"Expect: the-unexpected", b"Content-Length: 0")

    check_refused(server.say(data), 400)


def test_none_of_these_requests_was_an_unexpected_failure(server):
    assert [line for line in server.log_lines() if line["level"] == "error"] == []
