"""/oauth/token, /oauth/revoke and the metadata: their answers as HTTP, and Authlib's judgement."""

import json
import shutil
from base64 import b64encode
from contextlib import closing
from io import BytesIO
from urllib.parse import quote_plus, urlencode, urlsplit

import pytest
from authlib.common.security import generate_token
from authlib.integrations.requests_client import OAuth2Session
from authlib.oauth2.rfc7523 import PrivateKeyJWT
from authlib.oauth2.rfc8414 import AuthorizationServerMetadata
from requests import Response
from requests.adapters import BaseAdapter

from ledger.sqlite.connection import driver
from scim_api.auth import credentials
from scim_api.auth.oauth.client_authentication import ASSERTION_TYPE
from scim_api.auth.oauth.clients import GRANT_TYPES
from scim_api.auth.oauth.trust import to_record
from scim_api.auth.scopes import Scope
from tests.scim_api.auth.oauth.signer import Signer, key_set, times
from tests.scim_api.client import Api, refusal, user
from tests.scim_api.routes.oauth.browser import CALLBACK, FORM, Browser, sent_to

ROOT = "https://scim.example.com"
METADATA = "/.well-known/oauth-authorization-server"


@pytest.fixture
def browser(make_site, made):
    site = make_site(SCIM_BASE_URL=f"{ROOT}/scim/v2")
    data_dir, token = made
    shutil.copytree(data_dir, site.data_dir)
    api = Api(site, "default", token)
    return Browser(api, grants=GRANT_TYPES, scopes=(Scope.PROVISION, Scope.READ))


class InProcess(BaseAdapter):
    """Has the application answer what `requests` would send over the network."""

    def __init__(self, app):
        super().__init__()
        self.app = app

    def send(self, request, **_):
        answer = self.app.test_client().open(
            request.path_url,
            ROOT,
            method=request.method,
            headers=request.headers,
            data=request.body,
        )
        response = Response()
        response.status_code, response.raw = answer.status_code, BytesIO(answer.data)
        response.headers.update(answer.headers)
        response.request, response.url = request, request.url
        return response

    def close(self):
        pass


def session(browser, method, **more):
    made = OAuth2Session(
        browser.client.client_id,
        browser.secret,
        token_endpoint_auth_method=method,
        redirect_uri=CALLBACK,
        token_endpoint=f"{ROOT}/oauth/token",
        **more,
    )
    made.mount(ROOT, InProcess(browser.site.app))
    return made


METHODS = pytest.mark.parametrize("method", ["client_secret_basic", "client_secret_post"])


@METHODS
@pytest.mark.parametrize("challenge", [{}, {"code_challenge_method": "S256"}], ids=str)
def test_authlib_connects_refreshes_and_revokes(browser, method, challenge):
    okta = session(browser, method, scope="provision offline_access", **challenge)
    verifier = {"code_verifier": generate_token(48)} if challenge else {}
    url, state = okta.create_authorization_url(f"{ROOT}/oauth/authorize", **verifier)
    page = browser.ask("GET", query_string=urlsplit(url).query)
    back = browser.submit(page, browser.code()).headers["Location"]

    first = okta.fetch_token(authorization_response=back, state=state, **verifier)
    made = okta.post(f"{ROOT}/scim/v2/Users", json=user())
    second = okta.refresh_token()
    read = okta.get(f"{ROOT}/scim/v2/Users")
    revoked = okta.revoke_token(f"{ROOT}/oauth/revoke", token_type_hint="refresh_token")
    refused = okta.get(f"{ROOT}/scim/v2/Users")

    assert (first["token_type"], first["scope"]) == ("Bearer", "provision")
    assert first["access_token"] != second["access_token"]
    assert (made.status_code, read.status_code, refused.status_code) == (201, 200, 401)
    assert revoked.status_code == 200


@METHODS
def test_authlib_gets_a_token_for_the_client_itself(browser, method):
    entra = session(browser, method)

    token = entra.fetch_token(grant_type="client_credentials")

    assert token.keys() >= {"access_token", "expires_in", "scope"}
    assert "refresh_token" not in token
    assert entra.get(f"{ROOT}/scim/v2/Users").status_code == 200


def test_authlib_connects_refreshes_and_revokes_with_a_key_and_no_secret(make_site):
    signer = Signer("own")
    browser = Browser(
        make_site(SCIM_BASE_URL=f"{ROOT}/scim/v2").make(),
        grants=GRANT_TYPES,
        with_secret=False,
        trust=to_record(hosts=(), jwks=key_set(signer)),
    )
    browser.secret = signer.key
    by_key = "private_key_jwt"
    app = session(browser, by_key, revocation_endpoint_auth_method=by_key)
    app.register_client_auth_method(PrivateKeyJWT(f"{ROOT}/oauth/token", headers={"kid": "own"}))
    url, state = app.create_authorization_url(f"{ROOT}/oauth/authorize")
    page = browser.ask("GET", query_string=urlsplit(url).query)
    back = browser.submit(page, browser.code()).headers["Location"]

    first = app.fetch_token(authorization_response=back, state=state)
    second = app.refresh_token()
    own = app.fetch_token(grant_type="client_credentials")
    read = app.get(f"{ROOT}/scim/v2/Users")
    revoked = app.revoke_token(f"{ROOT}/oauth/revoke", token=own["access_token"])

    assert len({each["access_token"] for each in (first, second, own)}) == 3
    assert (read.status_code, revoked.status_code) == (200, 200)
    assert app.get(f"{ROOT}/scim/v2/Users").status_code == 401


def test_keys_that_cannot_be_had_are_said_once_and_are_no_failure_of_the_service(make_site, capsys):
    url = "http://127.0.0.1:9/keys"
    trust = {"issuer": "https://i.example.com", "subject": "s", "audiences": ["a"]}
    browser = Browser(
        make_site(SCIM_JWKS_HOSTS="127.0.0.1").make(),
        grants=GRANT_TYPES,
        with_secret=False,
        trust=to_record(hosts=("127.0.0.1",), jwks_uri=url, **trust),
    )
    claims = {"iss": "https://i.example.com", "sub": "s", "aud": "a", **times()}
    form = own(browser, client_secret="", client_assertion=Signer("own").sign(claims))
    form["client_assertion_type"] = ASSERTION_TYPE

    answers = [told(post(browser, form)) for _ in range(3)]

    assert answers == [(503, "temporarily_unavailable")] * 3
    lines = [json.loads(line) for line in capsys.readouterr().err.splitlines()]
    assert [line["message"] for line in lines if line["level"] != "info"] == ["keys not fetched"]


def test_authlib_finds_the_metadata_right(browser):
    document = browser.ask("GET", METADATA).json

    AuthorizationServerMetadata(document).validate()
    assert document["issuer"] == ROOT
    assert document["token_endpoint"] == f"{ROOT}/oauth/token"


def test_the_metadata_is_what_the_service_does(browser):
    document = browser.ask("GET", METADATA).json

    known = {*document["grant_types_supported"], "password", "implicit", "urn:x"}
    refused = {
        grant_type
        for grant_type in known
        if told(post(browser, own(browser, grant_type=grant_type, scope="operate")))[1]
        == "unsupported_grant_type"
    }
    endpoints = {name: url for name, url in document.items() if name.endswith("_endpoint")}
    found = {
        name: browser.ask("POST", url.removeprefix(ROOT), {}).status_code
        for name, url in endpoints.items()
    }
    assert refused == {"password", "implicit", "urn:x"}
    assert found == {
        "authorization_endpoint": 400,
        "token_endpoint": 401,
        "revocation_endpoint": 401,
    }


def test_an_issuer_with_a_path_has_its_metadata_before_that(make_site):
    api = make_site(SCIM_BASE_URL=f"{ROOT}/tenant/scim/v2").make()
    browser = Browser(api)

    found = browser.ask("GET", f"{METADATA}/tenant").json
    page = browser.get()

    assert found["issuer"] == f"{ROOT}/tenant"
    assert found["authorization_endpoint"] == f"{ROOT}/tenant/oauth/authorize"
    assert 'action="/tenant/oauth/authorize"' in page.text
    assert browser.ask("GET", f"{METADATA}/other").status_code == 404


def test_nothing_comes_from_the_host_header_where_a_proxy_rewrites_the_base_path(make_site):
    api = make_site(SCIM_BASE_URL=f"{ROOT}/scim").make()
    browser = Browser(api)
    elsewhere = {"Host": "attacker.example.net"}

    texts = [
        browser.ask("GET", path, headers=elsewhere).text
        for path in (METADATA, "/scim/v2/ServiceProviderConfig", "/openapi.json")
    ]
    query = urlencode(browser.asked(scope="operate"))  # that is more than the client may have
    _, back = sent_to(browser.ask("GET", query_string=query, headers=elsewhere))

    assert json.loads(texts[0])["issuer"] == back["iss"] == ROOT
    assert not [text for text in texts if "attacker" in text]


def post(browser, form=None, path="/oauth/token", *, basic=None, **more):
    if basic:
        text = ":".join(map(quote_plus, basic))
        more["headers"] = {"Authorization": f"Basic {b64encode(text.encode()).decode()}"}
    return browser.ask("POST", path, form, **more)


def own(browser, **more):
    """Return a right form, by which a client gets a token for itself."""
    secret = {"client_id": browser.client.client_id, "client_secret": browser.secret}
    return {"grant_type": "client_credentials", **secret, **more}


def told(response):
    """Return the status and the error of a refusal, having checked its form."""
    assert response.headers["Content-Type"] == "application/json"
    assert response.headers["Cache-Control"] == "no-store"
    assert response.headers["Pragma"] == "no-cache"
    assert response.json.keys() == {"error", "error_description"}
    return response.status_code, response.json["error"]


def test_an_answer_with_tokens_is_kept_by_nobody(browser):
    answer = post(browser, own(browser))

    assert answer.status_code == 200
    assert answer.headers["Content-Type"] == "application/json"
    assert answer.headers["Cache-Control"] == "no-store"
    assert answer.headers["Pragma"] == "no-cache"


def test_a_client_that_was_refused_by_basic_is_told_of_basic(browser):
    by_basic = post(browser, {"grant_type": "refresh_token"}, basic=("x", "y"))
    by_form = post(browser, own(browser, client_secret="wrong"))

    assert told(by_basic) == told(by_form) == (401, "invalid_client")
    assert by_basic.headers["WWW-Authenticate"].startswith("Basic ")
    assert "WWW-Authenticate" not in by_form.headers


@pytest.mark.parametrize(
    ("change", "error"),
    [
        ({"grant_type": "password"}, "unsupported_grant_type"),
        ({"grant_type": ""}, "invalid_request"),
        ({"grant_type": "authorization_code", "code": "x"}, "invalid_grant"),
        ({"grant_type": "refresh_token"}, "invalid_request"),
        ({"scope": "audit"}, "invalid_scope"),
    ],
    ids=str,
)
def test_a_refusal_says_what_is_wrong_in_the_words_of_the_rfc(browser, change, error):
    assert told(post(browser, own(browser, **change))) == (400, error)


@pytest.mark.parametrize(
    ("body", "kind", "status"),
    [
        ("grant_type=client_credentials&scope=read&scope=read", FORM, 400),
        ('{"grant_type": "client_credentials"}', "application/json", 400),
        ("", None, 400),
        ("x=" + "y" * 140_000, FORM, 413),
    ],
    ids=lambda value: str(value)[:20],
)
@pytest.mark.parametrize("path", ["/oauth/token", "/oauth/revoke"])
def test_only_a_form_with_each_parameter_once_is_taken(browser, path, body, kind, status):
    answer = browser.ask("POST", path, data=body, content_type=kind)

    assert told(answer) == (status, "invalid_request")


def test_a_method_that_is_not_taken_is_refused_in_the_same_form(browser):
    answer = browser.ask("GET", "/oauth/token")

    assert told(answer) == (405, "invalid_request")
    assert answer.headers["Allow"] == "POST"


@pytest.mark.parametrize(
    ("query", "body", "given"),
    [
        ("scope=read", {}, "read"),
        ("scope=read+offline_access", {}, "read"),
        ("scope=read", {"scope": "provision"}, "provision"),
        ("", {}, "provision read"),
    ],
)
def test_scopes_may_be_configured_into_the_token_address(browser, query, body, given):
    answer = post(browser, own(browser, **body), query_string=query)

    assert answer.json["scope"] == given


def test_no_other_parameter_is_taken_from_the_address(browser):
    form = own(browser)
    secret = form.pop("client_secret")

    answer = post(browser, form, query_string={"client_secret": secret})

    assert told(answer) == (401, "invalid_client")


def test_a_code_is_good_for_the_redirect_uri_that_it_was_sent_to(browser):
    form = own(browser, grant_type="authorization_code", code=browser.consent())

    assert told(post(browser, form | {"redirect_uri": "https://evil.example"}))[0] == 400
    assert post(browser, form | {"redirect_uri": CALLBACK}).status_code == 200


def test_while_the_ledger_is_busy_nothing_is_issued_and_nothing_used_up(make_site):
    browser = Browser(make_site(SCIM_WRITE_PATIENCE="0.1").make(), grants=GRANT_TYPES)
    connect_code, page = browser.code(), browser.get()
    form = own(browser, grant_type="authorization_code", redirect_uri=CALLBACK)
    form["code"] = browser.consent()

    path = browser.site.data_dir / "default" / "ledger.db"
    with closing(driver.connect(str(path), isolation_level=None)) as holder:
        holder.execute("BEGIN IMMEDIATE")
        busy = [browser.submit(page, connect_code), post(browser, form)]
        holder.execute("ROLLBACK")

    assert [answer.status_code for answer in busy] == [429, 429]
    assert [answer.headers["Retry-After"] for answer in busy] == ["2", "2"]
    assert busy[0].headers["Content-Type"].startswith("text/html")
    assert told(busy[1])[1] == "temporarily_unavailable"
    assert post(browser, form).status_code == 200
    assert "code" in sent_to(browser.submit(page, connect_code))[1]


@pytest.mark.parametrize("repeated", [{}, {"redirect_uri": CALLBACK}], ids=str)
def test_what_a_client_sends_is_recorded_by_name_where_no_document_tells(browser, repeated):
    code = browser.consent()
    form = {"grant_type": "authorization_code", "code": code, **repeated, "nickname": "x"}

    post(browser, form, basic=(browser.client.client_id, browser.secret))
    issued = browser.site.events()[-1]
    assert issued.effects["client_authentication"] == "client_secret_basic"
    assert issued.effects["arrived"] == {"parameters": sorted({"grant_type", "code", *repeated})}


def test_access_tokens_live_as_long_as_the_setting_says(make_site):
    browser = Browser(make_site(SCIM_ACCESS_TOKEN_MINUTES="5").make(), grants=GRANT_TYPES)

    assert post(browser, own(browser)).json["expires_in"] in (299, 300)


def test_an_address_that_tries_too_often_has_to_wait_and_good_clients_do_not(make_site):
    browser = Browser(make_site(SCIM_REFUSAL_RATE="3").make(), grants=GRANT_TYPES)
    form = own(browser, grant_type="authorization_code", code="x")
    tried = [
        post(browser, own(browser, client_secret="y")).status_code,
        browser.submit(browser.get(), "wrong").status_code,
        post(browser, own(browser, client_secret="x")).status_code,
    ]

    late = post(browser, own(browser, client_secret="x"))
    page = browser.submit(browser.get(), "wrong")
    assert tried == [401, 403, 401]
    assert told(late) == (429, "temporarily_unavailable")
    assert page.status_code == 429
    assert all(answer.headers["Retry-After"].isdigit() for answer in (late, page))
    for _ in range(4):  # that access has ended is no attempt, and must be said
        assert told(post(browser, form)) == (400, "invalid_grant")
    assert post(browser, own(browser)).status_code == 200
    assert sent_to(browser.submit(browser.get(), browser.code()))[0] == CALLBACK


def test_a_client_that_asks_for_tokens_too_often_has_to_wait_and_nothing_is_recorded(make_site):
    browser = Browser(make_site(SCIM_REQUEST_RATE="3").make(), grants=GRANT_TYPES)
    token = post(browser, own(browser)).json["access_token"]
    headers = {"Authorization": f"Bearer {token}"}
    assert browser.api.get("/Users", headers=headers).status_code == 200  # counts to the client too
    assert post(browser, own(browser)).status_code == 200
    before = browser.api.recorded()

    late = post(browser, own(browser))

    assert told(late) == (429, "temporarily_unavailable")
    assert late.headers["Retry-After"].isdigit()
    assert browser.api.get("/Users", headers=headers).status_code == 429
    assert browser.api.recorded() == before


def test_the_log_names_the_ledger_and_the_client_that_got_a_token(api, capsys):
    browser = Browser(api, grants=GRANT_TYPES)
    post(browser, own(browser))

    line = json.loads(capsys.readouterr().err.splitlines()[-1])
    assert (line["route"], line["ledger"]) == ("/oauth/token", "default")
    assert line["credential"] == browser.client.id


def test_refusals_name_the_client_that_was_recognised_in_both_logs(api, capsys):
    browser = Browser(api, grants=GRANT_TYPES)
    federated = Browser(
        api,
        grants=GRANT_TYPES,
        with_secret=False,
        trust=to_record(hosts=(), jwks=key_set(Signer("own"))),
    )
    by = {"client_secret": "", "client_assertion_type": ASSERTION_TYPE}
    for form in (
        own(browser, client_secret="scls_wrong"),
        own(browser, client_secret=""),
        own(federated, client_assertion="a.b.c", **by),
        own(federated, client_assertion=Signer("other").sign(times()), **by),
    ):
        post(browser, form)
    for effects in ({"allows": "nothing"}, {"networks": ["203.0.113.0/24"]}):
        credentials.change(
            browser.tenant, api.site.console.metadata(), browser.client.id, **effects
        )
        post(browser, own(browser))
    reader = api.site.client(called="reader", scopes=[Scope.OPERATE])

    lines = [json.loads(line) for line in capsys.readouterr().err.splitlines()]
    rows = reader.ask("GET", "/ledger/v1/requests", base="").json["requests"][::-1]
    ids = [browser.client.id] * 2 + [federated.client.id] * 2 + [browser.client.id] * 2
    told = [(each["refused"], each["credential"]) for each in lines if "refused" in each]
    assert [id_ for _, id_ in told] == ids
    assert [each["actor"] for each in rows] == ids
    assert {each["credential"] for each in rows} == {browser.client.name}
    assert [code for code, _ in told[-2:]] == ["client.paused", "client.network"]


def test_the_request_log_has_refusals_and_none_of_the_secrets(browser):
    code = browser.consent()
    browser.get(redirect_uri="https://evil.example/secret")
    post(browser, own(browser, grant_type="authorization_code", code=code, redirect_uri="x"))
    post(browser, {"grant_type": "refresh_token"}, basic=(browser.client.client_id, "scls_wrong"))
    reader = browser.site.client(scopes=[Scope.OPERATE])

    found = reader.ask("GET", "/ledger/v1/requests", base="").json["requests"]
    assert {(each["path"], each["status"]) for each in found} >= {
        ("/oauth/authorize", 400),
        ("/oauth/token", 400),
        ("/oauth/token", 401),
    }
    assert not any(text in str(found) for text in (code, browser.secret, "evil.example"))


def test_without_oauth_there_are_none_of_its_addresses(make_site):
    api = make_site(SCIM_AUTHENTICATION="header,basic").make()

    asked = [
        ("GET", "/oauth/authorize"),
        ("POST", "/oauth/token"),
        ("POST", "/oauth/revoke"),
        ("GET", METADATA),
    ]
    assert [refusal(api.ask(*each, base=""))[0] for each in asked] == [404] * 4
