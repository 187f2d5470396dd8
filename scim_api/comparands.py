"""What filters, paths and sorts are about: the attribute that a name stands for."""

from projections.query import Type
from scim_api.attributes import Attribute, Declared, Mutability, ResourceType, Returned
from scim_api.policy import Door


def find(
    resource_type: ResourceType, name: str, door: Door
) -> tuple[Declared, Attribute | None] | None:
    """Find an attribute in any case (RFC 7644 §3.10), and by policy without its schema's URN."""
    if found := resource_type.find_path(name):
        return found
    for extension in resource_type.extensions:
        found = resource_type.find_path(f"{extension.id}:{name}")
        if found and door.tolerates("extension_without_urn"):
            return found
    return None


def valued(attribute: Attribute) -> Attribute:
    """Return what is compared where an attribute is named: `emails` is short for emails.value."""
    if attribute.type is Type.COMPLEX and attribute.multi_valued:
        return attribute.subs.get("value", attribute)
    return attribute


def compared(attribute: Attribute, door: Door) -> Attribute:
    """Return what a filter compares; by policy also of a single reference its value."""
    value = attribute.subs.get("value")
    if value and not attribute.multi_valued and door.tolerates("reference_as_string"):
        return value
    return valued(attribute)


def is_secret(*attributes: Attribute) -> bool:
    """Say whether any of these is never returned, so that nothing may be asked about it."""
    return any(
        attribute.returned is Returned.NEVER or attribute.mutability is Mutability.WRITE_ONLY
        for attribute in attributes
    )
