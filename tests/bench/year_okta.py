"""How Okta says what happened: a conversation for each happening, one request after the other."""

from collections import defaultdict
from collections.abc import Callable, Generator, Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple
from urllib.parse import quote

import orjson

from scim_api.protocol.patch.message import PATCH_URN
from scim_api.protocol.schema.resource_types import ENTERPRISE_URN, GROUP_URN
from tests.bench import people
from tests.bench.wire import Request, Wire
from tests.bench.year_plan import EVERYONE, IMPORTED, Happening

PAGE = 100


@dataclass(frozen=True, slots=True)
class Ask:
    """A request, what it is counted as, and what has to come of it."""

    kind: str
    bytes: bytes
    status: tuple[int, ...] = (200,)
    stream: str = ""  # of the resource that it changes, once it has an id
    events: int = 0


class Reply(NamedTuple):
    """An answer: its status, its version and its body."""

    status: int
    version: int
    body: bytes


Conversation = Generator[Ask, Reply, None]


class Okta:
    """Knows the ids that the service gave, and what each happening makes Okta send."""

    def __init__(self, wire: Wire) -> None:
        self._wire = wire
        self.people: dict[int, str] = {}
        self.ids: list[str] = []  # of people, as they came to be known
        self.teams: dict[int, str] = {}
        self.versions: dict[str, int] = defaultdict(int)  # the highest acknowledged, by stream
        self._says: Mapping[str, Callable[[Happening], Conversation]] = {
            "assign": self._assign,
            "create_team": self._create_team,
            "push_members": self._push_members,
            "push_same": self._push,
            "push_title": self._push,
            "push_profile": self._push,
            "rename_person": self._push,
            "link_again": self._link_again,
            "move": self._move,
            "join": self._join,
            "leave": self._leave,
            "come_back": self._come_back,
            "rename_team": self._rename_team,
            "import": self._import,
            "test": self._test,
        }

    def says(self, happening: Happening) -> Conversation:
        return self._says[happening.kind](happening)

    # Users

    def _assign(self, happening: Happening) -> Conversation:
        """Look for a name that is not there, then create."""
        person = happening.person
        yield self._lookup(person)
        body = people.full(person)
        reply = yield self._ask("POST user", "POST", "/Users", body, (201,), events=1)
        self.people[person] = id_ = orjson.loads(reply.body)["id"]
        self.ids.append(id_)
        self.versions[f"User-{id_}"] = reply.version

    def _push(self, happening: Happening) -> Conversation:
        yield from self._get_and_put(happening.person, _changes(happening))

    def _link_again(self, happening: Happening) -> Conversation:
        yield self._lookup(happening.person)
        yield from self._get_and_put(happening.person, {})

    def _join(self, happening: Happening) -> Conversation:
        yield from self._assign(happening)
        yield self._member(happening.team, happening.person, joins=True)
        yield self._member(EVERYONE, happening.person, joins=True)

    def _move(self, happening: Happening) -> Conversation:
        changes = {"title": f"Title {happening.turn}", **_department(happening.turn)}
        yield from self._get_and_put(happening.person, changes)
        if happening.team != happening.to_team:
            yield self._member(happening.team, happening.person, joins=False)
            yield self._member(happening.to_team, happening.person, joins=True)

    def _leave(self, happening: Happening) -> Conversation:
        """Deactivate: by PATCH as a template of the catalogue does, or by PUT."""
        person = happening.person
        if happening.turn % 2:
            yield from self._get_and_put(person, {"active": False})
        else:
            path, stream = self._user(person)
            yield self._ask("PATCH user", "PATCH", path, people.activated(False), (200,), stream, 1)
        yield self._member(happening.team, person, joins=False)
        yield self._member(EVERYONE, person, joins=False)

    def _come_back(self, happening: Happening) -> Conversation:
        """Activate twice, as was recorded."""
        person = happening.person
        yield self._lookup(person)
        yield from self._get_and_put(person, {"active": True})
        yield from self._get_and_put(person, {})
        yield self._member(happening.team, person, joins=True)
        yield self._member(EVERYONE, person, joins=True)

    def _get_and_put(self, person: int, changes: Mapping[str, Any]) -> Conversation:
        """Read a user, lay over what Okta maps, and send all of it back."""
        path, stream = self._user(person)
        reply = yield self._ask("GET user", "GET", path)
        body = orjson.loads(reply.body)
        for key, value in changes.items():
            body[key] = body[key] | value if isinstance(value, dict) else value
        kind, events = ("PUT user", 1) if changes else ("PUT the same", 0)
        yield self._ask(kind, "PUT", path, body, (200,), stream, events)

    def _user(self, person: int) -> tuple[str, str]:
        id_ = self.people[person]
        return f"/Users/{id_}", f"User-{id_}"

    def _lookup(self, person: int) -> Ask:
        filter_ = quote(f'userName eq "{people.user_name(person)}"', safe="")
        path = f"/Users?filter={filter_}&startIndex=1&count={PAGE}"
        return self._ask("look-up", "GET", path)

    def _import(self, happening: Happening) -> Conversation:
        """Read some pages of everyone."""
        first = happening.turn * IMPORTED * PAGE % max(1, len(self.people))
        for page in range(IMPORTED):
            start = first + page * PAGE + 1
            yield self._ask("page", "GET", f"/Users?startIndex={start}&count={PAGE}")

    def _test(self, _: Happening) -> Conversation:
        yield self._ask("test", "GET", "/Users?startIndex=1&count=2")

    # Groups

    def _create_team(self, happening: Happening) -> Conversation:
        name = _team_name(happening.team)
        filter_ = quote(f'displayName eq "{name}"', safe="")
        yield self._ask("look-up", "GET", f"/Groups?filter={filter_}&startIndex=1&count={PAGE}")
        body = {"schemas": [GROUP_URN], "displayName": name, "members": []}
        reply = yield self._ask("POST group", "POST", "/Groups", body, (201,), events=1)
        self.teams[happening.team] = id_ = orjson.loads(reply.body)["id"]
        self.versions[f"Group-{id_}"] = reply.version

    def _push_members(self, happening: Happening) -> Conversation:
        members = [
            {"value": self.people[person], "display": people.user_name(person)}
            for person in happening.people
        ]
        operation = {"op": "add", "path": "members", "value": members}
        yield self._patch_group("PATCH 100 members", happening.team, operation)

    def _member(self, team: int, person: int, *, joins: bool) -> Ask:
        id_ = self.people[person]
        if joins:
            value = [{"value": id_, "display": people.user_name(person)}]
            operation = {"op": "add", "path": "members", "value": value}
        else:
            operation = {"op": "remove", "path": f'members[value eq "{id_}"]'}
        return self._patch_group("PATCH member", team, operation)

    def _rename_team(self, happening: Happening) -> Conversation:
        name = f"{_team_name(happening.team)}, turn {happening.turn}"
        value = {"id": self.teams[happening.team], "displayName": name}
        yield self._patch_group("PATCH group", happening.team, {"op": "replace", "value": value})

    def _patch_group(self, kind: str, team: int, operation: Mapping[str, Any]) -> Ask:
        id_ = self.teams[team]
        body = {"schemas": [PATCH_URN], "Operations": [operation]}
        stream = f"Group-{id_}"
        return self._ask(kind, "PATCH", f"/Groups/{id_}", body, (200, 204), stream, 1)

    def _ask(
        self,
        kind: str,
        method: str,
        path: str,
        body: Any = None,
        status: tuple[int, ...] = (200,),
        stream: str = "",
        events: int = 0,
    ) -> Ask:
        return Ask(kind, self._wire.bytes(Request(method, path, body)), status, stream, events)


def _team_name(team: int) -> str:
    return "Everyone" if team == EVERYONE else f"Team {team:05d}"


def _department(turn: int) -> dict[str, Any]:
    return {ENTERPRISE_URN: {"department": f"Department {turn % 200}, {turn}"}}


def _changes(happening: Happening) -> dict[str, Any]:
    """Return what a profile push lays over what is there."""
    turn = happening.turn
    if happening.kind == "push_title":
        return {"title": f"Title {turn}"}
    if happening.kind == "push_profile":
        phone = {"primary": True, "value": f"+1 777 {turn:07d}", "type": "work"}
        return {"title": f"Title {turn}", "phoneNumbers": [phone], **_department(turn)}
    if happening.kind == "rename_person":
        name = f"Family{turn}"
        return {"name": {"familyName": name}, "displayName": f"Renamed {name}"}
    return {}
