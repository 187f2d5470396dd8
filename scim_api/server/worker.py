"""gunicorn's worker: no client takes a thread before its request is whole.

`poller` reads requests and `connection` knows when one is whole, gunicorn's parser judges it
(`parsing`), `lanes` gives it to a thread, `answers` makes what is answered.
"""

import os
import time
from typing import Any

from gunicorn.workers.base import Worker

from ledger.contract import LedgerBusy
from ledger.open_files import OPEN
from ledger.patience import have_waited
from scim_api import settings as settings_
from scim_api.audit.feeds import REFUSING
from scim_api.logs import LOGGER
from scim_api.protocol.errors import answer_to
from scim_api.server.answers import Interrupted, refusal, respond
from scim_api.server.connection import STALL, Connection
from scim_api.server.lanes import GRANTS, WAITS, WRITES, Lanes, asks_for_a_grant
from scim_api.server.parsing import rules_of
from scim_api.server.poller import LOOK, Limits, Poller
from scim_api.server.runtime import runtime_of

_WRITING = WRITES, GRANTS
LAST_REQUESTS = 2.0  # seconds for which a worker that ends keeps connections without a request


class ScimWorker(Worker):  # type: ignore[misc]
    """A worker whose main thread reads requests and whose other threads answer them."""

    @classmethod
    def check_config(cls, cfg: Any, log: Any) -> None:
        """Refuse what this worker would silently not do."""
        if cfg.is_ssl:
            raise SystemExit("Error: this service speaks HTTP; TLS is for a proxy in front of it")

    def run(self) -> None:
        """Serve until told to stop, then answer what is in hand."""
        settings = settings_.load(os.environ)
        limits = Limits(
            connections=self.cfg.worker_connections,
            per_address=settings.address_connections,
            proxies=settings.trusted_proxies,
            body=settings.max_body,
            memory=self.cfg.threads * settings.max_body,
        )
        self._rules = rules_of(self.cfg)
        self._poller = Poller(self._rules, limits, lambda connection: lanes.enter(connection))
        threads = self.cfg.threads
        sizes = (threads, threads, settings.feeds + REFUSING, threads)
        lanes = self._lanes = Lanes(
            sizes, self._answer, self._poller.give_back, self._poller.receive_for
        )
        self._patience = settings.write_patience
        self._poller.watch(self.PIPE[0])  # where signals are written
        for listener in self.sockets:
            self._poller.listen(listener)
        while self.alive and self.is_parent_alive():
            self.notify()
            self._poller.run(LOOK)
            self._refuse_late()
        self._finish()

    def _finish(self) -> None:
        """Answer what has begun, and release the address at once."""
        self.alive = False
        self._release_waiting()
        self._poller.listen_no_more()
        until = time.monotonic() + self.cfg.graceful_timeout
        last = time.monotonic() + LAST_REQUESTS
        while len(self._poller) and time.monotonic() < until:
            self.notify()
            self._poller.hurry(last)
            self._poller.run(min(LOOK, max(0.1, last - time.monotonic())))
            self._refuse_late()
        self._poller.close()

    def _refuse_late(self) -> None:
        """Refuse the writes that have queued for their lane as long as any may wait."""
        for lane in _WRITING:
            for connection in self._lanes.take_out(lane, self._patience):
                error = answer_to(LedgerBusy("no thread was free in time"))
                assert error
                connection.is_answered(refusal(error, oauth=lane == GRANTS), close=True)
                self._poller.give_back(connection)

    def _answer(self, connection: Connection) -> None:
        """Answer a request, or refuse what is none; in one of the threads."""
        try:
            data, close = self._answer_to(connection)
        except Exception as error:
            data, close = refusal(error, oauth=_is_for_oauth(connection)), True
        connection.is_answered(data, close=close)
        if connection.outgoing and self._poller.is_crowded():
            connection.send_all()
        _tidy(keep_nothing=connection.lane == WAITS)

    def _answer_to(self, connection: Connection) -> tuple[bytes, bool]:
        """Return the bytes of an answer, and whether it is the last of its connection."""
        if connection.error:
            raise connection.error
        connection.take_body()
        is_writer = connection.lane in _WRITING
        have_waited(time.monotonic() - connection.whole_at if is_writer else 0.0)
        self.nr += 1
        if self.nr >= self.max_requests and self.alive:
            self.log.info("Autorestarting worker after current request.")
            self.alive = False
        if connection.lane == WAITS:
            return b"", self._answer_bit_by_bit(connection)
        response = respond(self.wsgi, connection, self._rules, close=not self.alive)
        close = response.should_close() or connection.must_close()
        return b"".join(response.parts), close

    def _answer_bit_by_bit(self, connection: Connection) -> bool:
        """Answer a request that waits for events; return whether its connection ends."""
        try:
            connection.sock.settimeout(STALL)
            response = respond(
                self.wsgi, connection, self._rules, close=not self.alive, at_once=True
            )
            connection.sock.settimeout(None)
            return bool(response.should_close() or connection.must_close())
        except (OSError, Interrupted) as error:
            if not isinstance(error.__cause__ or error, OSError):
                self.log.exception("Error handling request")
            return True  # the client is gone, or was cut off

    def _release_waiting(self) -> None:
        if runtime := runtime_of(self):
            runtime.feeds.end()

    def handle_exit(self, sig: int, frame: Any) -> None:
        """Begin to stop: answer the requests in hand, release the clients that wait for events."""
        self._release_waiting()
        super().handle_exit(sig, frame)

    def handle_quit(self, sig: int, frame: Any) -> None:
        self._release_waiting()
        super().handle_quit(sig, frame)

    def is_parent_alive(self) -> bool:
        """Return whether gunicorn's master lives; without it nobody would end this worker."""
        return bool(self.ppid == os.getppid())


def _is_for_oauth(connection: Connection) -> bool:
    """Return whether a client of OAuth reads the refusal, of what is not even a request too."""
    if connection.request is not None:
        return connection.lane == GRANTS
    path = bytes(connection.received[:100]).decode("latin-1").partition(" ")[2]
    return asks_for_a_grant(path)


def _tidy(*, keep_nothing: bool) -> None:
    """Leave the files that a request used; the next does not have to suffer if that fails."""
    try:
        OPEN.tidy(*(0,) if keep_nothing else ())
    except Exception as error:
        LOGGER.error("files not left", exc_info=error)
