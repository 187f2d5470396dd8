"""A group of 100,000: a change costs what it changes, whatever the size of the group."""

import json
import shutil
from contextlib import suppress
from dataclasses import dataclass, field

import pytest

from ledger.contract import NO_STREAM
from ledger.events import CREATED, MEMBERS_ADDED
from ledger.sqlite.connection import connect, driver
from ledger.sqlite.ledger import SQLiteLedger
from projections.state import MEMBER
from tests.scim_api.client import Api, Site, add, group, patch, remove

LARGE, SMALL = 100_000, 1_000
SEEDED = ["Created"] + ["MembersAdded"] * 100 + ["Created", "MembersAdded"]
EACH = 1000  # members in one event

pytestmark = pytest.mark.slow


def ids(name, count, first=0):
    """Return ids of a group's members as this service allots them, each greater than the last."""
    numbers = range(first, first + count)
    return [f"{len(name)}1a00000-{n >> 16:04x}-7000-8000-{n & 0xFFFF:012x}" for n in numbers]


@pytest.fixture(scope="module")
def seeded(tmp_path_factory):
    """Return a data directory with a large and a small group, and the token of its client."""
    site = Site(tmp_path_factory.mktemp("large") / "data")
    client = site.make()
    for name, count in (("Large", LARGE), ("Tiny", SMALL)):
        members = ids(name, count)
        chunks = [members[start : start + EACH] for start in range(0, count, EACH)]
        site.append(
            "default",
            f"Group-{name}",
            NO_STREAM,
            (CREATED, {"displayName": name}),
            *[(MEMBERS_ADDED, {MEMBER + id_: {"type": "User"} for id_ in each}) for each in chunks],
        )
    site.close()
    return site.data_dir, client.token


@dataclass
class Cost:
    """What was written: rows, and bytes of the write-ahead log."""

    wal: object
    connections: list = field(default_factory=list)
    rows: int = 0
    bytes: int = 0

    def count(self, act):
        """Return what an act returns, and note what it wrote."""
        connection = connect(self.wal.with_name("ledger.db"))
        connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchall()
        before = self._changes()
        result = act()
        self.rows, self.bytes = self._changes() - before, self.wal.stat().st_size
        connection.close()
        return result

    def _changes(self):
        return sum(
            connection.total_changes for connection in self.connections if is_open(connection)
        )


def is_open(connection):
    with suppress(driver.ProgrammingError):
        connection.total_changes  # noqa: B018 (it raises)
        return True
    return False


@pytest.fixture
def api(site, seeded):
    data_dir, token = seeded
    shutil.copytree(data_dir, site.data_dir)
    return Api(site, "default", token)


@pytest.fixture
def cost(api, monkeypatch):
    """Return a meter of what requests write."""
    meter = Cost(api.site.data_dir / "default" / "ledger.db-wal")
    opening = SQLiteLedger._open

    def noted(ledger):
        meter.connections.append(opening(ledger))
        return meter.connections[-1]

    monkeypatch.setattr(SQLiteLedger, "_open", noted)
    api.get("/Users")
    return meter


def path(name):
    return f"/Groups/{name}"


def push(api, name, size):
    """Push 500 who leave and 500 who join as Okta does, in batches; return the statuses."""
    leaving, joining = ids(name, 500, first=200), ids(name, 500, first=size)
    batches = [
        [*map(remove, leaving[start : start + 50]), add(*joining[start : start + 50])]
        for start in range(0, 500, 50)
    ]
    return [api.ask("PATCH", path(name), patch(*batch)).status_code for batch in batches]


def test_a_push_of_a_thousand_changes_costs_no_more_than_in_a_small_group(api, cost):
    cost.count(lambda: push(api, "Tiny", SMALL))
    rows, size = cost.rows, cost.bytes

    statuses = cost.count(lambda: push(api, "Large", LARGE))

    assert set(statuses) == {204}
    assert (cost.rows, api.happened(since=len(SEEDED))) == (
        rows,
        ["MembersRemoved", "MembersAdded"] * 20,
    )
    assert cost.bytes < 1.25 * size


def test_one_member_more_costs_no_more_than_in_a_small_group(api, cost):
    def join(name, number):
        cost.count(lambda: api.ask("PATCH", path(name), patch(add(f"{name}-{number}"))))
        return cost.rows, cost.bytes

    small, large = [[join(name, n) for n in range(3)][-1] for name in ("Tiny", "Large")]

    assert large[0] == small[0]
    assert large[1] <= small[1] + 2 * 4120  # a page of the log, where a tree is one level deeper


def test_one_patch_of_a_thousand_operations_is_done(api, cost):
    changes = [*map(remove, ids("Large", 500)), *map(add, ids("Large", 500, first=LARGE))]

    response = cost.count(lambda: api.ask("PATCH", path("Large"), patch(*changes)))

    assert response.status_code == 204
    assert cost.rows < 3000
    assert api.happened(since=len(SEEDED)) == ["MembersRemoved", "MembersAdded"]


def test_the_whole_group_can_be_put_and_only_the_change_is_recorded(api, cost):
    named = [
        {"value": id_, "display": f"{id_}@example.com"} for id_ in ids("Large", LARGE, first=1)
    ]
    body = group("Large", None, members=named)
    assert len(json.dumps(body)) > 10_000_000

    response = cost.count(lambda: api.ask("PUT", path("Large"), body))

    assert response.status_code == 200, response.text
    assert len(response.json["members"]) == LARGE
    assert cost.rows < 20
    assert api.happened(since=len(SEEDED)) == ["MembersRemoved", "MembersAdded"]


def test_the_whole_group_can_be_pushed_by_patch_and_emptied(api):
    others = [{"value": id_} for id_ in ids("Large", LARGE, first=LARGE)]
    push_now = {"op": "replace", "path": "members", "value": others}
    empty = {"op": "replace", "path": "members", "value": []}

    pushed = api.ask("PATCH", path("Large"), patch(push_now))
    emptied = api.ask("PATCH", path("Large"), patch(empty))

    assert (pushed.status_code, emptied.status_code) == (204, 200)
    assert emptied.json["members"] == []
    assert {event: api.happened().count(event) for event in ("MembersRemoved", "MembersAdded")} == {
        "MembersRemoved": 200,
        "MembersAdded": 201,
    }


def test_it_can_be_deleted(api):
    response = api.ask("DELETE", path("Large"))

    assert response.status_code == 204
    assert api.happened(since=len(SEEDED)) == ["Deleted"]
