"""Each setting of a policy: what it accepts, what happens if it is off, and the presets."""

import re
from collections import Counter
from dataclasses import replace
from functools import partial
from json import dumps
from pathlib import Path

import pytest

from projections.query.model import Type
from scim_api.protocol.body import load_resource
from scim_api.protocol.bulk import bulk_request
from scim_api.protocol.errors import (
    InvalidFilter,
    InvalidPath,
    InvalidSyntax,
    InvalidValue,
    Mutability,
    NoTarget,
)
from scim_api.protocol.filter import parse_filter
from scim_api.protocol.list_query import search_parameters
from scim_api.protocol.patch.message import PATCH_URN
from scim_api.protocol.patch.message import patched as after_patch
from scim_api.protocol.policy import OKTA, PRESETS, STRICT, TOLERANCES, Tolerances, with_settings
from scim_api.protocol.schema.attributes import Attribute, Schema
from scim_api.protocol.schema.resource_types import ENTERPRISE_URN, USER, USER_URN
from tests.scim_api.protocol.test_errors import SOURCES

RATED_URN = "urn:example:rated:2.0:User"
RATED = replace(
    USER, extensions=(Schema(RATED_URN, "R", "", (Attribute("ratio", "", Type.DECIMAL),)),)
)
DOCUMENT = Path(__file__).parents[3] / "docs" / "tolerances.md"
MANAGER = f"{ENTERPRISE_URN}:manager"
SETTINGS = list(TOLERANCES)
ELSEWHERE = {  # they act in the service
    "base64_in_lines",
    "base64_url_alphabet",
    "put_keeps_members",
    "null_keeps_members",
    "unknown_members_kept",
    "adopt",
    "pagination_left_out",
}
COLUMNS = ("entra", "onelogin", "authentik", "keycloak", "okta")  # of the document's table
LENIENT = with_settings(STRICT, dict.fromkeys(SETTINGS, True))
WORK = {"type": "work", "value": "w@x.org"}
NOW = {"userName": "a", "title": "T", "emails": [WORK]}
FAX = 'emails[type eq "fax"]'
BOTH = [USER_URN, ENTERPRISE_URN]


def posted(policy, tolerated, body):
    return load_resource(
        USER, {"schemas": [USER_URN], "userName": "a"} | body, Tolerances(policy, tolerated)
    )


def patched(policy, tolerated, *operations):
    message = {"schemas": [PATCH_URN], "Operations": list(operations)}
    return after_patch(USER, NOW, message, Tolerances(policy, tolerated))


def read(policy, tolerated, text):
    return parse_filter(text, USER, Tolerances(policy, tolerated))


def meaning(text):
    return read(LENIENT, None, text)


def body(_schemas=(USER_URN,), **attributes):
    return partial(posted, body={"schemas": list(_schemas), **attributes})


def rated(value):
    body = {"schemas": [USER_URN, RATED_URN], "userName": "a", f"{RATED_URN}:ratio": value}
    return lambda policy, tolerated: load_resource(RATED, body, Tolerances(policy, tolerated))


def reference(value):
    return body(BOTH, **{MANAGER: value})


def operation(op, path=None, **value):
    return lambda policy, tolerated: patched(
        policy, tolerated, {"op": op} | ({"path": path} if path else {}) | value
    )


def filtered(text):
    return partial(read, text=text)


def message(schemas):
    """Return a PATCH that removes nothing, with other `schemas`."""
    nothing = {"op": "remove", "path": "nickName"}
    return lambda *policy: after_patch(
        USER, NOW, {"Operations": [nothing], **schemas}, Tolerances(*policy)
    )


def looked_for(policy, tolerated):
    return search_parameters({"count": 1}, Tolerances(policy, tolerated))


def in_bulk(policy, tolerated):
    return bulk_request({"Operations": []}, Tolerances(policy, tolerated))


def made(**attributes):
    return {"userName": "a", **attributes}


def now(**attributes):
    return NOW | attributes


TWO = now(emails=[WORK, {"type": "fax", "value": "1"}])
CASES = [  # setting, the request, what it comes to where that is on, and where it is off
    ("boolean_strings", body(active="False"), made(active=False), InvalidValue),
    ("boolean_strings", filtered('active eq "True"'), meaning("active eq true"), InvalidFilter),
    (
        "boolean_strings",
        operation("remove", 'emails[primary eq "True"]'),
        NOW,
        InvalidFilter,
    ),
    ("empty_means_unassigned", body(title=""), made(), made(title="")),
    ("empty_means_unassigned", body(name=[]), made(), InvalidValue),
    ("roles_as_text", body(roles="ADMIN"), made(roles=[{"value": "ADMIN"}]), InvalidValue),
    (
        "roles_as_text",
        operation("add", "entitlements", value="x"),
        now(entitlements=[{"value": "x"}]),
        InvalidValue,
    ),
    ("text_as_list", body(emails="a@x.org"), made(emails=[{"value": "a@x.org"}]), InvalidValue),
    (
        "text_as_list",
        operation("replace", "emails", value="a@x.org"),
        now(emails=[{"value": "a@x.org"}]),
        InvalidValue,
    ),
    ("list_as_one", body(title=["x"]), made(title="x"), InvalidValue),
    ("list_as_one", body(title=[{"VALUE": "x", "type": "t"}]), made(title="x"), InvalidValue),
    ("list_as_one", body(active=[{"value": "False"}]), made(active=False), InvalidValue),
    ("list_as_one", body(name=[{"givenName": "G"}]), made(name={"givenName": "G"}), InvalidValue),
    (
        "list_as_one",
        operation("replace", "active", value=[False]),
        now(active=False),
        InvalidValue,
    ),
    (
        "list_as_one",
        operation("replace", "name.givenName", value=[{"value": "G"}]),
        now(name={"givenName": "G"}),
        InvalidValue,
    ),
    ("list_as_one", operation("replace", value=[{"title": "x"}]), now(title="x"), InvalidValue),
    (
        "list_as_one",
        body(BOTH, **{ENTERPRISE_URN: [{"department": "D"}]}),
        made(**{f"{ENTERPRISE_URN}:department": "D"}),
        InvalidValue,
    ),
    (
        "list_as_one",
        operation("replace", 'emails[type eq "work"]', value=[{"value": "x@x.org"}]),
        now(emails=[WORK | {"value": "x@x.org"}]),
        InvalidValue,
    ),
    ("json_as_text", body(emails=dumps([WORK])), made(emails=[WORK]), InvalidValue),
    ("json_as_text", body(emails=dumps(WORK)), made(emails=[WORK]), InvalidValue),
    ("json_as_text", body(emails=[dumps(WORK)]), made(emails=[WORK]), InvalidValue),
    (
        "json_as_text",
        body(name=dumps({"givenName": "G"})),
        made(name={"givenName": "G"}),
        InvalidValue,
    ),
    (
        "json_as_text",
        reference(dumps({"value": "m"})),
        made(**{MANAGER: {"value": "m"}}),
        InvalidValue,
    ),
    (
        "json_as_text",
        reference([dumps({"value": "m"})]),
        made(**{MANAGER: {"value": "m"}}),
        InvalidValue,
    ),
    (
        "json_as_text",
        body(BOTH, **{ENTERPRISE_URN: dumps({"department": "D"})}),
        made(**{f"{ENTERPRISE_URN}:department": "D"}),
        InvalidValue,
    ),
    (
        "json_as_text",
        operation("replace", value=dumps({"title": "x"})),
        now(title="x"),
        InvalidValue,
    ),
    (
        "json_as_text",
        operation("add", ENTERPRISE_URN, value=dumps({"department": "D"})),
        now(**{f"{ENTERPRISE_URN}:department": "D"}),
        InvalidValue,
    ),
    (
        "json_as_text",
        operation("replace", 'emails[type eq "work"]', value=dumps({"value": "n@x.org"})),
        now(emails=[WORK | {"value": "n@x.org"}]),
        InvalidValue,
    ),
    (
        "json_as_text",
        operation("remove", "emails", value=dumps([WORK])),
        made(title="T"),
        InvalidValue,
    ),
    (
        "values_as_strings",
        body(roles=["ADMIN"]),
        made(roles=[{"value": "ADMIN"}]),
        InvalidValue,
    ),
    ("values_as_strings", body(emails=WORK), made(emails=[WORK]), InvalidValue),
    (
        "decimal_strings",
        rated("0.80"),
        made(**{f"{RATED_URN}:ratio": "0.8"}),
        InvalidValue,
    ),
    ("reference_as_string", reference("m"), made(**{MANAGER: {"value": "m"}}), InvalidValue),
    (
        "reference_as_string",
        reference([{"value": "m"}]),
        made(**{MANAGER: {"value": "m"}}),
        InvalidValue,
    ),
    (
        "reference_as_string",
        filtered(f'{MANAGER} eq "m"'),
        meaning(f'{MANAGER}.value eq "m"'),
        InvalidFilter,
    ),
    (
        "valueless_entries_removed",
        body(emails=[WORK, {"type": "fax", "primary": True, "display": "F"}]),
        made(emails=[WORK]),
        made(emails=[WORK, {"type": "fax", "primary": True, "display": "F"}]),
    ),
    (
        "valueless_entries_removed",
        operation("remove", 'emails[type eq "work"].value'),
        made(title="T"),
        now(emails=[{"type": "work"}]),
    ),
    (
        "valueless_entries_removed",
        operation("replace", "emails", value=[{"type": "work", "value": ""}]),
        made(title="T"),
        now(emails=[{"type": "work"}]),
    ),
    (
        "valueless_entries_removed",
        operation("replace", 'emails[type ne "work"].value', value=None),
        NOW,
        NoTarget,
    ),
    ("manager_id", reference({"managerId": "m"}), made(**{MANAGER: {"value": "m"}}), made()),
    (
        "manager_id",
        operation("replace", f"{MANAGER}.managerId", value="m"),
        now(**{MANAGER: {"value": "m"}}),
        InvalidPath,
    ),
    (
        "manager_id",
        operation("replace", value={"manager.managerId": "m"}),
        now(**{MANAGER: {"value": "m"}}),
        NOW,
    ),
    (
        "manager_id",
        filtered(f'{MANAGER}.MANAGERID eq "m"'),
        meaning(f'{MANAGER}.value eq "m"'),
        InvalidFilter,
    ),
    ("unknown_attributes_ignored", body(shoeSize=44), made(), InvalidValue),
    (
        "unknown_attributes_ignored",
        operation("replace", value={"title": "x", "shoeSize": 44}),
        now(title="x"),
        InvalidValue,
    ),
    (
        "unknown_attributes_ignored",
        lambda *policy: patched(
            *policy,
            {"op": "add", "path": "urn:custom:User:badge", "value": "1"},
            {"op": "replace", "path": "title", "value": "x"},
        ),
        now(title="x"),
        InvalidPath,
    ),
    ("unknown_schemas_ignored", body([USER_URN, "urn:x"]), made(), InvalidValue),
    (
        "extension_without_schema",
        body(**{f"{ENTERPRISE_URN}:department": "D"}),
        made(**{f"{ENTERPRISE_URN}:department": "D"}),
        InvalidValue,
    ),
    ("core_schema_missing", body(()), made(), InvalidValue),
    ("core_schema_missing", partial(posted, body={"schemas": None}), made(), InvalidValue),
    ("core_schema_missing", body(["urn:scim:schemas:core:1.0"]), made(), InvalidValue),
    *(
        ("core_schema_missing", message(schemas), NOW, InvalidSyntax)
        for schemas in ({}, {"schemas": None}, {"schemas": ["urn:scim:schemas:core:1.0"]})
    ),
    ("core_schema_missing", looked_for, {"count": "1"}, InvalidValue),
    ("core_schema_missing", in_bulk, ([], None), InvalidSyntax),
    (
        "unquoted_filter_literal",
        filtered("userName eq jane"),
        meaning('userName eq "jane"'),
        InvalidFilter,
    ),
    (
        "unquoted_filter_literal",
        operation("remove", "emails[type eq work]"),
        made(title="T"),
        InvalidFilter,
    ),
    (
        "extension_without_urn",
        filtered('id eq "1" and manager.value eq "m"'),
        meaning(f'id eq "1" and {MANAGER}.value eq "m"'),
        InvalidFilter,
    ),
    (
        "extension_without_urn",
        operation("add", "manager", value={"value": "m"}),
        now(**{MANAGER: {"value": "m"}}),
        InvalidPath,
    ),
    (
        "part_after_brackets",
        filtered('emails[type eq "work"].value eq "x"'),
        meaning('emails[type eq "work" and value eq "x"]'),
        InvalidFilter,
    ),
    (
        "every_filter_operator",
        operation("remove", "emails[value pr]"),
        made(title="T"),
        InvalidFilter,
    ),
    *(
        ("every_filter_operator", filtered(text), meaning(text), InvalidFilter)
        for text in (
            "title pr",
            "not (active eq true)",
            'title eq "x" or title eq "y"',
            *(f'title {operator} "x"' for operator in "ne co SW ew gt ge lt le".split()),
        )
    ),
    ("patch_op_any_case", operation("Replace", "title", value="x"), now(title="x"), InvalidSyntax),
    ("pathless_patch", operation("add", value={"title": "x"}), now(title="x"), InvalidSyntax),
    ("pathless_patch", operation("replace", value={"title": "x"}), now(title="x"), InvalidSyntax),
    (
        "pathless_patch",
        lambda *policy: patched(*policy, {"op": "add", "path": "", "value": {"title": "x"}}),
        now(title="x"),
        InvalidSyntax,
    ),
    (
        "patch_dotted_keys",
        operation("replace", value={"name.givenName": "G"}),
        now(name={"givenName": "G"}),
        InvalidValue,
    ),
    (
        "patch_dotted_keys",
        operation("replace", value={f"{ENTERPRISE_URN}:manager": {"value": "m"}}),
        now(**{MANAGER: {"value": "m"}}),
        InvalidValue,
    ),
    (
        "read_only_in_value",
        operation("replace", value={"id": "other", "title": "x"}),
        now(title="x"),
        Mutability,
    ),
    (
        "read_only_in_value",
        operation("add", value={"groups": [{"value": "g"}], "meta": {"version": "x"}}),
        NOW,
        Mutability,
    ),
    ("patch_without_operations", patched, NOW, InvalidSyntax),
    (
        "patch_remove_by_value",
        operation("remove", "emails", value=[{"value": "none"}]),
        NOW,
        InvalidValue,
    ),
    ("add_at_filter_creates", operation("add", f"{FAX}.value", value="1"), TWO, NoTarget),
    ("replace_at_filter_creates", operation("replace", f"{FAX}.value", value="1"), TWO, NoTarget),
]


IDS = [f"{setting}-{number}" for number, (setting, *_) in enumerate(CASES)]


@pytest.mark.parametrize(("setting", "request_", "on", "off"), CASES, ids=IDS)
def test_a_setting_that_is_on_accepts_and_records_its_use(setting, request_, on, off):
    told = Counter()

    result = request_(LENIENT, lambda name: told.update([name]))

    assert result == on
    assert told[setting]


@pytest.mark.parametrize(("setting", "request_", "on", "off"), CASES, ids=IDS)
def test_a_setting_that_is_off_refuses_and_records_nothing(setting, request_, on, off):
    told, policy = [], with_settings(LENIENT, {setting: False})

    if isinstance(off, dict):
        assert request_(policy, told.append) == off
    else:
        with pytest.raises(off):
            request_(policy, told.append)
    assert setting not in told


def test_every_setting_is_tested():
    assert {case[0] for case in CASES} | ELSEWHERE == set(SETTINGS)


# What settings leave alone


@pytest.mark.parametrize("preset", PRESETS.values(), ids=PRESETS)
def test_conforming_requests_need_no_tolerance(preset):
    told = []

    result = posted(
        preset,
        told.append,
        {
            "schemas": BOTH,
            "id": None,
            "title": None,
            "active": True,
            "emails": [WORK],
            ENTERPRISE_URN: {"manager": {"value": "m"}},
        },
    )
    patched(preset, told.append, {"op": "remove", "path": "emails"})
    read(preset, told.append, f'userName eq "a" and (active eq true) and {MANAGER}.value eq "m"')

    assert result == made(active=True, emails=[WORK], **{MANAGER: {"value": "m"}})
    assert told == []


def test_where_value_is_given_a_manager_id_is_an_unknown_attribute():
    given = {"managerId": "old", "VALUE": "m"}

    assert reference(given)(LENIENT, None) == made(**{MANAGER: {"value": "m"}})


def test_only_a_reference_has_its_value_under_an_older_name():
    sent = {"emails": [{"value": "w@x.org"}, {"emailsId": "x"}], "name": {"nameId": "x"}}
    told = set()

    assert body(**sent)(LENIENT, told.add) == made(emails=[{"value": "w@x.org"}])
    assert "manager_id" not in told


@pytest.mark.parametrize("schemas", [["urn:x"], [ENTERPRISE_URN], [1], {}, "urn:scim:schemas:x"])
def test_the_core_schema_may_be_missing_only_with_older_core_schemas(schemas):
    with pytest.raises(InvalidValue):
        posted(PRESETS["onelogin"], None, {"schemas": schemas})


def test_an_unknown_key_is_refused_by_its_end_too_where_it_is_long():
    strict = with_settings(LENIENT, {"unknown_attributes_ignored": False})

    with pytest.raises(InvalidValue, match=r"urn:x.*:badge is not an attribute"):
        operation("replace", value={f"urn:{'x' * 300}:badge": 1})(strict, None)


def test_a_core_attribute_is_meant_before_one_of_an_extension():
    result = operation("replace", "displayName", value="D")(LENIENT, None)

    assert result == now(displayName="D")


def test_a_plain_key_that_only_an_extension_declares_is_unknown():
    assert operation("replace", value={"department": "D"})(LENIENT, None) == NOW


# Presets


def test_the_presets_differ_from_the_default_only_against_the_rfc():
    okta = OKTA

    names = ["okta", "entra", "onelogin", "authentik", "keycloak", "strict"]
    clears = {"put_keeps_members": False}
    odd = dict.fromkeys(("text_as_list", "list_as_one", "patch_without_operations"), True)

    assert list(PRESETS) == names
    assert PRESETS["okta"] == okta
    assert PRESETS["entra"] == with_settings(okta, {**odd, "replace_at_filter_creates": True})
    assert PRESETS["onelogin"] == with_settings(okta, {**odd, "core_schema_missing": True})
    assert PRESETS["authentik"] == with_settings(okta, clears)
    assert PRESETS["keycloak"] == with_settings(okta, {**clears, "pagination_left_out": True})
    assert PRESETS["strict"] == with_settings(okta, dict.fromkeys(SETTINGS, False))


def test_no_preset_adopts_users():
    assert not any("adopt" in preset for preset in PRESETS.values())


def test_only_the_strict_follow_the_interop_profile():
    assert [name for name, preset in PRESETS.items() if not preset] == ["strict"]


ONELOGIN_USER = {
    "schemas": ["urn:scim:schemas:core:1.0", "urn:scim:schemas:extension:enterprise:1.0"],
    "id": None,
    "userName": "a",
    "active": "true",
    "title": None,
    "name": {"givenName": "G", "familyName": "", "formatted": None},
    "emails": [{"value": "w@x.org", "type": "work", "primary": "true"}],
    ENTERPRISE_URN: {"department": None, "manager": {"managerId": "m", "displayName": "M"}},
}


@pytest.mark.parametrize("schemas", [[], [USER_URN], ONELOGIN_USER["schemas"]])
def test_the_onelogin_policy_accepts_its_templates(schemas):
    result = posted(PRESETS["onelogin"], None, ONELOGIN_USER | {"schemas": schemas})

    assert result == made(
        active=True,
        name={"givenName": "G"},
        emails=[{"value": "w@x.org", "type": "work", "primary": True}],
        **{MANAGER: {"value": "m"}},
    )


def test_the_default_policy_accepts_them_except_for_schemas():
    sent = ONELOGIN_USER | {"schemas": [USER_URN]}

    assert posted(PRESETS["okta"], None, sent) == posted(PRESETS["onelogin"], None, sent)


# Settings by name


def test_settings_are_changed_by_name():
    policy = with_settings(STRICT, {"boolean_strings": True, "adopt": True})

    assert policy == {"boolean_strings", "adopt"}
    assert with_settings(policy, {"adopt": False}) == {"boolean_strings"}


def test_an_unknown_setting_is_refused_and_a_near_one_suggested():
    with pytest.raises(
        ValueError, match=r"^boolean_string is no .* Did you mean boolean_strings\?$"
    ):
        with_settings(STRICT, {"boolean_string": True})
    with pytest.raises(ValueError, match=r"^xyzzy is no setting of a policy\.$"):
        with_settings(STRICT, {"xyzzy": True})


def test_every_setting_is_described():
    settings = TOLERANCES.values()

    assert all(setting.forgiven and setting.needed_by and setting.otherwise for setting in settings)


def test_only_declared_tolerances_are_asked_for():
    asked = {
        name for path in SOURCES for name in re.findall(r'\.allow\(\s*"(\w+)"', path.read_text())
    }

    assert len(asked) > 20
    assert asked <= TOLERANCES.keys()


@pytest.mark.parametrize("setting", TOLERANCES.values(), ids=lambda setting: setting.name)
def test_every_setting_is_in_the_document_in_the_same_words_with_what_each_preset_has(setting):
    presets = [PRESETS[name] for name in COLUMNS]
    switches = ["on" if setting.name in preset else "off" for preset in presets]

    cells = [f"`{setting.name}`", setting.forgiven, setting.needed_by, setting.otherwise]
    assert f"\n| {' | '.join(cells + switches)} |\n" in DOCUMENT.read_text()
