"""An exchange with another machine has one time limit, whatever the other side does."""

import socket
import threading
import time
from collections.abc import Callable

import pytest

from ledger.http_client import RemoteTrouble, fetch

TIMEOUT = 0.4

Drip = Callable[[bytes], str]


HEADERS = b"HTTP/1.1 200 OK\r\nX-A: b\r\n"
WAYS = {
    "before it answers": b"",
    "in its status line": b"HTTP/1.1 2",
    "in its headers": HEADERS + b"X-Drip: ",
    "in hints that come first": b"HTTP/1.1 103 Early Hints\r\nX-Drip: ",
    "in its body": HEADERS + b"Content-Length: 100000\r\n\r\n",
    "in a body without a length": HEADERS + b"\r\n",
    "in its chunks": HEADERS + b"Transfer-Encoding: chunked\r\n\r\nffff\r\n",
    "in a refusal": b"HTTP/1.1 503 No\r\nX-Drip: ",
}


@pytest.mark.parametrize("body", [None, b"a head"], ids=["GET", "POST"])
@pytest.mark.parametrize("way", WAYS)
def test_a_dripping_server_is_dropped_in_time(way: str, body: bytes | None, dripping: Drip) -> None:
    started = time.monotonic()

    with pytest.raises(RemoteTrouble, match="cannot be reached: no answer in time"):
        fetch(f"http://{dripping(WAYS[way])}/", body=body, timeout=TIMEOUT)

    assert time.monotonic() - started < TIMEOUT + 1
    assert no_exchange_goes_on()


@pytest.mark.parametrize("first", [b"", b"\x16\x03\x03\x40\x00"], ids=["nothing", "a record"])
def test_a_server_dripping_during_tls_is_dropped_in_time(first: bytes, dripping: Drip) -> None:
    started = time.monotonic()

    with pytest.raises(RemoteTrouble):
        fetch(f"https://{dripping(first)}/", timeout=TIMEOUT)

    assert time.monotonic() - started < TIMEOUT + 1
    assert no_exchange_goes_on()


def test_a_server_that_accepts_no_connection_is_dropped_in_time() -> None:
    with socket.create_server(("127.0.0.1", 0), backlog=0) as listener:
        address = listener.getsockname()
        waiting = [socket.socket() for _ in range(4)]
        for each in waiting:
            each.setblocking(False)
            each.connect_ex(address)
        started = time.monotonic()
        with pytest.raises(RemoteTrouble, match="no answer in time"):
            fetch(f"http://127.0.0.1:{address[1]}/", timeout=TIMEOUT)
        assert time.monotonic() - started < TIMEOUT + 1
        for each in waiting:
            each.close()


def no_exchange_goes_on() -> bool:
    """Return whether the threads of exchanges end, waiting a while for it."""
    deadline = time.monotonic() + 5
    while time.monotonic() < deadline:
        if not any(thread.name == "exchange" for thread in threading.enumerate()):
            return True
        time.sleep(0.02)
    return False


def test_where_no_thread_is_to_be_had_the_other_side_cannot_be_reached(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def refuse(_: threading.Thread) -> None:
        raise RuntimeError("can't start new thread")

    monkeypatch.setattr(threading.Thread, "start", refuse)

    with pytest.raises(RemoteTrouble, match="no thread is to be had"):
        fetch("http://127.0.0.1:9/")
