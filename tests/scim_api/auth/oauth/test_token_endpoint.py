"""The token endpoint: what codes, refresh tokens and clients themselves are given, and when."""

from datetime import timedelta

import pytest
from freezegun import freeze_time
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from ledger import clock
from scim_api.auth.oauth.clients import GRANT_TYPES
from scim_api.auth.oauth.errors import OAuthError
from tests.scim_api.auth.oauth.service import CHALLENGE


def test_a_consent_leads_to_tokens_that_open_the_ledger_of_the_code(service):
    client = service.register()

    answer = service.redeem(client, service.consent(client[0], "beta"))

    assert answer.keys() == {"access_token", "refresh_token", "token_type", "expires_in", "scope"}
    assert answer["token_type"] == "Bearer"
    assert answer["expires_in"] == 3600
    assert answer["scope"] == "provision"
    assert service.opens(answer["access_token"], "beta")
    assert not service.opens(answer["access_token"], "acme")
    assert service.types("beta") == ["ConsentGiven", "TokensIssued"]
    assert service.types("beta", "ConnectCode") == ["ConnectCodeIssued", "ConnectCodeUsed"]


def test_a_refresh_token_gives_the_next_pair(service):
    client = service.register()
    first = service.redeem(client, service.consent(client[0]))

    second = service.refresh(client, first["refresh_token"])

    assert second["refresh_token"] != first["refresh_token"]
    assert service.opens(second["access_token"])
    assert service.opens(first["access_token"])


def test_a_refresh_token_gives_the_same_pair_for_a_minute(service):
    client = service.register()
    first = service.redeem(client, service.consent(client[0]))["refresh_token"]
    at = clock.now()

    with freeze_time(at):
        answers = [service.refresh(client, first)]
    with freeze_time(at + timedelta(seconds=60)):
        answers.append(service.refresh(client, first))

    pairs = {(each["access_token"], each["refresh_token"]) for each in answers}
    assert len(pairs) == 1
    assert [each["expires_in"] for each in answers] == [3600, 3540]
    assert service.types() == ["ConsentGiven", "TokensIssued", "TokensIssued"]


def test_a_refresh_token_used_again_after_that_ends_the_grant(service):
    client = service.register()
    first = service.redeem(client, service.consent(client[0]))
    at = clock.now()
    with freeze_time(at):
        second = service.refresh(client, first["refresh_token"])

    with freeze_time(at + timedelta(seconds=61)):
        refused = service.refusal(service.refresh, client, first["refresh_token"])

        assert refused.error == "invalid_grant"
        assert not service.opens(second["access_token"])
    assert service.types()[-1] == "ReuseDetected"


def test_a_client_itself_gets_an_access_token_of_its_home(service):
    client = service.register(grants=["client_credentials"])

    answer = service.of_itself(client)

    assert "refresh_token" not in answer
    assert service.opens(answer["access_token"])
    assert service.types(category="Client") == ["ClientRegistered", "TokensIssued"]


NAMES = (
    *("grant_type", "code", "redirect_uri", "code_verifier", "refresh_token", "scope", "token"),
    *("client_id", "client_secret", "client_assertion", "client_assertion_type"),
)
TEXT = st.text(st.characters(codec=None), max_size=60)  # lone surrogates too: bytes of no UTF-8


@pytest.fixture
def own(service):
    """Return a client that may do everything."""
    return service.register(grants=GRANT_TYPES)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=200)
@given(
    st.dictionaries(st.sampled_from(NAMES), TEXT, max_size=6),
    st.sampled_from([*GRANT_TYPES, None]),
    st.none() | TEXT | TEXT.map("Basic {}".format),
    st.booleans(),
)
def test_whatever_is_sent_is_refused_by_a_rule(
    service, own, form, grant_type, authorization, known
):
    client, secret = own
    if known:
        form = {**form, "client_id": client.client_id, "client_secret": secret}
        form |= {"grant_type": grant_type} if grant_type else {}
    for ask in (service.endpoint.issue, service.endpoint.revoke):
        try:
            ask(service.request(form, authorization=authorization))
        except OAuthError as error:
            assert error.refusal().detail


@pytest.mark.parametrize("verifier", ["\udce9" * 43, "x" * 42, "x" * 129, " " * 43, "\x00" * 43])
def test_a_verifier_of_another_form_fits_no_challenge(service, verifier):
    client = service.register()
    code = service.consent(client[0], code_challenge=CHALLENGE, code_challenge_method="S256")

    refused = service.refusal(service.redeem, client, code, code_verifier=verifier)

    assert refused.code == "oauth.verifier"
