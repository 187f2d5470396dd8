"""Marshmallow fields built from the declarations: they read and check a value in one walk.

A field returns the normal form of what a client wrote (declared names, tolerated shapes
straightened, decimals canonical), or None where that is unassigned. Faults are collected as
ValidationErrors; what makes the rest unreadable, or a policy refuses, is raised at once.
"""

import re
from collections.abc import Iterator, Mapping
from functools import lru_cache
from itertools import islice
from typing import Any

from marshmallow import ValidationError, fields

from projections.query.comparison import decimal_of, moment_of
from projections.query.model import Type
from scim_api.protocol import numbers
from scim_api.protocol.attribute_names import part_of
from scim_api.protocol.errors import InvalidValue
from scim_api.protocol.multi_valued import check_number, settled, unassigned
from scim_api.protocol.policy import Tolerances
from scim_api.protocol.schema.attributes import Attribute, Declared
from scim_api.protocol.values import (
    decoded,
    given_twice,
    ignore,
    is_nothing,
    is_unassigned,
    one_object,
    out_of_list,
)

_INTEGER_LIMIT = 2**53  # beyond it JSON numbers are not exact everywhere (RFC 8785 §3.2.2.3)
_DATE_TIME = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?(Z|[+-]\d\d:\d\d)?", re.ASCII)
_BASE64 = re.compile(r"[A-Za-z0-9+/_\-\s]*+={0,2}\s*", re.ASCII)
_BOOLEANS = {"true": True, "false": False}
_ROLES = ("roles", "entitlements")  # what Okta may map to one text
_SHOWN_ERRORS = 5
_INDEX = re.compile(r"\[\d+\]")
_REQUIRED = "is required and must not be empty"
_UNSTORABLE = "must not contain the character U+0000 or half of a surrogate pair"


class Expected(str):
    """A fault, and `okta`: what Okta's admins are told besides."""

    okta = ""


class Single(fields.Field[Any]):
    """One value of a simple type, of which `expected` says the form."""

    expected: str

    def __init__(self, attribute: Attribute, path: str, *, required: bool) -> None:
        super().__init__(allow_none=True, required=required)
        self.path = path

    def _deserialize(self, value: Any, attr: Any, data: Any, **kwargs: Any) -> Any:
        tolerances: Tolerances = kwargs["tolerances"]
        if isinstance(value, list):
            value = _plain(out_of_list(value, tolerances))
        return None if is_unassigned(value, tolerances) else self.typed(value, tolerances)

    def typed(self, value: Any, tolerances: Tolerances) -> Any:
        """Return a value of the type; raises ValidationError."""
        raise NotImplementedError


class Text(Single):
    """Text, kept as it is, if it can be stored and hashed again."""

    expected = "must be text in quotes"

    def typed(self, value: Any, tolerances: Tolerances) -> str:
        if not isinstance(value, str):
            raise ValidationError(self.expected)
        if "\0" in value or not (value.isascii() or _is_unicode(value)):
            raise ValidationError(_UNSTORABLE)
        if self.required and not value.strip():
            raise ValidationError(_REQUIRED)
        return value


class DateTime(Text):
    """An xsd:dateTime as text (RFC 7643 §2.3.5)."""

    expected = "must be a date and time in quotes, such as 2026-11-22T20:15:30Z"

    def typed(self, value: Any, tolerances: Tolerances) -> str:
        text = super().typed(value, tolerances)
        if not _DATE_TIME.fullmatch(text) or not moment_of(text):
            raise ValidationError(self.expected)
        return text


class Binary(Text):
    """Text of the letters of base64 (RFC 7643 §2.3.6); novelty.py is strict with new ones."""

    expected = "must be base64 text in quotes"

    def typed(self, value: Any, tolerances: Tolerances) -> str:
        text = super().typed(value, tolerances)
        if not _BASE64.fullmatch(text):
            raise ValidationError(self.expected)
        return text


class Decimal(Text):
    """A decimal number, kept as text: as JSON it would not be exact."""

    expected = numbers.EXPECTED

    def typed(self, value: Any, tolerances: Tolerances) -> str:
        number = decimal_of(value)
        if number is None:
            super().typed(value, tolerances)
            raise ValidationError(self.expected)
        if isinstance(value, str) and not tolerances.allow("decimal_strings"):
            raise InvalidValue(
                "value.decimal_in_quotes", "{path} must be a number, without quotes", path=self.path
            )
        return numbers.canonical(number)


class Boolean(Single):
    """A JSON boolean; by policy its name in quotes."""

    expected = "must be true or false, without quotes"

    def typed(self, value: Any, tolerances: Tolerances) -> bool:
        named = _BOOLEANS.get(value.lower()) if isinstance(value, str) else None
        if named is not None and tolerances.allow("boolean_strings"):
            return named
        if not isinstance(value, bool):
            raise ValidationError(self.expected)
        return value


class Integer(Single):
    """A whole number that is exact in every JSON implementation."""

    expected = "must be a whole number, without quotes"

    def typed(self, value: Any, tolerances: Tolerances) -> int:
        if not isinstance(value, int) or isinstance(value, bool):
            raise ValidationError(self.expected)
        if abs(value) >= _INTEGER_LIMIT:
            raise ValidationError("must lie between -(2^53 - 1) and 2^53 - 1")
        return value


class Complex(fields.Field[Any]):
    """One object: its sub-attributes by declared name, None for one that is unassigned.

    Written by hand: a nested marshmallow schema for each value doubles the time of a load.
    """

    def __init__(self, attribute: Attribute, path: str, *, required: bool) -> None:
        super().__init__(allow_none=True, required=required)
        self.declaration = attribute
        self.path = path
        self.expected = f"must be an object such as {_example(attribute)}"
        writable = [sub for sub in attribute.sub_attributes if not sub.read_only]
        self.parts = {sub.name: _field(sub, f"{path}.{sub.name}") for sub in writable}

    def _deserialize(self, value: Any, attr: Any, data: Any, **kwargs: Any) -> Any:
        tolerances: Tolerances = kwargs["tolerances"]
        if not isinstance(value, dict) and not self.declaration.multi_valued:
            value = self._alone(value, tolerances)
        if is_unassigned(value, tolerances):
            return None
        if not isinstance(value, dict):
            raise ValidationError(self.expected)
        parts, errors = self._read(value, tolerances)
        if not kwargs.get("partial"):
            if self.required and not is_given(self.declaration, parts):
                raise ValidationError(faults_of_missing(self.declaration))
            errors |= lacking(self.declaration, parts)
        if errors:
            raise ValidationError(errors)
        return parts

    def _alone(self, value: Any, tolerances: Tolerances) -> Any:
        """Return the object that stands in a list or a text; of a reference also its value."""
        refers = "value" in self.declaration.subs
        setting = "reference_as_string" if refers else "list_as_one"
        if is_unassigned(value := one_object(value, tolerances, self.path, setting), tolerances):
            return None
        if refers and isinstance(value, str) and tolerances.allow(setting):
            return {"value": value}
        return value

    def _read(
        self, value: Mapping[str, Any], tolerances: Tolerances
    ) -> tuple[dict[str, Any], dict[Any, Any]]:
        """Return the parts, as they were sent where they are faulty, and the faults."""
        parts: dict[str, Any] = {}
        errors: dict[Any, Any] = {}
        for name, item in value.items():
            sub = self._part(name, value, tolerances)
            if sub is None:
                ignore(f"{self.path}.{name}", tolerances)
            elif sub.name in parts:
                raise given_twice(f"{self.path}.{sub.name}")
            elif not sub.read_only:  # RFC 7644 §3.3, §3.5.1: ignored
                try:
                    parts[sub.name] = self.parts[sub.name].deserialize(item, tolerances=tolerances)
                except ValidationError as error:
                    parts[sub.name], errors[sub.name] = item, error.messages
        return parts, errors

    def _part(
        self, name: str, siblings: Mapping[str, Any], tolerances: Tolerances
    ) -> Attribute | None:
        """Find a sub-attribute; under an older name only where the present one is not given."""
        sub = self.declaration.subs.get(name.lower())
        if sub is None and not any(sibling.lower() == "value" for sibling in siblings):
            return part_of(self.declaration, name, tolerances)
        return sub


class Values(fields.Field[Any]):
    """The values of a multi-valued attribute; None or {} stands for an entry with nothing in it."""

    def __init__(self, attribute: Attribute, path: str, *, required: bool) -> None:
        super().__init__(allow_none=True, required=required)
        self.declaration = attribute
        self.path = path
        self.entry = _single(attribute, path)
        self.expected = _expected_list(attribute)

    def _deserialize(self, value: Any, attr: Any, data: Any, **kwargs: Any) -> Any:
        tolerances: Tolerances = kwargs["tolerances"]
        value = decoded(value, tolerances, self.path)
        if value == [] or is_nothing(value, tolerances):  # unassigned as well (RFC 7643 §2.5)
            return None
        if isinstance(value, str | dict) and tolerances.allow(self._alone(value)):
            value = [value]
        if not isinstance(value, list):
            raise ValidationError([self.expected])
        check_number(value, self.path)
        values: list[Any] = []
        errors: dict[Any, Any] = {}
        for place, item in enumerate(value):
            try:
                values.append(self.read_entry(item, **kwargs))
            except ValidationError as error:
                errors[place] = error.messages
        if errors:
            raise ValidationError(errors)
        some = kwargs.get("partial") or kwargs.get("some")
        if self.required and not some and not is_given(self.declaration, values):
            raise ValidationError(_REQUIRED)
        return values

    def _alone(self, value: str | dict[str, Any]) -> str:
        """Return the setting that tolerates one value without a list where a list is due."""
        if isinstance(value, dict):
            return "values_as_strings"
        return "roles_as_text" if self.declaration.name in _ROLES else "text_as_list"

    def read_entry(self, value: Any, **kwargs: Any) -> Any:
        """Return one of the values; raises ValidationError."""
        tolerances: Tolerances = kwargs["tolerances"]
        if self.declaration.type is Type.COMPLEX:
            value = decoded(value, tolerances, self.path)
        takes_text = "value" in self.declaration.subs and isinstance(value, str) and value
        if takes_text and tolerances.allow("values_as_strings"):
            value = {"value": value}
        return self.entry.deserialize(value, **kwargs)


_FIELDS: Mapping[Type, type[Single | Complex]] = {
    Type.STRING: Text,
    Type.REFERENCE: Text,
    Type.BOOLEAN: Boolean,
    Type.DECIMAL: Decimal,
    Type.INTEGER: Integer,
    Type.DATE_TIME: DateTime,
    Type.BINARY: Binary,
    Type.COMPLEX: Complex,
}


def _single(attribute: Attribute, path: str, *, required: bool = False) -> Single | Complex:
    return _FIELDS[attribute.type](attribute, path, required=required)


def _field(attribute: Attribute, path: str) -> fields.Field[Any]:
    if attribute.multi_valued:
        return Values(attribute, path, required=attribute.required)
    return _single(attribute, path, required=attribute.required)


def field_of(declared: Declared, sub: Attribute | None = None) -> Any:
    """Return what reads an attribute, or a sub-attribute of one of its values."""
    return _field_at(declared.key, declared.attribute, sub)


@lru_cache(maxsize=4096)
def _field_at(key: str, attribute: Attribute, sub: Attribute | None) -> fields.Field[Any]:
    return _field(sub, f"{key}.{sub.name}") if sub else _field(attribute, key)


# What a PATCH gives


def read_value(
    declared: Declared,
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


def read_parts(declared: Declared, value: Any, tolerances: Tolerances) -> dict[str, Any]:
    """Return the sub-attributes a PATCH lays over one value; None for those it unassigns."""
    field = field_of(declared)
    try:
        if isinstance(field, Values):
            value = one_object(value, tolerances, field.path)
            parts = field.read_entry(value, tolerances=tolerances, partial=True)
        else:
            parts = field.deserialize(value, tolerances=tolerances, partial=True)
    except ValidationError as error:
        raise refusal(field.path, error.messages) from None
    return unassigned(declared.attribute) if parts is None else parts


def read_entry(declared: Declared, value: Any, tolerances: Tolerances) -> list[Any]:
    """Return the plain value a PATCH gives one place in a list; none where it unassigns it."""
    field = field_of(declared)
    try:
        normal = field.read_entry(value, tolerances=tolerances)
    except ValidationError as error:
        raise refusal(field.path, {0: error.messages}) from None
    return [] if normal is None else [normal]


# What is required


def is_given(attribute: Attribute, value: Any) -> bool:
    """Return whether a value satisfies an attribute that is required.

    It is not blank; an object, or one of a list, is more than a description of a value.
    """
    if isinstance(value, list):
        return any(is_given(attribute, item) for item in value)
    if isinstance(value, Mapping):
        return any(not _is_blank(value.get(name)) for name in attribute.substance)
    return not _is_blank(value)


def _is_blank(value: Any) -> bool:
    return value is None or (isinstance(value, str) and not value.strip())


def lacking(attribute: Attribute, parts: Mapping[str, Any]) -> dict[Any, Any]:
    """Return a fault for each required sub-attribute that an object lacks, if it has any part."""
    if not parts:
        return {}
    needed = (sub.name for sub in attribute.sub_attributes if sub.required and not sub.read_only)
    return {name: [_REQUIRED] for name in needed if parts.get(name) is None}


def faults_of_missing(attribute: Attribute) -> Any:
    """Return the faults of a required attribute that is missing: of an object, its parts."""
    needed = [sub.name for sub in attribute.sub_attributes if sub.required]
    if attribute.multi_valued or not needed:
        return [_REQUIRED]
    return {name: [_REQUIRED] for name in needed}


def check_complete(declared: Declared, value: Any) -> None:
    """Check what was put together from parts: something required may be missing."""
    attribute, faults = declared.attribute, {}
    if attribute.type is Type.COMPLEX and attribute.multi_valued:
        each = ((place, lacking(attribute, entry)) for place, entry in enumerate(value))
        faults = {place: found for place, found in each if found}
    if not faults and attribute.required and not is_given(attribute, value):
        faults = faults_of_missing(attribute)
    if not faults and attribute.type is Type.COMPLEX and not attribute.multi_valued:
        faults = lacking(attribute, value)
    if faults:
        raise refusal(declared.key, faults)


# What a refusal says


def _example(attribute: Attribute) -> str:
    names = [sub.name for sub in attribute.sub_attributes if not sub.read_only]
    shown = "value" if "value" in names else names[0]
    return f'{{"{shown}": "..."}}'


def _expected_list(attribute: Attribute) -> Expected:
    if attribute.type is not Type.COMPLEX:
        return Expected('must be a list such as ["..."]')
    fault = Expected(f"must be a list such as [{_example(attribute)}]")
    if "value" in attribute.subs:
        name = attribute.name
        fault.okta = f"In Okta, map {name}.^[primary==true].value and not {name}."
    return fault


def refusal(path: str, messages: Any) -> InvalidValue:
    """Return the error for the faults found below a path: the first few, each with its place."""
    faults = list(islice(_faults(path, messages), _SHOWN_ERRORS))
    names = dict.fromkeys(_INDEX.sub("", where) for where, _ in faults)
    hints = dict.fromkeys(fault.okta for _, fault in faults if isinstance(fault, Expected))
    said = "; ".join(map(" ".join, faults))
    if hint := " ".join(filter(None, hints)):
        return InvalidValue(
            "value.unfit", "{said}", okta="{hint}", said=said, hint=hint, attributes=tuple(names)
        )
    return InvalidValue("value.unfit", "{said}", said=said, attributes=tuple(names))


def _faults(path: str, messages: Any) -> Iterator[tuple[str, str]]:
    """Yield each place where something is wrong, and what is."""
    if not isinstance(messages, dict):
        yield path, messages[0]
        return
    for step, inner in messages.items():
        yield from _faults(_joined(path, step), inner)


def _joined(path: str, step: str | int) -> str:
    if isinstance(step, int):
        return f"{path}[{step}]"
    return f"{path}.{step}" if path else step


def _plain(value: Any) -> Any:
    """Return the `value` of an object that stood in a list where a plain value is due."""
    given = {name.lower(): item for name, item in value.items()} if isinstance(value, dict) else {}
    return given.get("value", value)


def _is_unicode(text: str) -> bool:
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True
