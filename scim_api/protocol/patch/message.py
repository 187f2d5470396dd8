"""PATCH: (attributes, operations) -> the attributes desired (RFC 7644 §3.5.2)."""

from collections.abc import Callable, Mapping
from typing import Any

from scim_api.protocol.body import has_values, names_message, with_values
from scim_api.protocol.errors import BodyTooLarge, InvalidSyntax
from scim_api.protocol.fields import check_value
from scim_api.protocol.patch.apply import Edit, edited, immutable, read_only, required
from scim_api.protocol.patch.members import MEMBERS, Membership
from scim_api.protocol.patch.operations import Paths, by_folded_name, edits_of, known_operations
from scim_api.protocol.policy import Tolerances
from scim_api.protocol.put import stands
from scim_api.protocol.schema.attributes import Declared, Mutability, ResourceType

PATCH_URN = "urn:ietf:params:scim:api:messages:2.0:PatchOp"
MAX_OPERATIONS = 10_000
MAX_WORK = 500_000  # values looked at, times comparisons for each: about a second

_DEFAULT = Tolerances()

IsCurrent = Callable[[str, Any], bool]  # whether the attribute of a key has that value


def apply(
    resource_type: ResourceType,
    attributes: Mapping[str, Any],
    body: Any,
    tolerances: Tolerances = _DEFAULT,
    members: Membership | None = None,
    is_current: IsCurrent = lambda key, value: value is None,
) -> dict[str, Any]:
    """Return the attributes after all operations; if one raises ScimError, none is applied.

    What happens to a group's members is told to `members`: they are not among the attributes.
    Nor is what is readOnly: `is_current` returns whether a value is the one that an attribute has.
    """
    after, work, paths = dict(attributes), 0, Paths(resource_type, tolerances)
    for operation in known_operations(paths, _operations(body, tolerances)):
        for edit in edits_of(paths, operation):
            if edit.read_only:
                _check_unchanged(edit, is_current, tolerances)
                continue
            if members is not None and edit.declared.key == MEMBERS:
                members.edit(edit, tolerances)
                continue
            current = after.get(edit.declared.key)
            work += edit.work(current)
            if work > MAX_WORK:
                raise BodyTooLarge("This PATCH is too much work at once: send it in several.")
            after = _with(resource_type, after, edit.declared, edited(edit, current, tolerances))
    after = _without_valueless(resource_type, attributes, after, tolerances)
    _check_changed(resource_type, attributes, after)
    return after


def _check_unchanged(edit: Edit, is_current: IsCurrent, tolerances: Tolerances) -> None:
    """Refuse, by policy, another value than there is of what is readOnly; raises Mutability."""
    same = is_current(edit.declared.key, edit.value) if edit.whole else edit.value is None
    if not same and not tolerances.allow("read_only_in_value"):
        raise read_only(edit.name)


def _operations(body: Any, tolerances: Tolerances) -> list[Any]:
    """Return the operations of a PatchOp message, not yet looked at."""
    if not isinstance(body, dict):
        raise InvalidSyntax("The body must be a JSON object with schemas and Operations.")
    message = by_folded_name(body)
    if not names_message(message.get("schemas"), PATCH_URN, tolerances):
        raise InvalidSyntax(f'schemas must contain "{PATCH_URN}"')
    operations = message.get("operations")
    if not isinstance(operations, list):
        raise InvalidSyntax("Operations must be a list of at least one operation")
    if not operations and not tolerances.allow("patch_without_operations"):
        raise InvalidSyntax("Operations is empty: it must hold at least one operation")
    if len(operations) > MAX_OPERATIONS:
        raise BodyTooLarge(f"More than {MAX_OPERATIONS} Operations: send them in several requests.")
    return operations


def _with(
    resource_type: ResourceType, state: dict[str, Any], declared: Declared, value: Any
) -> dict[str, Any]:
    """Return the state with an attribute's new value, where that may change."""
    key, attribute = declared.key, declared.attribute
    if value is None and stands(resource_type, key):
        return state
    if value is None and attribute.required:  # RFC 7644 §3.5.2.2
        needed = [f"{key}.{sub.name}" for sub in attribute.sub_attributes if sub.required] or [key]
        raise required(needed[0])
    fixed = attribute.mutability is Mutability.IMMUTABLE and key in state
    if fixed and state[key] != value:
        raise immutable(key)
    return {name: item for name, item in {**state, key: value}.items() if item is not None}


def _without_valueless(
    resource_type: ResourceType,
    before: Mapping[str, Any],
    after: dict[str, Any],
    tolerances: Tolerances,
) -> dict[str, Any]:
    """Remove the values that the operations, all together, left without a `value`, by policy."""
    for key, value in after.items():
        if value != before.get(key):
            declared = resource_type.declared[key]
            left = with_values(declared.attribute, value, tolerances)
            after = after if left is value else _with(resource_type, after, declared, left)
    return after


def _check_changed(
    resource_type: ResourceType, before: Mapping[str, Any], after: Mapping[str, Any]
) -> None:
    """Check what was put together from parts: a required sub-attribute may be missing.

    A required list without a value in its entries is unassigned (RFC 7644 §3.5.2.2).
    """
    for key, value in after.items():
        if value != before.get(key):
            attribute = resource_type.declared[key].attribute
            if attribute.required and not has_values(attribute, value):
                raise required(key)
            check_value(attribute, value, key)
