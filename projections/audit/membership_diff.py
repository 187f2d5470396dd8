"""The members that joined and left a group between two positions, or a user's groups."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any

from projections.audit.archive import Archive, members_named

CHUNK = 100  # events of a group read at once, each of 1,000 members at most


@dataclass(frozen=True, slots=True)
class Span:
    """From after one position up to another."""

    start: int
    end: int


@dataclass(slots=True)
class Tally:
    """Counts ids and keeps the first few."""

    most: int
    count: int = 0
    ids: list[str] = field(default_factory=list)

    def add(self, id_: str) -> None:
        self.count += 1
        if len(self.ids) < self.most:
            self.ids.append(id_)


@dataclass(frozen=True, slots=True)
class Turnover:
    """How many joined and left, and the first of them as members or groups are shown."""

    joined: int = 0
    left: int = 0
    joined_values: Sequence[dict[str, Any]] = ()
    left_values: Sequence[dict[str, Any]] = ()

    def __bool__(self) -> bool:
        return bool(self.joined or self.left)

    def document(self) -> dict[str, Any]:
        return {
            "joined": {"count": self.joined, "values": list(self.joined_values)},
            "left": {"count": self.left, "values": list(self.left_values)},
        }


class Turnovers:
    """The turnovers in one span; `most` are named on each side, all are counted."""

    def __init__(self, archive: Archive, span: Span, most: int) -> None:
        self._archive = archive
        self._span = span
        self._most = most

    def of_group(self, id_: str) -> Turnover:
        """Return the members that joined and left a group, at the cost of its events in between.

        For a group created or deleted in between, that is all its members.
        """
        start, end = self._span.start, self._span.end
        lives, lifetimes = self._archive.lives(id_), self._archive.lifetimes
        before = next((life.born for life in lives if life.born <= start < life.died), None)
        after = next((life.born for life in lives if life.born <= end < life.died), None)
        if before is not None and before == after:
            joined, left = self._moved(id_, before)
        else:
            sides = (after, end), (before, start)
            joined = Tally(self._most, *lifetimes.only_members(*sides, self._most))
            left = Tally(self._most, *lifetimes.only_members(*sides[::-1], self._most))
        return Turnover(
            joined.count,
            left.count,
            lifetimes.shown_members(joined.ids, end),
            lifetimes.shown_members(left.ids, start),
        )

    def _moved(self, id_: str, born: int) -> tuple[Tally, Tally]:
        """Return the members that a group's events in between added and removed for good."""
        joined, left = Tally(self._most), Tally(self._most)
        ledger, span, stream = self._archive.ledger, self._span, f"Group-{id_}"
        version, last = (ledger.version_at(stream, at) for at in (span.start, span.end))
        while version < last:
            upto = min(version + CHUNK, last)
            asked = members_named(ledger.walk_stream(stream, version + 1, upto))
            for member, came in self._archive.lifetimes.moved(born, asked, span.start, span.end):
                (joined if came else left).add(member)
            version = upto
        return joined, left

    def of_user(self, id_: str) -> Turnover:
        """Return the groups that a user joined and left, direct ones and others."""
        before, after = self._groups(id_, self._span.start), self._groups(id_, self._span.end)
        joined, left = after.keys() - before.keys(), before.keys() - after.keys()
        return Turnover(
            len(joined), len(left), self._first(joined, after), self._first(left, before)
        )

    def _groups(self, user: str, at: int) -> dict[str, dict[str, Any]]:
        """Return the groups of a user at a position, by id, as they are shown."""
        history = self._archive.history
        reader = history.at(at)
        with history.file.reading() as connection:
            row = reader.row(connection, "User", user)
            found = reader.relations(connection, "User", [row.place]) if row else {}
        groups = found.get(row.position, ()) if row else ()
        return {each.id: {"value": each.id, "display": each.display} for each in groups}

    def _first(self, ids: Iterable[str], known: dict[str, dict[str, Any]]) -> list[dict[str, Any]]:
        return [known[id_] for id_ in sorted(ids)[: self._most]]
