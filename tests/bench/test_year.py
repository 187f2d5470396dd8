"""The year: its plan, the feed's client, and a short one against a real service."""

import socket
from contextlib import closing

import pytest

from tests.bench import year
from tests.bench.wire import Wire
from tests.bench.year_plan import APART, BARRIER, Plan
from tests.bench.year_watch import Feed


def test_a_plan_is_the_same_each_time_and_has_the_requests_asked_for() -> None:
    plan = list(Plan(200, 4000))

    assert plan == list(Plan(200, 4000))
    assert 4000 <= sum(each.requests for each in plan) < 4010


def test_nothing_else_happens_to_a_person_while_something_may_be_under_way() -> None:
    plan = list(Plan(4000, 40_000))
    people = [
        each.person
        for each in plan[plan.index(BARRIER, 4100) :]
        if each.kind not in ("barrier", "push_members", "rename_team", "import", "test")
    ]

    last: dict[int, int] = {}
    for number, person in enumerate(people):
        assert number - last.get(person, -APART) >= APART
        last[person] = number


def test_people_leave_who_are_there_and_come_back_who_left() -> None:
    there = set(range(1000))
    for each in Plan(1000, 40_000):
        if each.kind in ("join", "come_back"):
            assert each.person not in there
            there.add(each.person)
        elif each.kind.startswith(("push_t", "push_s", "push_p", "move", "leave", "link")):
            assert each.person in there
            there -= {each.person} if each.kind == "leave" else set()


@pytest.mark.parametrize("size", [1, 7, 64, 4096])
def test_a_feed_is_counted_however_it_is_cut(size: int) -> None:
    frames = [b"id: %d\nevent: Created\ndata: {}\n\n" % number for number in range(1, 40)]
    sent = b"HTTP/1.1 200 OK\r\n\r\n1f\r\nretry: 2000\n" + b"".join(frames)
    ours, theirs = socket.socketpair()
    with closing(ours), closing(theirs):
        feed = Feed(Wire(1, "", "token"), ours)
        for start in range(0, len(sent), size):
            theirs.sendall(sent[start : start + size])
            feed.arrived()

    assert (feed.events, feed.position) == (39, 39)


@pytest.mark.slow
def test_every_acknowledged_write_of_a_short_year_is_there(tmp_path) -> None:
    found = year.replay(tmp_path, people=40, requests=800, workers=1, each=4)

    assert found.holds, year.text(year.as_json(found))
    assert found.events > 200
