"""Okta and Entra against a running service of two processes: what one does counts in both."""

import hashlib
import hmac
import json
import zlib
from base64 import b64encode, urlsafe_b64encode
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from datetime import timedelta
from itertools import product
from types import SimpleNamespace

import pytest
from freezegun import freeze_time

from ledger import clock
from scim_api.auth.oauth.key_sets import KeySets
from tests.scim_api.auth.oauth.service import Service
from tests.scim_api.auth.oauth.signer import Signer, base64url, encoded, key_set, times
from tests.scim_api.client import Site, user
from tests.scim_api.process import Server
from tests.scim_api.routes.oauth.browser import CALLBACK
from tests.scim_api.routes.oauth.identity_providers import (
    ADMIN_PAGE,
    Entra,
    Okta,
    Running,
    bearer,
)
from tests.scim_api.served import served

SETTINGS = {"SCIM_JWKS_HOSTS": "127.0.0.1", "SCIM_REFUSAL_RATE": "0"}
TENANT = "3f1c2d4e-0000-4000-8000-000000000001"
GUID = "9a7b6c5d-0000-4000-8000-000000000002"
SUBJECT = "5e4d3c2b-0000-4000-8000-000000000003"
AUDIENCES = (GUID, f"api://{GUID}/scim.example.com")
ISSUER = f"https://login.microsoftonline.com/{TENANT}/v2.0"
OLD, NEW, THIEF = Signer("old"), Signer("new"), Signer("new")
LONG_AGO = timedelta(minutes=10)


class Keys:
    """The address of a key set, and how often it was asked."""

    def __init__(self, *signers):
        self.document, self.status, self.asked = key_set(*signers), 200, 0

    def __call__(self, environ, start_response):
        self.asked += 1
        start_response(f"{self.status} X", [("Content-Type", "application/json")])
        return [json.dumps(self.document).encode()]


@pytest.fixture(scope="module")
def microsoft():
    keys = Keys(OLD)
    with served(keys) as url:
        keys.url = f"{url}/keys"
        yield keys


@pytest.fixture(scope="module")
def past(tmp_path_factory, microsoft):
    """Return a data directory in which a refresh token was used ten minutes ago; and the tokens.

    Its service has had Microsoft's keys since then, too.
    """
    folder = tmp_path_factory.mktemp("identity-providers")
    with freeze_time(clock.now() - LONG_AGO):
        service = Service(Site(folder / "data"), "default", "beta")
        client, secret = service.register("default")
        used = service.redeem((client, secret), service.consent(client, "beta"))
        now = service.refresh((client, secret), used["refresh_token"])
        KeySets(["127.0.0.1"]).find(folder / "data" / "default", microsoft.url, "old")
        service.close()
    return SimpleNamespace(folder=folder, client=client, secret=secret, used=used, now=now)


@pytest.fixture(scope="module")
def running(past):
    site = Site(past.folder / "data")
    audit = site.issue("default", scopes=["audit", "operate"]).token
    server = Server(past.folder, token=audit, WEB_CONCURRENCY=2, **SETTINGS)
    made = Running(server, SETTINGS)
    for secret in (audit, past.secret, *tokens_of(past.used), *tokens_of(past.now)):
        made.note(secret)
    yield made
    server.clean_up()


def tokens_of(answer):
    return answer["access_token"], answer["refresh_token"]


@pytest.fixture
def okta(running):
    """Return a function that registers an app and connects it to a ledger."""

    def connect(ledger="default", **style):
        app = Okta(running, *running.register("okta", "--okta", ADMIN_PAGE), **style)
        app.authenticate(running.connect_code(app.client_id, ledger))
        return app

    return connect


@pytest.mark.parametrize(("by_header", "pkce"), [*product([True, False], repeat=2)])
def test_okta_connects_provisions_and_survives_a_lost_answer(running, okta, by_header, pkce):
    app = okta(by_header=by_header, pkce=pkce)
    probe = app.scim("GET", "/Users?startIndex=1&count=2")
    name = f"{by_header}-{pkce}@example.com"
    made = app.scim("POST", "/Users", user(name))
    before = app.refresh_token

    app.refresh_and_hang_up()
    again = app.took(app.refresh())

    assert (probe.status, made.status) == (200, 201)
    assert app.refresh_token != before
    assert again.json["scope"] == "provision"
    assert app.scim("GET", f"/Users/{made.json['id']}").status == 200
    assert app.refresh(before).json["refresh_token"] == app.refresh_token
    [given] = [e for e in running.events("default", "ConsentGiven") if is_of(e, app)]
    issued = [
        e for e in running.events("default", "TokensIssued") if e["stream"] == given["stream"]
    ]
    assert [e["effects"]["grant_type"] for e in issued] == ["authorization_code", "refresh_token"]
    assert {e["effects"]["client_authentication"] for e in issued} == {
        "client_secret_basic" if by_header else "client_secret_post"
    }
    assert given["effects"]["arrived"].get("pkce") == ("S256" if pkce else None)


def is_of(event, app):
    return event["effects"]["client"] == app.client_id


def test_twenty_refreshes_at_once_get_the_same_successors(running, okta):
    app = okta()
    events = len(running.events("default"))

    with ThreadPoolExecutor(20) as pool:
        answers = list(pool.map(lambda _: app.refresh(), range(20)))

    assert {each.status for each in answers} == {200}
    assert len({tokens_of(each.json) for each in answers}) == 1
    assert len(running.events("default")) == events + 1
    assert running.in_each_process(answers[0].json["access_token"]) == {200}


def test_of_ten_who_redeem_a_code_at_once_one_gets_tokens_and_they_end(running, okta):
    app = okta()
    code = app.consent(running.connect_code(app.client_id, "default"))
    form = {"grant_type": "authorization_code", "code": code, "redirect_uri": CALLBACK}

    with ThreadPoolExecutor(10) as pool:
        answers = list(pool.map(lambda _: app.ask(form), range(10)))

    [given] = [each.json["access_token"] for each in answers if each.status == 200]
    assert running.in_each_process(given) == {401}
    assert {each.json.get("error") for each in answers} == {None, "invalid_grant"}
    [*_, last] = running.events("default")
    assert (last["type"], last["effects"]) == ("ReuseDetected", {"of": "code"})
    assert running.in_each_process(app.access) == {200}  # of another consent


def test_a_refresh_token_used_again_after_a_minute_ends_its_grant_in_each_process(running, past):
    app = Okta(running, past.client.client_id, past.secret)
    access, refresh = tokens_of(past.now)
    before = running.in_each_process(access)

    again = app.refresh(past.used["refresh_token"])

    assert before == {200}
    assert (again.status, again.json["error"]) == (400, "invalid_grant")
    assert running.in_each_process(access) == {401}
    assert app.refresh(refresh).json["error"] == "invalid_grant"
    [reuse] = running.events("beta", "ReuseDetected")
    assert reuse["effects"] == {"of": "refresh_token"}


def test_what_is_revoked_has_ended_in_each_process(running, okta):
    app = okta()
    former = app.access
    app.took(app.refresh())
    assert running.in_each_process(former) == running.in_each_process(app.access) == {200}

    app.ask({"token": former}, "/oauth/revoke")
    after = running.in_each_process(former), running.in_each_process(app.access)
    app.ask({"token": app.refresh_token}, "/oauth/revoke")

    assert after == ({401}, {200})
    assert running.in_each_process(app.access) == {401}
    assert app.refresh().json["error"] == "invalid_grant"


def test_a_withdrawn_consent_has_ended_in_each_process(running, okta):
    app = okta()
    assert running.in_each_process(app.access) == {200}
    [given] = [e for e in running.events("default", "ConsentGiven") if is_of(e, app)]

    running.operator("client", "withdraw", given["stream"].partition("-")[2])

    assert running.in_each_process(app.access) == {401}
    assert app.refresh().json["error"] == "invalid_grant"


def test_a_paused_client_is_refused_in_each_process_and_goes_on_after_that(running, okta):
    app = okta("beta")
    assert running.in_each_process(app.access) == {200}

    running.operator("client", "pause", app.client_id)
    paused = running.in_each_process(app.access), app.refresh().json["error"]
    running.operator("client", "resume", app.client_id)

    assert paused == ({403}, "unauthorized_client")
    assert running.in_each_process(app.access) == {200}
    assert app.refresh().status == 200


def test_of_a_rotated_secret_the_former_works_until_the_next(running, okta):
    app = okta()
    former = app.secret
    for _ in range(2):
        app.secret = running.note(
            running.operator("client", "rotate", app.client_id)["client_secret"]
        )
        assert app.took(app.refresh()).status == 200

    app.secret = former

    assert app.refresh().json["error"] == "invalid_client"
    assert running.in_each_process(app.access) == {200}


def test_one_client_id_opens_the_ledger_that_was_consented_to_and_no_other(running, okta):
    here = okta()
    there = Okta(running, here.client_id, here.secret)
    there.authenticate(running.connect_code(there.client_id, "beta"))
    here.scim("POST", "/Users", user("here@example.com"))
    there.scim("POST", "/Users", user("there@example.com"))
    find = 'filter=userName+eq+"{}@example.com"'.replace('"', "%22")

    def found(app):
        names = ("here", "there")
        totals = [app.scim("GET", f"/Users?{find.format(n)}").json["totalResults"] for n in names]
        return dict(zip(names, totals, strict=True))

    assert found(here) == {"here": 1, "there": 0}
    assert found(there) == {"here": 0, "there": 1}
    moved = [moved_to(other.access, one.access) for one, other in ((here, there), (there, here))]
    assert [running.in_each_process(each) for each in moved] == [{401}, {401}]
    crossed = here.refresh(moved_to(here.refresh_token, there.refresh_token))
    assert crossed.json["error"] == "invalid_grant"
    here.took(here.refresh())
    there.took(there.refresh())
    assert found(here) == {"here": 1, "there": 0}

    running.operator("client", "remove", here.client_id)

    for app in (here, there):
        assert running.in_each_process(app.access) == {401}
        assert app.refresh().json["error"] == "invalid_client"


def moved_to(ledger_of, secret):
    """Return a secret as if it were of another ledger, with the checksum that fits."""
    prefix, _, rest = secret.split("_")
    text = f"{prefix}_{ledger_of.split('_')[1]}_{rest[:-6]}"
    digits = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
    number, check = zlib.crc32(text.encode()), ""
    for _ in range(6):
        number, digit = divmod(number, 62)
        check = digits[digit] + check
    return text + check


# Entra


def claims(**changes):
    known = {"iss": ISSUER, "sub": SUBJECT, "aud": GUID, "tid": TENANT, "uti": "u"}
    return known | times() | changes


def unsigned():
    return f"{encoded({'alg': 'none', 'kid': 'old'})}.{encoded(claims())}."


def by_the_public_key():
    signed = f"{encoded({'alg': 'HS256', 'kid': 'old'})}.{encoded(claims())}"
    tag = hmac.digest(OLD.key.as_pem(private=False), signed.encode(), hashlib.sha256)
    return f"{signed}.{base64url(tag)}"


@pytest.fixture(scope="module")
def entra(running, microsoft):
    audiences = [word for each in AUDIENCES for word in ("--audience", each)]
    trust = ("--issuer", ISSUER, "--subject", SUBJECT, "--tenant", TENANT, *audiences)
    return Entra(running, *running.register("entra", *trust, "--jwks-url", microsoft.url))


def test_nothing_but_what_microsoft_signed_for_this_app_lets_entra_in(running, microsoft, entra):
    attacker = Keys(THIEF)
    before, now = len(running.events("default")), clock.now().timestamp()
    with served(attacker) as url:
        elsewhere = {"jku": f"{url}/keys", "x5u": f"{url}/x5u", "jwk": THIEF.public()}
        refused = {
            "alg none": unsigned(),
            "HS256 with the public key": by_the_public_key(),
            "another tenant": OLD.sign(claims(tid=GUID, iss=ISSUER.replace(TENANT, GUID))),
            "another tid": OLD.sign(claims(tid=GUID)),
            "another subject": OLD.sign(claims(sub=GUID)),
            "a longer audience": OLD.sign(claims(aud=f"{AUDIENCES[1]}/more")),
            "expired": OLD.sign(claims(exp=now - 3600)),
            "not yet valid": OLD.sign(claims(nbf=now + 3600)),
            "keys of an attacker": THIEF.sign(claims(), kid="old", **elsewhere),
        }
        answers = {name: entra.token(each) for name, each in refused.items()}

    assert {name: each.status for name, each in answers.items()} == dict.fromkeys(refused, 401)
    assert {each.json["error"] for each in answers.values()} == {"invalid_client"}
    assert attacker.asked == 0
    assert len(running.events("default")) == before


def test_entra_needs_no_secret_and_no_answer_of_microsoft_for_keys_that_are_known(
    running, microsoft, entra
):
    asked = microsoft.asked
    answers = [entra.token(OLD.sign(claims(aud=each))) for each in (*AUDIENCES, [GUID, "x"])]
    access = answers[0].json["access_token"]

    assert {each.status for each in answers} == {200}
    assert microsoft.asked == asked == 1
    assert running.in_each_process(access) == {200}
    for method, body in (("POST", user("entra@example.com")), ("GET", None)):
        answer = running.server.ask(method, "/Users", body, headers=bearer(access))
        assert answer.status in (200, 201)

    microsoft.document = key_set(NEW)
    assert entra.token_in_each_process(NEW.sign(claims())) == {200}  # fetched by one of the two
    assert microsoft.asked == 2
    assert entra.token_in_each_process(OLD.sign(claims())) == {401}

    microsoft.status = 500
    assert entra.token_in_each_process(NEW.sign(claims())) == {200}
    running.server.stop()
    running.server.start()
    assert entra.token_in_each_process(NEW.sign(claims())) == {200}
    three_days_ago(running.server.data_dir / "default")
    assert entra.token_in_each_process(NEW.sign(claims())) == {200}
    unknown = entra.token(Signer("third").sign(claims()))
    assert unknown.status == 503
    assert unknown.headers["Retry-After"].isdigit()
    assert running.in_each_process(access) == {200}

    running.operator("client", "remove", entra.client_id)
    assert running.in_each_process(access) == {401}
    assert entra.token_in_each_process(NEW.sign(claims())) == {401}


def three_days_ago(folder):
    """Let the keys that are kept in a folder be as old as that."""
    [file] = folder.glob("jwks-*.json")
    then = clock.timestamp(clock.now() - timedelta(days=3))
    file.write_text(json.dumps({**json.loads(file.read_bytes()), "fetched_at": then}))


# Secrets


def test_no_secret_is_in_any_file_log_export_or_answer(running, okta, tmp_path):
    app = okta(pkce=True)
    app.scim("POST", "/Users", user("search@example.com"))
    app.refresh_and_hang_up()
    app.took(app.refresh())
    app.scim("GET", f"/{app.access}?filter={app.refresh_token}")
    Okta(running, app.client_id, app.secret[:-1]).refresh(app.refresh_token)
    code = app.consent(running.connect_code(app.client_id, "beta"))
    for _ in range(2):
        app.ask({"grant_type": "authorization_code", "code": code, "redirect_uri": CALLBACK})
    for path in (f"/oauth/authorize?client_id={app.secret}", f"/oauth/token?token={app.access}"):
        running.server.ask("GET", path, base="", headers={"Authorization": app.secret})
    everywhere = dict.fromkeys(("User-Agent", "X-Request-Id", "If-Match", "Referer"), app.access)
    for method, body in (("POST", user("headers@example.com")), ("PUT", {"x": app.access})):
        headers = everywhere | bearer(app.access)
        running.server.ask(method, "/Users", body, headers=headers)

    said = [export_of(running, ledger, tmp_path) for ledger in ("default", "beta")]
    said += [running.say(*words, "--json").stdout for words in SHOWN]
    read = [running.server.ask("GET", path, base="") for path in READ]
    assert {each.status for each in read} == {200}
    said += [each.body for each in read]
    places = {f"answer {number}": text for number, text in enumerate(said)}
    places |= contents_of(running.server.folder, tmp_path)

    assert {secret.split("_")[0] for secret in running.secrets} >= PREFIXES
    needles = {form: secret for secret in running.secrets for form in forms_of(secret)}
    found = {
        (place, needles[each][:5])
        for place, text in places.items()
        for each in needles
        if each in (text if isinstance(text, bytes) else text.encode())
    }
    assert found == set()


PREFIXES = {"scl", "scla", "sclr", "scls", "sclc", "sclo"}
SHOWN = (
    ("events", "list"),
    ("events", "list", "--ledger", "beta"),
    ("requests", "list"),
    ("status",),
)
SHOWN = (*SHOWN, ("client", "list"), ("token", "list"))
READ = ("/ledger/v1/events?count=1000", "/ledger/v1/requests?count=1000", "/openapi.json")


def export_of(running, ledger, folder):
    file = folder / f"{ledger}.jsonl"
    return running.say("export", "--ledger", ledger, "--output", str(file)).output


def contents_of(*folders):
    """Return what all files hold; one that is being replaced may be gone."""
    found = {}
    for each in [each for folder in folders for each in folder.rglob("*") if each.is_file()]:
        with suppress(FileNotFoundError):
            found[str(each)] = each.read_bytes()
    return found


def forms_of(secret):
    """Return what a secret looks like, as it is and encoded: the chance in it, or part of that."""
    chance = secret.split("_")[-1][:24] if secret.startswith("scl") else secret[-24:]
    yield chance.encode()
    yield "".join(f"%{ord(each):02X}" for each in chance).encode()
    yield "".join(f"%{ord(each):02x}" for each in chance).encode()
    for before in range(3):  # where base64 begins in what is encoded
        for encode in (b64encode, urlsafe_b64encode):
            yield encode(b"x" * before + chance.encode())[4:-4]
