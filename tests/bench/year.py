"""The year in an hour: what Okta sends about 100,000 people in a year, replayed over HTTP.

`python -m tests.bench.year` replays 20,000 requests about 1,000 people; with
`--people 100000 --requests 2000000` it is the whole year. It ends with every acknowledged write
looked up in the ledger, and with `scim-ledger verify`.
"""

import argparse
import resource
import signal
import socket
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from contextlib import ExitStack, closing
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import orjson

import app
from ledger import clock
from ledger.events import Metadata
from ledger.sqlite.ledger import SQLiteLedger
from scim_api import settings
from scim_api.auth.credentials import issue
from scim_api.auth.scopes import Scope
from tests.bench.figures import percentiles
from tests.bench.load import connect_evenly
from tests.bench.seed import NAME, Population, events_of, wait_for_history
from tests.bench.server import ROOT, machine, product
from tests.bench.wire import Wire
from tests.bench.year_client import Latencies, Replay
from tests.bench.year_okta import Okta
from tests.bench.year_plan import Plan
from tests.bench.year_watch import SCIM, Auditor, Feed, Watch

MINUTE = 60.0


@dataclass
class Year:
    """What came of it."""

    people: int
    requests: int
    seconds: float
    events: int  # recorded
    expected: int  # that the acknowledged writes must have recorded
    lost: list[str]  # streams that do not have a version that was acknowledged
    failures: list[str]
    fed: int  # events that the feed brought
    verified: str  # the first line that verify printed
    server_cpu: float  # seconds
    client_cpu: float
    idle: float  # share of the machine's time
    logs: Mapping[str, int]  # the largest size of each
    memory: list[tuple[float, list[int]]]
    latencies: Mapping[str, Latencies] = field(repr=False)

    @property
    def holds(self) -> bool:
        """Whether everything is there, proved, and was told to the feed."""
        counted = self.events == self.expected == self.fed and not self.lost
        return counted and not self.failures and self.verified.startswith("verified")


def replay(folder: Path, people: int, requests: int, workers: int = 2, each: int = 4) -> Year:
    """Replay a year of so many people against a new ledger in a folder."""
    population, audit = _new_ledger(folder)
    began = events_of(population)
    with ExitStack() as stack:
        log = folder / "product.log"
        server = stack.enter_context(product("the year", population.data_dir, log, workers))
        wire = Wire(server.port, SCIM, population.token)
        sockets = [each.socket for each in connect_evenly(server, each)]
        feed_socket, audit_socket = (_connected(server.port) for _ in range(2))
        for one in (*sockets, feed_socket, audit_socket):
            stack.enter_context(closing(one))
        okta, watch = Okta(wire), Watch(server, population.ledger.parent)
        feed = Feed(Wire(server.port, "", audit), feed_socket)

        def look(now: float, requests: int) -> None:
            watch.look(now)
            auditor.look(now)
            _say(now, requests)

        play = Replay(okta, iter(Plan(people, requests)), sockets, look)
        auditor = Auditor(Wire(server.port, "", audit), audit_socket, okta, feed, play.done)
        play.watch(feed_socket, feed.arrived)
        play.watch(audit_socket, auditor.arrived)
        cpu, own, (busy, all_) = server.cpu(), _own_cpu(), machine()
        seconds = play.run()
        own, (now_busy, now_all) = _own_cpu() - own, machine()
        wait_for_history(population)
        cpu = server.cpu() - cpu
        events = events_of(population)
        _drain(feed, events)
    return Year(
        people=people,
        requests=play.done.requests,
        seconds=seconds,
        events=events - began,
        expected=play.done.events,
        lost=_lost(population.ledger, okta),
        failures=play.done.failures,
        fed=feed.events - began,
        verified=_verify(population.data_dir),
        server_cpu=cpu,
        client_cpu=own,
        idle=1 - (now_busy - busy) / (now_all - all_),
        logs=watch.logs,
        memory=watch.memory,
        latencies=play.done.latencies,
    )


def _new_ledger(folder: Path) -> tuple[Population, str]:
    """Make an empty ledger; return it and the auditor's token."""
    console = app.console()
    console.settings = settings.load({"SCIM_DATA_DIR": str(folder / "data")})
    tenant = console.create(NAME)
    by = Metadata("operator", "cli", clock.uuid7())
    token = issue(tenant, by, "okta").token
    audit = issue(tenant, by, "auditor", scopes=[Scope.AUDIT]).token
    tenant.close()
    return Population(folder / "data", token, [], ""), audit


def _connected(port: int) -> socket.socket:
    return socket.create_connection(("127.0.0.1", port), timeout=MINUTE)


def _own_cpu() -> float:
    used = resource.getrusage(resource.RUSAGE_SELF)
    return used.ru_utime + used.ru_stime


def _drain(feed: Feed, events: int) -> None:
    """Read the rest of the feed."""
    feed.socket.settimeout(5.0)
    try:
        while feed.position < events:
            feed.arrived()
    except TimeoutError:
        return


def _lost(path: Path, okta: Okta) -> list[str]:
    """Return the streams whose version is not the highest that was acknowledged."""
    with closing(SQLiteLedger(path)) as ledger:
        return [
            f"{stream}: {version} acknowledged, {found} found"
            for stream, version in okta.versions.items()
            if (found := ledger.version(stream)) != version
        ]


def _verify(data_dir: Path) -> str:
    command = [str(Path(sys.executable).with_name("scim-ledger")), "verify"]
    ran = subprocess.run(
        command,
        cwd=ROOT,
        env={"SCIM_DATA_DIR": str(data_dir), "PATH": "/usr/bin:/bin"},
        capture_output=True,
        text=True,
        check=False,
    )
    return (ran.stdout if ran.returncode == 0 else ran.stdout + ran.stderr).partition("\n")[0]


# What is shown


def as_json(year: Year) -> dict[str, Any]:
    """Return all but the single latencies."""
    figures = {k: v for k, v in vars(year).items() if k != "latencies"}
    rows = {kind: _row(year, each) for kind, each in sorted(year.latencies.items())}
    return {**figures, "holds": year.holds, "kinds": rows}


def _row(year: Year, latencies: Latencies) -> dict[str, Any]:
    """Compare the first minute in which a kind occurred with the last, a fifth of a short run."""
    window = min(MINUTE, year.seconds / 5)
    first = latencies.at[0] + window
    last = latencies.at[-1] - window
    pairs = list(zip(latencies.at, latencies.took, strict=True))
    return {
        "requests": len(pairs),
        "first": percentiles([took for at, took in pairs if at <= first]),
        "last": percentiles([took for at, took in pairs if at >= last]),
    }


def text(year: dict[str, Any]) -> str:
    """Return the figures of a year for a terminal."""
    columns = "{:<18} {:>9} {:>15} {:>15}"
    rows = [
        columns.format(
            kind,
            f"{row['requests']:,}",
            "{:.1f}/{:.1f}".format(*row["first"]),
            "{:.1f}/{:.1f}".format(*row["last"]),
        )
        for kind, row in year["kinds"].items()
    ]
    sent, seconds = year["requests"], year["seconds"]
    logs = ", ".join(f"{name} {size / 1e6:.1f} MB" for name, size in year["logs"].items())
    wrong = ["NOT AS IT SHOULD BE", *year["failures"], *year["lost"]]
    return "\n".join(
        [
            f"A year of {year['people']:,} people: {sent:,} requests in {seconds:.0f} s,"
            f" {sent / seconds:,.0f}/s; 2,000,000 would take {2e6 / sent * seconds / 60:.0f} min.",
            f"{year['events']:,} events recorded, {year['expected']:,} acknowledged,"
            f" {year['fed']:,} came by the feed. {year['verified']}",
            f"CPU: {year['server_cpu'] / sent * 1000:.2f} ms a request (server with its jobs, feed"
            f" and auditor), {year['client_cpu'] / sent * 1000:.3f} ms the client; the machine was"
            f" idle for {year['idle']:.0%}.",
            f"Memory, MB at the start, at most, at the end: {_memory(year['memory'])}.",
            f"Largest logs: {logs}.",
            columns.format("p50/p99 ms", "requests", "first minute", "last minute"),
            *rows,
            *([] if year["holds"] else wrong),
        ]
    )


def _memory(samples: list[tuple[float, list[int]]]) -> str:
    """Return the memory of master and workers."""
    processes = zip(*(sizes for _, sizes in samples), strict=True)
    told = [(sizes[0], max(sizes), sizes[-1]) for sizes in processes]
    return ", ".join("-".join(f"{size / 1e6:.0f}" for size in each) for each in told)


def _say(now: float, requests: int) -> None:
    if int(now * 4) % 240 == 0:
        print(f"{now:,.0f} s: {requests:,} requests", file=sys.stderr, flush=True)


def main() -> None:
    """Replay, print, and fail where something is lost."""
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    parser = argparse.ArgumentParser(
        prog="python -m tests.bench.year",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--requests", type=int, default=20_000)
    parser.add_argument("--people", type=int, help="by default a twentieth of the requests")
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--each", type=int, default=4, help="connections to each worker")
    parser.add_argument("--json", type=Path, metavar="FILE")
    parser.add_argument("--folder", type=Path, help="where the ledger is made, and stays")
    options = parser.parse_args()
    people = options.people or max(100, options.requests // 20)
    with tempfile.TemporaryDirectory(prefix="scim-year-") as scratch:
        folder = options.folder or Path(scratch)
        folder.mkdir(parents=True, exist_ok=True)
        year = replay(folder, people, options.requests, options.workers, options.each)
    print(text(as_json(year)))
    if options.json:
        options.json.write_bytes(orjson.dumps(as_json(year), option=orjson.OPT_INDENT_2))
    sys.exit(not year.holds)


if __name__ == "__main__":
    main()
