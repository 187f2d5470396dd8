"""No byte of an erased person stays in any file: what SQLite leaves in its pages goes too."""

import random
from contextlib import closing

import pytest

from ledger import clock, events
from ledger.contract import Append
from ledger.erasure import Order
from ledger.events import Event, Metadata
from scim_api.erasure.erase import Erasure, finish, prospect, stream_of
from scim_api.erasure.mentions import Survey, marks_of
from scim_api.wiring import open_tenant

ORDER = Order("gdpr-17", "PRIV-42")
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


def erase(tenant, id_):
    return Erasure(tenant, prospect(tenant, id_)).carry_out(ORDER, METADATA, 10)


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


def test_a_file_in_which_sqlite_left_a_copy_is_written_anew(trace, tenant):
    done = erase(tenant, trace)

    assert [path.name for path in done.written_anew] == ["ledger.db"]
    assert done.unfinished is None
    assert with_traces(tenant, 7) == []


def test_files_without_a_copy_are_left_as_they_are(tenant):
    id_ = create(tenant, 7)
    tenant.history.catch_up()

    assert erase(tenant, id_).written_anew == ()
    assert with_traces(tenant, 7) == []


def test_where_the_marks_are_not_known_any_more_every_file_is_written_anew(trace, tenant):
    with tenant.ledger.reading() as reader:
        reader.execute("BEGIN")
        reader.execute("SELECT * FROM event").fetchone()
        unfinished = Erasure(tenant, prospect(tenant, trace)).carry_out(ORDER, METADATA, 0)
        reader.execute("ROLLBACK")
    assert unfinished.unfinished
    assert with_traces(tenant, 7)

    assert finish(tenant, 10) is None

    assert with_traces(tenant, 7) == []


def test_what_a_rebuild_left_that_was_cut_off_goes_too(tenant):
    id_ = create(tenant, 7)
    twin = tenant.resources.beside("_building_00000000")
    with tenant.ledger.writing() as connection:
        twin.create_tables(connection)
        for recorded in tenant.ledger.read_all():
            twin.project(connection, recorded)

    erase(tenant, id_)

    assert with_traces(tenant, 7) == []


def test_half_a_copy_is_a_trace_too(api):
    path = api.site.data_dir / "default" / "ledger.db"
    api.site.close()
    with closing(open_tenant(path)) as opened:
        create(opened, 8)
        id_ = create(opened, 7)
    leave_a_trace(path, b"k00007u@ex")
    with closing(open_tenant(path)) as opened:
        assert [each.name for each in erase(opened, id_).written_anew] == ["ledger.db"]
    assert b"k00007u@" not in path.read_bytes()


def test_what_others_are_called_too_is_no_trace(tenant):
    id_ = create(tenant, 7)
    append(tenant, clock.uuid7(), Event(events.CREATED, person(8) | {"nickName": "00uTok00007"}))
    marks = marks_of(tenant.ledger.read_stream(stream_of(id_)))

    traces = prospect(tenant, id_).survey.traces(marks)

    assert b"tok00007u@example.com" in traces.marks
    assert b"00utok00007" not in traces.marks
    assert b"0007u" in traces.fragments
    assert not {b"examp", b"ple.c", b"tok00"} & traces.fragments


def test_traces_are_looked_for_in_every_form_in_which_files_hold_them():
    survey = Survey((), frozenset(), b"")

    assert survey.traces({"displayName": frozenset(['Zoë "ÖÄ"'])}).marks == {
        'zoë "ÖÄ"'.encode(),
        'zoë \\"ÖÄ\\"'.encode(),
        'zoë "öä"'.encode(),
        'zoë \\"öä\\"'.encode(),
    }


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
