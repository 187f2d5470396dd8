"""Lines of requests are written together: none is lost, late or mixed with another."""

import json
import subprocess
import sys
import threading

import pytest
from hypothesis import given
from hypothesis import strategies as st

from scim_api import logs
from scim_api.logs import AT_ONCE, LineHandler
from tests.scim_api.process import wait_until
from tests.scim_api.server.test_log_unwritable import drain, filled_pipe


@pytest.fixture
def log(tmp_path):
    with (tmp_path / "log").open("w") as file:
        yield LineHandler(file)


def written(tmp_path):
    return (tmp_path / "log").read_text().split()


def test_the_first_line_after_a_pause_is_written_at_once(log, tmp_path):
    log.gather(b"one")
    assert written(tmp_path) == ["one"]


def test_those_that_follow_are_written_after_a_moment_in_their_order(log, tmp_path):
    numbers = [str(n) for n in range(500)]
    for number in numbers:
        log.gather(number.encode())
    assert wait_until(lambda: written(tmp_path) == numbers)


def test_a_record_is_written_at_once_and_what_came_before_it_first(log, tmp_path):
    for line in (b"one", b"two"):
        log.gather(line)
    log.write(b"three")
    assert written(tmp_path) == ["one", "two", "three"]


def test_no_line_is_lost_between_threads(log, tmp_path):
    def gather(thread):
        for n in range(300):
            log.gather(f"{thread}-{n}".encode())

    threads = [threading.Thread(target=gather, args=(name,)) for name in "abcd"]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    expected = {f"{thread}-{n}" for thread in "abcd" for n in range(300)}
    assert wait_until(lambda: set(written(tmp_path)) == expected)
    assert len(written(tmp_path)) == len(expected)


def test_what_is_gathered_is_written_when_a_process_ends():
    program = (
        "from scim_api import logs; handler = logs.stderr_handler()\n"
        "for n in range(20): handler.gather(b'%d' % n)"
    )
    ended = subprocess.run([sys.executable, "-c", program], capture_output=True, check=True)
    assert ended.stderr.split() == [b"%d" % n for n in range(20)]


def test_a_fork_writes_its_own_lines_and_none_of_the_other_process():
    program = (
        "import os, sys; from scim_api import logs; handler = logs.stderr_handler()\n"
        "for n in range(3): handler.gather(b'parent')\n"
        "if os.fork() == 0:\n"
        "    for n in range(3): handler.gather(b'child')\n"
        "else: os.wait()"
    )
    ended = subprocess.run([sys.executable, "-c", program], capture_output=True, check=True)
    assert sorted(ended.stderr.split()) == [b"child"] * 3 + [b"parent"] * 3


def test_lines_of_a_pipe_that_was_full_are_counted_one_by_one():
    reads, writes = filled_pipe()
    with open(writes, "w") as file:
        log = LineHandler(file)
        for _ in range(5):
            log.gather(b"lost")
        log.flush()
        assert log.dropped == 5
        drain(reads)
        log.write(b'{"message":"again"}')
        notice, line = drain(reads).splitlines()
    assert json.loads(notice)["dropped"] == 5
    assert line == b'{"message":"again"}'


@given(lines=st.lists(st.integers(0, AT_ONCE + 10).map(lambda size: b"x" * size)))
def test_what_is_written_at_once_stays_together_in_a_pipe(lines):
    parts = list(logs._parts(lines))
    assert [line for part in parts for line in part] == lines
    assert all(len(part) == 1 or sum(len(line) + 1 for line in part) <= AT_ONCE for part in parts)
