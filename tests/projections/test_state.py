"""The state that the events of a resource add up to, and its stored document."""

import json
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ledger import events
from ledger.events import Recorded
from projections.state import (
    Resource,
    UnknownChange,
    document_of,
    evolve,
    is_active,
    laid_over,
    located,
    resource_of,
)
from tests.projections.worlds import fold

USER = "urn:ietf:params:scim:schemas:core:2.0:User"
ENTERPRISE = "urn:ietf:params:scim:schemas:extension:enterprise:2.0:User"
OTHER = "urn:example:params:other:1.0:User"

JANE = Resource(
    type="User",
    id="01a2",
    version=3,
    created="2026-11-24T08:00:00.000000Z",
    last_modified="2026-11-24T09:00:00.000000Z",
    attributes={
        "userName": "jane@example.com",
        "active": True,
        "emails": [{"value": "jane@example.com", "type": "work"}],
        f"{ENTERPRISE}:department": "R&D",
        f"{ENTERPRISE}:manager": {"value": "01a3"},
    },
)


def happened(type_: str, version: int = 1, **effects: Any) -> Recorded:
    return Recorded(
        position=40 + version,
        id=f"event-{version}",
        stream="User-01a2",
        version=version,
        type=type_,
        revision=1,
        at=f"2026-11-24T08:00:00.{version:06}Z",
        txn="t",
        actor="a",
        via="test",
        payload=effects,
    )


CREATED = happened(events.CREATED, userName="jane", active=True, title="Chief")


# Folding


def test_nothing_happened_is_nothing() -> None:
    assert fold([]) is None


def test_created_makes_a_resource_of_its_effects() -> None:
    assert fold([CREATED]) == Resource(
        type="User",
        id="01a2",
        version=1,
        created="2026-11-24T08:00:00.000001Z",
        last_modified="2026-11-24T08:00:00.000001Z",
        attributes={"userName": "jane", "active": True, "title": "Chief"},
    )


def test_the_request_that_caused_an_event_is_no_attribute() -> None:
    recorded = replace(CREATED, payload={"userName": "jane", "request.method": "POST"})

    resource = fold([recorded])

    assert resource
    assert resource.attributes == {"userName": "jane", "active": True}


def test_a_null_at_creation_is_no_attribute() -> None:
    resource = fold([happened(events.CREATED, userName="jane", title=None)])

    assert resource
    assert resource.attributes == {"userName": "jane", "active": True}


@pytest.mark.parametrize("type_", [events.UPDATED, events.DEACTIVATED, events.REACTIVATED])
def test_a_change_lays_its_effects_over_the_attributes(type_: str) -> None:
    resource = fold([CREATED, happened(type_, 2, title=None, active=False, nickName="J")])

    assert resource
    assert resource.attributes == {"userName": "jane", "active": False, "nickName": "J"}


def test_a_change_moves_version_and_time_but_not_creation() -> None:
    resource = fold([CREATED, happened(events.UPDATED, 2, title="CEO")])

    assert resource
    assert resource.version == 2
    assert resource.created == "2026-11-24T08:00:00.000001Z"
    assert resource.last_modified == "2026-11-24T08:00:00.000002Z"


def test_a_value_is_replaced_whole_not_merged() -> None:
    before = happened(events.CREATED, name={"givenName": "Jane", "familyName": "Doe"})

    resource = fold([before, happened(events.UPDATED, 2, name={"givenName": "Joan"})])

    assert resource
    assert resource.attributes["name"] == {"givenName": "Joan"}


def test_deleted_is_nothing() -> None:
    assert fold([CREATED, happened(events.DELETED, 2)]) is None


def test_a_deleted_resource_can_be_created_again() -> None:
    again = happened(events.CREATED, 3, userName="joan")

    resource = fold([CREATED, happened(events.DELETED, 2), again])

    assert resource
    assert (resource.version, resource.attributes) == (3, {"userName": "joan", "active": True})


@pytest.mark.parametrize("type_", [events.UPDATED, events.DEACTIVATED, events.REACTIVATED])
def test_a_change_of_nothing_known_stops_the_fold(type_: str) -> None:
    with pytest.raises(UnknownChange, match="position 42"):
        fold([happened(type_, 2, title="CEO")])


@pytest.mark.parametrize("type_", [events.LEDGER_OPENED, events.CREDENTIAL_ISSUED, "Levitated"])
def test_an_event_about_something_else_stops_the_fold(type_: str) -> None:
    with pytest.raises(UnknownChange, match=type_):
        evolve(JANE, happened(type_, 4))


def test_evolving_changes_no_state_in_place() -> None:
    before = dict(JANE.attributes)

    evolve(JANE, happened(events.UPDATED, 4, userName=None, title="CEO"))

    assert JANE.attributes == before


values = st.none() | st.booleans() | st.text(max_size=3) | st.lists(st.integers(), max_size=2)
effects = st.dictionaries(st.sampled_from("abcde"), values)


@given(effects, effects)
def test_effects_win_and_nulls_are_no_attributes(
    before: dict[str, Any], after: dict[str, Any]
) -> None:
    laid = laid_over(before, after, "Group")

    assert laid == {
        key: value
        for key in before.keys() | after.keys()
        if (value := after[key] if key in after else before[key]) is not None
    }


activity = st.fixed_dictionaries({}, optional={"active": st.none() | st.booleans()})
users = st.builds(lambda one, two: {**one, **two}, effects, activity)


@given(users, users, users, st.sampled_from(["User", "Group"]))
def test_laying_over_is_the_same_in_one_step_or_two(
    before: dict[str, Any], first: dict[str, Any], second: dict[str, Any], type_: str
) -> None:
    together = {**first, **second}
    stepwise = laid_over(laid_over(before, first, type_), second, type_)

    assert stepwise == laid_over(before, together, type_)


@given(users, users)
def test_a_user_always_has_active_and_an_unassigned_one_is_true(
    before: dict[str, Any], after: dict[str, Any]
) -> None:
    said = {**before, **after}.get("active")

    assert laid_over(before, after, "User")["active"] is (said is not False)


@pytest.mark.parametrize(
    ("attributes", "active"),
    [({"active": True}, True), ({"active": False}, False), ({}, True)],
)
def test_a_resource_that_never_said_so_is_active(attributes: dict[str, Any], active: bool) -> None:
    assert is_active(attributes) is active


# The stored document


def test_a_document_is_the_scim_answer_without_base_url_and_groups() -> None:
    assert json.loads(document_of(JANE, USER, "/Users")) == {
        "schemas": [USER, ENTERPRISE],
        "id": "01a2",
        "userName": "jane@example.com",
        "active": True,
        "emails": [{"value": "jane@example.com", "type": "work"}],
        ENTERPRISE: {"department": "R&D", "manager": {"value": "01a3"}},
        "meta": {
            "resourceType": "User",
            "created": "2026-11-24T08:00:00.000000Z",
            "lastModified": "2026-11-24T09:00:00.000000Z",
            "version": 'W/"3"',
            "location": "/Users/01a2",
        },
    }


def test_a_document_names_the_schemas_of_the_extensions_it_has() -> None:
    attributes = {f"{OTHER}:x": 1, "userName": "jane", f"{ENTERPRISE}:department": "R&D"}

    document = json.loads(document_of(replace(JANE, attributes=attributes), USER, "/Users"))

    assert document["schemas"] == [USER, OTHER, ENTERPRISE]


def test_a_resource_without_attributes_has_a_document_too() -> None:
    bare = replace(JANE, attributes={})

    document = json.loads(document_of(bare, USER, "/Users"))

    assert list(document) == ["schemas", "id", "meta"]


def test_a_document_does_not_depend_on_the_order_of_changes() -> None:
    backwards = replace(JANE, attributes=dict(reversed(JANE.attributes.items())))

    assert document_of(backwards, USER, "/Users") == document_of(JANE, USER, "/Users")


def test_documents_contain_no_members() -> None:
    attributes = {**JANE.attributes, "members:01a4": {"type": "User"}, "members:a:b": {}}

    document = document_of(replace(JANE, attributes=attributes), USER, "/Users")

    assert document == document_of(JANE, USER, "/Users")


texts = st.text(st.characters(exclude_categories=["Cs"]), max_size=8)
leaves = st.booleans() | st.integers(-(2**53) + 1, 2**53 - 1) | texts
stored = leaves | st.lists(st.dictionaries(st.sampled_from(["value", "location"]), leaves))
names = st.sampled_from(
    ["userName", "title", "emails", "location", f"{ENTERPRISE}:department", f"{OTHER}:location"]
)


@given(st.dictionaries(names, stored), st.integers(1, 10**6))
def test_a_resource_is_read_back_from_its_document(
    attributes: dict[str, Any], version: int
) -> None:
    resource = replace(JANE, attributes=attributes, version=version)

    assert resource_of(document_of(resource, USER, "/Users")) == resource


@given(st.dictionaries(names, stored))
def test_the_base_url_is_laid_on_the_location_and_nothing_else(attributes: dict[str, Any]) -> None:
    document = document_of(replace(JANE, attributes=attributes), USER, "/Users")
    expected = json.loads(document)
    expected["meta"]["location"] = "https://scim.example.com/scim/v2/Users/01a2"

    assert json.loads(located(document, b"https://scim.example.com/scim/v2")) == expected
