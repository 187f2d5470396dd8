"""What arrives in pieces is read as gunicorn's parser reads it whole, and headers only once."""

import socket
import time
from contextlib import contextmanager

import hypothesis.strategies as st
from gunicorn.config import Config
from gunicorn.http.errors import NoMoreData
from gunicorn.http.parser import RequestParser
from hypothesis import example, given

from scim_api.server.answers import Collected, _prepared
from scim_api.server.connection import ARRIVAL, Connection
from scim_api.server.parsing import rules_of

CLIENT, SERVER = ("192.0.2.7", 50_000), ("192.0.2.1", 8000)
MOST = 1_000_000  # bytes of a body
KEPT = 75  # seconds for which a connection without a request is kept

LINES = (
    b"GET /a?b=c HTTP/1.1\r\n",
    b"GET http://x/%41 HTTP/1.1\r\n",
    b"POST /Users HTTP/1.1\r\n",
    b"HEAD /a HTTP/1.0\r\n",
    b"get / HTTP/1.1\r\n",
    b"GET /\r\n",
)
HEADERS = (
    b"Host: x\r\n",
    b"Host: y\r\n",
    b"Accept: a\r\n",
    b"Accept: b\r\n",
    b"X-Forwarded-For: 192.0.2.9\r\n",
    b"X_Y: z\r\n",
    b"Connection: close\r\n",
    b"Connection: keep-alive\r\n",
    b"Content-Length: 3\r\n",
    b"Content-Length: 10\r\n",
    b"Transfer-Encoding: chunked\r\n",
    b"Expect: 100-continue\r\n",
    b" folded\r\n",
    b"no colon\r\n",
    b"bare: line\n",
)
BODIES = (
    b"",
    b"",
    b"abc",
    b"abc\r\n",
    b"3\r\nabc\r\n0\r\n\r\n",
    b"0\r\nX: y\r\n\r\n",
    b"3\r\nabcd0\r\n\r\n",
)

REQUESTS = st.tuples(
    st.sampled_from(LINES),
    st.lists(st.sampled_from(HEADERS), max_size=4).map(lambda some: b"Host: x\r\n" + b"".join(some))
    | st.lists(st.sampled_from(HEADERS), max_size=3).map(b"".join),
    st.sampled_from(BODIES),
).map(lambda parts: parts[0] + parts[1] + b"\r\n" + parts[2])


def rules():
    config = Config()
    config.set("forwarded_allow_ips", "")
    config.set("keepalive", KEPT)
    return rules_of(config)


def by_gunicorn(stream):
    """Return the requests that gunicorn reads from a stream, and whether it then refuses one."""
    parser, found = RequestParser(rules(), iter([stream]), CLIENT), []
    while True:
        try:
            request = next(parser)
        except (StopIteration, NoMoreData):
            return found
        except Exception:
            return [*found, "refused"]
        hosts = [name for name, _ in request.headers].count("HOST")
        try:
            body = request.body.read() if hosts == 1 or request.version < (1, 1) else None
        except Exception:
            body = None
        if body is None:
            return [*found, "refused"]
        found.append((request.method, request.uri, request.headers, body))


@contextmanager
def connected():
    """Return a connection, and the client's end of it."""
    ours, theirs = socket.socketpair()
    with ours, theirs:
        yield Connection(ours, CLIENT, SERVER, rules(), MOST), theirs


def by_us(stream, step):
    """Return the same as by_gunicorn, of a stream that arrives in pieces."""
    pieces = [stream[at : at + step] for at in range(0, len(stream), step)]
    found = []
    with connected() as (connection, theirs):
        while not connection.closing:
            if not connection.advance():
                if connection.ended:
                    break
                theirs.sendall(pieces.pop(0)) if pieces else theirs.shutdown(socket.SHUT_WR)
                connection.receive()
                continue
            if connection.error:
                return [*found, "refused"]
            connection.take_body()
            request = connection.request
            try:
                body = request.body.read()
            except Exception:
                return [*found, "refused"]
            found.append((request.method, request.uri, request.headers, body))
            close = request.should_close() or connection.must_close()
            connection.is_answered(b"", close=close)
    return found


CHUNKED = b"POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n"
GET = b"GET / HTTP/1.1\r\nHost: x\r\n\r\n"


@given(st.lists(REQUESTS, max_size=3).map(b"".join), st.integers(1, 60))
@example(CHUNKED, 7)
@example(CHUNKED + b"0\r\n\r\n" + GET, 200)
@example(CHUNKED + b"0\r\nX: y\r\n\r\n" + GET, 5)
@example(b"GET / HTTP/1.1\nHost: x\n", 50)
def test_pieces_are_read_as_the_whole(stream, step):
    assert by_us(stream, step) == by_gunicorn(stream)


ALIKE = [
    line + headers + b"\r\n"
    for line in (b"GET /a HTTP/1.1\r\n", b"GET /b?c HTTP/1.0\r\n", b"HEAD /a HTTP/1.1\r\n")
    for headers in (
        b"Host: x\r\nAccept: a\r\n",
        b"Host: x\r\nAccept: b\r\n",
        b"Host: y\r\nAge: 1\r\n",
    )
]


@given(st.lists(st.sampled_from(ALIKE) | REQUESTS, min_size=2, max_size=8))
def test_headers_that_are_read_once_mean_the_same_again(requests):
    with connected() as (repeated, theirs):
        for request in requests:
            with connected() as (alone, client):
                client.sendall(request)
                if not alone.receive() or alone.error:
                    continue
                theirs.sendall(request)
                repeated.receive()
                assert said(repeated) == said(alone)
            repeated.take_body()
            repeated.received.clear()
            repeated.is_answered(b"", close=False)


def said(connection):
    """Return what WSGI is told of a connection's request, without what is an object of its own."""
    _, environ = _prepared(connection.request, connection, rules(), Collected)
    own = {"wsgi.input", "wsgi.errors", "gunicorn.socket"}
    return {name: value for name, value in environ.items() if name not in own}


def test_a_connection_that_has_to_take_its_answer_is_closed_after_those_that_are_idle():
    with connected() as (busy, _), connected() as (idle, _), connected() as (new, _):
        busy.is_answered(b"x" * 10_000_000, close=False)
        idle.is_answered(b"", close=False)

        assert sorted([busy, new, idle], key=lambda each: each.rank) == [new, idle, busy]


def test_a_part_of_a_request_that_came_with_the_one_before_has_no_longer_to_arrive_than_others():
    with connected() as (connection, theirs):
        theirs.sendall(GET + GET[:10])
        connection.receive()
        connection.take_body()
        connection.is_answered(b"", close=False)

        assert connection.deadline < time.monotonic() + ARRIVAL + 1 < time.monotonic() + KEPT
