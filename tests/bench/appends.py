"""Appends of many threads compared with SQLite itself, and the waits of several processes.

`python -m tests.bench.appends`: what SQLite does is the same rows, in the same tables, in commits
of as many. Rounds of both take turns; medians are printed.
"""

import argparse
import json
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import NamedTuple

from ledger import clock, events
from ledger.contract import NO_STREAM, Append
from ledger.create import create
from ledger.events import Event, Metadata
from ledger.sqlite import schema
from ledger.sqlite.connection import connect
from ledger.sqlite.ledger import SQLiteLedger
from tests.bench import people

PATIENCE = 60.0  # seconds for the write lock
EVENT = "INSERT INTO event VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)"
PAYLOAD = "INSERT INTO payload VALUES (?, ?, ?, ?)"


class Speed(NamedTuple):
    """Appends a second, and the CPU of one in microseconds."""

    rate: float
    cpu: float


def metadata() -> Metadata:
    request = {"method": "POST", "path": "/Users", "client": "okta"}
    return Metadata("019ab6d3-0000-7000-8000-000000000000", "okta", clock.uuid7(), request)


def append(ledger: SQLiteLedger, number: int) -> None:
    """Append what creates a user: the profile that Okta sends."""
    stream, event = f"User-{clock.uuid7()}", Event(events.CREATED, people.created(number))
    ledger.append([Append(stream, NO_STREAM, [event])], metadata())


@contextmanager
def new_ledger() -> Iterator[Path]:
    with tempfile.TemporaryDirectory(prefix="scim-ledger-") as folder:
        path = Path(folder) / "acme" / "ledger.db"
        create(path, "acme", software="bench", metadata=metadata())
        yield path


def together(threads: int, path: Path, count: int) -> tuple[Speed, float]:
    """Append so many events from threads; return the speed, and how many a commit."""
    begun: list[str] = []
    with closing(SQLiteLedger(path, timeout=PATIENCE)) as ledger:
        with ledger.writing() as writer:
            writer.set_trace_callback(lambda said: said == "COMMIT" and begun.append(said))
        numbers = [range(first, count, threads) for first in range(threads)]
        work = [
            threading.Thread(target=lambda mine=mine: [append(ledger, n) for n in mine])
            for mine in numbers
        ]
        started, cpu = time.perf_counter(), time.process_time()
        for thread in work:
            thread.start()
        for thread in work:
            thread.join()
        took, cpu = time.perf_counter() - started, time.process_time() - cpu
    return Speed(count / took, cpu / count * 1e6), count / len(begun)


def by_sqlite(source: Path, batch: int) -> Speed:
    """Insert the rows of a ledger into tables like its own, in commits of so many events."""
    with closing(connect(source)) as ledger:
        rows = ledger.execute("SELECT * FROM event ORDER BY position").fetchall()
        payloads = ledger.execute("SELECT * FROM payload ORDER BY position").fetchall()
    copy = source.with_name("copy.db")
    copy.touch()
    with closing(connect(copy)) as connection:
        schema.migrate(connection)
        started, cpu = time.perf_counter(), time.process_time()
        for at in range(0, len(rows), batch):
            connection.execute("BEGIN IMMEDIATE")
            both = zip(rows[at : at + batch], payloads[at : at + batch], strict=True)
            for row, payload in both:
                connection.execute(EVENT, row)
                connection.execute(PAYLOAD, payload)
            connection.execute("COMMIT")
        took, cpu = time.perf_counter() - started, time.process_time() - cpu
    return Speed(len(rows) / took, cpu / len(rows) * 1e6)


def compare(threads: int, count: int, rounds: int) -> None:
    ours, theirs, batches, shares = [], [], [], []
    for _ in range(rounds):
        with new_ledger() as path:
            speed, batch = together(threads, path, count)
            theirs.append(by_sqlite(path, max(1, round(batch))))
        ours.append(speed)
        batches.append(batch)
        shares.append(speed.rate / theirs[-1].rate)
    rate, cpu = (statistics.median(each) for each in zip(*ours, strict=True))
    other_rate, other_cpu = (statistics.median(each) for each in zip(*theirs, strict=True))
    print(
        f"{threads:2} threads: {rate:,.0f} appends/s at {cpu:.0f} us CPU,"
        f" {statistics.median(batches):.1f} a commit; SQLite itself {other_rate:,.0f}/s at"
        f" {other_cpu:.0f} us; ratio {statistics.median(shares):.2f}"
    )


def waits(processes: int, threads: int, seconds: float) -> None:
    """Print how long appends wait where several processes of several threads write all the time."""
    with new_ledger() as path:
        command = [sys.executable, "-m", "tests.bench.appends", "--child", str(path)]
        command += ["--threads", str(threads), "--seconds", str(seconds)]
        running = [subprocess.Popen(command, stdout=subprocess.PIPE) for _ in range(processes)]
        waited = sorted(t for each in running for t in json.loads(each.communicate()[0]))
    at = {share: waited[int(share * (len(waited) - 1))] * 1000 for share in (0.5, 0.99, 1.0)}
    print(
        f"{processes} processes of {threads} threads: {len(waited) / seconds:,.0f} appends/s; waits"
        f" p50 {at[0.5]:.1f}, p99 {at[0.99]:.0f}, longest {at[1.0]:.0f} ms"
    )


def child(path: Path, threads: int, seconds: float) -> None:
    """Append for some seconds; print how long each took."""
    took: list[float] = []
    with closing(SQLiteLedger(path, timeout=PATIENCE)) as ledger:
        append(ledger, 0)
        until = time.monotonic() + seconds

        def append_on() -> None:
            while (started := time.monotonic()) < until:
                append(ledger, len(took))
                took.append(time.monotonic() - started)

        work = [threading.Thread(target=append_on) for _ in range(threads)]
        for thread in work:
            thread.start()
        for thread in work:
            thread.join()
    print(json.dumps(took))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--threads", type=int, default=4, help="of each process")
    parser.add_argument("--processes", type=int, default=4)
    parser.add_argument("--seconds", type=float, default=10.0)
    parser.add_argument("--count", type=int, default=4000, help="appends of a round")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--child", type=Path, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.child:
        child(options.child, options.threads, options.seconds)
        return
    for threads in (1, 4, 16):
        compare(threads, options.count, options.rounds)
    waits(options.processes, options.threads, options.seconds)


if __name__ == "__main__":
    main()
