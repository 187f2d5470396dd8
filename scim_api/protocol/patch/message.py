"""PATCH: a PatchOp message and a resource's attributes -> the attributes desired."""

from collections.abc import Callable, Mapping
from typing import Any

from scim_api.protocol.body import names_message
from scim_api.protocol.errors import BodyTooLarge, InvalidSyntax, Mutability
from scim_api.protocol.faults import check_complete
from scim_api.protocol.multi_valued import has_values, with_values
from scim_api.protocol.patch.apply import MEMBERS, Operation, apply, with_value
from scim_api.protocol.patch.members import MemberChanges
from scim_api.protocol.patch.operations import Reader
from scim_api.protocol.policy import Tolerances
from scim_api.protocol.schema.attributes import ResourceType
from scim_api.protocol.values import by_folded_name

PATCH_URN = "urn:ietf:params:scim:api:messages:2.0:PatchOp"
MAX_OPERATIONS = 10_000
MAX_WORK = 500_000  # values looked at, times comparisons for each: about a second

_DEFAULT = Tolerances()

IsCurrent = Callable[[str, Any], bool]  # whether the attribute of a key has that value


def patched(
    resource_type: ResourceType,
    attributes: Mapping[str, Any],
    body: Any,
    tolerances: Tolerances = _DEFAULT,
    members: MemberChanges | None = None,
    is_current: IsCurrent = lambda key, value: value is None,
) -> dict[str, Any]:
    """Return the attributes after a PATCH (RFC 7644 §3.5.2); raises ScimError.

    What is not among the attributes is passed apart: `members` takes the changes of a group's
    members, and `is_current` returns whether a readOnly attribute has a value.
    """
    after, work = dict(attributes), 0
    for operation in Reader(resource_type, tolerances).read(_operations(body, tolerances)):
        key = operation.declared.key
        if operation.read_only:
            _check_unchanged(operation, is_current, tolerances)
        elif members is not None and key == MEMBERS:
            members.change(operation, tolerances)
        else:
            work += operation.work(after.get(key))
            if work > MAX_WORK:
                raise BodyTooLarge(
                    "patch.work", "This PATCH is too much work at once: send it in several."
                )
            after = apply(resource_type, after, operation, tolerances)
    return _completed(resource_type, attributes, after, tolerances)


def _completed(
    resource_type: ResourceType,
    before: Mapping[str, Any],
    after: dict[str, Any],
    tolerances: Tolerances,
) -> dict[str, Any]:
    """Check what the operations, all together, made of each attribute; raises ScimError.

    By policy entries left without a value are removed. A required list without a value in its
    entries is unassigned (RFC 7644 §3.5.2.2).
    """
    get = before.get
    changed = [
        key for key, value in after.items() if (old := get(key)) is not value and old != value
    ]
    for key in changed:
        declared = resource_type.declared[key]
        left = with_values(declared.attribute, after[key], tolerances)
        if left is not after[key]:
            after = with_value(resource_type, after, declared, left)
    still = [key for key in changed if key in after and after[key] != before.get(key)]
    for key in still:
        attribute = resource_type.declared[key].attribute
        if attribute.required and not has_values(attribute, after[key]):
            raise Mutability.required(key)
    for key in still:
        check_complete(resource_type.declared[key], after[key])
    return after


def _check_unchanged(operation: Operation, is_current: IsCurrent, tolerances: Tolerances) -> None:
    """Refuse, by policy, a change of what is readOnly; raises Mutability."""
    given = operation.value
    same = is_current(operation.declared.key, given) if operation.whole else given is None
    if not same and not tolerances.allow("read_only_in_value"):
        raise Mutability.read_only(operation.name)


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
