"""Attribute paths, the filter tree and its one walk, list queries and pages."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import NamedTuple, TypeVar


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


Leaf = Compare | Present | AnyValue
Filter = Leaf | Not | And | Or
Connective = type[And] | type[Or]

T = TypeVar("T")


def reduce(
    filter: Filter,
    leaf: Callable[[Leaf], T],
    *,
    negate: Callable[[T], T],
    join: Callable[[Connective, Iterator[T]], T],
) -> T:
    """Combine what `leaf` returns for each leaf of a filter; every walk of a filter is this one.

    Terms are walked as `join` takes them from the iterator, so it may stop early.
    """

    def walk(filter: Filter) -> T:
        match filter:
            case Not(term):
                return negate(walk(term))
            case And(terms) | Or(terms):
                return join(type(filter), map(walk, terms))
        return leaf(filter)

    return walk(filter)


def mapped(filter: Filter, leaf: Callable[[Leaf], Filter]) -> Filter:
    """Return a filter with each leaf replaced by what `leaf` returns for it."""

    def join(connective: Connective, terms: Iterator[Filter]) -> Filter:
        return connective(tuple(terms))

    return reduce(filter, leaf, negate=Not, join=join)


def terms_of(filter: Filter) -> int:
    """Return how many comparisons a filter makes."""

    def count(leaf: Leaf) -> int:
        return terms_of(leaf.filter) if isinstance(leaf, AnyValue) else 1

    return reduce(filter, count, negate=int, join=lambda _, counts: sum(counts))


@dataclass(frozen=True, slots=True)
class Mark:
    """The place of a walk by cursor: the last resource's position, and its sort key if sorted."""

    position: int = 0
    key: str | int | float | None = None


START = Mark()


@dataclass(frozen=True, slots=True, kw_only=True)
class Query:
    """A list request; `start_index` counts from 1, `count` is the largest page.

    With `after` the page begins after that mark instead (START: at the beginning).
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
        """Its position and those of its groups: the key of its relations."""
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

    `next` is the mark of the next page in a walk by cursor; None when there is none.
    """

    total: int
    start_index: int
    rows: Sequence[Listed]
    next: Mark | None = None

    @property
    def documents(self) -> list[bytes]:
        return [document for *_, document in self.rows]
