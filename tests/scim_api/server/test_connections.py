"""Connections that are idle, slow or many, and requests in odd pieces: they keep nobody waiting."""

import json
import socket
import subprocess
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from urllib.parse import urlencode

import pytest

from ledger.sqlite.connection import driver
from scim_api.auth.oauth.client_authentication import ASSERTION_TYPE
from scim_api.web.proxies import source_of
from tests.scim_api.auth.oauth.key_set_url import key_set_served
from tests.scim_api.auth.oauth.signer import Signer, key_set, times
from tests.scim_api.client import BASE, user
from tests.scim_api.process import PATIENCE, PROGRAM, Server, environment, wait_until

SEARCH = "urn:ietf:params:scim:api:messages:2.0:SearchRequest"
SIGNER = Signer(algorithm="ES256")
LONGER = 8.0  # seconds: less than any of these clients may take


@pytest.fixture(scope="module")
def small(tmp_path_factory):
    """Return a running service of one process, two threads for reads and two for writes."""
    started = Server(
        tmp_path_factory.mktemp("small"),
        WEB_CONCURRENCY=1,
        SCIM_THREADS=2,
        SCIM_ADDRESS_CONNECTIONS=1000,
        SCIM_JWKS_HOSTS="127.0.0.1",
    )
    yield started
    started.clean_up()


@contextmanager
def clients(server, *sent):
    """Open a connection for each of some bytes, and send them."""
    with ExitStack() as opened:
        connections = []
        for data in sent:
            address = "127.0.0.1", server.port
            connections.append(opened.enter_context(socket.create_connection(address, PATIENCE)))
            connections[-1].sendall(data)
        yield connections


def is_open(connection):
    """Return whether the server has not closed a connection."""
    connection.setblocking(False)
    try:
        return connection.recv(65_536) != b""
    except BlockingIOError:
        return True
    except OSError:
        return False


def read(connection, count=1):
    """Return so many answers, each as its status and body."""
    file, found = connection.makefile("rb"), []
    for _ in range(count):
        status, length = int(file.readline().split()[1]), 0
        while (line := file.readline().strip()) != b"":
            if line.lower().startswith(b"content-length:"):
                length = int(line.split()[1])
        found.append((status, file.read(length)))
    return found


def head(server, method, path, *headers):
    lines = [f"{method} {path} HTTP/1.1", "Host: x", f"Authorization: Bearer {server.token}"]
    return "\r\n".join([*lines, *headers, "", ""]).encode()


def create(server, name):
    """Return the head and the body of a request that creates a user."""
    body = json.dumps(user(f"{name}@example.com")).encode()
    headers = "Content-Type: application/scim+json", f"Content-Length: {len(body)}"
    return head(server, "POST", f"{BASE}/Users", *headers), body


def test_half_sent_and_idle_connections_keep_nobody_waiting(small):
    whole, body = create(small, "never")
    chunked = head(small, "POST", f"{BASE}/Users", "Transfer-Encoding: chunked") + b"ff\r\n{"
    large = head(small, "PUT", f"{BASE}/Groups/x", "Content-Length: 5000000") + b"{" * 100_000
    half_sent = [whole[:30], whole + body[:5], chunked, large] * 30

    with clients(small, *half_sent, *[b""] * 100):
        name = "arrived"
        status = small.ask("POST", "/Users", user(f"{name}@example.com"), timeout=LONGER).status
        listed = small.ask("GET", "/Users?count=1", timeout=LONGER)

    assert (status, listed.status) == (201, 200)


def ask_for_token(server, jwks_url):
    """Return a request for a token with an assertion whose key is at a URL."""
    says = "iss", "sub", "aud"
    options = "--issuer", "iss", "--subject", "sub", "--audience", "aud", "--jwks-url", jwks_url
    added = subprocess.run(
        [*PROGRAM, "client", "add", jwks_url, *options, "--json"],
        env=environment(server.data_dir, SCIM_JWKS_HOSTS="127.0.0.1"),
        check=True,
        capture_output=True,
    )
    form = {
        "grant_type": "client_credentials",
        "client_id": json.loads(added.stdout)["client_id"],
        "client_assertion_type": ASSERTION_TYPE,
        "client_assertion": SIGNER.sign(times() | {name: name for name in says}),
    }
    body = urlencode(form).encode()
    headers = "Content-Type: application/x-www-form-urlencoded", f"Content-Length: {len(body)}"
    return head(server, "POST", "/oauth/token", *headers).replace(b"Bearer", b"X") + body


def test_requests_that_wait_for_keys_keep_no_write_waiting(small):
    with key_set_served() as keys:
        keys.document = key_set(SIGNER)
        keys.go_on.clear()
        asking = [ask_for_token(small, f"{keys.url}?{number}") for number in range(2)]
        with clients(small, *asking) as connections:
            assert wait_until(lambda: keys.asked == 2)
            created = small.ask("POST", "/Users", user("at-once@example.com"), timeout=LONGER)
            waiting = [is_open(each) for each in connections]
            keys.go_on.set()
            for each in connections:
                each.setblocking(True)
            answers = [read(each) for each in connections]

    assert created.status == 201
    assert waiting == [True, True]  # no answer yet
    assert [status for [(status, _)] in answers] == [200, 200]


def test_a_request_may_arrive_byte_by_byte(small):
    request = b"".join(create(small, "dribbled"))

    with clients(small, b"") as [connection]:
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        for byte in request:
            connection.sendall(bytes([byte]))
        [(status, _)] = read(connection)

    assert status == 201


def test_requests_that_come_together_are_answered_in_turn(small):
    create_one, body = create(small, "together")
    filters = [
        f"{BASE}/Users?filter=userName%20eq%20%22{n}%22" for n in ("together@example.com", "x")
    ]
    reads = [head(small, "GET", filter_) for filter_ in filters]

    with clients(small, (create_one + body + b"".join(reads)) * 40) as [connection]:
        answers = read(connection, 120)

    assert [status for status, _ in answers] == [201, 200, 200] + [409, 200, 200] * 39
    totals = [json.loads(body)["totalResults"] for status, body in answers if status == 200]
    assert totals == [1, 0] * 40


def test_a_client_that_waits_for_a_word_before_it_sends_its_body_gets_it(small):
    whole, body = create(small, "expecting")
    expecting = whole.replace(b"Host:", b"Expect: 100-continue\r\nHost:")

    with clients(small, expecting) as [connection]:
        word = connection.recv(100)
        connection.sendall(body)
        [(status, _)] = read(connection)

    assert word == b"HTTP/1.1 100 Continue\r\n\r\n"
    assert status == 201


def test_a_client_that_waits_for_a_word_with_too_large_a_body_is_refused_without_it(small):
    headers = "Content-Type: application/scim+json", "Content-Length: 33554433"
    expecting = head(small, "POST", f"{BASE}/Users", "Expect: 100-continue", *headers)

    with clients(small, expecting) as [connection]:
        connection.settimeout(LONGER)
        assert [status for status, _ in read(connection)] == [413]


def test_a_request_in_the_middle_of_a_conversation_may_change_its_headers(small):
    listing = head(small, "GET", f"{BASE}/Users?count=0")
    nobody = listing.replace(small.token.encode(), b"scl_nobody")

    with clients(small, listing + listing + nobody + listing) as [connection]:
        answers = read(connection, 4)

    assert [status for status, _ in answers] == [200, 200, 401, 200]


def test_clients_that_do_not_read_their_answers_keep_nobody_waiting(small):
    for n in range(12):
        person = user(f"large{n}@example.com")
        texts = dict.fromkeys(("title", "nickName", "userType", "locale"), "x" * 65000)
        emails = [{"value": f"{'y' * 900}{i}@example.com", "type": str(i)} for i in range(200)]
        assert small.ask("POST", "/Users", {**person, **texts, "emails": emails}).status in (
            201,
            400,
        )
    filters = head(small, "GET", f"{BASE}/Users?count=1000")

    with clients(small, *[filters] * 6) as connections:
        status = small.ask("GET", "/Users?count=1", timeout=LONGER).status
        answers = [read(connection) for connection in connections]

    assert status == 200
    assert [status for [(status, _)] in answers] == [200] * 6
    assert {json.loads(body)["totalResults"] for [(_, body)] in answers} == {
        len(json.loads(answers[0][0][1])["Resources"])
    }


def test_writers_that_wait_keep_no_reader_waiting(small):
    jane = small.ask("POST", "/Users", user("waited@example.com")).json["id"]
    holder = driver.connect(str(small.data_dir / "default" / "ledger.db"), isolation_level=None)
    holder.execute("BEGIN IMMEDIATE")

    with ThreadPoolExecutor(12) as pool:
        writers = [
            pool.submit(small.ask, "POST", "/Users", user(f"writer{n}@x.org")) for n in range(12)
        ]
        assert not wait_until(lambda: any(writer.done() for writer in writers), patience=0.5)
        reading = small.ask("GET", f"/Users/{jane}", timeout=LONGER).status
        searching = small.ask(
            "POST", "/Users/.search", {"schemas": [SEARCH], "count": 1}, timeout=LONGER
        ).status
        lives = small.ask("GET", "/livez", base="", timeout=LONGER).status
        ready = small.ask("GET", "/readyz", base="", timeout=LONGER).status
        waiting = [writer.done() for writer in writers]
        holder.execute("ROLLBACK")
        holder.close()
        written = {writer.result().status for writer in writers}

    assert (reading, searching, lives, ready) == (200, 200, 200, 200)
    assert waiting == [False] * 12
    assert written == {201}


def test_a_write_waits_no_longer_for_a_thread_and_its_turn_together_than_writes_may(start_made):
    server = start_made(WEB_CONCURRENCY=1, SCIM_THREADS=2, SCIM_WRITE_PATIENCE=2)
    holder = driver.connect(str(server.data_dir / "default" / "ledger.db"), isolation_level=None)
    holder.execute("BEGIN IMMEDIATE")

    def write(number):
        began = time.monotonic()
        reply = server.ask("POST", "/Users", user(f"queued{number}@x.org"))
        return reply.status, reply.headers.get("Retry-After"), time.monotonic() - began

    with ThreadPoolExecutor(12) as pool:
        answers = list(pool.map(write, range(12)))
    holder.execute("ROLLBACK")
    holder.close()

    assert {answer[:2] for answer in answers} == {(429, "2")}
    assert max(took for _, _, took in answers) < 4  # one after another they took 12
    assert server.ask("POST", "/Users", user("queued0@x.org")).status == 201


def test_a_head_or_a_trailer_that_never_ends_is_refused_once_it_is_longer_than_any_may_be(small):
    line = b"X: a\r\n"
    chunked = head(small, "POST", f"{BASE}/Users", "Transfer-Encoding: chunked")
    endless = [
        b"GET /livez HTTP/1.1\r\nHost: x\r\n" + line * 83_334,
        b"GET /livez HTTP/1.1\r\nHost: x\r\nX: " + b"a" * 500_000,
        chunked + b"0\r\n" + line * 10_923,
    ]
    no_sizes = [
        chunked + b"1;" + b"x" * 8_190,
        chunked + b"1;" + b"x" * 8_190 + b"\r\na\r\n0\r\n\r\n",
    ]

    for each in (*endless, *no_sizes):
        with clients(small, each) as [connection]:
            connection.settimeout(LONGER)
            expected = 400 if each in no_sizes else 431
            assert [status for status, _ in read(connection)] == [expected]


@pytest.fixture(scope="module")
def narrow(tmp_path_factory):
    """Return a running service that keeps few connections of one address."""
    started = Server(
        tmp_path_factory.mktemp("narrow"), WEB_CONCURRENCY=1, SCIM_ADDRESS_CONNECTIONS=5
    )
    yield started
    started.clean_up()


def test_of_too_many_connections_of_one_address_those_that_waited_longest_are_closed(narrow):
    asking = head(narrow, "GET", f"{BASE}/Users?count=0")

    with clients(narrow, asking) as [known], ExitStack() as later:
        assert read(known)[0][0] == 200
        strangers = later.enter_context(clients(narrow, *[b"GET"] * 20))
        assert wait_until(lambda: sum(map(is_open, strangers)) <= 4)
        known.sendall(asking)
        again = read(known)[0][0]
        status = narrow.ask("GET", "/Users?count=0").status

    assert (again, status) == (200, 200)


def test_of_too_many_connections_those_in_the_middle_of_something_are_closed_last(narrow):
    asking = head(narrow, "GET", f"{BASE}/Users?count=0")
    whole, body = create(narrow, "unhurried")

    with clients(narrow, *[asking] * 3, whole + body[:5]) as [*idle, busy], ExitStack() as later:
        assert [read(each)[0][0] for each in idle] == [200] * 3
        kept = idle.pop()
        kept.sendall(whole.replace(b"\r\n\r\n", b"\r\nX: y\r\n\r\n") + body[:5])
        time.sleep(0.2)  # until no thread stays with an idle one
        for _ in range(3):
            [newer] = later.enter_context(clients(narrow, asking))
            assert read(newer)[0][0] == 200
        assert wait_until(lambda: not any(map(is_open, idle)))
        busy.sendall(body[5:])
        kept.sendall(body[5:])
        statuses = [read(each)[0][0] for each in (busy, kept)]

    assert sorted(statuses) == [201, 409]  # whoever has a thread first


def test_behind_a_proxy_requests_are_counted_by_the_address_that_it_names(start_made):
    server = start_made(WEB_CONCURRENCY=1, SCIM_ADDRESS_CONNECTIONS=3, SCIM_TRUSTED_PROXIES=1)
    whole, _ = create(server, "proxied")

    def of(address):
        return whole.replace(b"Host:", f"X-Forwarded-For: 192.0.2.1, {address}\r\nHost:".encode())

    many, few = [of("198.51.100.7")] * 10, [of("198.51.100.8"), of("198.51.100.9")]
    with clients(server, *[b""] * 20) as idle, clients(server, *few, *many) as connections:
        assert wait_until(lambda: sum(map(is_open, connections[2:])) <= 3)
        assert all(map(is_open, [*connections[:2], *idle]))
        assert server.ask("GET", "/livez", base="").status == 200


def test_a_request_that_follows_at_once_is_counted_by_the_address_that_a_proxy_names(start_made):
    server = start_made(WEB_CONCURRENCY=1, SCIM_ADDRESS_CONNECTIONS=1, SCIM_TRUSTED_PROXIES=1)
    asking = head(server, "GET", f"{BASE}/Users?count=0")
    whole, body = create(server, "following")
    writing = whole.replace(b"Host:", b"X-Forwarded-For: 198.51.100.7\r\nHost:") + body
    holder = driver.connect(str(server.data_dir / "default" / "ledger.db"), isolation_level=None)
    holder.execute("BEGIN IMMEDIATE")

    with clients(server, writing, b"", b"") as [first, together, at_once]:
        time.sleep(0.3)
        together.sendall(asking + writing)
        at_once.sendall(asking)
        statuses = [status for status, _ in read(at_once)]
        at_once.sendall(writing)
        statuses += [status for status, _ in [*read(at_once), *read(together, 2)]]
        holder.execute("ROLLBACK")
        holder.close()
        [(written, _)] = read(first)

    assert (statuses, written) == ([200, 429, 200, 429], 201)


def test_a_connection_of_a_proxy_counts_to_the_client_of_its_request_and_no_longer(start_made):
    server = start_made(WEB_CONCURRENCY=1, SCIM_ADDRESS_CONNECTIONS=1, SCIM_TRUSTED_PROXIES=1)
    asking = head(server, "GET", f"{BASE}/Users?count=0", "X-Forwarded-For: 198.51.100.7")

    with clients(server, *[b""] * 5) as connections:
        answers = []
        for connection in connections:
            connection.sendall(asking)
            answers += read(connection)
        assert all(map(is_open, connections))

    assert [status for status, _ in answers] == [200] * 5


@pytest.mark.parametrize(
    ("address", "source"),
    [
        ("192.0.2.7", "192.0.2.7"),
        ("::ffff:192.0.2.7", "::ffff:192.0.2.7"),
        ("::1", "::/64"),
        ("2001:db8:1:2:3:4:5:6", "2001:db8:1:2::/64"),
        ("fe80::1%eth0", "fe80::/64"),
    ],
)
def test_connections_count_by_the_address_or_the_network_of_ipv6(address, source):
    assert source_of(address) == source


def test_large_bodies_wait_for_memory_that_others_take(start_made):
    server = start_made(WEB_CONCURRENCY=1, SCIM_THREADS=1, SCIM_MAX_BODY=300_000)
    whole, body = create(server, "patient")
    large = whole.replace(f": {len(body)}".encode(), b": 300000") + body.ljust(299_999)

    with clients(server, large, large, large) as greedy, clients(server, large) as [patient]:
        small = server.ask("POST", "/Users", user("small@example.com"), timeout=LONGER).status
        for each in greedy:
            each.close()
        patient.sendall(b" ")
        [(status, _)] = read(patient)

    assert (small, status) == (201, 201)


@pytest.mark.slow
def test_what_does_not_arrive_in_time_is_over(small):
    whole, body = create(small, "late")
    beginnings = [b"", whole[:30], whole + body[:5]]

    with clients(small, *beginnings) as [silent, half, without_body]:
        said = [connection.recv(100) for connection in (silent, half)]
        [(status, _)] = read(without_body)

    assert said == [b"", b""]
    assert status == 400


def test_gunicorns_own_threaded_worker_can_serve_too(start_made):
    server = start_made(GUNICORN_CMD_ARGS="-k gthread")

    created = server.ask("POST", "/Users", user())

    assert created.status == 201
    assert "Using worker: gthread" in {line["message"] for line in server.log_lines()}
    assert server.ask("GET", f"/Users/{created.json['id']}").json == created.json
    assert wait_until(lambda: server.ask("GET", "/readyz", base="").status == 200)
    assert server.stop() == 0
