"""What happened in a large ledger before it is measured: people, groups and changes, seeded."""

import random
from array import array
from collections.abc import Callable, Iterator
from typing import Any

from ledger import clock
from ledger.contract import NO_STREAM, Append
from ledger.events import DEACTIVATED, REACTIVATED, UPDATED, Event, Metadata
from scim_api.protocol.body import load_resource
from scim_api.protocol.schema.resource_types import ENTERPRISE_URN, USER
from scim_api.protocol.to_events import MOST_MEMBERS, creation, membership
from tests.bench import people

Profile = Callable[[int], dict[str, Any]]
Step = tuple[Append, Metadata]

CHECKED = 5000  # one user in so many is compared with what POST /Users would record
PEOPLE_A_GROUP = 500  # on average, in all groups but that of everyone
_CHANGES, _SEED = ("title", "department", "active", "member"), 14
_WEIGHTS = (35, 25, 20, 20)


class Story:
    """The events of one ledger, in order; each step is what one request records."""

    def __init__(self, users: int, profile: Profile = people.created) -> None:
        self._profile = profile
        self._random = random.Random(_SEED)
        self.ids = [clock.uuid7() for _ in range(users)]
        self.group = clock.uuid7()  # everyone is a member
        self._versions = array("L", [1]) * users
        self._inactive: set[int] = set()

    def beginning(self) -> Iterator[Step]:
        """Create everyone, and the group of everyone."""
        for number, id_ in enumerate(self.ids):
            if number % CHECKED == 0:
                self._must_be_what_the_door_makes(number)
            events = creation({"active": True} | self._attributes(number))
            yield Append(f"User-{id_}", NO_STREAM, events), _by("POST", "/scim/v2/Users")
        yield self._created_group(self.group, "Everyone")
        for version, first in enumerate(range(0, len(self.ids), MOST_MEMBERS), 1):
            events = membership(dict.fromkeys(self.ids[first : first + MOST_MEMBERS], "User"), ())
            append = Append(f"Group-{self.group}", version, events)
            yield append, _by("PATCH", f"/scim/v2/Groups/{self.group}")

    def changes(self, count: int) -> Iterator[Step]:
        """Change so many things: mostly profiles, and people who leave, return, or join groups."""
        groups = [clock.uuid7() for _ in range(max(1, len(self.ids) // PEOPLE_A_GROUP))]
        count = max(0, count - len(groups))
        versions = array("L", [1]) * len(groups)
        for number, id_ in enumerate(groups):
            yield self._created_group(id_, f"Team {number:05d}")
        members: set[tuple[int, int]] = set()
        for turn in range(count):
            number = self._random.randrange(len(self.ids))
            [kind] = self._random.choices(_CHANGES, _WEIGHTS)
            if kind == "member":
                team = self._random.randrange(len(groups))
                pair, id_ = (team, number), self.ids[number]
                events = membership({}, [id_]) if pair in members else membership({id_: "User"}, ())
                members ^= {pair}
                append = Append(f"Group-{groups[team]}", versions[team], events)
                versions[team] += 1
                yield append, _by("PATCH", f"/scim/v2/Groups/{groups[team]}")
            else:
                yield self._changed_user(number, kind, turn)

    def _changed_user(self, number: int, kind: str, turn: int) -> Step:
        id_ = self.ids[number]
        append = Append(f"User-{id_}", self._versions[number], [self._change(number, kind, turn)])
        self._versions[number] += 1
        return append, _by("PUT", f"/scim/v2/Users/{id_}")

    def _change(self, number: int, kind: str, turn: int) -> Event:
        if kind == "title":
            return Event(UPDATED, {"title": f"Title {turn} of {number}"})
        if kind == "department":
            return Event(UPDATED, {f"{ENTERPRISE_URN}:department": f"Department {turn % 400}"})
        self._inactive ^= {number}
        if number in self._inactive:
            return Event(DEACTIVATED, {"active": False})
        return Event(REACTIVATED, {"active": True})

    def _created_group(self, id_: str, name: str) -> Step:
        events = creation({"displayName": name})
        return Append(f"Group-{id_}", NO_STREAM, events), _by("POST", "/scim/v2/Groups")

    def _attributes(self, number: int) -> dict[str, Any]:
        """Return a user's attributes as the service would record them, without checks."""
        body = self._profile(number)
        extension = body.pop(ENTERPRISE_URN)
        for key in ("schemas", "groups", "password"):
            del body[key]
        return body | {f"{ENTERPRISE_URN}:{name}": value for name, value in extension.items()}

    def _must_be_what_the_door_makes(self, number: int) -> None:
        if self._attributes(number) != load_resource(USER, self._profile(number)):
            raise RuntimeError("the users written are not those that POST /Users would make")


_ACTOR = clock.uuid7()


def _by(method: str, path: str) -> Metadata:
    request = {
        "method": method,
        "path": path,
        "client": "Okta SCIM Client 1.0.0",
        "address": "127.0.0.1",
        "id": clock.uuid7(),
    }
    return Metadata(_ACTOR, f"scim.{method.lower()}", clock.uuid7(), request)
