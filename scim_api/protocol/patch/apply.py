"""What add, replace and remove make of one attribute's value (RFC 7644 §3.5.2.1-3)."""

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

import orjson

from projections.query.comparison import fold
from projections.query.matching import matches_value
from projections.query.model import And, Compare, Filter, Operator, Type, terms_of
from scim_api.protocol.body import (
    assigned,
    distinct,
    identity,
    is_primary,
    load_one,
    load_parts,
    load_value,
    unassigned,
    with_values,
)
from scim_api.protocol.errors import InvalidPath, InvalidValue, NoTarget
from scim_api.protocol.errors import Mutability as MutabilityError
from scim_api.protocol.policy import Tolerances
from scim_api.protocol.schema.attributes import Attribute, Declared, Mutability
from scim_api.protocol.values import is_nothing

_SHORT = 128  # bytes of a value that is compared in about a microsecond
_IDENTIFYING = ("value", "type")  # together they stand once in an attribute (RFC 7643 §2.4)


class Op(StrEnum):
    """What a PATCH operation does (RFC 7644 §3.5.2)."""

    ADD = "add"
    REPLACE = "replace"
    REMOVE = "remove"


_CREATES = {Op.ADD: "add_at_filter_creates", Op.REPLACE: "replace_at_filter_creates"}


@dataclass(frozen=True, slots=True)
class Edit:
    """One operation at one attribute; `value` is None where a remove has none."""

    op: Op
    declared: Declared
    filter: Filter | None
    sub: Attribute | None
    value: Any = None

    @property
    def attribute(self) -> Attribute:
        return self.declared.attribute

    @property
    def read_only(self) -> bool:
        """Whether it is about what clients cannot change."""
        return self.attribute.read_only or (self.sub is not None and self.sub.read_only)

    @property
    def name(self) -> str:
        """The name of what is edited, as it is declared."""
        return f"{self.declared.key}.{self.sub.name}" if self.sub else self.declared.key

    def work(self, current: Any) -> int:
        """Return how many comparisons the edit may take of the attribute's current value.

        One of a long text counts for as many of short ones.
        """
        values = len(current) if isinstance(current, list) else 1
        looks = max(values, len(orjson.dumps(current)) // _SHORT)
        return looks * (1 if self.filter is None else terms_of(self.filter))

    @property
    def whole(self) -> bool:
        """Whether the attribute itself is meant, not some of its values or a part of them."""
        return self.filter is None and self.sub is None


def edited(edit: Edit, current: Any, tolerances: Tolerances) -> Any:
    """Return the attribute's new value; None when it becomes unassigned. Raises ScimError."""
    if edit.attribute.multi_valued:
        return _values(edit, current or [], tolerances) or None
    if edit.attribute.type is Type.COMPLEX:
        return merged(edit.attribute, current or {}, _parts(edit, tolerances)) or None
    return None if edit.op is Op.REMOVE else load_value(edit.declared, None, edit.value, tolerances)


def merged(
    attribute: Attribute, before: Mapping[str, Any], parts: Mapping[str, Any]
) -> dict[str, Any]:
    """Lay sub-attributes over a value; None unassigns, those not named stay."""
    for name, part in parts.items():
        sub = attribute.subs[name.lower()]
        fixed = sub.mutability is Mutability.IMMUTABLE and name in before
        if fixed and before[name] != part:
            raise immutable(f"{attribute.name}.{name}")
    after = {} if _loses_target(attribute, parts) else assigned({**before, **parts})
    lost = [name for name, part in parts.items() if part is None and name in before]
    if after:
        _check_dispensable(attribute, lost)
    return after


def _check_dispensable(attribute: Attribute, names: Collection[str]) -> None:
    """Raise Mutability if sub-attributes to be unassigned are required (RFC 7644 §3.5.2.2)."""
    for name in names:
        if attribute.subs[name.lower()].required:
            raise required(f"{attribute.name}.{name}")


def required(path: str) -> MutabilityError:
    """Return the error for unassigning what is required."""
    return MutabilityError(
        f"{path} is required: it can be replaced but not removed", attributes=(path,)
    )


def read_only(path: str) -> MutabilityError:
    """Return the error for a change of what only the service provider writes."""
    return MutabilityError(f"{path} is read-only", attributes=(path,))


def immutable(path: str) -> MutabilityError:
    """Return the error for a change of what may be set only once."""
    return MutabilityError(
        f"{path} is immutable: once set, it cannot be changed or removed", attributes=(path,)
    )


def contradiction(edit: Edit) -> InvalidValue:
    """Return the error for a value that the filter of its own path would not find."""
    return InvalidValue(f"the value given to {edit.declared.key} contradicts the path's filter")


def _no_target(edit: Edit) -> NoTarget:
    """Return the error for a filter in a path that finds nothing."""
    return NoTarget(f"no value of {edit.declared.key} matches the filter of the path")


def _loses_target(attribute: Attribute, parts: Mapping[str, Any]) -> bool:
    """Return whether a reference is emptied: Entra removes a manager with {"value": ""}."""
    emptied = "value" in parts and parts["value"] is None
    return emptied and "$ref" in attribute.subs and parts.get("$ref") is None


def _parts(edit: Edit, tolerances: Tolerances) -> dict[str, Any]:
    """Return the sub-attributes an edit sets in each value it is about."""
    if edit.sub:
        removes = edit.op is Op.REMOVE
        part = None if removes else load_value(edit.declared, edit.sub, edit.value, tolerances)
        if part is None and edit.op is not Op.ADD:
            _check_dispensable(edit.attribute, [edit.sub.name])
        return {edit.sub.name: part}
    if edit.op is Op.REMOVE:
        return unassigned(edit.attribute)
    return load_parts(edit.declared, edit.value, tolerances)


def _values(edit: Edit, current: list[Any], tolerances: Tolerances) -> list[Any]:
    if edit.whole:
        return _all_values(edit, current, tolerances)
    if edit.op is Op.REMOVE and edit.value is not None and edit.filter is None:
        raise InvalidValue(f"remove with a value needs the path {edit.declared.key}, or a filter")
    chosen = {place for place, value in enumerate(current) if _is_chosen(edit, value)}
    if edit.op is Op.REMOVE and edit.filter is not None and not is_nothing(edit.value, tolerances):
        is_named = _naming(edit, tolerances)
        chosen = {place for place in chosen if is_named(current[place])}
    if edit.op is Op.REMOVE and edit.sub is None:
        return [value for place, value in enumerate(current) if place not in chosen]
    if edit.attribute.type is not Type.COMPLEX:
        return _plain_replaced(edit, current, chosen, tolerances)
    parts = _parts(edit, tolerances)
    if chosen or edit.op is Op.REMOVE:
        return _rewritten(edit.attribute, current, chosen, parts)
    return _with_new(edit, current, parts, tolerances)


def _plain_replaced(
    edit: Edit, current: list[Any], chosen: set[int], tolerances: Tolerances
) -> list[Any]:
    """Put one plain value in the place of those chosen (RFC 7644 §3.5.2.3)."""
    key = edit.declared.key
    if edit.op is not Op.REPLACE:
        raise InvalidPath(f"{key} holds plain values: add to it by its path alone")
    if not chosen:
        raise _no_target(edit)
    given = load_one(edit.declared, edit.value, tolerances)
    values = (given if place in chosen else [value] for place, value in enumerate(current))
    return distinct([each for value in values for each in value])


def _all_values(edit: Edit, current: list[Any], tolerances: Tolerances) -> list[Any]:
    if edit.op is Op.REMOVE:
        if edit.value is None:
            return []
        is_named = _naming(edit, tolerances)
        return [value for value in current if not is_named(value)]
    loaded = load_value(edit.declared, None, edit.value, tolerances, some=edit.op is Op.ADD)
    given: list[Any] = with_values(edit.attribute, loaded, tolerances) or []
    if edit.op is Op.REPLACE:
        return with_fixed(edit.attribute, current, given)
    return _appended(edit.attribute, current, given)


def _appended(attribute: Attribute, current: list[Any], given: list[Any]) -> list[Any]:
    """Append the values not there yet: adding twice is adding once (RFC 7644 §3.5.2.1)."""
    values = with_fixed(attribute, current, distinct(current + given))
    primary = {identity(value) for value in given if is_primary(value)}
    touched = [place for place, value in enumerate(values) if identity(value) in primary]
    return _one_primary(attribute, values, touched)


def with_fixed(attribute: Attribute, before: list[Any], after: list[Any]) -> list[Any]:
    """Return values with the immutable parts that they had before; raises Mutability.

    A value is the same as another by what `identity` says.
    """
    if not attribute.fixed_parts:
        return after
    had = {identity(value): fixed_in(attribute, value) for value in before}
    return [with_parts(attribute.name, had.get(identity(value), {}), value) for value in after]


def fixed_in(attribute: Attribute, value: Mapping[str, Any]) -> dict[str, Any]:
    """Return the parts of one value that cannot be changed."""
    return {name: value[name] for name in attribute.fixed_parts if name in value}


def with_parts(path: str, kept: Mapping[str, Any], value: Mapping[str, Any]) -> dict[str, Any]:
    """Lay a value over parts that it must not contradict; raises Mutability."""
    for name, part in kept.items():
        if value.get(name, part) != part:
            raise immutable(f"{path}.{name}")
    return {**kept, **value}


def _rewritten(
    attribute: Attribute, current: list[Any], chosen: set[int], parts: Mapping[str, Any]
) -> list[Any]:
    values = [
        merged(attribute, value, parts) if place in chosen else value
        for place, value in enumerate(current)
    ]
    return distinct([value for value in _one_primary(attribute, values, chosen) if value])


def _with_new(
    edit: Edit, current: list[Any], parts: Mapping[str, Any], tolerances: Tolerances
) -> list[Any]:
    """Create the value when none matches the path, if the policy allows it.

    Without a filter it is: a location that does not exist is added to (RFC 7644 §3.5.2.1, .3).
    """
    emptied = _empties(edit.attribute, parts)
    if emptied and edit.filter and tolerances.allow("valueless_entries_removed"):
        return current
    described = {} if edit.filter is None else described_value(edit, tolerances)
    if emptied:
        return current
    value = assigned({**described, **parts})
    if edit.filter is not None and not matches_value(edit.filter, value):
        raise contradiction(edit)
    return _appended(edit.attribute, current, [value])


def _empties(attribute: Attribute, parts: Mapping[str, Any]) -> bool:
    """Return whether parts unassign a value, if there were one, and give none."""
    given = assigned(parts)
    return not given or (len(given) < len(parts) and attribute.substance.isdisjoint(given))


def described_value(edit: Edit, tolerances: Tolerances) -> dict[str, Any]:
    """Return what the filter says of the value it looks for; raises NoTarget."""
    terms = edit.filter.terms if isinstance(edit.filter, And) else (edit.filter,)
    equal = {
        term.path.sub: term.value
        for term in terms
        if isinstance(term, Compare) and term.operator is Operator.EQ and term.path.sub
    }
    if len(equal) != len(terms) or not tolerances.allow(_CREATES[edit.op]):
        raise _no_target(edit)
    return equal


def _is_chosen(edit: Edit, value: Any) -> bool:
    return edit.filter is None or matches_value(edit.filter, value)


def _one_primary(attribute: Attribute, values: list[Any], touched: Collection[int]) -> list[Any]:
    """Unmark the other values once a touched one is primary (RFC 7644 §3.5.2)."""
    if "primary" not in attribute.subs:
        return values
    marked = [place for place in touched if values[place].get("primary") is True]
    if len(marked) > 1:
        raise InvalidValue(f"one operation marks several values of {attribute.name} as primary")
    if not marked:
        return values
    return [
        value if place in marked or value.get("primary") is not True else value | {"primary": False}
        for place, value in enumerate(values)
    ]


def _naming(edit: Edit, tolerances: Tolerances) -> Callable[[Any], bool]:
    """Return what tells whether a remove names a value, or the part of it that the path names."""
    given = load_value(edit.declared, edit.sub, edit.value, tolerances, partial=True)
    sub, attribute = edit.sub, edit.attribute
    if sub is not None:
        return lambda value: _comparable(sub, value.get(sub.name)) == _comparable(sub, given)
    if attribute.type is not Type.COMPLEX:
        return frozenset(given or ()).__contains__
    named = {_key(attribute, value, _identifying(value)) for value in given or ()}
    kinds = {tuple(name for name, _ in key) for key in named}
    return lambda value: any(_key(attribute, value, names) in named for names in kinds)


def _identifying(value: Mapping[str, Any]) -> tuple[str, ...]:
    return tuple(name for name in _IDENTIFYING if name in value) or tuple(sorted(value))


def _key(
    attribute: Attribute, value: Mapping[str, Any], names: tuple[str, ...]
) -> tuple[tuple[str, Any], ...]:
    return tuple(
        (name, _comparable(attribute.subs[name.lower()], value.get(name))) for name in names
    )


def _comparable(sub: Attribute, part: Any) -> Any:
    return fold(part) if isinstance(part, str) and not sub.case_exact else part
