"""/livez and /readyz: is the process alive, and can it serve every ledger."""

import shutil
from pathlib import Path

import orjson
from flask import Blueprint, Response

from ledger.contract import LedgerError, LogStuck
from scim_api import logs
from scim_api.tenants.tenants import Tenant, Tenants

MIN_FREE = 32 * 1024 * 1024  # bytes; below that a write may fail at any moment


def blueprint(data_dir: Path, tenants: Tenants) -> Blueprint:
    """Return the two addresses; they need no token and name no ledger."""
    health = Blueprint("health", __name__)

    @health.get("/livez", provide_automatic_options=False)
    def livez() -> Response:
        return _answer(200, {"status": "alive"})

    @health.get("/readyz", provide_automatic_options=False)
    def readyz() -> Response:
        problems = sorted(set(_problems(data_dir, tenants)))
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
        tenant.ledger.check_log()
    except LedgerError as error:  # any other is among the problems
        return isinstance(error, LogStuck)
    return False


def _answer(status: int, document: object) -> Response:
    return Response(orjson.dumps(document), status, content_type="application/json")


def _problems(data_dir: Path, tenants: Tenants) -> list[str]:
    tenants.discover()
    problems = [error.reason for error in tenants.errors.values()]
    opened = list(tenants)
    if not opened and not problems:
        problems.append("no ledger")
    if data_dir.exists() and shutil.disk_usage(data_dir).free < MIN_FREE:
        problems.append("disk full")
    return problems + [fault for tenant in opened if (fault := tenant.ledger.fault())]
