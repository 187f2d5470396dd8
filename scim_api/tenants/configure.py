"""Changes of a ledger's configuration: decided here, recorded by one event each."""

from collections.abc import Mapping, Sequence
from typing import Any

from ledger.contract import Append, LedgerError, Progress, WrongExpectedVersion
from ledger.events import SETTINGS_CHANGED, Event, Metadata
from projections.current.configuration import Settings, stream_of
from projections.current.indexes import INDEX
from projections.current.uniqueness import NotUnique
from scim_api.protocol.discovery import declaration
from scim_api.protocol.policy import PRESETS, with_settings
from scim_api.protocol.schema.attributes import ResourceType, Schema
from scim_api.protocol.schema.document import schema_of
from scim_api.protocol.schema.resource_types import USER
from scim_api.tenants.catalogue import (
    DEFAULT_ROLE,
    POLICY,
    REQUIRED,
    SCHEMA,
    TOLERANCES,
    catalogue_of,
    preset,
)
from scim_api.tenants.schema_impact import (
    check_names,
    losses,
    refuse_contradictions,
    refuse_losses,
)
from scim_api.tenants.tenants import Tenant

MAX_SCHEMAS = 50

Values = Mapping[str, Any]


class ConfigurationRefused(LedgerError):
    """A change of the configuration that is refused."""


class UnknownSchema(ConfigurationRefused):
    """The schema was not added to this ledger."""


def add_schema(
    tenant: Tenant, schema: Schema, type_name: str, metadata: Metadata, progress: Progress
) -> bool:
    """Add a schema to a resource type, or replace the one with the same URN.

    Returns whether anything changed; raises SchemaRefused.
    """
    settings = tenant.settings()
    check_names(schema, catalogue_of(settings.version, settings.values))
    path = SCHEMA + schema.id
    value = {"resourceType": type_name, "schema": declaration(schema)}
    if settings.values.get(path) == value:
        return False
    if path not in settings.values and len(schemas_in(settings.values)) >= MAX_SCHEMAS:
        raise ConfigurationRefused(
            f"there are {MAX_SCHEMAS} schemas already, the most there can be"
        )
    _check(tenant, settings.values, {path: value}, progress)
    return record(tenant, settings, {path: value}, metadata)


def remove_schema(tenant: Tenant, urn: str, metadata: Metadata, progress: Progress) -> None:
    """Remove a schema that an operator added; raises SchemaRefused or UnknownSchema."""
    settings = tenant.settings()
    effects = {SCHEMA + find_schema(settings.values, urn).id: None}
    _check(tenant, settings.values, effects, progress)
    record(tenant, settings, effects, metadata)


def schemas_in(values: Values) -> dict[str, str]:
    """Return the URNs of the schemas that the operator added, and their resource types."""
    return {
        key.removeprefix(SCHEMA): value["resourceType"]
        for key, value in sorted(values.items())
        if key.startswith(SCHEMA)
    }


def find_schema(values: Values, urn: str) -> Schema:
    """Return an added schema by its URN in any case; raises UnknownSchema."""
    for known in schemas_in(values):
        if known.lower() == urn.lower():
            return schema_of(values[SCHEMA + known]["schema"])
    raise UnknownSchema(f"no schema {urn} was added to this ledger; scim-ledger schema list")


def _check(tenant: Tenant, values: Values, effects: Values, progress: Progress) -> None:
    """Refuse a change that contradicts what was recorded or declared; raises LedgerError."""
    for path, new in effects.items():
        if path.startswith(SCHEMA) and (old := values.get(path)):
            stays = new is not None and new["resourceType"] == old["resourceType"]
            lost = losses(schema_of(old["schema"]), schema_of(new["schema"]) if stays else None)
            refuse_losses(tenant.ledger, old["resourceType"], lost, progress)
    changed = {key: value for key, value in {**values, **effects}.items() if value is not None}
    before, after = catalogue_of(0, values).by_name, catalogue_of(0, changed).by_name
    for name in values.get(REQUIRED, ()):
        if after[USER.name].find_path(name) is None:
            raise ConfigurationRefused(
                f"{name} is declared required; first: scim-ledger attribute release {name}"
            )
    for setting in changed:
        if setting.startswith(INDEX):
            type_name, _, name = setting.removeprefix(INDEX).partition(":")
            if after[type_name].find_path(name) is None:
                raise ConfigurationRefused(
                    f"{name} is indexed; first: scim-ledger attribute unindex {name}"
                    f" --resource-type {type_name}"
                )
    with tenant.ledger.reading() as connection:
        for name, new_type in after.items():
            refuse_contradictions(connection, tenant.resources, before[name], new_type, progress)


# Required attributes


def require(
    tenant: Tenant, names: Sequence[str], metadata: Metadata, progress: Progress
) -> list[str]:
    """Declare attributes of users required; return those that were not, as they are declared."""
    settings = tenant.settings()
    user = catalogue_of(0, settings.values).by_name[USER.name]
    wanted = dict(_requirable(user, name) for name in names)
    before: list[str] = settings.values.get(REQUIRED, [])
    new = [name for name, already in wanted.items() if not already and name not in before]
    effects = {REQUIRED: [*before, *new]}
    if new:
        _check(tenant, settings.values, effects, progress)
        record(tenant, settings, effects, metadata)
    return new


def release(tenant: Tenant, names: Sequence[str], metadata: Metadata) -> list[str]:
    """Take back that attributes are required; return those that were, as they are declared."""
    settings = tenant.settings()
    before: list[str] = settings.values.get(REQUIRED, [])
    folded = {name.lower() for name in names}
    gone = [name for name in before if name.lower() in folded]
    left = [name for name in before if name not in gone]
    if gone:
        record(tenant, settings, {REQUIRED: left or None}, metadata)
    return gone


def _requirable(user: ResourceType, name: str) -> tuple[str, bool]:
    """Return an attribute's declared name, and whether it is required already.

    Raises ConfigurationRefused if it cannot be required.
    """
    found = user.find_path(name)
    if found is None:
        raise ConfigurationRefused(
            f"{name} is no attribute of users. Written like userName, name.givenName, or a URN, a"
            " colon and the name; scim-ledger schema list shows what was added"
        )
    declared, sub = found
    if declared.attribute.read_only or (sub and sub.read_only):
        raise ConfigurationRefused(f"{name} is readOnly: no client could supply it")
    if declared.attribute.write_only:
        raise ConfigurationRefused(f"{name} is accepted and dropped, so it cannot be required")
    if sub is None:
        return declared.key, declared.attribute.required
    return f"{declared.key}.{sub.name}", declared.attribute.required and sub.required


# Policy and default role


def set_policy(
    tenant: Tenant, name: str, overrides: Mapping[str, bool], metadata: Metadata
) -> bool:
    """Choose a policy and settings that differ from it; return whether anything changed."""
    if name not in PRESETS:
        raise ConfigurationRefused(f"{name} is no policy; there are {', '.join(PRESETS)}")
    try:
        with_settings(preset(name), overrides)
    except ValueError as error:
        raise ConfigurationRefused(f"{error} scim-ledger policy show lists them") from None
    own = {key: on for key, on in overrides.items() if (key in preset(name)) is not on}
    settings = tenant.settings()
    known = {POLICY: "okta", **settings.values}
    effects = {POLICY: name, TOLERANCES: own or None}
    if all(known.get(path) == value for path, value in effects.items()):
        return False
    return record(tenant, settings, effects, metadata)


def set_default_role(tenant: Tenant, role: Values | None, metadata: Metadata) -> bool:
    """Give created users a role unless they come with one; return whether anything changed."""
    return record(tenant, tenant.settings(), {DEFAULT_ROLE: role}, metadata)


def record(tenant: Tenant, settings: Settings, effects: Values, metadata: Metadata) -> bool:
    """Record what changes of the settings that were read; return whether anything does."""
    changed = {key: new for key, new in effects.items() if settings.values.get(key) != new}
    if not changed:
        return False
    stream = stream_of(tenant.ledger.tenant)
    append = Append(stream, settings.version, [Event(SETTINGS_CHANGED, changed)])
    try:
        tenant.ledger.append([append], metadata)
    except WrongExpectedVersion as race:
        raise ConfigurationRefused(
            "the configuration was changed by another command at the same moment; try again"
        ) from race
    except NotUnique as fault:  # a client wrote since the check
        raise ConfigurationRefused(
            f"{fault.attribute} cannot be unique: the resources with the ids {fault.holder} and"
            f" {fault.claimant} share a value"
        ) from fault
    return True
