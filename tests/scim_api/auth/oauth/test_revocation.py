"""Tokens that a client gives back (RFC 7009)."""

import pytest

from scim_api.auth import credentials


@pytest.fixture
def client(service):
    return service.register()


@pytest.fixture
def given(service, client):
    """Return the tokens that a client was given."""
    return service.redeem(client, service.consent(client[0], "beta"))


def test_an_access_token_ends_alone(service, client, given):
    service.revoke(client, given["access_token"])

    assert not service.opens(given["access_token"], "beta")
    assert service.opens(service.refresh(client, given["refresh_token"])["access_token"], "beta")


@pytest.mark.parametrize("redeemed", [False, True])
def test_with_a_refresh_token_all_access_ends(service, client, given, redeemed):
    tokens = [given["access_token"]]
    if redeemed:
        tokens.append(service.refresh(client, given["refresh_token"])["access_token"])

    service.revoke(client, given["refresh_token"])

    assert not any(service.opens(token, "beta") for token in tokens)
    assert service.events("beta")[-1].effects == {"why": "revoked by the client"}


def test_a_token_that_ended_or_is_unknown_is_as_good_as_revoked(service, client, given):
    for token in (given["access_token"], given["refresh_token"], given["refresh_token"], "x"):
        service.revoke(client, token)
    recorded = service.types("beta")

    service.revoke(client, given["access_token"])
    service.revoke(client, client[1])

    assert service.types("beta") == recorded


def test_a_paused_client_gives_its_tokens_back(service, client, given):
    credentials.change(service.ledger(), service.metadata(), client[0].id, allows="nothing")

    service.revoke(client, given["refresh_token"])

    assert service.types("beta")[-1] == "ConsentWithdrawn"


def test_a_token_of_another_client_stays(service, given):
    other = service.register("beta")

    for name in ("access_token", "refresh_token"):
        assert service.refusal(service.revoke, other, given[name]).error == "invalid_grant"
    assert service.opens(given["access_token"], "beta")


def test_a_client_gives_back_a_token_of_its_own(service):
    client = service.register(grants=["client_credentials"])
    first, second = (service.of_itself(client)["access_token"] for _ in range(2))

    service.revoke(client, first)

    assert (service.opens(first), service.opens(second)) == (False, True)


def test_without_a_token_or_a_proof_nothing_is_revoked(service, client, given):
    assert service.refusal(service.revoke, client, None).error == "invalid_request"
    assert service.refusal(service.revoke, (client[0], "wrong"), given["access_token"]).error == (
        "invalid_client"
    )
