"""The operations measured: each one's requests, as Okta sends them, and its target ratio."""

import random
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import count
from urllib.parse import quote

from tests.bench import people
from tests.bench.seed import Population
from tests.bench.wire import Request

PAGE = 100
_DRAW = 20  # different orders are of no use: every run asks in the same


@dataclass(frozen=True, slots=True)
class Operation:
    """One kind of request, and how many events each records."""

    name: str
    title: str
    target: float  # at most so many times the CPU of the bare application's GET
    requests: Callable[[Population], Iterator[Request]]
    status: int = 200
    events: int = 0
    writes: bool = False

    @property
    def adds_users(self) -> bool:
        return self.status == 201


def _get(population: Population) -> Iterator[Request]:
    draw = random.Random(_DRAW)
    while True:
        yield Request("GET", f"/Users/{draw.choice(population.ids)}")


def _lookup(
    attribute: str, value: Callable[[int], str]
) -> Callable[[Population], Iterator[Request]]:
    def requests(population: Population) -> Iterator[Request]:
        draw = random.Random(_DRAW)
        while True:
            wanted = value(draw.randrange(population.size))
            filter_ = quote(f'{attribute} eq "{wanted}"', safe="")
            yield Request("GET", f"/Users?filter={filter_}&startIndex=1&count={PAGE}")

    return requests


def _first_page(_: Population) -> Iterator[Request]:
    while True:
        yield Request("GET", f"/Users?startIndex=1&count={PAGE}")


def _deep_page(population: Population) -> Iterator[Request]:
    """Ask for the pages that begin near nine tenths of the list."""
    draw = random.Random(_DRAW)
    last = max(1, population.size - PAGE + 1)
    while True:
        start = min(last, population.size * 9 // 10 + draw.randrange(PAGE))
        yield Request("GET", f"/Users?startIndex={start}&count={PAGE}")


def _every_third(population: Population, rest: int) -> Iterator[tuple[int, int]]:
    """Yield users in an order of chance, each with how often it came before.

    Each kind of change has users of its own, so that every request changes what it says.
    """
    numbers = range(rest, population.size, 3)
    for change in count():
        for number in random.Random(_DRAW).sample(numbers, len(numbers)):
            yield number, change


def _patch(population: Population) -> Iterator[Request]:
    """Deactivate users, then reactivate them, and so on."""
    for number, change in _every_third(population, 0):
        body = people.activated(change % 2 == 1)
        yield Request("PATCH", f"/Users/{population.ids[number]}", body)


def _put(rest: int, *, changes: bool) -> Callable[[Population], Iterator[Request]]:
    def requests(population: Population) -> Iterator[Request]:
        """Replace whole profiles, by the same or with a new title."""
        for number, change in _every_third(population, rest):
            id_ = population.ids[number]
            body = people.replaced(number, id_, change + 1 if changes else 0)
            yield Request("PUT", f"/Users/{id_}", body)

    return requests


def _create(population: Population) -> Iterator[Request]:
    for number in count(population.size):
        yield Request("POST", "/Users", people.created(number))


def _member(population: Population) -> Iterator[Request]:
    """Add one more member to the group of everyone."""
    path = f"/Groups/{population.group}?excludedAttributes=members"
    for number in count():
        yield Request("PATCH", path, people.joined(f"member-{number:08d}"))


_EXTERNAL = _lookup("externalId", people.external_id)
# Creates come last: what is measured before them has exactly the users it is said to have.
OPERATIONS = (
    Operation("get", "get by id", 1.0, _get),
    Operation("lookup", "look-up by userName", 1.1, _lookup("userName", people.user_name)),
    Operation("external", "look-up by externalId", 1.1, _EXTERNAL),
    Operation("page", "first page of 100", 1.8, _first_page),
    Operation("deep", "page at nine tenths", 2.0, _deep_page),
    Operation("patch", "PATCH active", 2.2, _patch, events=1, writes=True),
    Operation("same", "PUT that changes nothing", 1.6, _put(1, changes=False), writes=True),
    Operation("put", "PUT title", 2.6, _put(2, changes=True), events=1, writes=True),
    Operation("member", "PATCH member of everyone", 2.6, _member, events=1, writes=True),
    Operation("create", "POST", 3.0, _create, 201, events=1, writes=True),
)
