"""Fixtures for the tests of every room: real ledgers in temporary folders."""

import os
import shutil
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import hypothesis
import pytest
from click.testing import CliRunner, Result

import app
from ledger import clock, events
from ledger.contract import Append
from ledger.create import create
from ledger.events import Event, Metadata, Recorded
from ledger.sqlite import ledger as sqlite_ledger
from ledger.sqlite.connection import Connection, driver
from ledger.sqlite.ledger import SQLiteLedger
from scim_api import wiring
from scim_api.logs import LOGGER
from scim_api.tenants.tenants import Tenant

Record = Callable[..., list[Recorded]]
Run = Callable[..., Result]

hypothesis.settings.register_profile("tests", deadline=None)  # a busy machine is no failure
hypothesis.settings.load_profile("tests")


def _metadata() -> Metadata:
    return Metadata("operator", "test", clock.uuid7(), {"method": "POST", "path": "/Users"})


def _recorder(ledger: SQLiteLedger) -> Record:
    def record(stream: str, *events: Event) -> list[Recorded]:
        version = len(ledger.read_stream(stream))
        return ledger.append([Append(stream, version, events)], _metadata())

    return record


@pytest.fixture
def metadata() -> Metadata:
    return _metadata()


@pytest.fixture
def recorder() -> Callable[[SQLiteLedger], Record]:
    """Return a function that makes a recorder: it appends events to a ledger's streams."""
    return _recorder


@pytest.fixture
def data_dir(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return an empty data directory, which commands use."""
    monkeypatch.setenv("SCIM_DATA_DIR", str(tmp_path / "var"))
    return tmp_path / "var"


@pytest.fixture
def ledger_path(data_dir: Path) -> Path:
    """Return the file of a new ledger, acme, without projections."""
    path = data_dir / "acme" / "ledger.db"
    create(path, "acme", software="scim-ledger test", metadata=_metadata())
    return path


@pytest.fixture
def ledger(ledger_path: Path) -> Iterator[SQLiteLedger]:
    opened = SQLiteLedger(ledger_path)
    yield opened
    opened.close()


@pytest.fixture
def record(ledger: SQLiteLedger) -> Record:
    """Append events to the end of a stream."""
    return _recorder(ledger)


@pytest.fixture
def tenant(ledger_path: Path) -> Iterator[Tenant]:
    """Open a new ledger with its projections."""
    app.console().migrate("acme")
    opened = wiring.open_tenant(ledger_path)
    yield opened
    opened.close()


@pytest.fixture
def run() -> Run:
    """Run a command on the ledger acme of the data directory."""
    runner = CliRunner()

    def invoke(*arguments: str) -> Result:
        return runner.invoke(app.cli, [*arguments, "--ledger", "acme"])

    return invoke


@pytest.fixture
def caplog(
    caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> pytest.LogCaptureFixture:
    """Return what is logged, however another test of this process has configured the log."""
    monkeypatch.setattr(LOGGER, "propagate", False)
    monkeypatch.setattr(LOGGER, "handlers", [caplog.handler])
    caplog.set_level("INFO", LOGGER.name)
    return caplog


@pytest.fixture
def foreign() -> Iterator[Callable[[Path], Connection]]:
    """Return a function that opens a database without our settings, like another program."""
    opened: list[Connection] = []

    def connect(path: Path) -> Connection:
        connection = driver.connect(str(path), isolation_level=None)
        connection.execute("PRAGMA recursive_triggers=OFF")
        opened.append(connection)
        return connection

    yield connect
    for connection in opened:
        connection.close()


@pytest.fixture
def dripping() -> Iterator[Callable[[bytes], str]]:
    """Return a function that starts a server and returns its host and port.

    The server sends some bytes at once and then one byte at a time, so no single wait is long.
    """
    over, listeners = threading.Event(), []

    def serve(listener: socket.socket, first: bytes) -> None:
        with suppress(OSError):
            while True:
                client, _ = listener.accept()
                threading.Thread(target=drip, args=(client, first), daemon=True).start()

    def drip(client: socket.socket, first: bytes) -> None:
        with suppress(OSError), client:
            client.sendall(first)
            while not over.wait(0.05):
                client.sendall(b"x")

    def make(first: bytes) -> str:
        listener = socket.create_server(("127.0.0.1", 0))
        listeners.append(listener)
        threading.Thread(target=serve, args=(listener, first), daemon=True).start()
        return f"127.0.0.1:{listener.getsockname()[1]}"

    yield make
    over.set()
    for listener in listeners:
        listener.shutdown(socket.SHUT_RDWR)
        listener.close()


@pytest.fixture(scope="session")
def template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the closed file of a ledger of 30 mixed events, with projections and one erasure.

    Position 17 is an Updated of a living user. Another user has 8, 9 and 10; 10 is the Erased
    event that erased 8.
    """
    folder = tmp_path_factory.mktemp("template")
    path = folder / "acme" / "ledger.db"
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("SCIM_DATA_DIR", str(folder))
        app.console().create("acme").close()
    tenant = wiring.wire(path)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sqlite_ledger, "_forget", _forget_half)
        _write_history(_recorder(tenant.ledger))
    tenant.close()
    return path


def _forget_half(connection: Connection, erased: Recorded) -> None:
    connection.execute(
        "UPDATE payload SET body = NULL, salt = NULL, erased_by = ? WHERE position = ?",
        (erased.position, erased.position - 2),
    )


def _write_history(record: Record) -> None:
    users = [f"User-01a20b63-a5ba-75ab-a2b5-0dfef08b84f{n}" for n in range(6)]
    for n, user in enumerate(users):  # 2 to 7
        record(user, Event(events.CREATED, _person(n)))
    record("User-erased", Event(events.CREATED, {"userName": "jürgen@example.com"}))  # 8
    record("User-erased", Event(events.DELETED, {"why": "Jörg"}))
    record("User-erased", Event(events.ERASED))  # 10
    for n in range(3):  # 11 to 13
        issued = {"name": f"okta {n}", "sha256": f"{n:064x}", "expires_at": clock.timestamp()}
        record(f"Credential-{n}", Event(events.CREDENTIAL_ISSUED, issued))
    record("Credential-1", Event(events.CREDENTIAL_REVOKED))
    for user in users:  # 15 to 26
        record(user, Event(events.UPDATED, {"title": "Ingénieure", "externalId": None}))
        record(user, Event(events.DEACTIVATED, {"active": False}))
    record(users[0], Event(events.REACTIVATED, {"active": True}))
    record(users[5], Event(events.DELETED))
    record("Note-1", Event(events.CREATED, {"x": [1, {"y": None}]}))
    record("Note-1", Event(events.UPDATED, {"x": None}))  # 30


def _person(n: int) -> dict[str, Any]:
    return {
        "userName": f"user{n}@example.com",
        "externalId": f"00u{n}",
        "active": True,
        "name": {"givenName": "Zoë", "familyName": "Straße"},
        "emails": [{"value": f"User{n}@Example.com", "type": "work", "primary": True}],
        "urn:ietf:params:scim:schemas:extension:enterprise:2.0:User:department": "R&D",
    }


@pytest.fixture
def history(template: Path, data_dir: Path) -> Path:
    """Return a copy of the template, which commands find as the ledger acme."""
    path = data_dir / "acme" / "ledger.db"
    path.parent.mkdir(parents=True)
    shutil.copy(template, path)
    os.chmod(path, 0o600)
    return path
