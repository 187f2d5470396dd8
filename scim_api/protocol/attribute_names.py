"""Finds the attribute that a name in a filter, path or sort stands for."""

from projections.query.model import Type
from scim_api.protocol.policy import Tolerances
from scim_api.protocol.schema.attributes import Attribute, AttributeAt, ResourceType, Returned


def find(
    resource_type: ResourceType, name: str, tolerances: Tolerances
) -> tuple[AttributeAt, Attribute | None] | None:
    """Find an attribute in any case (RFC 7644 §3.10), and by policy without its schema's URN."""
    for prefix in ("", *(f"{extension.id}:" for extension in resource_type.extensions)):
        head, _, tail = f"{prefix}{name}".rpartition(".")
        found = resource_type.find_path(prefix + name)
        if found is None and (declared := resource_type.find(head)):
            sub = part_of(declared.attribute, tail, tolerances)
            found = (declared, sub) if sub else None
        if found and (not prefix or tolerances.allow("extension_without_urn")):
            return found
    return None


def part_of(attribute: Attribute, name: str, tolerances: Tolerances) -> Attribute | None:
    """Find a sub-attribute in any case.

    By policy also the `value` of a reference under the name it had in SCIM 1.1, as `managerId`.
    """
    if sub := attribute.subs.get(name.lower()):
        return sub
    if name.lower() != f"{attribute.name}id".lower() or "$ref" not in attribute.subs:
        return None
    return attribute.subs.get("value") if tolerances.allow("manager_id") else None


def unknown_part(resource_type: ResourceType, name: str) -> tuple[str, int, str]:
    """Return what has no such attribute, and the place and text of the part that is unknown.

    Of `name.nick` the attribute `name` lacks `nick`.
    """
    head, _, tail = name.rpartition(".")
    if found := resource_type.find(head):
        return found.attribute.name, len(head) + 1, tail
    urn, _, last = name.rpartition(":")
    schema = resource_type.find_schema(urn) if urn else None
    if urn and schema is None:
        return resource_type.name, 0, name
    return schema.id if schema else resource_type.name, len(name) - len(last), last.split(".")[0]


def valued(attribute: Attribute) -> Attribute:
    """Return what is compared where an attribute is named: `emails` is short for emails.value."""
    if attribute.type is Type.COMPLEX and attribute.multi_valued:
        return attribute.subs.get("value", attribute)
    return attribute


def compared(attribute: Attribute, tolerances: Tolerances) -> Attribute:
    """Return what a filter compares; by policy also of a single reference its value."""
    value = attribute.subs.get("value")
    if value and not attribute.multi_valued and tolerances.allow("reference_as_string"):
        return value
    return valued(attribute)


def is_never_returned(attribute: Attribute) -> bool:
    """Return whether an attribute is never returned, so that nothing may be asked about it."""
    return attribute.returned is Returned.NEVER or attribute.write_only
