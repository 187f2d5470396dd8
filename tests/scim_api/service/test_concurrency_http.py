"""Two processes with many threads: nothing lost, nothing doubled, nothing that blocks."""

import contextlib
import http.client
import random
import socket
import threading
from concurrent.futures import ThreadPoolExecutor

import pytest

from ledger.verify.verifier import verify
from tests.scim_api.client import BASE, patch, replace, user
from tests.scim_api.process import wait_until


def together(count, ask):
    """Ask from as many threads as questions, all at the same moment; return the answers."""
    barrier = threading.Barrier(count)

    def at_once(number):
        barrier.wait()
        return ask(number)

    with ThreadPoolExecutor(count) as pool:
        return list(pool.map(at_once, range(count)))


@pytest.mark.parametrize("again", range(5))
def test_eight_simultaneous_creates_of_one_name_give_one_201_and_seven_409(server, again):
    name = f"contested{again}@example.com"

    replies = together(8, lambda number: server.ask("POST", "/Users", user(name)))

    assert sorted(reply.status for reply in replies) == [201] + [409] * 7
    found = server.ask("GET", f"/Users?filter=userName%20eq%20%22{name}%22").json
    assert found["totalResults"] == 1
    holder = found["Resources"][0]["id"]
    assert all(holder in reply.json["detail"] for reply in replies if reply.status == 409)


def test_simultaneous_renames_to_one_name_give_one_200_and_the_rest_409(server):
    people = [server.ask("POST", "/Users", user(f"rename{n}@example.com")).json for n in range(8)]

    replies = together(
        8,
        lambda n: server.ask("PUT", f"/Users/{people[n]['id']}", user("renamed@example.com")),
    )

    assert sorted(reply.status for reply in replies) == [200] + [409] * 7


def test_simultaneous_changes_of_different_attributes_all_stay(server):
    names = ["title", "nickName", "displayName", "locale", "timezone", "userType", "profileUrl"]
    jane = server.ask("POST", "/Users", user("patched@example.com")).json

    replies = together(
        len(names),
        lambda n: server.ask("PATCH", f"/Users/{jane['id']}", patch(replace("x", names[n]))),
    )

    now = server.ask("GET", f"/Users/{jane['id']}").json
    assert {reply.status for reply in replies} == {200}
    assert [now.get(name) for name in names] == ["x"] * len(names)
    assert now["meta"]["version"] == f'W/"{len(names) + 1}"'


def test_simultaneous_repetitions_record_one_event(server):
    jane = server.ask("POST", "/Users", user("repeated@example.com")).json

    replies = together(
        8, lambda n: server.ask("PATCH", f"/Users/{jane['id']}", patch(replace({"active": False})))
    )

    assert {reply.json["meta"]["version"] for reply in replies} == {'W/"2"'}


def test_of_simultaneous_changes_with_one_etag_only_one_is_let_through(server):
    jane = server.ask("POST", "/Users", user("etag@example.com")).json

    replies = together(
        8,
        lambda n: server.ask(
            "PATCH",
            f"/Users/{jane['id']}",
            patch(replace(f"title {n}", "title")),
            headers={"If-Match": 'W/"1"'},
        ),
    )

    assert sorted(reply.status for reply in replies) == [200] + [412] * 7


def test_simultaneous_deletes_give_one_204_and_the_rest_404(server):
    jane = server.ask("POST", "/Users", user("deleted@example.com")).json

    replies = together(8, lambda n: server.ask("DELETE", f"/Users/{jane['id']}"))

    assert sorted(reply.status for reply in replies) == [204] + [404] * 7


def test_an_import_while_users_arrive_loses_and_doubles_nobody(server):
    there = [server.ask("POST", "/Users", user(f"there{n}@x.org")).json["id"] for n in range(110)]
    over = threading.Event()

    def arrive(number):
        turn = 0
        while not over.is_set():
            turn += 1
            server.ask("POST", "/Users", user(f"arrival{number}-{turn}@x.org"))

    with ThreadPoolExecutor(4) as pool:
        arrivals = [pool.submit(arrive, number) for number in range(4)]
        seen, start, total = [], 1, 1
        while start <= total:
            found = server.ask("GET", f"/Users?startIndex={start}&count=100").json
            seen += [resource["id"] for resource in found["Resources"]]
            start, total = start + 100, found["totalResults"]
        over.set()
        for arrival in arrivals:
            arrival.result()

    assert set(there) <= set(seen)
    assert len(set(seen)) == len(seen)


def test_another_process_shows_acknowledged_writes_at_once(server):
    jane = server.ask("POST", "/Users", user("everywhere@example.com")).json
    path = f"/Users/{jane['id']}"

    for number in range(2, 12):
        etag = server.ask("PATCH", path, patch(replace(str(number), "title"))).headers["ETag"]
        seen = {server.ask("GET", path).headers["ETag"] for _ in range(6)}

        assert seen == {etag} == {f'W/"{number}"'}


class Person:
    """A client that works on its own users and those that all share, and remembers each answer."""

    def __init__(self, server, number, shared):
        self.server = server
        self.random = random.Random(number)
        self.number = number
        self.shared = shared
        self.alive, self.gone = {}, set()
        self.answers = []

    def work(self, times):
        connection = http.client.HTTPConnection("127.0.0.1", self.server.port, timeout=60)
        for turn in range(times):
            what = self.random.choice(
                ["create", "create", "change", "look", "list", "share", "end"]
            )
            getattr(self, what)(connection, turn)
        connection.close()

    def ask(self, connection, method, path, body=None):
        reply = self.server.ask_on(connection, method, path, body)
        self.answers.append((method, reply.status))
        return reply

    def create(self, connection, turn):
        name = f"load-{self.number}-{turn}@example.com"
        reply = self.ask(connection, "POST", "/Users", user(name))
        if reply.status == 201:
            self.alive[reply.json["id"]] = reply.json["meta"]["version"]

    def change(self, connection, turn):
        if self.alive:
            id_ = self.random.choice(sorted(self.alive))
            reply = self.ask(
                connection, "PATCH", f"/Users/{id_}", patch(replace(str(turn), "title"))
            )
            if reply.status == 200:
                self.alive[id_] = reply.json["meta"]["version"]

    def look(self, connection, turn):
        for id_ in self.random.sample(sorted(self.alive), min(2, len(self.alive))):
            reply = self.ask(connection, "GET", f"/Users/{id_}")
            assert reply.json["meta"]["version"] == self.alive[id_]

    def list(self, connection, turn):
        self.ask(connection, "GET", "/Users?startIndex=1&count=20&filter=active%20eq%20true")

    def share(self, connection, turn):
        id_ = self.random.choice(self.shared)
        body = patch(replace({"active": turn % 2 == 0, "nickName": f"{self.number}"}))
        self.ask(connection, "PATCH", f"/Users/{id_}", body)

    def end(self, connection, turn):
        if self.alive and turn % 3 == 0:
            id_, _ = self.alive.popitem()
            if self.ask(connection, "DELETE", f"/Users/{id_}").status == 204:
                self.gone.add(id_)


@pytest.mark.slow
def test_under_mixed_load_every_acknowledged_write_is_there_and_nothing_else(start):
    server = start()
    shared = [server.ask("POST", "/Users", user(f"all{n}@x.org")).json["id"] for n in range(3)]
    people = [Person(server, number, shared) for number in range(16)]

    with ThreadPoolExecutor(16) as pool:
        list(pool.map(lambda person: person.work(30), people))

    for person in people:
        assert set(person.answers) <= {
            ("GET", 200),
            ("POST", 201),
            ("PATCH", 200),
            ("DELETE", 204),
        }
    listed = server.ask("GET", "/Users?count=1000").json["Resources"]
    found = {resource["id"]: resource["meta"]["version"] for resource in listed}
    acknowledged = {id_: v for person in people for id_, v in person.alive.items()}
    assert {id_: v for id_, v in found.items() if id_ not in shared} == acknowledged
    assert not any("locked" in line for line in server.stderr.read_text().splitlines())
    assert server.stop() == 0
    assert verify(server.data_dir / "default" / "ledger.db").findings == []


@pytest.mark.slow
def test_clients_that_stall_or_dribble_do_not_keep_a_thread_for_ever(start):
    server = start(WEB_CONCURRENCY=1, SCIM_THREADS=2)
    head = f"POST {BASE}/Users HTTP/1.1\r\nAuthorization: Bearer {server.token}\r\n".encode()
    body = b"Content-Type: application/scim+json\r\nContent-Length: 10000\r\n\r\n{"
    address = "127.0.0.1", server.port

    with socket.create_connection(address) as stalls, socket.create_connection(address) as dribbles:
        stalls.sendall(head)
        dribbles.sendall(head + body)

        def lives():
            with contextlib.suppress(OSError):
                dribbles.sendall(b" ")
                return server.ask("GET", "/livez", base="", timeout=1).status == 200

        assert wait_until(lives, patience=30)


def test_a_writer_that_waits_too_long_is_429_and_nothing_happened(make_site):
    api = make_site(SCIM_WRITE_PATIENCE="0.2").make()
    tenant = api.site.console.tenant("default")

    with tenant.ledger.writing():
        response = api.post(user())
        reading = api.get("/Users")
    tenant.close()

    assert response.status_code == 429
    assert int(response.headers["Retry-After"]) > 0
    assert response.json["status"] == "429"
    assert reading.json["totalResults"] == 0
    assert api.post(user()).status_code == 201
