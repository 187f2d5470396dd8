"""Filters are accepted, refused and understood as an independent implementation does.

The oracle is scim2-models. Left out, because there we differ on purpose:
- it lowers case where we fold it: texts here are ASCII, where the two are one;
- it reads no unquoted words, and takes "yes" or 1 for a boolean where we take "true" in any case;
- it compares null by order, `name` as a whole, the password, and any part of a time: we refuse;
- it wants e-mail addresses to be some: `roles` stand in for `emails`;
- of an empty list it says neither `eq null` nor `ne null`: to us it is absent (RFC 7643 §2.5).
"""

import json
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError
from scim2_models import EnterpriseUser, ScimFilter, SearchRequest, User

from projections.query.matching import matches
from scim_api.protocol.errors import InvalidFilter
from scim_api.protocol.filter import parse_filter
from scim_api.protocol.policy import STRICT, Tolerances, with_settings
from scim_api.protocol.schema.resource_types import ENTERPRISE_URN, USER, USER_URN

OracleUser = User[EnterpriseUser]
OracleFilter = ScimFilter[OracleUser]
OracleRequest = SearchRequest[OracleUser]

RFC = with_settings(STRICT, {"every_filter_operator": True, "part_after_brackets": True})
PROPERTY = settings(max_examples=300, deadline=None)

TEXTS = st.sampled_from(["", "a", "A", "ab", "aB", "b", "%", "_", '"', "\\", "a) or (b", " "])
TIMES = st.sampled_from(
    ["2026-01-31T10:00:00Z", "2026-01-31T12:00:00+02:00", "2026-01-31T10:00:00.5Z"]
)


def some(**parts: st.SearchStrategy[Any]) -> st.SearchStrategy[dict[str, Any]]:
    return st.fixed_dictionaries({}, optional=parts)


ROLE = st.fixed_dictionaries(  # without `primary` the oracle finds none; docs/disagreements.md
    {"primary": st.booleans()}, optional={"value": TEXTS, "type": TEXTS}
)
ROLES = st.lists(ROLE, min_size=1, max_size=3)
EXTENSION = some(department=TEXTS, manager=st.fixed_dictionaries({"value": TEXTS}))
DOCUMENTS = st.fixed_dictionaries(
    {
        "schemas": st.just([USER_URN, ENTERPRISE_URN]),
        "id": TEXTS,
        "userName": TEXTS,
        "meta": st.fixed_dictionaries({"resourceType": st.just("User"), "created": TIMES}),
        ENTERPRISE_URN: EXTENSION,
    },
    optional={
        "externalId": TEXTS,
        "title": TEXTS,
        "active": st.booleans(),
        "name": some(givenName=TEXTS, familyName=TEXTS),
        "roles": ROLES,
    },
)

NULL_TESTS = st.sampled_from(["eq null", "ne NULL", "pr"])
TEXT_TESTS = NULL_TESTS | st.builds(
    "{} {}".format,
    st.sampled_from(["eq", "ne", "co", "sw", "ew", "gt", "ge", "lt", "LE"]),
    TEXTS.map(json.dumps),
)
BOOLEAN_TESTS = NULL_TESTS | st.sampled_from(["eq true", "ne true", "eq FALSE", "ne false"])
TIME_TESTS = NULL_TESTS | st.builds(
    "{} {}".format, st.sampled_from(["eq", "ne", "gt", "ge", "lt", "le"]), TIMES.map(json.dumps)
)


def compared(attributes: list[str], tests: st.SearchStrategy[str]) -> st.SearchStrategy[str]:
    return st.builds("{} {}".format, st.sampled_from(attributes), tests)


def combined(terms: st.SearchStrategy[str]) -> st.SearchStrategy[str]:
    return st.recursive(
        terms,
        lambda inner: st.one_of(
            st.builds("{} and {}".format, inner, inner),
            st.builds("{} or {}".format, inner, inner),
            st.builds("not ({})".format, inner),
            st.builds("({})".format, inner),
        ),
        max_leaves=5,
    )


WITHIN = combined(compared(["value", "TYPE"], TEXT_TESTS) | compared(["primary"], BOOLEAN_TESTS))
SIMPLE = [
    *("userName", "ID", "externalId", "title", "name.givenName", "roles", "roles.type"),
    *(f"{USER_URN}:userName", f"{ENTERPRISE_URN}:department", f"{ENTERPRISE_URN}:manager.value"),
]
FILTERS = combined(
    st.one_of(
        compared(SIMPLE, TEXT_TESTS),
        compared(["active", "roles.primary"], BOOLEAN_TESTS),
        compared(["meta.created"], TIME_TESTS),
        compared(["name", "roles", f"{ENTERPRISE_URN}:manager"], st.just("pr")),
        st.builds("roles[{}]".format, WITHIN),
        st.builds("roles[{}].value {}".format, WITHIN, TEXT_TESTS),
    )
)

WORDS = st.sampled_from(
    [
        *("title", "userName", "name.givenName", "active", "roles", "roles.type", "value", "type"),
        *("eq", "CO", "gt", "pr", "pr", "and", "or", "not", "like", "(", ")", "[", "]", "].value"),
        *('"x"', '"x', r'"\x"', r'"\u0041"', "5", "05", "true"),
    ]
)


@st.composite
def nearly_filters(draw: st.DrawFn) -> str:
    """Draw a filter in which words were left out, put in or exchanged."""
    sound = draw(
        st.sampled_from(
            [
                'title eq "x"',
                'not ( title eq "x" ) and ( userName pr or active eq true )',
                'roles [ type eq "x" and not ( value CO "x" ) ] or title pr',
                'roles [ type eq "x" ].value gt "x" and roles.type pr',
            ]
        )
    )
    words = sound.split()
    for _ in range(draw(st.integers(0, 2))):
        at = draw(st.integers(0, len(words)))
        words[at : at + draw(st.integers(0, 2))] = draw(st.lists(WORDS, max_size=2))
    return " ".join(words)


def is_accepted(text: str) -> bool:
    try:
        parse_filter(text, USER, Tolerances(RFC))
    except InvalidFilter:
        return False
    return True


def oracle_accepts(text: str) -> bool:
    try:
        OracleRequest(filter=text)
    except ValidationError:
        return False
    return True


@PROPERTY
@given(FILTERS)
def test_sound_filters_are_accepted(text: str) -> None:
    assert oracle_accepts(text)
    assert is_accepted(text)


@PROPERTY
@given(nearly_filters())
def test_damaged_filters_are_accepted_or_refused_alike(text: str) -> None:
    assert is_accepted(text) == oracle_accepts(text)


@PROPERTY
@given(DOCUMENTS, FILTERS)
def test_filters_hold_for_the_same_resources(document: dict[str, Any], text: str) -> None:
    expected = OracleFilter(text).match(OracleUser.model_validate(document))

    assert matches(parse_filter(text, USER), document) is expected
