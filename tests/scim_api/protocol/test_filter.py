"""Filters, paths and sortBy: what they may contain, and how they are refused."""

import json
import time
from dataclasses import replace

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from projections.query.model import (
    And,
    AnyValue,
    Compare,
    Filter,
    Not,
    Operator,
    Or,
    Path,
    Present,
    Type,
)
from scim_api.protocol.errors import InvalidFilter, InvalidPath, InvalidValue, UnknownPath
from scim_api.protocol.filter import PatchPath, parse_filter, parse_path, parse_sort
from scim_api.protocol.policy import OKTA, STRICT, Policy, Tolerances
from scim_api.protocol.schema.attributes import AllTypes, Attribute
from scim_api.protocol.schema.resource_types import (
    ENTERPRISE_URN,
    RESOURCE_TYPES,
    USER,
    USER_URN,
)

EVERY_TYPE = AllTypes.of(RESOURCE_TYPES)


def read(text: str) -> Filter:
    return parse_filter(text, USER)


def path(text: str) -> Path:
    """Return the path of `text pr`."""
    found = read(f"{text} pr")
    assert isinstance(found, Present)
    return found.path


def value_of(text: str) -> object:
    found = read(text)
    assert isinstance(found, Compare)
    return found.value


def refusal(text: str, policy: Policy = OKTA) -> str:
    with pytest.raises(InvalidFilter) as caught:
        parse_filter(text, USER, Tolerances(policy))
    return caught.value.detail


TITLE, NICK, ACTIVE = Present(path("title")), Present(path("nickName")), Present(path("active"))


# Terms and precedence


def test_the_look_up_that_okta_sends() -> None:
    expected = Compare(
        Path("userName", ("userName",), None, Type.STRING, False, False), Operator.EQ, "a@b"
    )

    assert read('userName eq "a@b"') == expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("title pr and nickName pr or active pr", Or((And((TITLE, NICK)), ACTIVE))),
        ("title pr or nickName pr and active pr", Or((TITLE, And((NICK, ACTIVE))))),
        ("title pr and (nickName pr or active pr)", And((TITLE, Or((NICK, ACTIVE))))),
        ("not (title pr) and nickName pr", And((Not(TITLE), NICK))),
        ("not(title pr or nickName pr)", Not(Or((TITLE, NICK)))),
        ("not (not (title pr))", Not(Not(TITLE))),
        ("title pr and nickName pr and active pr", And((TITLE, NICK, ACTIVE))),
        ("((title pr))", TITLE),
        (" ( title\tpr\r\n)and(nickName pr) ", And((TITLE, NICK))),
        ("TITLE PR AND NOT (nickname Pr) OR Active pR", Or((And((TITLE, Not(NICK))), ACTIVE))),
    ],
)
def test_not_binds_tighter_than_and_which_binds_tighter_than_or(
    text: str, expected: Filter
) -> None:
    assert read(text) == expected


@pytest.mark.parametrize("operator", list(Operator))
def test_operators_are_read_in_any_case(operator: Operator) -> None:
    found = read(f'title {operator.upper()} "x"')

    assert found == Compare(TITLE.path, operator, "x")


# Attributes


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("USERNAME", "userName"),
        (f"{USER_URN}:userName", "userName"),
        (f"{USER_URN.upper()}:username", "userName"),
    ],
)
def test_attributes_are_found_in_any_case_with_or_without_urn(text: str, expected: str) -> None:
    assert path(text).key == expected


def test_extension_attributes_are_found_by_their_urn() -> None:
    found = path(f"{ENTERPRISE_URN.upper()}:MANAGER.VALUE")

    assert found.key == f"{ENTERPRISE_URN}:manager"
    assert found.steps == (ENTERPRISE_URN, "manager")
    assert (found.sub, found.case_exact) == ("value", True)


def test_a_multi_valued_complex_attribute_compares_its_value() -> None:
    assert read('emails co "x"') == read('emails.value co "x"')


def test_presence_of_a_complex_attribute_is_of_the_attribute_itself() -> None:
    assert path("emails").sub is None
    assert path("name").sub is None


def test_a_reference_is_named_with_its_dollar_sign() -> None:
    assert path("groups.$REF").sub == "$ref"


@pytest.mark.parametrize(
    "text",
    ["shoeSize pr", 'name.size eq "x"', "userName.x pr", "urn:x:User:userName pr", "emails[x pr]"],
)
def test_unknown_attributes_are_refused_by_name(text: str) -> None:
    assert 'has no attribute "' in refusal(text)


@pytest.mark.parametrize("text", ['password eq "x"', "password pr", "not (password pr)"])
def test_a_password_cannot_be_asked_for(text: str) -> None:
    assert "password is never returned" in refusal(text)


@pytest.mark.parametrize("text", ['name eq "x"', 'addresses eq "x"', 'meta ne "x"'])
def test_an_attribute_of_parts_has_no_value_to_compare(text: str) -> None:
    assert "has parts and no value of its own" in refusal(text)


# Brackets


def test_paths_in_brackets_are_relative_to_one_value() -> None:
    found = read('emails[type eq "work" and value co "x"]')

    kind = Compare(Path("emails", (), "type", Type.STRING, False, False), Operator.EQ, "work")
    value = Compare(Path("emails", (), "value", Type.STRING, False, False), Operator.CO, "x")
    assert found == AnyValue(path("emails"), And((kind, value)))


def test_a_sub_attribute_after_brackets_is_of_the_same_value() -> None:
    after = read('emails[type eq "work"].value eq "x" and title pr')

    assert after == read('emails[type eq "work" and value eq "x"] and title pr')


def test_presence_after_brackets_is_of_the_same_value() -> None:
    after = read('emails[type eq "work" or primary eq true].value pr')

    assert after == read('emails[(type eq "work" or primary eq true) and value pr]')


def test_the_values_of_a_simple_attribute_are_called_value() -> None:
    found = read('schemas[VALUE eq "urn:x"]')

    itself = Path("schemas", (), None, Type.REFERENCE, False, True)
    assert found == AnyValue(path("schemas"), Compare(itself, Operator.EQ, "urn:x"))


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("emails[ims[type pr]]", "brackets cannot stand within brackets"),
        ("name[givenName pr]", "brackets need a multi-valued attribute"),
        ("emails.value[type pr]", "brackets need a multi-valued attribute"),
        ("emails[]", "expected the name of an attribute"),
        ("emails[type pr", "expected and, or, or ]"),
        ("emails[type pr)", "expected and, or, or ]"),
        ("emails[type pr].value", "expected pr or one of the operators"),
        ("emails[type pr].", "expected the name of an attribute"),
        (f'emails[{USER_URN}:emails.type eq "x"]', "emails has no attribute"),
    ],
)
def test_brackets_are_refused_where_they_select_nothing(text: str, reason: str) -> None:
    assert reason in refusal(text)


# Literals


@pytest.mark.parametrize("value", ['"', "\\", "/", "\b\f\n\r\t", "é\u0301", "😀", "", "a) or (b"])
def test_strings_are_read_as_json(value: str) -> None:
    assert value_of(f"title eq {json.dumps(value)}") == value
    assert value_of(f"title eq {json.dumps(value, ensure_ascii=False)}") == value


def test_a_solidus_may_be_escaped() -> None:
    assert value_of(r'title eq "a\/b"') == "a/b"


@pytest.mark.parametrize(
    ("literal", "position"),
    [
        (r'"ab\x"', 13),
        (r'"a\u12g4"', 12),
        ('"a\nb"', 12),
        ('"a', 10),
        ('"', 10),
        (r'"\ud800"', 10),
        (r'"\udc00\ud800"', 10),
        ('"a\ud800"', 12),
        (r'"a\u0000"', 10),
        ('"a\0"', 12),
    ],
)
def test_broken_strings_are_refused_at_their_place(literal: str, position: int) -> None:
    assert f"at character {position}:" in refusal(f"title eq {literal}")


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("userName eq bjensen@example.com", "bjensen@example.com"),
        ("(userName eq bjensen)", "bjensen"),
        ("userName eq O'Malley", "O'Malley"),
        ("userName eq 007", "007"),
        ("userName eq and", "and"),
        ("userName eq 701984", "701984"),
        ("userName eq True", "True"),
        ("userName eq -5", "-5"),
        ("userName eq 7e3", "7e3"),
        ("(userName sw 1.50)", "1.50"),
        (f"userName eq {'9' * 400}", "9" * 400),
        (f"{ENTERPRISE_URN}:employeeNumber eq 4711", "4711"),
        ("emails co 0", "0"),
        ("emails[value eq 7]", "7"),
        ("profileUrl eq false", "false"),
        ("x509Certificates eq 1234", "1234"),
    ],
)
def test_an_unquoted_word_is_read_as_text_and_reported(text: str, value: str) -> None:
    tolerated: list[str] = []

    found = parse_filter(text, USER, Tolerances(OKTA, tolerated.append))

    found = found.filter if isinstance(found, AnyValue) else found
    assert isinstance(found, Compare)
    assert found.value == value
    assert "unquoted_filter_literal" in tolerated


@pytest.mark.parametrize("null", ["null", "NULL"])
def test_null_without_quotes_is_no_text(null: str) -> None:
    assert value_of(f"userName eq {null}") is None
    assert value_of(f'userName eq "{null}"') == null


@pytest.mark.parametrize(
    "literal",
    [
        '"2026-01-01T00:00:00 02:00"',
        '"2026-01-01T00:00:00+02:00"',
        "2026-01-01T00:00:00 02:00",
        "2025-12-31T22:00:00Z",
    ],
)
def test_a_blank_in_a_time_is_the_plus_that_an_address_lost(literal: str) -> None:
    moment = "2025-12-31T22:00:00.000000Z"

    assert value_of(f"meta.created ge {literal}") == moment
    assert value_of(f"(meta.created ge {literal})") == moment


def test_a_blank_in_a_part_of_a_time_is_the_plus_that_an_address_lost() -> None:
    assert value_of('meta.created sw "2026-01-01T00:00:00 02"') == "2026-01-01T00:00:00+02"
    assert value_of("meta.created ew 00:00 02:00") == "00:00+02:00"


def test_a_leap_second_of_a_filter_is_the_end_of_the_second_before() -> None:
    assert value_of('meta.created lt "2016-12-31T23:59:60Z"') == "2016-12-31T23:59:59.999999Z"


def test_an_unquoted_time_takes_only_a_valid_offset() -> None:
    assert "expected and, or" in refusal("meta.created ge 2026-01-01T00:00:00Z 02:00x")
    assert "compared with a time" in refusal("meta.created ge 2026-01-01T00:00:00Z 02:00")


def test_an_unquoted_word_ends_at_a_closing_bracket() -> None:
    assert read("emails[type eq work]") == read('emails[type eq "work"]')


@pytest.mark.parametrize("word", ["'x'", 'x"', "(x)", "[x]", "x\0", ""])
def test_a_word_that_looks_misquoted_is_refused(word: str) -> None:
    assert refusal(f"title eq {word}")


def test_an_unquoted_word_is_refused_where_quotes_are_asked_for() -> None:
    assert refusal("userName eq bjensen", STRICT).endswith("must be in double quotes.")


@pytest.mark.parametrize("literal", ["true", "TRUE", '"true"', '"True"'])
def test_booleans_are_read_in_any_case_and_in_quotes(literal: str) -> None:
    assert value_of(f"active eq {literal}") is True


def test_a_boolean_in_quotes_is_reported() -> None:
    tolerated: list[str] = []

    parse_filter('active eq "False" and active eq true', USER, Tolerances(OKTA, tolerated.append))

    assert tolerated == ["boolean_strings"]


@pytest.mark.parametrize("literal", ["1", '"yes"', "yes", '""'])
def test_a_boolean_attribute_wants_true_or_false(literal: str) -> None:
    assert "active is compared with true or false" in refusal(f"active eq {literal}")


@pytest.mark.parametrize("literal", ["5", "-1.5e3", "true", "False"])
@pytest.mark.parametrize("attribute", ["userName", "profileUrl", "x509Certificates", "emails"])
def test_a_text_attribute_wants_text_in_quotes_where_they_are_asked_for(
    attribute: str, literal: str
) -> None:
    assert "must be in double quotes" in refusal(f"{attribute} eq {literal}", STRICT)


@pytest.mark.parametrize("operator", ["gt", "ge", "lt", "le", "co", "sw", "ew"])
@pytest.mark.parametrize("comparison", ["active {} true", 'x509Certificates {} "YQ=="'])
def test_booleans_and_binaries_have_no_order_and_no_parts(comparison: str, operator: str) -> None:
    assert "eq and ne only" in refusal(comparison.format(operator))


@pytest.mark.parametrize("operator", ["eq", "ne"])
@pytest.mark.parametrize("attribute", ["title", "active", "meta.created", "emails"])
def test_null_can_be_equal_or_not(attribute: str, operator: str) -> None:
    assert value_of(f"{attribute} {operator} NULL") is None


@pytest.mark.parametrize("operator", ["gt", "ge", "lt", "le", "co", "sw", "ew"])
def test_null_has_no_order_and_no_parts(operator: str) -> None:
    assert "null can be compared with eq and ne only" in refusal(f"title {operator} null")


def test_times_are_read_as_instants_in_utc() -> None:
    value = value_of('meta.created gt "2026-01-31T10:00:00+01:00"')

    assert value == "2026-01-31T09:00:00.000000Z"


def test_part_of_a_time_stays_text() -> None:
    assert value_of('meta.created sw "2026-01"') == "2026-01"


@pytest.mark.parametrize("literal", ['"yesterday"', '"2026-13-01T00:00:00Z"', "2026", "true"])
def test_an_invalid_time_is_refused(literal: str) -> None:
    assert "created is compared with" in refusal(f"meta.created gt {literal}")


SIZED = replace(
    USER,
    extensions=(
        replace(
            USER.extensions[0],
            id="urn:x",
            attributes=(
                Attribute("size", "A whole number.", Type.INTEGER),
                Attribute("ratio", "A number.", Type.DECIMAL),
            ),
        ),
    ),
)


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("urn:x:size eq 5", 5),
        ("urn:x:size ge -0", 0),
        ("urn:x:ratio lt 1.5", "1.5"),
        ("urn:x:ratio eq -2E2", "-200"),
        ("urn:x:ratio eq 123456789012345678.90", "123456789012345678.9"),
        ("urn:x:ratio eq 2", "2"),
    ],
)
def test_numbers_are_read_as_payloads_keep_them(text: str, value: int | str) -> None:
    found = parse_filter(text, SIZED)

    assert isinstance(found, Compare)
    assert found.value == value


@pytest.mark.parametrize(
    "text",
    [
        "urn:x:size eq 1.5",
        'urn:x:size eq "5"',
        "urn:x:size eq true",
        "urn:x:size co 5",
        "urn:x:ratio sw 1.5",
        "urn:x:ratio eq 1e999",
        'urn:x:ratio eq "1.5"',
        f"urn:x:size eq {2**63}",
        f"urn:x:size eq {'9' * 5000}",
    ],
)
def test_numbers_are_refused_that_do_not_fit(text: str) -> None:
    with pytest.raises(InvalidFilter):
        parse_filter(text, SIZED)


# Refusals


@pytest.mark.parametrize(
    ("text", "position"),
    [
        ("", 1),
        ("   ", 4),
        ("userName", 9),
        ('userName regex "x"', 10),
        ("userName eq", 12),
        ('userName eq "x" and', 20),
        ('userName eq "x" "y"', 17),
        ("userName pr title pr", 13),
        ("title pr xor nickName pr", 10),
        ("(title pr", 10),
        ("title pr)", 9),
        ("not title pr", 5),
        ('"title" pr', 1),
        ("and title pr", 1),
        ("title pr or", 12),
        ("emails[type pr] title pr", 17),
        ("shoeSize pr", 1),
        ("title pr and shoeSize pr", 14),
        ("active gt true", 8),
        ("active eq 5", 11),
    ],
)
def test_a_refusal_names_the_place_counted_from_one(text: str, position: int) -> None:
    assert f"at character {position}:" in refusal(text)


def test_an_unknown_operator_is_named_and_the_known_ones_listed() -> None:
    detail = refusal('userName regex "x"')

    assert "found regex" in detail
    assert "eq, ne, co, sw, ew, gt, ge, lt, le" in detail


@pytest.mark.parametrize("text", ["{} pr", "title {}", "title pr {}", "name.{} pr"])
def test_a_refusal_shortens_long_quotations(text: str) -> None:
    assert len(refusal(text.format("x" * 5000))) < 250


def test_a_value_is_never_repeated() -> None:
    assert "hunter2" not in refusal('active eq "hunter2"')


# Bounds


def longest(text: str, length: int) -> str:
    return text + " " * (length - len(text))


def test_a_filter_of_8192_characters_is_read() -> None:
    assert read(longest("title pr", 8192)) == TITLE


def test_a_filter_of_200_terms_and_32_levels_is_read() -> None:
    assert read(" or ".join(["title pr"] * 200)) == Or((TITLE,) * 200)
    assert read("(" * 32 + "title pr" + ")" * 32) == TITLE


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        (longest("title pr", 8193), "longer than 8192 characters"),
        (" or ".join(["title pr"] * 201), "more than 200 comparisons"),
        ("emails[" + " or ".join(["type pr"] * 201) + "]", "more than 200 comparisons"),
        ("(" * 33 + "title pr" + ")" * 33, "deeper than 32 levels"),
        ("not(" * 33 + "title pr" + ")" * 33, "deeper than 32 levels"),
        ("(" * 32 + "emails[type pr]" + ")" * 32, "deeper than 32 levels"),
        ("emails[" + "(" * 32 + "type pr" + ")" * 32 + "]", "deeper than 32 levels"),
    ],
    ids=range(7),
)
def test_a_filter_beyond_the_bounds_is_refused(text: str, reason: str) -> None:
    assert reason in refusal(text)


@pytest.mark.parametrize(
    "text",
    [
        "(" * 50_000,
        "(" * 8192,
        "not(" * 2048,
        "title pr or " * 682,
        'title eq "' + "\\\\" * 4090,
        'title eq "' + "a" * 8182,
        "x" * 8192,
        "urn:" * 2048,
        "." * 8192,
        "urn:ietf:params:scim:schemas:core:2.0:User:active eq " + "9" * 8130,
        'meta.created eq "2026-01-31T10:00:00.' + "9" * 8100 + 'x"',
        " " * 8192,
    ],
    ids=range(12),
)
@pytest.mark.timeout(10)  # each takes about a millisecond; what grows with its square would not
def test_hostile_filters_are_refused_at_once(text: str) -> None:
    assert refusal(text)


# Paths of PATCH (RFC 7644 figure 7)


def test_a_path_names_an_attribute() -> None:
    found = parse_path(" DISPLAYNAME ", USER)

    assert found == PatchPath(declared=USER.find("displayName"))


@pytest.mark.parametrize(
    "text", ["name.familyName", "NAME.FAMILYNAME", f"{USER_URN}:name.familyName"]
)
def test_a_path_names_a_sub_attribute(text: str) -> None:
    found = parse_path(text, USER)

    name = USER.find("name")
    assert name
    assert found == PatchPath(declared=name, sub=name.attribute.subs["familyname"])


def test_a_path_names_an_attribute_of_an_extension() -> None:
    found = parse_path(f"{ENTERPRISE_URN}:manager.value", USER)

    assert found.declared
    assert found.sub
    assert (found.declared.key, found.sub.name) == (f"{ENTERPRISE_URN}:manager", "value")


def test_a_path_names_a_whole_extension() -> None:
    assert parse_path(ENTERPRISE_URN.lower(), USER) == PatchPath(extension=USER.extensions[0])


def test_a_path_that_is_the_urn_of_the_schema_means_the_resource() -> None:
    assert parse_path(USER.schema.id.upper(), USER) == PatchPath()


@pytest.mark.parametrize("text", ['emails[type eq "work"]', 'EMAILS [TYPE eq "work"]'])
def test_a_path_selects_values(text: str) -> None:
    found = parse_path(text, USER)

    selected = read('emails[type eq "work"]')
    assert isinstance(selected, AnyValue)
    assert found == PatchPath(declared=USER.find("emails"), filter=selected.filter)


def test_a_path_selects_a_part_of_values() -> None:
    found = parse_path('emails[type eq "work"].VALUE', USER)

    assert found.filter
    assert found.sub
    assert found.sub.name == "value"


def test_a_path_reports_used_tolerances() -> None:
    tolerated: list[str] = []

    tolerances = Tolerances(OKTA, tolerated.append)
    parse_path('roles[primary eq "True" and type eq x].value', USER, tolerances)

    assert tolerated == ["boolean_strings", "unquoted_filter_literal"]


@pytest.mark.parametrize(
    "text",
    [
        *("", " ", "shoeSize", "name.shoeSize", "emails.", ".value", "name familyName", "title pr"),
        *("emails[type pr].shoeSize", "emails[type pr].", "emails[type pr]x", "[type pr]"),
        *("name[familyName pr]", "emails.value[type pr]", "urn:x", f"{ENTERPRISE_URN}:x"),
        *('userName eq "x"', "emails[type pr].value eq", "(title)", "title" + " " * 8192),
    ],
)
def test_a_malformed_path_is_refused(text: str) -> None:
    with pytest.raises(InvalidPath, match="path cannot be read"):
        parse_path(text, USER)


ELSEWHERE = "urn:ietf:params:scim:schemas:extension:custom:2.0:User"


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("name.nick", '6: name has no attribute "nick"'),
        ("nick.name", '1: User has no attribute "nick"'),
        (f"{ENTERPRISE_URN}:badge", f'60: {ENTERPRISE_URN} has no attribute "badge"'),
        (f"{ENTERPRISE_URN.upper()}:badge.{'x' * 300}", 'has no attribute "badge"'),
        (f"{ENTERPRISE_URN}:manager.badge", 'manager has no attribute "badge"'),
        (f"{USER_URN}:name.badge", 'name has no attribute "badge"'),
        (f"{ELSEWHERE}:badge", f'User has no attribute "{ELSEWHERE}:badge"'),
        (f"urn:{'x' * 300}:badge", 'x:badge"'),
        (f'emails[type eq "{"x" * 300}"].badge', '320: emails has no attribute "badge"'),
    ],
)
def test_a_refusal_shows_the_part_of_a_path_that_is_wrong(text: str, reason: str) -> None:
    with pytest.raises(InvalidPath) as caught:
        parse_path(text, USER)

    assert reason in caught.value.detail


@pytest.mark.parametrize(
    "text",
    ["emails[]", "emails[type]", "emails[x pr", "emails[type pr", 'emails[type like "x"].value'],
)
def test_a_fault_within_brackets_is_invalid_filter(text: str) -> None:
    with pytest.raises(InvalidFilter):
        parse_path(text, USER)


@pytest.mark.parametrize(
    "text",
    [
        *("badge", "name.badge", "title.badge", 'emails[type eq "a"].badge', "emails[badge pr]"),
        *("urn:custom:2.0:User", "urn:custom:2.0:User:badge", f"{ENTERPRISE_URN}:badge"),
        *('badges[type eq "a"].value', 'emails[type eq "a" or badge eq 1].value', "$badge"),
        *("_badge", "\u00e4mter", "name._badge", 'emails[type eq "a"]._badge'),
    ],
)
def test_an_undeclared_path_is_distinguished_from_a_malformed_one(
    text: str,
) -> None:
    with pytest.raises(UnknownPath):
        parse_path(text, USER)


@pytest.mark.parametrize(
    "text", ["badge[", "badges[type eq", "a b", ".badge", '"badge"', "badge]", "7", "badge[]]x"]
)
def test_a_malformed_path_is_not_an_unknown_one(text: str) -> None:
    with pytest.raises((InvalidPath, InvalidFilter)) as caught:
        parse_path(text, USER)

    assert not isinstance(caught.value, UnknownPath)


def test_a_path_with_thousands_of_blanks_is_refused_in_time_that_grows_with_it() -> None:
    started = time.thread_time()

    for _ in range(100):
        with pytest.raises(InvalidPath):
            parse_path("badges[x]" + " " * 8000 + "!", USER)

    assert time.thread_time() - started < 1


@pytest.mark.parametrize("text", ['"x"', "5", "-1.5", "true", "null"])
def test_json_literals_compare_with_an_unknown_attribute(text: str) -> None:
    assert isinstance(parse_filter(f"nowhere eq {text}", EVERY_TYPE, Tolerances(STRICT)), Compare)


def test_an_unquoted_text_is_by_policy_for_an_attribute_that_no_type_has_too() -> None:
    told: list[str] = []
    parse_filter("nowhere eq x", EVERY_TYPE, Tolerances(OKTA, told.append))

    assert told == ["unquoted_filter_literal"]
    with pytest.raises(InvalidFilter, match="double quotes"):
        parse_filter("nowhere eq x", EVERY_TYPE, Tolerances(STRICT))


# sortBy


@pytest.mark.parametrize(
    ("text", "key", "sub"),
    [
        ("USERNAME", "userName", None),
        ("name.familyName", "name", "familyName"),
        ("emails", "emails", "value"),
        ("emails.type", "emails", "type"),
        ("schemas", "schemas", None),
        ("meta.lastModified", "meta", "lastModified"),
        (f"{USER_URN}:name.givenName", "name", "givenName"),
        (f"{ENTERPRISE_URN}:department", f"{ENTERPRISE_URN}:department", None),
    ],
)
def test_sorting_goes_by_a_simple_attribute(text: str, key: str, sub: str | None) -> None:
    found = parse_sort(text, USER)

    assert (found.key, found.sub) == (key, sub)


@pytest.mark.parametrize("text", ["", "shoeSize", "name", "addresses", "password", "emails[x pr]"])
def test_sorting_by_anything_else_is_refused(text: str) -> None:
    with pytest.raises(InvalidValue, match="sortBy"):
        parse_sort(text, USER)


NAMES = sorted(
    {name for each in RESOURCE_TYPES for name in each.plain} | {"active", "emails", "password"}
)


@given(
    resource_type=st.sampled_from([*RESOURCE_TYPES, AllTypes.of(RESOURCE_TYPES)]),
    name=st.sampled_from(NAMES),
    value=st.text(max_size=5),
    policy=st.sampled_from([OKTA, STRICT]),
)
@example(resource_type=USER, name="userName", value="jane@example.com", policy=STRICT)
@example(resource_type=USER, name="USERNAME", value="\x00", policy=OKTA)
@example(resource_type=USER, name="title", value="\\u0041", policy=OKTA)
@example(resource_type=USER, name="password", value="x", policy=OKTA)
@example(resource_type=USER, name="externalid", value="a" * 11_000, policy=OKTA)
def test_a_look_up_is_read_as_any_filter_is(resource_type, name, value, policy):
    def read(text):
        used = []
        try:
            found = parse_filter(text, resource_type, Tolerances(policy, used.append))
        except InvalidFilter as error:
            return error.code, used
        return found, used

    assert read(f'{name} eq "{value}"') == read(f'{name}  eq "{value}"')
