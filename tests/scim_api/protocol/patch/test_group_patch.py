"""Edits of a group's members equal edits of a plain list; which members are read."""

import json
from dataclasses import dataclass, field

import pytest
from hypothesis import given
from hypothesis import strategies as st

from projections.current.memberships import Relation
from scim_api.protocol.errors import BodyTooLarge, InvalidValue, Mutability, NoTarget
from scim_api.protocol.patch.members import MAX_MEMBERS, MemberChanges
from scim_api.protocol.patch.message import patched
from scim_api.protocol.policy import ENTRA, OKTA, STRICT, Tolerances
from scim_api.protocol.schema.resource_types import GROUP
from tests.scim_api.client import GROUP_URN, add, patch, remove

BASE = "https://example.com/scim/v2"
IDS = ["a", "b", "c", "d", "e"]
ATTRIBUTES = {"displayName": "Staff"}


@dataclass
class Roll:
    """Members known beforehand; notes the questions."""

    there: list[str]
    asked: list = field(default_factory=list)

    def among(self, ids):
        self.asked.append(set(ids))
        return {id_: type_of(id_) for id_ in self.there if id_ in ids}

    def all(self):
        self.asked.append("all")
        return [member(id_) for id_ in self.there]

    def known(self, ids):
        return {id_: member(id_) for id_ in ids if id_ in IDS}


def member(id_):
    return Relation(id_, type_of(id_), f"Name of {id_}" if id_ in IDS else None)


def type_of(id_):
    return "Group" if id_ in "de" else "User"


def after(there, *operations, policy=OKTA):
    """Return the members after a PATCH."""
    membership = MemberChanges(Roll(there))
    tolerances = Tolerances(policy, base_url=BASE)
    patched(GROUP, ATTRIBUTES, patch(*operations), tolerances, membership)
    changes = membership.changes()
    assert set(changes.joining).isdisjoint(there)
    assert set(changes.leaving) <= set(there)
    return sorted({*there, *changes.joining} - set(changes.leaving))


def values(ids):
    return [{"value": id_, "type": type_of(id_)} for id_ in ids]


def ruled_by_list(there, operation):
    """Do to a list what an operation says, as one would do it by hand."""
    op, path, value = operation["op"], operation.get("path"), operation.get("value")
    named = [one["value"] for one in value or ()] if isinstance(value, list) else []
    if path is None:
        named = [one["value"] for one in value["members"]]
    if path == 'members[type eq "Group"]':
        return [id_ for id_ in there if type_of(id_) != "Group"]
    if path and "[" in path:
        wanted = path.split('"')[1::2]
        left = [id_ for id_ in there if id_ not in wanted]
        return left if op == "remove" else [*left, *wanted]
    if op == "remove":
        return [id_ for id_ in there if value is not None and id_ not in named]
    return named if op == "replace" else [*there, *named]


ids = st.lists(st.sampled_from(IDS), max_size=4)
one = st.sampled_from(IDS)
operations = st.one_of(
    st.builds(lambda of: {"op": "add", "path": "members", "value": values(of)}, ids),
    st.builds(lambda of: {"op": "replace", "path": "members", "value": values(of)}, ids),
    st.builds(lambda of: {"op": "remove", "path": "members", "value": values(of)}, ids),
    st.builds(lambda of: {"op": "replace", "value": {"members": values(of)}}, ids),
    st.builds(lambda of: {"op": "add", "value": {"members": values(of)}}, ids),
    st.builds(remove, one),
    st.builds(
        lambda a, b: {"op": "remove", "path": f'members[value eq "{a}" or value eq "{b}"]'},
        one,
        one,
    ),
    st.builds(
        lambda id_: {"op": "add", "path": f'members[value eq "{id_}"]', "value": {"value": id_}},
        st.sampled_from(["a", "b", "c"]),  # what it is nobody says: a group is found once recorded
    ),
    st.just({"op": "remove", "path": 'members[type eq "Group"]'}),
    st.just({"op": "remove", "path": "members"}),
)


@given(st.sets(one), st.lists(operations, min_size=1, max_size=6))
def test_edits_equal_the_same_edits_on_a_list(before, several):
    there, expected = sorted(before), sorted(before)
    for operation in several:
        expected = ruled_by_list(expected, operation)

    assert after(there, *several) == sorted(set(expected))


@given(st.sets(one), st.lists(operations, min_size=1, max_size=6))
def test_one_patch_equals_one_patch_per_operation(before, several):
    step_by_step = sorted(before)
    for operation in several:
        step_by_step = after(step_by_step, operation)

    assert after(sorted(before), *several) == step_by_step


@given(st.sets(one), st.lists(operations, min_size=1, max_size=6))
def test_repeating_a_patch_changes_nothing_more(before, several):
    once = after(sorted(before), *several)

    assert after(once, *several) == once


@given(st.sets(one), ids)
def test_a_put_leaves_exactly_the_named_members(before, named):
    membership = MemberChanges(Roll(sorted(before)))

    membership.replace(dict.fromkeys(named))

    changes = membership.changes()
    assert set(changes.joining) == set(named) - before
    assert set(changes.leaving) == before - set(named)


def test_single_members_are_changed_without_asking_for_all():
    roll = Roll(IDS)
    membership = MemberChanges(roll)

    operations = patch(remove("a"), add("x", "b"), remove("y"))
    patched(GROUP, ATTRIBUTES, operations, Tolerances(), membership)
    changes = membership.changes()

    assert roll.asked == [{"a", "b", "x", "y"}]
    assert (set(changes.joining), changes.leaving) == ({"x"}, ["a"])


def test_a_group_without_changes_is_not_asked():
    roll = Roll(IDS)
    membership = MemberChanges(roll)

    membership.changes()

    assert [question for question in roll.asked if question] == []


def test_thousands_of_operations_ask_once():
    roll = Roll(IDS)
    membership = MemberChanges(roll)

    operations = patch(*[remove(f"x{n}") for n in range(2000)], *[add(f"y{n}") for n in range(9)])
    patched(GROUP, ATTRIBUTES, operations, Tolerances(), membership)
    membership.changes()

    assert len(roll.asked) == 1


JSON_TEXTS = ['[{"value": "x"}]', ' {"value":"x"}', ['{"value":"x"}'], '["x"]']


@pytest.mark.parametrize(
    "value",
    ["x", ["x"], {"value": "x"}, [{"value": "x"}], [{"Value": "x"}], *JSON_TEXTS],
)
@pytest.mark.parametrize("op", ["add", "replace", "remove"])
def test_a_member_may_be_written_in_these_ways(op, value):
    left = after(["a", "x"], {"op": op, "path": "members", "value": value}, policy=ENTRA)

    assert left == {"add": ["a", "x"], "replace": ["x"], "remove": ["a"]}[op]


@pytest.mark.parametrize("op", ["add", "replace", "remove"])
def test_an_id_alone_is_no_list_of_members_but_where_a_policy_says_so(op):
    with pytest.raises(InvalidValue, match="must be a list"):
        after(["a"], {"op": op, "path": "members", "value": "x"}, policy=OKTA)


@pytest.mark.parametrize(
    "value",
    [
        '[{"value": "x"}, {"value":',
        ["{'value': 'x'}"],
        '"[{\\"value\\": \\"x\\"}]"',
        '["[{\\"value\\": \\"x\\"}]"]',
        '[["x"]]',
        "[1]",
    ],
)
@pytest.mark.parametrize("policy", [OKTA, ENTRA, STRICT])
def test_json_text_that_says_no_members_is_refused(policy, value):
    for op in ("add", "replace", "remove"):
        with pytest.raises(InvalidValue):
            after(["a"], {"op": op, "path": "members", "value": value}, policy=policy)


@pytest.mark.parametrize("value", JSON_TEXTS)
def test_members_as_json_text_are_refused_by_the_strict(value):
    with pytest.raises(InvalidValue):
        after(["a"], {"op": "replace", "path": "members", "value": value}, policy=STRICT)


@pytest.mark.parametrize("value", [None, "", []])
def test_an_add_of_nobody_adds_nobody(value):
    assert after(["a"], {"op": "add", "path": "members", "value": value}) == ["a"]


@pytest.mark.parametrize("nothing", [None, ""])
@pytest.mark.parametrize(
    ("path", "key"),
    [
        ("members", None),
        (f"{GROUP_URN}:Members", None),
        (None, "members"),
        (GROUP_URN, "members"),
        (None, f"{GROUP_URN}:members"),
    ],
)
def test_only_a_list_replaces_members_and_null_where_it_unassigns_them(path, key, nothing):
    def replacing(value):
        return {"op": "replace", "path": path, "value": {key: value} if key else value}

    null_empties = OKTA - {"null_keeps_members"}

    assert after(["a"], replacing(nothing)) == ["a"]
    assert after(["a"], replacing([])) == []
    assert after(["a"], replacing(nothing), policy=null_empties) == []


@pytest.mark.parametrize("more", [{}, {"value": None}])
def test_a_remove_without_a_value_removes_everyone(more):
    assert after(["a", "b"], {"op": "remove", "path": "members", **more}) == []


@pytest.mark.parametrize("value", ["", []])
def test_a_remove_that_names_nobody_removes_nobody(value):
    assert after(["a"], {"op": "remove", "path": "members", "value": value}) == ["a"]


@pytest.mark.parametrize(
    "value",
    [
        7,
        True,
        [7],
        [[]],
        [{}],
        [{"display": "x"}],
        [{"value": ""}],
        [{"value": None}],
        [{"value": 7}],
    ],
)
@pytest.mark.parametrize("op", ["add", "replace", "remove"])
def test_a_value_without_a_member_is_refused(op, value):
    with pytest.raises(InvalidValue, match="members"):
        after(["a"], {"op": op, "path": "members", "value": value})


@pytest.mark.parametrize("id_", ["é", "x" * 257, "x\ny", "\x00"])
def test_an_invalid_member_id_is_refused(id_):
    with pytest.raises(InvalidValue, match="at most 256 ASCII"):
        after([], add(id_))


def test_a_type_that_is_neither_user_nor_group_is_refused():
    with pytest.raises(InvalidValue, match="User or Group"):
        after([], {"op": "add", "path": "members", "value": [{"value": "x", "type": "Device"}]})


@pytest.mark.parametrize("path", ["members.value", 'members[value eq "a"].value', "members.type"])
@pytest.mark.parametrize("op", ["add", "replace", "remove"])
def test_a_part_of_a_member_cannot_be_changed(op, path):
    with pytest.raises(Mutability):
        after(["a"], {"op": op, "path": path, "value": "User"})


def test_a_member_cannot_be_replaced_by_another_in_place():
    with pytest.raises(Mutability):
        after(["a"], {"op": "replace", "path": 'members[value eq "a"]', "value": {"value": "b"}})


def test_a_replace_at_a_filter_that_matches_nobody_has_no_target():
    with pytest.raises(NoTarget):
        after(["a"], {"op": "replace", "path": 'members[value eq "b"]', "value": {"value": "b"}})


def test_ids_are_case_sensitive():
    assert after(["a"], remove("A"), add("B", "b")) == ["B", "a", "b"]


@pytest.mark.parametrize(
    ("filter_", "left"),
    [
        ('type eq "group"', ["a", "b", "c"]),
        ('not (type eq "Group")', ["d", "e"]),
        ('value sw "a" or value eq "e"', ["b", "c", "d"]),
        ('type eq "User" and value eq "a"', ["b", "c", "d", "e"]),
        ("display pr", []),
        ('display co "OF b"', ["a", "c", "d", "e"]),
        ('$ref eq "/Users/a"', ["b", "c", "d", "e"]),
        (f'$ref eq "{BASE}/Groups/e"', ["a", "b", "c", "d"]),
        ('$ref eq "/Groups/a" or $ref eq "https://example.org/Users/a"', IDS),
        (f'$ref sw "{BASE}/Groups"', ["a", "b", "c"]),
        ('$ref sw "https://"', []),
        ('$ref co "v2/Users/"', ["d", "e"]),
        ('$ref co "scim" and $ref ew "v2/Groups/d"', ["a", "b", "c", "e"]),
        (f'$ref gt "{BASE}/Users/a"', ["a", "d", "e"]),
        ('not ($ref lt "https://x")', IDS),
        ("not ($ref pr)", IDS),
    ],
)
def test_members_can_be_removed_by_any_filter(filter_, left):
    assert after(IDS, {"op": "remove", "path": f"members[{filter_}]"}) == left


@pytest.mark.parametrize("filter_", ["value pr", "$ref pr", "display pr", 'type eq "Group"'])
def test_members_added_by_the_same_patch_are_found(filter_):
    found = {"op": "remove", "path": f"members[{filter_}]"}

    assert after([], add("a", "d", "x"), remove("a"), found) == (
        ["x"] if filter_ != "value pr" else []
    )


@pytest.mark.parametrize("value", [[{"value": "a"}, {"value": "d"}], ["a", "d"]])
def test_a_remove_with_filter_and_value_removes_their_intersection(value):
    by_type = {"op": "remove", "path": 'members[type eq "User"]', "value": value}
    by_id = {"op": "remove", "path": 'members[value eq "a" or value eq "b"]', "value": value}

    assert after(IDS, by_type) == after(IDS, by_id) == ["b", "c", "d", "e"]


@pytest.mark.parametrize(("value", "left"), [(None, ["d", "e"]), ("", ["d", "e"]), ([], IDS)])
def test_with_a_filter_only_an_empty_list_removes_nobody(value, left):
    by_type = {"op": "remove", "path": 'members[type eq "User"]', "value": value}

    assert after(IDS, by_type) == left


@pytest.mark.parametrize(
    ("path", "value"),
    [
        ('members[value eq "x"].value', "y"),
        ('members[value eq "x"]', {"value": "y"}),
        ('members[value eq "x"]', [{"value": "x"}, {"value": "y"}]),
        ('members[value eq "x" and type eq "Group"]', {"value": "x", "type": "User"}),
    ],
)
@pytest.mark.parametrize("op", ["add", "replace"])
def test_a_member_that_contradicts_the_filter_of_its_path_is_refused(op, path, value):
    with pytest.raises(InvalidValue, match="contradicts"):
        after(["a"], {"op": op, "path": path, "value": value}, policy=ENTRA)


@pytest.mark.parametrize(
    ("path", "value"),
    [
        ('members[value eq "x"].value', "x"),
        ('members[value eq "x"].type', "group"),
        ('members[value eq "x"]', {"TYPE": "Group"}),
        ('members[value eq "x" and type eq "group"]', [{"value": "x"}]),
        ('members[type eq "Group"]', {"value": "x"}),
    ],
)
def test_the_member_that_a_path_asks_for_in_vain_is_made(path, value):
    assert after(["a"], {"op": "add", "path": path, "value": value}) == ["a", "x"]


@pytest.mark.parametrize(
    "operation",
    [
        {"op": "add", "path": "members", "value": [{"value": "a", "type": "Group"}]},
        {"op": "replace", "path": "members", "value": [{"value": "a", "type": "Group"}]},
        {"op": "add", "value": {"members": [{"value": "a", "type": "Group"}]}},
        {"op": "add", "path": 'members[value eq "a"]', "value": {"value": "a", "type": "Group"}},
        {"op": "replace", "path": 'members[value eq "a"].type', "value": "Group"},
    ],
)
def test_the_type_of_a_member_cannot_be_changed_only_given_again(operation):
    again = json.loads(json.dumps(operation).replace('"Group"', '"USER"'))

    assert after(["a"], again) == ["a"]
    with pytest.raises(Mutability, match=r"members\.type"):
        after(["a"], operation)


def test_searching_a_large_group_over_and_over_is_refused():
    many = [f"x{number}" for number in range(50_000)]
    search = {"op": "remove", "path": 'members[type eq "Group"]'}

    assert after(many, search) == sorted(many)
    with pytest.raises(BodyTooLarge, match="too often"):
        after(many, *[search] * 20)


def test_one_search_of_a_large_group_takes_few_comparisons_with_each_member():
    many = [f"x{number}" for number in range(60_000)]
    few, more = (" or ".join(['type eq "Group"'] * terms) for terms in (3, 30))

    assert after(many, {"op": "remove", "path": f"members[{few}]"}) == sorted(many)
    with pytest.raises(BodyTooLarge, match="too often"):
        after(many, {"op": "remove", "path": f"members[{more}]"})


@pytest.mark.parametrize("operation", ["add", "replace", "remove"])
def test_a_request_names_a_bounded_number_of_members(operation):
    many = [str(number) for number in range(MAX_MEMBERS)]

    def named(members):
        return {"op": operation, "path": "members", "value": members}

    assert after(["a"], named(many), policy=OKTA) is not None
    with pytest.raises(BodyTooLarge, match="more than 250000 members"):
        after(["a"], named([*many, "b"]))


def test_all_operations_together_add_a_bounded_number_of_members():
    half = [[f"{part}-{n}" for n in range(MAX_MEMBERS // 2)] for part in range(3)]
    adds = [{"op": "add", "path": "members", "value": members} for members in half]

    with pytest.raises(BodyTooLarge, match="more than 250000 members"):
        after(["a"], *adds)


def test_without_tolerance_a_remove_takes_no_value():
    policy = OKTA - {"patch_remove_by_value"}

    with pytest.raises(InvalidValue, match="takes no value"):
        after(["a"], {"op": "remove", "path": "members", "value": [{"value": "a"}]}, policy=policy)


def test_the_strict_policy_takes_members_in_their_one_form():
    with pytest.raises(InvalidValue):
        after([], {"op": "add", "path": "members", "value": ["x"]}, policy=STRICT)
    assert after(["a"], add("b"), remove("a"), policy=STRICT) == ["b"]


def test_a_used_tolerance_is_recorded():
    told, membership = [], MemberChanges(Roll([]))

    operation = {"op": "Add", "path": "members", "value": ["x"]}
    patched(GROUP, ATTRIBUTES, patch(operation), Tolerances(OKTA, told.append), membership)

    assert set(told) == {"patch_op_any_case", "values_as_strings"}
