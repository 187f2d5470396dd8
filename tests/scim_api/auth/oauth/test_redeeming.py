"""Codes and refresh tokens: redeemed once, by the client that they were given to."""

from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta

import pytest
from freezegun import freeze_time

from ledger import clock
from scim_api.auth.oauth.errors import OAuthError
from tests.scim_api.auth.oauth.service import CHALLENGE, URI, VERIFIER

S256 = {"code_challenge": CHALLENGE, "code_challenge_method": "S256"}


@pytest.fixture
def client(service):
    return service.register()


def at_once(ask, *arguments, times=8):
    """Ask in several threads at once; return the answers and the errors."""

    def attempt(_):
        try:
            return ask(*arguments)
        except OAuthError as error:
            return error

    with ThreadPoolExecutor(times) as pool:
        return list(pool.map(attempt, range(times)))


def test_a_code_used_again_ends_what_it_gave(service, client):
    code = service.consent(client[0])
    given = service.redeem(client, code)

    refused = service.refusal(service.redeem, client, code)

    assert (refused.error, refused.code) == ("invalid_grant", "oauth.reuse")
    assert not service.opens(given["access_token"])
    assert service.refusal(service.refresh, client, given["refresh_token"]).code == (
        "oauth.grant_ended"
    )
    assert service.types() == ["ConsentGiven", "TokensIssued", "ReuseDetected"]
    assert service.events()[-1].effects == {"of": "code"}


def test_a_code_lives_for_a_minute(service, client):
    with freeze_time(clock.now()) as time:
        codes = [service.consent(client[0]) for _ in range(2)]
        time.tick(59.999)
        assert service.redeem(client, codes[0])
        time.tick(0.001)
        refused = service.refusal(service.redeem, client, codes[1])

    assert (refused.error, refused.code) == ("invalid_grant", "oauth.grant_expired")


@pytest.mark.parametrize(
    ("asked", "sent"),
    [
        (S256, {"code_verifier": VERIFIER[::-1]}),
        (S256, {"code_verifier": CHALLENGE}),
        (S256, {}),
        ({}, {"code_verifier": VERIFIER}),  # somebody took the challenge out (RFC 9700 §2.1.1)
        ({}, {"redirect_uri": f"{URI}/"}),
        ({}, {"redirect_uri": URI.upper()}),
    ],
)
def test_a_code_that_comes_with_something_else_is_refused_and_stays_good(
    service, client, asked, sent
):
    code = service.consent(client[0], **asked)

    refused = service.refusal(service.redeem, client, code, **sent)

    assert refused.error == "invalid_grant"
    assert service.types() == ["ConsentGiven"]
    assert service.redeem(client, code, code_verifier=VERIFIER if asked else None)


def test_the_redirect_uri_need_not_be_repeated(service, client):
    assert service.redeem(client, service.consent(client[0]), redirect_uri=None)


def test_the_event_of_a_code_has_the_names_of_what_came(service, client):
    service.redeem(client, service.consent(client[0]), state="x", scl_secret="x")

    assert service.events()[-1].effects["arrived"] == {
        "parameters": ["code", "grant_type", "redirect_uri", "state"]
    }
    assert service.events()[-1].effects["client_authentication"] == "client_secret_basic"


def test_what_another_client_presents_is_unknown_and_stays_good(service, client):
    other = service.register("beta")
    code = service.consent(client[0])

    refused = service.refusal(service.redeem, other, code)
    refresh = service.redeem(client, code)["refresh_token"]
    reused = service.refusal(service.redeem, other, code)
    refused_again = service.refusal(service.refresh, other, refresh)

    assert {refused.code, reused.code, refused_again.code} == {"oauth.grant_unknown"}
    assert "has ended" in refused_again.detail
    assert service.refresh(client, refresh)


def test_a_secret_of_another_kind_is_no_code_and_no_refresh_token(service, client):
    given = service.redeem(client, service.consent(client[0]))

    for secret in (client[1], given["access_token"], given["refresh_token"], "x", "sclc_"):
        assert service.refusal(service.redeem, client, secret).error == "invalid_grant"
    for secret in (client[1], given["access_token"], service.consent(client[0])):
        assert service.refusal(service.refresh, client, secret).error == "invalid_grant"
    assert service.opens(given["access_token"])


def test_of_many_who_redeem_a_code_at_once_none_keeps_what_it_gave(service, client):
    answers = at_once(service.redeem, client, service.consent(client[0]))

    given = [each for each in answers if isinstance(each, dict)]
    assert len(given) == 1
    assert not service.opens(given[0]["access_token"])
    assert service.types() == ["ConsentGiven", "TokensIssued", "ReuseDetected"]


def test_many_who_refresh_at_once_get_the_same_tokens(service, client):
    token = service.redeem(client, service.consent(client[0]))["refresh_token"]

    answers = at_once(service.refresh, client, token)

    assert len({(each["access_token"], each["refresh_token"]) for each in answers}) == 1
    assert service.types() == ["ConsentGiven", "TokensIssued", "TokensIssued"]


def test_a_refresh_token_ends_a_year_after_its_last_use(service, client):
    with freeze_time(clock.now()) as time:
        token = service.redeem(client, service.consent(client[0]))["refresh_token"]
        for _ in range(2):
            time.tick(timedelta(days=364, hours=23))
            token = service.refresh(client, token)["refresh_token"]
        time.tick(timedelta(days=365))
        refused = service.refusal(service.refresh, client, token)

    assert (refused.error, refused.code) == ("invalid_grant", "oauth.grant_expired")


def test_a_refresh_may_ask_for_fewer_scopes_and_the_next_for_all_again(service):
    client = service.register(scopes=["provision", "read"])
    token = service.redeem(client, service.consent(client[0]))["refresh_token"]

    fewer = service.refresh(client, token, scope="read offline_access")
    all_again = service.refresh(client, fewer["refresh_token"])

    assert (fewer["scope"], all_again["scope"]) == ("read", "provision read")
    refused = service.refusal(service.refresh, client, all_again["refresh_token"], scope="audit")
    assert refused.error == "invalid_scope"


def test_a_client_without_refresh_tokens_gets_none(service):
    client = service.register(grants=["authorization_code"])

    assert "refresh_token" not in service.redeem(client, service.consent(client[0]))


def test_neither_the_ledger_nor_the_old_token_alone_tells_the_new_ones(service, client):
    first = service.redeem(client, service.consent(client[0]))["refresh_token"]
    second = service.refresh(client, first)

    folder = service.ledger().ledger.path.parent
    kept = b"".join(path.read_bytes() for path in folder.iterdir() if path.is_file())
    secrets = [client[1], first, *(second[name] for name in ("access_token", "refresh_token"))]
    assert not [each for each in secrets if each[22:].encode() in kept]
