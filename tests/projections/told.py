"""Random ledgers, questions about their past, and the answers by plain dicts."""

import shutil
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

from hypothesis import strategies as st

from ledger import events
from ledger.contract import Append
from ledger.create import create
from ledger.events import Event, Metadata, Recorded
from ledger.sqlite.ledger import SQLiteLedger
from projections.audit.archive import Archive
from projections.current.credentials import Credentials
from projections.history.history import History
from projections.state import MEMBER
from projections.tables import create_tables
from scim_api.protocol.schema.resource_types import KINDS
from tests.projections.worlds import GROUPS, POPULATED, STEPS, USERS, World, type_of

_emails = st.lists(st.sampled_from([{"value": v} for v in ("a@x", "b@x", "c@x")]), unique_by=str)
_details = st.fixed_dictionaries(
    {},
    optional={
        "active": st.none() | st.booleans(),  # null, as PATCH once recorded it
        "emails": st.none() | _emails.filter(bool),
        "name": st.none() | st.sampled_from([{"givenName": "A"}, {"givenName": "A", "x": 1}]),
        "title": st.none() | st.sampled_from(["Chef", "Clerk"]),
    },
).filter(bool)
_steps = st.one_of(
    STEPS,
    STEPS,
    st.tuples(st.just("set"), st.sampled_from(USERS), _details),
    st.tuples(st.just("set"), st.just(USERS[0]), _details),
    st.tuples(st.just("erase"), st.sampled_from(USERS), st.none()),
)
TOLD = st.lists(_steps, max_size=12) | st.lists(_steps, min_size=10, max_size=24).map(
    lambda steps: [*POPULATED, *steps]
)


class Told:
    """A ledger that a history happened to."""

    def __init__(self, path: Path, history: list[Any]) -> None:
        self.ledger = SQLiteLedger(path)
        self.archive = Archive(self.ledger, History(self.ledger, KINDS), Credentials(), KINDS)
        self.world = World()
        self.erased: set[str] = set()
        self.active: dict[str, bool] = {}
        for step in history:
            self.take(*step)
        self.model = Model(list(self.ledger.read_all()))

    def close(self) -> None:
        self.archive.history.close()
        self.ledger.close()

    def take(self, action: str, id_: str, detail: Any) -> None:
        if id_ in self.erased:
            return
        if action == "set":
            self.set(id_, detail)
        elif action == "erase":
            self.erase(id_)
        else:
            if action in ("join", "leave"):
                detail = [member for member in detail if member not in self.erased]
            for stream, happened in self.world.take((action, id_, detail)):
                self.append(stream, happened)

    def set(self, id_: str, detail: Mapping[str, Any]) -> None:
        if id_ in self.world.present:
            self.append(f"User-{id_}", [Event(self._flip(id_, detail), detail)])

    def _flip(self, id_: str, detail: Mapping[str, Any]) -> str:
        """Return the type of the event, as it once was also where `active` was unassigned."""
        if "active" not in detail:
            return events.UPDATED
        was, becomes = self.active.get(id_, True), detail["active"] is not False
        self.active[id_] = becomes
        if detail["active"] is None and was:
            return events.UPDATED
        return events.REACTIVATED if becomes else events.DEACTIVATED

    def erase(self, id_: str) -> None:
        """Delete a user and erase it."""
        stream = f"{type_of(id_)}-{id_}"
        if not self.ledger.read_stream(stream):
            return
        for told, happened in self.world.take(("delete", id_, None)):
            self.append(told, happened)
        self.erased.add(id_)
        self.append(stream, [Event(events.ERASED)])

    def append(self, stream: str, happened: list[Event]) -> list[Recorded]:
        version = len(self.ledger.read_stream(stream))
        metadata = Metadata("c1", "test", "t", {"client": "Okta SCIM Client 1.0.0", "id": "r1"})
        return self.ledger.append([Append(stream, version, happened)], metadata)


class Model:
    """What resources were at every position, by replaying all events."""

    def __init__(self, happened: list[Recorded]) -> None:
        self.events = happened
        self.end = len(happened)
        self.erased = {e.subject for e in happened if e.type == events.ERASED}
        self.states: list[dict[str, dict[str, Any]]] = [{}]
        self.members: list[dict[str, dict[str, Any]]] = [{}]
        for recorded in happened:
            self._follow(recorded)

    def _follow(self, recorded: Recorded) -> None:
        states = dict(self.states[-1])
        members = {group: dict(inside) for group, inside in self.members[-1].items()}
        if recorded.category in KINDS and recorded.subject not in self.erased:
            id_, effects = recorded.subject, recorded.effects
            if recorded.type == events.DELETED:
                states.pop(id_, None)
                members.pop(id_, None)
            else:
                own = {k: v for k, v in effects.items() if not k.startswith(MEMBER)}
                laid = {**states.get(id_, {}), **own}
                states[id_] = {k: v for k, v in laid.items() if v is not None}
                if recorded.category == "User":
                    states[id_]["active"] = laid.get("active") is not False
                inside = {**members.get(id_, {}), **self.named(recorded)}
                members[id_] = {k: v for k, v in inside.items() if v is not None}
        self.states.append(states)
        self.members.append(members)

    def named(self, recorded: Recorded) -> dict[str, Any]:
        """Return the members that an event names, but for who was erased."""
        found = {k.removeprefix(MEMBER): v for k, v in recorded.effects.items() if MEMBER in k}
        return {id_: value for id_, value in found.items() if id_ not in self.erased}

    def groups(self, id_: str, at: int) -> dict[str, dict[str, Any]]:
        """Return the direct groups of a user, as they are shown."""
        return {
            group: {"value": group, "display": self.states[at][group]["displayName"]}
            for group, inside in self.members[at].items()
            if id_ in inside
        }

    def all_groups(self, id_: str, at: int) -> dict[str, dict[str, Any]]:
        """Return the groups that a user is in, also by way of others."""
        found: dict[str, dict[str, Any]] = {}
        fresh = self.groups(id_, at) if id_ in self.states[at] else {}
        while fresh:
            found |= fresh
            outer = [self.groups(group, at) for group in fresh]
            fresh = {g: shown for each in outer for g, shown in each.items() if g not in found}
        return found

    def timeline(self, id_: str) -> list[tuple[int, dict[str, Any]]]:
        """Return position and changes of everything that happened to a resource."""
        return [
            (recorded.position, changes)
            for recorded in self.events
            for mine in [recorded.subject == id_ and recorded.category == type_of(id_)]
            for changes in [self._changes(id_, recorded, mine)]
            if mine or changes
        ]

    def _changes(self, id_: str, recorded: Recorded, mine: bool) -> dict[str, Any]:
        at = recorded.position
        if id_ in self.erased:
            return {}
        if not mine:
            before, after = self.groups(id_, at - 1), self.groups(id_, at)
            moved = (before.keys() ^ after.keys()) if type_of(id_) == "User" else ()
            return {f"groups:{g}": (before.get(g), after.get(g)) for g in moved}
        own = {k: v for k, v in recorded.effects.items() if not k.startswith(MEMBER)}
        before = self.states[at - 1].get(id_, {})
        inside = self.members[at - 1].get(id_, {})
        after = self.states[at].get(id_, {})
        named = after if recorded.type == events.CREATED else own
        changes = {key: (before.get(key), after.get(key)) for key in named}
        sides = {m: (inside.get(m), value) for m, value in self.named(recorded).items()}
        for member, (left, joined) in sides.items():
            name = self._name(member, at)
            shown = (value and {**value, **name} for value in (left, joined))
            changes[f"{MEMBER}{member}"] = tuple(shown)
        return changes

    def _name(self, id_: str, at: int) -> dict[str, str]:
        """Return what a member was called at a position, or last before it."""
        known = [states[id_] for states in self.states[: at + 1] if id_ in states]
        if not known:
            return {}
        named_by = "userName" if type_of(id_) == "User" else "displayName"
        return {"display": known[-1].get("displayName") or known[-1][named_by]}

    def values(self, id_: str, at: int) -> list[tuple[str, Any]]:
        """Return every value of a resource on its own, with its members or groups by id."""
        found: list[tuple[str, Any]] = []
        for key, value in self.states[at].get(id_, {}).items():
            if isinstance(value, list):
                found += [(key, one) for one in value]
            elif isinstance(value, dict):
                found += [(f"{key}.{sub}", one) for sub, one in value.items()]
            else:
                found.append((key, value))
        found += [("members", member) for member in self.members[at].get(id_, {})]
        found += [("groups", g) for g in self.groups(id_, at) if type_of(id_) == "User"]
        return found

    def blame(self, id_: str, at: int) -> list[tuple[str, Any, int]]:
        """Return every value with the position from which on it was there."""
        values = self.values(id_, at) if id_ in self.states[at] else []
        return [(*value, self._since(id_, at, value)) for value in values]

    def _since(self, id_: str, at: int, value: tuple[str, Any]) -> int:
        while value in self.values(id_, at - 1):
            at -= 1
        return at

    def difference(self, id_: str, start: int, end: int) -> tuple[Any, ...] | None:
        """Return kind, attributes that differ, members joined and left; None if all is the same."""
        before, after = self.states[start].get(id_), self.states[end].get(id_)
        old, new = before or {}, after or {}
        changes = {
            key: (old.get(key), new.get(key))
            for key in old.keys() | new.keys()
            if old.get(key) != new.get(key)
        }
        inside, then = self.members[start].get(id_, {}), self.members[end].get(id_, {})
        joined, left = sorted(then.keys() - inside.keys()), sorted(inside.keys() - then.keys())
        kind = self._kind(id_, start, end, bool(changes or joined or left))
        return (kind, changes, joined, left) if kind else None

    def _kind(self, id_: str, start: int, end: int, differs: bool) -> str | None:
        activity = [
            None if state is None else state.get("active", True)
            for state in (states.get(id_) for states in self.states[start : end + 1])
        ]
        match activity[0], activity[-1]:
            case None, None:
                return "passed" if any(one is not None for one in activity) else None
            case None, _:
                return "joined"
            case (_, None) | (True, False):
                return "left"
            case False, True:
                return "reactivated"
            case False, False if True in activity:
                return "passed"
        if differs:
            return "changed"
        between = self.events[start:end]
        mine = [e for e in between if (e.category, e.subject) == (type_of(id_), id_)]
        was = self.states[start].get(id_)
        same = all(states.get(id_) == was for states in self.states[start:end])
        idle = same and all(each.type == events.UPDATED for each in mine)
        return None if idle else "undone"


def maker(folder: Path) -> Callable[[Path], Path]:
    """Return what makes an empty ledger with the tables that an archive reads, by copying one."""
    path = folder / "template.db"
    metadata = Metadata("operator", "test", "t", {})
    create(path, "told", software="test", metadata=metadata)
    made = SQLiteLedger(path)
    with made.writing() as connection:
        create_tables(connection, "current/credentials.sql", "")
    made.close()

    def make(where: Path) -> Path:
        where.mkdir()
        shutil.copy(path, where / "ledger.db")
        return where / "ledger.db"

    return make


def ids() -> Iterator[tuple[str, str]]:
    """Yield each id with its type."""
    for id_ in (*USERS, *GROUPS):
        yield str(type_of(id_)), id_
