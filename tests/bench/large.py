"""What a large ledger costs: start, rebuild, history, verify, export, the past, filters, bytes.

`python -m tests.bench.large FOLDER` measures a data directory that `tests.bench.seed` made. It
adds a few events, and builds its projections and its history once more.
"""

import argparse
import random
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing, contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from threading import Event
from typing import Any
from urllib.parse import quote

import orjson

import app
from ledger import clock
from ledger.events import Metadata
from scim_api import settings
from scim_api.auth.credentials import issue
from scim_api.auth.scopes import Scope
from tests.bench import people
from tests.bench.commands import Commands, Took
from tests.bench.contest import SCIM_BASE
from tests.bench.figures import percentiles
from tests.bench.load import Connection
from tests.bench.seed import NAME, Population, events_of, keep, kept, populate
from tests.bench.server import Server, product
from tests.bench.story import Story
from tests.bench.wire import Request, Wire

_ASKED = 200  # times, of what is quick
_SCANS = 3  # times, of what reads everyone
_PACE = 0.05  # seconds between two requests while something else goes on


@dataclass(frozen=True, slots=True)
class Large:
    """What a large ledger costs."""

    users: int
    events: int
    ledger_bytes: int
    history_bytes: int
    start_seconds: float
    rebuild: Took
    history: Took
    verify: Took
    verify_events: Took
    export: Took
    milliseconds: dict[str, tuple[float, float]]  # question -> 50th and 99th percentile


def make_and_measure(folder: Path, users: int, events: int) -> dict[str, Any]:
    """Make a ledger in a folder and measure it."""
    data_dir = folder / "large"
    keep(populate(data_dir, Story(users, people.full), events - users))
    return asdict(measure(data_dir))


def measure(data_dir: Path) -> Large:
    """Measure everything, on a ledger that nobody else uses."""
    population = kept(data_dir)
    events, folder = events_of(population), population.ledger.parent
    command = Commands(data_dir, events)
    with TemporaryDirectory(prefix="scim-large-", dir=data_dir.parent) as scratch:
        log = Path(scratch) / "product.log"
        with _served(population, log) as (_, connection, wire):
            asking = _asking(population, wire, connection)
            rebuild = command.run("projections", "rebuild", "resources", meanwhile=asking)
        for file in folder.glob("history.db*"):
            file.unlink()
        history = command.run("projections", "rebuild", "history")
        verify = command.run("verify")
        verify_events = command.run("verify", "--events-only")
        export = command.run("export", "--output", str(Path(scratch) / "export.jsonl"))
        with _served(population, log) as (started, connection, wire):
            answers = _answers(population, wire, connection, events)
    return Large(
        users=population.size,
        events=events,
        ledger_bytes=population.ledger.stat().st_size,
        history_bytes=population.ledger.with_name("history.db").stat().st_size,
        start_seconds=started,
        rebuild=rebuild,
        history=history,
        verify=verify,
        verify_events=verify_events,
        export=export,
        milliseconds=answers,
    )


# The service


@contextmanager
def _served(population: Population, log: Path) -> Iterator[tuple[float, Connection, Wire]]:
    """Serve the ledger; say how long it took until it was ready."""
    token = _reader(population)
    started = time.perf_counter()
    with ExitStack() as stack:
        server = stack.enter_context(product("large", population.data_dir, log, 2))
        connection = _ready(server)
        stack.enter_context(closing(connection.socket))
        yield time.perf_counter() - started, connection, Wire(server.port, SCIM_BASE, token)


def _ready(server: Server) -> Connection:
    """Return a connection to a server, once it says that it is ready."""
    connection = Connection(server.port)
    while connection.exchange(b"GET /readyz HTTP/1.1\r\nHost: bench\r\n\r\n").status != 200:
        time.sleep(0.02)
    return connection


def _reader(population: Population) -> str:
    """Issue a token that may read the past."""
    console = app.console()
    console.settings = settings.load({"SCIM_DATA_DIR": str(population.data_dir)})
    with closing(console.tenant(NAME)) as tenant:
        by = Metadata("operator", "cli", clock.uuid7())
        return issue(tenant, by, "reader", scopes=[Scope.AUDIT]).token


def _answers(
    population: Population, wire: Wire, connection: Connection, events: int
) -> dict[str, tuple[float, float]]:
    """Return how long the answers to some questions take, in milliseconds."""
    draw = random.Random(3)
    moment = lambda: draw.randint(population.size + 10, events)  # noqa: E731 (everyone is there)
    nobody = lambda: quote(f'title eq "Title {draw.random()}"', safe="")  # noqa: E731
    questions: dict[str, tuple[int, Callable[[], str]]] = {
        "get by id": (_ASKED, lambda: f"/Users/{draw.choice(population.ids)}"),
        "get by id, as of": (
            _ASKED,
            lambda: f"/Users/{draw.choice(population.ids)}?asOf={moment()}",
        ),
        "page of 100, as of": (_ASKED, lambda: f"/Users?count=100&asOf={moment()}"),
        "filter without an index": (_SCANS, lambda: f"/Users?filter={nobody()}"),
        "sort without an index": (_SCANS, lambda: "/Users?sortBy=title&count=100"),
    }
    found = {}
    for name, (times, path) in questions.items():
        found[name] = percentiles([_ask(wire, connection, path()) for _ in range(times)])
    return found


def _ask(wire: Wire, connection: Connection, path: str) -> float:
    """Ask once; return the seconds that the answer took. What is refused took as long."""
    request = wire.bytes(Request("GET", path))
    started = time.perf_counter()
    connection.exchange(request)
    return time.perf_counter() - started


def _asking(population: Population, wire: Wire, connection: Connection) -> Callable[[Event], float]:
    """Return what goes on reading users until an event, and returns the slowest answer."""

    def ask(ended: Event) -> float:
        slowest, draw = 0.0, random.Random(4)
        while not ended.wait(_PACE):
            path = f"/Users/{draw.choice(population.ids)}"
            slowest = max(slowest, _ask(wire, connection, path))
        return slowest * 1000

    return ask


# What is shown


def text(found: dict[str, Any]) -> str:
    """Return the figures for a terminal."""
    return "\n".join(
        [
            f"{found['users']:,} users, {found['events']:,} events; bytes an event:"
            f" {found['ledger_bytes'] / found['events']:,.0f} the ledger with its projections,"
            f" {found['history_bytes'] / found['events']:,.0f} the history; ready after"
            f" {found['start_seconds']:.1f} s.",
            *(_line(title, found[name]) for name, title in WORKS.items()),
            *(
                f"{name:<30} {p50:9.1f} ms, one in a hundred {p99:.1f}"
                for name, (p50, p99) in found["milliseconds"].items()
            ),
        ]
    )


WORKS = {
    "rebuild": "rebuild of the current state",
    "history": "first history",
    "verify": "verify",
    "verify_events": "verify, events only",
    "export": "export",
}


def _line(name: str, took: dict[str, Any]) -> str:
    slowest = took["slowest_get_ms"]
    meanwhile = f", slowest get meanwhile {slowest:.0f} ms" if slowest else ""
    return (
        f"{name:<30} {took['per_second']:9,.0f} events/s, {took['seconds']:.1f} s,"
        f" {took['megabytes']:.0f} MB{meanwhile}"
    )


def main() -> None:
    """Measure, print, and write the figures where they are wanted."""
    parser = argparse.ArgumentParser(
        prog="python -m tests.bench.large",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("folder", type=Path)
    parser.add_argument("--json", type=Path, metavar="FILE")
    options = parser.parse_args()
    found = asdict(measure(options.folder.absolute()))
    print(text(found))
    if options.json:
        options.json.write_bytes(orjson.dumps(found, option=orjson.OPT_INDENT_2))


if __name__ == "__main__":
    main()
