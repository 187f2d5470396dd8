"""Many clients change one group in two processes: no member lost or doubled."""

import random
import subprocess
from concurrent.futures import ThreadPoolExecutor
from itertools import chain
from urllib.parse import quote
from uuid import uuid4

import pytest

from ledger.events import DELETED
from ledger.verify.verifier import verify
from projections.state import MEMBER
from tests.scim_api.client import Site, add, group, patch, remove, replace, user
from tests.scim_api.process import PROGRAM, Server, environment

CLIENTS = 8


@pytest.fixture(scope="module")
def service(tmp_path_factory):
    """Return a service of two processes; its ledger must be sound at the end."""
    server = Server(tmp_path_factory.mktemp("groups"), WEB_CONCURRENCY=2)
    yield server
    server.clean_up()
    assert verify(server.data_dir / "default" / "ledger.db").findings == []
    checked = scim_ledger(server, "projections", "check")
    assert checked.returncode == 0, checked.stdout + checked.stderr


@pytest.fixture
def name():
    """Return a name that no other group has."""
    return f"Group {uuid4()}"


def scim_ledger(server, *words):
    return subprocess.run(
        [*PROGRAM, *words], env=environment(server.data_dir), capture_output=True, text=True
    )


def at_once(clients, act):
    """Run clients at the same time; return what each did."""
    with ThreadPoolExecutor(clients) as pool:
        return list(pool.map(act, range(clients)))


def made(server, path, body):
    reply = server.ask("POST", path, body)
    assert reply.status == 201, reply.body
    return reply.json


def members(server, place):
    return {one["value"] for one in server.ask("GET", place).json.get("members", ())}


def people(server, count):
    return [made(server, "/Users", user(f"{uuid4()}@example.com"))["id"] for _ in range(count)]


def test_no_change_of_eight_concurrent_clients_is_lost(service, name):
    leaving = [[f"old-{n}-{turn}" for turn in range(10)] for n in range(CLIENTS)]
    joining = [[f"new-{n}-{turn}" for turn in range(10)] for n in range(CLIENTS)]
    place = "/Groups/" + made(service, "/Groups", group(name, "stays", *chain(*leaving)))["id"]

    def act(number):
        return [
            service.ask("PATCH", place, patch(remove(old), add(new))).status
            for old, new in zip(leaving[number], joining[number], strict=True)
        ]

    statuses = at_once(CLIENTS, act)

    assert {status for each in statuses for status in each} == {200}
    assert members(service, place) == {"stays", *chain(*joining)}


def test_each_change_of_one_group_and_one_user_is_recorded_once(service, name):
    place = "/Groups/" + made(service, "/Groups", group(name))["id"]
    person = "/Users/" + made(service, "/Users", user(f"{uuid4()}@example.com"))["id"]
    names = [[f"{name}-{n}-{turn}" for turn in range(10)] for n in range(CLIENTS)]

    def act(number):
        return [
            (
                service.ask("PATCH", place, patch(add(each))).status,
                service.ask("PATCH", person, patch(replace(each, "title"))).status,
            )
            for each in names[number]
        ]

    statuses = at_once(CLIENTS, act)

    assert {status for each in statuses for status in each} == {(200, 200)}
    events = Site(service.data_dir).events()
    joined = [key for e in events if e.subject in place for key in e.effects if MEMBER in key]
    titles = [e.effects["title"] for e in events if e.subject in person and "title" in e.effects]
    asked = sorted(chain(*names))
    assert (sorted(joined), sorted(titles)) == ([MEMBER + each for each in asked], asked)
    for path in (place, person):
        versions = [e.version for e in events if e.subject in path]
        assert versions == list(range(1, len(versions) + 1))


def test_batches_of_one_push_all_arrive_whatever_their_order(service, name):
    ids = people(service, 40)
    place = "/Groups/" + made(service, "/Groups", group(name))["id"]
    batches = [ids[first : first + 5] for first in range(0, 40, 5)]

    def push(number):
        rename = replace({"id": place.split("/")[-1], "displayName": f"New {name}"})
        first = service.ask("PATCH", place, patch(rename)).status
        return first, service.ask("PATCH", place, patch(add(*batches[number]))).status

    statuses = at_once(len(batches), push)

    assert set(statuses) == {(200, 200)}
    assert members(service, place) == set(ids)
    shown = [service.ask("GET", f"/Users/{id_}").json["groups"] for id_ in ids[::10]]
    assert {one["display"] for groups in shown for one in groups} == {f"New {name}"}


def test_simultaneous_repetitions_of_one_batch_record_one_event(service, name):
    place = "/Groups/" + made(service, "/Groups", group(name))["id"]
    batch = patch(add(*[f"x{number}" for number in range(20)]))

    replies = at_once(CLIENTS, lambda _: service.ask("PATCH", place, batch))

    assert {reply.json["meta"]["version"] for reply in replies} == {'W/"2"'}
    assert len(members(service, place)) == 20


def test_get_and_put_with_if_match_loses_nobody(service, name):
    place = "/Groups/" + made(service, "/Groups", group(name))["id"]

    def join(number):
        for _ in range(200):
            read = service.ask("GET", place)
            now = [one["value"] for one in read.json.get("members", ())]
            body = group(name, *now, f"x{number}")
            reply = service.ask("PUT", place, body, headers={"If-Match": read.headers["ETag"]})
            if reply.status != 412:
                return reply.status

    statuses = at_once(CLIENTS, join)

    assert statuses == [200] * CLIENTS
    assert members(service, place) == {f"x{number}" for number in range(CLIENTS)}


def test_of_puts_without_if_match_one_wins_whole(service, name):
    place = "/Groups/" + made(service, "/Groups", group(name, "old"))["id"]
    lists = [[f"{number}-{turn}" for turn in range(20)] for number in range(CLIENTS)]

    replies = at_once(CLIENTS, lambda n: service.ask("PUT", place, group(name, *lists[n])))

    assert {reply.status for reply in replies} == {200}
    assert sorted(members(service, place)) in [sorted(one) for one in lists]


def test_a_put_that_names_no_members_loses_nobody_who_joins_meanwhile(service, name):
    place = "/Groups/" + made(service, "/Groups", group(name, None))["id"]
    renames = patch(replace("x", "externalId"))

    def act(number):
        if number == 0:
            return service.ask("PUT", place, group(name, None)).status
        change = renames if number == 1 else patch(add(f"x{number}"))
        return service.ask("PATCH", place, change).status

    statuses = at_once(CLIENTS, act)

    assert set(statuses) == {200}
    assert members(service, place) == {f"x{number}" for number in range(2, CLIENTS)}


def test_simultaneous_creates_of_one_group_give_one(service, name):
    names = [name.lower(), name.upper()]

    replies = at_once(CLIENTS, lambda n: service.ask("POST", "/Groups", group(names[n % 2], "x")))

    assert sorted(reply.status for reply in replies) == [201] + [409] * (CLIENTS - 1)
    found = service.ask("GET", "/Groups?filter=" + quote(f'displayName eq "{name}"')).json
    assert found["totalResults"] == 1


def test_users_deleted_while_they_join_are_left_in_no_group(service, name):
    ids = people(service, 24)
    places = [
        "/Groups/" + made(service, "/Groups", group(f"{name} {n}", *ids))["id"] for n in range(3)
    ]

    def act(number):
        shuffled = random.Random(number).sample(ids, len(ids))
        if number % 2:
            return [service.ask("DELETE", f"/Users/{id_}").status for id_ in shuffled]
        place = places[number % 3]
        return [service.ask("PATCH", place, patch(remove(i), add(i))).status for i in shuffled]

    statuses = at_once(CLIENTS, act)

    assert {status for each in statuses for status in each} <= {200, 204, 404}
    deletions = [status for each in statuses[1::2] for status in each]
    assert deletions.count(204) == len(ids)
    assert left_behind(service) == []


def left_behind(server):
    """Return who was still a member of a group when they were deleted."""
    found, within = [], {}
    for event in Site(server.data_dir).events():
        if event.category == "Group":
            now = within.setdefault(event.subject, set())
            for key, value in event.effects.items():
                if key.startswith(MEMBER):
                    (now.discard if value is None else now.add)(key)
        elif event.type == DELETED:
            found += [event.subject for now in within.values() if MEMBER + event.subject in now]
    return found
