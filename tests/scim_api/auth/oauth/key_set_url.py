"""A key set's URL on this machine."""

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any


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


@contextmanager
def key_set_served() -> Iterator[KeySetUrl]:
    """Serve a key set for as long as the block runs."""
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
    try:
        yield served
    finally:
        served.go_on.set()
        server.shutdown()
        thread.join()
        server.server_close()
