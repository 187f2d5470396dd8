"""A ledger with many users, written with the product's own append before its server starts."""

import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import app
from ledger import clock
from ledger.contract import NO_STREAM, Append, LedgerError
from ledger.events import Metadata
from ledger.sqlite.connection import connect_read_only, driver
from projections.history.history import HISTORY_FILE
from scim_api import settings, wiring
from scim_api.auth.credentials import issue
from scim_api.protocol.body import load_resource
from scim_api.protocol.schema.resource_types import ENTERPRISE_URN, USER
from scim_api.protocol.to_events import creation, membership
from scim_api.tenants.tenants import Tenant
from tests.bench import people

BATCH = 500  # users a transaction
NAME = "bench"
_PATIENCE = 900.0  # seconds, for a first history of millions of events

Progress = Callable[[int], None]


@dataclass(frozen=True, eq=False)
class Population:
    """The users of a ledger at the start; the place in `ids` is the user's number."""

    data_dir: Path
    token: str
    ids: list[str]
    group: str  # everyone is a member

    @property
    def size(self) -> int:
        return len(self.ids)


def populate(data_dir: Path, users: int, progress: Progress) -> Population:
    """Make a ledger with so many users, as if each had been created over HTTP."""
    console = app.console()
    console.settings = settings.load({"SCIM_DATA_DIR": str(data_dir)})
    tenant = console.create(NAME)
    token = issue(tenant, _metadata(), "okta").token
    ids: list[str] = []
    for first in range(0, users, BATCH):
        ids += _create(tenant, range(first, min(first + BATCH, users)))
        progress(len(ids))
    group = _create_group(tenant, ids)
    tenant.close()
    return Population(data_dir, token, ids, group)


def _create(tenant: Tenant, numbers: range) -> list[str]:
    """Create users in one transaction; return their ids."""
    _must_be_what_the_door_makes(numbers[0])
    ids = [clock.uuid7() for _ in numbers]
    appends = [
        Append(f"User-{id_}", NO_STREAM, creation({"active": True} | _attributes(number)))
        for id_, number in zip(ids, numbers, strict=True)
    ]
    tenant.ledger.append(appends, _metadata())
    return ids


def _create_group(tenant: Tenant, ids: list[str]) -> str:
    """Create a group of all users; return its id."""
    id_ = clock.uuid7()
    events = creation({"displayName": "Everyone"}) + membership(dict.fromkeys(ids, "User"), ())
    tenant.ledger.append([Append(f"Group-{id_}", NO_STREAM, events)], _metadata())
    return id_


def _attributes(number: int) -> dict[str, Any]:
    """Return a user's attributes as the service would store them, without checks."""
    body = people.created(number)
    extension = body.pop(ENTERPRISE_URN)
    for key in ("schemas", "groups", "password"):
        del body[key]
    return body | {f"{ENTERPRISE_URN}:{name}": value for name, value in extension.items()}


def _must_be_what_the_door_makes(number: int) -> None:
    if _attributes(number) != load_resource(USER, people.created(number)):
        raise RuntimeError("the seeded users are not those that POST /Users would make")


def _metadata() -> Metadata:
    request = {
        "method": "POST",
        "path": "/scim/v2/Users",
        "client": "Okta SCIM Client 1.0.0",
        "address": "127.0.0.1",
        "id": clock.uuid7(),
    }
    return Metadata(clock.uuid7(), "scim.post", clock.uuid7(), request)


@contextmanager
def opened(population: Population) -> Iterator[Tenant]:
    """Open the ledger of a population."""
    tenant = wiring.open_tenant(population.data_dir / NAME / "ledger.db")
    try:
        yield tenant
    finally:
        tenant.close()


def wait_for_history(population: Population) -> None:
    """Wait until the service's background job has followed the ledger to its end."""
    folder = population.data_dir / NAME
    deadline = time.monotonic() + _PATIENCE
    with closing(connect_read_only(folder / "ledger.db")) as ledger:
        [end] = ledger.execute("SELECT max(position) FROM event").fetchone()
    while _followed(folder / HISTORY_FILE) < end:
        if time.monotonic() > deadline:
            raise RuntimeError("the history does not follow the ledger")
        time.sleep(0.02)


def _followed(history: Path) -> int:
    """Return the position that the history has reached."""
    try:
        with closing(connect_read_only(history)) as connection:
            return int(connection.execute("SELECT max(position) FROM checkpoint").fetchone()[0])
    except (driver.OperationalError, LedgerError, TypeError):
        return 0  # there is none yet


def events_of(population: Population) -> int:
    """Return the number of events in the ledger."""
    with opened(population) as tenant:
        return tenant.ledger.last_position()
