"""More ledgers than their files may be open at once: served, signed and watched all the same."""

import json
import random
import resource
import sqlite3
import subprocess
import threading
from contextlib import closing
from pathlib import Path

import pytest

from ledger.verify.verifier import verify
from tests.scim_api.client import Site, user
from tests.scim_api.process import PROGRAM, Server, environment

LEDGERS = 40  # each takes about ten files while a process uses it
LIMIT = 130  # of a process, sockets included
WRITERS = 4
ROUNDS = 2


@pytest.fixture(scope="module")
def many(tmp_path_factory):
    """Return a service that may open few files, the tokens of its ledgers, and a broken one."""
    folder = tmp_path_factory.mktemp("many")
    site = Site(folder / "data")
    tokens = {f"t{number:02}": site.make(f"t{number:02}").token for number in range(LEDGERS)}
    site.close()
    (folder / "data" / "broken").mkdir()
    (folder / "data" / "broken" / "ledger.db").write_text("no ledger " * 1000)

    def limited():
        resource.setrlimit(resource.RLIMIT_NOFILE, (LIMIT, LIMIT))

    server = Server(folder, token=tokens["t00"], popen={"preexec_fn": limited})
    yield server, tokens
    server.clean_up()


def new_token(data_dir, name, scope):
    """Make a token of a ledger as an operator does."""
    words = ["token", "create", "new", "--scope", scope, "--ledger", name, "--json"]
    ended = subprocess.run([*PROGRAM, *words], env=environment(data_dir), capture_output=True)
    return json.loads(ended.stdout)["token"]


def bearer(token):
    return {"Authorization": f"Bearer {token}"}


def write_everywhere(server, tokens):
    """Write into every ledger, in an order of its own for each writer; return the statuses."""
    statuses = []

    def write(number):
        mine = [*tokens.items()] * ROUNDS
        random.Random(number).shuffle(mine)
        for turn, (_, token) in enumerate(mine):
            body = user(f"u{number}-{turn}@example.com")
            statuses.append(server.ask("POST", "/Users", body, headers=bearer(token)).status)

    writers = [threading.Thread(target=write, args=(number,)) for number in range(WRITERS)]
    for each in writers:
        each.start()
    for each in writers:
        each.join()
    return statuses


def asked(path, query):
    with closing(sqlite3.connect(path)) as connection:
        return connection.execute(query).fetchone()[0]


def signed(server, name):
    """Return how many events a ledger has, and how many its newest head covers."""
    path = server.data_dir / name / "ledger.db"
    return tuple(
        asked(path, query)
        for query in ("SELECT max(position) FROM event", "SELECT max(size) FROM tree_head")
    )


def followed(server, token, found):
    """Follow a ledger's feed until it ends, noting the types of events."""
    request = (
        f"GET /ledger/v1/feed HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {token}\r\n\r\n"
    ).encode()
    try:
        found.append(server.say(request, timeout=60))
    except OSError:
        found.append(b"")


@pytest.mark.slow
def test_more_ledgers_than_may_be_open_are_served_signed_and_watched(many):
    server, tokens = many
    workers, feed = server.workers(), []
    audits = new_token(server.data_dir, "t07", "audit")
    follower = threading.Thread(target=followed, args=(server, audits, feed))
    follower.start()

    statuses = write_everywhere(server, tokens)
    ready, broken, sound, unknown = (
        server.ask("GET", f"/readyz{query}", base="")
        for query in ("", "?ledger=broken", "?ledger=t33", "?ledger=t99")
    )
    server_limits = [open_files(pid) for pid in workers]
    late = new_token(server.data_dir, "t11", "provision")
    served = server.ask("GET", "/Users", headers=bearer(late))
    ended = server.stop()
    follower.join()

    assert statuses == [201] * (LEDGERS * ROUNDS * WRITERS)
    assert (ready.status, ready.json["problems"]) == (200, [])
    assert ready.json["ledgers"] == {"broken": "foreign or damaged file"}
    assert [each.status for each in (broken, sound, unknown)] == [503, 200, 404]
    assert max(server_limits) < LIMIT
    assert served.status == 200
    assert feed[0].count(b"event: Created") == ROUNDS * WRITERS
    assert ended == 0
    states = {name: signed(server, name) for name in tokens}
    assert {name: state for name, state in states.items() if state[0] != state[1]} == {}
    for name in ("t07", "t11", "t39"):
        assert verify(server.data_dir / name / "ledger.db").findings == []
    assert '"level":"error"' not in server.stderr.read_text()
    for name in ("t11", "t39"):
        noted = asked(server.data_dir / name / "usage.db", "SELECT sum(requests) FROM usage")
        assert noted == ROUNDS * WRITERS + (name == "t11")


def open_files(pid):
    """Return how many files a process has open."""
    return len(list(Path(f"/proc/{pid}/fd").iterdir()))
