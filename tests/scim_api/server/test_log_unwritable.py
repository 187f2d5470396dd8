"""A log that cannot be written stops nothing: lines are dropped, and counted."""

import fcntl
import json
import logging
import os
import resource
import threading
from contextlib import contextmanager, suppress

import orjson
import pytest

from scim_api.logs import JsonFormatter, LineHandler
from tests.scim_api.client import user

POSTS = 30


@contextmanager
def closed():
    yield {"stderr": None, "preexec_fn": lambda: os.close(2)}


@contextmanager
def never_read():
    reads, writes = filled_pipe()
    yield {"stderr": writes}
    os.close(reads)
    os.close(writes)


def filled_pipe():
    reads, writes = os.pipe()
    os.set_blocking(writes, False)
    with pytest.raises(BlockingIOError):
        while os.write(writes, b"x" * 4096):
            pass
    os.set_blocking(writes, True)
    return reads, writes


@contextmanager
def full():
    with open("/dev/full", "wb") as device:
        yield {"stderr": device, "stdout": device}


@pytest.mark.parametrize("way", [closed, never_read, full])
def test_every_request_is_answered_though_no_line_can_be_written(start_made, way):
    with way() as log:
        server = start_made(popen=log)
        answers = [server.ask("POST", "/Users", user(f"u{n}@example.com")) for n in range(POSTS)]
        ready = [server.ask("GET", "/readyz", base="").json for _ in range(20)]
        refused = server.say(b"nonsense\r\n\r\n")
        total = server.ask("GET", "/Users").json["totalResults"]
        ended = server.stop()

    assert {answer.status for answer in answers} == {201}
    assert total == POSTS
    assert {each["status"] for each in ready} == {"ready"}
    assert all("log not writable" in each["warnings"][0] for each in ready)
    assert refused.startswith(b"HTTP/1.1 400 ")
    assert ended == 0


def test_a_reader_that_ends_while_requests_come_stops_none_of_them(start_made):
    reads, writes = os.pipe()
    server = start_made(popen={"stderr": writes})
    os.close(writes)
    assert server.ask("POST", "/Users", user("before@example.com")).status == 201
    os.close(reads)

    answers = [server.ask("POST", "/Users", user(f"u{n}@example.com")) for n in range(POSTS)]

    assert {answer.status for answer in answers} == {201}
    assert server.ask("GET", "/Users").json["totalResults"] == 1 + POSTS


@pytest.fixture
def handler():
    """Return a maker of handlers that write lines to a file or pipe."""

    def make(file):
        made = LineHandler(file)
        made.setFormatter(JsonFormatter())
        return made

    return make


def drain(reads):
    """Return what a pipe holds now."""
    os.set_blocking(reads, False)
    found = b""
    with suppress(BlockingIOError):
        while part := os.read(reads, 65536):
            found += part
    return found


def told(data):
    return [json.loads(line) for line in data.splitlines()]


def test_the_first_line_that_can_be_written_again_says_how_many_were_dropped(handler):
    reads, writes = filled_pipe()
    with open(writes, "w") as file:
        log = handler(file)
        for n in range(3):
            log.write(orjson.dumps({"message": str(n)}))
        dropped = log.dropped
        drain(reads)
        log.write(orjson.dumps({"message": "again"}))
        log.write(orjson.dumps({"message": "and again"}))
        notice, *lines = told(drain(reads))

    assert dropped == notice["dropped"] == 3
    assert (notice["level"], notice["message"]) == ("warning", "log lines dropped")
    assert [line["message"] for line in lines] == ["again", "and again"]
    assert log.dropped == 0


def test_a_line_cut_off_spoils_no_other(handler, tmp_path):
    path, line = tmp_path / "log", json.dumps({"message": "x" * 500})
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    with path.open("w") as file:
        log = handler(file)
        resource.setrlimit(resource.RLIMIT_FSIZE, (1200, before[1]))
        try:
            for _ in range(4):
                log.write(line.encode())
        finally:
            resource.setrlimit(resource.RLIMIT_FSIZE, before)
        log.write(line.encode())

    first, second, cut, *rest = path.read_text().splitlines()
    assert [first, second] == [line, line]
    assert line.startswith(cut)
    assert [json.loads(each)["message"][:3] for each in rest] == ["log", "xxx"]


def test_a_line_longer_than_a_pipe_holds_is_written_whole_to_a_slow_reader(handler):
    reads, writes = os.pipe()
    fcntl.fcntl(writes, fcntl.F_SETPIPE_SZ, 4096)
    got = bytearray()

    def read():
        while not got.endswith(b"\n"):
            got.extend(os.read(reads, 4096))

    reader = threading.Thread(target=read)
    reader.start()
    with open(writes, "w") as file:
        handler(file).write(orjson.dumps({"message": "x" * 50_000}))
    reader.join(10)

    assert told(bytes(got))[0]["message"] == "x" * 50_000


def test_a_record_that_cannot_be_written_raises_nothing(handler):
    with open("/dev/full", "w") as device:
        log = handler(device)
        log.handle(logging.makeLogRecord({"msg": "hello", "levelname": "INFO"}))
        assert log.dropped == 1


def test_a_record_that_does_not_fit_its_message_raises_nothing(handler, tmp_path):
    with open(tmp_path / "log", "w") as file:
        log = handler(file)
        log.handle(logging.makeLogRecord({"msg": "%d of %d", "args": (1,), "levelname": "INFO"}))
        log.handle(logging.makeLogRecord({"msg": "hello", "levelname": "INFO"}))

    notice, line = told((tmp_path / "log").read_bytes())
    assert (notice["dropped"], line["message"]) == (1, "hello")
