"""The meaning of filters, evaluated in memory over one SCIM document.

Where RFC 7644 §3.4.2.2 is silent: `ne` is exactly the opposite of `eq`, so it holds for an absent
attribute, and for a multi-valued one when no value is equal. An absent (or empty) multi-valued
attribute is like one absent value. A value of the wrong type equals nothing. A value without
`primary` compares as one whose `primary` is false (RFC 7643 §2.4); `pr` and null ask what is there.
"""

import operator
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any

from projections.query.comparison import comparable, missing
from projections.query.model import (
    And,
    Compare,
    Connective,
    Filter,
    Leaf,
    Operator,
    Path,
    Present,
    reduce,
)

Test = Callable[[Any], bool]

_TESTS: Mapping[Operator, Callable[[Any, Any], bool]] = {
    Operator.EQ: operator.eq,
    Operator.CO: operator.contains,
    Operator.SW: str.startswith,
    Operator.EW: str.endswith,
    Operator.GT: operator.gt,
    Operator.GE: operator.ge,
    Operator.LT: operator.lt,
    Operator.LE: operator.le,
}


def matches(filter: Filter, subject: Any) -> bool:
    """Return whether a document, or one value for a filter in brackets, satisfies a filter."""
    return matcher(filter)(subject)


def matcher(filter: Filter) -> Test:
    """Return a filter as a function, for many subjects."""

    def leaf(leaf: Leaf) -> Test:
        if isinstance(leaf, Compare):
            absent = None if leaf.value is None else missing(leaf.path)
            return lambda subject: _compare(leaf, values(leaf.path, subject, absent))
        path = leaf.path
        if isinstance(leaf, Present):
            return lambda subject: any(map(_is_present, values(path, subject)))
        inner = matcher(leaf.filter)
        return lambda subject: any(map(inner, _entries(_reach(path, subject))))

    def negated(test: Test) -> Test:
        return lambda subject: not test(subject)

    def joined(connective: Connective, tests: Iterator[Test]) -> Test:
        every, combined = tuple(tests), all if connective is And else any
        return lambda subject: combined(test(subject) for test in every)

    return reduce(filter, leaf, negate=negated, join=joined)


def _compare(compare: Compare, values: Iterable[Any]) -> bool:
    if compare.operator is Operator.NE:
        return not _compare(Compare(compare.path, Operator.EQ, compare.value), values)
    if compare.value is None:
        return compare.operator is Operator.EQ and any(value is None for value in values)
    wanted = comparable(compare.path, compare.operator, compare.value)
    found = (comparable(compare.path, compare.operator, value) for value in values)
    test = _TESTS[compare.operator]
    return wanted is not None and any(test(key, wanted) for key in found if key is not None)


def _is_present(value: Any) -> bool:
    """Return whether there is a value, or for a complex attribute any within (False is a value)."""
    if isinstance(value, Mapping):
        return any(_is_present(item) for item in value.values())
    if isinstance(value, list | tuple):
        return any(_is_present(item) for item in value)
    return value is not None and value != ""


def values(path: Path, subject: Any, absent: Any = None) -> Sequence[Any]:
    """Return the values a path leads to; an absent attribute is one absent value.

    `absent` is the value of a missing part of a value that is there.
    """
    found = _reach(path, subject)
    entries = _entries(found) if path.many else (found,)
    parts = (_sub(entry, path.sub) for entry in entries)
    return [absent if part is None else part for part in parts] or (None,)


def _reach(path: Path, subject: Any) -> Any:
    for step in path.steps:
        subject = _sub(subject, step)
    return subject


def _entries(found: Any) -> Sequence[Any]:
    return found if isinstance(found, list | tuple) else ()


def _sub(value: Any, name: str | None) -> Any:
    if name is None:
        return value
    return value.get(name) if isinstance(value, Mapping) else None
