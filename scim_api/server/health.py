"""/livez and /readyz: is the process alive, and can it serve every ledger."""

import os
import shutil
import threading
import time
from pathlib import Path

import orjson
from flask import Blueprint, Response

from ledger.contract import LedgerError, LedgerUnavailable
from ledger.sqlite.connection import UNWRITABLE
from ledger.sqlite.ledger import SQLiteLedger
from ledger.sqlite.upkeep import LogStuck, must_be_written_back
from scim_api import logs
from scim_api.tenants.tenants import Tenant, Tenants

MIN_FREE = 32 * 1024 * 1024  # bytes; below that a write may fail at any moment
BUSY = "busy"
RETRIAL = 1.0  # seconds between two writes on trial


class Trial:
    """A real write of one page that does not change: nothing less shows whether writes succeed.

    At most once a second for each ledger, unless a request's write has had another result since.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._next: dict[Path, float] = {}
        self._found: dict[Path, str | None] = {}

    def fault(self, ledger: SQLiteLedger) -> str | None:
        """Return why a ledger cannot be written, or None."""
        path = ledger.path
        with self._lock:
            as_found = self._found.get(path) in (ledger.refusal, BUSY)
            if time.monotonic() >= self._next.get(path, 0.0) or not as_found:
                self._found[path] = _write_fault(ledger)
                self._next[path] = time.monotonic() + RETRIAL
            return self._found[path]


def _write_fault(ledger: SQLiteLedger) -> str | None:
    try:
        ledger.try_writing()
    except LedgerUnavailable as trouble:
        return trouble.reason
    except LedgerError:
        return BUSY
    return None


def blueprint(data_dir: Path, tenants: Tenants) -> Blueprint:
    """Return the two addresses; they need no token and name no ledger."""
    health = Blueprint("health", __name__)
    trial = Trial()

    @health.get("/livez", provide_automatic_options=False)
    def livez() -> Response:
        return _answer(200, {"status": "alive"})

    @health.get("/readyz", provide_automatic_options=False)
    def readyz() -> Response:
        problems = sorted(set(_problems(data_dir, tenants, trial)))
        status = "not ready" if problems else "ready"
        document = {"status": status, "problems": problems}
        if warnings := _warnings(tenants):
            document["warnings"] = warnings
        return _answer(503 if problems else 200, document)

    return health


def _warnings(tenants: Tenants) -> list[str]:
    """Return what is wrong while every request is answered all the same."""
    warnings = []
    if lines := logs.dropped():
        warnings.append(f"log not writable: {lines:,} lines dropped")
    if any(map(_is_stuck, tenants)):
        warnings.append("ledger's log not written back")
    return warnings


def _is_stuck(tenant: Tenant) -> bool:
    try:
        must_be_written_back(tenant.ledger)
    except LogStuck:
        return True
    except LedgerError:
        return False  # said among the problems
    return False


def _answer(status: int, document: object) -> Response:
    return Response(orjson.dumps(document), status, content_type="application/json")


def _problems(data_dir: Path, tenants: Tenants, trial: Trial) -> list[str]:
    tenants.discover()
    problems = [getattr(t, "reason", BUSY) for t in tenants.troubles.values()]
    opened = list(tenants)
    if not opened and not problems:
        problems.append("no ledger")
    if data_dir.exists() and shutil.disk_usage(data_dir).free < MIN_FREE:
        problems.append("disk full")
    return problems + [fault for tenant in opened if (fault := _fault(tenant, trial))]


def _fault(tenant: Tenant, trial: Trial) -> str | None:
    path = tenant.ledger.path
    try:
        tenant.ledger.must_be_in_place()
        tenant.ledger.last_position()
    except LedgerUnavailable as trouble:
        return trouble.reason
    except LedgerError:
        return BUSY
    if not os.access(path, os.W_OK):
        return UNWRITABLE
    return trial.fault(tenant.ledger) or tenant.ledger.inspection.fault()
