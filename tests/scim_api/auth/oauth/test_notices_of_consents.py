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


def test_a_consent_that_was_withdrawn_or_never_used_is_not_missed(service):
    client = service.register()
    service.consent(client[0])
    answer = service.redeem(client, service.consent(client[0]))
    service.revoke(client, answer["refresh_token"])

    with freeze_time(timedelta(days=360)):
        assert expiring(service) == []
