"""A ledger's catalogue follows its settings, and is rebuilt only when they change."""

import pytest

from ledger.contract import LedgerUnavailable
from projections.current.configuration import Settings
from scim_api.protocol.policy import ENTRA, STRICT, with_settings
from scim_api.protocol.schema.resource_types import RESOURCE_TYPES
from scim_api.tenants.catalogue import BUILT_IN, CatalogueCache, catalogue_of
from tests.scim_api.schemas_of_operators import BADGE, BADGE_URN, setting


def counted(settings):
    """Return a reader of settings, and the list that grows with each reading."""
    readings = []

    def read():
        readings.append(settings)
        return settings

    return read, readings


def test_without_settings_everything_is_built_in():
    assert catalogue_of(0, {}) == BUILT_IN


def test_settings_without_schemas_share_the_built_in_resource_types():
    assert catalogue_of(3, {"policy": "entra"}).resource_types is not None
    pairs = zip(catalogue_of(3, {"policy": "entra"}).resource_types, RESOURCE_TYPES, strict=True)
    assert all(mine is built_in for mine, built_in in pairs)


def test_a_schema_extends_its_resource_type_and_no_other():
    catalogue = catalogue_of(1, setting(BADGE, "Group"))

    assert catalogue.by_name["Group"].find(f"{BADGE_URN}:shoeSize")
    assert catalogue.by_name["User"].find(f"{BADGE_URN}:shoeSize") is None


def test_the_policy_is_a_preset_with_the_operators_own_settings():
    settings = {"policy": "entra", "tolerances": {"adopt": True}}

    assert catalogue_of(1, settings).policy == with_settings(ENTRA, {"adopt": True})
    assert catalogue_of(1, {"policy": "strict"}).policy == STRICT


@pytest.mark.parametrize(
    "settings",
    [
        {"policy": "later"},
        {"tolerances": {"later": True}},
        {"schema:urn:x:y": {"resourceType": "User", "schema": {"id": "urn:x:y", "later": 1}}},
    ],
    ids=str,
)
def test_settings_of_a_later_program_make_the_ledger_unavailable(settings):
    with pytest.raises(LedgerUnavailable, match="later"):
        catalogue_of(1, settings)


def test_a_required_sub_attribute_makes_its_attribute_required():
    user = catalogue_of(1, {"required": ["name.givenName"]}).by_name["User"]

    declared, sub = user.find_path("name.givenName")
    assert declared.attribute.required
    assert sub.required
    assert not user.find_path("name.familyName")[1].required


def test_an_attribute_of_an_extension_can_be_required():
    settings = {**setting(BADGE), "required": [f"{BADGE_URN}:shoeSize"]}

    user = catalogue_of(1, settings).by_name["User"]

    assert user.find(f"{BADGE_URN}:shoeSize").attribute.required


def test_settings_are_not_read_before_they_moved():
    read, readings = counted(Settings(1, {}))

    assert CatalogueCache().at(0, read) is BUILT_IN
    assert readings == []


def test_settings_are_read_once_when_they_moved():
    read, readings = counted(Settings(1, {"policy": "strict"}))
    newest = CatalogueCache()

    assert newest.at(1, read).policy == STRICT
    assert newest.at(1, read) is newest.at(1, read)
    assert len(readings) == 1


def test_what_was_seen_later_stays():
    newest = CatalogueCache()
    newest.at(5, lambda: Settings(5, {"policy": "strict"}))

    assert newest.at(4, lambda: Settings(4, {})).version == 5
