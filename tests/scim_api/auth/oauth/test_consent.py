"""Consents: by a one-time code of a ledger, for a client and its redirect URI, once."""

from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from urllib.parse import parse_qs, urlsplit

import pytest
from freezegun import freeze_time
from hypothesis import given
from hypothesis import strategies as st

from ledger import clock
from scim_api.auth import credentials, tokens
from scim_api.auth.oauth import clients, connect_codes, consent
from scim_api.auth.oauth.consent import NotAnswerable
from scim_api.auth.oauth.errors import InvalidScope, description
from scim_api.auth.oauth.scopes import granted
from scim_api.auth.scopes import Scope
from scim_api.auth.tokens import Prefix
from tests.scim_api.auth.oauth.service import CHALLENGE, ISSUER, URI

PKCE = {"code_challenge": CHALLENGE, "code_challenge_method": "S256"}


@pytest.fixture
def client(service):
    return service.register()[0]


def give(service, client, connect_code):
    """Give consent with a one-time code."""
    return consent.give(service.ask(client), connect_code, service.tenants, service.metadata())


def refusal(service, client, connect_code):
    return service.refusal(give, service, client, connect_code)


# The one-time code


def test_a_one_time_code_is_taken_once_however_often_its_form_is_sent(service, client):
    code = service.connect_code(client)

    with ThreadPoolExecutor(8) as pool:
        answers = set(pool.map(lambda _: give(service, client, code), range(8)))

    assert len(answers) == 1
    assert service.types() == ["ConsentGiven"]
    assert service.types(category="ConnectCode") == ["ConnectCodeIssued", "ConnectCodeUsed"]


@pytest.mark.parametrize("asked", [{"scope": "read"}, {"redirect_uri": f"{URI}2"}, PKCE, {}])
def test_two_who_ask_for_different_things_with_one_code_get_one_answer(service, asked):
    [client, _] = service.register(redirect_uris=[URI, f"{URI}2"], scopes=list(Scope))
    code = service.connect_code(client)
    first = give(service, client, code)

    def second():
        again = service.ask(client, state="y", **asked)
        return consent.give(again, code, service.tenants, service.metadata())

    if asked:
        assert service.refusal(second).code == "oauth.connect_used"
    else:
        assert second() == first


def test_the_same_form_gets_no_code_that_was_redeemed_ended_or_withdrawn(service):
    client = service.register()
    for end in (
        lambda code: service.redeem(client, code),
        lambda code: time.tick(timedelta(seconds=60)),
        lambda code: credentials.revoke(
            service.ledger(), service.metadata(), service.events()[-1].subject
        ),
    ):
        with freeze_time(clock.now()) as time:
            connect_code = service.connect_code(client[0])
            end(give(service, client[0], connect_code))

            assert refusal(service, client[0], connect_code).code == "oauth.connect_used"


def test_a_client_that_could_get_no_tokens_uses_up_no_one_time_code(service):
    [client, secret] = service.register()
    code, there = service.connect_code(client, "beta"), (service.ledger(), service.metadata())
    credentials.change(*there, client.id, allows="nothing")

    refused = refusal(service, client, code)

    assert (refused.error, refused.code) == ("unauthorized_client", "client.paused")
    assert service.types("beta") == []
    credentials.change(*there, client.id, allows="reads")
    assert service.redeem((client, secret), give(service, client, code))


@pytest.mark.parametrize("with_secret", [False, True])
def test_without_any_secret_that_lives_a_client_uses_up_no_one_time_code(service, with_secret):
    [client, _] = service.register(with_secret=with_secret, expires_at=clock.timestamp())

    refused = refusal(service, client, service.connect_code(client))

    assert (refused.error, refused.code) == ("unauthorized_client", "oauth.no_secret")
    assert service.types() == []


def test_a_one_time_code_ends_when_it_should(service, client):
    with freeze_time(clock.now()) as time:
        codes = [service.connect_code(client) for _ in range(2)]
        time.tick(timedelta(minutes=14, seconds=59))
        assert give(service, client, codes[0])
        time.tick(1)
        assert refusal(service, client, codes[1]).code == "oauth.connect_expired"


def test_a_cancelled_one_time_code_lets_nobody_in(service, client):
    codes = [service.connect_code(client) for _ in range(3)]
    assert give(service, client, codes[0])
    home = client.tenant

    assert connect_codes.cancel_all(home, service.metadata()) == 2
    assert refusal(service, client, codes[1]).code == "oauth.connect_ended"
    assert connect_codes.cancel_all(home, service.metadata()) == 0


def test_a_one_time_code_is_for_one_client(service, client):
    other, secret = service.register("beta")

    code = service.connect_code(other)

    assert refusal(service, client, code).code == "oauth.connect_unknown"
    assert refusal(service, client, secret).code == "oauth.connect_form"
    assert give(service, other, f" {code} ")


@pytest.mark.parametrize("text", ["", "x", "sclo_", "sclo_{home}_{rest}", "scl_{home}_{rest}"])
def test_a_text_that_is_no_one_time_code_lets_nobody_in(service, client, text):
    home = service.ledger().ledger.tenant
    text = text.format(home=home, rest=service.connect_code(client)[22:-1] + "!")

    assert refusal(service, client, text).code == "oauth.connect_form"


def test_a_one_time_code_that_nobody_made_lets_nobody_in(service, client):
    home = service.ledger().ledger.tenant
    for ledger in (home, home[::-1]):
        made_up = tokens.issue(ledger, Prefix.CONNECT)

        assert refusal(service, client, made_up).code == "oauth.connect_unknown"
    assert service.types() == []


def test_the_grant_is_in_the_ledger_of_the_one_time_code_without_a_copy_of_limits(service):
    [client, secret] = service.register(networks=["192.0.2.0/24"], policy="entra")

    code = service.consent(client, "beta")

    [given] = service.events("beta")
    assert given.effects["client"] == client.client_id
    assert given.effects.keys() & {"networks", "policy"} == set()
    found = service.presented(service.redeem((client, secret), code)["access_token"], "beta")
    assert (found.networks, found.policy) == (("192.0.2.0/24",), "entra")


def test_the_event_of_a_consent_has_names_and_lengths_of_what_came(service, client):
    service.consent(
        client,
        state="s" * 5000,
        scope="provision offline_access",
        code_challenge=CHALLENGE,
        code_challenge_method="S256",
        unheard_of="x",
    )

    assert service.events()[0].effects["arrived"] == {
        "parameters": [
            *("client_id", "code_challenge", "code_challenge_method", "redirect_uri"),
            *("response_type", "scope", "state"),
        ],
        "pkce": "S256",
        "scope": 24,
        "state": 5000,
    }


# Where the answer goes


ALMOST = [
    *(URI[:-1], f"{URI}/", f"{URI}#", f"{URI}?", f" {URI}", URI.upper(), URI.title(), ""),
    *(URI.replace("https", "http"), URI.replace(".com", ".com:443"), f"{URI}%20", f"{URI}\n"),
    *(URI.replace("//", "//x@"), URI.replace("acme", "%61cme"), f"{URI},{URI}"),
]


def test_a_redirect_uri_that_almost_fits_is_not_answerable(service):
    uris = URI, "https://b.example/callback"
    [client, _] = service.register(redirect_uris=uris)
    for uri in ALMOST:
        refused = service.refusal(service.ask, client, redirect_uri=uri)

        assert isinstance(refused, NotAnswerable)
        assert (refused.received, refused.expected) == (uri, uris)


def test_the_answer_keeps_the_query_of_the_redirect_uri_and_names_the_issuer(service):
    uri = f"{URI}?a=1&b=%20"
    [client, _] = service.register(redirect_uris=[uri])
    state = "&=#\u00e9 +%"

    by = service.ask(client, redirect_uri=uri, state=state).by
    parts = urlsplit(by.answered(ISSUER, code="c"))

    assert parse_qs(parts.query) == {
        "a": ["1"],
        "b": [" "],
        "code": ["c"],
        "state": [state],
        "iss": [ISSUER],
    }
    assert f"{uri}&" in parts.geturl()


def test_without_a_state_the_answer_has_none(service, client):
    assert "state" not in service.ask(client).by.answered(ISSUER, code="c")


@pytest.mark.parametrize(
    ("parameters", "error"),
    [
        ({"response_type": "token"}, "unsupported_response_type"),
        ({"response_type": ""}, "unsupported_response_type"),
        ({"scope": "audit"}, "invalid_scope"),
        ({"code_challenge": CHALLENGE}, "invalid_request"),
        ({"code_challenge": CHALLENGE, "code_challenge_method": "plain"}, "invalid_request"),
        ({"code_challenge": "short", "code_challenge_method": "S256"}, "invalid_request"),
        ({"code_challenge_method": "S256"}, "invalid_request"),
    ],
)
def test_what_cannot_be_granted_is_told_to_the_client(service, client, parameters, error):
    assert service.refusal(service.ask, client, **parameters).error == error


def test_a_client_that_only_acts_itself_is_not_consented_to(service):
    [client, _] = service.register(grants=["client_credentials"])

    assert service.refusal(service.ask, client).error == "unauthorized_client"


def test_a_removed_client_is_unknown(service, client):
    clients.remove(client, list(service.tenants), service.metadata())

    assert service.refusal(service.ask, client).code == "oauth.client_unknown"


# Scopes


@pytest.mark.parametrize(
    ("requested", "given"),
    [
        ("", "provision read"),
        ("offline_access", "provision read"),
        ("openid profile offline", "provision read"),
        ("read", "read"),
        ("read offline_access", "read"),
        ("read+provision", "provision read"),
        ("read%20provision", "provision read"),
        ("read%20offline_access", "read"),
        ("read  +%20\tprovision", "provision read"),
        ("read audit", "read"),
        ("READ", "read"),
        ("Provision", "provision"),
        ("read,offline_access", "read"),
        ("provision, read", "provision read"),
        ("read%2Coffline", "read"),
    ],
)
def test_of_the_scopes_that_are_asked_for_the_known_ones_are_given(requested, given):
    assert " ".join(granted(requested, {"provision", "read"})) == given


@given(st.sets(st.sampled_from(list(Scope))), st.sets(st.sampled_from([*Scope, "offline", "x"])))
def test_no_scope_is_given_that_the_client_may_not_have(allowed, requested):
    ours = requested & set(Scope)
    if ours and not ours & allowed:
        with pytest.raises(InvalidScope):
            granted(" ".join(requested), allowed)
    else:
        assert set(granted(" ".join(requested), allowed)) == (ours & allowed or allowed)


@given(st.text())
def test_a_description_has_the_characters_of_the_rfc(text):
    allowed = {*range(0x20, 0x7F)} - {ord('"'), ord("\\")}

    assert set(map(ord, description(text))) <= allowed
