"""Timelines, blame and differences equal a replay of all events by plain dicts."""

import itertools
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, example, given, settings

from ledger.events import DELETED, MEMBERS_ADDED, Event
from ledger.sqlite.ledger import SQLiteLedger
from projections.audit import blame as blames
from projections.audit.archive import Archive
from projections.audit.blame import BEGINNING, Blame
from projections.audit.diff import KINDS as DIFFERENCES
from projections.audit.diff import MOST_READ, Difference, Differences, reasons_of
from projections.audit.membership_diff import Span
from projections.audit.timeline import Entry, Timeline, Window
from tests.projections.told import TOLD, Told, ids, maker

PROPERTY = settings(
    max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
TYPES = ["User", "Group"]

Telling = Callable[[list[Any]], Any]


@pytest.fixture(scope="module")
def make(tmp_path_factory: pytest.TempPathFactory) -> Callable[[], Path]:
    folder = tmp_path_factory.mktemp("told")
    made, numbers = maker(folder), itertools.count()
    return lambda: made(folder / str(next(numbers)))


@pytest.fixture
def telling(make: Callable[[], Path]) -> Telling:
    """Return a ledger with a varied history."""

    @contextmanager
    def tell(history: list[Any]) -> Iterator[Told]:
        told = Told(make(), history)
        yield told
        told.close()

    return tell


def timeline(told: Told, type_: str, id_: str, count: int, newest_first: bool) -> list[Entry]:
    """Return all entries, read in pages of a size."""
    asked, window = Timeline(told.archive, type_, id_), Window(count=count)
    window = Window(count=count, newest_first=newest_first)
    found: list[Entry] = []
    while True:
        page = asked.page(window)
        assert len(page.entries) <= count
        found += page.entries
        if not page.more:
            return found
        window = window.following(page.entries[-1].cause.position)


def plain(entries: list[Entry]) -> list[tuple[int, dict[str, Any]]]:
    return [(e.cause.position, {k: tuple(c) for k, c in e.changes.items()}) for e in entries]


@PROPERTY
@given(history=TOLD)
def test_a_timeline_has_each_event_with_the_values_before_and_after(
    telling: Telling, history: list[Any]
) -> None:
    with telling(history) as told:
        for type_, id_ in ids():
            assert plain(timeline(told, type_, id_, 1000, False)) == told.model.timeline(id_)


@PROPERTY
@given(history=TOLD)
def test_a_timeline_is_the_same_in_pages_of_any_size_and_either_order(
    telling: Telling, history: list[Any]
) -> None:
    with telling(history) as told:
        for type_, id_ in ids():
            whole = timeline(told, type_, id_, 1000, False)
            for count in (1, 2, 3):
                assert timeline(told, type_, id_, count, False) == whole
                assert timeline(told, type_, id_, count, True) == whole[::-1]


def blame(archive: Archive, type_: str, id_: str, at: int, count: int) -> list[Any]:
    """Return attribute, value and position of every row, read in pages of a size."""
    asked, begin, found = Blame(archive, type_, id_, at), BEGINNING, list[Any]()
    while begin:
        page = asked.page(begin, count)
        assert len(page.rows) <= count
        found += page.rows
        begin = page.next  # type: ignore[assignment]
    related = ("members", "groups")
    return [
        (row.attribute, row.value["value"] if row.attribute in related else row.value, row.cause)
        for row in found
    ]


@PROPERTY
@given(history=TOLD)
def test_blame_names_the_event_from_which_on_a_value_was_there(
    telling: Telling, history: list[Any]
) -> None:
    with telling(history) as told:
        for type_, id_ in ids():
            for at in range(1, told.model.end + 1, 2):
                found = blame(told.archive, type_, id_, at, 1000)

                rows = [(attribute, value, cause.position) for attribute, value, cause in found]
                assert sorted(rows, key=repr) == sorted(told.model.blame(id_, at), key=repr)


@PROPERTY
@given(history=TOLD)
def test_blame_is_the_same_in_pages_of_any_size(telling: Telling, history: list[Any]) -> None:
    with telling(history) as told:
        for type_, id_ in ids():
            whole = blame(told.archive, type_, id_, told.model.end, 1000)
            for count in (1, 2, 3):
                assert blame(told.archive, type_, id_, told.model.end, count) == whole


def spans(end: int) -> Iterator[Span]:
    for start in range(1, end + 1, 4):
        for stop in {start, min(start + 3, end), (start + end) // 2, end}:
            yield Span(start, stop)


def in_short(found: Difference) -> tuple[Any, ...]:
    sides = found.turnover.joined_values, found.turnover.left_values
    joined, left = ([value["value"] for value in side] for side in sides)
    assert (found.turnover.joined, found.turnover.left) == (len(joined), len(left))
    return found.kind, {k: tuple(c) for k, c in found.changes.items()}, joined, left


def all_rows(told: Told, span: Span, count: int, kind: str | None = None) -> list[Difference]:
    asked, found = Differences(told.archive, span), list[Difference]()
    after: int | None = 0
    while after is not None:
        page = asked.page(after, count, types=TYPES, kind=kind)
        assert len(page.rows) <= count
        found += page.rows
        after = page.next
    return found


@PROPERTY
@given(history=TOLD)
def test_a_difference_equals_the_difference_of_the_two_states(
    telling: Telling, history: list[Any]
) -> None:
    with telling(history) as told:
        for span in spans(told.model.end):
            wanted = {
                id_: difference
                for _, id_ in ids()
                if (difference := told.model.difference(id_, span.start, span.end))
            }

            rows = all_rows(told, span, 1000)

            assert {row.id: in_short(row) for row in rows} == wanted
            assert len(rows) == len(wanted)


@PROPERTY
@given(history=TOLD)
def test_differences_are_the_same_in_pages_of_any_size_and_kind_by_kind(
    telling: Telling, history: list[Any]
) -> None:
    with telling(history) as told:
        span = Span(told.model.end // 3 or 1, told.model.end)
        whole = all_rows(told, span, 1000)
        for count in (1, 2, 3):
            assert all_rows(told, span, count) == whole
        for kind in DIFFERENCES:
            assert all_rows(told, span, 2, kind) == [row for row in whole if row.kind == kind]


RECREATED = [  # at position 7, without the title that the deletion at 6 removed
    ("name", "u0", ("Ada", {})),
    ("set", "u0", {"title": "Chef"}),
    *[("name", id_, (f"Name {id_}", {})) for id_ in ("u1", "u2")],
    ("delete", "u0", None),
    ("name", "u0", ("Ada", {})),
]


@PROPERTY
@example(history=RECREATED)
@given(history=TOLD)
def test_one_resource_differs_as_its_row_says(telling: Telling, history: list[Any]) -> None:
    with telling(history) as told:
        for span in spans(told.model.end):
            rows = {row.id: row for row in all_rows(told, span, 1000)}
            for type_, id_ in ids():
                found = Differences(told.archive, span).of(type_, id_)

                kind, changes, joined, left = in_short(found)
                row = rows.get(id_)
                moved = found.before and found.after and (joined or left)
                own = row.kind if row else None
                if own in (None, "undone"):  # a user's row knows nothing of groups
                    own = "changed" if moved else "undone" if found.events and kind else None
                assert kind == own
                mine = [e for e, _ in told.model.timeline(id_) if span.start < e <= span.end]
                if found.shown:
                    assert found.events == len(mine)
                    assert_reasons(told, found, mine)
                assert not row or changes == in_short(row)[1]
                if type_ == "User":
                    before = told.model.all_groups(id_, span.start)
                    after = told.model.all_groups(id_, span.end)
                    assert joined == sorted(after.keys() - before.keys())
                    assert left == sorted(before.keys() - after.keys())


def assert_reasons(told: Told, found: Difference, mine: list[int]) -> None:
    """Check that each value that differs has the last event that set it for its cause."""
    reasons = reasons_of(told.archive, found)
    assert [cause.position for cause in reasons.every] == mine
    last = dict[str, int]()
    for position, changes in told.model.timeline(found.id):
        if position in mine:
            event = told.model.events[position - 1]
            gone = (event.type, event.subject) == (DELETED, found.id)
            last |= dict.fromkeys(found.changes if gone else changes, position)
    for key in found.changes:
        assert reasons.causes[key].position == last[key]


def test_of_very_many_events_the_newest_are_read_for_causes(telling: Telling) -> None:
    with telling([("name", "u0", ("Ada", {})), ("set", "u0", {"title": "Clerk"})]) as told:
        for number in range(MOST_READ):
            told.set("u0", {"active": bool(number % 2)})
        span = Span(2, told.model.end + MOST_READ)
        found = Differences(told.archive, span).of("User", "u0")

        reasons = reasons_of(told.archive, found)

        assert found.events == MOST_READ + 1
        assert not reasons.complete
        assert len(reasons.every) == MOST_READ
        assert reasons.causes["active"].position == reasons.every[-1].position
        assert "title" in found.changes and "title" not in reasons.causes
        joined = Differences(told.archive, Span(1, span.end)).of("User", "u0")
        made = reasons_of(told.archive, joined).made
        assert made and (joined.kind, made.type) == ("joined", "Created")


# Cost


class Counted:
    """Counts the steps of SQLite's machine in one ledger and its history."""

    def __init__(self, archive: Archive) -> None:
        self._connections = [archive.ledger.reader(), archive.history.file.reader()]
        self.steps = 0

    def _step(self) -> int:
        self.steps += 1
        return 0

    def of(self, ask: Callable[[], Any]) -> int:
        """Return how many hundreds of steps something takes."""
        self.steps = 0
        for connection in self._connections:
            connection.set_progress_handler(self._step, 100)
        ask()
        for connection in self._connections:
            connection.set_progress_handler(None, 0)
        return self.steps


def large(told: Told, size: int) -> Counted:
    """Give a group many events, each of one member."""
    told.take("name", "g0", ("Everyone", {}))
    members = [f"{1_000_000 + n}" for n in range(size)]
    events = [Event(MEMBERS_ADDED, {f"members:{m}": {"type": "User"}}) for m in members]
    told.append("Group-g0", events)
    told.archive.end()
    return Counted(told.archive)


def test_a_page_of_a_large_group_costs_as_much_as_one_of_a_small_group(telling: Telling) -> None:
    costs = {}
    for size in (300, 6000):
        with telling([]) as told:
            count = large(told, size)
            end = told.ledger.last_position()
            group = Timeline(told.archive, "Group", "g0")
            middle = Window(after=end // 2, count=20)
            newest = Window(count=20, newest_first=True)
            late = Differences(told.archive, Span(end - 20, end))
            costs[size] = [
                count.of(lambda: group.page(middle)),  # noqa: B023 (called at once)
                count.of(lambda: group.page(newest)),  # noqa: B023
                count.of(lambda: late.page(0, 100, types=TYPES, kind=None)),  # noqa: B023
                count.of(lambda: late.of("Group", "g0")),  # noqa: B023
            ]
            assert len(group.page(middle).entries) == 20
            assert late.of("Group", "g0").turnover.joined == 20

    assert all(many < few * 1.5 + 5 for few, many in zip(costs[300], costs[6000], strict=True))


def test_blame_looks_at_no_value_that_an_event_left_as_it_was(
    telling: Telling, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A user of 1 MB with 1,000 versions took seconds."""
    looked: list[str] = []
    items = blames._items
    monkeypatch.setattr(
        blames, "_items", lambda name, value: (looked.append(name), items(name, value))[1]
    )
    mailed = ("set", "u0", {"emails": [{"value": "a@x"}, {"value": "b@x"}]})
    titled = [("set", "u0", {"title": title}) for title in ("Chef", "Clerk") * 4]
    with telling([("name", "u0", ("Ada", {})), mailed, *titled]) as told:
        blame(told.archive, "User", "u0", told.model.end, 1000)

    assert (looked.count("emails"), looked.count("title")) == (1, 8)


@pytest.mark.parametrize(("bound", "most"), [("MOST_CHANGES", 10), ("MOST_BYTES", 400)])
def test_a_page_ends_early_rather_than_to_hold_too_many_or_too_large_changes(
    telling: Telling, monkeypatch: pytest.MonkeyPatch, bound: str, most: int
) -> None:
    monkeypatch.setattr(f"projections.audit.timeline.{bound}", most)
    with telling([]) as told:
        large(told, 30)
        group = Timeline(told.archive, "Group", "g0")

        page = group.page(Window())

        assert page.more
        assert len(page.entries) < 10
        assert len(timeline(told, "Group", "g0", 100, False)) == 31
        assert len(timeline(told, "Group", "g0", 100, True)) == 31


def test_an_event_of_the_erased_tells_type_and_time_only(telling: Telling) -> None:
    history = [("name", "u0", ("Ada", {})), ("name", "g0", ("Staff", {})), ("join", "g0", ["u0"])]
    with telling([*history, ("erase", "u0", None)]) as told:
        entries = timeline(told, "User", "u0", 100, False)

        assert [e.cause.type for e in entries] == ["Created", "Deleted", "Erased"]
        assert all(e.cause.at and not e.changes for e in entries)
        created = entries[0].cause
        assert (created.client, created.request_id, created.address) == (None, None, None)
        assert timeline(told, "Group", "g0", 100, False)[1].changes == {}
        assert not Blame(told.archive, "User", "u0", told.model.end).exists()
        assert Differences(told.archive, Span(1, told.model.end)).of("User", "u0").shown is None
        assert told.archive.lifetimes.deleted_with_name("User", "Ada") == []


def test_a_cause_names_client_and_credential(telling: Telling) -> None:
    with telling([("name", "u0", ("Ada", {}))]) as told:
        with told.ledger.writing() as connection:
            connection.execute(
                "INSERT INTO credential (id, kind, name, issued_at, scopes, networks, allows,"
                " details, version, seal) VALUES"
                " ('c1', 'Credential', 'okta', 'now', '', '', 'all', '{}', 1, '')"
            )

        [entry] = timeline(told, "User", "u0", 100, False)

        cause = entry.cause
        assert (cause.credential, cause.client, cause.request_id) == ("okta", "Okta", "r1")
        assert cause.user_agent == "Okta SCIM Client 1.0.0"
        assert cause.who == "okta"


def test_a_deleted_user_is_found_by_the_name_it_had_last(telling: Telling) -> None:
    history = [("name", "u0", ("Ada", {})), ("name", "u0", ("Béa", {})), ("delete", "u0", None)]
    with telling(history) as told:
        told.archive.end()
        assert told.archive.lifetimes.deleted_with_name("User", "BÉA") == ["u0"]
        assert told.archive.lifetimes.deleted_with_name("User", "Ada") == []
        assert told.archive.lifetimes.deleted_with_name("Group", "Béa") == []


def test_parts_of_a_stream_are_found_by_position(telling: Telling) -> None:
    with telling([("name", "u0", (f"N{n}", {})) for n in range(7)]) as told:
        ledger: SQLiteLedger = told.ledger
        told.take("name", "u1", ("Ada", {}))
        found = [ledger.version_at("User-u0", at) for at in range(11)]

        assert found == [0, 0, 1, 2, 3, 4, 5, 6, 7, 7, 7]


def test_each_kind_says_how_it_came(telling: Telling) -> None:
    asleep, awake = {"active": False}, {"active": True}
    history = [
        *[("name", id_, (f"Before {id_}", {})) for id_ in ("u0", "u1", "g0", "g1")],
        *[("set", "u0", asleep), ("set", "u1", asleep)],
        *[("set", "u0", awake), ("set", "u0", asleep)],  # and was active in between
        *[("set", "u1", awake), ("delete", "g0", None), ("name", "g1", ("After", {}))],
        *[("name", "u2", ("New", {})), ("name", "g2", ("Short", {})), ("delete", "g2", None)],
    ]
    with telling(history) as told:
        rows = all_rows(told, Span(7, told.model.end), 1000)

        assert {row.id: (row.kind, row.how) for row in rows} == {
            "u0": ("passed", "reactivated and deactivated"),
            "u1": ("reactivated", "reactivated"),
            "u2": ("joined", "created"),
            "g0": ("left", "deleted"),
            "g1": ("changed", "changed"),
            "g2": ("passed", "created and deleted"),
        }
        assert {row.id: row.shown.attributes for row in rows if row.shown}["g2"] == {
            "displayName": "Short"
        }


def test_a_difference_names_the_event_that_made_it_despite_later_changes(telling: Telling) -> None:
    asleep, awake, edited = {"active": False}, {"active": True}, {"title": "Chef"}
    history = [
        *[("name", id_, (f"Before {id_}", {})) for id_ in ("u0", "u1", "u2", "g0")],
        ("set", "u1", asleep),
    ]
    then = [
        *[("name", "u3", ("New", {})), ("set", "u3", edited), ("set", "u3", asleep)],
        *[("set", "u0", asleep), ("set", "u0", awake), ("set", "u0", asleep)],
        *[("set", "u0", edited), ("delete", "u0", None)],
        *[("set", "u1", awake), ("set", "u1", asleep), ("set", "u1", {"active": None})],
        ("set", "u1", edited),
        *[("set", "u2", edited), ("set", "u2", {"emails": [{"value": "a@x"}]})],
        ("set", "u2", {"emails": None}),
        *[("join", "g0", ["u1"]), ("join", "g0", ["u2"]), ("leave", "g0", ["u1"])],
    ]
    with telling([*history, *then]) as told:
        start = next(e.position for e in told.model.events if e.subject == "u3") - 1
        span = Span(start, told.model.end)
        made = {}
        for row in all_rows(told, span, 1000):
            reasons = reasons_of(told.archive, row)
            assert reasons.made and reasons.last
            mine = [e for e in told.model.events[start:] if e.subject == row.id]
            order = {e.position: n for n, e in enumerate(mine)}
            made[row.id] = (row.kind, reasons.made.type, order[reasons.made.position])
            assert reasons.last.position == mine[-1].position

    assert made == {
        "u0": ("left", "Deactivated", 2),  # not the deletion later on
        "u1": ("reactivated", "Reactivated", 2),
        "u2": ("changed", "Updated", 0),
        "u3": ("joined", "Created", 0),
        "g0": ("changed", "MembersAdded", 1),
    }


def test_the_deletion_removed_what_a_new_creation_does_not_give(telling: Telling) -> None:
    with telling(RECREATED) as told:
        found = Differences(told.archive, Span(5, 7)).of("User", "u0")

        assert tuple(found.changes["title"]) == ("Chef", None)
        assert reasons_of(told.archive, found).causes["title"].type == DELETED
