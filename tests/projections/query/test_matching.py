"""The meaning of filters and sorts over one document, rule by rule."""

import re
import time
from typing import Any
from unicodedata import combining, normalize

import pytest
from hypothesis import given
from hypothesis import strategies as st

from projections.query.comparison import fold, instant, stream_safe
from projections.query.matching import matches
from projections.query.model import Compare, Operator, Path, Type
from scim_api.protocol.filter import parse_filter, parse_path, parse_sort
from scim_api.protocol.schema.resource_types import ENTERPRISE_URN, USER, USER_URN
from tests.projections.sorting import sort_key

JANE: dict[str, Any] = {
    "schemas": [USER_URN, ENTERPRISE_URN],
    "id": "2f1c",
    "externalId": "00uA",
    "userName": "Jane.Doe@Example.com",
    "name": {"familyName": "Doe", "givenName": "Jane", "middleName": ""},
    "active": False,
    "emails": [
        {"value": "jane@work.example", "type": "work"},
        {"value": "jane@home.example", "type": "home", "primary": True},
        {"value": "jane@other.example"},
    ],
    "phoneNumbers": [],
    ENTERPRISE_URN: {"department": "Straße", "manager": {"value": "aB1"}},
    "meta": {"resourceType": "User", "created": "2026-01-31T10:00:00.5Z"},
}


def holds(text: str, document: dict[str, Any] = JANE) -> bool:
    return matches(parse_filter(text, USER), document)


@pytest.mark.parametrize(
    "text",
    [
        'userName eq "jane.doe@example.COM"',
        'userName sw "JANE."',
        'userName ew ".COM"',
        'userName co "DOE@"',
        'userName gt "a"',
        'name.familyName le "doe"',
        f'{ENTERPRISE_URN}:department eq "STRASSE"',
    ],
)
def test_case_does_not_matter_unless_the_attribute_is_case_exact(text: str) -> None:
    assert holds(text)


@pytest.mark.parametrize(
    "text",
    [
        'externalId eq "00ua"',
        'externalId co "ua"',
        'id eq "2F1C"',
        f'{ENTERPRISE_URN}:manager.value eq "AB1"',
        'schemas eq "URN:ietf:params:scim:schemas:core:2.0:User"',
    ],
)
def test_case_matters_in_case_exact_attributes(text: str) -> None:
    assert not holds(text)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("title eq null", True),
        ("title ne null", False),
        ('title eq "x"', False),
        ('title ne "x"', True),
        ('title co ""', False),
        ('title le "x"', False),
        ("title pr", False),
        ("userName eq null", False),
        ("userName ne null", True),
        ("active eq true", False),
        ("active ne true", True),
    ],
)
def test_an_absent_attribute_equals_only_null(text: str, expected: bool) -> None:
    assert holds(text) is expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ('emails eq "JANE@home.example"', True),
        ('emails.value ne "jane@home.example"', False),
        ('emails.value ne "nobody@example"', True),
        ("emails.type eq null", True),
        ("emails.type ne null", False),
        ("emails.value eq null", False),
        ('emails.type eq "work"', True),
        ("emails.primary eq true", True),
        ("emails.primary eq false", True),
    ],
)
def test_any_value_may_match_but_none_may_equal_for_ne(text: str, expected: bool) -> None:
    assert holds(text) is expected


@pytest.mark.parametrize("attribute", ["phoneNumbers", "ims"])
@pytest.mark.parametrize(
    ("rest", "expected"),
    [
        ("eq null", True),
        (".type eq null", True),
        ('ne "x"', True),
        ('eq "x"', False),
        ("ne null", False),
        ("pr", False),
        ('[type ne "work"]', False),
        ("[type eq null]", False),
    ],
)
def test_an_absent_or_empty_list_is_one_absent_value_but_none_in_brackets(
    attribute: str, rest: str, expected: bool
) -> None:
    assert holds(f"{attribute}{'' if rest[0] in '.[' else ' '}{rest}") is expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("active pr", True),
        ("name pr", True),
        ("name.middleName pr", False),
        ("emails pr", True),
        ("emails.type pr", True),
        ("emails.display pr", False),
        ("schemas pr", True),
        (f"{ENTERPRISE_URN}:manager pr", True),
        (f"{ENTERPRISE_URN}:manager.displayName pr", False),
    ],
)
def test_pr_wants_a_value_that_is_not_empty_and_false_is_one(text: str, expected: bool) -> None:
    assert holds(text) is expected


def test_a_complex_attribute_without_any_part_is_not_present() -> None:
    assert not holds("name pr", {"name": {"familyName": "", "givenName": None}})


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ('emails[type eq "work" and value co "work"]', True),
        ('emails[type eq "work" and value co "home"]', False),
        ('emails[type eq "work"].value co "home"', False),
        ('emails[type eq "work"].value pr', True),
        ('emails[not (type eq "work") and not (primary eq true)]', True),
        ('emails[type eq "x" or value ew "OTHER.example"]', True),
        (f'schemas[value eq "{ENTERPRISE_URN}"]', True),
        ('schemas[not (value sw "urn:")]', False),
    ],
)
def test_brackets_hold_for_one_and_the_same_value(text: str, expected: bool) -> None:
    assert holds(text) is expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ('meta.created eq "2026-01-31T12:00:00.500+02:00"', True),
        ('meta.created gt "2026-01-31T10:00:00Z"', True),
        ('meta.created lt "2026-01-31T10:00:00.500001Z"', True),
        ('meta.created sw "2026-01-31T10"', True),
        ('meta.lastModified ge "2000-01-01T00:00:00Z"', False),
    ],
)
def test_times_compare_as_instants_and_parts_of_them_as_text(text: str, expected: bool) -> None:
    assert holds(text) is expected


@pytest.mark.parametrize("wrong", [5, True, ["Boss"], {"value": "Boss"}])
@pytest.mark.parametrize("operator", ["eq", "co", "sw", "ew", "gt", "ge", "lt", "le"])
def test_a_value_of_another_type_matches_nothing(wrong: Any, operator: str) -> None:
    assert not holds(f'title {operator} "Boss"', {"title": wrong})


def test_a_value_of_another_type_is_not_equal() -> None:
    assert holds('title ne "5"', {"title": 5})


def test_values_that_are_no_list_are_not_searched() -> None:
    document = {"emails": {"value": "x"}}

    assert not holds('emails eq "x"', document)
    assert not holds("emails pr", document)


def test_numbers_compare_by_value() -> None:
    path = Path("size", ("size",), None, Type.INTEGER, False, False)

    assert matches(Compare(path, Operator.GT, 9), {"size": 10})
    assert not matches(Compare(path, Operator.EQ, 1), {"size": True})


@pytest.mark.parametrize("operator", [each for each in Operator if each is not Operator.NE])
def test_incomparable_values_match_no_filter(operator: Operator) -> None:
    created = Path("meta.created", ("meta", "created"), None, Type.DATE_TIME, False, False)

    assert not matches(Compare(created, operator, "no time"), JANE)
    assert matches(Compare(created, Operator.NE, "no time"), JANE)


def test_a_patch_path_selects_single_values() -> None:
    selection = parse_path('emails[type eq "WORK"]', USER).filter

    assert selection
    assert [matches(selection, email) for email in JANE["emails"]] == [True, False, False]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("userName", "jane.doe@example.com"),
        ("externalId", "00uA"),
        ("emails", "jane@home.example"),
        ("active", False),
        (f"{ENTERPRISE_URN}:department", "strasse"),
        ("meta.created", "2026-01-31T10:00:00.500000Z"),
    ],
)
def test_sorting_goes_by_the_comparable_form_of_the_primary_value(
    text: str, expected: str | bool
) -> None:
    assert sort_key(parse_sort(text, USER), JANE) == (False, expected)


def test_sorting_goes_by_the_first_value_where_none_is_primary() -> None:
    document = {"emails": [{"value": "B"}, {"value": "a"}]}

    assert sort_key(parse_sort("emails", USER), document) == (False, "b")


@pytest.mark.parametrize("document", [{}, {"title": None}, {"title": 7}])
def test_documents_without_a_value_sort_last(document: dict[str, Any]) -> None:
    assert sort_key(parse_sort("title", USER), document) > (False, "\U0010ffff")


@given(st.text())
def test_folding_twice_is_folding_once(text: str) -> None:
    assert fold(fold(text)) == fold(text)


MARKS = st.text("a\u00e9\u1f82\u0301\u0308\u0316\u0327\u0344\u0345\u0f71\u0f73\u0f81", max_size=200)


@given(MARKS)
def test_long_runs_of_marks_fold_as_unicode_has_it(text: str) -> None:
    assert fold(text) == normalize("NFC", normalize("NFC", text).casefold())


def test_folding_takes_time_that_grows_with_the_text_whatever_marks_it_has() -> None:
    text = "a" + "\u0301\u0316" * 75_000

    started = time.thread_time()
    assert len(fold(text)) == 150_000  # the a and one mark are one letter
    assert time.thread_time() - started < 2  # it was eleven seconds


@given(MARKS)
def test_a_text_is_stream_safe_with_thirty_non_starters_in_a_row_at_most(text: str) -> None:
    runs = re.split("[^\x01]+", "".join(map(_ccc, normalize("NFKD", text))))

    assert stream_safe(text) is (max(map(len, runs)) <= 30)


def _ccc(character: str) -> str:
    return "\x01" if combining(character) else "\x00"


def test_folding_ignores_how_accents_are_composed() -> None:
    assert fold("E\u0301") == fold("é") == fold("É")


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("2026-01-31T10:00:00Z", "2026-01-31T10:00:00.000000Z"),
        ("2026-01-31T10:00:00", "2026-01-31T10:00:00.000000Z"),
        ("2026-01-31t10:00:00.1234567z", "2026-01-31T10:00:00.123456Z"),
        ("2026-01-31T00:30:00+01:00", "2026-01-30T23:30:00.000000Z"),
        ("0001-01-01T00:00:00Z", "0001-01-01T00:00:00.000000Z"),
        ("0001-01-01T00:00:00+14:00", None),
        ("2026-01-31T24:00:00Z", "2026-02-01T00:00:00.000000Z"),
        ("2026-01-31T24:00:00.00-14:00", "2026-02-01T14:00:00.000000Z"),
        ("2026-01-31T24:00:00.000001Z", None),
        ("9999-12-31T24:00:00Z", None),
        ("2026-01-31T23:59:60Z", None),
        ("2026-02-30T10:00:00Z", None),
        ("2026-01-31", None),
        ("2026-01-31 10:00:00Z", None),
        ("2026-01-31T10:00:00+1:00", None),
        ("٢٠٢٦-01-31T10:00:00Z", None),
        ("yesterday", None),
    ],
)
def test_an_instant_is_utc_to_the_microsecond(text: str, expected: str | None) -> None:
    assert instant(text) == expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("emails.primary eq false", [True, True, True, False]),
        ("emails[primary eq false]", [True, True, True, False]),
        ("emails[not (primary eq true)]", [True, True, True, False]),
        ("emails.primary ne false", [False, False, False, True]),
        ("emails.primary eq true", [False, True, False, False]),
        ("emails.primary pr", [False, True, True, False]),
        ("emails[primary eq null]", [True, True, False, False]),
    ],
)
def test_a_value_without_primary_is_one_whose_primary_is_false(
    text: str, expected: list[bool]
) -> None:
    filter = parse_filter(text, USER)
    value = {"value": "a@x.org"}
    documents: list[dict[str, Any]] = [
        {"emails": [value]},
        {"emails": [value, {**value, "primary": True}]},
        {"emails": [{**value, "primary": False}]},
        {},
    ]

    assert [matches(filter, document) for document in documents] == expected


def test_no_other_boolean_is_false_where_it_is_missing() -> None:
    assert not matches(parse_filter("active eq false", USER), {})
