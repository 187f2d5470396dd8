"""Marshmallow schemas built from the declarations: the types of attributes, and what is required.

They check and do not change: values are kept exactly as the client sent them.
"""

import re
from collections.abc import Iterator, Mapping
from functools import lru_cache
from itertools import islice
from typing import Any

from marshmallow import Schema, ValidationError, fields

from projections.query.comparison import decimal_of, moment_of
from projections.query.model import Type
from scim_api.protocol import decimals
from scim_api.protocol.errors import InvalidValue
from scim_api.protocol.quotations import for_okta
from scim_api.protocol.schema.attributes import Attribute, Mutability, ResourceType

_INTEGER_LIMIT = 2**53  # beyond it JSON numbers are not exact everywhere (RFC 8785 §3.2.2.3)
_DATE_TIME = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?(Z|[+-]\d\d:\d\d)?", re.ASCII)
_BASE64 = re.compile(r"[A-Za-z0-9+/_\-\s]*+={0,2}\s*", re.ASCII)
_SHOWN_ERRORS = 5
_INDEX = re.compile(r"\[\d+\]")
_REQUIRED = "is required and must not be empty"
_UNSTORABLE = "must not contain the character U+0000 or half of a surrogate pair"


class Text(fields.Field[str]):
    """Text, kept as it is; nothing that could not be stored and hashed again is let in."""

    expected = "must be text in quotes"

    def _deserialize(self, value: Any, attr: Any, data: Any, **kwargs: Any) -> str:
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

    def _deserialize(self, value: Any, attr: Any, data: Any, **kwargs: Any) -> str:
        text = super()._deserialize(value, attr, data, **kwargs)
        if not _DATE_TIME.fullmatch(text) or not moment_of(text):
            raise ValidationError(self.expected)
        return text


class Binary(Text):
    """Text of the letters of base64 (RFC 7643 §2.3.6); lexical.py looks closer, at new ones."""

    expected = "must be base64 text in quotes"

    def _deserialize(self, value: Any, attr: Any, data: Any, **kwargs: Any) -> str:
        text = super()._deserialize(value, attr, data, **kwargs)
        if not _BASE64.fullmatch(text):
            raise ValidationError(self.expected)
        return text


class Decimal(Text):
    """A decimal number as text, in which normal form keeps it: as JSON it would not be exact."""

    expected = decimals.EXPECTED

    def _deserialize(self, value: Any, attr: Any, data: Any, **kwargs: Any) -> str:
        text = super()._deserialize(value, attr, data, **kwargs)
        if decimal_of(text) is None:
            raise ValidationError(self.expected)
        return text


class Boolean(fields.Field[bool]):
    """A JSON boolean and nothing that resembles one."""

    def _deserialize(self, value: Any, attr: Any, data: Any, **kwargs: Any) -> bool:
        if not isinstance(value, bool):
            raise ValidationError("must be true or false, without quotes")
        return value


class Integer(fields.Field[int]):
    """A whole number that is exact in every JSON implementation."""

    def _deserialize(self, value: Any, attr: Any, data: Any, **kwargs: Any) -> int:
        if not isinstance(value, int) or isinstance(value, bool):
            raise ValidationError("must be a whole number, without quotes")
        if abs(value) >= _INTEGER_LIMIT:
            raise ValidationError("must lie between -(2^53 - 1) and 2^53 - 1")
        return value


class Complex(fields.Field[dict[str, Any]]):
    """One object. Written by hand: a nested schema for each value doubles the time of a load."""

    def __init__(self, attribute: Attribute, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.declaration = attribute
        self.expected = f"must be an object such as {_example(attribute)}"
        writable = [sub for sub in attribute.sub_attributes if not sub.read_only]
        self.parts = {sub.name: _field(sub) for sub in writable}
        self.needed = [sub.name for sub in writable if sub.required]

    def _deserialize(self, value: Any, attr: Any, data: Any, **kwargs: Any) -> dict[str, Any]:
        if not isinstance(value, dict):
            raise ValidationError(self.expected)
        errors = dict(self._errors(value))
        if not kwargs.get("partial"):
            if self.required and not is_given(self.declaration, value):
                raise ValidationError(self.error_messages["required"])
            missing = [name for name in self.needed if value.get(name) is None]
            errors |= {name: [_REQUIRED] for name in missing if value}
        if errors:
            raise ValidationError(errors)
        return value

    def _errors(self, value: dict[str, Any]) -> Iterator[tuple[str, Any]]:
        for name, item in value.items():
            if item is None:
                continue
            try:
                self.parts[name].deserialize(item)
            except ValidationError as error:
                yield name, error.messages


class Values(fields.List[Any]):
    """The values of a multi-valued attribute; None stands for one with nothing in it."""

    def __init__(self, attribute: Attribute, **kwargs: Any) -> None:
        super().__init__(_single(attribute, allow_none=True), **kwargs)
        self.expected = f"must be a list such as {_list_example(attribute)}"
        self.declaration = attribute

    def _deserialize(self, value: Any, attr: Any, data: Any, **kwargs: Any) -> list[Any]:
        if not isinstance(value, list):
            raise ValidationError(self.expected)
        checked = super()._deserialize(value, attr, data, **kwargs)
        some = kwargs.get("partial") or kwargs.get("some")
        if self.required and not some and not is_given(self.declaration, value):
            raise ValidationError(_REQUIRED)
        return checked


def is_given(attribute: Attribute, value: Any) -> bool:
    """Return whether a value is one, where the attribute is required.

    It is not blank; an object, or one of a list, is more than what would describe a value.
    """
    if isinstance(value, list):
        return any(is_given(attribute, item) for item in value)
    if isinstance(value, Mapping):
        return any(not _is_blank(value.get(name)) for name in attribute.substance)
    return not _is_blank(value)


def _is_blank(value: Any) -> bool:
    return value is None or (isinstance(value, str) and not value.strip())


_FIELDS: Mapping[Type, type[fields.Field[Any]]] = {
    Type.STRING: Text,
    Type.REFERENCE: Text,
    Type.BOOLEAN: Boolean,
    Type.DECIMAL: Decimal,
    Type.INTEGER: Integer,
    Type.DATE_TIME: DateTime,
    Type.BINARY: Binary,
}


def check_resource(resource_type: ResourceType, attributes: Mapping[str, Any]) -> None:
    """Check a whole resource in normal form; raises InvalidValue, which names each attribute."""
    errors = _schema(resource_type, frozenset(attributes)).validate(attributes)
    if errors:
        raise _refusal("", errors)


def check_value(
    attribute: Attribute, value: Any, path: str, *, partial: bool = False, some: bool = False
) -> None:
    """Check one attribute's value in normal form; raises InvalidValue.

    One that is `partial` names values by some of their parts, and may lack what is required.
    Only `some` of a list may be none at all where a list is required.
    """
    try:
        _field(attribute).deserialize(value, partial=partial, some=some)
    except ValidationError as error:
        raise _refusal(path, error.messages) from None


def check_parts(attribute: Attribute, value: Any, path: str) -> None:
    """Check some sub-attributes of one value of a complex attribute; raises InvalidValue."""
    try:
        _value_field(attribute).deserialize(value, partial=True)
    except ValidationError as error:
        raise _refusal(path, error.messages) from None


def is_secret(attribute: Attribute) -> bool:
    """Return whether the attribute is accepted and dropped, such as `password`."""
    return attribute.mutability is Mutability.WRITE_ONLY


@lru_cache(maxsize=256)
def _schema(resource_type: ResourceType, keys: frozenset[str]) -> Schema:
    """Return the schema of what is given and what is required.

    Clients give the same attributes again and again; asking for all others takes half the time.
    """
    declared = {
        f"attribute{number}": _field(item.attribute, data_key=key)  # keys hold dots
        for number, (key, item) in enumerate(resource_type.writable.items())
        if (key in keys or item.attribute.required)
        and key != "schemas"
        and not is_secret(item.attribute)
    }
    return Schema.from_dict(declared, name=f"{resource_type.name}Schema")()


@lru_cache(maxsize=4096)
def _field(attribute: Attribute, data_key: str | None = None) -> fields.Field[Any]:
    if attribute.multi_valued:
        field: fields.Field[Any] = Values(attribute, data_key=data_key)
    else:
        field = _single(attribute, data_key=data_key)
    field.required = attribute.required
    field.error_messages["required"] = _missing(attribute)
    return field


def _missing(attribute: Attribute) -> Any:
    """Return what is said where an attribute is missing; of one object, which parts it needs."""
    needed = [sub.name for sub in attribute.sub_attributes if sub.required]
    if attribute.multi_valued or not needed:
        return _REQUIRED
    return {name: [_REQUIRED] for name in needed}


def _single(attribute: Attribute, **kwargs: Any) -> fields.Field[Any]:
    if attribute.type is Type.COMPLEX:
        return Complex(attribute, **kwargs)
    return _FIELDS[attribute.type](**kwargs)


@lru_cache(maxsize=4096)
def _value_field(attribute: Attribute) -> fields.Field[Any]:
    return _single(attribute)


def _example(attribute: Attribute) -> str:
    names = [sub.name for sub in attribute.sub_attributes if not sub.read_only]
    shown = "value" if "value" in names else names[0]
    return f'{{"{shown}": "..."}}'


def _list_example(attribute: Attribute) -> str:
    if attribute.type is not Type.COMPLEX:
        return '["..."]'
    name = attribute.name
    hint = for_okta(f"; in Okta, map {name}.^[primary==true].value and not {name}")
    return f"[{_example(attribute)}]" + (hint if "value" in attribute.subs else "")


def _refusal(path: str, messages: Any) -> InvalidValue:
    faults = list(islice(_faults(path, messages), _SHOWN_ERRORS))
    names = dict.fromkeys(_INDEX.sub("", where) for where, _ in faults)
    return InvalidValue("; ".join(map(" ".join, faults)), attributes=tuple(names))


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


def _is_unicode(text: str) -> bool:
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True
