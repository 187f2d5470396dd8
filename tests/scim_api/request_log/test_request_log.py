"""The request log: which requests, which of their values, in which ledger, how many."""

import logging
import threading
from datetime import timedelta

import pytest
from freezegun import freeze_time

from ledger import clock
from ledger.contract import LedgerUnavailable
from ledger.sqlite.connection import connect, connect_read_only
from scim_api.auth import tokens
from scim_api.auth.scopes import Scope
from scim_api.logs import LOGGER
from scim_api.protocol.errors import Refusal
from scim_api.protocol.schema.resource_types import ENTERPRISE_URN, RESOURCE_TYPES, USER_URN
from scim_api.request_log import store as request_log
from scim_api.request_log.records import (
    TURNED_AWAY,
    Entry,
    KnownPaths,
    NoChange,
    known_client,
    known_path,
)
from scim_api.request_log.store import MAX_PENDING, Bounds, RequestLog
from tests.scim_api.client import add, group, patch, replace, user
from tests.scim_api.schemes import basic

LEDGER = "/ledger/v1"
BULK_URN = "urn:ietf:params:scim:api:messages:2.0:BulkRequest"
AN_ID = "019ab6d3-0000-7000-8000-000000000000"
WORDS = frozenset(("scim", "v2", "Users", "Schemas", "ResourceTypes", ".search"))


def with_reader(api):
    """Return a second client, whose token can read the log of their ledger."""
    api.reader = api.site.client(api.ledger, scopes=[Scope.OPERATE])
    return api


@pytest.fixture
def api(api):
    return with_reader(api)


@pytest.fixture
def two(site):
    """Return clients of two ledgers."""
    return with_reader(site.make("one")), with_reader(site.make("other"))


def kept(api, **parameters):
    """Return what the log of an API's ledger holds, newest first."""
    answer = api.reader.get("/requests", base=LEDGER, query_string=parameters)
    assert answer.status_code == 200, answer.text
    return answer.json["requests"]


def bulk(api, *operations, **more):
    return api.post({"schemas": [BULK_URN], "Operations": list(operations)}, "/Bulk", **more)


# Which requests


def test_a_refused_request_is_logged_with_its_details(api):
    created = api.create()
    body = user("other@example.com", emails=5)

    answer = api.put(created, body, headers={"User-Agent": "Okta SCIM Client 1.0.0"})

    [found] = kept(api)
    assert answer.headers["X-Request-Id"] == found.pop("requestId")
    assert found.pop("milliseconds") > 0
    assert found.pop("at") <= clock.timestamp()
    assert found.pop("actor") == api.site.events()[-1].actor
    assert found == {
        "credential": "okta",
        "number": 1,
        "client": "Okta",
        "userAgent": "Okta SCIM Client 1.0.0",
        "method": "PUT",
        "path": f"/scim/v2/Users/{created['id']}",
        "status": 400,
        "scimType": "invalidValue",
        "detail": answer.json["detail"],
        "resourceType": "User",
        "resourceId": created["id"],
        "attributes": ["emails"],
    }


def test_successful_requests_are_not_logged(api):
    created = api.create()
    api.get("/Users")
    api.read(created)
    api.patch(created, replace("Boss", "title"))
    api.delete(created)

    assert kept(api) == []


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("GET", "/Users?filter=x", 400),
        ("GET", "/Nothing", 404),
        ("DELETE", "/Users", 405),
        ("DELETE", f"/Users/{AN_ID}", 404),
        ("POST", "/Me", 501),
        ("HEAD", f"/Users/{AN_ID}", 404),
    ],
)
def test_every_refusal_is_kept_whatever_the_method(api, method, path, status):
    api.ask(method, path)

    [found] = kept(api)
    assert (found["method"], found["status"]) == (method, status)


def test_refusals_of_the_ledgers_own_api_are_kept(api):
    api.reader.get(f"/requests/{AN_ID}", base=LEDGER)
    api.get("/requests", base=LEDGER)

    forbidden, found = kept(api)
    assert (forbidden["status"], forbidden["path"]) == (403, "/ledger/v1/requests")
    assert found["path"] == f"/ledger/v1/requests/{AN_ID}"


def test_refusals_elsewhere_are_not_kept_without_a_token_that_names_a_ledger(api):
    api.get("/nothing", base="", headers={"Authorization": None})
    api.get("/nothing", base="", headers={"Authorization": "Bearer no-token"})
    api.get("/nothing", base="", headers={"Authorization": f"Bearer {tokens.issue('0' * 16)}"})

    assert kept(api) == []


@pytest.mark.parametrize("path", ["/livez", "/readyz", "/openapi.json"])
def test_refusals_without_a_ledger_are_not_logged(api, path):
    assert api.ask("DELETE", path, base="").status_code == 405

    assert kept(api) == []


@pytest.mark.parametrize(
    ("path", "shown"),
    [("/Users", "/Users"), ("/scim/Users", "/scim/Users"), ("/scim/v2x/Users", "/scim/…/Users")],
)
def test_a_token_at_a_base_that_is_none_is_kept(api, path, shown):
    api.get(path, base="", query_string={"filter": 'userName eq "jane@example.com"'})

    [found] = kept(api)
    assert (found["status"], found["path"]) == (404, shown)
    assert found["actor"] == api.site.events()[-2].subject


# Who


def revoked(api, called="okta"):
    """Revoke a client's token and return its id."""
    issued = next(e for e in api.site.events(api.ledger) if e.type == "CredentialIssued")
    api.site.append(api.ledger, issued.stream, 1, ("CredentialRevoked",))
    return issued.subject


def test_a_401_names_the_credential_that_was_revoked(api):
    own = revoked(api)

    api.get("/Users")

    [found] = kept(api)
    assert (found["status"], found["actor"]) == (401, own)


def test_a_401_names_the_credential_that_has_expired(api):
    api.site.client(expires_at="2020-01-01T00:00:00.000000Z").get("/Users")

    [found] = kept(api)
    assert (found["status"], found["actor"]) == (401, api.site.events()[-1].subject)


@pytest.mark.parametrize(("method", "path"), [("GET", "/Nothing"), ("DELETE", "/Users")])
def test_a_request_for_an_unknown_address_names_its_credential(api, method, path):
    api.ask(method, path)

    [found] = kept(api)
    assert found["actor"] == api.site.events()[-2].subject


@pytest.mark.parametrize("base", ["/scim/v2", ""])
def test_an_unknown_address_may_be_the_first_request_of_a_ledger_among_several(two, base):
    one, other = two
    one.site.close()  # the application begins anew, with no ledger open

    other.get("/Nothing", base=base)

    assert kept(one) == []
    [found] = kept(other)
    assert found["status"] == 404


def test_an_unknown_address_may_be_the_first_request_of_a_new_ledger(api):
    api.get("/Users")
    new = with_reader(api.site.make("new"))

    new.get("/Nothing")

    [found] = kept(new)
    assert found["status"] == 404


@pytest.mark.parametrize("way", ["put", "patch"])
def test_a_write_that_changes_nothing_is_kept_with_the_position_of_the_version(api, way):
    created = api.create(title="Boss")
    api.create("other@example.com")
    api.patch(created, replace("Chief", "title"))
    position = api.site.events()[-1].position
    api.create("third@example.com")

    if way == "put":
        api.put(created, user(title="Chief"))
    else:
        api.patch(created, replace("Chief", "title"))

    [found] = kept(api)
    assert (found["status"], found["position"]) == (200, position)
    assert (found["resourceType"], found["resourceId"]) == ("User", created["id"])
    assert "detail" not in found


def test_a_write_of_a_group_that_changes_nothing_is_kept(api):
    member = api.create()
    staff = api.group("Staff", member)

    api.patch(staff, add(member))

    [found] = kept(api)
    assert (found["resourceType"], found["position"]) == ("Group", api.site.events()[-1].position)


def test_a_question_about_the_past_is_kept_with_its_position(api):
    created = api.create()
    auditor = api.site.client(scopes=["audit"])

    auditor.get(f"/Users/{created['id']}", query_string={"asOf": 2})

    [found] = kept(api)
    assert (found["status"], found["position"]) == (404, 2)


def test_a_304_is_no_refusal(api):
    created = api.create()

    answer = api.get(api.path(created), headers={"If-None-Match": created["meta"]["version"]})

    assert answer.status_code == 304
    assert kept(api) == []


# /Bulk


def test_each_refused_operation_of_a_bulk_request_is_kept_under_its_id(api):
    created = api.create()
    answer = bulk(
        api,
        {"method": "POST", "path": "/Users", "bulkId": "a", "data": user()},
        {"method": "DELETE", "path": f"/Users/{AN_ID}"},
        {"method": "PATCH", "path": api.path(created), "data": patch(replace("T", "title"))},
        {"method": "PATCH", "path": api.path(created), "data": patch(replace("T", "title"))},
    )

    found = kept(api)[::-1]
    assert {each["requestId"] for each in found} == {answer.headers["X-Request-Id"]}
    assert [(each["method"], each["path"], each["status"]) for each in found] == [
        ("POST", "/scim/v2/Users", 409),
        ("DELETE", f"/scim/v2/Users/{AN_ID}", 404),
        ("PATCH", f"/scim/v2/Users/{created['id']}", 200),
    ]
    assert all(each["bulk"] for each in found)
    assert found[2]["position"] == api.site.events()[-1].position


def test_a_bulk_request_in_which_all_went_well_is_not_kept(api):
    bulk(api, {"method": "POST", "path": "/Users", "bulkId": "a", "data": user()})

    assert kept(api) == []


def test_a_bulk_request_fills_the_log_with_a_hundred_rows_at_most(api):
    bulk(api, *({"method": "DELETE", "path": f"/Users/{number}"} for number in range(150)))

    assert len(kept(api, count=1000)) == 100


def test_a_bulk_request_that_was_refused_whole_is_no_operation_of_one(api):
    api.post({"schemas": [BULK_URN]}, "/Bulk")

    [found] = kept(api)
    assert "bulk" not in found


# Of an address


@pytest.mark.parametrize(
    ("path", "expected"),
    [
        (f"/scim/v2/Users/{AN_ID}", f"/scim/v2/Users/{AN_ID}"),
        ("/scim/v2/Users/jane@example.com", "/scim/v2/Users/…"),
        ("/scim/v2/users/.search", "/scim/v2/…/.search"),
        (f"/scim/v2/Schemas/{USER_URN}", f"/scim/v2/Schemas/{USER_URN}"),
        (f"/scim/v2/Schemas/{ENTERPRISE_URN.upper()}", f"/scim/v2/Schemas/{ENTERPRISE_URN}"),
        ("/scim/v2/Schemas/urn:jane", "/scim/v2/Schemas/…"),
        ("/scim/v2/ResourceTypes/Group", "/scim/v2/ResourceTypes/Group"),
        ("/scim/v2/Users/00u1/jane", "/scim/v2/Users/…/…"),
        ("/scim/v2" + "/jane" * 100, "/scim/v2" + "/…" * 10),
        ("", ""),
    ],
)
def test_only_segments_issued_by_the_service_are_logged(path, expected):
    assert known_path(path, WORDS, RESOURCE_TYPES) == expected


@pytest.mark.parametrize(
    ("agent", "expected"),
    [
        ("Okta SCIM Client 1.0.0", "Okta SCIM Client 1.0.0"),
        ("curl/8 (jane@example.com)", "curl"),
        ("jane%40example.com", "other"),
        ("curl/8 (jane at example.com)", "curl"),
        ("Okta +49 171 2345678", "Okta"),
        ("Okta 0171 234 5678", "Okta"),
        ("Mozilla/5.0 Gecko/20100101 X/1.0", "Mozilla/5.0 Gecko/20100101 X/1.0"),
        ("Okta scl_0123456789abcdef_secret", "Okta"),
        *((f"Okta SCL{kind}_0123456789abcdef_secret", "Okta") for kind in "acors"),
        ("Okta scl 1.0", "Okta scl 1.0"),
    ],
)
def test_of_a_client_that_names_a_person_or_a_token_only_the_family_is_kept(agent, expected):
    assert known_client(agent) == expected


# Whose log


def test_each_ledger_has_a_log_of_its_own(two):
    one, other = two

    one.get("/Users/x")

    assert len(kept(one)) == 1
    assert kept(other) == []


@pytest.mark.parametrize("form", ["Bearer {}", "{}", "Basic"])
@pytest.mark.parametrize("prefix", tokens.Prefix)
def test_a_refused_secret_leads_to_the_ledger_that_it_names(two, form, prefix):
    one, other = two
    secret = tokens.issue(one.token[4:20], prefix)

    for sent in (secret, secret[:-3]):
        header = basic("okta", sent) if form == "Basic" else form.format(sent)
        one.get("/Users", headers={"Authorization": header})

    assert [each["status"] for each in kept(one)] == [401, 401]
    assert all("actor" not in each for each in kept(one))
    assert {each["path"] for each in kept(one)} == {"/scim/v2/Users"}
    assert kept(other) == []


def test_a_request_without_a_token_is_in_the_log_of_the_only_ledger(api):
    api.get("/Users", headers={"Authorization": None})

    [found] = kept(api)
    assert (found["status"], found["path"]) == (401, "/scim/v2/Users")


def test_a_request_without_a_token_is_in_no_log_where_there_are_two_ledgers(two):
    one, other = two

    one.get("/Users", headers={"Authorization": None})

    assert kept(one) == kept(other) == []


# How much


SERVED = KnownPaths("/scim/v2", "/ledger/v1", WORDS)


def entry(number=0, *, actor="c", at=None, outcome=None, status=400):
    """Return a request that was refused."""
    return Entry(
        at=at or clock.timestamp(),
        id=f"request-{number:06}",
        actor=actor,
        user=None,
        client="curl/8",
        method="GET",
        path="/scim/v2/Users",
        status=status,
        milliseconds=1.0,
        outcome=outcome or Refusal(status, "value.bad", "It was wrong.", "It was wrong."),
        types=RESOURCE_TYPES,
        known=SERVED,
    )


class Unreadable:
    """A ledger in which no version is found; nobody was erased."""

    def position_of(self, stream, version):
        raise LedgerUnavailable("gone")

    def erased_since(self, at):
        return {}

    def leave(self):
        pass


class Silent(Unreadable):
    """A ledger that cannot tell who was erased either."""

    def erased_since(self, at):
        raise LedgerUnavailable("gone")


@pytest.fixture
def log(tmp_path):
    """Return a maker of logs of one file, within bounds."""
    logs = []

    def make(rows=1000, days=90):
        path = tmp_path / request_log.REQUESTS_FILE
        logs.append(RequestLog(path, Unreadable(), Bounds(rows, days)))
        return logs[-1]

    yield make
    for one in logs:
        one.close()


def ids(log):
    return [int(record.request_id[-6:]) for record in log.records(10_000)]


def fill(log, numbers, **more):
    for number in numbers:
        log.note(entry(number, **more))
    log.flush()


def test_while_nobody_can_tell_who_was_erased_no_name_is_written(tmp_path):
    unsure = RequestLog(tmp_path / request_log.REQUESTS_FILE, Silent())

    unsure.note(entry())

    assert [(r.client, r.request_id) for r in unsure.records(10)] == [("curl", "…")]


def test_no_more_rows_are_kept_than_is_set(log):
    bounded = log(rows=50)

    fill(bounded, range(40))
    fill(bounded, range(40, 80))

    assert ids(bounded) == list(range(79, 29, -1))


def test_a_bound_that_was_lowered_is_reached_a_little_at_a_time(log):
    fill(log(), range(1000))
    bounded = log(rows=100)

    fill(bounded, [1000])
    assert len(ids(bounded)) == 1001 - 2 - request_log._SPARE

    for number in range(1001, 1005):
        fill(bounded, [number])
    assert len(ids(bounded)) == 100


def test_old_rows_are_removed(log):
    bounded = log(days=30)
    old = clock.timestamp(clock.now() - timedelta(days=31))
    fill(bounded, range(10), at=old)

    fill(bounded, [10])

    connection = connect_read_only(bounded._path)
    assert connection.execute("SELECT request_id FROM request").fetchall() == [("request-000010",)]
    connection.close()


def test_old_rows_are_hidden_even_before_they_are_removed(log):
    fill(log(days=90), range(10), at=clock.timestamp(clock.now() - timedelta(days=31)))

    assert ids(log(days=90)) == list(range(9, -1, -1))
    assert ids(log(days=30)) == []


def test_strangers_fill_a_tenth_of_the_log_at_most(log):
    bounded = log(rows=100)
    fill(bounded, range(50))

    fill(bounded, range(100, 400), actor=None)

    assert ids(bounded) == [*range(399, 389, -1), *range(49, -1, -1)]


def test_refused_tokens_fill_a_tenth_of_the_log_though_it_is_known_whose_they_are(log):
    bounded = log(rows=100)
    fill(bounded, range(50))

    fill(bounded, range(100, 400), status=401)

    assert ids(bounded) == [*range(399, 389, -1), *range(49, -1, -1)]


@pytest.mark.parametrize("code", TURNED_AWAY)
def test_so_do_those_who_may_not_ask_at_all_whatever_they_asked_for(log, code):
    bounded = log(rows=100)
    fill(bounded, range(50))

    fill(bounded, range(100, 400), status=403, outcome=Refusal(403, code, "No.", "No."))

    assert ids(bounded) == [*range(399, 389, -1), *range(49, -1, -1)]


def test_unknown_addresses_share_no_tenth_with_strangers_where_the_token_is_live(api):
    for number in range(30):
        api.get(f"/Nothing/{number}")
        api.get("/Users", headers={"Authorization": "Bearer none"})
    tenant = next(iter(api.site.runtime.tenants))
    tenant.requests.flush()

    bounded = RequestLog(tenant.requests._path, tenant.ledger, Bounds(100, 90))
    fill(bounded, [1])

    statuses = [record.status for record in bounded.records(1000)]
    bounded.close()
    assert (statuses.count(404), statuses.count(401)) == (30, 10)


def test_strangers_fill_a_tenth_of_the_memory_at_most(log):
    bounded = log(rows=100_000)
    for number in range(MAX_PENDING):
        bounded.note(entry(number, actor=None))
    bounded.note(entry(999_999))

    assert ids(bounded)[0] == 999_999
    assert len(ids(bounded)) == MAX_PENDING // 10 + 1


@pytest.fixture
def said():
    """Return what the service's log says meanwhile."""
    lines = []
    listener = logging.Handler()
    listener.emit = lines.append
    LOGGER.addHandler(listener)
    yield lines
    LOGGER.removeHandler(listener)


def test_rows_beyond_the_buffer_are_counted_in_one_line(log, said):
    bounded = log(rows=100_000)
    bounded.interval = 3600.0  # no timer writes in between, however slow the machine is

    for number in range(MAX_PENDING + 7):
        bounded.note(entry(number))
    bounded.flush()

    assert [(line.getMessage(), line.fields) for line in said] == [
        ("request log overflowed", {"dropped": 7})
    ]
    assert len(ids(bounded)) == MAX_PENDING


def test_dropped_rows_are_said_once_a_minute_and_in_the_end(log, said):
    bounded = log(rows=100_000)
    bounded.interval = 3600.0

    def flood(dropped):
        for number in range(MAX_PENDING + dropped):
            bounded.note(entry(number))
        bounded.flush()

    with freeze_time("2026-11-28T08:00:00Z") as clock:
        flood(1)
        flood(2)
        flood(3)
        clock.tick(60)
        fill(bounded, [1])
        flood(4)
        bounded.close()

    assert [line.fields["dropped"] for line in said] == [1, 5, 4]


def test_removed_rows_are_overwritten(log):
    bounded = log(rows=10)
    for number in range(30):
        fill(bounded, [number])

    assert b"request-000005" not in bounded._path.read_bytes()


def test_a_log_of_an_earlier_version_is_read_and_written(log):
    fill(log(), [0])
    connection = connect(log()._path)
    connection.execute("DROP INDEX request_turned_away")
    for column in ("bulk", "code"):
        connection.execute(f"ALTER TABLE request DROP COLUMN {column}")
    connection.close()

    assert ids(log()) == [0]
    fill(log(), [1])
    assert [(r.code, r.status) for r in log().records(2)] == [
        ("value.bad", 400),
        (None, 400),
    ]


def test_several_processes_write_one_log(log):
    logs = [log(rows=10_000) for _ in range(4)]
    threads = [
        threading.Thread(target=lambda n=n, each=each: fill_slowly(each, n * 1000))
        for n, each in enumerate(logs)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)

    assert sorted(ids(logs[0])) == [n * 1000 + i for n in range(4) for i in range(50)]


def fill_slowly(log, start):
    for number in range(50):
        log.note(entry(start + number))
        if number % 5 == 0:
            log.flush()
    log.flush()


def test_a_log_that_is_held_is_written_later(log):
    bounded = log()
    fill(bounded, [0])
    other = connect(bounded._path)
    other.execute("BEGIN IMMEDIATE")
    bounded.note(entry(1))
    flushing = threading.Thread(target=bounded.flush)
    flushing.start()
    other.execute("ROLLBACK")
    flushing.join(20)
    other.close()

    assert ids(bounded) == [1, 0]


def test_a_log_that_cannot_be_written_hurts_no_request(api):
    path = api.site.data_dir / "default" / request_log.REQUESTS_FILE
    path.mkdir()

    assert api.get("/Users/x").status_code == 404
    api.site.close()
    path.rmdir()

    assert api.create()


def test_unwritten_rows_are_kept_and_logged_once(log, said):
    bounded = log()
    bounded._path.mkdir()
    fill(bounded, [0])
    fill(bounded, [1])
    bounded._path.rmdir()

    assert ids(bounded) == [1, 0]
    assert [line.getMessage() for line in said] == ["request log not writable"]


def test_the_position_is_left_out_where_the_ledger_cannot_be_read(log):
    bounded = log()

    fill(bounded, [0], outcome=NoChange("User", AN_ID, 1))

    [record] = bounded.records(10)
    assert (record.resource_id, record.position) == (AN_ID, None)


def test_only_the_owner_can_open_the_file(log):
    bounded = log()
    fill(bounded, [0])

    assert bounded._path.stat().st_mode & 0o077 == 0


def test_rows_are_there_within_a_second_though_nobody_asks(log):
    bounded = log()

    bounded.note(entry(0))
    threading.Event().wait(1.0)

    connection = connect_read_only(bounded._path)
    assert connection.execute("SELECT count(*) FROM request").fetchone() == (1,)
    connection.close()


def test_a_group_that_is_taken_is_kept_with_the_name_of_the_attribute(api):
    api.group("Staff")

    api.post(group("staff"), "/Groups")

    [found] = kept(api)
    assert (found["scimType"], found["attributes"]) == ("uniqueness", ["displayName"])
