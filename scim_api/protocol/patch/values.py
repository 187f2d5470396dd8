"""The values that a PATCH gives or names: whole ones, parts of one, or one entry of a list."""

from collections.abc import Callable, Mapping
from typing import Any

from marshmallow import ValidationError

from projections.query.comparison import fold
from projections.query.model import Type
from scim_api.protocol.faults import refusal
from scim_api.protocol.fields import Values, field_of
from scim_api.protocol.multi_valued import settled, unassigned
from scim_api.protocol.policy import Tolerances
from scim_api.protocol.schema.attributes import Attribute, AttributeAt
from scim_api.protocol.values import decoded, is_unassigned, one_object

_IDENTIFYING = ("value", "type")  # together they stand once in an attribute (RFC 7643 §2.4)


def read_value(
    declared: AttributeAt,
    sub: Attribute | None,
    value: Any,
    tolerances: Tolerances,
    *,
    partial: bool = False,
    some: bool = False,
) -> Any:
    """Return the value a PATCH gives an attribute, or a sub-attribute, of one of its values.

    None when that is unassigned; of a multi-valued attribute otherwise a list. With `partial` it
    only names values by some of their parts, with `some` others stay. Raises InvalidValue.
    """
    field, attribute = field_of(declared, sub), sub or declared.attribute
    if attribute.multi_valued:
        value = _listed(attribute, value, tolerances, field.path)
    try:
        normal = field.deserialize(value, tolerances=tolerances, partial=partial, some=some)
    except ValidationError as error:
        raise refusal(field.path, error.messages) from None
    return settled(attribute, normal, field.path)


def _listed(attribute: Attribute, value: Any, tolerances: Tolerances, path: str) -> Any:
    """Return a value for a list in one: in a PATCH one may come alone (RFC 7644 §3.5.2.1)."""
    value = decoded(value, tolerances, path)
    plain = attribute.type is not Type.COMPLEX and not isinstance(value, list)
    alone = isinstance(value, dict) or (plain and not is_unassigned(value, tolerances))
    return [value] if alone else value


def read_parts(declared: AttributeAt, value: Any, tolerances: Tolerances) -> dict[str, Any]:
    """Return the sub-attributes a PATCH lays over one value; None for those it unassigns."""
    field = field_of(declared)
    try:
        if isinstance(field, Values):
            value = one_object(value, tolerances, field.path)
            parts = field.read_entry(value, tolerances, partial=True)
        else:
            parts = field.deserialize(value, tolerances=tolerances, partial=True)
    except ValidationError as error:
        raise refusal(field.path, error.messages) from None
    return unassigned(declared.attribute) if parts is None else parts


def read_entry(declared: AttributeAt, value: Any, tolerances: Tolerances) -> list[Any]:
    """Return the plain value a PATCH gives one place in a list; none where it unassigns it."""
    field = field_of(declared)
    try:
        normal = field.read_entry(value, tolerances)
    except ValidationError as error:
        raise refusal(field.path, {0: error.messages}) from None
    return [] if normal is None else [normal]


def naming(attribute: Attribute, sub: Attribute | None, given: Any) -> Callable[[Any], bool]:
    """Return the test of whether a remove names a value, or a part of it, by what it gives."""
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
