"""References in bulk operations, and the values they resolve to."""

import json
import time

import pytest

from scim_api.protocol.bulk import References, reference_names
from scim_api.protocol.schema.resource_types import GROUP, USER

IDS = {"a": "1", "b": "2", "a/b": "3", 'q"': "4"}


def resolve(bulk_id, strict):
    if strict and bulk_id not in IDS:
        raise LookupError(bulk_id)
    return IDS.get(bulk_id)


def resolved(data, names):
    return References(names, resolve).in_data("POST", data)


def resolved_patch(data, names, resolve=resolve):
    return References(names, resolve).in_data("PATCH", data)


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
    found = resolved(data, reference_names(GROUP))

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

    found = resolved_patch(body, reference_names(GROUP))

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
        resolved_patch({"operations": [operation]}, names)


def test_text_in_a_patch_that_is_no_reference_is_left():
    body = {"Operations": [{"op": "add", "path": "displayName", "value": "bulkId:x"}]}

    assert resolved_patch(body, reference_names(GROUP)) == body


def test_an_invalid_patch_is_left_to_the_service():
    for body in ([], "bulkId:a", {"Operations": "bulkId:a"}, {"Operations": ["bulkId:a"]}):
        assert resolved_patch(body, reference_names(GROUP)) == body


def test_json_text_keeps_every_digit_where_a_reference_in_it_is_swapped():
    text = '{"rate":0.12345678901234567890123,"manager":{"value":"bulkId:a"}}'

    found = resolved({"urn:x": text}, reference_names(USER))

    assert found == {"urn:x": text.replace("bulkId:a", "1")}


@pytest.mark.parametrize("text", ["[" * 500 + '"bulkId:a"' + "]" * 500, '["bulkId:a"'])
def test_json_text_that_cannot_be_read_is_left_for_the_service_to_refuse(text):
    for _ in range(12):
        assert resolved({"members": text}, reference_names(GROUP)) == {"members": text}
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

    assert resolved_patch(body, reference_names(GROUP)) == body
