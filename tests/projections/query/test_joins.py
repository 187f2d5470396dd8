"""Filters and sorts over members and groups: SQL agrees with the documents in memory."""

import json
from typing import Any

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from projections.query.matching import matches
from projections.query.model import Operator, Query
from scim_api.protocol.filter import parse_filter, parse_sort
from scim_api.protocol.schema.attributes import AllTypes, ResourceType
from scim_api.protocol.schema.resource_types import GROUP, RESOURCE_TYPES, USER
from tests.projections.filters_drawn import combined
from tests.projections.sorting import sort_key
from tests.projections.worlds import GROUPS, HISTORIES, POPULATED, STRANGERS, USERS, Lived, Step

PROPERTY = settings(
    max_examples=300, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)

ALL = AllTypes.of(RESOURCE_TYPES)


def found(lived: Lived, type_: str | None, query: Query) -> list[str]:
    page = lived.resources.search(lived.connection, type_, query)
    assert page.total == len(page.rows)
    return [json.loads(document)["id"] for *_, document in page.rows]


def shown(lived: Lived, type_: str | None) -> list[dict[str, Any]]:
    return [one for one in lived.documents if type_ in (None, one["meta"]["resourceType"])]


# Filters

WORDS = st.sampled_from(
    [
        *(*USERS, *GROUPS, *STRANGERS, "U0", "G0", "x", "", "u"),
        *("/Users/u0", "/Groups/g1", "/groups/G1", "/Users/x0", "/Users/u'\"%"),
        *("User", "group", "direct", "INDIRECT", "dir"),
        *("ada", "Ada", "STRASSE", "béa", "bob", "u0 Ada", "g0 straße", "d", "%"),
    ]
).map(json.dumps)
TESTS = st.one_of(
    st.builds("{} {}".format, st.sampled_from(list(Operator)), WORDS),
    st.sampled_from(["pr", "eq null", "ne null"]),
)
SUBS = ("value", "type", "display", "$ref")


def compared(*attributes: str) -> st.SearchStrategy[str]:
    return st.builds("{} {}".format, st.sampled_from(attributes), TESTS)


WITHIN = combined(compared(*SUBS))


def over(attribute: str) -> list[st.SearchStrategy[str]]:
    """Return every form of term about members, or about groups."""
    return [
        compared(attribute, *(f"{attribute}.{sub}" for sub in SUBS)),
        st.builds("{}[{}]".format, st.just(attribute), WITHIN),
        st.builds("{}[{}].{} {}".format, st.just(attribute), WITHIN, st.sampled_from(SUBS), TESTS),
    ]


OWN = compared("id", "displayName", "meta.resourceType", "meta.location")
OF_GROUPS = combined(st.one_of(*over("members"), OWN))
OF_USERS = combined(st.one_of(*over("groups"), OWN, compared("userName")))
NOWHERE = compared("nowhere", "userName.nick", "groups.nick", "urn:x:2.0:Y:z.a")
WITHIN_NOWHERE = st.builds("{}[nick {}]".format, st.sampled_from(["nowhere", "members"]), TESTS)
OF_ALL = combined(
    st.one_of(*over("members"), *over("groups"), OWN, compared("userName"), NOWHERE, WITHIN_NOWHERE)
)

NESTED: list[Step] = [
    *POPULATED,
    ("join", "g0", ["u0", "x0"]),
    ("join", "g1", ["g0", "u0"]),
    ("join", "g2", ["g1", "u1"]),
    ("join", "g0", ["g2"]),
]


@PROPERTY
@example(NESTED, 'members[value eq "u0" and type eq "user" and display co "ada"]')
@example(NESTED, 'members.$ref eq "/Users/x0" or members.display eq null')
@given(HISTORIES, OF_GROUPS)
def test_the_same_groups_are_found_by_their_members(
    database: Any, history: list[Step], text: str
) -> None:
    filter = parse_filter(text, GROUP)

    lived = Lived(database, history)

    expected = [one["id"] for one in shown(lived, "Group") if matches(filter, one)]
    assert found(lived, "Group", Query(filter=filter)) == expected


@PROPERTY
@example(NESTED, 'groups[value eq "g2" and type eq "indirect"]')
@example(NESTED, 'groups.$ref eq "/Groups/g1"')
@example(NESTED, 'groups.value eq "g2" and not (groups[type eq "direct" and value eq "g2"])')
@given(HISTORIES, OF_USERS)
def test_the_same_users_are_found_by_their_groups(
    database: Any, history: list[Step], text: str
) -> None:
    filter = parse_filter(text, USER)

    lived = Lived(database, history)

    expected = [one["id"] for one in shown(lived, "User") if matches(filter, one)]
    assert found(lived, "User", Query(filter=filter)) == expected


@PROPERTY
@example(NESTED, 'groups.value eq "g2"')
@example(NESTED, "groups pr or members pr")
@given(HISTORIES, OF_ALL)
def test_the_same_resources_are_found_across_all_types(
    database: Any, history: list[Step], text: str
) -> None:
    filter = parse_filter(text, ALL)

    lived = Lived(database, history)

    expected = [one["id"] for one in shown(lived, None) if matches(filter, one)]
    assert found(lived, None, Query(filter=filter)) == expected


# Sorts

SORTS = st.one_of(
    st.tuples(st.just(GROUP), st.sampled_from([f"members.{sub}" for sub in SUBS])),
    st.tuples(st.just(USER), st.sampled_from([f"groups.{sub}" for sub in SUBS])),
    st.tuples(
        st.just(ALL),
        st.sampled_from(
            [f"{kind}.{sub}" for kind in ("members", "groups") for sub in SUBS]
            + ["displayName", "userName", "meta.resourceType", "nowhere"]
        ),
    ),
)


@PROPERTY
@example(NESTED, (GROUP, "members.display"), True)
@example(NESTED, (ALL, "groups.display"), False)
@given(HISTORIES, SORTS, st.booleans())
def test_resources_sort_the_same_by_members_and_groups(
    database: Any, history: list[Step], sort: tuple[ResourceType, str], descending: bool
) -> None:
    resource_type, text = sort
    type_ = None if resource_type is ALL else resource_type.name
    path = parse_sort(text, resource_type)

    lived = Lived(database, history)

    by_key = sorted(shown(lived, type_), key=lambda one: sort_key(path, one), reverse=descending)
    query = Query(sort_by=path, descending=descending)
    assert found(lived, type_, query) == [one["id"] for one in by_key]


@pytest.mark.parametrize("attribute", ["members", "groups"])
@pytest.mark.parametrize("word", [" or ", " and "])
def test_the_longest_filter_about_members_and_groups_runs(
    database: Any, word: str, attribute: str
) -> None:
    lived = Lived(database, NESTED)
    filter = parse_filter(word.join([f'{attribute}[not (type eq "x")]'] * 200), ALL)

    sorted_too = Query(filter=filter, sort_by=parse_sort(f"{attribute}.display", ALL))

    expected = {one["id"] for one in shown(lived, None) if attribute in one}
    assert set(found(lived, None, sorted_too)) == expected != set()
