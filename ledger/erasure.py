"""Forgetting: legal holds, the Erased event with the payloads it takes, what is to be purged."""

import re
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

from ledger.contract import Append, LedgerError, StreamErased
from ledger.events import ERASED, HOLD_PLACED, HOLD_RELEASED, Event, Metadata, Recorded
from ledger.sqlite.connection import Connection, json_list
from ledger.sqlite.ledger import SQLiteLedger, events_where, stream_version

_SHORT = re.compile(r"[A-Za-z0-9._:#/-]{1,64}")
HOLD = "Hold-"  # before the id of what is held, in the name of the holds' stream


@dataclass(frozen=True, slots=True)
class Order:
    """Why something is done, and where that was decided; both stay for ever and name nobody."""

    reason: str
    ticket: str

    def entries(self) -> dict[str, str]:
        """Return it as a payload has it."""
        return {"reason": self.reason, "ticket": self.ticket}


def is_short_form(text: str) -> bool:
    """Return whether a text can be a reason or a ticket: no free text, in which a name could be."""
    return _SHORT.fullmatch(text) is not None


@dataclass(frozen=True, slots=True)
class Hold:
    """A legal hold in force: what `subject` is the id of may not be erased; its ticket names it."""

    subject: str
    order: Order
    position: int
    at: str


class Held(LedgerError):
    """What was to be erased is under legal holds; nothing was written."""

    def __init__(self, holds: Sequence[Hold]) -> None:
        tickets = ", ".join(hold.order.ticket for hold in holds)
        super().__init__(
            f"{holds[0].subject} is under a legal hold ({tickets}); nothing was erased"
        )
        self.holds = holds


class NotHeld(LedgerError):
    """No legal hold of this ticket is in force."""

    def __init__(self, subject: str, ticket: str, others: Sequence[str]) -> None:
        named = ", ".join(others) or "none"
        super().__init__(f"{subject} is under no legal hold of ticket {ticket}; in force: {named}")


def holds_on(connection: Connection, subject: str) -> list[Hold]:
    """Return the legal holds in force on what has an id, oldest first."""
    where = "stream = ? ORDER BY version"
    return _in_force(events_where(connection, where, (f"{HOLD}{subject}",)))


def all_holds(connection: Connection) -> list[Hold]:
    """Return every legal hold in force, oldest first."""
    where = "stream > 'Hold-' AND stream < 'Hold.' ORDER BY position"  # by the index of streams
    return _in_force(events_where(connection, where, ()))


def _in_force(events: Iterable[Recorded]) -> list[Hold]:
    holds: dict[tuple[str, str], Hold] = {}
    for recorded in events:
        order = Order(recorded.effects["reason"], recorded.effects["ticket"])
        key = recorded.subject, order.ticket
        if recorded.type == HOLD_PLACED:
            holds[key] = Hold(recorded.subject, order, recorded.position, recorded.at)
        else:
            holds.pop(key, None)
    return list(holds.values())


def place_hold(ledger: SQLiteLedger, stream: str, order: Order, metadata: Metadata) -> bool:
    """Forbid the erasure of a stream; tell whether it was not yet forbidden by this ticket.

    Raises StreamErased when it is too late.
    """
    subject = stream.partition("-")[2]

    def decide(connection: Connection) -> Sequence[Append]:
        if erasure_of(connection, stream):
            raise StreamErased(stream)
        if order.ticket in _tickets(holds_on(connection, subject)):
            return ()
        return [_about_holds(connection, subject, Event(HOLD_PLACED, order.entries()))]

    with ledger.deciding(decide, metadata) as (_, recorded):
        return bool(recorded)


def release_hold(ledger: SQLiteLedger, subject: str, order: Order, metadata: Metadata) -> None:
    """Lift the hold that the order's ticket names; raises NotHeld."""

    def decide(connection: Connection) -> Sequence[Append]:
        tickets = _tickets(holds_on(connection, subject))
        if order.ticket not in tickets:
            raise NotHeld(subject, order.ticket, tickets)
        return [_about_holds(connection, subject, Event(HOLD_RELEASED, order.entries()))]

    with ledger.deciding(decide, metadata):
        pass


def _about_holds(connection: Connection, subject: str, event: Event) -> Append:
    """Append to a stream beside the subject's own: its ETag stays, and payloads outlive it."""
    stream = f"{HOLD}{subject}"
    return Append(stream, stream_version(connection, stream), [event])


def _tickets(holds: Iterable[Hold]) -> list[str]:
    return [hold.order.ticket for hold in holds]


def erasure_of(connection: Connection, stream: str) -> int | None:
    """Return the position of the event that erased a stream, None if nothing did."""
    row = connection.execute(
        "SELECT position, type FROM event WHERE stream = ? ORDER BY version DESC LIMIT 1", (stream,)
    ).fetchone()
    return row[0] if row and row[1] == ERASED else None


Departures = Callable[[Connection], Sequence[Append]]


def erase(
    ledger: SQLiteLedger,
    stream: str,
    order: Order,
    metadata: Metadata,
    departures: Departures = lambda _: (),
) -> Recorded:
    """Forget the payloads of a stream, by an Erased event; what projections follow is gone with it.

    `departures` tells what is to be recorded before in other streams. That the files are to be
    purged of it is noted in the same transaction. Raises Held, or StreamErased.
    """

    def decide(connection: Connection) -> Sequence[Append]:
        if holds := holds_on(connection, stream.partition("-")[2]):
            raise Held(holds)
        version = stream_version(connection, stream)
        event = Event(ERASED, {**order.entries(), "payloads": version})
        return [*departures(connection), Append(stream, version, [event])]

    with ledger.deciding(decide, metadata) as (connection, recorded):
        erased = recorded[-1]
        _forget(connection, erased)
        connection.execute("INSERT INTO purge VALUES (?)", (erased.position,))
    return erased


def _forget(connection: Connection, erased: Recorded) -> None:
    connection.execute(
        "UPDATE payload SET body = NULL, salt = NULL, erased_by = ? WHERE position IN"
        " (SELECT position FROM event WHERE stream = ? AND version < ?)",
        (erased.position, erased.stream, erased.version),
    )


def unfinished(connection: Connection) -> dict[int, str]:
    """Return the streams that were erased while the files are not purged yet, by position."""
    return dict(
        connection.execute("SELECT position, stream FROM purge JOIN event USING (position)")
    )


def finish(ledger: SQLiteLedger, positions: Iterable[int]) -> None:
    """Note that the files are purged of what some Erased events took."""
    with ledger.writing() as connection:
        connection.execute(
            "DELETE FROM purge WHERE position IN (SELECT value FROM json_each(?))",
            (json_list(positions),),
        )
