"""A password is accepted and dropped: afterwards it is in no file, log line, answer or error."""

import base64
import hashlib
import json
import secrets
from contextlib import suppress

import pytest

from scim_api.protocol.schema.resource_types import ENTERPRISE_URN, USER_URN
from tests.scim_api.client import patch, replace, user
from tests.scim_api.process import wait_until

LOOKUP = "/Users?filter=userName%20eq%20%22{}%22"


def ways(secret):
    """Yield every way in which a client may bring a password, right and wrong."""
    body = user("{name}")
    yield "POST", body | {"password": secret}
    yield "POST", body | {"PassWord": secret}
    yield "POST", body | {f"{USER_URN}:password": secret}
    yield "POST", body | {"password": [secret]}
    yield "POST", body | {"password": {"value": secret}}
    yield "POST", body | {"password": secret, "active": "perhaps"}
    yield "POST", body | {"password": secret, "Password": secret}
    yield "POST", {"password": secret}
    yield "POST", body | {ENTERPRISE_URN: {"password": secret}}
    yield "POST", body | {"name": {"password": secret, "givenName": "Jane"}}
    yield "POST", [secret]
    yield "POST", secret
    yield "PUT", body | {"password": secret}
    yield "PUT", body | {"password": [secret], "title": "Boss"}
    yield "PUT", body | {"password": secret, "userName": "taken@example.com"}
    yield "PATCH", patch(replace({"password": secret}))
    yield "PATCH", patch(replace({"password": secret, "title": "Boss"}))
    yield "PATCH", patch(replace({"password": [secret]}))
    yield "PATCH", patch(replace({"password": {"value": secret}}))
    yield "PATCH", patch(replace(secret, "password"))
    yield "PATCH", patch(replace([secret], "password"))
    yield "PATCH", patch({"op": "add", "path": "PASSWORD", "value": secret})
    yield "PATCH", patch({"op": "remove", "path": "password", "value": secret})
    yield "PATCH", patch(replace(secret, f"{USER_URN}:password"))
    yield "PATCH", patch(replace(secret, "password.value"))
    yield "PATCH", patch(replace(secret, 'password[type eq "x"]'))
    yield "PATCH", patch(replace(secret, "passKey"))
    yield "PATCH", patch(replace({"password": secret}), replace("x", "noSuchAttribute"))
    yield "PATCH", patch(replace({"passKey": secret}))
    yield "PATCH", patch(replace(secret))
    yield "PATCH", patch({"op": "move", "value": secret})
    yield "PATCH", secret


def named(body, name):
    return json.loads(json.dumps(body).replace("{name}", name))


def held_by(server):
    """Return the bytes of every file the service writes, its log included."""
    found = {}
    for path in server.folder.rglob("*"):
        with suppress(IsADirectoryError, FileNotFoundError):  # a side file is closed any time
            found[path.name] = path.read_bytes()
    return found


@pytest.fixture(scope="module")
def secret():
    return "S3cret-" + secrets.token_hex(16)


@pytest.fixture(scope="module")
def replies(server, secret):
    """Send the password in every way there is; return the answers."""
    taken = server.ask("POST", "/Users", user("taken@example.com"))
    found = [taken]
    for number, (method, body) in enumerate(ways(secret)):
        name = f"secretive{number}@example.com"
        path = "/Users"
        if method != "POST":
            created = server.ask("POST", "/Users", user(name)).json
            path = f"/Users/{created['id']}"
        found.append(server.ask(method, path, named(body, name)))
        found.append(server.ask("GET", LOOKUP.format(name)))
    return found


def test_every_request_is_accepted_or_refused_without_failing(replies):
    assert {reply.status for reply in replies} == {200, 201, 400, 409}


def test_no_answer_holds_the_password(replies, secret):
    for reply in replies:
        assert secret.encode() not in reply.body
        assert secret not in str(reply.headers)


def test_no_answer_mentions_that_there_was_one(replies):
    for reply in replies:
        assert b'"password"' not in reply.body.lower()


def test_no_file_holds_the_password(server, replies, secret):
    for name, content in held_by(server).items():
        assert secret.encode() not in content, name


def test_the_databases_log_is_searched_too(server, replies):
    files = held_by(server)

    assert b"taken@example.com" in files["ledger.db"] + files["ledger.db-wal"]


def test_no_file_holds_a_hash_or_an_encoding_of_it(server, replies, secret):
    shapes = [
        base64.b64encode(secret.encode())[:-4],
        secret.encode().hex().encode(),
        secret.encode("utf-16-le"),
        hashlib.sha256(secret.encode()).hexdigest().encode(),
        hashlib.sha256(secret.encode()).digest(),
        hashlib.sha1(secret.encode()).hexdigest().encode(),
        hashlib.md5(secret.encode()).hexdigest().encode(),
    ]

    for name, content in held_by(server).items():
        assert [shape for shape in shapes if shape in content] == [], name


def test_a_password_in_broken_json_does_not_come_back(server, secret):
    for body in (
        f'{{"password": "{secret}"',
        f'{{"password": "{secret}" x}}',
        f'{{"password": {secret}}}',
        f'"{secret}" {secret}',
    ):
        reply = server.ask("POST", "/Users", body.encode())

        assert reply.status == 400
        assert secret.encode() not in reply.body


@pytest.mark.parametrize("parameter", ["filter", "sortBy", "attributes", "startIndex"])
def test_a_password_in_an_address_is_not_logged(server, secret, parameter):
    server.ask("GET", f"/Users?{parameter}=password%20eq%20%22{secret}%22")
    server.ask("GET", f"/Users/{secret}")
    server.ask("GET", f"/{secret}")

    assert secret not in server.stderr.read_text()


def test_a_password_alone_changes_nothing(api):
    created = api.create(password="S3cret-1")

    response = api.patch(created, replace({"password": "S3cret-2"}))

    assert response.json == created
    assert api.types() == ["Created"]


def test_the_password_is_not_in_the_event(api):
    api.create(password="S3cret-1")

    assert "password" not in api.site.events()[-1].effects


def test_no_filter_can_ask_for_the_password(api):
    response = api.get("/Users", query_string={"filter": 'password eq "S3cret-1"'})

    assert response.json["scimType"] == "invalidFilter"


def test_the_password_cannot_be_made_visible(api):
    created = api.create(password="S3cret-1")

    answer = api.get(api.path(created), query_string={"attributes": "password"}).json

    assert answer.keys() == {"schemas", "id"}


def test_the_database_still_says_nothing_after_the_end(start, secret):
    server = start()
    server.ask("POST", "/Users", user(password=secret))
    server.stop()

    assert wait_until(lambda: not (server.data_dir / "default" / "ledger.db-wal").exists())
    for name, content in held_by(server).items():
        assert secret.encode() not in content, name
