"""/livez and /readyz: is the process alive, and can it serve; of which ledgers it cannot."""

import shutil
import threading
import time
from collections.abc import Iterable, Iterator, Sequence
from itertools import islice
from math import ceil
from pathlib import Path

import orjson
from flask import Blueprint, Response, request

from ledger.contract import LedgerError, LogStuck
from ledger.open_files import OPEN, TOO_MANY, shortage
from scim_api import logs
from scim_api.tenants.tenants import Tenant, Tenants

MIN_FREE = 32 * 1024 * 1024  # bytes; below that a write may fail at any moment
AT_ONCE = 10  # ledgers that are looked at for one answer; of more, others the next time
PAUSE = 1.0  # seconds between two looks where there are more
ROUND = 10.0  # seconds in which there is a glance at each of them, if that is asked so often
GLANCES = 0.1  # seconds that the glances for one answer may take


class Readiness:
    """What is known to be wrong with each ledger: looked at in turn, and remembered."""

    def __init__(self, tenants: Tenants) -> None:
        self._tenants = tenants
        self._found: dict[str, str] = {}  # reasons by name
        self._visible: dict[str, str] = {}  # those of a glance, till the next or a look
        self.stuck = False  # whether the log of one is not written back
        self._faulty, self._others, self._glanced = _Turns(), _Turns(), _Turns()
        self._glanced_at = -ROUND  # monotonic seconds
        self._next = 0.0  # monotonic seconds
        self._lock = threading.Lock()

    def faults(self) -> dict[str, str]:
        """Return what is wrong, by the names of the ledgers concerned."""
        self._tenants.discover()
        tenants = list(self._tenants)
        if len(tenants) <= AT_ONCE:
            self._look_at(tenants)
            self.stuck = any(map(_is_stuck, tenants))
        elif self._lock.acquire(blocking=False):  # else another thread looks just now
            try:
                if time.monotonic() >= self._next:
                    tenants.sort(key=lambda each: each.name)
                    self._glance_at(tenants)
                    self._look_at(self._those_due(tenants))
                    self.stuck = any(map(_is_stuck, tenants))
                    self._next = time.monotonic() + PAUSE
            finally:
                self._lock.release()
        known = {tenant.name for tenant in tenants}
        found = {**self._visible, **self._found}
        found = {name: reason for name, reason in found.items() if name in known}
        return found | {name: error.reason for name, error in self._tenants.errors.items()}

    def fault(self, name: str) -> str | None:
        """Return what is wrong with one ledger, as it is now."""
        self._tenants.discover()
        if tenant := self._tenants.named(name):
            self._look_at([tenant])
            return self._found.get(name)
        error = self._tenants.errors.get(name)
        return error.reason if error else None

    def _those_due(self, tenants: list[Tenant]) -> list[Tenant]:
        """Return some that had a fault or a write that failed, and others, both in turn."""
        half = AT_ONCE // 2
        wrong = self._found.keys() | self._visible.keys()
        faulty = [t for t in tenants if t.name in wrong or t.ledger.is_suspect]
        due = [*islice(self._faulty.of(faulty), half)]
        return [*due, *islice(self._others.of(tenants), AT_ONCE - half)]

    def _glance_at(self, tenants: list[Tenant]) -> None:
        """Note which files are visibly wrong: of so many ledgers as time has passed of a round."""
        began, before = time.monotonic(), self._glanced_at
        share = min(1.0, (began - before) / ROUND)
        for each in islice(self._glanced.of(tenants), ceil(share * len(tenants))):
            if reason := each.ledger.glance():
                self._visible[each.name] = reason
            else:
                self._visible.pop(each.name, None)
            if time.monotonic() > began + GLANCES:
                break
        self._glanced_at = began

    def _look_at(self, tenants: Iterable[Tenant]) -> None:
        for each in tenants:
            self._visible.pop(each.name, None)
            if reason := each.ledger.fault():
                self._found[each.name] = reason
            else:
                self._found.pop(each.name, None)
            if OPEN.open > OPEN.most:
                each.leave()  # others are in use more


class _Turns:
    """Goes through ledgers by name, and the next time on from where it stopped."""

    def __init__(self) -> None:
        self._last = ""

    def of(self, tenants: Sequence[Tenant]) -> Iterator[Tenant]:
        """Yield each once; they are sorted by name."""
        later = [each for each in tenants if each.name > self._last]
        for each in [*later, *tenants[: len(tenants) - len(later)]]:
            self._last = each.name
            yield each


def blueprint(data_dir: Path, tenants: Tenants) -> Blueprint:
    """Return the two addresses, which need no token."""
    health = Blueprint("health", __name__)
    readiness = Readiness(tenants)

    @health.get("/livez", provide_automatic_options=False)
    def livez() -> Response:
        return _answer(200, {"status": "alive"})

    @health.get("/readyz", provide_automatic_options=False)
    def readyz() -> Response:
        name, everywhere = request.args.get("ledger"), _of_all(data_dir)
        if name is None:
            faults = readiness.faults()
            problems = everywhere or _of_each(faults, tenants.names())
            return _readiness(problems, faults, _warnings(tenants, stuck=readiness.stuck))
        if name not in tenants.names():
            problems = ["no such ledger"]
            return _answer(404, {"status": "not ready", "problems": problems})
        fault = readiness.fault(name)
        return _readiness([*everywhere, *([fault] if fault else [])], {}, [])

    return health


def _readiness(problems: list[str], faults: dict[str, str], warnings: list[str]) -> Response:
    """Return the answer: not ready with a problem; a fault of one ledger of several is none."""
    status = "not ready" if problems else "ready"
    document: dict[str, object] = {"status": status, "problems": sorted(set(problems))}
    if faults:
        document["ledgers"] = dict(sorted(faults.items()))
    if warnings:
        document["warnings"] = warnings
    return _answer(503 if problems else 200, document)


def _of_all(data_dir: Path) -> list[str]:
    """Return what no ledger can be served with."""
    problems = []
    if data_dir.exists() and shutil.disk_usage(data_dir).free < MIN_FREE:
        problems.append("disk full")
    if shortage():
        problems.append(TOO_MANY)
    return problems


def _of_each(faults: dict[str, str], names: list[str]) -> list[str]:
    """Return the faults if no ledger is without."""
    if not names:
        return ["no ledger"]
    return list(faults.values()) if faults.keys() >= set(names) else []


def _warnings(tenants: Tenants, *, stuck: bool) -> list[str]:
    """Return what is wrong while every request is answered all the same."""
    warnings = []
    if lines := logs.dropped():
        warnings.append(f"log not writable: {lines:,} lines dropped")
    if stuck:
        warnings.append("ledger's log not written back")
    if any(each.ledger.is_busy for each in tenants):
        warnings.append("ledger busy")
    faults = {fault for each in tenants if (fault := each.history.fault)}
    return warnings + [f"history not usable: {fault}" for fault in sorted(faults)]


def _is_stuck(tenant: Tenant) -> bool:
    try:
        tenant.ledger.check_log()
    except LedgerError as error:  # any other is among the problems
        return isinstance(error, LogStuck)
    return False


def _answer(status: int, document: object) -> Response:
    return Response(orjson.dumps(document), status, content_type="application/json")
