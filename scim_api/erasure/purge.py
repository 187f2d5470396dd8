"""Erasures finished: what was forgotten is removed from every file of a ledger.

The Erased event and the payloads that it took are one transaction; what is here comes after it, and
after a crash again, for the ledger's table `purge` tells what is yet to be done.
"""

import time
from collections.abc import Mapping
from contextlib import AbstractContextManager, ExitStack
from functools import partial
from pathlib import Path

from ledger import erasure
from ledger.contract import LedgerBusy, LedgerError
from ledger.create import file_lock
from ledger.sqlite import scrub
from ledger.sqlite.scrub import Traces
from ledger.user_agents import family
from projections.history.history import HISTORY_FILE
from projections.runner import StoredProjection
from scim_api.logs import LOGGER
from scim_api.request_log.store import REQUESTS_FILE
from scim_api.tenants.tenants import Tenant
from scim_api.tenants.usage import USAGE_FILE


class Unfinished(LedgerError):
    """What was erased is forgotten, but traces of it may yet be in the files."""

    def __init__(self, why: str) -> None:
        super().__init__(f"not finished: {why}")


class Purges:
    """What is yet to be removed from the files of one ledger; finishing it is a chore."""

    def __init__(self, tenant: Tenant) -> None:
        self._tenant = tenant
        self._folder = tenant.ledger.path.parent

    @property
    def path(self) -> Path:
        """The ledger's file."""
        return self._tenant.ledger.path

    def pending(self) -> dict[int, str]:
        """Return the streams erased whose traces may yet be in the files, by position."""
        with self._tenant.ledger.reading() as connection:
            return erasure.unfinished(connection)

    def turn(self, patience: float) -> AbstractContextManager[None]:
        """Keep others from purging, and from rebuilding what they read before the erasure."""
        return file_lock(self._folder, patience=patience)

    def has_turn(self, held: ExitStack) -> bool:
        """Take a turn, if nobody has it, until `held` is left; tell whether it was had."""
        try:
            held.enter_context(self.turn(0))
        except LedgerBusy:
            return False
        return True

    def step(self) -> bool:
        """Finish what is pending, unless somebody stands in the way; raises LedgerError then.

        What the erased were called is not known any more: every file is written anew.
        """
        pending = self.pending()
        with ExitStack() as held:
            if pending and self.has_turn(held):
                self.carry_out(time.monotonic())
                LOGGER.info("erasures finished", extra={"fields": {"positions": list(pending)}})
        return False

    def finish(self) -> None:
        """Do nothing: what is pending stays so until the service is there again."""

    def carry_out(self, deadline: float, traces: Traces | None = None) -> list[Path]:
        """Remove what is pending from the files by a time; call it within a `turn`.

        `traces` are those of the only one erased: a file that holds none is left as it is.
        Returns the files that were written anew. Raises Unfinished.
        """
        erased = self.pending()
        try:
            self._follow(max(erased, default=0), deadline)
            self._sweep()
            for stream in erased.values():
                self._tenant.requests.forget(stream.partition("-")[2])
            for log in (self._tenant.requests, self._tenant.usage):
                log.coarsen(partial(_tells, traces))
            self._empty_logs(deadline)
            anew = self._write_anew(max(erased, default=0), deadline, traces)
            erasure.finish(self._tenant.ledger, erased)
        except Unfinished:
            raise
        except LedgerError as trouble:
            raise Unfinished(str(trouble)) from trouble
        return anew

    def _follow(self, position: int, deadline: float) -> None:
        """Let the history hear of the erasure; one of another program or ledger begins anew."""
        history = self._tenant.history
        if not history.file.path.exists():
            return
        history.follow(0)
        while history.stands_at() < position:
            if time.monotonic() > deadline:
                raise Unfinished("the history has yet to follow the ledger")
            history.follow(position)

    def _sweep(self) -> None:
        """Remove tables that a rebuild left which was cut off."""
        tenant = self._tenant
        StoredProjection(tenant.ledger, tenant.resources).sweep()
        if tenant.history.file.path.exists():
            tenant.history.sweep()

    def _files(self) -> list[Path]:
        beside = (HISTORY_FILE, REQUESTS_FILE, USAGE_FILE)
        paths = (self._tenant.ledger.path, *map(self._folder.joinpath, beside))
        return [path for path in paths if path.exists()]

    def _empty_logs(self, deadline: float) -> None:
        for path in self._files():
            if not scrub.empty_log(path, deadline):
                raise Unfinished(f"{path.name} is being read as it was before")

    def _write_anew(self, position: int, deadline: float, traces: Traces | None) -> list[Path]:
        files = self._files()
        if traces is not None:
            files = scrub.with_traces(files, traces)
        for path in files:
            if self._tenant.written_anew.get(path, 0) < position:
                if not scrub.write_anew(path, deadline):
                    raise Unfinished(f"{path.name} is being written all the time")
                self._tenant.written_anew[path] = position
        self._empty_logs(deadline)
        return files


def _tells(traces: Traces | None, client: str) -> bool:
    """Return whether a User-Agent may name who was erased: any may if the names are not known."""
    if traces is None:
        return client != family(client)
    return any(mark in client.lower().encode() for mark in traces.marks)


def unfinished_streams(tenant: Tenant) -> Mapping[int, str]:
    """Return the streams erased whose traces may yet be in the files, by position."""
    return Purges(tenant).pending()
