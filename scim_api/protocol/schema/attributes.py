"""Attribute declarations: characteristics, schemas, finding an attribute by any spelling."""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from functools import cached_property
from typing import Any

from projections.query.model import Path, Type

DESCRIBING = frozenset(("type", "primary", "display"))  # of a value (RFC 7643 §2.4)


class Mutability(StrEnum):
    """When an attribute may be written (RFC 7643 §2.2)."""

    READ_ONLY = "readOnly"
    READ_WRITE = "readWrite"
    IMMUTABLE = "immutable"
    WRITE_ONLY = "writeOnly"


class Returned(StrEnum):
    """When an attribute is part of an answer (RFC 7643 §2.2)."""

    ALWAYS = "always"
    NEVER = "never"
    DEFAULT = "default"
    REQUEST = "request"


@dataclass(frozen=True, eq=False)  # a declaration equals itself only, which hashes at once
class Attribute:
    """One attribute with its characteristics; the defaults are those of RFC 7643 §2.2."""

    name: str
    description: str
    type: Type = Type.STRING
    multi_valued: bool = False
    required: bool = False
    case_exact: bool = False
    mutability: Mutability = Mutability.READ_WRITE
    returned: Returned = Returned.DEFAULT
    uniqueness: str = "none"
    canonical_values: tuple[str, ...] = ()
    reference_types: tuple[str, ...] = ()
    sub_attributes: tuple["Attribute", ...] = ()

    @cached_property
    def subs(self) -> dict[str, "Attribute"]:
        """Sub-attributes by lower-case name."""
        return {sub.name.lower(): sub for sub in self.sub_attributes}

    @cached_property
    def substance(self) -> frozenset[str]:
        """The sub-attributes that hold a value, not only a description of it."""
        names = frozenset(sub.name for sub in self.sub_attributes)
        return names - DESCRIBING or names

    @property
    def unshown(self) -> bool:
        """Whether a GET shows it only on request, or never."""
        return self.returned in (Returned.NEVER, Returned.REQUEST)

    @cached_property
    def unshown_parts(self) -> frozenset[str]:
        """The sub-attributes that a GET shows only on request, or never."""
        return frozenset(sub.name for sub in self.sub_attributes if sub.unshown)

    @cached_property
    def required_parts(self) -> tuple[str, ...]:
        """The sub-attributes that every value must have."""
        return tuple(sub.name for sub in self.sub_attributes if sub.required)

    @cached_property
    def fixed_parts(self) -> tuple[str, ...]:
        """The sub-attributes that cannot be changed once they have a value."""
        subs = self.sub_attributes
        return tuple(sub.name for sub in subs if sub.mutability is Mutability.IMMUTABLE)

    @cached_property
    def read_only(self) -> bool:
        return self.mutability is Mutability.READ_ONLY

    @cached_property
    def write_only(self) -> bool:
        """Whether it is accepted and dropped, as `password` is."""
        return self.mutability is Mutability.WRITE_ONLY

    @cached_property
    def has_decimals(self) -> bool:
        """Whether decimal numbers, kept as text, are shown in its values as JSON numbers."""
        return self.type is Type.DECIMAL or any(sub.has_decimals for sub in self.sub_attributes)

    @cached_property
    def uneven(self) -> bool:
        """Whether some sub-attributes are returned at other times than others."""
        return any(sub.returned is not Returned.DEFAULT for sub in self.sub_attributes)


@dataclass(frozen=True, eq=False)
class Schema:
    """A SCIM schema (RFC 7643 §7): its URN and the attributes it declares."""

    id: str
    name: str
    description: str
    attributes: tuple[Attribute, ...]

    @cached_property
    def by_name(self) -> dict[str, Attribute]:
        """Attributes by lower-case name."""
        return {attribute.name.lower(): attribute for attribute in self.attributes}


@dataclass(frozen=True)
class AttributeAt:
    """An attribute where a resource type declares it: `key` is its name in payloads."""

    key: str
    steps: tuple[str, ...]
    attribute: Attribute

    def path(self, sub: Attribute | None = None) -> Path:
        """Return the bound path of the attribute, or of one of its sub-attributes."""
        target = sub or self.attribute
        return Path(
            key=self.key,
            steps=self.steps,
            sub=sub.name if sub else None,
            type=target.type,
            many=self.attribute.multi_valued,
            case_exact=target.case_exact,
        )


@dataclass(frozen=True, eq=False)
class ResourceType:
    """A kind of resource, its endpoint and schemas (RFC 7643 §6)."""

    name: str
    endpoint: str
    description: str
    schema: Schema
    extensions: tuple[Schema, ...] = ()
    common: tuple[Attribute, ...] = field(default=(), repr=False)
    name_attribute: str = "displayName"  # required, and unique whatever its case
    defaults: Mapping[str, Any] = field(default_factory=dict, repr=False)  # of a new resource

    @cached_property
    def declared(self) -> dict[str, AttributeAt]:
        """Every attribute a client may write or read, by payload key, core before extensions."""
        return {item.key: item for item in self._declare()}

    def _declare(self) -> Iterator[AttributeAt]:
        for attribute in (*self.common, *self.schema.attributes):
            yield AttributeAt(attribute.name, (attribute.name,), attribute)
        for extension in self.extensions:
            for attribute in extension.attributes:
                key = f"{extension.id}:{attribute.name}"
                yield AttributeAt(key, (extension.id, attribute.name), attribute)

    @cached_property
    def _by_folded_key(self) -> dict[str, AttributeAt]:
        folded = {key.lower(): item for key, item in self.declared.items()}
        prefix = self.schema.id.lower()
        own = {
            f"{prefix}:{key}": item for key, item in folded.items() if not key.startswith("urn:")
        }
        return {**folded, **own}

    @cached_property
    def _extensions_by_urn(self) -> dict[str, Schema]:
        return {extension.id.lower(): extension for extension in self.extensions}

    @cached_property
    def plain(self) -> dict[str, Path]:
        """The paths of attributes that are one text each, by name in small letters."""
        return {
            name: item.path()
            for name, item in self._by_folded_key.items()
            for attribute in [item.attribute]
            if attribute.type is Type.STRING
            and not (attribute.multi_valued or attribute.sub_attributes or attribute.write_only)
            and attribute.returned is not Returned.NEVER
        }

    def find(self, name: str) -> AttributeAt | None:
        """Find an attribute by name or by URN and name, in any case (RFC 7643 §2.1, §3.10)."""
        return self._by_folded_key.get(name.lower())

    def find_path(self, text: str) -> tuple[AttributeAt, Attribute | None] | None:
        """Find `name`, `name.sub`, `urn:name` or `urn:name.sub`; a URN may itself hold dots."""
        whole = self.find(text)
        if whole:
            return whole, None
        head, dot, tail = text.rpartition(".")
        declared = self.find(head) if dot else None
        sub = declared.attribute.subs.get(tail.lower()) if declared else None
        return (declared, sub) if declared and sub else None

    def absent(self, _: str) -> AttributeAt | None:
        """Return what stands for an undeclared attribute: of one type nothing, it is a mistake."""
        return None

    def find_extension(self, urn: str) -> Schema | None:
        """Find one of the type's schema extensions by its URN, in any case."""
        return self._extensions_by_urn.get(urn.lower())

    def find_schema(self, urn: str) -> Schema | None:
        """Find the type's own schema or one of its extensions by URN, in any case."""
        own = urn.lower() == self.schema.id.lower()
        return self.schema if own else self.find_extension(urn)

    @cached_property
    def writable(self) -> dict[str, AttributeAt]:
        """What a client may write, by payload key."""
        return {key: item for key, item in self.declared.items() if not item.attribute.read_only}

    @cached_property
    def required(self) -> dict[str, AttributeAt]:
        """What a client must give, by payload key; `schemas` has rules of its own."""
        found = self.writable.items()
        return {key: item for key, item in found if item.attribute.required and key != "schemas"}

    @cached_property
    def structured(self) -> frozenset[str]:
        """The keys of attributes with several values or parts."""
        return frozenset(
            key
            for key, item in self.declared.items()
            if item.attribute.multi_valued or item.attribute.type is Type.COMPLEX
        )

    @cached_property
    def reshaped(self) -> bool:
        """Whether answers differ from the stored document."""
        return bool(self.withheld) or self.has_decimals

    @cached_property
    def has_decimals(self) -> bool:
        """Whether decimal numbers, kept as text, are shown of it as JSON numbers."""
        return any(item.attribute.has_decimals for item in self.declared.values())

    @cached_property
    def withheld(self) -> frozenset[str]:
        """The keys of stored attributes that are shown, wholly or in part, on request or never."""
        return frozenset(
            key
            for key, item in self.declared.items()
            if item.attribute.mutability is not Mutability.WRITE_ONLY  # taken and dropped
            and key != "members"  # which answers add apart
            and (item.attribute.unshown or item.attribute.unshown_parts)
        )


class Records(ResourceType):
    """Records that are no SCIM resources, such as events: filters over them are read alike.

    Their attributes are few and in no RFC, so a refusal of an unknown one names them.
    """

    @classmethod
    def of(cls, name: str, description: str, *attributes: Attribute) -> "Records":
        """Declare records by their attributes."""
        return cls(name, "", description, Schema("", name, description, attributes))

    @property
    def names(self) -> str:
        """The names of the attributes, for people."""
        return ", ".join(self.declared)


# What no resource has: no document holds an empty name.
ABSENT = AttributeAt("", ("",), Attribute("", "An attribute that is nowhere.", multi_valued=True))

_NAME = re.compile(r"(urn:[\w.:-]+:)?[a-z$][\w$-]*(\.[a-z$][\w$-]*)?", re.ASCII | re.IGNORECASE)


class AllTypes(ResourceType):
    """Several resource types as one, for queries across them (RFC 7644 §3.4.2.1, §3.4.3).

    An attribute that several types declare is the same attribute; one that a resource's own type
    does not declare is one that the resource does not have. So is one that no type declares.
    """

    types: tuple[ResourceType, ...]

    @classmethod
    def of(cls, types: tuple[ResourceType, ...]) -> "AllTypes":
        """Return the types as one."""
        extensions = dict.fromkeys(each for one in types for each in one.extensions)
        schema = types[0].schema
        joined = cls("resource", "", "Resources of every type.", schema, tuple(extensions))
        object.__setattr__(joined, "types", types)
        return joined

    @cached_property
    def _by_folded_key(self) -> dict[str, AttributeAt]:
        found: dict[str, AttributeAt] = {}
        for resource_type in reversed(self.types):
            found |= resource_type._by_folded_key
        return found

    def absent(self, name: str) -> AttributeAt | None:
        """Return what stands for an attribute that no type has; None for what can be no name."""
        return ABSENT if _NAME.fullmatch(name) else None
