"""Values that a PUT cannot remove or change."""

from dataclasses import replace

import pytest

from projections.query.model import Type
from scim_api.protocol import put
from scim_api.protocol.errors import Mutability as MutabilityError
from scim_api.protocol.policy import OKTA, STRICT, Tolerances
from scim_api.protocol.schema.attributes import Attribute, Mutability, Returned, Schema
from scim_api.protocol.schema.resource_types import USER

URN = "urn:example:scim:2.0:User"
BADGE = Attribute(
    "badge",
    "The card.",
    Type.COMPLEX,
    sub_attributes=(
        Attribute("number", "Printed on it.", Type.INTEGER, mutability=Mutability.IMMUTABLE),
        Attribute("hint", "A word."),
    ),
)
HOME = Attribute(
    "home",
    "Where it all began.",
    Type.COMPLEX,
    mutability=Mutability.IMMUTABLE,
    sub_attributes=(Attribute("street", "The street."), Attribute("town", "The town.")),
)
SEEN = Attribute("seen", "When last seen.", mutability=Mutability.READ_ONLY)
TYPE = replace(USER, extensions=(Schema(URN, "Badge", "Badges.", (BADGE, HOME, SEEN)),))
KEYS = replace(
    BADGE,
    name="keys",
    multi_valued=True,
    sub_attributes=(*BADGE.sub_attributes, Attribute("value", "")),
)
KEYED = replace(USER, extensions=(Schema(URN, "Keys", "Keys.", (KEYS,)),))
KEYS_KEY = f"{URN}:keys"
BADGE_KEY, HOME_KEY, SEEN_KEY = f"{URN}:badge", f"{URN}:home", f"{URN}:seen"


def replaced(kind, before, desired, policy=OKTA):
    return put.replaced(kind, before, desired, Tolerances(policy))


def test_unnamed_attributes_are_removed():
    assert replaced(TYPE, {"userName": "a", "title": "T"}, {"userName": "a"}) == {"userName": "a"}


@pytest.mark.parametrize("key", ["urn:example:gone:2.0:User:badge", SEEN_KEY])
def test_read_only_attributes_stay(key):
    assert replaced(TYPE, {key: "x", "title": "T"}, {}) == {key: "x"}
    assert replaced(TYPE, {key: "x"}, {key: "x"}) == {key: "x"}
    with pytest.raises(MutabilityError):
        replaced(TYPE, {key: "x"}, {key: "y"})


@pytest.mark.parametrize(("desired", "active"), [({}, False), ({"active": True}, True)])
def test_active_stays_unless_the_body_names_it(desired, active):
    assert replaced(TYPE, {"active": False}, desired)["active"] is active


def test_an_immutable_part_stays_when_other_parts_are_given():
    before = {BADGE_KEY: {"number": 7, "hint": "old"}}

    assert replaced(TYPE, before, {BADGE_KEY: {"hint": "new"}}) == {
        BADGE_KEY: {"number": 7, "hint": "new"}
    }
    assert replaced(TYPE, before, {}) == {BADGE_KEY: {"number": 7}}


def test_an_immutable_part_cannot_be_given_another_value():
    with pytest.raises(MutabilityError, match=r"badge\.number is immutable"):
        replaced(TYPE, {BADGE_KEY: {"number": 7}}, {BADGE_KEY: {"number": 8}})


def test_an_immutable_part_can_be_set_once():
    assert replaced(TYPE, {BADGE_KEY: {"hint": "x"}}, {BADGE_KEY: {"number": 8}}) == {
        BADGE_KEY: {"number": 8}
    }


def test_of_an_immutable_object_no_part_can_be_added():
    with pytest.raises(MutabilityError, match="home is immutable"):
        replaced(TYPE, {HOME_KEY: {"town": "A"}}, {HOME_KEY: {"town": "A", "street": "B"}})


def test_an_immutable_object_stays_where_it_is_not_named():
    assert replaced(TYPE, {HOME_KEY: {"town": "A"}}, {}) == {HOME_KEY: {"town": "A"}}


def test_of_a_list_the_immutable_parts_of_the_values_that_stay_do_not_change():
    before = {KEYS_KEY: [{"value": "a", "number": 1}, {"value": "b"}]}

    def sent(*values):
        return replaced(KEYED, before, {KEYS_KEY: list(values)})[KEYS_KEY]

    with pytest.raises(MutabilityError, match=r"keys\.number is immutable"):
        sent({"value": "a", "number": 2})
    assert sent({"value": "b", "number": 2}, {"value": "a"}) == [
        {"value": "b", "number": 2},
        {"value": "a", "number": 1},
    ]
    assert sent({"value": "c", "number": 2}) == [{"value": "c", "number": 2}]
    assert replaced(KEYED, before, {}) == {}


# What a GET does not show


def unshown(name, returned=Returned.NEVER):
    return Attribute(name, "Not shown.", returned=returned)


SAFE = Attribute(
    "safe",
    "A safe.",
    Type.COMPLEX,
    sub_attributes=(Attribute("town", "Where."), unshown("pin"), unshown("q", Returned.REQUEST)),
)
DOORS = Attribute(
    "doors",
    "The doors.",
    Type.COMPLEX,
    multi_valued=True,
    sub_attributes=(
        *(Attribute(name, "Shown.") for name in ("value", "type", "note")),
        unshown("pin"),
    ),
)
RIDDLE, SALARY = unshown("riddle"), unshown("salary", Returned.REQUEST)
HIDING = replace(USER, extensions=(Schema(URN, "Safe", "Safes.", (SAFE, DOORS, RIDDLE, SALARY)),))
SAFE_KEY, DOORS_KEY = f"{URN}:safe", f"{URN}:doors"


@pytest.mark.parametrize("policy", [OKTA, STRICT])
@pytest.mark.parametrize(
    ("before", "sent", "after"),
    [
        ({f"{URN}:riddle": "r"}, {}, {f"{URN}:riddle": "r"}),
        ({f"{URN}:salary": "1"}, {}, {f"{URN}:salary": "1"}),
        ({f"{URN}:salary": "1"}, {f"{URN}:salary": "2"}, {f"{URN}:salary": "2"}),
        ({SAFE_KEY: {"pin": 1, "q": 2}}, {}, {SAFE_KEY: {"pin": 1, "q": 2}}),
        ({SAFE_KEY: {"town": "A", "pin": 1}}, {}, {}),
        (
            {SAFE_KEY: {"town": "A", "pin": 1, "q": 2}},
            {SAFE_KEY: {"town": "B", "q": 3}},
            {SAFE_KEY: {"town": "B", "pin": 1, "q": 3}},
        ),
        (
            {DOORS_KEY: [{"value": "a", "note": "n", "pin": 1}, {"value": "b", "pin": 2}]},
            {DOORS_KEY: [{"value": "c"}, {"value": "a"}]},
            {DOORS_KEY: [{"value": "c"}, {"value": "a", "pin": 1}]},
        ),
        (
            {DOORS_KEY: [{"note": "n", "pin": 1}]},
            {DOORS_KEY: [{"note": "n"}]},
            {DOORS_KEY: [{"note": "n", "pin": 1}]},
        ),
        (
            {DOORS_KEY: [{"value": "a", "pin": 1}]},
            {DOORS_KEY: [{"value": "a", "type": "x"}]},
            {DOORS_KEY: [{"value": "a", "type": "x"}]},
        ),
        ({DOORS_KEY: [{"value": "a", "pin": 1}]}, {}, {}),
    ],
    ids=str,
)
def test_hidden_parts_stay_if_the_shown_ones_do(policy, before, sent, after):
    assert replaced(HIDING, before, sent, policy) == after


WORK, NOTHING = {"value": "a@example.com"}, {"type": "work", "primary": True}


@pytest.mark.parametrize(
    ("before", "desired"),
    [([WORK, NOTHING], [WORK]), ([NOTHING], None), ([WORK], [WORK]), ([NOTHING, WORK], [WORK])],
)
def test_entries_that_count_as_none_stay_where_nothing_else_changes(before, desired):
    given = {"emails": desired} if desired else {}

    assert replaced(TYPE, {"emails": before}, given) == {"emails": before}
    assert replaced(TYPE, {"emails": before}, given, STRICT) == given


def test_entries_that_count_as_none_go_where_others_change():
    other = {"value": "b@example.com"}

    assert replaced(TYPE, {"emails": [WORK, NOTHING]}, {"emails": [other]}) == {"emails": [other]}
    assert replaced(TYPE, {"emails": [WORK, NOTHING]}, {}) == {}
