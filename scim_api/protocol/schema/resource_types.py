"""The resource types served: their schemas are the JSON files next to this module."""

from dataclasses import replace
from importlib import resources

from projections.kinds import ResourceKind
from projections.state import STANDING
from scim_api.protocol.schema.attributes import ResourceType, Schema
from scim_api.protocol.schema.document import read_schema

USER_URN = "urn:ietf:params:scim:schemas:core:2.0:User"
ENTERPRISE_URN = "urn:ietf:params:scim:schemas:extension:enterprise:2.0:User"
GROUP_URN = "urn:ietf:params:scim:schemas:core:2.0:Group"
ROLE_URN = "urn:okta:scim:schemas:core:1.0:Role"
ENTITLEMENT_URN = "urn:okta:scim:schemas:core:1.0:Entitlement"


def _schema(name: str) -> Schema:
    return read_schema(resources.files(__package__).joinpath(f"{name}.json").read_bytes())


# RFC 7643 §3.1; their parts are compared exactly, parts of times as well.
COMMON = tuple(
    replace(each, sub_attributes=tuple(replace(sub, case_exact=True) for sub in each.subs.values()))
    for each in _schema("common").attributes
)
USER = ResourceType(
    "User",
    "/Users",
    "User accounts.",
    _schema("user"),  # RFC 7643 §4.1
    (_schema("enterprise_user"),),  # RFC 7643 §4.3
    COMMON,
    name_attribute="userName",
    defaults=STANDING["User"],
)
GROUP = ResourceType("Group", "/Groups", "Groups.", _schema("group"), (), COMMON)
# What Okta's entitlement management reads.
ROLE = ResourceType("Role", "/Roles", "Roles that users can have.", _schema("role"), (), COMMON)
ENTITLEMENT = ResourceType(
    "Entitlement",
    "/Entitlements",
    "What users can be entitled to.",
    _schema("entitlement"),
    (),
    COMMON,
    defaults={"type": "Entitlement"},  # as Okta has it
)

RESOURCE_TYPES = (USER, GROUP, ROLE, ENTITLEMENT)
BUILT_IN_URNS = frozenset(
    schema.id for each in RESOURCE_TYPES for schema in (each.schema, *each.extensions)
)


def kind_of(resource_type: ResourceType) -> ResourceKind:
    """Return the ResourceKind of a resource type, with or without extensions."""
    return KINDS[resource_type.name]


def _kind_of(resource_type: ResourceType) -> ResourceKind:
    return ResourceKind(
        resource_type.name,
        resource_type.schema.id,
        resource_type.endpoint,
        resource_type.name_attribute,
        next((name for name in ("members", "groups") if name in resource_type.declared), None),
    )


KINDS = {resource_type.name: _kind_of(resource_type) for resource_type in RESOURCE_TYPES}
