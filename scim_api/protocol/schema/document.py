"""A schema's JSON document (RFC 7643 §7), strictly checked -> declarations: ours and operators'."""

import re
from collections.abc import Iterable, Mapping
from enum import StrEnum
from typing import Any, TypeVar

import orjson

from ledger.contract import LedgerError
from projections.query.model import Type
from scim_api.protocol.schema.attributes import Attribute, Mutability, Returned, Schema

MAX_FILE = 262_144  # bytes
MAX_ATTRIBUTES = 200  # of a schema; and as many sub-attributes of one attribute
MAX_NAME = 64
MAX_URN = 200
MAX_TEXT = 2000  # characters of a description
MAX_VALUES = 500  # canonical values or reference types

_URN = re.compile(r"urn(:[A-Za-z0-9][A-Za-z0-9._-]*){2,}")
_NAME = re.compile(r"[A-Za-z][A-Za-z0-9_$-]*")
_IN_SCHEMA = ("schemas", "id", "name", "description", "attributes", "meta")
_IN_ATTRIBUTE = (
    *("name", "type", "multiValued", "description", "required", "caseExact", "mutability"),
    *("returned", "uniqueness", "canonicalValues", "referenceTypes", "subAttributes"),
)
_UNIQUE_TYPES = (Type.STRING, Type.REFERENCE, Type.INTEGER, Type.DECIMAL, Type.BINARY)
_EXACT = (Type.REFERENCE, Type.BINARY)  # unless the file says otherwise (RFC 7643 §2.3.6, §2.3.7)
_WITH_CASE = (Type.STRING, *_EXACT)

E = TypeVar("E", bound=StrEnum)


class Uniqueness(StrEnum):
    """Where a value must be unique (RFC 7643 §2.2)."""

    NONE = "none"
    SERVER = "server"
    GLOBAL = "global"


class SchemaRefused(LedgerError):
    """A schema that cannot be served, said in a sentence for the operator who wrote it."""


def read_schema(data: bytes) -> Schema:
    """Read a schema from a file's bytes; raises SchemaRefused."""
    if len(data) > MAX_FILE:
        raise SchemaRefused(f"the schema is larger than {MAX_FILE} bytes")
    try:
        document = orjson.loads(data.removeprefix(b"\xef\xbb\xbf"))  # as editors on Windows write
    except orjson.JSONDecodeError as error:
        raise SchemaRefused(f"this is not JSON: {error}") from None
    return schema_of(document)


def schema_of(document: Any) -> Schema:
    """Turn a schema's document into declarations; raises SchemaRefused."""
    if not isinstance(document, dict):
        raise SchemaRefused("a schema is a JSON object with id, name and attributes")
    schema = _Object(document, "the schema", _IN_SCHEMA)
    return Schema(
        _urn(document.get("id")),
        schema.text("name"),
        schema.text("description", optional=True),
        schema.attributes("attributes"),
    )


def _urn(value: Any) -> str:
    if not isinstance(value, str) or not value:
        raise SchemaRefused('the schema has no id: a URN such as "urn:example:scim:2.0:User"')
    if not _URN.fullmatch(value) or len(value) > MAX_URN:
        raise SchemaRefused(
            f"id {_shown(value)} is not a URN as it is needed here: urn: in small letters, then at"
            " least two parts of letters, digits, dots, hyphens and underscores, with colons"
            f" between; at most {MAX_URN} characters"
        )
    return value


def _attribute(document: Any, place: str, owner: str | None) -> Attribute:
    """Read an attribute, or a sub-attribute of its owner, such as `$ref` (RFC 7643 §2.4)."""
    name = _name_in(document, place, ("$ref",) if owner else ())
    where = f"{owner}.{name}" if owner else name
    attribute = _declared(_Object(document, where, _IN_ATTRIBUTE), name)
    for fault in (*_faults(attribute), *(_inner_faults(attribute) if owner else ())):
        raise SchemaRefused(f"{where} {fault}")
    return attribute


def _name_in(document: Any, place: str, others: tuple[str, ...]) -> str:
    if not isinstance(document, dict):
        raise SchemaRefused(f"{place} must be an object with a name and a type")
    name = document.get("name")
    fits = isinstance(name, str) and len(name) <= MAX_NAME and _NAME.fullmatch(name)
    if not fits and name not in others:
        raise SchemaRefused(
            f"{place}: name {_shown(name)} must begin with a letter and go on with letters, digits,"
            f" hyphens, underscores and dollar signs; at most {MAX_NAME} characters"
        )
    return str(name)


def _declared(item: "_Object", name: str) -> Attribute:
    type_ = item.one_of(Type, "type", Type.STRING)
    if type_ is not Type.COMPLEX and item.document.get("subAttributes"):
        raise SchemaRefused(f"{item.where} has subAttributes, so its type must be complex")
    return Attribute(
        name,
        item.text("description", optional=True),
        type_,
        multi_valued=item.flag("multiValued"),
        required=item.flag("required"),
        case_exact=item.flag("caseExact", type_ in _EXACT) and type_ in _WITH_CASE,
        mutability=item.one_of(Mutability, "mutability", Mutability.READ_WRITE),
        returned=item.one_of(Returned, "returned", Returned.DEFAULT),
        uniqueness=item.one_of(Uniqueness, "uniqueness", Uniqueness.NONE),
        canonical_values=item.texts("canonicalValues"),
        reference_types=item.texts("referenceTypes"),
        sub_attributes=item.attributes("subAttributes") if type_ is Type.COMPLEX else (),
    )


class _Object:
    """An object of the document and its name in sentences; each method reads one member."""

    def __init__(self, document: Mapping[str, Any], where: str, known: tuple[str, ...]) -> None:
        self.document, self.where = document, where
        for member in document:
            if member not in known:
                near = next((name for name in known if name.lower() == member.lower()), None)
                hint = f"write {near}" if near else f"known are {', '.join(known)}"
                raise SchemaRefused(
                    f"{where} has a member {_shown(member)}, which says nothing: {hint}"
                )

    def _refusal(self, member: str, fault: str) -> SchemaRefused:
        return SchemaRefused(f"{self.where}: {member} {fault}")

    def text(self, member: str, *, optional: bool = False) -> str:
        value = self.document.get(member)
        if value is None and optional:
            return ""
        if not isinstance(value, str) or not (value.strip() or optional) or "\0" in value:
            raise self._refusal(member, "must be text in quotes")
        if len(value) > MAX_TEXT:
            raise self._refusal(member, f"is longer than {MAX_TEXT} characters")
        return value

    def texts(self, member: str) -> tuple[str, ...]:
        values = self.document.get(member)
        if values is None:
            return ()
        if not isinstance(values, list) or len(values) > MAX_VALUES:
            raise self._refusal(member, f"must be a list of at most {MAX_VALUES} texts")
        if not all(isinstance(v, str) and 0 < len(v) <= MAX_TEXT and "\0" not in v for v in values):
            raise self._refusal(member, "must hold texts in quotes only")
        return tuple(values)

    def flag(self, member: str, default: bool = False) -> bool:
        value = self.document.get(member, default)
        if not isinstance(value, bool):
            raise self._refusal(member, "must be true or false, without quotes")
        return value

    def one_of(self, kind: type[E], member: str, default: E) -> E:
        value = self.document.get(member, default.value)
        known = [item.value for item in kind]
        if value not in known:
            raise self._refusal(member, f"{_shown(value)} must be one of {', '.join(known)}")
        return kind(value)

    def attributes(self, member: str) -> tuple[Attribute, ...]:
        owner = self.where if member == "subAttributes" else None
        items = self.document.get(member)
        if not isinstance(items, list) or not items:
            raise SchemaRefused(f"{self.where} needs {member}: a list of at least one attribute")
        if len(items) > MAX_ATTRIBUTES:
            raise SchemaRefused(f"{self.where} has more than {MAX_ATTRIBUTES} {member}")
        found = [
            _attribute(item, f"{self.where}, {member}[{i}]", owner) for i, item in enumerate(items)
        ]
        names = [attribute.name.lower() for attribute in found]
        for i, attribute in enumerate(found):
            if names[i] in names[:i]:
                raise SchemaRefused(
                    f"{self.where} declares {attribute.name} twice: upper and lower case do not"
                    " matter"
                )
        return tuple(found)


def _faults(attribute: Attribute) -> Iterable[str]:
    write_only = attribute.write_only
    if attribute.required and (attribute.read_only or write_only):
        yield f"is required and {attribute.mutability}: nobody could supply it"
    if write_only and attribute.returned is not Returned.NEVER:
        yield 'is writeOnly, so "returned" must be "never"'
    if write_only and (attribute.type is not Type.STRING or attribute.multi_valued):
        yield "is writeOnly, so it must be one string: it is taken and dropped like a password"
    if attribute.reference_types and attribute.type is not Type.REFERENCE:
        yield "has referenceTypes, so its type must be reference"
    kept = attribute.type in _UNIQUE_TYPES and not write_only
    if attribute.uniqueness != "none" and (attribute.multi_valued or not kept):
        yield (
            f'cannot have uniqueness "{attribute.uniqueness}": only a single string, reference,'
            " number or binary that is kept can be unique"
        )
    fixed = attribute.sub_attributes and all(sub.read_only for sub in attribute.sub_attributes)
    if fixed and not attribute.read_only:
        yield "needs a sub-attribute that can be written, or must be readOnly itself"


def _inner_faults(sub: Attribute) -> Iterable[str]:
    if sub.type is Type.COMPLEX:
        yield "is complex inside a complex attribute, which RFC 7643 §2.3.8 forbids"
    if sub.multi_valued:
        yield "is multi-valued inside a complex attribute, which cannot be filtered"
    if sub.uniqueness != "none":
        yield f'cannot have uniqueness "{sub.uniqueness}": only a whole attribute can be unique'
    if sub.write_only:
        yield "is writeOnly: only a whole attribute can be taken and dropped"


def _shown(value: Any) -> str:
    text = value if isinstance(value, str) else orjson.dumps(value).decode()
    return f'"{text[:100].encode("ascii", "backslashreplace").decode()}"'
