"""gunicorn's threaded worker; what it refuses before Flask sees it is answered in SCIM JSON."""

import socket
import time
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import suppress
from functools import cached_property
from typing import Any

import orjson
from gunicorn.http import wsgi
from gunicorn.http.errors import LimitRequestHeaders, LimitRequestLine
from gunicorn.util import write_nonblock
from gunicorn.workers.gthread import ThreadWorker

from ledger import clock
from ledger.open_files import OPEN
from scim_api.audit.feeds import REFUSING, waits
from scim_api.logs import LOGGER
from scim_api.protocol.errors import ScimError, error_document
from scim_api.server.runtime import EXTENSION, Runtime
from scim_api.web.messages import SCIM_JSON

_REASONS = {
    400: "Bad Request",
    414: "URI Too Long",
    431: "Request Header Fields Too Large",
    500: "Internal Server Error",
}

ARRIVAL = 10.0  # seconds within which a request, once begun, has to have arrived
STALL = 10.0  # seconds for which a client that waits for events may take nothing


class Nameless(wsgi.Response):  # type: ignore[misc]
    """An answer that does not say which software gives it."""

    def default_headers(self) -> list[str]:
        """Return the lines before the application's headers."""
        return [line for line in super().default_headers() if not line.startswith("Server:")]


wsgi.Response = Nameless  # gunicorn has no setting for it


class ScimWorker(ThreadWorker):  # type: ignore[misc]
    """A worker that refuses in SCIM JSON, and whose threads no client can hold for ever."""

    def init_process(self) -> None:
        self._begun: dict[Any, float] = {}
        self._apart: dict[Any, Any] = {}  # requests that wait, by connection
        super().init_process()

    def handle(self, conn: Any) -> Any:
        """Serve one request, noting when it began."""
        self._begun[conn] = time.monotonic()
        try:
            return super().handle(conn)
        finally:
            del self._begun[conn]
            OPEN.tidy()

    def handle_request(self, req: Any, conn: Any) -> bool:
        """Answer a request, but put one that waits aside: these threads are for SCIM."""
        _must_name_its_host(req)
        if not waits(req.path, req.query):
            return bool(super().handle_request(req, conn))
        self._apart[conn] = req
        return False

    def finish_request(self, conn: Any, fs: Future[Any]) -> None:
        """Go on with a connection; a request that was put aside gets a thread of its own."""
        req = self._apart.pop(conn, None)
        if req is None:
            super().finish_request(conn, fs)
            return
        finish = super().finish_request
        answered = self._waiters.submit(self._answer_in_time, req, conn)
        answered.add_done_callback(lambda future: self.method_queue.defer(finish, conn, future))

    @cached_property
    def _waiters(self) -> ThreadPoolExecutor:
        return ThreadPoolExecutor(self.wsgi.extensions[EXTENSION].feeds.slots + REFUSING, "waiter")

    def _answer_in_time(self, req: Any, conn: Any) -> bool:
        """Answer a request that waits; return whether the connection can be used again."""
        try:
            conn.sock.settimeout(STALL)
            return bool(self._keepalive_after(conn, super().handle_request(req, conn)))
        except (OSError, StopIteration):
            return False  # the client is gone, or was cut off
        except Exception as error:
            self.handle_error(req, conn.sock, conn.client, error)
            return False
        finally:
            OPEN.tidy(keep=0)

    @property
    def runtime(self) -> Runtime | None:
        """The application's; None while it is being loaded, when a signal can already come."""
        app = getattr(self, "wsgi", None)
        return app.extensions.get(EXTENSION) if app else None

    def _release_waiting(self) -> None:
        if runtime := self.runtime:
            runtime.feeds.end()

    def handle_exit(self, sig: int, frame: Any) -> None:
        """Begin to stop: answer the requests in hand, release the clients that wait for events."""
        self._release_waiting()
        super().handle_exit(sig, frame)

    def handle_quit(self, sig: int, frame: Any) -> None:
        self._release_waiting()
        super().handle_quit(sig, frame)

    def murder_pending(self) -> None:
        """Once a second, read no more from clients that dribble or stall.

        A request that has arrived and is being worked on is answered all the same.
        """
        super().murder_pending()
        for conn, begun in list(self._begun.items()):
            if time.monotonic() - begun > ARRIVAL:
                with suppress(OSError):
                    conn.sock.shutdown(socket.SHUT_RD)

    def handle_error(self, req: Any, client: Any, addr: Any, exc: BaseException) -> None:
        """Answer a request that is no HTTP, or too long for this server."""
        status, detail = _meaning(exc)
        request_id = clock.uuid7()
        body = orjson.dumps(error_document(status, detail))
        head = (
            f"HTTP/1.1 {status} {_REASONS[status]}\r\nConnection: close\r\n"
            f"Content-Type: {SCIM_JSON}\r\nContent-Length: {len(body)}\r\n"
            f"X-Request-Id: {request_id}\r\nCache-Control: no-store\r\n\r\n"
        )
        fields = {"request_id": request_id, "status": status, "error": type(exc).__name__}
        LOGGER.info("request refused", extra={"fields": fields})
        try:
            write_nonblock(client, head.encode() + body)
        except OSError:
            self.log.debug("the client of a refused request was gone")

    def is_parent_alive(self) -> bool:
        """Return whether gunicorn's master lives; without it, release the port at once.

        Else the orphans would keep a new service from starting until their last client is gone.
        """
        alive = bool(super().is_parent_alive())
        if not alive:
            self.alive = False  # what is in flight is answered with Connection: close
            self.set_accept_enabled(False)
            self._release_waiting()
        return alive

    def set_accept_enabled(self, enabled: bool) -> None:
        """Begin or stop to take connections; one that ends leaves its socket to others at once."""
        super().set_accept_enabled(enabled)
        if not (enabled or self.alive):
            for listener in self.sockets:
                listener.close()


def _must_name_its_host(req: Any) -> None:
    """Refuse a request of HTTP/1.1 without its one Host (RFC 9112 §3.2); raises ScimError."""
    hosts = [value for name, value in req.headers if name == "HOST"]
    if req.version >= (1, 1) and not (len(hosts) == 1 and hosts[0]):
        raise ScimError("host.number", "An HTTP/1.1 request has exactly one Host header.")


def _meaning(exc: BaseException) -> tuple[int, str]:
    if isinstance(exc, LimitRequestLine):
        return 414, "The address is longer than 8190 bytes. Shorten the filter."
    if isinstance(exc, LimitRequestHeaders):
        return 431, "The headers are longer or more than this service takes."
    if isinstance(exc, ScimError):
        return exc.status, exc.detail
    if type(exc).__module__.startswith("gunicorn.http"):
        return 400, "This is not a well-formed HTTP request."
    return 500, "Something went wrong in the service before the request was read."
