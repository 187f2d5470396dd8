"""A consent expires when its client does not refresh: the operator hears of that before."""

from datetime import timedelta

from freezegun import freeze_time

from scim_api.auth import notices


def expiring(service):
    return [(each.kind, each.days) for each in notices.expiring(service.ledger())]


def test_a_consent_expires_a_year_after_its_last_refresh(service):
    with freeze_time("2028-03-01T12:00:00Z") as time:
        client = service.register()
        answer = service.redeem(client, service.consent(client[0]))
        time.tick(timedelta(days=365 - 31))
        before = expiring(service)
        service.refresh(client, answer["refresh_token"])
        after = expiring(service)

    assert (before, after) == ([("consent", 31)], [])


def test_a_consent_that_has_expired_is_named_until_its_client_has_another(service):
    with freeze_time("2028-03-01T12:00:00Z") as time:
        client = service.register()
        service.redeem(client, service.consent(client[0]))
        time.tick(timedelta(days=800))
        code = service.consent(client[0])
        before = expiring(service)
        service.redeem(client, code)
        after = expiring(service)

    assert (before, after) == ([("consent", 365 - 800)], [])


def test_an_expired_consent_that_was_used_after_another_was_given_is_named(service):
    with freeze_time("2028-03-01T12:00:00Z") as time:
        client = service.register()
        first = service.redeem(client, service.consent(client[0]))
        service.redeem(client, service.consent(client[0]))
        time.tick(timedelta(days=1))
        service.refresh(client, first["refresh_token"])
        time.tick(timedelta(days=365))

        assert [days for _, days in expiring(service)] == [-1, 0]


def test_a_reuse_is_mended_by_the_tokens_of_a_later_consent(service):
    with freeze_time("2028-03-01T12:00:00Z") as time:
        client = service.register()
        code = service.consent(client[0])
        service.redeem(client, code)
        service.refusal(service.redeem, client, code)
        time.tick(1)
        another = service.consent(client[0])
        before = [each.mended for each in notices.reuses(service.ledger())]
        service.redeem(client, another)
        after = [each.mended for each in notices.reuses(service.ledger())]

    assert (before, after) == ([False], [True])


def test_a_consent_that_was_withdrawn_or_never_used_is_not_missed(service):
    client = service.register()
    service.consent(client[0])
    answer = service.redeem(client, service.consent(client[0]))
    service.revoke(client, answer["refresh_token"])

    assert notices.reuses(service.ledger()) == []
    with freeze_time(timedelta(days=360)):
        assert expiring(service) == []
