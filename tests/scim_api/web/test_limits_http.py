"""The rate of requests of a credential, of refused attempts of an address, and of their lines."""

import json
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta

import pytest
from freezegun import freeze_time

from tests.scim_api.client import refusal

WRONG = {"Authorization": "Bearer scl_wrong"}
MINUTE = timedelta(minutes=1)


@pytest.fixture
def of(make_site):
    """Return a maker of a client whose service has settings of its own."""
    return lambda **settings: make_site(**settings).make()


def attempt(api, address="192.0.2.1", headers=WRONG, path="/Users"):
    return api.get(path, headers=headers, environ_overrides={"REMOTE_ADDR": address})


def statuses(api, count, *arguments):
    return [attempt(api, *arguments).status_code for _ in range(count)]


def test_a_credential_beyond_its_rate_gets_429_with_whole_seconds_till_its_next_request(of):
    with freeze_time("2026-11-28T08:00:00Z") as time:
        api = of(SCIM_REQUEST_RATE="7")
        other = api.site.client(called="other")
        answers = [api.get("/Users") for _ in range(8)]

        assert [answer.status_code for answer in answers] == [200] * 7 + [429]
        assert refusal(answers[-1]) == (
            429,
            None,
            "This credential has sent more requests than one may in a minute (SCIM_REQUEST_RATE)."
            " Repeat this one in 9 s.",
        )
        assert answers[-1].headers["Retry-After"] == "9"
        assert other.get("/Users").status_code == 200
        time.tick(timedelta(seconds=9))
        assert [api.get("/Users").status_code for _ in range(2)] == [200, 429]


def test_by_default_a_credential_has_no_rate(api):
    assert {api.get("/ServiceProviderConfig").status_code for _ in range(400)} == {200}


@pytest.mark.parametrize("path", ["/Users", "/ServiceProviderConfig", "/Users/.search"])
def test_an_address_with_too_many_refused_attempts_gets_429_instead_of_401(of, path):
    with freeze_time("2026-11-28T08:00:00Z") as time:
        api = of(SCIM_REFUSAL_RATE="4")

        assert statuses(api, 4, "192.0.2.1", WRONG, "/Users") == [401] * 4
        late = api.ask(
            "POST" if path.endswith("search") else "GET",
            path,
            headers=WRONG,
            environ_overrides={"REMOTE_ADDR": "192.0.2.1"},
        )
        assert refusal(late)[:2] == (429, None)
        assert late.headers["Retry-After"] == "15"
        assert statuses(api, 1, "192.0.2.2") == [401]
        time.tick(timedelta(seconds=15))
        assert statuses(api, 2) == [401, 429]


def test_a_good_credential_is_let_in_whatever_others_tried_from_its_address(of):
    api = of(SCIM_REFUSAL_RATE="1")

    assert statuses(api, 3) == [401, 429, 429]
    assert statuses(api, 1, "192.0.2.1", {}) == [200]
    assert statuses(api, 1) == [429]


def test_an_attempt_without_a_credential_or_with_an_ended_one_counts_too(of):
    with freeze_time("2026-11-28T08:00:00Z") as time:
        api = of(SCIM_REFUSAL_RATE="2")
        ended = api.site.client(expires_at="2026-11-28T09:00:00.000000Z").token
        time.tick(60 * MINUTE)

        assert statuses(api, 1, "192.0.2.1", {"Authorization": None}) == [401]
        assert statuses(api, 2, "192.0.2.1", {"Authorization": ended}) == [401, 429]


@pytest.mark.parametrize(
    ("first", "second", "status"),
    [
        ("2001:db8::1", "2001:db8::ffff:1", 429),
        ("2001:db8::1", "2001:db8:0:1::1", 401),
        ("192.0.2.1", "192.0.2.2", 401),
        ("", "", 429),
    ],
)
def test_addresses_of_an_ipv6_network_count_together(of, first, second, status):
    api = of(SCIM_REFUSAL_RATE="1")
    attempt(api, first)

    assert attempt(api, second).status_code == status


def test_the_address_that_counts_is_the_one_that_a_trusted_proxy_names(of):
    api = of(SCIM_REFUSAL_RATE="1", SCIM_TRUSTED_PROXIES="1")
    sent = [WRONG | {"X-Forwarded-For": address} for address in ("192.0.2.7", "192.0.2.8")]

    assert [attempt(api, headers=sent[n]).status_code for n in (0, 0, 1, 1)] == [401, 429] * 2


def test_refused_attempts_have_no_rate_where_it_is_0(of):
    assert set(statuses(of(SCIM_REFUSAL_RATE="0"), 310)) == {401}


def test_repeated_refused_attempts_are_one_log_line_a_minute_of_an_address_and_a_reason(of, capsys):
    def lines():
        said = [json.loads(line) for line in capsys.readouterr().err.splitlines()]
        return [(each["refused"], each["status"], each["left_out"]) for each in said]

    with freeze_time("2026-11-28T08:00:00Z") as time:
        api = of(SCIM_REFUSAL_RATE="9")
        statuses(api, 5)
        assert lines() == [("token.form", 401, 0)]
        statuses(api, 2, "192.0.2.1", {"Authorization": None})
        statuses(api, 1, "192.0.2.2")
        assert lines() == [("token.missing", 401, 0), ("token.form", 401, 0)]
        statuses(api, 5)
        assert lines() == [("rate.refusals", 429, 0)]
        time.tick(MINUTE)
        statuses(api, 2)
        assert lines() == [("token.form", 401, 6)]


def test_all_worker_processes_count_together(start_made):
    server = start_made(
        WEB_CONCURRENCY=3, SCIM_REQUEST_RATE=30, SCIM_REFUSAL_RATE=20, SCIM_BIND="127.0.0.1"
    )

    def ask(headers):
        return server.ask("GET", "/Users", headers=headers).status

    with ThreadPoolExecutor(6) as pool:
        good = list(pool.map(ask, [{}] * 60))
        wrong = list(pool.map(ask, [WRONG] * 60))
    server.stop()
    lines = [each for each in server.log_lines() if each.get("refused") == "token.form"]

    assert good.count(200) in range(30, 36)  # some seconds may have passed
    assert wrong.count(401) in range(20, 26)
    assert set(good) | set(wrong) == {200, 401, 429}
    assert len(lines) == 1
