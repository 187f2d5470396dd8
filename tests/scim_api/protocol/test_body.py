"""What a POST or PUT body becomes, and what it is refused for."""

import json
from collections import Counter
from decimal import Decimal

import pytest

from projections.query.model import Type
from scim_api.protocol.body import load_resource
from scim_api.protocol.errors import InvalidSyntax, InvalidValue
from scim_api.protocol.multi_valued import distinct
from scim_api.protocol.patch.values import read_value
from scim_api.protocol.policy import ENTRA, OKTA, STRICT, Tolerances, with_settings
from scim_api.protocol.schema.attributes import Attribute, Mutability, ResourceType, Schema
from scim_api.protocol.schema.resource_types import ENTERPRISE_URN, USER, USER_URN

SECRET = "correct horse battery staple"
DEPARTMENT = f"{ENTERPRISE_URN}:department"
MANAGER = f"{ENTERPRISE_URN}:manager"

GADGET = ResourceType(
    "Gadget",
    "/Gadgets",
    "Every type an attribute can have.",
    Schema(
        "urn:example:Gadget",
        "Gadget",
        "A gadget.",
        (
            Attribute("label", "", required=True),
            Attribute("count", "", Type.INTEGER),
            Attribute("weight", "", Type.DECIMAL),
            Attribute("seen", "", Type.DATE_TIME),
            Attribute("key", "", Type.BINARY),
            Attribute("tags", "", multi_valued=True),
            Attribute("flags", "", Type.BOOLEAN, multi_valued=True),
            Attribute(
                "shares",
                "",
                Type.COMPLEX,
                multi_valued=True,
                sub_attributes=(Attribute("value", "", Type.DECIMAL), Attribute("type", "")),
            ),
            Attribute(
                "owners",
                "",
                Type.COMPLEX,
                multi_valued=True,
                sub_attributes=(
                    Attribute("value", "", required=True),
                    Attribute("note", ""),
                    Attribute("marks", "", multi_valued=True),
                ),
            ),
        ),
    ),
    common=USER.common,
)


def user(**attributes):
    return {"schemas": [USER_URN], "userName": "a", **attributes}


def loaded(policy=OKTA, tolerated=None, **attributes):
    result = load_resource(USER, user(**attributes), Tolerances(policy, tolerated))
    assert result.pop("userName") == "a"
    return result


def refusal(body, policy=OKTA, resource_type=USER, error=InvalidValue):
    with pytest.raises(error) as caught:
        load_resource(resource_type, body, Tolerances(policy))
    return caught.value.detail


def gadget(**attributes):
    body = {"schemas": ["urn:example:Gadget"], "label": "g", **attributes}
    return load_resource(GADGET, body)


def gadget_refusal(**attributes):
    body = {"schemas": ["urn:example:Gadget"], "label": "g", **attributes}
    return refusal(body, resource_type=GADGET)


def only(**settings):
    """Return the strict policy with some tolerances."""
    return with_settings(STRICT, settings)


# The flat form


def test_attributes_are_keyed_for_the_payload_without_the_envelope():
    body = {
        "schemas": [USER_URN, ENTERPRISE_URN],
        "id": "1",
        "externalId": "00u",
        "meta": {"resourceType": "User"},
        "userName": "a",
        "name": {"givenName": "A"},
        "groups": [{"value": "g"}],
        "password": SECRET,
        "active": True,
        ENTERPRISE_URN: {"department": "Sales", "manager": {"value": "m"}},
    }

    assert load_resource(USER, body) == {
        "externalId": "00u",
        "userName": "a",
        "name": {"givenName": "A"},
        "active": True,
        DEPARTMENT: "Sales",
        MANAGER: {"value": "m"},
    }


def test_names_are_found_in_any_case_and_come_out_as_declared():
    body = {
        "SCHEMAS": [USER_URN.upper()],
        "USERNAME": "a",
        "Name": {"GIVENNAME": "A"},
        "eMails": [{"Value": "a@b.c", "Primary": True}],
        ENTERPRISE_URN.upper(): {"DEPARTMENT": "Sales"},
    }

    assert load_resource(USER, body) == {
        "userName": "a",
        "name": {"givenName": "A"},
        "emails": [{"value": "a@b.c", "primary": True}],
        DEPARTMENT: "Sales",
    }


@pytest.mark.parametrize(
    ("key", "declared"),
    [
        (f"{USER_URN}:title", "title"),
        (f"{USER_URN.upper()}:TITLE", "title"),
        (f"{ENTERPRISE_URN}:department", DEPARTMENT),
    ],
)
def test_a_name_may_carry_its_urn(key, declared):
    assert loaded(**{key: "x"}) == {declared: "x"}


@pytest.mark.parametrize(
    "twice",
    [
        {"title": "a", "Title": "b"},
        {"title": None, "TITLE": "b"},
        {"title": "a", f"{USER_URN}:title": "b"},
        {"name": {"givenName": "a", "GivenName": "b"}},
        {"emails": [{"value": "a", "VALUE": "b"}]},
        {ENTERPRISE_URN: {"department": "a"}, DEPARTMENT: "b"},
        {ENTERPRISE_URN: {"department": "a", "Department": "b"}},
    ],
)
def test_a_name_given_twice_is_a_syntax_error(twice):
    assert "twice" in refusal(user(**twice), error=InvalidSyntax)


@pytest.mark.parametrize("text", [" x ", "ÄÖ", "é", "e\u0301", "\U0001f600", "a\tb\nc", "True"])
def test_values_stay_exactly_as_they_were_sent(text):
    assert loaded(title=text, locale=text) == {"title": text, "locale": text}


def test_the_body_is_not_changed():
    body = user(emails=["a"], roles="r", active="True", name={"givenName": ""})
    before = json.dumps(body)

    load_resource(USER, body)

    assert json.dumps(body) == before


# The body and its schemas


@pytest.mark.parametrize("body", [None, [], "x", 1, True])
def test_a_body_that_is_no_object_is_a_syntax_error(body):
    assert "JSON object" in refusal(body, error=InvalidSyntax)


@pytest.mark.parametrize(
    "schemas", [None, [], USER_URN, {}, [1], [None], [ENTERPRISE_URN], ["urn:x"]]
)
def test_schemas_must_be_a_list_that_names_the_core_schema(schemas):
    assert "schemas" in refusal({"schemas": schemas, "userName": "a"})


def test_a_body_without_schemas_is_refused():
    assert USER_URN in refusal({"userName": "a"})


def test_unknown_schemas_are_ignored_by_policy():
    body = {"schemas": [USER_URN, "urn:x"], "userName": "a"}

    assert load_resource(USER, body) == {"userName": "a"}
    assert load_resource(USER, body, Tolerances(only(unknown_schemas_ignored=True))) == {
        "userName": "a"
    }
    assert "urn:x" in refusal(body, STRICT)


def test_an_extension_that_schemas_does_not_name_is_read_by_policy():
    body = user(**{ENTERPRISE_URN: {"department": "Sales"}})

    assert load_resource(USER, body)[DEPARTMENT] == "Sales"
    assert ENTERPRISE_URN in refusal(body, STRICT)


def test_an_extension_that_schemas_names_needs_no_tolerance():
    body = user(**{ENTERPRISE_URN: {"department": "Sales"}})
    body["schemas"] = [USER_URN, ENTERPRISE_URN.lower()]

    assert load_resource(USER, body, Tolerances(STRICT))[DEPARTMENT] == "Sales"


def test_an_extension_that_is_no_object_is_refused():
    assert ENTERPRISE_URN in refusal(user(**{ENTERPRISE_URN: "Sales"}))


@pytest.mark.parametrize("empty", [None, {}, "", []])
def test_an_empty_extension_is_no_extension(empty):
    assert loaded(**{ENTERPRISE_URN: empty}) == {}


# What is ignored


@pytest.mark.parametrize(
    "ignored", [{"id": None}, {"id": 5}, {"meta": "x"}, {"groups": [{"value": "g"}]}, {"groups": 1}]
)
def test_read_only_attributes_are_ignored_whatever_they_hold(ignored):
    assert loaded(**ignored) == {}
    assert loaded(STRICT, **ignored) == {}


def test_read_only_sub_attributes_are_ignored():
    body = user(**{ENTERPRISE_URN: {"manager": {"value": "m", "displayName": "M"}}})

    assert load_resource(USER, body)[MANAGER] == {"value": "m"}


@pytest.mark.parametrize(
    ("unknown", "named"),
    [
        ({"shoeSize": 44.5}, "shoeSize"),
        ({"name": {"nick": "x"}}, "name.nick"),
        ({"emails": [{"value": "x", "label": "y"}]}, "emails.label"),
        ({ENTERPRISE_URN: {"shoe": 1}}, f"{ENTERPRISE_URN}:shoe"),
        ({"urn:x:Y": {"z": 1}}, "urn:x:Y"),
    ],
)
def test_unknown_attributes_are_ignored_by_policy(unknown, named):
    body = user(**unknown)
    own_name = named.replace(".", ":").rpartition(":")[2]

    assert own_name not in json.dumps(load_resource(USER, body))
    assert named in refusal(body, STRICT)


def test_an_odd_name_is_shown_in_ascii():
    assert refusal(user(**{"\ud800": 1}), STRICT).startswith("\\ud800 ")


# Secrets


@pytest.mark.parametrize("value", [SECRET, "", None])
@pytest.mark.parametrize("policy", [OKTA, STRICT])
def test_a_password_is_accepted_and_dropped(value, policy):
    assert loaded(policy, password=value) == {}


@pytest.mark.parametrize("value", [[SECRET], {"value": SECRET}, 4711, True])
def test_a_password_that_is_no_text_is_refused_without_repeating_it(value):
    with pytest.raises(InvalidValue) as caught:
        load_resource(USER, user(password=value))

    assert caught.value.detail.startswith("password must be text")
    assert SECRET not in repr(caught.value) and "4711" not in repr(caught.value)


def test_a_password_is_not_in_the_error_for_something_else():
    with pytest.raises(InvalidValue) as caught:
        load_resource(USER, user(password=SECRET, active="maybe"))

    error = caught.value
    assert SECRET not in f"{error!r}{error.__cause__!r}{error.__context__!r}"


# Unassigned


@pytest.mark.parametrize("empty", [None, "", []])
@pytest.mark.parametrize("name", ["title", "active", "name", "emails", "x509Certificates"])
def test_null_empty_text_and_empty_lists_are_unassigned(name, empty):
    assert loaded(**{name: empty}) == {}


@pytest.mark.parametrize("empty", [{}, {"givenName": None}, {"givenName": "", "familyName": None}])
def test_an_object_with_nothing_in_it_is_unassigned(empty):
    assert loaded(name=empty) == {}


@pytest.mark.parametrize("empty", [[{}], [None], [""], [{"value": ""}], [{"value": None}, {}]])
def test_values_with_nothing_in_them_are_left_out(empty):
    assert loaded(emails=empty) == {}
    assert loaded(emails=[*empty, {"value": "a"}]) == {"emails": [{"value": "a"}]}


def test_null_and_an_empty_list_of_values_are_unassigned_for_the_strict_too():
    assert loaded(STRICT, title=None, emails=[], name={"givenName": None}) == {}


def test_empty_text_is_text_for_the_strict():
    assert loaded(STRICT, title="") == {"title": ""}


@pytest.mark.parametrize(("name", "empty"), [("active", ""), ("name", []), ("emails", "")])
def test_emptiness_of_the_wrong_type_is_refused_by_the_strict(name, empty):
    assert name in refusal(user(**{name: empty}), STRICT)


def test_false_and_zero_are_values():
    assert loaded(active=False) == {"active": False}
    assert gadget(count=0, flags=[False, True, False]) == {
        "label": "g",
        "count": 0,
        "flags": [False, True],
    }


# Required


@pytest.mark.parametrize("name", [None, "", " ", "\t\n", "\u00a0"])
def test_a_user_name_must_hold_more_than_space(name):
    assert refusal(user(userName=name)).startswith("userName is required")


def test_a_user_name_must_be_there():
    assert refusal({"schemas": [USER_URN]}).startswith("userName is required")


def test_a_required_sub_attribute_must_be_there():
    detail = gadget_refusal(owners=[{"value": "a"}, {"note": "x"}])

    assert detail.startswith("owners[1].value is required")


# Tolerated shapes


@pytest.mark.parametrize(
    ("text", "boolean"), [("True", True), ("true", True), ("FALSE", False), ("false", False)]
)
def test_booleans_may_come_in_quotes_by_policy(text, boolean):
    assert loaded(active=text) == {"active": boolean}
    assert loaded(roles=[{"value": "r", "primary": text}])["roles"][0]["primary"] is boolean
    assert refusal(user(active=text), STRICT) == "active must be true or false, without quotes"


@pytest.mark.parametrize("value", ["yes", "on", 1, 0, 1.0, [True], {"value": True}])
def test_nothing_else_is_a_boolean(value):
    assert refusal(user(active=value)) == "active must be true or false, without quotes"


@pytest.mark.parametrize(
    ("sent", "values"),
    [
        ("ADMIN", [{"value": "ADMIN"}]),
        (["ADMIN", "DEV"], [{"value": "ADMIN"}, {"value": "DEV"}]),
        ({"value": "ADMIN"}, [{"value": "ADMIN"}]),
        (["ADMIN", {"value": "DEV"}], [{"value": "ADMIN"}, {"value": "DEV"}]),
        (["ADMIN", ""], [{"value": "ADMIN"}]),
    ],
)
def test_values_may_come_as_text_or_one_object_by_policy(sent, values):
    assert loaded(roles=sent) == {"roles": values}
    assert "roles" in refusal(user(roles=sent), STRICT)


def test_a_text_for_an_object_is_read_as_its_value_is():
    assert gadget(shares=["1e2", "0.50"])["shares"] == [{"value": "100"}, {"value": "0.5"}]
    with pytest.raises(InvalidValue, match="without quotes"):
        load_resource(
            GADGET,
            {"schemas": ["urn:example:Gadget"], "label": "g", "shares": ["1"]},
            Tolerances(only(values_as_strings=True)),
        )


def test_the_error_for_roles_as_text_names_the_shape():
    assert '[{"value": "..."}]' in refusal(user(roles="ADMIN"), STRICT)


@pytest.mark.parametrize("attributes", [{"emails": "a@x.org"}, {"phoneNumbers": "1"}])
@pytest.mark.parametrize("policy", [OKTA, STRICT], ids=["okta", "strict"])
def test_a_text_alone_is_no_list(attributes, policy):
    assert "must be a list" in refusal(user(**attributes), policy)


@pytest.mark.parametrize(
    "text",
    [
        '[{"value":"a@x.org"',  # broken
        "{'value': 'a@x.org'}",
        json.dumps('[{"value":"a@x.org"}]'),  # JSON text in quotes
        "[" * 40 + "]" * 40,  # deeper than a body may be
        "[" * 100_000,
        "[1]",
    ],
)
@pytest.mark.parametrize("policy", [OKTA, ENTRA, STRICT], ids=["okta", "entra", "strict"])
def test_json_text_of_the_wrong_type_is_refused(policy, text):
    for sent in ({"emails": text}, {"emails": [text]}, {MANAGER: text}, {"name": text}):
        refusal(user(schemas=[USER_URN, ENTERPRISE_URN], **sent), policy)


def test_json_text_is_read_within_json_text_where_an_object_or_a_list_is_due():
    email = '{"value":"a@x.org"}'
    sent = json.dumps({"manager": json.dumps({"value": "m"}), "department": '["D"]'})

    assert loaded(emails=json.dumps([email]))["emails"] == [{"value": "a@x.org"}]
    assert loaded(schemas=[USER_URN, ENTERPRISE_URN], **{ENTERPRISE_URN: sent}) == {
        MANAGER: {"value": "m"},
        f"{ENTERPRISE_URN}:department": '["D"]',
    }


def test_text_that_resembles_json_is_refused_with_the_attribute_at_fault():
    for text in ('["a@x.org"', "[" * 40 + "]" * 40):
        with pytest.raises(InvalidValue) as caught:
            loaded(emails=text)
        assert caught.value.refusal().attributes == ("emails",)


@pytest.mark.parametrize("text", ["[Admin] Berlin", "{admin}", "[a]"])
def test_a_text_that_is_no_json_is_a_value_whatever_it_begins_with(text):
    assert loaded(roles=[text], title='{"a": 1}') == {
        "roles": [{"value": text}],
        "title": '{"a": 1}',
    }


def test_a_list_of_plain_values_has_texts_that_may_look_like_json():
    assert gadget(tags=['["a"]'])["tags"] == ['["a"]']
    assert gadget(tags='["a"]')["tags"] == ["a"]


def test_addresses_have_no_value_so_text_is_refused():
    assert refusal(user(addresses=["Main Street 1"])).startswith("addresses[0] must be an object")


@pytest.mark.parametrize("sent", ["m", {"value": "m"}, [{"value": "m"}], ["m"]])
def test_a_manager_may_come_as_text_or_in_a_list_by_policy(sent):
    assert loaded(**{MANAGER: sent}) == {MANAGER: {"value": "m"}}


@pytest.mark.parametrize("sent", ["m", [{"value": "m"}]])
def test_a_manager_as_text_or_list_is_refused_by_the_strict(sent):
    policy = only(extension_without_schema=True)

    assert f"{MANAGER} must be an object" in refusal(user(**{MANAGER: sent}), policy)


@pytest.mark.parametrize("sent", ["A B", ["A"], [{"givenName": "A"}]])
def test_a_name_has_no_value_so_text_and_lists_are_refused(sent):
    assert refusal(user(name=sent)).startswith('name must be an object such as {"formatted"')


@pytest.mark.parametrize(
    ("setting", "attributes"),
    [
        ("boolean_strings", {"active": "True"}),
        ("empty_means_unassigned", {"title": ""}),
        ("values_as_strings", {"roles": ["ADMIN"]}),
        ("reference_as_string", {MANAGER: "m"}),
        ("unknown_attributes_ignored", {"shoeSize": 44}),
        ("unknown_schemas_ignored", {"schemas": [USER_URN, "urn:x"]}),
        ("extension_without_schema", {MANAGER: {"value": "m"}}),
    ],
)
def test_a_used_tolerance_is_recorded(setting, attributes):
    told = Counter()

    load_resource(USER, user(**attributes), Tolerances(record=lambda name: told.update([name])))

    assert told[setting]


def test_a_conforming_body_records_no_tolerance():
    told = []

    loaded(
        OKTA,
        told.append,
        id="1",
        title=None,
        emails=[{"value": "a", "primary": True}],
        roles=[],
        active=True,
        password=SECRET,
    )

    assert told == []


# Many values


def test_a_value_given_twice_is_kept_once():
    work, home = {"value": "a", "type": "work"}, {"type": "home", "value": "a"}

    assert loaded(emails=[work, home, dict(reversed(work.items()))]) == {"emails": [work, home]}
    assert gadget(tags=["a", "b", "a"])["tags"] == ["a", "b"]


def test_values_with_lists_in_them_are_compared_whole():
    values = [{"marks": ["x"]}, {"marks": ["y"]}]

    assert distinct([*values, values[0]]) == values


def test_values_of_the_same_value_and_type_are_one_and_the_later_adds_to_the_former():
    emails = [{"value": "a", "type": "work", "display": "A"}, {"value": "a", "type": "work"}]
    shown = {"value": "a", "type": "work", "primary": True}

    assert loaded(emails=emails) == {"emails": emails[:1]}
    assert loaded(emails=[*emails, shown]) == {"emails": [{**emails[0], **shown}]}


def test_values_of_another_type_are_kept_apart():
    emails = [{"value": "a", "type": "work"}, {"value": "a", "type": "home"}, {"value": "a"}]

    assert loaded(emails=emails) == {"emails": emails}


def test_at_most_one_value_is_primary():
    emails = [{"value": "a", "primary": True}, {"value": "b", "primary": "true"}]

    assert "emails" in refusal(user(emails=emails))
    assert loaded(emails=[emails[0], emails[0]]) == {"emails": [emails[0]]}


# Types


@pytest.mark.parametrize(
    ("attributes", "start"),
    [
        ({"title": 1}, "title must be text"),
        ({"title": 1.5}, "title must be text"),
        ({"title": ["x"]}, "title must be text"),
        ({"name": {"givenName": 1}}, "name.givenName must be text"),
        ({"emails": 1}, "emails must be a list"),
        ({"emails": [{"value": "a"}, {"value": 1}]}, "emails[1].value must be text"),
        ({"emails": [None, {"value": 1}]}, "emails[1].value must be text"),
        ({"emails": [[]]}, None),
        ({"emails": [[{"value": "a"}]]}, "emails[0] must be an object"),
        ({"emails": [1]}, "emails[0] must be an object"),
        ({"emails": [{"value": "a", "primary": 1}]}, "emails[0].primary must be true or false"),
        ({"photos": [{"value": {}}]}, "photos[0].value must be text"),
        ({"x509Certificates": [{"value": "a b!"}]}, "x509Certificates[0].value must be base64"),
        ({DEPARTMENT: 5}, f"{DEPARTMENT} must be text"),
    ],
)
def test_a_wrong_type_is_refused_with_path_and_expected_type(attributes, start):
    if start is None:
        assert loaded(**attributes) == {}
    else:
        assert refusal(user(**attributes)).startswith(start)


def test_several_errors_are_told_at_once_but_not_all_of_many():
    detail = refusal(user(title=1, active=2, roles=[{"value": 1}] * 100))

    assert "title" in detail and "active" in detail and "roles[0]" in detail
    assert detail.count(";") == 4


@pytest.mark.parametrize("text", ["a\0b", "\ud800", "\udc00x"])
def test_text_that_could_not_be_stored_is_refused(text):
    assert refusal(user(title=text)).startswith("title must not contain")
    assert refusal(user(emails=[{"value": text}])).startswith("emails[0].value must not contain")


@pytest.mark.parametrize("number", [0, -5, 2**53 - 1, 1 - 2**53])
def test_a_whole_number_is_kept(number):
    assert gadget(count=number)["count"] == number


@pytest.mark.parametrize("number", [1.0, 1e3, True, "7", 2**53, -(2**53), 10**400])
def test_an_inexact_integer_is_refused(number):
    assert gadget_refusal(count=number).startswith("count must")


@pytest.mark.parametrize(
    ("kept", "values"),
    [
        ("1", [1, 1.0, "1", "1.00", "10e-1", "0.1E1", "+1", "01", Decimal("1.000")]),
        ("0", [0, 0.0, -0.0, "-0", "0e7", "-0.00", Decimal("-0")]),
        ("-0.1", [-0.1, "-0.10", "-1e-1", Decimal("-0.1")]),
        ("10000000000000000000000", [1e22, 10**22, "1e22"]),
        ("0.123456789012345678", ["0.123456789012345678", Decimal("0.1234567890123456780")]),
        (f"{'9' * 40}.{'9' * 40}", [f"{'9' * 40}.{'9' * 40}"]),
    ],
)
def test_the_same_decimal_number_is_kept_as_the_same_text(kept, values):
    for value in values:
        assert gadget(weight=value)["weight"] == kept


@pytest.mark.parametrize("value", ["x", "1.", "٣", "NaN", "Infinity", True, [1.5], {}])
def test_an_invalid_decimal_is_refused(value):
    assert "decimal number" in gadget_refusal(weight=value)


@pytest.mark.parametrize("value", ["9" * 401, "1e9999999999", Decimal("Infinity")])
def test_a_decimal_number_too_long_to_be_read_is_refused_and_the_bound_is_named(value):
    assert "at most 40 digits before the point and 40 after it" in gadget_refusal(weight=value)


def test_a_decimal_number_in_quotes_is_a_tolerance():
    body = {"schemas": ["urn:example:Gadget"], "label": "g", "weight": "0.8"}
    used = []

    assert load_resource(GADGET, body, Tolerances(record=used.append))["weight"] == "0.8"
    assert used == ["decimal_strings"]
    assert refusal(body, STRICT, GADGET) == "weight must be a number, without quotes"


@pytest.mark.parametrize(
    "text",
    [
        "2026-11-22T20:15:30Z",
        "2026-11-22T20:15:30.1234567+01:00",
        "2026-11-22T20:15:30",
        "2026-11-22T24:00:00Z",
        "2026-12-31T24:00:00.000-14:00",
        "2028-02-29T24:00:00",
        "0001-01-01T00:00:00+01:00",
    ],
)
def test_a_time_is_kept_as_it_was_sent(text):
    assert gadget(seen=text)["seen"] == text


@pytest.mark.parametrize(
    "value",
    [
        "2026-11-22",
        "2026-13-22T20:15:30Z",
        "2026-11-22T24:00:01Z",
        "2026-11-22T24:00:00.5Z",
        "2026-11-22T24:01:00Z",
        "2026-11-22T25:00:00Z",
        "2026-11-22T23:59:60Z",
        "2027-02-29T24:00:00Z",
        "9999-12-31T24:00:00Z",
        "0000-01-01T00:00:00Z",
        "2026-11-22T20:15:30.Z",
        "now",
        5,
    ],
)
def test_an_invalid_time_is_refused(value):
    assert "date and time" in gadget_refusal(seen=value)


@pytest.mark.parametrize("text", ["AAAA", "AAA", "-_8=", "AAAA\nAAAA\n", "AA=="])
def test_letters_of_base64_are_kept_as_they_were_sent(text):
    assert gadget(key=text)["key"] == text


def test_long_text_that_is_not_base64_is_refused_at_once():
    assert "base64" in gadget_refusal(key=" " * 200_000 + "!")


@pytest.mark.parametrize("value", ["a,b", {"a": 1}, 5])
def test_plain_values_come_in_a_list(value):
    policy = only(boolean_strings=True)
    body = {"schemas": ["urn:example:Gadget"], "label": "g", "tags": value}

    assert refusal(body, policy, GADGET) == 'tags must be a list such as ["..."]'


# One value, as PATCH carries it


def test_one_object_is_read_as_a_list_in_a_patch():
    emails = USER.declared["emails"]

    assert read_value(emails, None, {"VALUE": "a"}, Tolerances(STRICT)) == [{"value": "a"}]


def test_a_sub_attribute_is_loaded_by_its_own_type():
    emails = USER.declared["emails"]
    primary = emails.attribute.subs["primary"]

    assert read_value(emails, primary, "True", Tolerances()) is True
    assert read_value(emails, primary, "", Tolerances()) is None
    with pytest.raises(InvalidValue, match=r"^emails\.primary must be true or false"):
        read_value(emails, primary, 1, Tolerances())


def test_a_write_only_attribute_of_any_name_is_dropped():
    pin = Attribute("pin", "", mutability=Mutability.WRITE_ONLY)
    schema = Schema("urn:example:Safe", "Safe", "", (pin,))
    safe = ResourceType("Safe", "/Safes", "", schema, common=USER.common)

    assert load_resource(safe, {"schemas": ["urn:example:Safe"], "pin": SECRET}) == {}
