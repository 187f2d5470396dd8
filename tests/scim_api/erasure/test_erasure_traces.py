"""No byte of an erased person stays in any file, nor in unused parts of SQLite's pages."""

import random
import signal
import subprocess
import sys
from contextlib import closing

import pytest

from ledger import clock, events
from ledger.background import exclusive_lock
from ledger.contract import Append
from ledger.erasure import Justification
from ledger.events import Event, Metadata
from ledger.sqlite import scrub
from ledger.sqlite.connection import connect_read_only
from scim_api.erasure import erase as erasing
from scim_api.erasure.erase import stream_of
from scim_api.erasure.purge import Purges, finish
from scim_api.wiring import open_tenant
from tests.scim_api.client import user

ORDER = Justification("gdpr-17", "PRIV-42")
METADATA = Metadata("operator", "test", "t", {"client": "Okta SCIM Client 1.0.0"})
PAGE = 4096


@pytest.fixture
def tenant(api):
    api.site.close()
    with closing(open_tenant(api.site.data_dir / "default" / "ledger.db")) as opened:
        yield opened


def person(number, filler="", change=""):
    word = f"Tok{number:05d}"
    return {
        "userName": f"{word}u{change}@example.com",
        "externalId": f"00u{word}",
        "active": True,
        "displayName": f"{word} Zoë",
        "name": {"givenName": f"{word}g", "familyName": f"{word}f"},
        "emails": [{"value": f"{word}m{change}@Example.com", "primary": True}],
        "phoneNumbers": [{"value": f"+49{word}"}],
        "title": filler,
    }


def append(tenant, id_, event):
    stream = stream_of(id_)
    version = len(tenant.ledger.read_stream(stream))
    tenant.ledger.append([Append(stream, version, [event])], METADATA)


def create(tenant, number):
    id_ = clock.uuid7()
    append(tenant, id_, Event(events.CREATED, person(number)))
    return id_


def erase(tenant, id_, timeout=10):
    return erasing.erase(tenant, id_, ORDER, METADATA, timeout)


def with_traces(tenant, number):
    folder = tenant.ledger.path.parent
    mark = f"tok{number:05d}".encode()
    return [path.name for path in folder.iterdir() if mark in path.read_bytes().lower()]


def leave_a_trace(path, text):
    """Write a text where SQLite leaves copies of cells: the unused middle of a page of a table."""
    data = bytearray(path.read_bytes())
    for start in range(PAGE, len(data), PAGE):
        cells = int.from_bytes(data[start + 3 : start + 5], "big")
        begin, end = (
            start + 8 + 2 * cells,
            start + int.from_bytes(data[start + 5 : start + 7], "big"),
        )
        if data[start] == 13 and end - begin > len(text):
            data[begin : begin + len(text)] = text
            path.write_bytes(data)
            return
    raise AssertionError("no page has room")


@pytest.fixture
def trace(api):
    """Return the id of a person of whom SQLite left a copy in a page of the ledger."""
    path = api.site.data_dir / "default" / "ledger.db"
    api.site.close()
    with closing(open_tenant(path)) as opened:
        id_ = create(opened, 7)
        opened.history.catch_up()
    leave_a_trace(path, b"tok00007u@example.com")
    return id_


def test_a_copy_that_sqlite_left_in_a_page_goes(trace, tenant):
    done = erase(tenant, trace)

    assert done.unfinished is None
    assert with_traces(tenant, 7) == []


def test_an_erasure_that_a_reader_hinders_is_finished_later(trace, tenant):
    with closing(connect_read_only(tenant.ledger.path)) as reader:
        reader.execute("BEGIN")
        reader.execute("SELECT * FROM event").fetchone()
        unfinished = erase(tenant, trace, timeout=0.5)
    assert "is being read" in unfinished.unfinished
    assert with_traces(tenant, 7)

    assert finish(tenant, 10) is None

    assert with_traces(tenant, 7) == []


@pytest.fixture
def rewritten(monkeypatch):
    """Return the names of the files that are rewritten, in order."""
    names, rewrite = [], scrub.rewrite

    def noted(path, deadline):
        names.append(path.name)
        rewrite(path, deadline)

    monkeypatch.setattr(scrub, "rewrite", noted)
    return names


def test_erasures_that_wait_are_finished_by_one_rewrite(tenant, rewritten):
    ids = [create(tenant, number) for number in (7, 8)]
    tenant.history.catch_up()
    with exclusive_lock(tenant.ledger.path):  # as a service holds it
        waiting = [erase(tenant, id_, timeout=0).unfinished for id_ in ids]
        assert waiting == ["not finished: the service rewrites the files in the background"] * 2
        assert rewritten == []

        Purges(tenant).step()

    assert rewritten == ["ledger.db", "history.db"]
    assert tenant.ledger.unfinished_erasures() == {}
    assert with_traces(tenant, 7) == with_traces(tenant, 8) == []


def test_nothing_is_rewritten_as_long_as_one_of_the_files_is_being_read(tenant, rewritten):
    id_ = create(tenant, 7)
    tenant.history.catch_up()
    with closing(connect_read_only(tenant.history.file.path)) as reader:
        reader.execute("BEGIN")
        reader.execute("SELECT * FROM source").fetchone()

        unfinished = erase(tenant, id_, timeout=0.5).unfinished

    assert unfinished == "not finished: history.db is being read as it was before"
    assert rewritten == []


def test_writers_are_asked_to_come_back_during_a_rewrite_and_readers_are_served(
    make_site, monkeypatch
):
    api = make_site(SCIM_WRITE_PATIENCE="0.1").make()
    id_, answers, rewrite = api.create()["id"], [], scrub.execute_when_free

    def rewriting(connection, statement, deadline):
        connection.execute("BEGIN IMMEDIATE")  # as VACUUM holds the lock
        answers.extend([api.post(user("late@example.com")), api.get("/Users")])
        connection.execute("COMMIT")
        rewrite(connection, statement, deadline)

    monkeypatch.setattr(scrub, "execute_when_free", rewriting)
    with closing(open_tenant(api.site.data_dir / "default" / "ledger.db")) as tenant:
        assert erase(tenant, id_).unfinished is None

    assert [answer.status_code for answer in answers[:2]] == [429, 200]
    assert int(answers[0].headers["Retry-After"]) >= 1
    assert api.post(user("late@example.com")).status_code == 201


DYING = """
import os, sys
from pathlib import Path
from ledger.erasure import Justification
from ledger.events import Metadata
from ledger.sqlite import scrub
from scim_api.erasure.erase import erase
from scim_api.wiring import open_tenant

rewrite = scrub.execute_when_free

def dying(connection, statement, deadline):
    connection.set_progress_handler(lambda: os.kill(os.getpid(), 9), 500)  # amid the VACUUM
    rewrite(connection, statement, deadline)

scrub.execute_when_free = dying
tenant = open_tenant(Path(sys.argv[1]))
erase(tenant, sys.argv[2], Justification("a", "b"), Metadata("operator", "test", "t"), 10)
"""


def test_a_rewrite_that_was_killed_is_done_by_the_next_process(tenant):
    id_ = create(tenant, 7)
    tenant.history.catch_up()
    path = str(tenant.ledger.path)

    assert subprocess.run([sys.executable, "-c", DYING, path, id_]).returncode == -signal.SIGKILL

    assert list(tenant.ledger.unfinished_erasures().values()) == [stream_of(id_)]
    Purges(tenant).step()
    assert tenant.ledger.unfinished_erasures() == {}
    assert with_traces(tenant, 7) == []


def test_remains_of_an_interrupted_rebuild_are_removed_too(tenant):
    id_ = create(tenant, 7)
    twin = tenant.resources.twin("_building_00000000")
    with tenant.ledger.writing() as connection:
        twin.create_tables(connection)
        for recorded in tenant.ledger.read_all():
            twin.project(connection, recorded)

    erase(tenant, id_)

    assert with_traces(tenant, 7) == []


@pytest.mark.slow
def test_whoever_is_erased_of_many_that_changed_at_random_leaves_nothing(tenant):
    chance = random.Random(4)
    ids = []
    for number in range(600):
        ids.append(create(tenant, number))
        for changed in chance.choices(range(len(ids)), k=chance.randrange(3)):
            filler = "x" * chance.choice((0, 50, 200, 400, 3000))
            new = person(changed, filler, chance.randrange(9))
            chosen = {key: new[key] for key in chance.sample(sorted(new.keys() - {"active"}), 3)}
            append(tenant, ids[changed], Event(events.UPDATED, chosen))
        if chance.random() < 0.2:
            tenant.history.catch_up()
    tenant.history.catch_up()

    for number in (201, 214, *chance.sample(range(200), 6)):  # of 201 and 214 it left copies
        assert erase(tenant, ids[number]).unfinished is None
        assert with_traces(tenant, number) == []
