"""Erasures finished: the files of a ledger are rewritten without what was forgotten.

The Erased event and the payloads that it took are one transaction. What is here comes after it,
once for all erasures that wait, and again after a crash: the ledger knows which are unfinished.
"""

import time
from collections.abc import Mapping

from ledger.background import exclusive_lock, file_lock
from ledger.contract import LedgerBusy, LedgerError
from projections.runner import StoredProjection
from scim_api.logs import LOGGER
from scim_api.tenants.tenants import Tenant

TIMEOUT = 2.0  # seconds that a background step waits for those in its way: other jobs wait too
PAUSE = 0.1  # seconds between two looks at whether the service has finished


class Unfinished(LedgerError):
    """The payloads are forgotten, but bytes of them may still be in the files."""

    def __init__(self, why: object) -> None:
        super().__init__(f"not finished: {why}")


class Purges:
    """Finishes the erasures of one ledger; a job."""

    def __init__(self, tenant: Tenant) -> None:
        self._tenant = tenant
        self.path = tenant.ledger.path

    def step(self) -> bool:
        """Finish what is pending, unless a rebuild is under way; raises Unfinished."""
        pending = self._tenant.ledger.unfinished_erasures()
        if pending:
            carry_out(self._tenant, pending, time.monotonic() + TIMEOUT)
            LOGGER.info("erasures finished", extra={"fields": {"positions": list(pending)}})
        return False

    def settled(self) -> bool:
        return True

    def finish(self) -> None:
        """Do nothing: what is pending stays so until a service is there again."""


def finish(tenant: Tenant, timeout: float) -> str | None:
    """Finish the pending erasures, or wait for the service to; return why it is not done, if so."""
    deadline = time.monotonic() + timeout
    try:
        while pending := tenant.ledger.unfinished_erasures():
            with exclusive_lock(tenant.ledger.path) as alone:
                if alone:
                    carry_out(tenant, pending, deadline)
                    break
            if time.monotonic() > deadline:
                raise Unfinished("the service rewrites the files in the background")
            time.sleep(PAUSE)
    except LedgerError as error:
        return str(error)
    return None


def carry_out(tenant: Tenant, erased: Mapping[int, str], deadline: float) -> None:
    """Remove from every file what some Erased events took: streams by position."""
    try:
        with file_lock(tenant.ledger.path.parent, timeout=max(0.0, deadline - time.monotonic())):
            _follow(tenant, max(erased), deadline)
            _sweep(tenant)
            for stream in erased.values():
                tenant.requests.forget(stream.partition("-")[2])
            tenant.requests.coarsen()
            tenant.usage.coarsen()
            files = (tenant.ledger, tenant.history.file, tenant.requests, tenant.usage)
            for file in files:  # before any is rewritten in vain, over and over
                file.prepare_rewrite(deadline)
            for file in files:
                file.rewrite(deadline)
            tenant.ledger.finish_erasures(erased)
    except LedgerError as error:
        raise Unfinished(error) from error


def _follow(tenant: Tenant, position: int, deadline: float) -> None:
    """Bring the history beyond the erasure; one of another version or ledger begins again."""
    history = tenant.history
    if not history.file.path.exists():
        return
    history.follow(0)
    while history.stands_at() < position:
        if time.monotonic() > deadline:
            raise LedgerBusy("the history has yet to follow the ledger")
        history.follow(position)


def _sweep(tenant: Tenant) -> None:
    """Drop tables of a rebuild that was cut off."""
    StoredProjection(tenant.ledger, tenant.resources).sweep()
    if tenant.history.file.path.exists():
        tenant.history.sweep()
