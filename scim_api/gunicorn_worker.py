"""gunicorn's threaded worker, which says in SCIM JSON what it refuses before Flask sees it."""

import socket
import time
from contextlib import suppress
from typing import Any

import orjson
from gunicorn.http.errors import LimitRequestHeaders, LimitRequestLine
from gunicorn.util import write_nonblock
from gunicorn.workers.gthread import ThreadWorker

from ledger import clock
from scim_api.errors import error_document
from scim_api.http import SCIM_JSON
from scim_api.logs import LOGGER

_REASONS = {
    400: "Bad Request",
    414: "URI Too Long",
    431: "Request Header Fields Too Large",
    500: "Internal Server Error",
}


ARRIVAL = 10.0  # seconds within which a request, once begun, has to have arrived


class ScimWorker(ThreadWorker):  # type: ignore[misc]
    """A worker whose own refusals Okta can read, and whose threads no client can hold for ever."""

    def init_process(self) -> None:
        """Begin without a connection."""
        self._begun: dict[Any, float] = {}
        super().init_process()

    def handle(self, conn: Any) -> Any:
        """Serve one request, noting when it began."""
        self._begun[conn] = time.monotonic()
        try:
            return super().handle(conn)
        finally:
            del self._begun[conn]

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
        """Answer what is no HTTP, or too long for this server."""
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
        """Tell whether gunicorn's master lives; without it, let go of the port at once.

        Else the orphans would keep a new service from starting until their last client is gone.
        """
        alive = bool(super().is_parent_alive())
        if not alive:
            self.set_accept_enabled(False)
            for listener in self.sockets:
                listener.close()
            self.alive = False  # what is in flight is answered with Connection: close
        return alive

    def start_following(self) -> None:
        """Follow the ledgers of the application, if it has any."""
        start = getattr(self.wsgi, "start_following", None)
        if start:
            start()

    def close_ledgers(self) -> None:
        """Close the application's ledgers."""
        close = getattr(self.wsgi, "close_ledgers", None)
        if close:
            close()


def _meaning(exc: BaseException) -> tuple[int, str]:
    if isinstance(exc, LimitRequestLine):
        return 414, "The address is longer than 8190 bytes. Shorten the filter."
    if isinstance(exc, LimitRequestHeaders):
        return 431, "The headers are longer or more than this service takes."
    if type(exc).__module__.startswith("gunicorn.http"):
        return 400, "This is not a well-formed HTTP request."
    return 500, "Something went wrong in the service before the request was read."
