"""The resource types served: each SCIM attribute declared once, with its characteristics."""

from dataclasses import replace

from projections.kinds import ResourceKind
from projections.query.model import Type
from projections.state import STANDING
from scim_api.protocol.schema.attributes import (
    Attribute,
    Mutability,
    ResourceType,
    Returned,
    Schema,
)
from scim_api.protocol.schema.user import ENTERPRISE_SCHEMA, USER_SCHEMA
from scim_api.protocol.schema.user import ENTERPRISE_URN as ENTERPRISE_URN
from scim_api.protocol.schema.user import USER_URN as USER_URN

GROUP_URN = "urn:ietf:params:scim:schemas:core:2.0:Group"
ROLE_URN = "urn:okta:scim:schemas:core:1.0:Role"
ENTITLEMENT_URN = "urn:okta:scim:schemas:core:1.0:Entitlement"


COMMON = (  # RFC 7643 §3.1
    Attribute(
        "schemas",
        "The URNs of the schemas the resource uses.",
        Type.REFERENCE,
        multi_valued=True,
        required=True,
        case_exact=True,
        returned=Returned.ALWAYS,
        reference_types=("uri",),
    ),
    Attribute(
        "id",
        "The identifier this service gave the resource.",
        case_exact=True,
        mutability=Mutability.READ_ONLY,
        returned=Returned.ALWAYS,
        uniqueness="server",
    ),
    Attribute("externalId", "The identifier the client gave the resource.", case_exact=True),
    Attribute(
        "meta",
        "What the service knows about the resource.",
        Type.COMPLEX,
        mutability=Mutability.READ_ONLY,
        sub_attributes=tuple(
            replace(sub, case_exact=True, mutability=Mutability.READ_ONLY)
            for sub in (
                Attribute("resourceType", "The name of the resource type."),
                Attribute("created", "When the resource was created.", Type.DATE_TIME),
                Attribute("lastModified", "When the resource last changed.", Type.DATE_TIME),
                Attribute("version", "The version, as in the ETag header."),
                Attribute("location", "The URI of the resource.", Type.REFERENCE),
            )
        ),
    ),
)

_MEMBERS = Attribute(
    "members",
    "The members of the group; each change of one is an event of its own.",
    Type.COMPLEX,
    multi_valued=True,
    sub_attributes=(
        Attribute(
            "value",
            "The id of the member.",
            required=True,
            case_exact=True,
            mutability=Mutability.IMMUTABLE,
        ),
        Attribute(
            "$ref",
            "The URI of the member.",
            Type.REFERENCE,
            case_exact=True,
            mutability=Mutability.IMMUTABLE,
            reference_types=("User", "Group"),
        ),
        Attribute(
            "type",
            "What the member is.",
            mutability=Mutability.IMMUTABLE,
            canonical_values=("User", "Group"),
        ),
        Attribute(  # what a client reads back is what it wrote, unless it asks for more
            "display",
            "The member's name.",
            mutability=Mutability.READ_ONLY,
            returned=Returned.REQUEST,
        ),
    ),
)

_GROUP_NAME = Attribute(
    "displayName",
    "The group's name; unique, whatever its case.",
    required=True,
    uniqueness="server",
)

GROUP_SCHEMA = Schema(GROUP_URN, "Group", "A group of users.", (_GROUP_NAME, _MEMBERS))


def _grantable(name: str) -> tuple[Attribute, ...]:
    """Declare what Okta's entitlement management reads of a role or an entitlement."""
    return (
        Attribute(
            "displayName",
            f"The {name}'s name; unique, whatever its case.",
            required=True,
            uniqueness="server",
        ),
        Attribute("type", f"The kind of {name}."),
        Attribute("description", f"What the {name} allows; Okta shows 1000 characters."),
    )


ROLE_SCHEMA = Schema(ROLE_URN, "Role", "A role that users can have.", _grantable("role"))
ENTITLEMENT_SCHEMA = Schema(
    ENTITLEMENT_URN,
    "Entitlement",
    "Something that users can be entitled to.",
    _grantable("entitlement"),
)

USER = ResourceType(
    "User",
    "/Users",
    "User accounts.",
    USER_SCHEMA,
    (ENTERPRISE_SCHEMA,),
    COMMON,
    name_attribute="userName",
    defaults=STANDING["User"],
)
GROUP = ResourceType("Group", "/Groups", "Groups.", GROUP_SCHEMA, (), COMMON)
ROLE = ResourceType("Role", "/Roles", "Roles that users can have.", ROLE_SCHEMA, (), COMMON)
ENTITLEMENT = ResourceType(
    "Entitlement",
    "/Entitlements",
    "What users can be entitled to.",
    ENTITLEMENT_SCHEMA,
    (),
    COMMON,
    defaults={"type": "Entitlement"},  # as Okta's entitlement management has it
)

RESOURCE_TYPES = (USER, GROUP, ROLE, ENTITLEMENT)
BUILT_IN_URNS = frozenset(
    schema.id for each in RESOURCE_TYPES for schema in (each.schema, *each.extensions)
)


def kind_of(resource_type: ResourceType) -> ResourceKind:
    """Return what the projection knows of a resource type, with or without extensions."""
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
