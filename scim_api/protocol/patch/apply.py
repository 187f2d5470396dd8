"""Apply PATCH operations to a resource's attributes (RFC 7644 §3.5.2.1-3).

Paths are resolved and values read before (operations.py): nothing here looks at a client's JSON.
"""

from collections.abc import Callable, Collection, Mapping
from enum import StrEnum
from typing import Any, NamedTuple

import orjson

from projections.query.matching import matcher, matches
from projections.query.model import And, Compare, Filter, Operator, Type, terms_of
from projections.state import STANDING
from scim_api.protocol.errors import InvalidValue, NoTarget
from scim_api.protocol.errors import Mutability as MutabilityError
from scim_api.protocol.multi_valued import (
    assigned,
    distinct,
    identity,
    is_primary,
    unassigned,
    with_fixed,
    with_one_primary,
)
from scim_api.protocol.policy import Tolerances
from scim_api.protocol.schema.attributes import Attribute, AttributeAt, Mutability, ResourceType

MEMBERS = "members"

_SHORT = 128  # bytes of a value that is compared in about a microsecond


class Op(StrEnum):
    """What a PATCH operation does (RFC 7644 §3.5.2)."""

    ADD = "add"
    REPLACE = "replace"
    REMOVE = "remove"


_CREATES = {Op.ADD: "add_at_filter_creates", Op.REPLACE: "replace_at_filter_creates"}


class Operation(NamedTuple):
    """One change of one attribute, its path resolved and its value read.

    `value` is the attribute's new value or, of what an add or replace selects, the parts to lay
    over it; of a remove the test of which values it names, None for all. Of members, and of what
    is readOnly, it is as the client wrote it. `check` refuses parts that no value can have, of one
    to be created.
    """

    op: Op
    declared: AttributeAt
    filter: Filter | None
    sub: Attribute | None
    value: Any = None
    check: Callable[[Mapping[str, Any]], object] | None = None

    @property
    def attribute(self) -> Attribute:
        return self.declared.attribute

    @property
    def read_only(self) -> bool:
        """Whether it is about what clients cannot change."""
        return self.attribute.read_only or (self.sub is not None and self.sub.read_only)

    @property
    def name(self) -> str:
        """The declared name of what is changed."""
        return f"{self.declared.key}.{self.sub.name}" if self.sub else self.declared.key

    @property
    def whole(self) -> bool:
        """Whether the attribute itself is meant, not some of its values or a part of them."""
        return self.filter is None and self.sub is None

    @property
    def parts(self) -> Mapping[str, Any]:
        """The sub-attributes to lay over each value it selects; None for those it unassigns."""
        if self.op is not Op.REMOVE:
            parts: Mapping[str, Any] = self.value
            return parts
        return {self.sub.name: None} if self.sub else unassigned(self.attribute)

    def work(self, current: Any) -> int:
        """Return how many comparisons it may take of the attribute's current value.

        One of a long text counts for as many of short ones.
        """
        values = len(current) if isinstance(current, list) else 1
        looks = max(values, len(orjson.dumps(current)) // _SHORT)
        return looks * (1 if self.filter is None else terms_of(self.filter))


def apply(
    resource_type: ResourceType,
    state: dict[str, Any],
    operation: Operation,
    tolerances: Tolerances,
) -> dict[str, Any]:
    """Return a state after one operation; raises ScimError."""
    attribute, current = operation.attribute, state.get(operation.declared.key)
    value: Any = operation.value
    if attribute.multi_valued:
        value = _values(operation, current or [], tolerances) or None
    elif attribute.type is Type.COMPLEX:
        value = _merged(attribute, current or {}, operation.parts) or None
    return with_value(resource_type, state, operation.declared, value)


def stands(resource_type: ResourceType, key: str) -> bool:
    """Return whether an attribute is never without a value: unassigning it changes nothing.

    `active` is: what leaves it out or empties it neither deactivates nor reactivates anybody.
    """
    return key in STANDING.get(resource_type.name, {})


def with_value(
    resource_type: ResourceType, state: dict[str, Any], declared: AttributeAt, value: Any
) -> dict[str, Any]:
    """Return the state with an attribute's new value, where that may change."""
    key, attribute = declared.key, declared.attribute
    if value is None and stands(resource_type, key):
        return state
    if value is None and attribute.required:  # RFC 7644 §3.5.2.2
        needed = attribute.required_parts
        raise MutabilityError.required(f"{key}.{needed[0]}" if needed else key)
    fixed = attribute.mutability is Mutability.IMMUTABLE and key in state
    if fixed and state[key] != value:
        raise MutabilityError.immutable(key)
    if value is None:
        return {name: each for name, each in state.items() if name != key}
    return {**state, key: value}


# One attribute


def _values(operation: Operation, current: list[Any], tolerances: Tolerances) -> list[Any]:
    attribute, op = operation.attribute, operation.op
    if operation.whole and op is Op.REPLACE:
        return with_fixed(attribute, current, operation.value)
    if operation.whole and op is Op.ADD:
        return _appended(attribute, current, operation.value)
    is_chosen = _chooser(operation)
    chosen = {place for place, value in enumerate(current) if is_chosen(value)}
    if op is Op.REMOVE and operation.sub is None:
        return [value for place, value in enumerate(current) if place not in chosen]
    if attribute.type is not Type.COMPLEX:  # one plain value for those chosen (RFC 7644 §3.5.2.3)
        if not chosen:
            raise _no_target(operation)
        values = (operation.value if i in chosen else [each] for i, each in enumerate(current))
        return distinct([each for value in values for each in value])
    if chosen or op is Op.REMOVE:
        return _rewritten(attribute, current, chosen, operation.parts)
    return _with_new(operation, current, tolerances)


def _chooser(operation: Operation) -> Callable[[Any], bool]:
    """Return whether an operation is about a value: its filter matches it, a remove names it."""
    matches_filter = matcher(operation.filter) if operation.filter else None
    named = operation.value if operation.op is Op.REMOVE else None
    return lambda value: (
        (not matches_filter or matches_filter(value)) and (named is None or named(value))
    )


def _appended(attribute: Attribute, current: list[Any], given: list[Any]) -> list[Any]:
    """Append the values not there yet: adding twice is adding once (RFC 7644 §3.5.2.1)."""
    values = with_fixed(attribute, current, distinct(current + given))
    primary = {identity(value) for value in given if is_primary(value)}
    touched = [place for place, value in enumerate(values) if identity(value) in primary]
    return with_one_primary(attribute, values, touched)


def _rewritten(
    attribute: Attribute, current: list[Any], chosen: set[int], parts: Mapping[str, Any]
) -> list[Any]:
    values = [
        _merged(attribute, value, parts) if place in chosen else value
        for place, value in enumerate(current)
    ]
    return distinct([value for value in with_one_primary(attribute, values, chosen) if value])


def _with_new(operation: Operation, current: list[Any], tolerances: Tolerances) -> list[Any]:
    """Create the value when none matches the path, if the policy allows it.

    Without a filter it is: a location that does not exist is added to (RFC 7644 §3.5.2.1, .3).
    """
    attribute, parts = operation.attribute, operation.parts
    given = assigned(parts)
    # They unassign parts of a value, if there were one, and give none.
    emptied = not given or (len(given) < len(parts) and attribute.substance.isdisjoint(given))
    if emptied and operation.filter and tolerances.allow("valueless_entries_removed"):
        return current
    described = described_by(operation, tolerances) if operation.filter else {}
    if emptied:
        return current
    if operation.check:
        operation.check(described)
    value = assigned({**described, **parts})
    if operation.filter is not None and not matches(operation.filter, value):
        raise contradiction(operation)
    return _appended(attribute, current, [value])


def described_by(operation: Operation, tolerances: Tolerances) -> Mapping[str, Any]:
    """Return what the filter says, by `eq` alone, of the value to create; raises NoTarget."""
    terms = operation.filter.terms if isinstance(operation.filter, And) else (operation.filter,)
    equal = {
        term.path.sub: term.value
        for term in terms
        if isinstance(term, Compare) and term.operator is Operator.EQ and term.path.sub
    }
    if len(equal) != len(terms) or not tolerances.allow(_CREATES[operation.op]):
        raise _no_target(operation)
    return equal


def _no_target(operation: Operation) -> NoTarget:
    """Return the error for a filter in a path that finds nothing."""
    return NoTarget(
        "path.no_match",
        "no value of {name} matches the filter of the path",
        name=operation.declared.key,
    )


def contradiction(operation: Operation) -> InvalidValue:
    """Return the error for a value that the filter of its own path would not find."""
    return InvalidValue(
        "value.contradicts_path",
        "the value given to {name} contradicts the path's filter",
        name=operation.declared.key,
    )


# One object


def _merged(
    attribute: Attribute, before: Mapping[str, Any], parts: Mapping[str, Any]
) -> dict[str, Any]:
    """Lay sub-attributes over a value; None unassigns, those not named stay."""
    for name, part in parts.items():
        sub = attribute.subs[name.lower()]
        fixed = sub.mutability is Mutability.IMMUTABLE and name in before
        if fixed and before[name] != part:
            raise MutabilityError.immutable(f"{attribute.name}.{name}")
    emptied = "value" in parts and parts["value"] is parts.get("$ref") is None
    if emptied and "$ref" in attribute.subs:  # Entra removes a manager with {"value": ""}
        return {}
    after = assigned({**before, **parts})
    if after:
        lost = [name for name, part in parts.items() if part is None and name in before]
        check_dispensable(attribute, lost)
    return after


def check_dispensable(attribute: Attribute, names: Collection[str]) -> None:
    """Raise Mutability if sub-attributes to be unassigned are required (RFC 7644 §3.5.2.2)."""
    for name in names:
        if attribute.subs[name.lower()].required:
            raise MutabilityError.required(f"{attribute.name}.{name}")
