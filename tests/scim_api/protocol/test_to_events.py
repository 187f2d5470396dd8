"""Desired state -> events."""

import pytest

from ledger.events import Event
from scim_api.protocol.to_events import creation, difference, membership


def test_a_created_resource_is_one_event() -> None:
    assert creation({"userName": "a"}) == [Event("Created", {"userName": "a"})]


def test_no_difference_is_no_event() -> None:
    assert difference({"title": "T", "active": True}, {"title": "T", "active": True}) == []


def test_an_attribute_left_out_becomes_unassigned() -> None:
    assert difference({"title": "T"}, {}) == [Event("Updated", {"title": None})]


def test_only_changes_are_recorded() -> None:
    events = difference({"title": "T", "locale": "en"}, {"title": "U", "locale": "en"})

    assert events == [Event("Updated", {"title": "U"})]


def test_a_resource_that_does_not_say_so_is_active() -> None:
    assert difference({"active": True}, {}) == [Event("Updated", {"active": None})]
    assert difference({}, {"active": True}) == [Event("Updated", {"active": True})]
    assert difference({}, {"active": False}) == [Event("Deactivated", {"active": False})]


def test_taking_a_false_active_away_is_to_reactivate() -> None:
    assert difference({"active": False}, {}) == [Event("Reactivated", {"active": None})]


def test_deactivating_is_an_event_of_its_own_after_the_others() -> None:
    events = difference({"active": True, "title": "T"}, {"active": False, "title": "U"})

    assert events == [Event("Updated", {"title": "U"}), Event("Deactivated", {"active": False})]


def test_reactivating_is_an_event_of_its_own() -> None:
    assert difference({"active": False}, {"active": True}) == [
        Event("Reactivated", {"active": True})
    ]


def test_the_order_of_many_values_is_no_difference() -> None:
    before = {"emails": [{"value": "a", "type": "work"}, {"value": "b"}]}
    after = {"emails": [{"value": "b"}, {"type": "work", "value": "a"}]}

    assert difference(before, after) == []


def test_a_value_twice_is_not_the_same_as_two_values() -> None:
    events = difference({"roles": [{"value": "a"}, {"value": "b"}]}, {"roles": [{"value": "a"}]})

    assert events == [Event("Updated", {"roles": [{"value": "a"}]})]


def test_leaving_members_are_recorded_before_joining_ones() -> None:
    assert membership({"a": "User", "b": "Group"}, ["c"]) == [
        Event("MembersRemoved", {"members:c": None}),
        Event("MembersAdded", {"members:a": {"type": "User"}, "members:b": {"type": "Group"}}),
    ]
    assert membership({}, []) == []


@pytest.mark.parametrize(
    ("count", "sizes"), [(1000, [1000]), (1001, [1000, 1]), (2000, [1000, 1000])]
)
def test_an_event_has_at_most_1000_members(count: int, sizes: list[int]) -> None:
    ids = [str(n) for n in range(count)]

    for events in (membership(dict.fromkeys(ids, "User"), []), membership({}, ids)):
        assert [len(event.effects) for event in events] == sizes
        assert [key for event in events for key in event.effects] == [f"members:{n}" for n in ids]


@pytest.mark.parametrize(
    ("before", "after", "changed"),
    [
        (["a", "b"], ["b", "a"], False),
        (
            [{"value": "a", "type": "x"}, {"value": "b"}],
            [{"value": "b"}, {"type": "x", "value": "a"}],
            False,
        ),
        (["a", "a"], ["a"], True),
        (["a", "b"], ["a", "c"], True),
        (["1"], [1], True),
        (["a"], "a", True),
    ],
)
def test_the_order_of_values_is_no_change_and_all_else_is(before, after, changed) -> None:
    assert bool(difference({"nicknames": before}, {"nicknames": after})) is changed
