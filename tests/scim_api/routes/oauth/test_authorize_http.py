"""/oauth/authorize: who may be sent where, and what a person has to prove before."""

import random
import re
import string
from html import escape
from urllib.parse import urlencode

import pytest
from authlib.oauth2.rfc6749.parameters import parse_authorization_code_response

from scim_api.auth import credentials
from scim_api.auth.oauth import clients, consent
from scim_api.auth.oauth.clients import CLIENT_CREDENTIALS
from scim_api.auth.oauth.consent import NotAnswerable
from scim_api.auth.scopes import Scope
from tests.scim_api.routes.oauth.browser import CALLBACK, STATE, Browser, sent_to

CHALLENGE = "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM"


@pytest.fixture
def browser(api):
    return Browser(api)


def test_consent_with_a_one_time_code_sends_the_browser_back_with_a_code(browser):
    page = browser.get()

    where, given = sent_to(browser.submit(page, browser.code()))
    assert page.status_code == 200
    assert where == CALLBACK
    assert given.pop("code").startswith("sclc_")
    assert given == {"state": STATE, "iss": "http://localhost"}


def test_the_page_says_who_asks_for_what_and_where_it_leads(browser):
    page = browser.get()

    assert "Okta &lt;Acme&gt;" in page.text
    assert "read, create, change and delete users and groups" in page.text
    assert "<code>https://system-admin.okta.com</code>" in page.text


def test_the_page_runs_no_script_and_stands_in_no_frame(browser):
    page = browser.get()

    assert not re.search(r"<script|javascript:|\son\w+=|<link|<img|style=", page.text)
    policy = page.headers["Content-Security-Policy"]
    assert "default-src 'none'" in policy
    assert "frame-ancestors 'none'" in policy
    assert page.headers["X-Frame-Options"] == "DENY"
    assert page.headers["Referrer-Policy"] == "same-origin"
    assert page.headers["Cache-Control"] == "no-store"


@pytest.mark.parametrize(
    ("uri", "targets"),
    [(CALLBACK, "'self' https:"), ("http://127.0.0.1/cb", "'self' https: http:")],
)
def test_the_form_may_lead_through_the_client_to_wherever_that_leads(api, uri, targets):
    """Chromium checks all redirects that follow, and stays on the page if one is not allowed."""
    page = Browser(api, uris=(uri,)).get(redirect_uri=uri)

    assert f"form-action {targets};" in page.headers["Content-Security-Policy"]


@pytest.mark.parametrize("mark", ["&", "?"])
def test_a_scope_in_the_configured_address_counts_with_what_the_client_appends(api, mark):
    browser = Browser(api, scopes=(Scope.PROVISION, Scope.READ))

    query = f"scope=read+offline_access{mark}{urlencode(browser.asked())}"
    page = browser.ask("GET", query_string=query)

    assert "<li>read users and groups</li>" in page.text
    assert page.text.count("<li>") == 1


def test_a_request_may_come_as_a_form_and_is_not_yet_consent(browser):
    page = browser.ask("POST", form=browser.asked(connect_code=browser.code()))

    assert page.status_code == 200
    assert sent_to(browser.submit(page, browser.code()))[0] == CALLBACK


def test_a_redirect_uri_may_be_left_out_where_there_is_one(browser):
    page = browser.get(redirect_uri=None)

    assert sent_to(browser.submit(page, browser.code()))[0] == CALLBACK


@pytest.mark.parametrize(
    ("uri", "sent"),
    [
        ("https://a.example/cb", "https://a.example/cb?code="),
        ("https://a.example/cb?", "https://a.example/cb?code="),
        ("https://a.example/cb?a=b", "https://a.example/cb?a=b&code="),
        ("https://a.example/cb?a=b&", "https://a.example/cb?a=b&code="),
    ],
)
def test_the_code_follows_the_redirect_uri_as_it_is(api, uri, sent):
    browser = Browser(api, uris=(uri,))

    answer = browser.submit(browser.get(redirect_uri=uri), browser.code())

    assert answer.headers["Location"].startswith(sent)
    parsed = parse_authorization_code_response(answer.headers["Location"], STATE)
    assert parsed["code"].startswith("sclc_")


def test_a_redirect_uri_keeps_its_own_query(api):
    uri = "https://a.example/cb?tenant=7"
    browser = Browser(api, uris=(uri,))

    answer = browser.submit(browser.get(redirect_uri=uri), browser.code())

    assert answer.headers["Location"].startswith(f"{uri}&code=sclc_")


def test_state_that_was_not_encoded_comes_back_byte_for_byte(browser):
    query = urlencode(browser.asked(state=None)) + "&state=\xc3\xa9%\xff%C3"  # as WSGI has bytes

    page = browser.ask("GET", environ_overrides={"QUERY_STRING": query})

    location = browser.submit(page, browser.code()).headers["Location"]
    assert "&state=%C3%A9%25%FF%C3&" in location


def test_of_the_browser_nothing_is_recorded_that_nobody_could_erase(browser):
    person = {"User-Agent": "Janes Browser", "X-Request-Id": "0123456789abcdef"}
    page = browser.get()
    browser.submit(page, browser.code(), headers=person)

    *_, used, given = browser.tenant.ledger.read_all()
    assert {used.type, given.type} == {"ConnectCodeUsed", "ConsentGiven"}
    for event in (used, given):
        assert event.request == {
            "method": "POST",
            "path": "/oauth/authorize",
            "id": "0123456789abcdef",
        }


@pytest.mark.parametrize("state", [None, "é" * 10_000, "\r\n\u0000\u2028", "\udcff"])
def test_state_comes_back_as_it_was_or_not_at_all(browser, state):
    sent = browser.asked(state=None)
    query = urlencode(sent | ({"state": state} if state else {}), errors="surrogateescape")
    page = browser.ask("GET", query_string=query)

    location = browser.submit(page, browser.code()).headers["Location"]
    expected = urlencode({"state": state}, errors="surrogateescape") if state else None
    came = [each for each in location.split("&") if each.startswith("state=")]
    assert came == ([expected] if expected else [])


@pytest.mark.parametrize(
    ("given", "error"),
    [
        ({"response_type": "token"}, "unsupported_response_type"),
        ({"response_type": None}, "unsupported_response_type"),
        ({"scope": "audit"}, "invalid_scope"),
        ({"code_challenge": CHALLENGE}, "invalid_request"),
        ({"code_challenge": CHALLENGE, "code_challenge_method": "plain"}, "invalid_request"),
        ({"code_challenge": "short", "code_challenge_method": "S256"}, "invalid_request"),
        ({"code_challenge_method": "S256"}, "invalid_request"),
    ],
    ids=str,
)
def test_a_client_is_told_what_is_wrong_with_its_request(browser, given, error):
    where, told = sent_to(browser.get(**given))

    assert where == CALLBACK
    assert told.pop("error_description")
    assert told == {"error": error, "state": STATE, "iss": "http://localhost"}


def test_a_client_that_was_not_registered_for_it_gets_no_consent(api):
    browser = Browser(api, grants=[CLIENT_CREDENTIALS])

    assert sent_to(browser.get())[1]["error"] == "unauthorized_client"


def test_whoever_cancels_sends_the_client_away_without_a_code(browser):
    answer = browser.submit(browser.get(), decision="cancel")

    assert sent_to(answer)[1]["error"] == "access_denied"


def wrong_codes(browser):
    used = browser.code()
    browser.submit(browser.get(code_challenge="x" * 43, code_challenge_method="S256"), used)
    other = clients.register(
        browser.tenant, browser.site.console.metadata(), "Other", grants=[], redirect_uris=[]
    )
    mistyped = browser.code()
    return {
        "empty": "",
        "mistyped": mistyped[:-1] + ("a" if mistyped[-1] != "a" else "b"),
        "used before": used,
        "expired": browser.code(minutes=0),
        "of another client": browser.code(client=other.client),
        "of another kind": browser.secret,
        "a token": browser.api.token,
    }


def test_without_a_code_that_counts_the_page_asks_again_and_nothing_happens(browser):
    wrong = wrong_codes(browser)
    before = browser.api.recorded()
    page = browser.get()

    for why, code in wrong.items():
        again = browser.submit(page, code)

        assert (again.status_code, "Location" in again.headers) == (403, False), why
        assert 'role="alert"' in again.text
        assert not code or code not in again.text
    assert browser.api.recorded() == before
    assert sent_to(browser.submit(again, browser.code()))[0] == CALLBACK


def assert_goes_nowhere(response, status=400):
    assert response.status_code == status
    assert response.headers["Content-Type"].startswith("text/html")
    assert "Location" not in response.headers
    assert "form-action 'none'" in response.headers["Content-Security-Policy"]
    assert "<form" not in response.text


@pytest.mark.parametrize("given", [{"client_id": None}, {"client_id": "x"}], ids=str)
def test_an_unknown_client_gets_nowhere_and_the_page_says_so(browser, given):
    answer = browser.get(**given)

    assert_goes_nowhere(answer)
    assert "scim-ledger client list" in answer.text


def test_a_removed_client_gets_nowhere(browser):
    tenants = list(browser.site.runtime.tenants)
    clients.remove(browser.client, tenants, browser.site.console.metadata())

    assert_goes_nowhere(browser.get())


def test_a_paused_client_is_said_to_be_and_uses_up_no_one_time_code(browser):
    page, code, who = browser.get(), browser.code(), browser.site.console.metadata()
    credentials.change(browser.tenant, who, browser.client.id, allows="nothing")

    for answer in (browser.get(), browser.submit(page, code)):
        assert_goes_nowhere(answer)
        assert "scim-ledger client resume" in answer.text
    credentials.change(browser.tenant, who, browser.client.id, allows="all")
    first, second = browser.submit(page, code), browser.submit(page, code)  # a double click
    assert first.headers["Location"] == second.headers["Location"]
    assert sent_to(first)[0] == CALLBACK


@pytest.mark.parametrize("method", ["GET", "POST"])
def test_a_wrong_redirect_uri_is_shown_with_those_expected(browser, method):
    wrong = "https://evil.example/<script>alert(1)</script>"
    given = browser.asked(redirect_uri=wrong)

    where = {"query_string": urlencode(given)} if method == "GET" else {"form": given}
    answer = browser.ask(method, **where)

    assert_goes_nowhere(answer)
    assert escape(wrong) in answer.text
    assert CALLBACK in answer.text


def test_a_consent_form_with_another_redirect_uri_gets_nowhere(browser):
    forged = urlencode(browser.asked(redirect_uri="https://evil.example"))

    answer = browser.ask("POST", form={"asked": forged, "connect_code": browser.code()})

    assert_goes_nowhere(answer)


@pytest.mark.parametrize(
    "headers",
    [
        {"Sec-Fetch-Site": "cross-site"},
        {"Sec-Fetch-Site": "same-site", "Origin": "http://localhost"},
        {"Origin": "https://evil.example"},
        {"Origin": "http://localhost:81"},
        {"Origin": "https://localhost"},
        {"Origin": "null"},
        {"Origin": "http://["},
        {"Origin": ""},
    ],
    ids=str,
)
def test_a_consent_form_that_another_site_sends_gets_nowhere(browser, headers):
    form = {"asked": urlencode(browser.asked()), "connect_code": browser.code()}

    assert_goes_nowhere(browser.ask("POST", form=form, headers=headers), 403)

    headers = {"Origin": "http://localhost"} if "Origin" in headers else {}
    assert sent_to(browser.ask("POST", form=form, headers=headers))[0] == CALLBACK


def test_a_form_from_another_name_is_told_both_names_and_what_to_set(browser):
    form = {"asked": urlencode(browser.asked()), "connect_code": browser.code()}

    answer = browser.ask("POST", form=form, headers={"Origin": "http://scim.example.com:8080"})

    for each in ("http://scim.example.com:8080.", "http://localhost.", "SCIM_BASE_URL"):
        assert each in answer.text


def test_the_form_of_the_longest_state_can_be_sent(browser):
    for state in ('"' * 60_000, "s" * 65_000):
        page = browser.get(state=state)

        assert sent_to(browser.submit(page, browser.code()))[1]["state"] == state


def test_a_client_that_waits_for_its_redirect_uri_shows_which_one_came(api):
    answer = Browser(api, uris=()).get()

    assert_goes_nowhere(answer)
    assert CALLBACK in answer.text
    assert "none yet" in answer.text


@pytest.mark.parametrize("name", ["client_id", "redirect_uri", "state", "response_type"])
def test_two_values_of_a_parameter_get_nowhere(browser, name):
    query = f"{urlencode(browser.asked())}&{name}=other"

    answer = browser.ask("GET", query_string=query)

    assert_goes_nowhere(answer)
    assert name in answer.text


ODD = (*string.printable, "%2e", "%00", "/.", "/..", "//", "@evil.example", "é", "\u2044")


def almost(uri, rng):
    """Return a redirect URI that almost is the given one."""
    at = rng.randrange(len(uri))
    odd = rng.choice(ODD)
    made = rng.choice(
        [
            uri[:at] + odd + uri[at:],
            uri[:at] + odd + uri[at + 1 :],
            uri[:at] + uri[at + 1 :],
            uri[:at] + uri[at].swapcase() + uri[at + 1 :],
            uri[:at] + uri[at : at + 1] * 2 + uri[at + 1 :],
            uri[:at],
            uri + odd,
            odd + uri,
            uri.replace("okta.com", f"okta.com{odd}", 1),
            uri.replace("https://", f"https://{odd}", 1),
            uri.replace("https", rng.choice(["http", "HTTPS", "javascript", "data"]), 1),
            f"{uri}?{odd}",
            f"{uri}#{odd}",
            uri.replace("/", "\\", rng.randrange(1, 9)),
            uri.replace("/", "%2f", rng.randrange(1, 9)),
            f"{uri} {CALLBACK}",
        ]
    )
    return made if made not in ("", uri) else f"{uri}/"


@pytest.mark.slow
def test_of_100_000_redirect_uris_that_almost_match_none_is_answered(browser):
    rng = random.Random(15)
    tenants = browser.site.runtime.tenants

    for number in range(100_000):
        uri = almost(CALLBACK, rng)
        if number % 200 == 0:
            assert_goes_nowhere(browser.get(redirect_uri=uri))
        else:
            with pytest.raises(NotAnswerable):
                consent.asking(tenants, browser.asked(redirect_uri=uri))


@pytest.mark.parametrize(("length", "status"), [(60_000, 400), (66_000, 414)])
def test_the_address_of_an_authorization_request_may_be_long(server, length, status):
    """400: nobody knows this client. Other addresses are 414 from 8,191 bytes on."""
    path = f"/oauth/authorize?client_id=x&state={'s' * length}"

    assert server.ask("GET", path, base="").status == status
