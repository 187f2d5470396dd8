"""In which order bulk operations go, and what in them is a reference."""

import json
import time

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from scim_api.protocol.bulk_order import in_order
from scim_api.protocol.bulk_references import reference_names, resolved, resolved_patch
from scim_api.protocol.schema.resource_types import GROUP, USER

IDS = {"a": "1", "b": "2", "a/b": "3", 'q"': "4"}


def swap(bulk_id, strict):
    if strict and bulk_id not in IDS:
        raise LookupError(bulk_id)
    return IDS.get(bulk_id)


@st.composite
def needs(draw):
    size = draw(st.integers(0, 9))
    anyone = st.sets(st.integers(0, max(size - 1, 0)), max_size=3)
    return [draw(anyone) - {index} for index in range(size)]


def reached(needs, start):
    """Return all that an operation needs, directly or through others."""
    found, left = set(), [start]
    while left:
        new = needs[left.pop()] - found
        found |= new
        left.extend(new)
    return found


@given(needs())
def test_every_operation_goes_once(needs):
    groups = in_order(needs)

    assert sorted(index for group in groups for index in group) == list(range(len(needs)))


@given(needs())
def test_what_is_needed_goes_before_or_together(needs):
    groups = in_order(needs)

    turn = {index: number for number, group in enumerate(groups) for index in group}
    assert all(turn[need] <= turn[index] for index, found in enumerate(needs) for need in found)


@given(needs())
@example([{1}, {0}])
@example([{1}, {2}, {0}, {0}])
def test_together_go_exactly_those_that_need_each_other(needs):
    groups = in_order(needs)

    group_of = {index: group for group in groups for index in group}
    for index in range(len(needs)):
        circle = {other for other in reached(needs, index) if index in reached(needs, other)}
        assert group_of[index] == sorted(circle | {index})


@given(needs())
def test_without_forward_references_the_order_is_that_of_the_request(needs):
    backward = [{need for need in found if need < i} for i, found in enumerate(needs)]

    groups = in_order(backward)

    assert groups == [[index] for index in range(len(needs))]


@given(needs())
def test_an_operation_goes_earlier_only_for_one_that_needs_it(needs):
    order = [index for group in in_order(needs) for index in group]

    for at, index in enumerate(order):
        overtaken = {i for i in range(index) if i not in order[:at]}
        waiting = {i for i in overtaken if index in reached(needs, i)}
        assert waiting or not overtaken or any(index in reached(needs, i) for i in range(index))


def test_a_chain_of_the_greatest_length_is_no_trouble():
    chain = [{index + 1} for index in range(999)] + [set()]

    groups = in_order(chain)

    assert groups == [[index] for index in reversed(range(1000))]


def test_a_circle_of_the_greatest_length_is_no_trouble():
    groups = in_order([{(index + 1) % 1000} for index in range(1000)])

    assert groups == [list(range(1000))]


@pytest.mark.parametrize(
    ("data", "meant"),
    [
        ({"members": [{"value": "bulkId:a"}]}, {"members": [{"value": "1"}]}),
        ({"members": ["bulkId:a"]}, {"members": ["1"]}),
        ({"members": {"$ref": "../Users/bulkId:b"}}, {"members": {"$ref": "../Users/2"}}),
        ({"x": "https://h/v2/Users/bulkId:a"}, {"x": "https://h/v2/Users/1"}),
        ({"value": "bulkId:a/b"}, {"value": "3"}),
        ({"displayName": "bulkId:a"}, {"displayName": "1"}),
        ({"displayName": "bulkId:unknown"}, {"displayName": "bulkId:unknown"}),
        ({"displayName": "see bulkId:a"}, {"displayName": "see bulkId:a"}),
        ({"photos": [{"value": "h/bulkId:x"}]}, {"photos": [{"value": "h/bulkId:x"}]}),
        ({"n": 1, "b": True, "none": None}, {"n": 1, "b": True, "none": None}),
        (["bulkId:a"], ["1"]),
        ({"members": '[{"value":"bulkId:a"}]'}, {"members": '[{"value":"1"}]'}),
        ({"members": ['{"value":"bulkId:a"}']}, {"members": ['{"value":"1"}']}),
        ({"members": '["bulkId:unknown'}, {"members": '["bulkId:unknown'}),
        ({"x": '{"n": 1.0, "y": "bulkId:q"}'}, {"x": '{"n": 1.0, "y": "bulkId:q"}'}),
    ],
)
def test_a_text_that_names_a_known_bulk_id_becomes_its_id(data, meant):
    found = resolved(data, reference_names(GROUP), swap)

    assert found == meant


@pytest.mark.parametrize(
    ("path", "meant"),
    [
        ('members[value eq "bulkId:a"]', 'members[value eq "1"]'),
        ("members[value eq bulkId:a]", 'members[value eq "1"]'),
        ('members[value eq "bulkId:q\\""]', 'members[value eq "4"]'),
        (
            'members[value eq "bulkId:a" or value eq "bulkId:b"].type',
            'members[value eq "1" or value eq "2"].type',
        ),
        ('emails[value eq "x"]', 'emails[value eq "x"]'),
        ("bulkId", "bulkId"),
    ],
)
def test_a_patch_path_is_resolved_within_its_filter(path, meant):
    body = {"Operations": [{"op": "remove", "path": path}]}

    found = resolved_patch(body, reference_names(GROUP), swap)

    assert found == {"Operations": [{"op": "remove", "path": meant}]}


@pytest.mark.parametrize(
    "operation",
    [
        {"path": "members", "value": [{"value": "bulkId:x"}]},
        {"path": "members", "value": "bulkId:x"},
        {"path": "manager.value", "value": "bulkId:x"},
        {"path": "urn:a:2.0:User:manager", "value": "bulkId:x"},
        {"path": 'members[value eq "bulkId:x"]'},
        {"path": "members[value eq bulkId:x]"},
        {"Path": 'emails[type eq "a.b"].value', "Value": "bulkId:x"},
        {"value": {"urn:a:2.0:User:manager.value": "bulkId:x"}},
        {"value": {"members": [{"$ref": "/Users/bulkId:x"}]}},
        {"path": "members", "value": '["bulkId:x"]'},
        {"value": '{"members":"[{\\"value\\":\\"bulkId:x\\"}]"}'},
    ],
)
@pytest.mark.parametrize("resource_type", [USER, GROUP], ids=lambda found: found.name)
def test_where_only_a_reference_can_stand_an_unknown_one_is_noticed(operation, resource_type):
    names = reference_names(USER) | reference_names(resource_type) | {"members"}

    with pytest.raises(LookupError):
        resolved_patch({"operations": [operation]}, names, swap)


def test_text_in_a_patch_that_is_no_reference_is_left():
    body = {"Operations": [{"op": "add", "path": "displayName", "value": "bulkId:x"}]}

    assert resolved_patch(body, reference_names(GROUP), swap) == body


def test_what_is_no_patch_is_left_for_the_service_to_refuse():
    for body in ([], "bulkId:a", {"Operations": "bulkId:a"}, {"Operations": ["bulkId:a"]}):
        assert resolved_patch(body, reference_names(GROUP), swap) == body


def test_json_text_keeps_every_digit_where_a_reference_in_it_is_swapped():
    text = '{"rate":0.12345678901234567890123,"manager":{"value":"bulkId:a"}}'

    found = resolved({"urn:x": text}, reference_names(USER), swap)

    assert found == {"urn:x": text.replace("bulkId:a", "1")}


@pytest.mark.parametrize("text", ["[" * 500 + '"bulkId:a"' + "]" * 500, '["bulkId:a"'])
def test_json_text_that_cannot_be_read_is_left_for_the_service_to_refuse(text):
    for _ in range(12):
        assert resolved({"members": text}, reference_names(GROUP), swap) == {"members": text}
        text = json.dumps([text])


@pytest.mark.parametrize("odd", ['"', '\\"', '["', '[\\"', "[", "bulkId:", "/", ".:"])
def test_no_text_takes_long(odd):
    text = '"' + odd * 100_000
    body = {"Operations": [{"path": text, "value": text}]}

    started = time.perf_counter()
    resolved_patch(body, frozenset(), lambda bulk_id, strict: None)

    assert time.perf_counter() - started < 1


def test_a_quote_that_is_never_closed_is_left_for_the_service_to_refuse():
    body = {"Operations": [{"path": 'members[value eq "bulkId:a'}]}

    assert resolved_patch(body, reference_names(GROUP), swap) == body
