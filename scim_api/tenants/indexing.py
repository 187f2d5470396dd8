"""Which attributes an operator had indexed: decided and recorded here, then built."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from ledger.contract import Progress
from ledger.events import Metadata
from projections.current.configuration import Settings
from projections.current.indexes import (
    INDEX,
    META,
    RETIRED,
    TIMES,
    definition_of,
    name_of,
    path_of,
    setting_of,
    text_of,
)
from projections.current.stored_indexes import StoredIndexes
from projections.query.joins import is_joined
from projections.query.model import Path, Type
from scim_api.protocol.attribute_names import is_never_returned, valued
from scim_api.protocol.schema.attributes import ResourceType
from scim_api.tenants.catalogue import catalogue_of
from scim_api.tenants.configure import ConfigurationRefused, record
from scim_api.tenants.tenants import Tenant

MOST = 16  # each costs every write of its resource type a look, and some a row


def index(
    tenant: Tenant, names: Sequence[str], type_name: str, metadata: Metadata, progress: Progress
) -> list[str]:
    """Have attributes indexed, and finish what was cut off; return those that were not indexed.

    Raises ConfigurationRefused.
    """
    settings = tenant.settings()
    resource_type = catalogue_of(0, settings.values).by_name[type_name]
    paths = [_indexable(resource_type, name) for name in names]
    effects = {setting_of(type_name, path): definition_of(type_name, path) for path in paths}
    new = [setting for setting in effects if settings.values.get(setting) != effects[setting]]
    if len({*_settings(settings), *effects}) > MOST:
        raise ConfigurationRefused(
            f"no more than {MOST} attributes can be indexed; attribute unindex drops one"
        )
    record(tenant, settings, effects, metadata)
    StoredIndexes(tenant.ledger).build(progress)
    return [name_of(path) for path in paths if setting_of(type_name, path) in new]


def unindex(
    tenant: Tenant, names: Sequence[str], type_name: str, metadata: Metadata, progress: Progress
) -> list[str]:
    """Drop indexes; return the attributes that were indexed."""
    settings = tenant.settings()
    folded = {f"{INDEX}{type_name}:{name}".lower() for name in names}
    gone = [setting for setting in _settings(settings) if setting.lower() in folded]
    record(tenant, settings, dict.fromkeys(gone), metadata)
    StoredIndexes(tenant.ledger).build(progress)
    return [name_of(path_of(text_of(settings.values[setting]))) for setting in gone]


def indexes(tenant: Tenant) -> Iterator[Mapping[str, Any]]:
    """Yield the indexes; one whose attribute is declared otherwise by now is not used."""
    types = tenant.catalogue().by_name
    for found in StoredIndexes(tenant.ledger).every():
        if found.state == RETIRED:
            continue
        name = name_of(found.path)
        declared = types[found.type].find_path(name)
        is_same = declared is not None and declared[0].path(declared[1]) == found.path
        yield {
            "attribute": name,
            "resource_type": found.type,
            "state": found.state if is_same else "declared otherwise",
        }


def _settings(settings: Settings) -> list[str]:
    return [setting for setting in sorted(settings.values) if setting.startswith(INDEX)]


def _indexable(resource_type: ResourceType, name: str) -> Path:
    """Return the path of an attribute; raises ConfigurationRefused if it cannot be indexed."""
    found = resource_type.find_path(name)
    if found is None:
        raise ConfigurationRefused(
            f"{name} is no attribute of a {resource_type.name}. Written like title,"
            " name.familyName, or a URN, a colon and the name; scim-ledger schema list shows what"
            " was added"
        )
    declared, sub = found
    sub = sub or (part if (part := valued(declared.attribute)) is not declared.attribute else None)
    path = declared.path(sub)
    if path.key == META and path.sub in TIMES:
        return path
    if is_never_returned(declared.attribute) or (sub and is_never_returned(sub)):
        raise ConfigurationRefused(f"{name} is never returned, so no filter can use it")
    if path.key in ("id", "externalId", resource_type.name_attribute) and not path.sub:
        raise ConfigurationRefused(f"{name} is always indexed")
    if path.key in (META, "schemas") or is_joined(path):
        raise ConfigurationRefused(f"{name} cannot be indexed")
    if path.type is Type.COMPLEX:
        raise ConfigurationRefused(f"{name} has parts: name one of them, such as name.familyName")
    if path.type is Type.BOOLEAN and path.many:
        raise ConfigurationRefused(f"{name} has two values only, and several of them each")
    return path
