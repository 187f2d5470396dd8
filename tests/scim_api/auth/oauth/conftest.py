"""A key set's URL on this machine, and an authorization server of two ledgers."""

import json
import shutil
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from tests.scim_api.auth.oauth.service import Service
from tests.scim_api.client import Site


@dataclass
class KeySetUrl:
    """What answers, and how often it was asked; a test changes the rest."""

    url: str = ""
    document: Any = None
    status: int = 200
    headers: dict[str, str] = field(default_factory=dict)
    asked: int = 0
    go_on: threading.Event = field(default_factory=threading.Event)  # an answer waits for it
    begun: threading.Event = field(default_factory=threading.Event)

    def body(self) -> bytes:
        document = self.document
        return document if isinstance(document, bytes) else json.dumps(document).encode()


@pytest.fixture
def key_set_url() -> Iterator[KeySetUrl]:
    served = KeySetUrl()
    served.go_on.set()

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            served.asked += 1
            served.begun.set()
            served.go_on.wait(10)
            body = served.body()
            self.send_response(served.status)
            for name, value in {"Content-Length": str(len(body)), **served.headers}.items():
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: Any) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, args=(0.02,))
    thread.start()
    served.url = f"http://127.0.0.1:{server.server_port}/keys"
    yield served
    served.go_on.set()
    server.shutdown()
    thread.join()
    server.server_close()


@pytest.fixture(scope="session")
def two_ledgers(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a data directory with two empty ledgers, to be copied."""
    site = Site(tmp_path_factory.mktemp("oauth") / "data")
    for name in ("acme", "beta"):
        site.console.create(name).close()
    return site.data_dir


@pytest.fixture
def service(two_ledgers: Path, site: Site) -> Iterator[Service]:
    """Return the authorization server of the ledgers acme and beta."""
    shutil.copytree(two_ledgers, site.data_dir)
    opened = Service(site)
    yield opened
    opened.close()
