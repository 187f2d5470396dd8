"""What a PUT cannot take away or change."""

from dataclasses import replace

import pytest

from projections.query import Type
from scim_api import replacing
from scim_api.attributes import Attribute, Mutability, Schema
from scim_api.errors import Mutability as MutabilityError
from scim_api.policy import OKTA, STRICT
from scim_api.resource_types import USER

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
BADGE_KEY, HOME_KEY, SEEN_KEY = f"{URN}:badge", f"{URN}:home", f"{URN}:seen"


def replaced(kind, before, desired, policy=OKTA):
    return replacing.replaced(kind, before, desired, policy)


def test_what_is_not_named_goes():
    assert replaced(TYPE, {"userName": "a", "title": "T"}, {"userName": "a"}) == {"userName": "a"}


@pytest.mark.parametrize("key", ["urn:example:gone:2.0:User:badge", SEEN_KEY])
def test_what_no_client_can_write_stays(key):
    assert replaced(TYPE, {key: "x", "title": "T"}, {}) == {key: "x"}
    assert replaced(TYPE, {key: "x"}, {key: "x"}) == {key: "x"}
    with pytest.raises(MutabilityError):
        replaced(TYPE, {key: "x"}, {key: "y"})


@pytest.mark.parametrize(("desired", "active"), [({}, False), ({"active": True}, True)])
def test_active_stays_unless_the_body_names_it(desired, active):
    assert replaced(TYPE, {"active": False}, desired)["active"] is active


def test_an_immutable_part_stays_beside_what_is_given():
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
