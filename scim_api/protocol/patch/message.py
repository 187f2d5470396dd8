"""PATCH: a PatchOp message and a resource's attributes -> the attributes desired."""

from collections.abc import Mapping
from typing import Any

from scim_api.protocol.body import names_message
from scim_api.protocol.errors import BodyTooLarge, InvalidSyntax
from scim_api.protocol.faults import check_complete
from scim_api.protocol.patch.apply import IsCurrent, Members, apply
from scim_api.protocol.patch.operations import Reader
from scim_api.protocol.policy import Tolerances
from scim_api.protocol.schema.attributes import ResourceType
from scim_api.protocol.values import by_folded_name

PATCH_URN = "urn:ietf:params:scim:api:messages:2.0:PatchOp"
MAX_OPERATIONS = 10_000

_DEFAULT = Tolerances()


def patched(
    resource_type: ResourceType,
    attributes: Mapping[str, Any],
    body: Any,
    tolerances: Tolerances = _DEFAULT,
    members: Members | None = None,
    is_current: IsCurrent = lambda key, value: value is None,
) -> dict[str, Any]:
    """Return the attributes after a PATCH (RFC 7644 §3.5.2); see apply. Raises ScimError."""
    operations = Reader(resource_type, tolerances).read(_operations(body, tolerances))
    after = apply(resource_type, attributes, operations, tolerances, members, is_current)
    for key, value in after.items():
        if value != attributes.get(key):
            check_complete(resource_type.declared[key], value)
    return after


def _operations(body: Any, tolerances: Tolerances) -> list[Any]:
    """Return the operations of a PatchOp message, not yet looked at."""
    if not isinstance(body, dict):
        raise InvalidSyntax(
            "patch.body", "The body must be a JSON object with schemas and Operations."
        )
    message = by_folded_name(body)
    if not names_message(message.get("schemas"), PATCH_URN, tolerances):
        raise InvalidSyntax("patch.schemas", 'schemas must contain "{urn}"', urn=PATCH_URN)
    operations = message.get("operations")
    if not isinstance(operations, list):
        raise InvalidSyntax(
            "patch.operations", "Operations must be a list of at least one operation"
        )
    if not operations and not tolerances.allow("patch_without_operations"):
        raise InvalidSyntax(
            "patch.empty", "Operations is empty: it must hold at least one operation"
        )
    if len(operations) > MAX_OPERATIONS:
        raise BodyTooLarge(
            "patch.too_many",
            "More than {most} Operations: send them in several requests.",
            most=MAX_OPERATIONS,
        )
    return operations
