"""The token endpoint: what codes, refresh tokens and clients themselves are given, and when."""

from datetime import timedelta

from freezegun import freeze_time

from ledger import clock


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
