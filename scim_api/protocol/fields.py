"""Marshmallow fields built from the declarations: they read and check a value in one walk.

A field returns the normal form of what a client wrote (declared names, tolerated shapes
straightened, decimals canonical), or None where that is unassigned. Faults are collected as
ValidationErrors; what makes the rest unreadable, or a policy refuses, is raised at once.
"""

import re
from collections.abc import Callable, Mapping
from functools import lru_cache, partial
from typing import Any

from marshmallow import ValidationError, fields

from projections.query.comparison import decimal_of, moment_of
from projections.query.model import Type
from scim_api.protocol import numbers
from scim_api.protocol.attribute_names import part_of
from scim_api.protocol.errors import InvalidValue
from scim_api.protocol.faults import (
    REQUIRED,
    example,
    expected_list,
    faults_of_missing,
    is_given,
    lacking,
)
from scim_api.protocol.multi_valued import check_number
from scim_api.protocol.policy import Tolerances
from scim_api.protocol.schema.attributes import Attribute, AttributeAt
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
_HALF_OF_PAIR = re.compile("[\ud800-\udfff]")
_BOOLEANS = {"true": True, "false": False}
_ROLES = ("roles", "entitlements")  # what Okta may map to one text
_NO_TEXT = "must be text in quotes"
_NO_BASE64 = "must be base64 text in quotes"
_NOT_A_TIME = "must be a date and time in quotes, such as 2026-11-22T20:15:30Z"
_UNSTORABLE = "must not contain the character U+0000 or half of a surrogate pair"


class _Declared(fields.Field[Any]):
    """A field of an attribute; `path` names it in errors."""

    def __init__(self, attribute: Attribute, path: str, *, required: bool) -> None:
        super().__init__(allow_none=True, required=required)
        self.declaration = attribute
        self.path = path

    def _deserialize(self, value: Any, attr: Any, data: Any, **kwargs: Any) -> Any:
        return self.read(value, **kwargs)

    def read(
        self, value: Any, tolerances: Tolerances, *, partial: bool = False, some: bool = False
    ) -> Any:
        """Return the normal form of what was given; raises ValidationError.

        With `partial` it may lack parts that are required, with `some` other values stay. What
        `deserialize` does around it, for validators that no field has, takes as long again.
        """
        raise NotImplementedError


class Single(_Declared):
    """One value of a simple type."""

    def __init__(self, attribute: Attribute, path: str, *, required: bool) -> None:
        super().__init__(attribute, path, required=required)
        self._of_type = self._reader_of(attribute.type)
        self._is_free = self._of_type == self._text and not required  # any text will do

    def _reader_of(self, type_: Type) -> Callable[[Any, Tolerances], Any]:
        match type_:
            case Type.BOOLEAN:
                return _boolean
            case Type.INTEGER:
                return _integer
            case Type.DECIMAL:
                return self._decimal
            case Type.DATE_TIME:
                return partial(self._text, expected=_NOT_A_TIME, has_form=_is_time)
            case Type.BINARY:  # novelty.py is strict with new ones
                return partial(self._text, expected=_NO_BASE64, has_form=_BASE64.fullmatch)
        return self._text

    def read(
        self, value: Any, tolerances: Tolerances, *, partial: bool = False, some: bool = False
    ) -> Any:
        if self._is_free and value and isinstance(value, str):
            if value.isascii() and "\0" not in value:  # as nearly always
                return value
        elif isinstance(value, list):
            value = _plain(out_of_list(value, tolerances))
        if not value and is_unassigned(value, tolerances):
            return None
        return self._of_type(value, tolerances)

    def _text(
        self,
        value: Any,
        _: Tolerances,
        expected: str = _NO_TEXT,
        has_form: Callable[[str], object] | None = None,
    ) -> str:
        """Return a text of a form, as it is, if it can be stored and hashed again."""
        if not isinstance(value, str):
            raise ValidationError(expected)
        if "\0" in value or (not value.isascii() and _HALF_OF_PAIR.search(value)):
            raise ValidationError(_UNSTORABLE)
        if self.required and not value.strip():
            raise ValidationError(REQUIRED)
        if has_form and not has_form(value):
            raise ValidationError(expected)
        return value

    def _decimal(self, value: Any, tolerances: Tolerances) -> str:
        """Return a decimal number as text: as JSON it would not be exact."""
        number = decimal_of(value)
        if number is None:
            self._text(value, tolerances, numbers.EXPECTED)
            raise ValidationError(numbers.EXPECTED)
        if isinstance(value, str) and not tolerances.allow("decimal_strings"):
            raise InvalidValue(
                "value.decimal_in_quotes",
                "{path} must be a number, without quotes",
                path=self.path,
            )
        return numbers.canonical(number)


def _boolean(value: Any, tolerances: Tolerances) -> bool:
    named = _BOOLEANS.get(value.lower()) if isinstance(value, str) else None
    if named is not None and tolerances.allow("boolean_strings"):
        return named
    if not isinstance(value, bool):
        raise ValidationError("must be true or false, without quotes")
    return value


def _integer(value: Any, _: Tolerances) -> int:
    if not isinstance(value, int) or isinstance(value, bool):
        raise ValidationError("must be a whole number, without quotes")
    if abs(value) >= _INTEGER_LIMIT:
        raise ValidationError("must lie between -(2^53 - 1) and 2^53 - 1")
    return value


def _is_time(text: str) -> bool:
    return bool(_DATE_TIME.fullmatch(text) and moment_of(text))


class Complex(_Declared):
    """One object: its sub-attributes by declared name, None for one that is unassigned.

    Written by hand: a nested marshmallow schema for each value doubles the time of a load.
    """

    def __init__(self, attribute: Attribute, path: str, *, required: bool) -> None:
        super().__init__(attribute, path, required=required)
        self.expected = f"must be an object such as {example(attribute)}"
        writable = [sub for sub in attribute.sub_attributes if not sub.read_only]
        self.parts = {sub.name: _field(sub, f"{path}.{sub.name}") for sub in writable}

    def read(
        self, value: Any, tolerances: Tolerances, *, partial: bool = False, some: bool = False
    ) -> Any:
        if not isinstance(value, dict):
            if not self.declaration.multi_valued:
                value = self._alone(value, tolerances)
            if is_unassigned(value, tolerances):
                return None
            if not isinstance(value, dict):
                raise ValidationError(self.expected)
        parts, errors = self._parts_of(value, tolerances)
        if not partial:
            if self.required and not is_given(self.declaration, parts):
                raise ValidationError(faults_of_missing(self.declaration))
            if self.declaration.required_parts:
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

    def _parts_of(
        self, value: Mapping[str, Any], tolerances: Tolerances
    ) -> tuple[dict[str, Any], dict[Any, Any]]:
        """Return the parts, as they were sent where they are faulty, and the faults."""
        parts: dict[str, Any] = {}
        errors: dict[Any, Any] = {}
        for name, item in value.items():
            known = name if name in self.parts else self._known(name, value, tolerances)
            if known in parts:
                raise given_twice(f"{self.path}.{known}")
            if known:
                try:
                    parts[known] = self.parts[known].read(item, tolerances)
                except ValidationError as error:
                    parts[known], errors[known] = item, error.messages
        return parts, errors

    def _known(self, name: str, siblings: Mapping[str, Any], tolerances: Tolerances) -> str | None:
        """Return the declared name of a part that a client may write; None for one to ignore."""
        sub = self.declaration.subs.get(name.lower()) or self._older(name, siblings, tolerances)
        if sub is None:
            ignore(f"{self.path}.{name}", tolerances)
        return None if sub is None or sub.read_only else sub.name  # RFC 7644 §3.3, §3.5.1

    def _older(
        self, name: str, siblings: Mapping[str, Any], tolerances: Tolerances
    ) -> Attribute | None:
        """Find a sub-attribute by an older name, where the present one is not given."""
        if any(sibling.lower() == "value" for sibling in siblings):
            return None
        return part_of(self.declaration, name, tolerances)


class Values(_Declared):
    """The values of a multi-valued attribute; None or {} stands for an entry with nothing in it."""

    def __init__(self, attribute: Attribute, path: str, *, required: bool) -> None:
        super().__init__(attribute, path, required=required)
        self.entry = _single(attribute, path)
        self.expected = expected_list(attribute)

    def read(
        self, value: Any, tolerances: Tolerances, *, partial: bool = False, some: bool = False
    ) -> Any:
        if not isinstance(value, list):
            value = self._listed(value, tolerances)
        if not value:  # unassigned as well (RFC 7643 §2.5)
            return None
        check_number(value, self.path)
        values: list[Any] = []
        errors: dict[Any, Any] = {}
        for place, item in enumerate(value):
            try:
                values.append(self.read_entry(item, tolerances, partial=partial, some=some))
            except ValidationError as error:
                errors[place] = error.messages
        if errors:
            raise ValidationError(errors)
        if self.required and not (partial or some) and not is_given(self.declaration, values):
            raise ValidationError(REQUIRED)
        return values

    def _listed(self, value: Any, tolerances: Tolerances) -> list[Any] | None:
        """Return the list that something else stands for, by policy; None for nothing."""
        value = decoded(value, tolerances, self.path)
        if is_nothing(value, tolerances):
            return None
        if isinstance(value, str | dict) and tolerances.allow(self._alone(value)):
            value = [value]
        if not isinstance(value, list):
            raise ValidationError([self.expected])
        return value

    def _alone(self, value: str | dict[str, Any]) -> str:
        """Return the setting that tolerates one value without a list where a list is due."""
        if isinstance(value, dict):
            return "values_as_strings"
        return "roles_as_text" if self.declaration.name in _ROLES else "text_as_list"

    def read_entry(
        self, value: Any, tolerances: Tolerances, *, partial: bool = False, some: bool = False
    ) -> Any:
        """Return one of the values; raises ValidationError."""
        if not isinstance(value, dict):
            value = self._as_entry(value, tolerances)
        return self.entry.read(value, tolerances, partial=partial, some=some)

    def _as_entry(self, value: Any, tolerances: Tolerances) -> Any:
        """Return the entry that a text stands for, by policy; any other value as it is."""
        if self.declaration.type is Type.COMPLEX:
            value = decoded(value, tolerances, self.path)
        takes_text = "value" in self.declaration.subs and isinstance(value, str) and value
        if takes_text and tolerances.allow("values_as_strings"):
            value = {"value": value}
        return value


def _single(attribute: Attribute, path: str, *, required: bool = False) -> Single | Complex:
    made = Complex if attribute.type is Type.COMPLEX else Single
    return made(attribute, path, required=required)


def _field(attribute: Attribute, path: str) -> _Declared:
    if attribute.multi_valued:
        return Values(attribute, path, required=attribute.required)
    return _single(attribute, path, required=attribute.required)


def field_of(declared: AttributeAt, sub: Attribute | None = None) -> Any:
    """Return the field that reads an attribute, or a sub-attribute of one of its values."""
    return _field_at(declared.key, declared.attribute, sub)


@lru_cache(maxsize=4096)
def _field_at(key: str, attribute: Attribute, sub: Attribute | None) -> _Declared:
    return _field(sub, f"{key}.{sub.name}") if sub else _field(attribute, key)


def _plain(value: Any) -> Any:
    """Return the `value` of an object that stood in a list where a plain value is due."""
    given = {name.lower(): item for name, item in value.items()} if isinstance(value, dict) else {}
    return given.get("value", value)
