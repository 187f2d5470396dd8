"""Nothing that a client wrote is in the request log or in the log on stderr.

Every value that a client can write holds one word here: none of the bytes written hold it.
"""

import json
import re
import subprocess
import time
from urllib.parse import quote

import pytest

from scim_api.protocol.schema.resource_types import ENTERPRISE_URN, GROUP_URN, USER_URN
from tests.scim_api.client import PATCH_URN, SEARCH_URN, group, patch, replace, user
from tests.scim_api.process import PROGRAM, Server, environment

WORD = "Zyxwarble"
BULK_URN = "urn:ietf:params:scim:api:messages:2.0:BulkRequest"

FILTERS = [
    WORD,
    f'{WORD} eq "x"',
    f'userName {WORD} "x"',
    f'userName eq "{WORD}',
    f'userName eq "x" {WORD}',
    f'name eq "{WORD}"',
    f'active gt "{WORD}"',
    f'meta.created gt "{WORD}"',
    f'emails[{WORD} eq "x"]',
    f'emails[type eq "{WORD}"',
    f'{WORD}[type eq "x"]',
    f"not {WORD}",
    f"userName eq {WORD} {WORD}",
    f'password eq "{WORD}"',
    f'emails.{WORD} eq "x"',
    f'urn:{WORD}:x eq "y"',
    f'userName[value eq "{WORD}"]',
]
PARAMETERS = ["sortBy", "sortOrder", "startIndex", "count", "cursor"]
PATHS = [
    f"/{WORD}",
    f"/Users/{WORD}",
    f"/Users/{WORD}/{WORD}",
    f"/Groups/{WORD}@example.com",
    f"/Schemas/urn:{WORD}",
    f"/ResourceTypes/{WORD}",
    f"/Users/{quote(WORD + ' ü')}",
    f"/ServiceProviderConfig?filter={WORD}",
]
BODIES = [
    f'"{WORD}',
    f'{{"{WORD}": {WORD}}}',
    {WORD: WORD},
    [WORD],
    {"schemas": [f"urn:{WORD}"], "userName": "x"},
    {"schemas": WORD, "userName": "x"},
    user(WORD) | {"emails": WORD + "@example.com", "active": WORD},
    user(WORD) | {"emails": [{"value": "x", "primary": WORD}]},
    user(WORD) | {"name": WORD},
    user(WORD) | {"username": WORD},
    user(WORD) | {"name": {"givenName": WORD, "GIVENNAME": WORD}},
    user(WORD) | {WORD: 1, WORD.upper(): 2, "active": "x"},
    user(WORD) | {ENTERPRISE_URN: WORD},
    user(WORD) | {"roles": {WORD: WORD}, "profileUrl": 1},
    user({WORD: WORD}),
    user("taken"),
    {"schemas": [USER_URN], "externalId": WORD},
]
OPERATIONS = [
    [{"op": WORD, "path": "title", "value": WORD}],
    [{"op": "replace", "path": WORD, "value": WORD}],
    [{"op": "replace", "path": f"emails.{WORD}", "value": WORD}],
    [{"op": "replace", "path": f'emails[type eq "{WORD}"].value', "value": WORD}],
    [{"op": "add", "path": f'emails[type eq "{WORD}"].value {WORD}', "value": WORD}],
    [{"op": "remove", "path": f'emails[value eq "{WORD}"]'}],
    [{"op": "remove", "path": f'emails[{WORD} eq "x"]'}],
    [{"op": "replace", "path": "active", "value": WORD}],
    [{"op": "replace", "path": "id", "value": WORD}],
    [{"op": "replace", "value": WORD}],
    [{"op": "replace", "value": {"emails": {WORD: WORD}, "active": WORD}}],
    [{"op": "replace", "value": {f"name.{WORD}.{WORD}": 1, "meta.x": WORD}}],
    [{"op": "remove", "path": "userName", "value": WORD}],
    [{"op": "replace", "path": "schemas", "value": [f"urn:{WORD}", WORD, 1]}],
    [{"op": "add", WORD: 1, WORD.lower(): 2}],
    [{"op": "add", "path": f"urn:{WORD}:2.0:User:x", "value": WORD}],
    [{"op": "add", "path": [WORD], "value": WORD}],
    WORD,
    [WORD],
    [replace(WORD, "password.value")],
]
HEADERS = [
    {"Authorization": WORD},
    {"Authorization": f"Basic {WORD}"},
    {"Authorization": f"Bearer scl_{WORD}"},
    {"User-Agent": f"Okta SCIM Client 1.0.0 ({WORD}@example.com)"},
    {"X-Request-Id": WORD * 3},
    {"X-Forwarded-For": WORD, "Host": WORD + "_!"},
    {"If-Match": f'W/"{WORD}"'},
    {"If-None-Match": f'"{WORD}", *'},
    {"Content-Type": f"text/{WORD}"},
    {"Content-Type": f"application/json; charset={WORD}"},
    {"Content-Encoding": WORD},
]
BULK = [
    {"method": WORD, "path": "/Users"},
    {"method": "POST", "path": f"/{WORD}", "bulkId": WORD, "data": user(WORD)},
    {"method": "POST", "path": "/Users", "bulkId": f"b{WORD}", "data": {WORD: WORD}},
    {"method": "POST", "path": f"/Users/{WORD}", "bulkId": f"c{WORD}", "data": user(WORD)},
    {"method": "POST", "path": "/Users", "bulkId": {WORD: WORD}, "data": user(WORD)},
    {"method": "DELETE", "path": f"/Users/{WORD}"},
    {"method": "DELETE", "path": f"/Users/{WORD}/{WORD}/{WORD}"},
    {"method": "DELETE", "path": f"/Users/bulkId:{WORD}"},
    {"method": "DELETE", "path": f"/Users/bulkId:no{WORD}"},
    {"method": "DELETE", "path": f"/Groups/{WORD}", "version": {WORD: 1}},
    {
        "method": "POST",
        "path": "/Groups",
        "bulkId": f"d{WORD}",
        "data": group(WORD, f"bulkId:no{WORD}"),
    },
    {"method": {WORD: WORD}, "path": [WORD]},
    {"method": "PATCH", "path": f"/Users/{WORD}", "data": {WORD: WORD}},
]


def circle():
    """Return operations that refer to each other, of which one is refused."""
    for own, other, more in (("x", "y", {}), ("y", "x", {"members": WORD})):
        data = group(WORD + own, f"bulkId:{WORD}{other}") | more
        yield {"method": "POST", "path": "/Groups", "bulkId": WORD + own, "data": data}


def requests(user_path):
    """Yield every request: method, path, body, headers."""
    for text in FILTERS:
        yield "GET", f"/Users?filter={quote(text)}", None, {}
        yield "POST", "/Users/.search", {"schemas": [SEARCH_URN], "filter": text}, {}
    for name in PARAMETERS:
        yield "GET", f"/Groups?{name}={WORD}", None, {}
        yield "POST", "/.search", {"schemas": [SEARCH_URN], name: [WORD]}, {}
    for path in PATHS:
        for method in ("GET", "DELETE", "OPTIONS", WORD.upper()):
            yield method, path, None, {}
    for body in BODIES:
        yield "POST", "/Users", body, {}
        yield "PUT", user_path, body, {}
        yield "POST", "/Groups", body, {}
        yield "POST", "/Users/.search", body, {}
        yield "POST", "/Bulk", body, {}
    for operations in OPERATIONS:
        yield "PATCH", user_path, {"schemas": [PATCH_URN], "Operations": operations}, {}
        yield "PATCH", f"/Groups/{WORD}", {"schemas": [PATCH_URN], "Operations": operations}, {}
    yield "PATCH", user_path, {WORD: [WORD], "schemas": [f"urn:{WORD}"]}, {}
    for headers in HEADERS:
        yield "GET", user_path, None, headers
        yield "PUT", user_path, user("changed", title=WORD), headers
        yield "PATCH", "/Users/x", patch(replace(WORD, WORD)), headers
    yield "POST", "/Bulk", {"schemas": [BULK_URN], "Operations": BULK}, {}
    yield "POST", "/Bulk", {"schemas": [BULK_URN], "Operations": [*circle()]}, {}
    for twice in ([BULK[1], BULK[1]], [WORD], WORD):
        yield "POST", "/Bulk", {"schemas": [BULK_URN], "Operations": twice}, {}
    yield "POST", "/Bulk", {"schemas": [BULK_URN], "Operations": [], "failOnErrors": WORD}, {}
    yield "POST", "/Me", user(WORD), {}
    yield "POST", "/Groups", {"schemas": [GROUP_URN], "displayName": "G", "members": WORD}, {}
    yield "POST", "/Groups", group("G", WORD + "\n"), {}
    yield "POST", "/Groups", group("G", f"no-{WORD}"), {}


LEDGER = [
    f"/requests?filter={WORD}",
    f"/requests?after={WORD}",
    f"/requests/{WORD}",
    f"/{WORD}/{WORD}",
    f"?{WORD}={WORD}",
    f"/events?filter={WORD}",
    f"/events?filter={WORD}%20eq%20%22x%22",
    f"/events?after={WORD}",
    f"/events?sortOrder={WORD}",
    f"/events?count={WORD}",
    f"/events?wait={WORD}",
    f"/events/{WORD}",
    f"/feed?filter={WORD}",
    f"/tlog/{WORD}/checkpoint",
    f"/tlog/tile/{WORD}/{WORD}.p/{WORD}",
    f"/tlog/{WORD}/tile/0/{WORD}/001",
    f"/proof/inclusion?position={WORD}",
    f"/proof/inclusion?position=1&size={WORD}",
    f"/proof/inclusion.tlog-proof?position={WORD}",
    f"/proof/consistency?from={WORD}",
    f"/proof/consistency?from=1&to={WORD}",
]
BEHIND = {"Last-Event-ID": WORD}
TIMES = [WORD, f"2026-10-01T00:00:00{WORD}", f"1&asOf={WORD}"]


@pytest.fixture(scope="module")
def sent(tmp_path_factory):
    """Start a service of each policy that refuses, and send all; return it with the answers."""
    server = Server(tmp_path_factory.mktemp("privacy"), SCIM_LOG_LEVEL="debug")
    made = [server.ask("POST", "/Users", user(name)).json for name in ("taken", "mine")]
    strict = make_token(server, "--policy", "strict")
    server.auditor = {"Authorization": f"Bearer {make_token(server, '--scope', 'audit')}"}
    replies = []
    for headers in ({}, {"Authorization": f"Bearer {strict}"}):
        for method, path, body, own in requests(f"/Users/{made[1]['id']}"):
            body = body.encode() if isinstance(body, str) else body
            replies.append(server.ask(method, path, body, headers={**headers, **own}))
    for path in LEDGER:
        for headers in ({}, server.auditor):
            replies.append(server.ask("GET", path, base="/ledger/v1", headers=headers))
    replies.append(server.ask("GET", "/feed", base="/ledger/v1", headers=BEHIND | server.auditor))
    replies += [server.ask("GET", f"/Users?asOf={t}", headers=server.auditor) for t in TIMES]
    time.sleep(1.2)
    yield server, replies
    server.clean_up()


def make_token(server, *options):
    """Make a token: one that is forgiven nothing, or one that reads what was recorded."""
    made = subprocess.run(
        [*PROGRAM, "token", "create", "another", *options],
        env=environment(server.data_dir),
        capture_output=True,
        check=True,
    )
    return made.stdout.decode().strip()


def rows(server):
    found, path = [], "/ledger/v1/requests?count=1000"
    while path:
        answer = server.ask("GET", path, base="", headers=server.auditor).json
        found += answer["requests"]
        path = (answer["next"] or "").removeprefix(f"http://127.0.0.1:{server.port}")
    return found


def test_the_word_was_repeated_to_the_client_so_it_could_have_been_kept(sent):
    _, replies = sent

    repeated = [reply for reply in replies if WORD.encode() in reply.body and reply.status >= 400]
    assert len(repeated) > 50


def test_all_that_was_refused_is_in_the_log(sent):
    server, replies = sent

    refused = [r.headers["X-Request-Id"] for r in replies if r.status >= 400]
    assert set(refused) <= {row["requestId"] for row in rows(server)}
    seen = {row["status"] for row in rows(server)}
    assert seen >= {200, 400, 401, 403, 404, 405, 409, 412, 415, 501}


def test_the_word_is_in_no_byte_of_the_request_log(sent):
    server, _ = sent
    files = list((server.data_dir / "default").glob("requests.db*"))

    assert files
    for file in files:
        assert WORD.lower().encode() not in file.read_bytes().lower(), file.name


def test_the_word_is_not_in_the_log_on_stderr(sent):
    server, _ = sent

    assert WORD.lower() not in server.stderr.read_text().lower()


def test_the_token_is_in_no_byte_of_the_request_log(sent):
    server, _ = sent

    for file in (server.data_dir / "default").glob("requests.db*"):
        content = file.read_bytes()
        assert server.token.encode() not in content
        assert not re.search(b"scl_[0-9a-f]", content)  # but in a sentence of ours


def test_withheld_text_is_marked(sent):
    server, _ = sent

    text = json.dumps(rows(server), ensure_ascii=False)
    assert "…" in text
    assert '"method": "…"' in text


def test_the_client_of_a_user_agent_with_an_address_is_its_family(sent):
    server, _ = sent

    assert {row["userAgent"] for row in rows(server)} == {"unknown", "Okta"}
