"""Changes of schemas orphan no recorded data and promise nothing that is untrue."""

import pytest

from ledger import clock
from ledger.contract import LedgerError
from scim_api.protocol.schema.document import SchemaRefused
from scim_api.protocol.schema.resource_types import ENTERPRISE_URN, ENTITLEMENT_URN, USER_URN
from scim_api.tenants import configure
from tests.scim_api.client import user
from tests.scim_api.schemas_of_operators import (
    BADGE,
    BADGE_URN,
    add_schema,
    changed,
    opened,
    require,
    setting,
)

EVERYTHING = {
    "badge": {"number": 7, "colour": "red"},
    "nicknames": ["J"],
    "shoeSize": 42,
    "mark": "m",
}


@pytest.fixture
def recorded(api):
    """Return the data directory of a ledger that has the schema, and a user with much of it."""
    add_schema(api.site)
    response = api.post(user() | {BADGE_URN: EVERYTHING})
    assert response.status_code == 201
    return api.site


def attribute(name, **characteristics):
    [found] = [each for each in BADGE["attributes"] if each["name"] == name]
    return {name: found | characteristics}


def badge(*subs):
    return {"badge": {"name": "badge", "type": "complex", "subAttributes": list(subs)}}


NUMBER, COLOUR = {"name": "number", "type": "integer"}, {"name": "colour"}

LOSING = {
    "removed": ({"shoeSize": None}, "shoeSize would be gone"),
    "type": (attribute("shoeSize", type="string"), "its type from integer to string"),
    "several": (attribute("shoeSize", multiValued=True), "shoeSize would take several values"),
    "one": (attribute("nicknames", multiValued=False), "nicknames would take one value"),
    "spelling": (
        {"shoeSize": None, "ShoeSize": {"name": "ShoeSize", "type": "integer"}},
        "shoeSize would be spelled ShoeSize",
    ),
    "dropped": (
        attribute("mark", mutability="writeOnly", returned="never"),
        "mark would be writeOnly",
    ),
    "part removed": (badge(NUMBER), "badge.colour would be gone"),
    "part's type": (badge(NUMBER | {"type": "string"}, COLOUR), "badge.number would change"),
}


@pytest.mark.parametrize(("attributes", "sentence"), LOSING.values(), ids=LOSING)
def test_a_change_that_would_orphan_recorded_data_is_refused(recorded, attributes, sentence):
    with pytest.raises(SchemaRefused) as raised:
        add_schema(recorded, changed(BADGE, attributes))

    assert sentence in str(raised.value)
    assert "1 event has recorded it, the first at position 4" in str(raised.value)


KEEPING = {
    "more": {"desk": {"name": "desk"}},
    "unused": {"salary": None},
    "unused type": attribute("salary", type="string"),
    "unused part": badge(NUMBER, COLOUR),
    "case": attribute("mark", caseExact=False),
    "returned": attribute("shoeSize", returned="request"),
    "immutable": attribute("shoeSize", mutability="immutable"),
    "words": attribute("shoeSize", description="In Europe."),
    "unique": attribute("mark", uniqueness="server"),
    "required": attribute("shoeSize", required=True),
}


@pytest.mark.parametrize("attributes", KEEPING.values(), ids=KEEPING)
def test_a_change_that_loses_nothing_is_made(recorded, attributes):
    assert add_schema(recorded, changed(BADGE, attributes)) is True


def test_deleted_resources_count_as_recorded_data(api):
    add_schema(api.site)
    created = api.post(user() | {BADGE_URN: {"shoeSize": 42}}).json
    api.delete(created)

    with pytest.raises(SchemaRefused, match="1 event has recorded it"):
        add_schema(api.site, changed(BADGE, {"shoeSize": None}))


def test_every_event_is_counted(recorded, api):
    for size in (43, 44):
        created = api.post(user(f"{size}@example.com") | {BADGE_URN: {"shoeSize": size}})
        assert created.status_code == 201

    with pytest.raises(SchemaRefused, match="3 events have recorded it, the first at position 4"):
        add_schema(recorded, changed(BADGE, {"shoeSize": None}))


def test_a_schema_with_recorded_data_cannot_be_removed(recorded):
    with (
        opened(recorded) as (tenant, metadata),
        pytest.raises(SchemaRefused, match="would be gone"),
    ):
        configure.remove_schema(tenant, BADGE_URN, metadata, lambda done, total: None)


def test_a_schema_with_recorded_data_cannot_move_to_another_resource_type(recorded):
    with pytest.raises(SchemaRefused, match="would be gone"):
        add_schema(recorded, resource_type="Group")


def test_a_refused_change_is_not_recorded(recorded):
    before = len(recorded.events())

    with pytest.raises(SchemaRefused):
        add_schema(recorded, changed(BADGE, {"shoeSize": None}))

    assert len(recorded.events()) == before


def test_the_same_schema_again_records_nothing(recorded):
    before = len(recorded.events())

    assert add_schema(recorded) is False
    assert len(recorded.events()) == before


def test_a_schema_that_uses_a_required_attribute_must_keep_it(recorded):
    require(recorded, f"{BADGE_URN}:shoeSize")

    with opened(recorded) as (tenant, metadata), pytest.raises(LedgerError) as raised:
        configure.remove_schema(tenant, BADGE_URN, metadata, lambda done, total: None)

    assert "shoeSize" in str(raised.value)


# What is newly required or unique


def test_an_attribute_that_a_user_lacks_cannot_be_required(recorded):
    with pytest.raises(SchemaRefused) as raised:
        require(recorded, "emails", "name.givenName")

    assert "emails cannot be required yet: resources without it: 1" in str(raised.value)
    assert "name cannot be required yet" in str(raised.value)


@pytest.mark.parametrize(
    ("path", "attributes"),
    [
        ("emails", {"emails": [{"type": "work", "primary": True}, {"value": " "}]}),
        ("name", {"name": {"formatted": ""}}),
        ("title", {"title": " "}),
        ("name.givenName", {"name": {"givenName": "", "familyName": "D"}}),
    ],
)
def test_an_attribute_without_a_value_cannot_be_required(api, path, attributes):
    api.token = api.site.issue(api.ledger, policy="strict").token
    api.create(**attributes)

    with pytest.raises(SchemaRefused, match="cannot be required yet: resources without it"):
        require(api.site, path)


def test_a_schema_cannot_require_an_attribute_that_a_user_lacks(recorded):
    with pytest.raises(SchemaRefused, match="salary cannot be required yet"):
        add_schema(recorded, changed(BADGE, attribute("salary", required=True)))


def test_a_part_that_a_value_lacks_cannot_be_required(recorded):
    pin = {"name": "pin", "required": True}

    with pytest.raises(SchemaRefused, match=r"badge\.pin cannot be required yet"):
        add_schema(recorded, changed(BADGE, badge(NUMBER, COLOUR, pin)))


def test_a_shared_value_cannot_be_made_unique(recorded, api):
    api.post(user("two@example.com") | {BADGE_URN: {"mark": "M"}})

    assert add_schema(recorded, changed(BADGE, attribute("mark", uniqueness="server"))) is True
    with pytest.raises(SchemaRefused, match="mark cannot be unique"):
        add_schema(
            recorded, changed(BADGE, attribute("mark", uniqueness="server", caseExact=False))
        )


# Names that could mean two things


@pytest.mark.parametrize(
    "urn",
    [
        USER_URN,
        ENTERPRISE_URN.upper().replace("URN:", "urn:"),
        ENTITLEMENT_URN,
        "urn:ietf:params:scim:api:messages:2.0:PatchOp",
        "urn:ietf:params:scim:schemas:core:2.0:Schema",
    ],
)
def test_a_built_in_schema_cannot_be_declared_again(api, urn):
    with pytest.raises(SchemaRefused, match="is built in"):
        add_schema(api.site, BADGE | {"id": urn})


@pytest.mark.parametrize(
    "urn",
    [
        f"{ENTERPRISE_URN}:department",
        f"{ENTERPRISE_URN}:Manager.value",
        f"{BADGE_URN}:shoeSize",
        f"{BADGE_URN}:badge.colour",
    ],
)
def test_a_urn_that_is_an_attributes_full_name_is_refused(recorded, urn):
    with pytest.raises(SchemaRefused, match="also the full name of an attribute"):
        add_schema(recorded, BADGE | {"id": urn})


def test_an_attribute_whose_full_name_is_a_urn_is_refused(recorded):
    urn, _, name = BADGE_URN.rpartition(":")

    with pytest.raises(SchemaRefused, match="and a schema's URN"):
        add_schema(recorded, {"id": urn, "name": "x", "attributes": [{"name": name}]})


def test_a_urn_that_differs_in_case_only_is_refused(recorded):
    with pytest.raises(SchemaRefused, match="upper and lower case only"):
        add_schema(recorded, BADGE | {"id": BADGE_URN.replace("User", "user")})


# Two at once


def test_of_two_changes_decided_at_once_one_is_refused(api):
    with opened(api.site) as (tenant, metadata):
        settings = tenant.settings()
        configure.record(tenant, settings, {"policy": "entra"}, metadata)

        with pytest.raises(LedgerError, match="at the same moment"):
            configure.record(tenant, settings, {"policy": "strict"}, metadata)

        assert tenant.settings().values == {"policy": "entra"}


def test_a_value_that_was_doubled_since_the_check_is_refused_by_the_append(recorded, api):
    api.post(user("two@example.com") | {BADGE_URN: {"mark": "m"}})
    unique = setting(changed(BADGE, attribute("mark", uniqueness="server")))

    with opened(recorded) as (tenant, metadata), pytest.raises(LedgerError, match="share a value"):
        configure.record(tenant, tenant.settings(), unique, metadata)


def test_the_change_is_one_event_of_the_settings_stream(api):
    started = clock.timestamp()

    add_schema(api.site)

    last = api.site.events()[-1]
    assert (last.type, last.stream.partition("-")[0], last.version) == (
        "SettingsChanged",
        "Settings",
        1,
    )
    assert last.at >= started
    assert list(last.effects) == [f"schema:{BADGE_URN}"]
