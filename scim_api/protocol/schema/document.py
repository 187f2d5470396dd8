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
_UNIQUENESS = ("none", "server", "global")
_UNIQUE_TYPES = (Type.STRING, Type.REFERENCE, Type.INTEGER, Type.DECIMAL, Type.BINARY)
_EXACT = (Type.REFERENCE, Type.BINARY)  # unless the file says otherwise (RFC 7643 §2.3.6, §2.3.7)
_WITH_CASE = (Type.STRING, *_EXACT)

E = TypeVar("E", bound=StrEnum)


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
    _only("the schema", document, _IN_SCHEMA)
    return Schema(
        _urn(document.get("id")),
        _text("name", document, "the schema"),
        _text("description", document, "the schema", optional=True),
        _attributes("attributes", document, "the schema"),
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


def _attributes(member: str, document: Mapping[str, Any], where: str) -> tuple[Attribute, ...]:
    items = document.get(member)
    if not isinstance(items, list) or not items:
        raise SchemaRefused(f"{where} needs {member}: a list of at least one attribute")
    if len(items) > MAX_ATTRIBUTES:
        raise SchemaRefused(f"{where} has more than {MAX_ATTRIBUTES} {member}")
    inside = member == "subAttributes"
    found = tuple(
        _attribute(item, f"{where}, {member}[{i}]", inside) for i, item in enumerate(items)
    )
    _must_differ(found, where)
    return found


def _must_differ(attributes: Iterable[Attribute], where: str) -> None:
    seen: set[str] = set()
    for attribute in attributes:
        if attribute.name.lower() in seen:
            raise SchemaRefused(
                f"{where} declares {attribute.name} twice: upper and lower case do not matter"
            )
        seen.add(attribute.name.lower())


def _attribute(document: Any, where: str, inside: bool) -> Attribute:
    if not isinstance(document, dict):
        raise SchemaRefused(f"{where} must be an object with a name and a type")
    name = _name(document.get("name"), where, inside)
    where = name if not inside else f"{where.partition(',')[0]}.{name}"
    _only(where, document, _IN_ATTRIBUTE)
    type_ = _one_of(Type, "type", document, where, Type.STRING)
    attribute = Attribute(
        name,
        _text("description", document, where, optional=True),
        type_,
        multi_valued=_flag("multiValued", document, where),
        required=_flag("required", document, where),
        case_exact=_flag("caseExact", document, where, type_ in _EXACT) and type_ in _WITH_CASE,
        mutability=_one_of(Mutability, "mutability", document, where, Mutability.READ_WRITE),
        returned=_one_of(Returned, "returned", document, where, Returned.DEFAULT),
        uniqueness=_uniqueness(document, where),
        canonical_values=_texts("canonicalValues", document, where),
        reference_types=_texts("referenceTypes", document, where),
        sub_attributes=_subs(type_, document, where),
    )
    _must_be_served(attribute, where, inside)
    return attribute


def _name(value: Any, where: str, inside: bool) -> str:
    if isinstance(value, str) and len(value) <= MAX_NAME and _NAME.fullmatch(value):
        return value
    if inside and value == "$ref":  # as the references of RFC 7643 §2.4 are named
        return "$ref"
    raise SchemaRefused(
        f"{where}: name {_shown(value)} must begin with a letter and go on with letters, digits,"
        f" hyphens, underscores and dollar signs; at most {MAX_NAME} characters"
    )


def _subs(type_: Type, document: Mapping[str, Any], where: str) -> tuple[Attribute, ...]:
    if type_ is Type.COMPLEX:
        return _attributes("subAttributes", document, where)
    if document.get("subAttributes"):
        raise SchemaRefused(f"{where} has subAttributes, so its type must be complex")
    return ()


def _must_be_served(attribute: Attribute, where: str, inside: bool) -> None:
    """Refuse what is good JSON but could not be kept as promised."""
    for sentence in (*_faults(attribute), *(_inner_faults(attribute) if inside else ())):
        raise SchemaRefused(f"{where} {sentence}")


def _faults(attribute: Attribute) -> Iterable[str]:
    write_only = attribute.mutability is Mutability.WRITE_ONLY
    if attribute.required and (attribute.read_only or write_only):
        yield f"is required and {attribute.mutability}: nobody could supply it"
    if write_only and attribute.returned is not Returned.NEVER:
        yield 'is writeOnly, so "returned" must be "never"'
    if write_only and (attribute.type is not Type.STRING or attribute.multi_valued):
        yield "is writeOnly, so it must be one string: it is taken and dropped like a password"
    if attribute.reference_types and attribute.type is not Type.REFERENCE:
        yield "has referenceTypes, so its type must be reference"
    if attribute.uniqueness != "none" and not _can_be_unique(attribute):
        yield (
            f'cannot have uniqueness "{attribute.uniqueness}": only a single string, reference,'
            " number or binary that is kept can be unique"
        )
    fixed = attribute.sub_attributes and all(sub.read_only for sub in attribute.sub_attributes)
    if fixed and not attribute.read_only:
        yield "needs a sub-attribute that can be written, or must be readOnly itself"


def _can_be_unique(attribute: Attribute) -> bool:
    kept = attribute.mutability is not Mutability.WRITE_ONLY
    return kept and attribute.type in _UNIQUE_TYPES and not attribute.multi_valued


def _inner_faults(sub: Attribute) -> Iterable[str]:
    if sub.type is Type.COMPLEX:
        yield "is complex inside a complex attribute, which RFC 7643 §2.3.8 forbids"
    if sub.multi_valued:
        yield "is multi-valued inside a complex attribute, which cannot be filtered"
    if sub.uniqueness != "none":
        yield f'cannot have uniqueness "{sub.uniqueness}": only a whole attribute can be unique'
    if sub.mutability is Mutability.WRITE_ONLY:
        yield "is writeOnly: only a whole attribute can be taken and dropped"


def _only(where: str, document: Mapping[str, Any], known: tuple[str, ...]) -> None:
    for member in document:
        if member not in known:
            near = next((name for name in known if name.lower() == member.lower()), None)
            hint = f"write {near}" if near else f"known are {', '.join(known)}"
            raise SchemaRefused(
                f"{where} has a member {_shown(member)}, which says nothing: {hint}"
            )


def _text(member: str, document: Mapping[str, Any], where: str, *, optional: bool = False) -> str:
    value = document.get(member)
    if value is None and optional:
        return ""
    if not isinstance(value, str) or not (value.strip() or optional) or "\0" in value:
        raise SchemaRefused(f"{where}: {member} must be text in quotes")
    if len(value) > MAX_TEXT:
        raise SchemaRefused(f"{where}: {member} is longer than {MAX_TEXT} characters")
    return value


def _texts(member: str, document: Mapping[str, Any], where: str) -> tuple[str, ...]:
    values = document.get(member)
    if values is None:
        return ()
    if not isinstance(values, list) or len(values) > MAX_VALUES:
        raise SchemaRefused(f"{where}: {member} must be a list of at most {MAX_VALUES} texts")
    if not all(isinstance(v, str) and v and len(v) <= MAX_TEXT and "\0" not in v for v in values):
        raise SchemaRefused(f"{where}: {member} must hold texts in quotes only")
    return tuple(values)


def _flag(member: str, document: Mapping[str, Any], where: str, default: bool = False) -> bool:
    value = document.get(member, default)
    if not isinstance(value, bool):
        raise SchemaRefused(f"{where}: {member} must be true or false, without quotes")
    return value


def _one_of(kind: type[E], member: str, document: Mapping[str, Any], where: str, default: E) -> E:
    value = document.get(member, default.value)
    known = [item.value for item in kind]
    if value not in known:
        raise SchemaRefused(f"{where}: {member} {_shown(value)} must be one of {', '.join(known)}")
    return kind(value)


def _uniqueness(document: Mapping[str, Any], where: str) -> str:
    value = document.get("uniqueness", "none")
    if value not in _UNIQUENESS:
        raise SchemaRefused(
            f"{where}: uniqueness {_shown(value)} must be one of {', '.join(_UNIQUENESS)}"
        )
    return str(value)


def _shown(value: Any) -> str:
    text = value if isinstance(value, str) else orjson.dumps(value).decode()
    return f'"{text[:100].encode("ascii", "backslashreplace").decode()}"'
