"""Ledgers with many users and events, written by the store itself before a server starts.

`python -m tests.bench.seed FOLDER --users N --events N` makes one to keep.
"""

import argparse
import multiprocessing
import os
import time
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass
from itertools import chain, islice
from multiprocessing.connection import Connection
from pathlib import Path

import orjson

import app
from ledger import clock
from ledger.contract import LedgerError
from ledger.events import Metadata
from ledger.sqlite.connection import connect_read_only, driver
from ledger.sqlite.ledger import Draft, SQLiteLedger, append_events, draft_of
from ledger.sqlite.reads import end
from projections.history.history import HISTORY_FILE
from scim_api import settings, wiring
from scim_api.auth.credentials import issue
from scim_api.tenants.tenants import Tenant
from tests.bench import people
from tests.bench.story import Step, Story

NAME = "default"
_AT_ONCE = 2000  # requests a transaction: nobody waits for them
_PATIENCE = 900.0  # seconds, for a first history of millions of events
_SPEED = ("PRAGMA synchronous=OFF", "PRAGMA cache_size=-500000", "PRAGMA wal_autocheckpoint=50000")
_FORK = multiprocessing.get_context("fork")
_TOKEN, _PEOPLE = "token.txt", "people.json"


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

    @property
    def ledger(self) -> Path:
        return self.data_dir / NAME / "ledger.db"


def populate(data_dir: Path, story: Story, changes: int = 0) -> Population:
    """Make a ledger of what a story tells, as if each step had been a request.

    Events go in by the store's own append; the projections are built at the end, as a rebuild.
    """
    console = app.console()
    console.settings = settings.load({"SCIM_DATA_DIR": str(data_dir)})
    tenant = console.create(NAME)
    token = issue(tenant, Metadata("operator", "cli", clock.uuid7()), "okta").token
    tenant.close()  # the story is told in another process: no connection crosses a fork
    _write(tenant.ledger.path, chain(story.beginning(), story.changes(changes)))
    _build(tenant)
    tenant.heads.sign()
    tenant.close()
    return Population(data_dir, token, story.ids, story.group)


def _write(path: Path, steps: Iterator[Step]) -> None:
    """Append the events of each step; the tables of projections stay as they are."""
    with closing(SQLiteLedger(path)) as ledger:
        with ledger.reading() as connection:
            for setting in _SPEED:
                connection.execute(setting)
        for some in _drafted(steps):
            with ledger.writing() as connection:
                last = end(connection)
                for draft, metadata in some:
                    recorded = append_events(connection, ledger.origin, last, [draft], metadata)
                    last = recorded[-1].position, recorded[-1].at


def _drafted(steps: Iterator[Step]) -> Iterator[list[tuple[Draft, Metadata]]]:
    """Tell the story and compute what needs no lock in another process."""
    receiver, sender = _FORK.Pipe(duplex=False)
    teller = _FORK.Process(target=_tell, args=(steps, sender))
    teller.start()
    sender.close()
    try:
        while (some := receiver.recv()) is not None:
            yield some
    finally:
        teller.terminate()  # it has ended, unless this was cut off
        teller.join()


def _tell(steps: Iterator[Step], sender: Connection) -> None:
    while some := list(islice(steps, _AT_ONCE)):
        sender.send([(draft_of(append, metadata), metadata) for append, metadata in some])
    sender.send(None)


def _build(tenant: Tenant) -> None:
    with tenant.ledger.reading() as connection:
        for setting in _SPEED:
            connection.execute(setting)
    for projection in wiring.projections_of(tenant):
        projection.rebuild()


def wait_for_history(population: Population) -> None:
    """Wait until the service's background job has followed the ledger to its end."""
    deadline, last = time.monotonic() + _PATIENCE, events_of(population)
    while _followed(population.ledger.with_name(HISTORY_FILE)) < last:
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
    with closing(connect_read_only(population.ledger)) as connection:
        return int(connection.execute("SELECT max(position) FROM event").fetchone()[0])


def keep(population: Population) -> None:
    """Write down what a later run has to know, next to the ledger's folder."""
    (population.data_dir / _TOKEN).write_text(population.token)
    (population.data_dir / _PEOPLE).write_bytes(
        orjson.dumps({"group": population.group, "ids": population.ids})
    )


def kept(data_dir: Path) -> Population:
    """Return a population that was kept."""
    found = orjson.loads((data_dir / _PEOPLE).read_bytes())
    return Population(data_dir, (data_dir / _TOKEN).read_text(), found["ids"], found["group"])


def main() -> None:
    """Make a ledger, its history too, and say what it took."""
    parser = argparse.ArgumentParser(prog="python -m tests.bench.seed", description=__doc__)
    parser.add_argument("folder", type=Path, help="a data directory that is not there yet")
    parser.add_argument("--users", type=int, default=100_000)
    parser.add_argument("--events", type=int, default=0, help="at least: others are changes")
    parser.add_argument("--small", action="store_true", help="profiles of 1 KB, not all of Okta's")
    options = parser.parse_args()
    started = time.monotonic()
    story = Story(options.users, people.created if options.small else people.full)
    population = populate(options.folder, story, max(0, options.events - options.users))
    keep(population)
    took, events = time.monotonic() - started, events_of(population)
    print(f"{events:,} events in {took:.1f} s, {events / took:,.0f}/s", flush=True)
    started = time.monotonic()
    tenant = wiring.open_tenant(population.ledger)
    tenant.history.catch_up()
    tenant.close()
    took = time.monotonic() - started
    print(f"their history in {took:.1f} s, {events / took:,.0f}/s")
    for file in sorted(population.ledger.parent.iterdir()):
        print(f"{os.path.getsize(file):>15,} {file.name}")


if __name__ == "__main__":
    main()
