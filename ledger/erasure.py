"""Legal holds, and the Erased event that they can prevent."""

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from ledger.contract import Append, Connection, Decide, Ledger, LedgerError, StreamErased
from ledger.events import ERASED, HOLD_PLACED, HOLD_RELEASED, Event, Metadata, Recorded

_SHORT = re.compile(r"[A-Za-z0-9._:#/-]{1,64}")
HOLD = "Hold"  # the category of the streams of holds


@dataclass(frozen=True, slots=True)
class Justification:
    """Why something is done, and where it was decided. Both stay for ever and must name nobody."""

    reason: str
    ticket: str

    def entries(self) -> dict[str, str]:
        """Return the entries of a payload."""
        return {"reason": self.reason, "ticket": self.ticket}


def is_short_form(text: str) -> bool:
    """Return whether a text can be a reason or a ticket: free text could contain a name."""
    return _SHORT.fullmatch(text) is not None


@dataclass(frozen=True, slots=True)
class Hold:
    """A legal hold in force on the resource with the id `subject`; its ticket identifies it."""

    subject: str
    why: Justification
    position: int
    at: str


class Held(LedgerError):
    """The resource is under legal holds; nothing was erased."""


class NotHeld(LedgerError):
    """No legal hold of this ticket is in force."""


def holds_on(ledger: Ledger, subject: str) -> list[Hold]:
    """Return the legal holds in force on a resource of an id, oldest first."""
    return _in_force(ledger.read_stream(f"{HOLD}-{subject}"))


def all_holds(ledger: Ledger) -> list[Hold]:
    """Return every legal hold in force, oldest first."""
    return _in_force(ledger.read_category(HOLD))


def _in_force(events: Iterable[Recorded]) -> list[Hold]:
    holds: dict[tuple[str, str], Hold] = {}
    for recorded in events:
        why = Justification(recorded.effects["reason"], recorded.effects["ticket"])
        key = recorded.subject, why.ticket
        if recorded.type == HOLD_PLACED:
            holds[key] = Hold(recorded.subject, why, recorded.position, recorded.at)
        else:
            holds.pop(key, None)
    return list(holds.values())


def place_hold(ledger: Ledger, stream: str, why: Justification, metadata: Metadata) -> bool:
    """Forbid the erasure of a stream; return whether this ticket did not forbid it already.

    Raises StreamErased when it is too late.
    """
    subject = stream.partition("-")[2]

    def decide(_: Connection) -> Sequence[Append]:
        if erasure_of(ledger, stream):
            raise StreamErased(stream)
        if why.ticket in _tickets(ledger, subject):
            return ()
        return [_about_holds(ledger, subject, Event(HOLD_PLACED, why.entries()))]

    return bool(ledger.append_decided(decide, metadata))


def release_hold(ledger: Ledger, subject: str, why: Justification, metadata: Metadata) -> None:
    """Release the hold of a ticket; raises NotHeld."""

    def decide(_: Connection) -> Sequence[Append]:
        tickets = _tickets(ledger, subject)
        if why.ticket not in tickets:
            named = ", ".join(tickets) or "none"
            raise NotHeld(
                f"{subject} is under no legal hold of ticket {why.ticket}; in force: {named}"
            )
        return [_about_holds(ledger, subject, Event(HOLD_RELEASED, why.entries()))]

    ledger.append_decided(decide, metadata)


def _about_holds(ledger: Ledger, subject: str, event: Event) -> Append:
    """Append to a separate stream: the subject's ETag stays, and the payload outlives it."""
    stream = f"{HOLD}-{subject}"
    return Append(stream, ledger.version(stream), [event])


def _tickets(ledger: Ledger, subject: str) -> list[str]:
    return [hold.why.ticket for hold in holds_on(ledger, subject)]


def erasure_of(ledger: Ledger, stream: str) -> int | None:
    """Return the position of the event that erased a stream, None if nothing did."""
    last = next(ledger.walk_stream(stream, newest_first=True), None)
    return last.position if last and last.type == ERASED else None


def erase(
    ledger: Ledger,
    stream: str,
    why: Justification,
    metadata: Metadata,
    departures: Decide = lambda _: (),
) -> Recorded:
    """Forget the payloads of a stream, by an Erased event; projections lose the same.

    `departures` returns what is to be appended to other streams before. Raises Held, StreamErased.
    """
    subject = stream.partition("-")[2]

    def decide(transaction: Connection) -> Sequence[Append]:
        if tickets := ", ".join(_tickets(ledger, subject)):
            raise Held(f"{subject} is under a legal hold ({tickets}); nothing was erased")
        version = ledger.version(stream)
        event = Event(ERASED, {**why.entries(), "payloads": version})
        return [*departures(transaction), Append(stream, version, [event])]

    return ledger.append_decided(decide, metadata)[-1]
