"""The rate of requests of a credential, of refused attempts of an address, and of their lines."""

import json
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta

import pytest
from freezegun import freeze_time

from scim_api import logs, rates
from scim_api.web import refusal_lines
from scim_api.web.refusal_lines import RefusalLines
from tests.scim_api.client import Api, refusal, user
from tests.scim_api.process import wait_until

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


@pytest.fixture
def said(capsys):
    """Return what reads the lines about refusals that were logged since it was called last."""

    def read(*names):
        found = [json.loads(line) for line in capsys.readouterr().err.splitlines()]
        return [tuple(map(each.get, names)) for each in found if "refused" in each]

    return read


def test_repeated_refused_attempts_are_one_log_line_a_minute_of_an_address_and_a_reason(of, said):
    def lines():
        return said("refused", "status", "left_out")

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


def test_a_credential_used_from_another_network_is_an_attempt_of_the_address(of, said):
    api = of(SCIM_REFUSAL_RATE="2")
    issued = api.site.issue(called="second", networks=("203.0.113.0/24",))
    client = Api(api.site, "default", issued.token)

    assert statuses(client, 4, "192.0.2.1", {}) == [403, 403, 429, 429]
    assert statuses(client, 1, "203.0.113.1", {}) == [200]
    assert said("refused", "status", "credential", "address") == [
        ("credential.network", 403, issued.id, "192.0.2.1"),
        ("rate.refusals", 429, issued.id, "192.0.2.1"),
    ]


@pytest.mark.parametrize("allows", ["nothing", "reads"])
def test_refusals_of_a_paused_credential_count_to_its_own_rate(of, said, allows):
    with freeze_time("2026-11-28T08:00:00Z") as time:
        api = of(SCIM_REQUEST_RATE="3")
        issued = api.site.issue(called="second")
        client = Api(api.site, "default", issued.token)
        api.site.append(
            "default", f"Credential-{issued.id}", 1, ("CredentialChanged", {"allows": allows})
        )

        assert [client.post(user()).status_code for _ in range(5)] == [403] * 3 + [429] * 2
        assert statuses(api, 1, "192.0.2.1", {}) == [200]
        time.tick(MINUTE)
        client.post(user())
        assert said("refused", "status", "left_out", "credential", "address") == [
            ("credential.paused", 403, 0, issued.id, None),
            ("rate.requests", 429, 0, issued.id, None),
            ("credential.paused", 403, 2, issued.id, None),
        ]


def test_only_the_line_of_a_refused_attempt_names_an_address(of, capsys):
    api = of()
    api.create()
    statuses(api, 2)

    lines = [json.loads(line) for line in capsys.readouterr().err.splitlines()]
    assert [(each["status"], each.get("address")) for each in lines if "status" in each] == [
        (201, None),
        (401, "192.0.2.1"),
    ]


def test_what_was_left_out_last_is_logged_when_the_service_ends(of, said):
    api = of(SCIM_REFUSAL_RATE="3")
    statuses(api, 9)
    said()

    api.site.close()

    last = {(code, address, left) for code, address, left in said("refused", "address", "left_out")}
    assert last == {("token.form", "192.0.2.1", 2), ("rate.refusals", "192.0.2.1", 5)}


def test_what_was_left_out_last_is_logged_once_the_minute_is_over(said, monkeypatch):
    monkeypatch.setattr(refusal_lines, "MINUTE", 0.5)
    monkeypatch.setattr(rates, "MINUTE", 500_000_000)
    logs.configure("info")
    lines, kind = RefusalLines(), {"refused": "token.form", "address": "192.0.2.1"}

    assert [lines.left_out(kind) for _ in range(3)] == [0, None, None]
    assert wait_until(lambda: said("refused", "address", "left_out")) == [(*kind.values(), 2)]
    lines.settle(ended=True)
    assert said() == []


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
    written = [each for each in lines if each["message"] == "request"]

    assert good.count(200) in range(30, 36)  # some seconds may have passed
    assert wrong.count(401) in range(20, 26)
    assert set(good) | set(wrong) == {200, 401, 429}
    assert len(written) == 1
    assert sum(each["left_out"] for each in lines) == wrong.count(401) - 1
