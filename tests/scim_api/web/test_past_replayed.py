"""Random conversations: asOf gives the answer of then."""

import random
from urllib.parse import quote

import pytest

from ledger import clock
from tests.scim_api.client import add, group, remove, replace, user

TITLES = ["Engineer", "Clerk", "Chef"]
LISTS = [
    "/Users",
    "/Users?startIndex=2&count=2",
    "/Users?count=0",
    '/Users?filter=userName sw "u"&sortBy=userName&sortOrder=descending',
    '/Users?filter=active eq true and title eq "Chef"',
    '/Users?filter=emails.value eq "u1@example.com"',
    '/Users?filter=externalId eq "x1"',
    "/Users?filter=groups.value pr&attributes=groups,userName",
    "/Users?sortBy=title&count=3",
    "/Users?attributes=userName,emails.value",
    "/Users?excludedAttributes=groups,name",
    "/Groups",
    "/Groups?filter=members.value pr&attributes=members.display,displayName",
    "/Groups?excludedAttributes=members",
    "/?count=4",
    "/Schemas?count=50",
    "/ResourceTypes",
    "/ServiceProviderConfig",
]


class Client:
    """Changes things at random, and notes what the API answers after each change."""

    def __init__(self, api, draw):
        self.api, self.draw = api, draw
        self.users, self.groups, self.number = [], [], 0
        self.notes = []

    def change(self):
        """Make one change, or one that changes nothing."""
        kinds = [self.join_company, self.join_company, self.found_group]
        if self.users:
            kinds += [self.title, self.rename, self.flip, self.leave, self.put]
        if self.groups and self.users:
            kinds += [self.enter, self.enter, self.exit, self.nest, self.dissolve]
        self.draw.choice(kinds)()

    def join_company(self):
        self.number += 1
        name = f"u{self.number}@example.com"
        body = user(name, externalId=f"x{self.number}", emails=[{"value": name, "primary": True}])
        self.users.append(self.api.post(body).json)

    def found_group(self):
        self.number += 1
        some = self.draw.sample(self.users, min(2, len(self.users)))
        made = self.api.post(group(f"Group {self.number}", *some), "/Groups")
        self.groups.append(made.json)

    def title(self):
        self.api.patch(self.someone(), replace(self.draw.choice(TITLES), "title"))

    def rename(self):
        self.number += 1
        self.api.patch(self.someone(), replace(f"u{self.number}@example.com", "userName"))

    def flip(self):
        self.api.patch(
            self.someone(), replace({"active": self.draw.random() < 0.5, "title": "Chef"})
        )

    def put(self):
        one = self.someone()
        body = self.api.read(one) | {"name": {"familyName": self.draw.choice(TITLES)}}
        self.api.put(one, body)

    def leave(self):
        one = self.someone()
        self.users.remove(one)
        self.api.delete(one)

    def enter(self):
        self.api.patch(self.some_group(), add(*self.draw.sample(self.users, 1)))

    def exit(self):
        self.api.patch(self.some_group(), remove(self.someone()))

    def nest(self):
        self.api.patch(self.some_group(), add(self.some_group()))

    def dissolve(self):
        one = self.some_group()
        self.groups.remove(one)
        self.api.delete(one)

    def someone(self):
        return self.draw.choice(self.users)

    def some_group(self):
        return self.draw.choice(self.groups)

    def note(self):
        """Note when it is, where the ledger ends, and what is answered now."""
        known = [self.api.path(one) for one in (*self.users, *self.groups)]
        seen = {path: answer(self.api, path) for path in (*LISTS, *known)}
        self.notes.append((clock.timestamp(), self.api.recorded(), seen))


def answer(api, path, **more):
    """Return all of an answer that says something about resources."""
    response = api.get(encoded(path), **more)
    return response.status_code, response.headers.get("ETag"), response.json


def encoded(path):
    where, mark, query = path.partition("?")
    return where + mark + quote(query, safe="=&")


def as_of(path, moment):
    return f"{path}{'&' if '?' in path else '?'}asOf={moment}"


@pytest.mark.parametrize("seed", range(4))
def test_positions_and_instants_give_the_answers_of_then(api, seed):
    client = Client(api, random.Random(seed))
    for _ in range(25):
        client.change()
        client.note()
    auditor = api.site.client(scopes=["audit"])

    for at, position, seen in client.notes:
        for path, then in seen.items():
            assert answer(auditor, as_of(path, position)) == then, (path, position)
            assert answer(auditor, as_of(path, at)) == then, (path, at)
