"""What one ledger serves: its resource types with the operator's extensions, and its policy."""

import threading
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any

from ledger.contract import LedgerNewer
from projections.current.configuration import Settings
from scim_api.protocol.policy import OKTA, PRESETS, Policy, with_settings
from scim_api.protocol.schema.attributes import Attribute, ResourceType, Schema
from scim_api.protocol.schema.document import SchemaRefused, schema_of
from scim_api.protocol.schema.resource_types import RESOURCE_TYPES, USER

# The paths of settings in SettingsChanged events.
POLICY = "policy"
TOLERANCES = "tolerances"
REQUIRED = "required"
DEFAULT_ROLE = "default_role"
SCHEMA = "schema:"


@dataclass(frozen=True)
class Catalogue:
    """The resource types and rules of one ledger at one version of its settings (0: none made)."""

    version: int = 0
    resource_types: tuple[ResourceType, ...] = RESOURCE_TYPES
    policy: Policy = OKTA
    default_role: Mapping[str, Any] | None = field(default=None)  # a value of `roles`

    @cached_property
    def by_name(self) -> Mapping[str, ResourceType]:
        """The resource types by name."""
        return {resource_type.name: resource_type for resource_type in self.resource_types}


BUILT_IN = Catalogue()


class CatalogueCache:
    """The catalogues of a ledger that a process saw, the newest above all; threads share them."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._seen = BUILT_IN
        self._past = {BUILT_IN.version: BUILT_IN}  # by version: as many as there were changes

    def at(self, version: int, read: Callable[[], Settings]) -> Catalogue:
        """Return the catalogue of this version or a later one; reads settings if it moved."""
        if self._seen.version < version:
            with self._lock:
                if self._seen.version < version:
                    settings = read()
                    self._seen = catalogue_of(settings.version, settings.values)
        return self._seen

    def of(self, settings: Settings) -> Catalogue:
        """Return the catalogue of settings that were in force at some time."""
        version = settings.version
        if version == self._seen.version:
            return self._seen
        if version not in self._past:
            self._past[version] = catalogue_of(version, settings.values)
        return self._past[version]


def catalogue_of(version: int, settings: Mapping[str, Any]) -> Catalogue:
    """Build what a ledger serves from its settings; raises LedgerUnavailable if it cannot be."""
    types = [
        replace(each, extensions=(*each.extensions, *found)) if found else each
        for each in RESOURCE_TYPES
        for found in [extensions_of(each.name, settings)]
    ]
    required = settings.get(REQUIRED, ())
    types = [with_required(each, required) if each.name == USER.name else each for each in types]
    return Catalogue(version, tuple(types), policy_of(settings), settings.get(DEFAULT_ROLE))


def extensions_of(type_name: str, settings: Mapping[str, Any]) -> list[Schema]:
    """Return the schemas that the operator added to a resource type, by URN.

    Raises LedgerUnavailable.
    """
    found = [settings[key] for key in sorted(settings) if key.startswith(SCHEMA)]
    try:
        return [schema_of(each["schema"]) for each in found if each["resourceType"] == type_name]
    except SchemaRefused as error:
        raise _newer(f"{error}.") from None


def policy_of(settings: Mapping[str, Any]) -> Policy:
    """Return the ledger's policy: a preset, changed by the operator's own settings."""
    try:
        return with_settings(preset(settings.get(POLICY, "okta")), settings.get(TOLERANCES, {}))
    except ValueError as error:
        raise _newer(str(error)) from None


def preset(name: str) -> Policy:
    """Return a policy by name; raises LedgerUnavailable for one that this program does not know."""
    if name not in PRESETS:
        raise _newer(f"{name} is no policy.")
    return PRESETS[name]


def with_required(resource_type: ResourceType, names: Iterable[str]) -> ResourceType:
    """Return a resource type in which the attributes of these names are required.

    A sub-attribute makes its attribute required as well. A name that is not declared does nothing.
    """
    wanted: dict[Attribute, set[Attribute]] = {}
    for name in names:
        if found := resource_type.find_path(name):
            subs = wanted.setdefault(found[0].attribute, set())
            subs.update({found[1]} if found[1] else ())
    if not wanted:
        return resource_type
    return replace(
        resource_type,
        schema=_requiring(resource_type.schema, wanted),
        extensions=tuple(_requiring(schema, wanted) for schema in resource_type.extensions),
        common=tuple(_required(attribute, wanted) for attribute in resource_type.common),
    )


def _requiring(schema: Schema, wanted: Mapping[Attribute, set[Attribute]]) -> Schema:
    if wanted.keys().isdisjoint(schema.attributes):
        return schema
    return replace(schema, attributes=tuple(_required(a, wanted) for a in schema.attributes))


def _required(attribute: Attribute, wanted: Mapping[Attribute, set[Attribute]]) -> Attribute:
    if attribute not in wanted:
        return attribute
    subs = tuple(
        replace(sub, required=True) if sub in wanted[attribute] else sub
        for sub in attribute.sub_attributes
    )
    return replace(attribute, required=True, sub_attributes=subs)


def _newer(sentence: str) -> LedgerNewer:
    return LedgerNewer(
        f"the ledger's settings cannot be read: {sentence} A later version of scim-ledger may have"
        " written them",
        reason="settings newer than the program",
    )
