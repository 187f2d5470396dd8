"""What is known of a filter over events before it is asked: positions, and whether it finds few."""

from collections.abc import Callable

from projections.query.comparison import SUBSTRING
from projections.query.model import And, Compare, Filter, Not, Operator, Or, Path, Type

POSITION = Path("position", ("position",), None, Type.INTEGER, many=False, case_exact=False)

# Equal to one value of these are few events.
FEW = frozenset({"position", "stream", "txn", "requestId", "userName"})

FirstAt = Callable[[str, bool], int]


def finds_few(filter: Filter) -> bool:
    """Return whether an index of what few events share finds all that a filter finds."""
    match filter:
        case Compare(path, Operator.EQ, value):
            return path.key in FEW and value is not None
        case And(terms):
            return any(map(finds_few, terms))
        case Or(terms):
            return all(map(finds_few, terms))
    return False


def by_position(filter: Filter, first_at: FirstAt) -> Filter:
    """Put positions in place of the times that a filter compares with: both grow together."""
    match filter:
        case Compare(path, operator, str(moment)) if path.key == "at":
            return filter if operator in SUBSTRING else _timed(operator, moment, first_at)
        case Not(term):
            return Not(by_position(term, first_at))
        case And(terms) | Or(terms):
            return type(filter)(tuple(by_position(term, first_at) for term in terms))
    return filter


def _timed(operator: Operator, moment: str, first_at: FirstAt) -> Filter:
    match operator:
        case Operator.GE | Operator.LT:
            return Compare(POSITION, operator, first_at(moment, False))
        case Operator.GT:
            return Compare(POSITION, Operator.GE, first_at(moment, True))
        case Operator.LE:
            return Compare(POSITION, Operator.LT, first_at(moment, True))
        case Operator.NE:
            return Not(_timed(Operator.EQ, moment, first_at))
    within_it = (_timed(Operator.GE, moment, first_at), _timed(Operator.LE, moment, first_at))
    return And(within_it)


def bounds(filter: Filter, span: range) -> range:
    """Return the part of a span of positions in which is all that a filter finds.

    SQLite takes only one bound of two; without this the events of one day cost those of all.
    """
    match filter:
        case Compare(path, operator, int(position)) if path.key == POSITION.key:
            return _bounded(operator, position, span)
        case And(terms):
            for term in terms:
                span = bounds(term, span)
            return span
        case Or(terms):
            parts = [part for term in terms if (part := bounds(term, span))]
            return range(
                min((part.start for part in parts), default=span.start),
                max((part.stop for part in parts), default=span.start),
            )
    return span


def _bounded(operator: Operator, position: int, span: range) -> range:
    low, high = span.start, span.stop
    if operator in (Operator.EQ, Operator.GE):
        low = max(low, position)
    if operator is Operator.GT:
        low = max(low, position + 1)
    if operator in (Operator.EQ, Operator.LE):
        high = min(high, position + 1)
    if operator is Operator.LT:
        high = min(high, position)
    return range(low, high)
