"""Access tokens, pauses and networks: what is let in, at first and when its turn to write comes."""

import time
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta

import pytest
from freezegun import freeze_time

from ledger import clock
from scim_api.auth import tokens
from scim_api.auth.credentials import credentials_of, rotate
from scim_api.auth.tokens import Prefix
from tests.scim_api.auth.oauth_given import HOUR, Given
from tests.scim_api.auth.test_auth_http import BASIC, REFUSED, bulk, during
from tests.scim_api.client import Api, refusal, replace, user
from tests.scim_api.schemes import basic

HERE = "127.0.0.1"
ELSEWHERE = {"REMOTE_ADDR": "203.0.113.7"}


def change(site, id_, version=1, kind="Credential", **effects):
    site.append("default", f"{kind}-{id_}", version, ("CredentialChanged", effects))


# Access tokens


@pytest.fixture
def given(api):
    return Given(api.site)


@pytest.mark.parametrize("form", ["Bearer {}", "{}", "Bearer Bearer {}", "basic"])
def test_an_access_token_is_sent_as_a_token_is(given, form):
    client = given.access()
    sent = basic("okta", client.token) if form == "basic" else form.format(client.token)

    assert client.get("/Users", headers={"Authorization": sent}).status_code == 200


def test_an_access_token_has_its_own_scopes_and_its_grant_is_the_actor(given):
    reader, writer = given.access(["read"]), given.access()

    refused = reader.post(user())
    assert refusal(refused)[0] == 403
    assert "registered with the scope provision" in refusal(refused)[2]
    assert 'scope="provision"' in refused.headers["WWW-Authenticate"]
    assert writer.post(user()).status_code == 201
    assert given.site.events()[-1].actor == given.grant


def test_of_a_client_that_acts_itself_it_is_the_actor(given):
    client = given.access(of=f"Client-{given.client}")

    client.create()

    assert given.site.events()[-1].actor == given.client


def test_an_expired_access_token_is_401_and_says_where_to_get_another(given):
    client = given.access()

    with freeze_time(clock.now() + HOUR):
        response = client.get("/Users")

    assert "expired" in refusal(response)[2]
    assert "/oauth/token" in refusal(response)[2]
    assert response.headers["WWW-Authenticate"] == REFUSED


@pytest.mark.parametrize(
    ("stream", "type_", "says"),
    [
        ("Grant", "ConsentWithdrawn", "consent was withdrawn"),
        ("Grant", "ReuseDetected", "consent was withdrawn"),
        ("Client", "ClientRemoved", "client is not registered (any more)"),
    ],
)
def test_an_access_token_ends_with_its_grant_and_its_client(given, stream, type_, says):
    client = given.access()
    assert client.get("/Users").status_code == 200
    effects = {"ConsentWithdrawn": {"why": "operator"}, "ReuseDetected": {"of": "code"}}

    id_ = given.grant if stream == "Grant" else given.client
    given.record(f"{stream}-{id_}", type_, **effects.get(type_, {}))

    assert refusal(client.get("/Users"))[0] == 401
    assert says in refusal(client.get("/Users"))[2]


def test_a_write_whose_access_token_is_revoked_while_it_waits_for_its_turn_is_401(api, given):
    client, jim = given.access(), api.create("jim@example.com")
    since = api.recorded()

    replies = during(
        api.site,
        f"Grant-{given.grant}",
        "AccessTokenRevoked",
        {"sha256": tokens.digest(client.token)},
        lambda: client.post(user("late@example.com")),
        lambda: client.patch(jim, replace("x", "title")),
        lambda: client.delete(jim),
        version=given.versions[given.grant],
    )

    assert [reply.status_code for reply in replies] == [401] * 3
    assert [each.type for each in api.site.events()[since:]] == ["AccessTokenRevoked"]


@pytest.mark.parametrize("prefix", [each for each in Prefix if each not in ("scl", "scla")])
@pytest.mark.parametrize("scheme", ["Bearer", "Basic"])
def test_no_other_secret_opens_scim(api, prefix, scheme):
    secret = tokens.issue(api.token[4:20], prefix)
    sent = f"Bearer {secret}" if scheme == "Bearer" else basic("okta", secret)

    response = api.get("/Users", headers={"Authorization": sent})

    assert refusal(response)[0] == 401
    assert "scla_" in refusal(response)[2]
    assert response.headers["WWW-Authenticate"] == (BASIC if scheme == "Basic" else REFUSED)


def test_the_hash_of_another_secret_opens_nothing_with_the_prefix_of_a_token(given):
    text = tokens.issue(given.id)
    given.record(
        f"Grant-{given.grant}",
        "TokensIssued",
        grant_type="authorization_code",
        access_sha256="a" * 64,
        access_expires_at=clock.timestamp(clock.now() + HOUR),
        refresh_sha256=tokens.digest(text),
        refresh_expires_at=clock.timestamp(clock.now() + HOUR),
        scopes=["provision"],
        client_authentication="client_secret_post",
    )

    assert refusal(Api(given.site, "default", text).get("/Users"))[0] == 401


@pytest.mark.parametrize("on", ["header", "basic", "header,basic"])
def test_with_oauth_off_access_tokens_are_refused(make_site, on):
    site = make_site(SCIM_AUTHENTICATION=on)
    site.make()
    client = Given(site).access()
    sent = f"Bearer {client.token}" if "header" in on else basic("okta", client.token)

    response = client.get("/Users", headers={"Authorization": sent})

    assert "SCIM_AUTHENTICATION" in refusal(response)[2]
    assert "error=" not in response.headers["WWW-Authenticate"]


def test_with_oauth_alone_a_token_is_refused_and_an_access_token_is_not(make_site):
    site = make_site(SCIM_AUTHENTICATION="oauth")
    client = site.make()

    assert "SCIM_AUTHENTICATION" in refusal(client.get("/Users"))[2]
    assert Given(site).access().get("/Users").status_code == 200


def test_a_walk_by_cursor_outlives_the_access_token(given):
    client = given.access()
    client.fill(3)
    page = client.get("/Users", query_string={"cursor": "", "count": 2}).json

    with freeze_time(clock.now() + timedelta(minutes=30)):
        later = given.access()
        rest = later.get("/Users", query_string={"cursor": page["nextCursor"]})
        other = (
            Given(given.site).access().get("/Users", query_string={"cursor": page["nextCursor"]})
        )

    assert [found["userName"] for found in rest.json["Resources"]] == ["user002@example.com"]
    assert refusal(other)[1] == "invalidCursor"


def test_a_walk_by_cursor_outlives_a_rotation_and_the_former_token_is_told_of_it(api):
    api.fill(3)
    page = api.get("/Users", query_string={"cursor": "", "count": 2}).json
    tenant = api.site.console.tenant("default")
    [credential] = credentials_of(tenant)
    until = clock.timestamp(clock.now() + HOUR)
    how = {"expires_at": None, "former_until": until}
    secret = rotate(tenant, api.site.console.metadata(), credential, **how)
    tenant.close()

    for token in (secret, api.token):
        walk = {"cursor": page["nextCursor"]}
        rest = Api(api.site, "default", token).get("/Users", query_string=walk)
        assert [found["userName"] for found in rest.json["Resources"]] == ["user002@example.com"]
    with freeze_time(until):
        refused = api.get("/Users")
    assert refused.status_code == 401
    assert "was replaced at" in refused.json["detail"]
    assert "Paste the new one" in refused.json["detail"]


# Pauses


@pytest.mark.parametrize("allows", ["reads", "nothing"])
def test_a_paused_credential_may_read_or_do_nothing_until_it_is_resumed(api, allows):
    jane = api.create()
    issued = api.site.issue(called="second", scopes=("provision", "audit"))
    client = Api(api.site, "default", issued.token)
    asked = {
        "read": lambda: client.get("/Users"),
        "one": lambda: client.get(client.path(jane)),
        "search": lambda: client.search("/Users"),
        "schemas": lambda: client.get("/Schemas"),
        "config": lambda: client.get("/ServiceProviderConfig"),
        "described": lambda: client.get("/openapi.json", base=""),
        "events": lambda: client.get("/ledger/v1/events", base=""),
        "create": lambda: client.post(user("joe@example.com")),
        "patch": lambda: client.patch(jane, replace("x", "title")),
        "put": lambda: client.put(jane, user()),
        "bulk": lambda: client.post(bulk(("POST", "/Users", user("b@example.com"))), "/Bulk"),
        "delete": lambda: client.delete(jane),
    }
    writes = {"create", "patch", "put", "bulk", "delete"}

    change(api.site, issued.id, allows=allows)
    replies = {name: ask() for name, ask in asked.items()}

    refused = {name for name, reply in replies.items() if reply.status_code == 403}
    assert refused == (writes if allows == "reads" else set(asked))
    assert {reply.status_code for reply in replies.values()} <= {200, 403}
    word = "only read" if allows == "reads" else "do nothing"
    assert all(word in refusal(replies[name])[2] for name in refused)
    change(api.site, issued.id, 2, allows="all")
    assert client.post(user("joe@example.com")).status_code == 201


def test_a_paused_client_pauses_its_grants(given):
    client = given.access()
    given.record(f"Client-{given.client}", "CredentialChanged", allows="reads")

    assert client.get("/Users").status_code == 200
    assert "only read" in refusal(client.post(user()))[2]


# A client of another ledger


@pytest.fixture
def from_elsewhere(api):
    """Return a consent to this ledger of a client that is registered in another one."""
    api.site.make("home")
    return Given(api.site, home="home")


@pytest.mark.parametrize(
    ("type_", "effects", "read", "write"),
    [
        ("CredentialChanged", {"allows": "reads"}, 200, 403),
        ("CredentialChanged", {"allows": "nothing"}, 403, 403),
        ("CredentialChanged", {"networks": ["203.0.113.0/24"]}, 403, 403),
        ("ClientRemoved", {}, 401, 401),
    ],
)
def test_what_a_client_is_not_allowed_in_its_home_it_is_not_allowed_anywhere(
    from_elsewhere, type_, effects, read, write
):
    client = from_elsewhere.access()
    assert client.post(user()).status_code == 201

    from_elsewhere.record(f"Client-{from_elsewhere.client}", type_, **effects)

    statuses = client.get("/Users").status_code, client.post(user("b@example.com")).status_code
    assert statuses == (read, write)
    if type_ == "CredentialChanged":
        again = {"allows": "all", "networks": []}
        from_elsewhere.record(f"Client-{from_elsewhere.client}", type_, **again)
        assert client.post(user("c@example.com")).status_code == 201


def test_a_write_whose_client_is_removed_in_its_home_while_it_waits_is_401(from_elsewhere):
    client, site = from_elsewhere.access(), from_elsewhere.site
    since = len(site.events())
    tenant = site.console.tenant("default")
    with ThreadPoolExecutor(1) as pool:
        waiting = []

        def decide(_):
            waiting.append(pool.submit(client.post, user("late@example.com")))
            time.sleep(0.3)
            from_elsewhere.record(f"Client-{from_elsewhere.client}", "ClientRemoved")
            return []

        tenant.ledger.append_decided(decide, site.console.metadata())
        reply = waiting[0].result()
    tenant.close()

    assert reply.status_code == 401
    assert site.events()[since:] == []


@pytest.mark.parametrize("damage", ["unreadable", "missing"])
def test_while_the_home_of_a_client_cannot_be_read_its_grants_are_503(from_elsewhere, damage):
    client = from_elsewhere.access()
    home = from_elsewhere.site.data_dir / "home"
    if damage == "missing":
        home.rename(home.parent.parent / "moved")
    else:
        (home / "ledger.db").write_bytes(b"no ledger" * 1000)

    response = client.get("/Users")

    assert refusal(response)[0] == 503
    assert "cannot use its ledger" in refusal(response)[2]


def test_a_write_is_503_once_the_home_of_its_client_was_moved_away(from_elsewhere):
    client = from_elsewhere.access()
    assert client.post(user()).status_code == 201
    home = from_elsewhere.site.data_dir / "home"
    home.rename(home.parent.parent / "moved")

    assert refusal(client.post(user("b@example.com")))[0] == 503


# Networks


def test_a_credential_may_be_used_from_its_networks_only(api):
    issued = api.site.issue(called="second", networks=("203.0.113.0/24", "2001:db8::/32"))
    client = Api(api.site, "default", issued.token)

    for address, status in [
        ("203.0.113.7", 200),
        ("2001:db8::7", 200),
        ("::ffff:203.0.113.7", 200),
        ("203.0.114.7", 403),
        ("2001:db9::7", 403),
        ("", 403),
    ]:
        response = client.get("/Users", environ_overrides={"REMOTE_ADDR": address})

        assert response.status_code == status
        assert status == 200 or (address or "unknown address") in refusal(response)[2]


def test_the_address_is_that_which_trusted_proxies_name(make_site):
    site = make_site(SCIM_TRUSTED_PROXIES="1")
    site.make()
    client = site.client(called="second", networks=("203.0.113.0/24",))

    for forwarded, status in [("203.0.113.7", 200), ("203.0.113.7, 198.51.100.1", 403)]:
        response = client.get("/Users", headers={"X-Forwarded-For": forwarded})

        assert response.status_code == status


def test_a_refused_address_stands_in_the_request_log(api):
    issued = api.site.issue(called="second", networks=("10.0.0.0/8",))
    Api(api.site, "default", issued.token).get("/Users", environ_overrides=ELSEWHERE)
    api.site.close()

    tenant = api.site.console.tenant("default")
    [record] = tenant.requests.records(9)
    tenant.close()

    assert (record.actor, record.code) == (issued.id, "credential.network")
    assert ELSEWHERE["REMOTE_ADDR"] in record.detail


@pytest.mark.parametrize("effects", [{"allows": "reads"}, {"networks": ["203.0.113.0/24"]}])
def test_a_write_whose_credential_is_limited_while_it_waits_for_its_turn_is_403(api, effects):
    issued = api.site.issue(called="second")
    client = Api(api.site, "default", issued.token)
    jim = api.create("jim@example.com")
    since = len(api.site.events())

    replies = during(
        api.site,
        f"Credential-{issued.id}",
        "CredentialChanged",
        effects,
        lambda: client.post(user("late@example.com")),
        lambda: client.patch(jim, replace("x", "title")),
        lambda: client.delete(jim),
    )

    assert [reply.status_code for reply in replies] == [403] * 3
    assert [recorded.type for recorded in api.site.events()[since:]] == ["CredentialChanged"]
