"""Processes killed at random moments: acknowledged events are there, no others."""

import lzma
import os
import random
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

import app
from ledger import events
from ledger.contract import NO_STREAM, Append
from ledger.create import create
from ledger.events import Event, Metadata
from ledger.sqlite.connection import Connection, driver
from ledger.sqlite.ledger import SQLiteLedger
from ledger.verify.verifier import verify
from projections.runner import StoredProjection
from scim_api import wiring
from scim_api.tenants.tenants import Tenant

PROCESSES = Path(__file__).parents[1] / "processes.py"


class Nest:
    """Gives birth to processes that do one work, and kills them."""

    def __init__(self, process: "subprocess.Popen[str]") -> None:
        self._process = process

    def life(self, seconds: float) -> list[str]:
        """Run one process for so long; return the lines it printed until SIGKILL."""
        assert self._process.stdin
        print(file=self._process.stdin, flush=True)
        said = self._line().split()
        time.sleep(seconds)
        os.kill(int(said[1]), signal.SIGKILL)
        return list(iter(self._line, "dead\n"))

    def _line(self) -> str:
        assert self._process.stdout
        line = self._process.stdout.readline()
        assert line, "the nest died"
        return line


@contextmanager
def nest(*arguments: object) -> Iterator[Nest]:
    """Start a process whose children do a work of processes.py."""
    command = [sys.executable, str(PROCESSES), "nest", *map(str, arguments)]
    with subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as process:
        yield Nest(process)
        assert process.stdin
        process.stdin.close()


def integrity(path: Path) -> list[str]:
    connection = driver.connect(str(path), isolation_level=None)
    found = [line for (line,) in connection.execute("PRAGMA integrity_check")]
    connection.close()
    return found


@pytest.mark.slow
@pytest.mark.parametrize("work", ["append_for_ever", "append_together"])
def test_acknowledged_events_survive_sigkill(work: str, tenant: Tenant, metadata: Metadata) -> None:
    path = tenant.ledger.path
    tenant.ledger.close()
    acknowledged: dict[int, str] = {}
    with nest(work, path) as processes:
        for _ in range(40):
            lines = processes.life(random.uniform(0.005, 0.15))
            acknowledged |= {int(p): id_ for p, id_ in map(str.split, lines)}

    left_behind = verify(path).findings
    found = {recorded.position: recorded.id for recorded in tenant.ledger.read_all()}

    assert acknowledged
    assert acknowledged.items() <= found.items()
    assert left_behind == []
    assert integrity(path) == ["ok"]
    assert whole_users(tenant)
    assert [p.check() for p in wiring.projections_of(tenant)] == [None] * 4
    [recorded] = tenant.ledger.append(
        [Append("Note-1", NO_STREAM, [Event(events.CREATED)])], metadata
    )
    assert recorded.position == max(found) + 1


def whole_users(tenant: Tenant) -> bool:
    """Return whether each user has both events of the append that created it."""
    versions = [r.version for r in tenant.ledger.read_all() if r.category == "User"]
    return versions == [1, 2] * (len(versions) // 2)


def test_a_write_refused_by_a_full_disk_is_rolled_back(tenant: Tenant) -> None:
    command = [sys.executable, str(PROCESSES), "starve", str(tenant.ledger.path)]

    said = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True).stdout.split("\n")

    *before, refused, after, end = said
    acknowledged = [int(line.split()[0]) for line in (*before, after)]
    assert (refused, end) == ("refused", "")
    assert acknowledged == list(range(3, 2 * len(acknowledged) + 2, 2))
    assert tenant.ledger.last_position() == acknowledged[-1]
    assert verify(tenant.ledger.path).findings == []
    assert StoredProjection(tenant.ledger, tenant.resources).check() is None


@pytest.mark.slow
def test_a_ledger_is_made_whole_or_not_at_all(tmp_path: Path, metadata: Metadata) -> None:
    with nest("create_for_ever", tmp_path) as processes:
        told = [line.strip() for _ in range(25) for line in processes.life(random.uniform(0, 0.08))]

    whole = sorted(str(path) for path in tmp_path.glob("*/ledger.db"))
    torn = [folder for folder in tmp_path.iterdir() if not (folder / "ledger.db").exists()]

    assert set(told) <= set(whole)
    assert torn  # or nothing was killed at work
    assert [finding for path in whole for finding in verify(Path(path)).findings] == []
    for folder in torn:
        create(folder / "ledger.db", "acme", software="test", metadata=metadata)
        files = sorted(file.name for file in folder.iterdir())
        assert files == ["ledger.db", "ledger.lock", "signing.head", "signing.key"]
        assert verify(folder / "ledger.db").findings == []


@pytest.fixture
def many_users(ledger_path: Path, metadata: Metadata) -> Path:
    """Make the ledger of 1300 users, more than two chunks of a rebuild, with no projections yet."""
    created = [
        Append(f"User-{n:04}", NO_STREAM, [Event(events.CREATED, {"userName": f"user{n}"})])
        for n in range(1300)
    ]
    ledger = SQLiteLedger(ledger_path)
    ledger.append(created, metadata)
    ledger.close()
    return ledger_path


@pytest.mark.slow
def test_a_rebuild_cut_off_changes_nothing(
    many_users: Path, foreign: Callable[[Path], Connection]
) -> None:
    app.console().migrate("acme")
    connection = foreign(many_users)
    before = resources(connection)
    with nest("rebuild_for_ever", many_users) as processes:
        for _ in range(8):
            processes.life(random.uniform(0, 0.4))

            assert resources(connection) == before
    tenant = wiring.open_tenant(many_users)

    StoredProjection(tenant.ledger, tenant.resources).rebuild()

    assert StoredProjection(tenant.ledger, tenant.resources).check() is None
    assert remains(connection) == []
    assert integrity(many_users) == ["ok"]
    tenant.close()


EARLIER = Path(__file__).parents[2] / "golden" / "ledger-0.1.0.db.xz"  # of the version 2 of tables


@pytest.mark.slow
@pytest.mark.parametrize("earlier", [False, True])
def test_a_migration_cut_off_is_finished_by_the_next(
    earlier: bool, many_users: Path, foreign: Callable[[Path], Connection]
) -> None:
    original = many_users.with_name("original")
    shutil.copy(many_users, original)
    if earlier:
        original.write_bytes(lzma.decompress(EARLIER.read_bytes()))
        for file in many_users.parent.glob("signing.*"):
            file.unlink()
    with nest("migrate", "acme") as processes:
        for seconds in (0.01, 0.05, 0.1, 0.2, 0.3):
            for file in many_users.parent.glob("ledger.db*"):
                file.unlink()
            shutil.copy(original, many_users)
            processes.life(seconds)

            app.console().migrate("acme")

            tenant = wiring.open_tenant(many_users)
            assert wiring.outdated(tenant) == []
            assert StoredProjection(tenant.ledger, tenant.resources).check() is None
            StoredProjection(tenant.ledger, tenant.resources).sweep()
            assert remains(foreign(many_users)) == []
            tenant.close()
    assert verify(many_users).findings == []


def resources(connection: Connection) -> list[object]:
    return [
        connection.execute(f"SELECT * FROM {table} ORDER BY 1, 2").fetchall()
        for table in ("resource", "resource_email", "resource_census")
    ]


def remains(connection: Connection) -> list[str]:
    """Return the tables that a rebuild made next to the live ones and did not drop."""
    return [
        name
        for (name,) in connection.execute(
            "SELECT name FROM sqlite_master WHERE type = 'table'"
            " AND (name LIKE '%building%' OR name LIKE '%retired%')"
        )
    ]
