"""The operations measured: each one's requests, as Okta sends them, and its target ratio."""

import random
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import count
from typing import Any
from urllib.parse import quote

import orjson

from tests.bench import people
from tests.bench.seed import Population

PAGE = 100
_DRAW = 20  # different orders are of no use: every run asks in the same


@dataclass(frozen=True, slots=True)
class Request:
    """A request of an operation; the path begins where the SCIM base ends."""

    method: str
    path: str
    body: Any = None


@dataclass(frozen=True, slots=True)
class Operation:
    """One kind of request. Writing ones change something each time."""

    name: str
    title: str
    target: float  # at most so many times the CPU of the bare application
    status: int
    requests: Callable[[Population], Iterator[Request]]
    writes: bool = False
    must_not_grow: bool = False


def _get(population: Population) -> Iterator[Request]:
    draw = random.Random(_DRAW)
    while True:
        yield Request("GET", f"/Users/{draw.choice(population.ids)}")


def _lookup(population: Population) -> Iterator[Request]:
    draw = random.Random(_DRAW)
    while True:
        name = people.user_name(draw.randrange(population.size))
        filter_ = quote(f'userName eq "{name}"', safe="")
        yield Request("GET", f"/Users?filter={filter_}&startIndex=1&count={PAGE}")


def _first_page(_: Population) -> Iterator[Request]:
    while True:
        yield Request("GET", f"/Users?startIndex=1&count={PAGE}")


def _deep_page(population: Population) -> Iterator[Request]:
    """Ask for whole pages of the last tenth."""
    draw = random.Random(_DRAW)
    last = max(1, population.size - PAGE + 1)
    while True:
        start = draw.randint(max(1, last - population.size // 10), last)
        yield Request("GET", f"/Users?startIndex={start}&count={PAGE}")


def _patch(population: Population) -> Iterator[Request]:
    """Deactivate every second user, then reactivate them, and so on."""
    numbers = range(0, population.size, 2)
    for change in count():
        for number in random.Random(_DRAW).sample(numbers, len(numbers)):
            body = people.activated(change % 2 == 1)
            yield Request("PATCH", f"/Users/{population.ids[number]}", body)


def _put(population: Population) -> Iterator[Request]:
    """Give a new title to each of the users that are not patched."""
    numbers = range(1, population.size, 2)
    for change in count(1):
        for number in random.Random(_DRAW).sample(numbers, len(numbers)):
            id_ = population.ids[number]
            yield Request("PUT", f"/Users/{id_}", people.replaced(number, id_, change))


def _create(population: Population) -> Iterator[Request]:
    for number in count(population.size):
        yield Request("POST", "/Users", people.created(number))


def _member(population: Population) -> Iterator[Request]:
    """Add one more member to the group of everyone."""
    path = f"/Groups/{population.group}?excludedAttributes=members"
    for number in count():
        yield Request("PATCH", path, people.joined(f"member-{number:08d}"))


# Creates come last: what is measured before them has exactly the users it is said to have.
OPERATIONS = (
    Operation("get", "get by id", 1.3, 200, _get, must_not_grow=True),
    Operation("lookup", "lookup by userName", 1.3, 200, _lookup, must_not_grow=True),
    Operation("page", "first page of 100", 1.7, 200, _first_page),
    Operation("deep", "deep page of 100", 2.0, 200, _deep_page),
    Operation("patch", "PATCH active", 2.2, 200, _patch, writes=True),
    Operation("put", "PUT profile", 2.6, 200, _put, writes=True),
    Operation("member", "PATCH member", 2.6, 200, _member, writes=True, must_not_grow=True),
    Operation("create", "POST create", 3.0, 201, _create, True, must_not_grow=True),
)


class Wire:
    """Writes requests as Okta sends them."""

    def __init__(self, port: int, base: str, token: str) -> None:
        """`base` is the path of the SCIM base."""
        self._base = base
        self._head = (
            f" HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\n"
            "Accept: application/scim+json\r\nAccept-Charset: utf-8\r\n"
            f"User-Agent: Okta SCIM Client 1.0.0\r\nAuthorization: Bearer {token}\r\n"
            "Accept-Encoding: gzip,deflate\r\nConnection: Keep-Alive\r\n"
        )

    def bytes(self, request: Request) -> bytes:
        line = f"{request.method} {self._base}{request.path}"
        if request.body is None:
            return f"{line}{self._head}\r\n".encode()
        body = orjson.dumps(request.body)
        kind = "Content-Type: application/scim+json; charset=utf-8\r\n"
        return f"{line}{self._head}{kind}Content-Length: {len(body)}\r\n\r\n".encode() + body
