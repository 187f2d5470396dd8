"""Why a resource differs between two positions: what set each value, and who had a hand in it."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from ledger.events import CREATED, DELETED, Recorded
from projections.audit.archive import Archive
from projections.audit.cause import Cause
from projections.audit.diff import Difference
from projections.audit.making import made_at

MOST_READ = 200  # events of one resource: the newest


@dataclass(frozen=True, slots=True)
class Reasons:
    """The causes of what happened in between; of earlier events nothing if not `complete`."""

    causes: Mapping[str, Cause]  # by attribute, members:<id> or groups:<id>: the last that set it
    every: Sequence[Cause]  # of each event read, oldest first
    made: Cause | None  # of the event that made it so; None if that was not read
    complete: bool

    @property
    def last(self) -> Cause | None:
        """The cause of the last event in between."""
        return self.every[-1] if self.every else None

    @property
    def distinct(self) -> Sequence[Cause]:
        """The first cause of each credential or operator with each client, in order."""
        first = {(one.who, one.client): one for one in reversed(self.every)}
        return sorted(first.values(), key=lambda one: one.position)


def reasons_of(archive: Archive, found: Difference) -> Reasons:
    """Return why a resource differs, at the cost of at most MOST_READ events."""
    events = _events(archive, found)
    causes = archive.causes(events)
    setters = _setters(events, found)
    made = made_at(archive, found, setters)
    if made and made not in causes:  # an older one
        causes |= archive.causes_at([made])
    return Reasons(
        {key: causes[at] for key, at in setters.items()},
        [causes[recorded.position] for recorded in events],
        causes[made] if made else None,
        found.events <= MOST_READ,
    )


def _events(archive: Archive, found: Difference) -> list[Recorded]:
    own: list[Recorded] = []
    if versions := found.versions[-MOST_READ:]:
        stream = f"{found.type}-{found.id}"
        own = list(archive.ledger.walk_stream(stream, versions[0], versions[-1]))
    others = archive.events_at(found.moved[-MOST_READ:]) if found.moved else {}
    return sorted([*own, *others.values()], key=lambda each: each.position)[-MOST_READ:]


def _setters(events: Iterable[Recorded], found: Difference) -> dict[str, int]:
    """Return the position of the last event that set each value.

    A creation sets them all, also those that it does not name; a deletion takes them all.
    """
    setters: dict[str, int] = {}
    for recorded in events:
        if recorded.subject != found.id:
            setters[f"groups:{recorded.subject}"] = recorded.position
        elif recorded.type in (CREATED, DELETED):
            setters |= dict.fromkeys((*found.changes, *recorded.effects), recorded.position)
        else:
            setters |= dict.fromkeys(recorded.payload or (), recorded.position)
    return setters
