"""The effect of PATCH operations on a resource's attributes."""

import copy
import time

import pytest

from projections.query.model import Type
from scim_api.protocol.errors import (
    BodyTooLarge,
    InvalidFilter,
    InvalidPath,
    InvalidSyntax,
    InvalidValue,
    Mutability,
    NoTarget,
)
from scim_api.protocol.patch.message import MAX_OPERATIONS, PATCH_URN
from scim_api.protocol.patch.message import patched as after_patch
from scim_api.protocol.patch.operations import MAX_PATHS
from scim_api.protocol.policy import ENTRA, OKTA, STRICT, Tolerances, with_settings
from scim_api.protocol.schema.attributes import Attribute, ResourceType, Schema
from scim_api.protocol.schema.attributes import Mutability as Mutable
from scim_api.protocol.schema.resource_types import ENTERPRISE_URN, USER, USER_URN

DEPARTMENT = f"{ENTERPRISE_URN}:department"
MANAGER = f"{ENTERPRISE_URN}:manager"
SECRET = "correct horse battery staple"

WORK = {"value": "w@x.org", "type": "work", "primary": True}
HOME = {"value": "h@x.org", "type": "home"}
OTHER = 'emails[type eq "other"]'
USER_NOW = {
    "userName": "a",
    "externalId": "00u",
    "title": "T",
    "active": True,
    "name": {"givenName": "G", "familyName": "F"},
    "emails": [WORK, HOME],
    DEPARTMENT: "Sales",
    MANAGER: {"value": "m1", "$ref": "../Users/m1"},
}

TICKET = ResourceType(
    "Ticket",
    "/Tickets",
    "With what a user has none of: immutable and required parts, plain values.",
    Schema(
        "urn:example:Ticket",
        "Ticket",
        "A ticket.",
        (
            Attribute("number", "", mutability=Mutable.IMMUTABLE),
            Attribute("tags", "", multi_valued=True),
            Attribute(
                "seals",
                "",
                Type.COMPLEX,
                multi_valued=True,
                sub_attributes=(
                    Attribute("value", ""),
                    Attribute("colour", "", mutability=Mutable.IMMUTABLE),
                ),
            ),
            Attribute(
                "origin",
                "",
                Type.COMPLEX,
                sub_attributes=(
                    Attribute("place", "", mutability=Mutable.IMMUTABLE),
                    Attribute("note", ""),
                ),
            ),
            Attribute(
                "parts",
                "",
                Type.COMPLEX,
                multi_valued=True,
                sub_attributes=(
                    Attribute("value", "", required=True, mutability=Mutable.IMMUTABLE),
                    Attribute("note", ""),
                ),
            ),
        ),
    ),
    common=USER.common,
)


def message(*operations):
    return {"schemas": [PATCH_URN], "Operations": list(operations)}


def op(op, path=None, *value):
    operation = {"op": op} if path is None else {"op": op, "path": path}
    return operation | ({"value": value[0]} if value else {})


def patched(*operations, policy=OKTA, attributes=USER_NOW, resource_type=USER):
    before = copy.deepcopy(attributes)
    try:
        return after_patch(resource_type, attributes, message(*operations), Tolerances(policy))
    finally:
        assert attributes == before


def changes(*operations, policy=OKTA, attributes=USER_NOW, resource_type=USER):
    """Return what is different afterwards; None for what is unassigned."""
    after = patched(*operations, policy=policy, attributes=attributes, resource_type=resource_type)
    keys = attributes.keys() | after.keys()
    return {key: after.get(key) for key in keys if after.get(key) != attributes.get(key)}


def refusal(error, *operations, policy=OKTA, attributes=USER_NOW, resource_type=USER):
    with pytest.raises(error) as caught:
        patched(*operations, policy=policy, attributes=attributes, resource_type=resource_type)
    return caught.value.detail


def only(**settings):
    """Return the strict policy with some tolerances."""
    return with_settings(STRICT, settings)


RFC = only(pathless_patch=True, every_filter_operator=True)


# The message


@pytest.mark.parametrize(
    "body",
    [
        None,
        [],
        {},
        {"Operations": [op("remove", "title")]},
        {"schemas": [], "Operations": [op("remove", "title")]},
        {"schemas": PATCH_URN, "Operations": [op("remove", "title")]},
        {"schemas": [USER_URN, 5], "Operations": [op("remove", "title")]},
        {"schemas": [PATCH_URN]},
        {"schemas": [PATCH_URN], "Operations": {}},
        {"schemas": [PATCH_URN], "Operations": [None]},
        {"schemas": [PATCH_URN], "Operations": ["remove"]},
        {"schemas": [PATCH_URN], "Operations": [{}], "operations": [{}]},
    ],
)
def test_an_invalid_patch_message_is_a_syntax_error(body):
    with pytest.raises(InvalidSyntax):
        after_patch(USER, USER_NOW, body)


def test_names_in_the_message_are_found_in_any_case():
    body = {
        "Schemas": [PATCH_URN.upper()],
        "OPERATIONS": [{"OP": "replace", "Path": "TITLE", "Value": "x"}],
    }

    assert after_patch(USER, USER_NOW, body, Tolerances(STRICT))["title"] == "x"


def test_too_many_operations_are_too_large_a_body():
    operations = [op("replace", "title", str(number)) for number in range(MAX_OPERATIONS + 1)]

    assert patched(*operations[:-1])["title"] == str(MAX_OPERATIONS - 1)
    refusal(BodyTooLarge, *operations)


@pytest.mark.parametrize("known", [True, False])
def test_too_long_paths_together_are_too_large_a_body(known):
    path = f'emails[value eq "{"x" * 8000}"]' if known else f"unknown[{' ' * 8000}]"
    removes = [op("remove", path)] * (MAX_PATHS // len(path))
    first = op("replace", "title", "x")

    assert patched(first, *removes)["title"] == "x"
    refusal(BodyTooLarge, first, *removes, removes[0])


def test_paths_as_keys_of_values_count_as_paths():
    keys = [f"unknown[{number:08000}]" for number in range(MAX_PATHS // 8009)]
    value = {"title": "x"} | dict.fromkeys(keys, "x")

    assert patched(op("add", None, value))["title"] == "x"
    refusal(BodyTooLarge, op("add", None, value), op("add", None, value))
    refusal(BodyTooLarge, op("add", None, value | {f"unknown[{'x' * 8000}]": "x"}))


def test_comparing_long_texts_is_as_much_work_as_comparing_many_short_ones():
    given = op("add", "roles", [{"value": str(n), "display": "\u00e9" * 30_000} for n in range(15)])
    terms = " or ".join(['display co "x"'] * 50)
    search = op("remove", f"roles[{terms}]")

    assert len(patched(given, search)["roles"]) == 15
    refusal(BodyTooLarge, given, *[search] * 20)


@pytest.mark.parametrize("name", ["Replace", "REPLACE"])
def test_the_operation_is_found_in_any_case_by_policy(name):
    assert changes(op(name, "title", "x")) == {"title": "x"}
    refusal(InvalidSyntax, op(name, "title", "x"), policy=STRICT)


@pytest.mark.parametrize("name", ["move", "", None, 5, ["add"]])
def test_an_unknown_operation_is_a_syntax_error(name):
    refusal(InvalidSyntax, op(name, "title", "x"))


@pytest.mark.parametrize("name", ["add", "replace"])
def test_add_and_replace_need_a_value(name):
    refusal(InvalidValue, op(name, "title"))
    refusal(InvalidValue, op(name))


@pytest.mark.parametrize("path", ["nope", "name.nope", "emails[", "title.x", "emails[0]", "a b"])
def test_a_path_that_names_nothing_is_refused(path):
    refusal((InvalidPath, InvalidFilter), op("replace", path, "x"))


def test_a_path_that_is_no_text_is_refused():
    refusal(InvalidPath, op("replace", 5, "x"))


def test_operations_are_applied_in_order_to_the_result_of_those_before():
    operations = [
        op("remove", "emails"),
        op("add", "emails", [{"value": "n"}]),
        op("replace", 'emails[value eq "n"].type', "other"),
    ]

    assert changes(*operations) == {"emails": [{"value": "n", "type": "other"}]}


def test_when_one_operation_fails_none_is_applied():
    refusal(Mutability, op("replace", "title", "x"), op("remove", "userName"))


# Without a path


@pytest.mark.parametrize("name", ["add", "replace"])
def test_each_key_of_the_value_is_an_attribute(name):
    value = {"TITLE": "x", "name": {"givenName": "g"}, ENTERPRISE_URN: {"Department": "IT"}}

    assert changes(op(name, None, value), policy=RFC) == {
        "title": "x",
        "name": {"givenName": "g", "familyName": "F"},
        DEPARTMENT: "IT",
    }


def test_okta_deactivates_without_a_path():
    assert changes(op("replace", None, {"active": False})) == {"active": False}


def test_without_a_path_add_appends_and_replace_replaces():
    value = {"emails": [{"value": "n"}]}

    assert changes(op("add", None, value)) == {"emails": [WORK, HOME, {"value": "n"}]}
    assert changes(op("replace", None, value)) == {"emails": [{"value": "n"}]}


def test_a_known_path_that_cannot_be_changed_is_no_unknown_one():
    refusal(Mutability, op("replace", "badge", "1"), op("replace", "id", "x"))
    refusal(InvalidFilter, op("replace", "title", "x"), op("replace", "emails[", "x"))


@pytest.mark.parametrize(
    "value",
    [
        {"id": "x", "meta": {"version": "x"}, "groups": [{"value": "g"}]},
        {"schemas": [USER_URN, ENTERPRISE_URN]},
        {"schemas": "anything"},
        {f"{USER_URN}:id": "x"},
        {f"{MANAGER}.displayName": "x"},
        {},
    ],
)
def test_read_only_attributes_are_ignored_without_a_path(value):
    assert changes(op("replace", None, value)) == {}


def test_unknown_keys_are_ignored_by_policy():
    value = {"title": "x", "shoeSize": 44, ENTERPRISE_URN: {"shoe": 1}, "name": {"nick": "x"}}

    assert changes(op("replace", None, value)) == {"title": "x"}
    for key in ("shoeSize", ENTERPRISE_URN, "name"):
        refusal(InvalidValue, op("replace", None, {key: value[key]}), policy=RFC)


@pytest.mark.parametrize(
    ("key", "value", "change"),
    [
        ("name.givenName", "g", {"name": {"givenName": "g", "familyName": "F"}}),
        (f"{ENTERPRISE_URN}:department", "IT", {DEPARTMENT: "IT"}),
        (f"{ENTERPRISE_URN}:manager.value", "m2", {MANAGER: {**USER_NOW[MANAGER], "value": "m2"}}),
        (f"{USER_URN}:title", "x", {"title": "x"}),
        ('emails[type eq "home"].value', "n", {"emails": [WORK, HOME | {"value": "n"}]}),
    ],
)
def test_keys_may_be_paths_by_policy(key, value, change):
    assert changes(op("replace", None, {key: value})) == change
    refusal(InvalidValue, op("replace", None, {key: value}), policy=RFC)


@pytest.mark.parametrize("value", ["x", ["x"], 5, None])
def test_without_a_path_the_value_must_be_an_object(value):
    refusal(InvalidValue, op("replace", None, value))


def test_a_key_given_twice_is_a_syntax_error():
    refusal(InvalidSyntax, op("replace", None, {"title": "x", "Title": "y"}))


def test_the_urn_of_the_core_schema_is_the_resource_itself():
    assert changes(op("replace", USER_URN, {"title": "x"})) == {"title": "x"}


# Extensions


def test_the_urn_of_an_extension_takes_its_attributes():
    operation = op("add", ENTERPRISE_URN, {"division": "D", "manager": {"value": "m2"}})

    assert changes(operation) == {
        f"{ENTERPRISE_URN}:division": "D",
        MANAGER: {"value": "m2", "$ref": "../Users/m1"},
    }


@pytest.mark.parametrize("operation", [op("remove", ENTERPRISE_URN.upper())])
def test_removing_an_extension_removes_its_attributes(operation):
    assert changes(operation) == {DEPARTMENT: None, MANAGER: None}


@pytest.mark.parametrize("empty", [None, "", []])
def test_an_extension_set_to_nothing_loses_its_attributes(empty):
    change = {DEPARTMENT: None, MANAGER: None}

    assert changes(op("replace", ENTERPRISE_URN, empty)) == change
    assert changes(op("replace", None, {ENTERPRISE_URN: empty})) == change


def test_removing_an_extension_by_value_is_refused():
    refusal(InvalidValue, op("remove", ENTERPRISE_URN, {"department": "Sales"}))


# Single values


@pytest.mark.parametrize("name", ["add", "replace"])
@pytest.mark.parametrize("path", ["title", "TITLE", f"{USER_URN}:title"])
def test_a_single_value_is_set(name, path):
    assert changes(op(name, path, "x")) == {"title": "x"}
    assert changes(op(name, path, "T")) == {}


@pytest.mark.parametrize("empty", [None, "", []])
@pytest.mark.parametrize("path", ["title", "name", "emails", DEPARTMENT])
def test_a_value_replaced_with_nothing_is_unassigned(path, empty):
    assert changes(op("replace", path, empty)) == {path: None}


@pytest.mark.parametrize("empty", [None, []])
def test_adding_nothing_to_many_values_changes_nothing(empty):
    assert changes(op("add", "emails", empty)) == {}


@pytest.mark.parametrize("path", ["title", "name", "emails", DEPARTMENT, MANAGER])
def test_a_removed_attribute_is_unassigned(path):
    assert changes(op("remove", path)) == {path: None}


@pytest.mark.parametrize(
    "path", ["nickName", "roles", "name.middleName", "roles.value", 'roles[value eq "x"]']
)
def test_removing_an_absent_value_succeeds(path):
    assert changes(op("remove", path)) == {}


@pytest.mark.parametrize("path", [None, ""])
def test_remove_needs_a_path(path):
    refusal(NoTarget, op("remove", path))
    refusal(NoTarget, op("remove", path, {"title": "T"}))


def test_values_are_checked_and_forgiven_as_in_a_body():
    assert changes(op("replace", "active", "False")) == {"active": False}
    assert changes(op("add", "roles", "ADMIN")) == {"roles": [{"value": "ADMIN"}]}
    assert refusal(InvalidValue, op("replace", "active", "no")).startswith("active must be")
    assert refusal(InvalidValue, op("replace", "userName", 5)).startswith("userName must be")


# Required and read-only


@pytest.mark.parametrize(
    "operation",
    [
        op("remove", "userName"),
        op("replace", "userName", None),
        op("replace", "userName", ""),
        op("add", "userName", None),
        op("replace", None, {"userName": None}),
    ],
)
def test_a_required_attribute_cannot_be_unassigned(operation):
    assert refusal(Mutability, operation).startswith("userName is required")


def test_a_user_name_of_space_is_refused():
    refusal(InvalidValue, op("replace", "userName", "  "))


@pytest.mark.parametrize("name", ["add", "replace", "remove"])
@pytest.mark.parametrize(
    "path",
    [
        *("id", "meta", "meta.version", "groups", "groups.value", 'groups[value eq "x"]'),
        *(f"{USER_URN}:id", f"{MANAGER}.displayName"),
    ],
)
def test_an_explicit_path_to_a_read_only_attribute_is_refused(name, path):
    value = () if name == "remove" else ("x",)

    assert refusal(Mutability, op(name, path, *value)).endswith("is read-only")


def test_read_only_parts_of_a_value_are_ignored():
    operation = op("replace", MANAGER, {"value": "m2", "displayName": "M"})

    assert changes(operation) == {MANAGER: {"value": "m2", "$ref": "../Users/m1"}}


# Secrets


@pytest.mark.parametrize(
    "operation",
    [
        op("replace", "password", SECRET),
        op("add", "password", None),
        op("replace", None, {"password": SECRET}),
        op("remove", "password"),
    ],
)
def test_a_password_is_accepted_and_dropped(operation):
    assert changes(operation) == {}


@pytest.mark.parametrize(
    "operation", [op("replace", "password", [SECRET]), op("add", None, {"password": {"a": SECRET}})]
)
def test_a_password_that_is_no_text_is_refused_without_repeating_it(operation):
    assert SECRET not in refusal(InvalidValue, operation)


# schemas


@pytest.mark.parametrize("name", ["add", "replace"])
@pytest.mark.parametrize("value", [[ENTERPRISE_URN], ENTERPRISE_URN, [USER_URN.upper()]])
def test_setting_known_schemas_changes_nothing(name, value):
    assert changes(op(name, "schemas", value), policy=RFC) == {}


@pytest.mark.parametrize("name", ["add", "replace"])
@pytest.mark.parametrize("path", ["schemas", None])
def test_setting_unknown_schemas_is_ignored_by_policy(name, path):
    def given(urns):
        return op(name, path, urns if path else {"schemas": urns})

    assert changes(given(["urn:x"])) == {}
    refusal(InvalidValue, given(["urn:x"]), policy=RFC)
    refusal(InvalidValue, given([5]))


def test_removing_an_extension_from_schemas_removes_its_attributes():
    operation = op("remove", f'schemas[value eq "{ENTERPRISE_URN}"]')

    assert changes(operation) == {DEPARTMENT: None, MANAGER: None}


def test_removing_an_unknown_schema_changes_nothing():
    assert changes(op("remove", 'schemas[value eq "urn:x"]')) == {}


@pytest.mark.parametrize("path", ["schemas", f'schemas[value eq "{USER_URN}"]'])
def test_the_core_schema_cannot_be_removed(path):
    refusal(Mutability, op("remove", path))


# Complex attributes


@pytest.mark.parametrize("name", ["add", "replace"])
def test_sub_attributes_are_merged(name):
    operation = op(name, "name", {"GIVENNAME": "g", "middleName": "M"})

    assert changes(operation) == {"name": {"givenName": "g", "familyName": "F", "middleName": "M"}}


@pytest.mark.parametrize("empty", [None, ""])
def test_a_sub_attribute_set_to_nothing_is_unassigned(empty):
    assert changes(op("replace", "name", {"givenName": empty})) == {"name": {"familyName": "F"}}
    assert changes(op("replace", "name.givenName", empty)) == {"name": {"familyName": "F"}}


def test_an_object_without_sub_attributes_changes_nothing():
    assert changes(op("replace", "name", {})) == {}


def test_a_sub_attribute_is_set_in_an_absent_attribute():
    operation = op("add", "name.givenName", "g")

    assert patched(operation, attributes={"userName": "a"})["name"] == {"givenName": "g"}


def test_a_complex_attribute_without_sub_attributes_left_is_unassigned():
    operations = [op("remove", "name.givenName"), op("remove", "name.familyName")]

    assert changes(operations[0]) == {"name": {"familyName": "F"}}
    assert changes(*operations) == {"name": None}


def test_a_complex_attribute_takes_an_object():
    refusal(InvalidValue, op("replace", "name", "x"))


@pytest.mark.parametrize("value", ["m2", {"value": "m2"}, [{"value": "m2"}]])
def test_entra_sets_a_manager_in_three_ways(value):
    assert changes(op("Add", MANAGER, value))[MANAGER]["value"] == "m2"


@pytest.mark.parametrize("value", ["", None, {"value": ""}, {"value": None}])
def test_a_manager_without_a_value_is_no_manager(value):
    assert changes(op("Replace", MANAGER, value)) == {MANAGER: None}


# Many values


def test_add_appends_the_values_that_are_not_there():
    new = {"value": "n"}

    assert changes(op("add", "emails", [HOME, new, new])) == {"emails": [WORK, HOME, new]}
    assert changes(op("add", "emails", dict(reversed(HOME.items())))) == {}


def test_replace_sets_the_whole_list():
    assert changes(op("replace", "emails", [HOME])) == {"emails": [HOME]}


@pytest.mark.parametrize("name", ["add", "replace"])
def test_a_filter_merges_into_every_value_that_matches(name):
    operation = op(name, "emails[value pr]", {"display": "D"})

    assert changes(operation) == {"emails": [WORK | {"display": "D"}, HOME | {"display": "D"}]}


def test_a_filter_is_applied_once_before_anything_changes():
    operation = op("replace", 'emails[type eq "work"]', {"type": "other", "value": "n"})

    assert changes(operation) == {
        "emails": [{"value": "n", "type": "other", "primary": True}, HOME]
    }


@pytest.mark.parametrize("path", ['emails[type eq "HOME"].value', 'EMAILS[Type EQ "home"].Value'])
def test_a_filter_and_sub_attribute_set_it_in_every_match(path):
    assert changes(op("replace", path, "n")) == {"emails": [WORK, HOME | {"value": "n"}]}


@pytest.mark.parametrize(("path", "value"), [(OTHER, {"value": "n"}), (f"{OTHER}.value", "n")])
def test_a_replace_whose_filter_matches_nothing_has_no_target(path, value):
    refusal(NoTarget, op("replace", path, value))


@pytest.mark.parametrize(("path", "value"), [(OTHER, {"value": "n"}), (f"{OTHER}.value", "n")])
@pytest.mark.parametrize(("policy", "name"), [(OKTA, "add"), (ENTRA, "add"), (ENTRA, "replace")])
def test_a_filter_without_a_match_creates_a_value_by_policy(policy, name, path, value):
    change = changes(op(name, path, value), policy=policy)

    assert change == {"emails": [WORK, HOME, {"type": "other", "value": "n"}]}
    refusal(NoTarget, op(name, path, value), policy=STRICT)


def test_a_filter_in_a_key_creates_its_value():
    change = changes(op("replace", None, {f"{OTHER}.value": "n"}))

    assert change == {"emails": [WORK, HOME, {"type": "other", "value": "n"}]}


def test_a_filter_takes_an_object():
    refusal(InvalidValue, op("replace", 'emails[type eq "work"]', [1]))


@pytest.mark.parametrize(
    ("path", "value", "new"),
    [
        (
            'emails[type eq "other" and display eq "D"].value',
            "n",
            {"type": "other", "display": "D", "value": "n"},
        ),
        ("emails[type eq null].value", "n", {"value": "n"}),
    ],
)
def test_a_created_value_has_all_parts_of_the_filter(path, value, new):
    assert changes(op("add", path, value)) == {"emails": [WORK, HOME, new]}


def test_a_value_that_is_made_primary_unmarks_the_others():
    change = changes(op("add", 'emails[type eq "other" and primary eq true].value', "n"))

    new = {"type": "other", "primary": True, "value": "n"}
    assert change == {"emails": [WORK | {"primary": False}, HOME, new]}


@pytest.mark.parametrize("path", ['emails[type ne "work" and type ne "home"].value'])
def test_a_filter_that_describes_no_value_makes_none(path):
    refusal(NoTarget, op("add", path, "n"), policy=ENTRA)


def test_a_value_that_contradicts_its_filter_is_not_made():
    refusal(InvalidValue, op("add", 'emails[type eq "other"].type', "fax"), policy=ENTRA)


def test_clearing_an_unmatched_value_creates_nothing():
    assert changes(op("replace", 'emails[type eq "other"].value', ""), policy=ENTRA) == {}


def test_a_sub_attribute_without_filter_is_set_in_all_values():
    assert changes(op("replace", "emails.display", "D")) == {
        "emails": [WORK | {"display": "D"}, HOME | {"display": "D"}]
    }


def test_a_sub_attribute_without_filter_makes_the_first_value():
    assert changes(op("add", "roles.value", "r")) == {"roles": [{"value": "r"}]}


def test_values_that_become_equal_are_one():
    values = [{"value": "a", "type": "work"}, {"value": "a", "type": "home"}]
    attributes = USER_NOW | {"ims": values}

    change = changes(op("remove", "ims.type"), attributes=attributes)

    assert change == {"ims": [{"value": "a"}]}


def test_values_that_an_unmarking_makes_equal_are_one():
    values = [{"value": "a", "primary": False}, {"value": "a", "primary": True}]
    new = {"value": "b", "primary": True}

    change = changes(op("add", "ims", new), attributes=USER_NOW | {"ims": values})

    assert change == {"ims": [values[0], new]}


def test_removing_by_filter_removes_every_match():
    assert changes(op("remove", 'emails[type eq "work"]')) == {"emails": [HOME]}
    assert changes(op("remove", "emails[value pr]")) == {"emails": None}
    assert changes(op("remove", 'emails[type eq "fax"]')) == {}


def test_removing_a_sub_attribute_by_filter_keeps_the_value():
    assert changes(op("remove", 'emails[type eq "home"].type')) == {
        "emails": [WORK, {"value": "h@x.org"}]
    }


@pytest.mark.parametrize(
    "operation",
    [
        op("remove", 'roles[type eq "t"].value'),
        op("replace", 'roles[value eq "s"].value', ""),
        op("add", None, {'roles[type eq "t"].value': None}),
        op("replace", 'roles[type eq "t"]', {"value": None}),
        op("replace", "roles", [{"value": "r"}, {"value": "", "type": "t"}]),
    ],
)
def test_an_entry_without_its_value_is_removed(operation):
    rest = {"value": "r"}
    attributes = USER_NOW | {"roles": [rest, {"value": "s", "type": "t", "display": "S"}]}

    assert changes(operation, attributes=attributes) == {"roles": [rest]}


def test_emptying_an_absent_value_changes_nothing():
    none = 'emails[type ne "work" and type ne "home"].value'
    for path in (none, 'emails[type eq "fax"].display', "ims.value"):
        assert changes(op("replace", path, ""), op("add", path, None), op("remove", path)) == {}


def test_an_entry_without_value_takes_no_primary_from_another():
    described = {"type": "fax", "primary": True, "value": ""}

    assert changes(op("add", "emails", [described])) == {}


# Remove with a value


@pytest.mark.parametrize(
    "value",
    [
        [{"value": "h@x.org"}],
        {"value": "h@x.org"},
        [{"value": "H@X.ORG", "type": "HOME"}],
        [{"value": "h@x.org", "display": "some name"}],
        ["h@x.org"],
        [{"type": "home"}],
        [{"value": "h@x.org"}, {"value": "nobody"}],
    ],
)
def test_remove_with_a_value_removes_only_that(value):
    assert changes(op("Remove", "emails", value)) == {"emails": [WORK]}
    refusal(InvalidValue, op("remove", "emails", value), policy=RFC)


@pytest.mark.parametrize("value", [[], [{}], "", [{"value": "h@x.org", "type": "work"}]])
def test_remove_with_a_value_that_matches_nothing_changes_nothing(value):
    assert changes(op("remove", "emails", value)) == {}


def test_remove_by_the_values_of_a_sub_attribute_is_refused():
    refusal(InvalidValue, op("remove", "emails.value", "h@x.org"))


@pytest.mark.parametrize(
    ("path", "value", "left"),
    [
        ("emails[value pr]", [{"value": "h@x.org"}], [WORK]),
        ("emails[value pr]", [{"value": "H@X.ORG", "type": "home"}], [WORK]),
        ('emails[type eq "work"]', [{"value": "h@x.org"}], [WORK, HOME]),
        ('emails[type eq "work"]', {"type": "work"}, [HOME]),
        ('emails[type eq "work"]', [], [WORK, HOME]),
        ('emails[type eq "work"]', None, [HOME]),
        ('emails[type eq "work"]', "", [HOME]),
        ("emails[value pr].type", "HOME", [WORK, {"value": "h@x.org"}]),
        ('emails[type eq "home"].type', "work", [WORK, HOME]),
    ],
)
def test_a_remove_with_filter_and_value_removes_their_intersection(path, value, left):
    after = patched(op("remove", path, value))

    assert after["emails"] == left


def test_of_plain_values_too():
    now = {"tags": ["a", "b", "c"]}
    removal = op("remove", 'tags[value ne "a"]', ["a", "b"])

    assert patched(removal, attributes=now, resource_type=TICKET) == {"tags": ["a", "c"]}


def test_a_value_with_the_filter_of_a_remove_is_a_tolerance():
    refusal(InvalidValue, op("remove", "emails[value pr]", [HOME]), policy=RFC)


def test_many_plain_values_are_removed_in_time_that_grows_with_their_number():
    tags, others = ([f"{word} {number}" for number in range(10_000)] for word in ("tag", "other"))
    started = time.thread_time()

    assert ticket_changes(*[op("remove", "tags", others)] * 5, tags=tags) == {}
    assert time.thread_time() - started < 2


def test_remove_with_a_value_removes_a_single_value_whatever_it_is():
    assert changes(op("remove", "title", "T")) == {"title": None}
    assert changes(op("remove", MANAGER, "m1")) == {MANAGER: None}


# What is there already


@pytest.mark.parametrize("name", ["add", "replace"])
@pytest.mark.parametrize(
    ("path", "value"),
    [
        ("title", "T"),
        ("name", {"givenName": "G"}),
        ("name.givenName", "G"),
        ("emails", [WORK, HOME]),
        ('emails[type eq "work"]', {"value": "w@x.org"}),
        ('emails[type eq "work"].value', "w@x.org"),
        ('emails[type eq "work"].primary', True),
        (MANAGER, "m1"),
        (ENTERPRISE_URN, {"department": "Sales"}),
        (None, {"title": "T", "emails": [WORK, HOME], MANAGER: {"value": "m1"}}),
    ],
)
def test_writing_the_current_value_changes_nothing(name, path, value):
    assert changes(op(name, path, value)) == {}


@pytest.mark.parametrize("value", [WORK, HOME, {"value": "w@x.org", "type": "work"}])
def test_adding_a_value_that_is_there_changes_nothing(value):
    assert changes(op("add", "emails", value)) == {}
    assert changes(op("add", None, {"emails": [value]})) == {}


# primary


@pytest.mark.parametrize(
    "operation",
    [
        op("add", "emails", [{"value": "n", "primary": True}]),
        op("add", "emails", {"value": "n", "primary": "True"}),
    ],
)
def test_a_new_primary_value_unmarks_the_others(operation):
    assert changes(operation) == {
        "emails": [WORK | {"primary": False}, HOME, {"value": "n", "primary": True}]
    }


@pytest.mark.parametrize(
    "operation",
    [
        op("replace", 'emails[type eq "home"].primary', True),
        op("replace", 'emails[type eq "home"]', {"primary": True}),
        op("add", 'emails[type eq "home"]', {"primary": True}),
        op("add", 'emails[type eq "home"].primary', "True"),
        op("add", "emails", [HOME | {"primary": True}]),
        op("add", None, {"emails": [HOME | {"primary": True}]}),
        op("replace", None, {'emails[type eq "home"].primary': True}),
        op("replace", None, {"emails": [WORK | {"primary": False}, HOME | {"primary": True}]}),
    ],
)
def test_a_value_made_primary_unmarks_the_others(operation):
    assert changes(operation) == {"emails": [WORK | {"primary": False}, HOME | {"primary": True}]}


@pytest.mark.parametrize(
    "operation",
    [
        op("replace", "emails.primary", True),
        op("replace", "emails[value pr]", {"primary": True}),
        op("add", "emails", [{"value": v, "primary": True} for v in "nm"]),
        op("replace", "emails", [{"value": v, "primary": True} for v in "nm"]),
    ],
)
def test_an_operation_marks_one_value_at_most(operation):
    assert "primary" in refusal(InvalidValue, operation)


def test_a_primary_value_stays_when_another_part_of_it_changes():
    assert changes(op("replace", 'emails[type eq "work"].value', "n")) == {
        "emails": [WORK | {"value": "n"}, HOME]
    }


# Immutable and required parts


def ticket_changes(*operations, **attributes):
    return changes(*operations, attributes=attributes, resource_type=TICKET)


def test_an_immutable_attribute_may_be_set_once():
    assert ticket_changes(op("add", "number", "1")) == {"number": "1"}
    assert ticket_changes(op("replace", "number", "1"), number="1") == {}


@pytest.mark.parametrize(
    "operation", [op("replace", "number", "2"), op("add", "number", None), op("remove", "number")]
)
def test_an_immutable_attribute_does_not_change(operation):
    refusal(Mutability, operation, attributes={"number": "1"}, resource_type=TICKET)


def test_adding_a_value_again_does_not_change_its_immutable_parts():
    attributes = {"seals": [{"value": "1", "colour": "red"}]}

    assert ticket_changes(op("add", "seals", {"value": "1", "colour": "red"}), **attributes) == {}
    assert ticket_changes(op("add", "seals", {"value": "1"}), **attributes) == {}
    operation = op("add", "seals", {"value": "1", "colour": "blue"})
    refusal(Mutability, operation, attributes=attributes, resource_type=TICKET)


@pytest.mark.parametrize("form", [("seals", lambda v: v), (None, lambda v: {"seals": v})])
def test_replacing_a_list_keeps_the_immutable_parts_of_the_values_that_stay(form):
    path, valued = form
    attributes = {"seals": [{"value": "1", "colour": "red"}, {"value": "2"}]}

    def replacing(*seals):
        return op("replace", path, valued(list(seals)))

    refused = replacing({"value": "1", "colour": "blue"})
    refusal(Mutability, refused, attributes=attributes, resource_type=TICKET)
    kept = [{"value": "2", "colour": "blue"}, {"value": "1", "colour": "red"}]
    assert ticket_changes(replacing(kept[0], {"value": "1"}), **attributes) == {"seals": kept}
    other = [{"value": "3", "colour": "blue"}]
    assert ticket_changes(replacing(*other), **attributes) == {"seals": other}


def test_adding_a_value_again_may_set_an_immutable_part_it_lacks():
    operation = op("add", "seals", {"value": "1", "colour": "blue"})

    change = ticket_changes(operation, seals=[{"value": "1"}])

    assert change == {"seals": [{"value": "1", "colour": "blue"}]}


@pytest.mark.parametrize(
    "operation",
    [
        op("replace", "origin", {"place": "y"}),
        op("replace", "origin.place", "y"),
        op("remove", "origin.place"),
        op("remove", "origin"),
        op("replace", 'parts[value eq "1"].value', "2"),
        op("replace", 'parts[value eq "1"]', {"value": "2"}),
        op("remove", "parts.value"),
    ],
)
def test_an_immutable_sub_attribute_does_not_change(operation):
    attributes = {"origin": {"place": "x"}, "parts": [{"value": "1"}]}

    refusal(Mutability, operation, attributes=attributes, resource_type=TICKET)


@pytest.mark.parametrize(
    ("operation", "change"),
    [
        (op("add", "origin", {"place": "x", "note": "n"}), {"origin": {"place": "x", "note": "n"}}),
        (op("remove", 'parts[value eq "1"]'), {"parts": None}),
        (op("replace", "parts", [{"value": "2"}]), {"parts": [{"value": "2"}]}),
        (op("add", "parts.note", "n"), {"parts": [{"value": "1", "note": "n"}]}),
    ],
)
def test_parts_next_to_an_immutable_part_may_change(operation, change):
    attributes = {"origin": {"place": "x"}, "parts": [{"value": "1"}]}

    assert ticket_changes(operation, **attributes) == change


def test_a_required_part_must_be_there_in_the_end():
    operations = [op("add", "parts.note", "n"), op("add", "parts.value", "1")]

    assert ticket_changes(*operations) == {"parts": [{"note": "n", "value": "1"}]}
    refusal(InvalidValue, operations[0], attributes={}, resource_type=TICKET)
    refusal(InvalidValue, op("add", "parts", {"note": "n"}), attributes={}, resource_type=TICKET)


def test_plain_values_are_added_replaced_and_removed():
    assert ticket_changes(op("add", "tags", ["b", "a", "b"]), tags=["a"]) == {"tags": ["a", "b"]}
    assert ticket_changes(op("add", "tags", "b"), tags=["a"]) == {"tags": ["a", "b"]}
    assert ticket_changes(op("replace", "tags", ["b"]), tags=["a"]) == {"tags": ["b"]}
    assert ticket_changes(op("remove", 'tags[value eq "a"]'), tags=["a", "b"]) == {"tags": ["b"]}
    assert ticket_changes(op("remove", "tags", ["a"]), tags=["a", "b"]) == {"tags": ["b"]}


@pytest.mark.parametrize(
    ("value", "left"),
    [("d", ["d", "c"]), ('["d"]', ['["d"]', "c"]), ("c", ["c"]), (None, ["c"]), ("b", ["b", "c"])],
)
def test_a_replace_with_a_filter_puts_one_plain_value_in_the_place_of_all_that_it_finds(
    value, left
):
    tags = {"tags": ["a", "b", "c"]}
    operation = op("replace", 'tags[value eq "a" or value eq "b"]', value)

    assert patched(operation, attributes=tags, resource_type=TICKET) == {"tags": left}


@pytest.mark.parametrize("value", [["b"], [{"value": "b"}]])
def test_a_list_of_one_at_a_filter_of_plain_values_is_a_tolerance(value):
    lenient, operation = only(list_as_one=True), op("replace", 'tags[value eq "a"]', value)

    after = patched(operation, policy=lenient, attributes={"tags": ["a"]}, resource_type=TICKET)

    assert after == {"tags": ["b"]}


def test_a_filter_of_plain_values_that_finds_none_or_is_to_be_added_to_is_refused():
    tags = {"tags": ["a"]}
    found, missing = 'tags[value eq "a"]', 'tags[value eq "x"]'

    refusal(NoTarget, op("replace", missing, "b"), attributes=tags, resource_type=TICKET)
    refusal(InvalidValue, op("replace", found, ["b"]), attributes=tags, resource_type=TICKET)
    refusal(InvalidPath, op("add", found, "b"), attributes=tags, resource_type=TICKET)
