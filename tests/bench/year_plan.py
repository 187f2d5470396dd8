"""What happens in a company in a year, seeded: who joins, moves, leaves and comes back.

First everyone who is there at the start is assigned and the groups are pushed; then the year goes
by until as many requests are planned as were asked for.
"""

import random
from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass, field

EVERYONE = -1  # the group of everyone
TEAM, PUSHED = 50, 100  # people in a team; members in one request of a group push
IMPORTED = 10  # pages read in one go of an import
APART = 500  # happenings between two of the same person, at most: so many are never under way


@dataclass(frozen=True, slots=True)
class Happening:
    """Something that makes Okta send requests, one after the other."""

    kind: str
    requests: int
    person: int = 0
    team: int = 0
    to_team: int = 0
    people: range = range(0)
    turn: int = 0  # makes the values of two changes differ


# What goes on before what follows it begins.
BARRIER = Happening("barrier", 0)

# kind -> how often among a thousand
_YEAR = {
    "push_same": 360,  # a profile push that changes nothing
    "push_title": 210,
    "push_profile": 110,  # several attributes at once
    "link_again": 60,  # assigned although it is there: look-up, read, a push that changes nothing
    "move": 80,  # another department and another team
    "join": 60,
    "leave": 50,
    "come_back": 15,
    "rename_person": 10,
    "rename_team": 3,
    "import": 22,
    "test": 20,  # Okta's test of the connection
}


@dataclass
class _Company:
    """Who is there, in which team; people and teams are numbers."""

    teams: int
    team_of: list[int]
    recent: deque[int]
    left: deque[int] = field(default_factory=deque)


class Plan:
    """The happenings of a year; the same arguments give the same ones."""

    def __init__(self, people: int, requests: int, seed: int = 2026) -> None:
        self.people, self.requests = people, requests
        self._random = random.Random(seed)
        teams = max(2, people // TEAM)
        recent = deque[int](maxlen=min(APART, people // 4))
        self._company = _Company(teams, [number % teams for number in range(people)], recent)
        self._active = list(range(people))
        self._place = {number: number for number in range(people)}  # in `_active`

    @property
    def teams(self) -> int:
        return self._company.teams

    def __iter__(self) -> Iterator[Happening]:
        """Yield what happens, in order; a plan is told once."""
        planned = 0
        for happening in self._beginning():
            planned += happening.requests
            yield happening
        yield BARRIER
        kinds, weights = list(_YEAR), list(_YEAR.values())
        turn = 0
        while planned < self.requests:
            turn += 1
            [kind] = self._random.choices(kinds, weights)
            happening = self._happening(kind, turn)
            planned += happening.requests
            yield happening
        yield BARRIER

    def _beginning(self) -> Iterator[Happening]:
        for person in range(self.people):
            yield Happening("assign", 2, person)
        for team in (EVERYONE, *range(self.teams)):
            yield Happening("create_team", 2, team=team)
        yield BARRIER
        for first in range(0, self.people, PUSHED):
            chunk = range(first, min(first + PUSHED, self.people))
            yield Happening("push_members", 1, team=EVERYONE, people=chunk)
        for team in range(self.teams):
            yield Happening(
                "push_members", 1, team=team, people=range(team, self.people, self.teams)
            )

    def _happening(self, kind: str, turn: int) -> Happening:
        company = self._company
        if kind in ("push_same", "push_title", "push_profile", "rename_person"):
            return Happening(kind, 2, self._someone(), turn=turn)
        if kind == "link_again":
            return Happening(kind, 3, self._someone())
        if kind == "move":
            person, to_team = self._someone(), self._random.randrange(company.teams)
            team, company.team_of[person] = company.team_of[person], to_team
            return Happening(kind, 2 if team == to_team else 4, person, team, to_team, turn=turn)
        if kind == "join":
            return self._join()
        if kind == "leave":
            person = self._someone()
            self._remove(person)
            company.left.append(person)
            return Happening(kind, 3 + turn % 2, person, company.team_of[person], turn=turn)
        if kind == "come_back":
            return self._come_back(turn)
        if kind == "rename_team":
            return Happening(kind, 1, team=self._random.randrange(company.teams), turn=turn)
        if kind == "import":
            return Happening(kind, IMPORTED, turn=turn)
        return Happening("test", 1)

    def _join(self) -> Happening:
        person, team = len(self._company.team_of), self._random.randrange(self._company.teams)
        self._company.team_of.append(team)
        self._company.recent.append(person)
        self._add(person)
        return Happening("join", 4, person, team)

    def _come_back(self, turn: int) -> Happening:
        """Let somebody return who left long ago, or push a profile where nobody did."""
        company = self._company
        if not company.left or company.left[0] in company.recent:
            return Happening("push_title", 2, self._someone(), turn=turn)
        person = company.left.popleft()
        company.recent.append(person)
        self._add(person)
        return Happening("come_back", 7, person, company.team_of[person], turn=turn)

    def _someone(self) -> int:
        """Choose somebody who is there, and to whom nothing happened lately."""
        recent = self._company.recent
        while (person := self._random.choice(self._active)) in recent:
            pass
        recent.append(person)
        return person

    def _add(self, person: int) -> None:
        self._place[person] = len(self._active)
        self._active.append(person)

    def _remove(self, person: int) -> None:
        place, last = self._place.pop(person), self._active.pop()
        if last != person:
            self._active[place] = last
            self._place[last] = place
