"""What can be asked of a projection: bound attribute paths, the filter tree, queries and pages."""

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import NamedTuple


class Type(StrEnum):
    """SCIM attribute data types (RFC 7643 §2.3)."""

    STRING = "string"
    BOOLEAN = "boolean"
    DECIMAL = "decimal"
    INTEGER = "integer"
    DATE_TIME = "dateTime"
    BINARY = "binary"
    REFERENCE = "reference"
    COMPLEX = "complex"


@dataclass(frozen=True, slots=True)
class Path:
    """One attribute, or one sub-attribute, found in the declarations and spelled as they spell it.

    `key` names the attribute in payloads; `steps` lead to it in a document, `sub` into it.
    Inside brackets (`emails[...]`) a path is relative to one value: no steps, only `sub`
    (None there means the value itself, as in `schemas[value eq "urn:..."]`).
    """

    key: str
    steps: tuple[str, ...]
    sub: str | None
    type: Type
    many: bool
    case_exact: bool


class Operator(StrEnum):
    """Comparison operators of RFC 7644 §3.4.2.2 (table 3), `pr` aside."""

    EQ = "eq"
    NE = "ne"
    CO = "co"
    SW = "sw"
    EW = "ew"
    GT = "gt"
    GE = "ge"
    LT = "lt"
    LE = "le"


@dataclass(frozen=True, slots=True)
class Compare:
    """`path op value`; the value is as payloads keep it (decimals as text), or None for null."""

    path: Path
    operator: Operator
    value: str | bool | int | float | None


@dataclass(frozen=True, slots=True)
class Present:
    """`path pr`."""

    path: Path


@dataclass(frozen=True, slots=True)
class Not:
    term: "Filter"


@dataclass(frozen=True, slots=True)
class And:
    terms: tuple["Filter", ...]


@dataclass(frozen=True, slots=True)
class Or:
    terms: tuple["Filter", ...]


@dataclass(frozen=True, slots=True)
class AnyValue:
    """`path[filter]`: at least one value of a multi-valued attribute satisfies the filter."""

    path: Path
    filter: "Filter"


Filter = Compare | Present | Not | And | Or | AnyValue


def terms_of(filter: Filter) -> int:
    """Return how many comparisons a filter makes."""
    match filter:
        case Not(term):
            return terms_of(term)
        case And(terms) | Or(terms):
            return sum(map(terms_of, terms))
        case AnyValue():
            return terms_of(filter.filter)
    return 1


@dataclass(frozen=True, slots=True)
class Mark:
    """Where a walk by cursor stands: the last resource's position, and its sort key if sorted."""

    position: int = 0
    key: str | int | float | None = None


START = Mark()


@dataclass(frozen=True, slots=True, kw_only=True)
class Query:
    """A list request; `start_index` counts from 1, `count` is the page's most.

    With `after` the page begins behind that mark instead (START: at the beginning).
    """

    filter: Filter | None = None
    sort_by: Path | None = None
    descending: bool = False
    start_index: int = 1
    count: int = 100
    after: Mark | None = None


class Stored(NamedTuple):
    """A resource's row: its document is without base URL, groups and members."""

    position: int
    id: str
    type: str
    version: int
    grouped: str | None  # the positions of the groups that it is a direct member of
    document: bytes

    @property
    def place(self) -> tuple[int, str | None]:
        """Its position and its groups': what relations are asked for by."""
        return self.position, self.grouped

    @property
    def etag(self) -> str:
        """The weak entity tag of RFC 7644 §3.14."""
        return f'W/"{self.version}"'


# A resource in a list: position, type, the positions of its groups, and its stored document.
# A plain tuple: a page has a hundred of them.
Listed = tuple[int, str, str | None, bytes]


@dataclass(frozen=True, slots=True)
class Page:
    """The rows of one page, and how many resources match in all.

    `next` is where the next page begins in a walk by cursor; None when there is none.
    """

    total: int
    start_index: int
    rows: Sequence[Listed]
    next: Mark | None = None

    @property
    def documents(self) -> list[bytes]:
        """The stored documents."""
        return [document for *_, document in self.rows]
