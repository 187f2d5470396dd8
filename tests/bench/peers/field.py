"""Starts the peers that are installed, and fills them over HTTP."""

import shutil
import time
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path

import orjson

from scim_api.protocol.schema.resource_types import GROUP_URN
from tests.bench import people
from tests.bench.contest import SCIM_BASE, Contestant
from tests.bench.load import Connection, Load
from tests.bench.seed import Population
from tests.bench.server import ROOT, Server, free_port, listens, running, stock
from tests.bench.wire import Request, Wire

MODULES = ROOT / ".venv" / "peers"  # where npm put them
_HERE = Path(__file__).parent
_TOKEN = "a-token-of-the-benchmark"
_START = 20.0  # seconds


class Missing(Exception):
    """A peer cannot take part; says why."""


@contextmanager
def scim2_flask(log: Path) -> Iterator[Server]:
    """Run scim2-flask in one worker, because its storage is in that worker's memory."""
    for module in ("scim2_flask", "scim2_server"):
        if find_spec(module) is None:
            raise Missing(f"{module} is not installed")
    target, settings = "tests.bench.peers.flask_app:app", {"PEER_TOKEN": _TOKEN}
    with stock("scim2-flask", target, log, 1, settings) as server:
        yield server


@contextmanager
def scimmy(log: Path) -> Iterator[Server]:
    """Run SCIMMY in one process of Node."""
    node = shutil.which("node")
    if node is None:
        raise Missing("node is not installed")
    if not (MODULES / "node_modules" / "scimmy-routers").is_dir():
        raise Missing("scimmy-routers is not installed")
    port = free_port()
    settings = {"PEER_TOKEN": _TOKEN, "PORT": str(port), "PEER_MODULES": str(MODULES)}
    settings["NODE_ENV"] = "production"
    with running([node, str(_HERE / "scimmy.mjs")], settings, log) as process:
        deadline = time.monotonic() + _START
        while not listens(port):
            if process.poll() is not None or time.monotonic() > deadline:
                raise Missing(f"it does not start: {log.read_text(errors='replace')[-300:]}")
            time.sleep(0.1)
        yield Server("SCIMMY", port, process.pid, (process.pid,))


PEERS = {
    "scim2-flask": (scim2_flask, "scim2-flask, in memory, one worker"),
    "scimmy": (scimmy, "SCIMMY, in memory, one process of Node"),
}


def fill(name: str, load: Load, users: int) -> Contestant:
    """Create users, and a group of all of them; raises Missing where that does not work."""
    _, title = PEERS[name]
    wire, connection = Wire(load.server.port, SCIM_BASE, _TOKEN), load.connections[0]
    ids = [_create(wire, connection, "/Users", people.created(number)) for number in range(users)]
    members = [{"value": id_} for id_ in ids]
    body = {"schemas": [GROUP_URN], "displayName": "Everyone", "members": members}
    group = _create(wire, connection, "/Groups", body)
    return Contestant(title, load, Population(Path(), _TOKEN, ids, group), is_peer=True)


def _create(wire: Wire, connection: Connection, path: str, body: people.Body) -> str:
    answer = connection.exchange(wire.bytes(Request("POST", path, body)))
    if answer.status != 201:
        raise Missing(f"POST {path}: {answer.status} {answer.body[:300]!r}")
    id_: str = orjson.loads(answer.body)["id"]
    return id_
