"""Tokens: how clients send them, when they are refused, what is stored."""

import hashlib
import subprocess
import time
from base64 import b64encode
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from pathlib import Path

import pytest
from freezegun import freeze_time
from hypothesis import given
from hypothesis import strategies as st

from ledger import clock
from ledger.contract import Append
from ledger.events import Event
from scim_api import wiring
from scim_api.auth import tokens
from scim_api.auth.authenticate import recognise
from scim_api.protocol.errors import Unauthorized
from scim_api.settings import SCHEMES
from scim_api.tenants.tenants import Tenants
from tests.scim_api.client import Api, patch, refusal, replace, user
from tests.scim_api.process import PROGRAM, environment
from tests.scim_api.schemes import basic

BASIC = 'Basic realm="SCIM", charset="UTF-8"'
CHALLENGE = f'Bearer realm="SCIM", {BASIC}'
REFUSED = 'Bearer realm="SCIM", error="invalid_token"'


def authorized(api, authorization):
    return api.get("/Users", headers={"Authorization": authorization})


@pytest.mark.parametrize(
    "form",
    [
        "Bearer {}",
        "bearer {}",
        "BEARER {}",
        "{}",
        "Bearer Bearer {}",
        "Bearer bearer {}",
        "bearer Bearer Bearer {}",
        "Bearer   {}",
        "Bearer\t{}",
        "  Bearer {}  ",
        " {} ",
    ],
)
def test_these_forms_of_a_token_all_work(api, form):
    assert authorized(api, form.format(api.token)).status_code == 200


@pytest.mark.parametrize("authorization", [None, "", "  "])
def test_no_token_is_401_with_a_challenge(api, authorization):
    response = authorized(api, authorization)

    assert refusal(response)[0] == 401
    assert response.headers["WWW-Authenticate"] == CHALLENGE


@pytest.mark.parametrize(
    "form",
    [
        "non-token",
        "Bearer",
        "Bearer non-token",
        "Bearer {}x",
        "Bearer x{}",
        "Bearer {} {}",
        "Bearer{}",
        "Token {}",
        'Digest username="x"',
        "Bearer \u00e9{}",
        "Bearer " + "x" * 7000,
        "Bearer scl_0123456789abcdef_",
    ],
)
def test_a_malformed_token_is_401_invalid_token(api, form):
    response = authorized(api, form.format(api.token, api.token).encode().decode("latin-1"))

    assert refusal(response)[0] == 401
    assert response.headers["WWW-Authenticate"] == REFUSED


# Basic (RFC 7617)


@pytest.mark.parametrize("label", ["okta", "", "okta-acme", "j\u00fcrgen", "jane@example.com", " "])
def test_basic_takes_a_token_as_the_password_of_any_user_name(api, label):
    assert authorized(api, basic(label, api.token)).status_code == 200


def test_the_encoding_of_the_user_name_does_not_matter(api):
    pair = "j\u00fcrgen:".encode("latin-1") + api.token.encode()

    assert authorized(api, f"Basic {b64encode(pair).decode()}").status_code == 200


anything = st.text() | st.binary().map(lambda pair: f"Basic {b64encode(pair).decode()}")


@given(
    anything | st.builds("{}{}".format, st.sampled_from(["Bearer ", "basic ", "scl_"]), anything)
)
def test_no_header_is_a_token_by_chance_or_fails_otherwise(header):
    with pytest.raises(Unauthorized) as raised:
        recognise(header, "", SCHEMES, Tenants(Path("nowhere"), wiring.open_tenant))

    assert raised.value.code.startswith("token.")


@pytest.mark.parametrize("word", ["basic", "BASIC", "Basic ", "Basic\t"])
def test_the_word_basic_is_read_as_bearer_is(api, word):
    assert authorized(api, basic("okta", api.token, word)).status_code == 200


def test_a_token_pasted_with_a_line_break_into_the_password_works(api):
    assert authorized(api, basic("okta", f" {api.token}\n")).status_code == 200


NO_TOKENS = {
    "nothing": lambda token: "Basic",
    "blank": lambda token: "Basic ",
    "no base64": lambda token: f"Basic {token}",
    "both empty": lambda token: basic("", ""),
    "a password": lambda token: basic("okta", "password"),
    "token as the user": lambda token: basic(token, ""),
    "token as the user, a password": lambda token: basic(token, "x"),
    "two colons": lambda token: basic("ok:ta", token),  # the first one ends the user name
    "torn": lambda token: basic("okta", token[:-1]),
    "too long": lambda token: basic("okta", f"{token}x"),
    "no colon": lambda token: f"Basic {b64encode(token.encode()).decode()}",
    "not UTF-8": lambda token: "Basic " + b64encode(b"okta:\xff" + token.encode()).decode(),
    "a character too many": lambda token: f"{basic('okta', token)}!",
    "not ASCII": lambda token: f"{basic('okta', token)}\u00e9",
    "after Bearer": lambda token: f"Bearer {basic('okta', token)}",
}


@pytest.mark.parametrize("form", NO_TOKENS)
def test_a_password_that_is_no_token_is_401(api, form):
    sent = NO_TOKENS[form](api.token)
    response = authorized(api, sent.encode().decode("latin-1"))

    assert refusal(response)[0] == 401
    assert response.headers["WWW-Authenticate"] == (BASIC if sent.startswith("Basic") else REFUSED)
    assert api.token[20:40] not in response.text


@pytest.mark.parametrize(
    ("form", "says"),
    [
        ("blank", "came without a password"),
        ("no base64", "is not base64"),
        ("no colon", "has no colon between"),
        ("both empty", "came without a password"),
        ("a password", "The password is not a token"),
        ("token as the user, a password", "The token is in the user name"),
        ("two colons", "The user name has a colon"),
        ("torn", "The password is not a token"),
    ],
)
def test_what_is_wrong_with_basic_is_said(api, form, says):
    assert says in refusal(authorized(api, NO_TOKENS[form](api.token)))[2]


def test_basic_has_the_scopes_the_end_and_the_record_of_its_token(api):
    issued = api.site.issue(called="reader", scopes=("read",))
    sent = {"Authorization": basic("okta", issued.token)}
    assert api.get("/Users", headers=sent).status_code == 200
    refused = api.post(user(), headers=sent)
    assert refusal(refused)[0] == 403
    assert "WWW-Authenticate" not in refused.headers  # what it lacks is said of Bearer only

    revoke(api.site, issued.id)

    response = api.get("/Users", headers=sent)
    assert "revoked" in refusal(response)[2]
    assert response.headers["WWW-Authenticate"] == BASIC
    api.site.close()
    tenant = api.site.console.tenant("default")
    assert {record.actor for record in tenant.requests.records(9)} == {issued.id}
    tenant.close()


# Ways that are off


@pytest.mark.parametrize(
    ("on", "header", "status", "challenge"),
    [
        ("header", "Bearer {}", 200, None),
        ("header", "{}", 200, None),
        ("header", None, 401, 'Bearer realm="SCIM"'),
        ("header", "Basic {}", 401, 'Bearer realm="SCIM"'),
        ("basic", "Basic {}", 200, None),
        ("basic", None, 401, BASIC),
        ("basic", "Bearer {}", 401, BASIC),
        ("basic", "{}", 401, BASIC),
        ("basic,header", None, 401, CHALLENGE),
    ],
)
def test_only_what_is_on_is_let_in_and_offered(make_site, on, header, status, challenge):
    client = make_site(SCIM_AUTHENTICATION=on).make()
    token = basic("x", client.token).split()[1] if header == "Basic {}" else client.token
    sent = header and header.format(token)

    for path in ("/Users", "/openapi.json"):
        base = {"base": ""} if path == "/openapi.json" else {}
        response = client.get(path, headers={"Authorization": sent}, **base)

        if path == "/openapi.json" and sent is None:
            continue  # it needs none
        assert response.status_code == status
        assert response.headers.get("WWW-Authenticate") == challenge
        assert status == 200 or sent is None or "SCIM_AUTHENTICATION" in refusal(response)[2]


@pytest.mark.parametrize("place", [0, 4, 10, 19, 25, 50, 63, 68, 69])
def test_a_token_with_one_character_changed_is_401(api, place):
    changed = "0" if api.token[place] != "0" else "1"

    response = authorized(api, api.token[:place] + changed + api.token[place + 1 :])

    assert refusal(response)[0] == 401


@pytest.mark.parametrize("case", [str.upper, str.lower, str.swapcase])
def test_the_case_of_a_token_matters(api, case):
    assert authorized(api, case(api.token)).status_code == 401


@pytest.mark.parametrize("length", [10, 40, 69])
def test_a_damaged_token_is_distinguished_from_an_unknown_one(api, length):
    torn = refusal(authorized(api, api.token[:length]))
    unknown = refusal(authorized(api, tokens.issue(api.token[4:20])))

    assert "missing" in torn[2]
    assert "unknown" in unknown[2]


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("GET", "/Users"),
        ("POST", "/Users"),
        ("GET", "/Users/x"),
        ("PUT", "/Users/x"),
        ("PATCH", "/Users/x"),
        ("DELETE", "/Users/x"),
        ("HEAD", "/Users"),
        ("GET", "/Groups"),
        ("POST", "/Groups"),
        ("GET", "/Me"),
        ("POST", "/Bulk"),
        ("GET", "/ServiceProviderConfig"),
        ("GET", "/ResourceTypes"),
        ("GET", "/Schemas"),
    ],
)
def test_every_address_under_the_base_asks_for_a_token(api, method, path):
    response = api.ask(method, path, headers={"Authorization": "Bearer none"})

    assert response.status_code == 401
    assert "WWW-Authenticate" in response.headers


def test_a_refused_create_records_nothing(api):
    api.post(user(), headers={"Authorization": "Bearer none"})

    assert api.types() == []


def test_neither_a_refusal_nor_its_headers_repeat_the_token(api):
    almost = api.token[:-1] + "!"

    response = authorized(api, f"Bearer {almost}")

    assert almost[20:40] not in response.text + str(response.headers)


@pytest.mark.parametrize("path", ["/livez", "/readyz"])
def test_health_asks_for_no_token(api, path):
    assert api.get(path, base="", headers={"Authorization": None}).status_code == 200


# Several, revoked, expired


def revoke(site, credential_id):
    site.append("default", f"Credential-{credential_id}", 1, ("CredentialRevoked",))


def test_several_tokens_are_live_at_once(api):
    second = api.site.client()

    assert api.get("/Users").status_code == second.get("/Users").status_code == 200


def test_a_token_issued_while_the_service_runs_works_at_once(api):
    api.get("/Users")

    assert api.site.client().get("/Users").status_code == 200


def test_a_revoked_token_is_refused_at_once_and_the_others_are_not(api):
    issued = api.site.issue(called="second")
    second = Api(api.site, "default", issued.token)
    assert second.get("/Users").status_code == 200

    revoke(api.site, issued.id)

    assert "revoked" in refusal(second.get("/Users"))[2]
    assert second.get("/Users").headers["WWW-Authenticate"] == REFUSED
    assert api.get("/Users").status_code == 200


def test_a_token_that_another_process_revokes_is_refused_at_the_next_request(api):
    second = Api(api.site, "default", api.site.issue(called="second").token)
    assert [second.get("/Users").status_code for _ in range(2)] == [200, 200]

    revocation = [*PROGRAM, "token", "revoke", "second"]
    subprocess.run(revocation, env=environment(api.site.data_dir), check=True, capture_output=True)

    assert "revoked" in refusal(second.get("/Users"))[2]


def test_an_expired_token_is_refused_from_its_moment_on(api):
    expires_at = clock.now() + timedelta(days=90)
    client = api.site.client(expires_at=clock.timestamp(expires_at))

    with freeze_time(expires_at - timedelta(seconds=1)):
        assert client.get("/Users").status_code == 200
    with freeze_time(expires_at):
        assert "expired" in refusal(client.get("/Users"))[2]
        assert api.get("/Users").status_code == 200


@pytest.mark.parametrize("ends", ["revoked", "owner deactivated", "owner deleted"])
def test_a_write_whose_token_ends_while_it_waits_for_its_turn_is_401_and_not_recorded(api, ends):
    owner = api.create()
    issued = api.site.issue(called="second", user=owner["id"])
    second = Api(api.site, "default", issued.token)
    jim = api.create("jim@example.com")
    since = len(api.site.events())
    event = {
        "revoked": (f"Credential-{issued.id}", "CredentialRevoked", {}),
        "owner deactivated": (f"User-{owner['id']}", "Deactivated", {"active": False}),
        "owner deleted": (f"User-{owner['id']}", "Deleted", {}),
    }[ends]

    replies = during(
        api.site,
        *event,
        lambda: second.post(user("late@example.com")),
        lambda: second.put(jim, user("jim2@example.com")),
        lambda: second.patch(jim, replace("x", "title")),
        lambda: second.delete(jim),
        lambda: second.post(bulk(("POST", "/Users", user("bulk@example.com"))), "/Bulk"),
    )

    alone, in_bulk = replies[:-1], replies[-1]
    assert [reply.status_code for reply in alone] == [401] * 4
    assert {reply.headers["WWW-Authenticate"] for reply in alone} == {REFUSED}
    assert [result["status"] for result in in_bulk.json["Operations"]] == ["401"]
    assert [recorded.type for recorded in api.site.events()[since:]] == [event[1]]


def during(site, stream, type_, effects, *asks, version=1):
    """Record an event while requests that were let in before it wait for their turn to write."""
    tenant = site.console.tenant("default")
    append = Append(stream, version, [Event(type_, effects)])
    with ThreadPoolExecutor(len(asks)) as pool:
        waiting = []

        def decide(_):
            waiting.extend(pool.submit(ask) for ask in asks)
            time.sleep(0.3)
            return [append]

        tenant.ledger.append_decided(decide, site.console.metadata())
        replies = [each.result() for each in waiting]
    tenant.close()
    return replies


def test_a_bulk_request_whose_token_ends_by_an_operation_does_nothing_after_it(api):
    owner = api.create()
    mine = api.site.client(called="mine", user=owner["id"])
    path = f"/Users/{owner['id']}"

    answer = mine.post(
        bulk(
            ("PATCH", path, patch(replace(False, "active"))),
            ("POST", "/Users", user("after@example.com")),
            ("PATCH", path, patch(replace(True, "active"))),
        ),
        "/Bulk",
    )

    assert [result["status"] for result in answer.json["Operations"]] == ["200", "401", "401"]
    assert api.read(owner)["active"] is False
    assert not api.find('userName eq "after@example.com"')


def bulk(*operations):
    """Return a request of operations: method, path, data."""
    return {
        "schemas": ["urn:ietf:params:scim:api:messages:2.0:BulkRequest"],
        "Operations": [
            {"method": method, "path": path, "data": data, "bulkId": str(number)}
            for number, (method, path, data) in enumerate(operations)
        ],
    }


# What is kept


def test_issuing_and_revoking_are_events_of_the_ledger(api):
    issued = api.site.issue(called="second")
    revoke(api.site, issued.id)

    credentials = [event for event in api.site.events() if event.category == "Credential"]
    assert [event.type for event in credentials] == [
        "CredentialIssued",
        "CredentialIssued",
        "CredentialRevoked",
    ]
    assert credentials[1].effects == {
        "name": "second",
        "sha256": hashlib.sha256(issued.token.encode()).hexdigest(),
        "scopes": ["provision"],
    }


def test_no_file_holds_a_token(api):
    api.create()
    api.site.close()

    for path in api.site.data_dir.rglob("*"):
        if path.is_file():
            assert api.token.encode() not in path.read_bytes()
            assert api.token[21:64].encode() not in path.read_bytes()


def test_the_last_use_is_kept_outside_the_ledger(api):
    before = api.recorded()

    for _ in range(2):
        for _ in range(3):
            api.get("/Users", headers={"User-Agent": "Okta SCIM Client 1.0.0"})
        api.site.close()

    assert api.recorded() == before
    tenant = api.site.console.tenant("default")
    [use] = tenant.usage.last_uses()
    tenant.close()
    assert (use.client, use.requests) == ("Okta SCIM Client 1.0.0", 6)


def test_a_refused_request_is_no_use_of_a_token(api):
    authorized(api, "Bearer none")
    api.site.close()

    tenant = api.site.console.tenant("default")
    uses = tenant.usage.last_uses()
    tenant.close()
    assert uses == []


@pytest.mark.parametrize("agent", ["", "x" * 5000, "\x01\x02", "Agent \u00e9"])
def test_an_odd_user_agent_does_no_harm(api, agent):
    sent = agent.encode().decode("latin-1")

    assert api.post(user(), headers={"User-Agent": sent}).status_code == 201


def test_a_change_names_its_credential_and_client(api):
    api.post(
        user(), headers={"User-Agent": "Okta SCIM Client 1.0.0", "X-Request-Id": "0123456789abcdef"}
    )

    issued, created = api.site.events()[-2:]
    assert created.actor == issued.subject
    assert created.via == "scim.post"
    assert created.request == {
        "method": "POST",
        "path": "/scim/v2/Users",
        "client": "Okta SCIM Client 1.0.0",
        "address": "127.0.0.1",
        "id": "0123456789abcdef",
    }


def test_a_use_is_written_down_while_the_service_runs(server):
    server.ask("GET", "/Users")
    usage = server.data_dir / "default" / "usage.db"

    deadline = time.monotonic() + 10
    while not usage.exists() and time.monotonic() < deadline:
        time.sleep(0.05)

    assert usage.exists()
