"""The request log of a running service: several workers write it, and may be killed."""

import os
import signal
import subprocess
import time

import pytest

from scim_api.request_log.store import REQUESTS_FILE, RequestLog
from tests.scim_api.client import patch, replace, user
from tests.scim_api.process import PROGRAM, environment, wait_until
from tests.scim_api.request_log.test_request_log import Unreadable


def ids(server):
    """Return the ids of the requests in the file, whoever wrote it."""
    folder = server.data_dir / "default"
    log = RequestLog(folder / REQUESTS_FILE, Unreadable())
    return [record.request_id for record in log.records(10_000, oldest_first=True)]


def refuse(server, number):
    """Send requests that are refused, each on a connection of its own; return their ids."""
    sent = [server.ask("GET", f"/Users/{n}") for n in range(number)]
    assert {reply.status for reply in sent} == {404}
    return [reply.headers["X-Request-Id"] for reply in sent]


@pytest.mark.slow
def test_rows_older_than_a_second_survive_a_kill(start):
    server = start()
    early = refuse(server, 40)
    time.sleep(1.0)

    os.killpg(server.process.pid, signal.SIGKILL)  # the session this test started
    server.process.wait(10)

    assert sorted(ids(server)) == sorted(early)


@pytest.mark.slow
def test_a_kill_amid_refusals_harms_neither_the_log_nor_the_service(start):
    server = start()
    early = refuse(server, 40)
    time.sleep(1.0)
    refuse(server, 40)

    os.killpg(server.process.pid, signal.SIGKILL)  # the session this test started
    server.process.wait(10)
    server.start()
    late = refuse(server, 5)
    server.stop()

    found = ids(server)
    assert {*early, *late} <= set(found)
    assert len(found) == len(set(found))


@pytest.mark.slow
def test_sigterm_writes_pending_rows(start):
    server = start()
    sent = refuse(server, 10)

    assert server.stop() == 0

    assert sorted(ids(server)) == sorted(sent)


@pytest.mark.slow
def test_two_workers_write_one_log(start):
    server = start(WEB_CONCURRENCY=2)
    assert wait_until(lambda: len(server.workers()) == 2)
    sent = refuse(server, 300)

    assert wait_until(lambda: len(ids(server)) == 300, 5)
    assert sorted(ids(server)) == sorted(sent)
    shown = subprocess.run(
        [*PROGRAM, "requests", "list", "--limit", "300", "--json"],
        env=environment(server.data_dir),
        capture_output=True,
        check=True,
    )
    assert shown.stdout.count(b'"requestId"') == 300


@pytest.mark.slow
def test_requests_of_a_running_service_are_found_with_their_position(start):
    server = start()
    created = server.ask("POST", "/Users", user()).json
    path = f"/Users/{created['id']}"
    sent = server.ask("PATCH", path, patch(replace("jane@example.com", "userName")))

    assert wait_until(lambda: ids(server) == [sent.headers["X-Request-Id"]], 5)
    shown = subprocess.run(
        [*PROGRAM, "requests", "show", sent.headers["X-Request-Id"], "--json"],
        env=environment(server.data_dir),
        capture_output=True,
        check=True,
    )
    assert b'"position": 3,' in shown.stdout
