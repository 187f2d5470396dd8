"""Checks of what could go wrong: SQLite, permissions, disk, clock, settings and each ledger."""

import os
import shutil
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from ledger import clock, owners
from ledger.contract import LedgerError
from ledger.signing.known_heads import newest_trusted
from ledger.sqlite.connection import SAFE_SQLITE, SIDE_FILES, SQLITE
from ledger.sqlite.database import check_file
from scim_api import settings as settings_
from scim_api.recovery.restore import left_of
from scim_api.server import credential_checks
from scim_api.server.credential_checks import Finding
from scim_api.server.health import MIN_FREE
from scim_api.server.rights import service_user, wrong_rights
from scim_api.settings import Settings, SettingsError
from scim_api.tenants.tenants import Tenant, ledger_path
from scim_api.wiring import head_sources, keys_of, known_names

MOST_NAMED = 1000  # accounts of a ledger that are named at once; all are counted
QUICK = 200 * 1024 * 1024  # bytes of a side file that is read whole

_UNASSIGNED = "active was unassigned, so that these users count as active"
_SETTLE = (
    "scim-ledger user history ID shows whether one had been deactivated before. To make a user"
    " inactive, set active to false. To keep a user active, set it to false, then to true. Either"
    " settles it"
)


@dataclass(frozen=True, slots=True)
class Check:
    """Something that was checked, and the result."""

    check: str
    ok: bool
    says: str


def examine(
    environment: Mapping[str, str],
    open_ledger: Callable[[str], Tenant],
    explain: Callable[[LedgerError], str] = str,
) -> Iterator[Check]:
    """Yield every check; `explain` says why a ledger cannot be opened."""
    try:
        settings = settings_.load(environment)
    except SettingsError as error:
        yield Check("settings", False, str(error))
        return
    strange = settings_.unknown(environment)
    yield Check("settings", not strange, "; ".join(strange) or f"good for {settings.env}")
    yield sqlite_check(settings)
    yield from _disk(settings.data_dir)
    yield from _log_file(settings)
    names = known_names(settings)
    if not names:
        folder = settings.data_dir.absolute()
        says = f"there is none under {folder} (SCIM_DATA_DIR) yet; scim-ledger init makes one"
        yield Check("ledgers", False, says)
    opened: list[Tenant] = []
    for name in names:
        yield from _ledger(name, settings, open_ledger, explain, opened)
    for tenant in opened:
        for ok, says in credential_checks.stranded(tenant, opened):
            yield Check(f"ledger {tenant.name} clients", ok, says)


def sqlite_check(settings: Settings) -> Check:
    """Check that this SQLite is safe with the number of worker processes."""
    version, needed = (".".join(map(str, each)) for each in (SQLITE, SAFE_SQLITE))
    if SQLITE >= SAFE_SQLITE or settings.workers == 1:
        return Check("SQLite", True, f"version {version}")
    return Check(
        "SQLite",
        False,
        f"version {version} can damage a ledger that several processes write (fixed in {needed})."
        " Install the package pysqlite3, or set WEB_CONCURRENCY=1",
    )


def _disk(folder: Path) -> Iterator[Check]:
    if not folder.is_dir():
        yield Check("data directory", False, f"{folder.absolute()} (SCIM_DATA_DIR) is not there")
        return
    free = shutil.disk_usage(folder).free
    yield Check("disk", free >= MIN_FREE, f"{free // 2**20:,} MiB free under {folder}")
    writable = os.access(folder, os.W_OK | os.X_OK)
    yield Check("data directory", writable, f"{folder} {'is' if writable else 'is not'} writable")


def _ledger(
    name: str,
    settings: Settings,
    open_ledger: Callable[[str], Tenant],
    explain: Callable[[LedgerError], str],
    opened: list[Tenant],
) -> Iterator[Check]:
    """Check a ledger, and add it to those that could be opened."""
    label, path = f"ledger {name}", ledger_path(settings.data_dir, name)
    yield from _rights(f"{label} rights", path, settings)
    if left := left_of(path, settings):
        yield Check(
            f"{label} restore",
            False,
            f"one is under way, or was cut off and left {', '.join(map(str, left))}, with personal"
            " data or a key in it: starting the service, scim-ledger migrate or the same restore"
            " finishes it or removes what is left",
        )
    try:
        tenant = open_ledger(name)
        last, last_at = tenant.ledger.end()
    except LedgerError as error:
        yield Check(label, False, explain(error))
        return
    except OSError as error:
        yield Check(label, False, f"{error.filename or path}: {error.strerror}")
        return
    opened.append(tenant)
    yield Check(label, True, f"{last:,} events, origin {tenant.ledger.origin}")
    for topic, check in (
        ("log", _log(tenant)),
        ("clock", _clock(last_at)),
        ("signing key", _signing_key(tenant)),
        ("newest tree head", _newest_head(tenant, last)),
        ("erasures", _erasures(tenant)),
        ("credentials", credential_checks.expiry(tenant, settings)),
        ("key sets", credential_checks.key_sets(tenant, settings)),
        ("accounts", _accounts(tenant)),
        ("unique values", _shared_values(tenant)),
        ("heads of others", _heads_of_others(tenant, settings)),
    ):
        for ok, says in check:
            yield Check(f"{label} {topic}", ok, says)
    for anchor in tenant.anchors:
        behind = anchor.pending()
        says = f"{behind:,} tree heads behind" if behind else "has every tree head"
        yield Check(f"{label} anchor {anchor.display_name}", not behind, says)
    for file in sorted(SIDE_FILES):
        yield from _side_file(f"{label} {file}", path.with_name(file))


def _log_file(settings: Settings) -> Iterator[Check]:
    """Check that the owner of the data directory can write the log, and make it after a rename."""
    if settings.log_file is None or not settings.data_dir.is_dir():
        return
    user = os.stat(settings.data_dir).st_uid
    for place in (settings.log_file.parent, settings.log_file):
        with suppress(OSError):  # not there, or in a folder that is closed to this process
            found = os.stat(place)
            needed = os.W_OK | os.X_OK if place.is_dir() else os.W_OK
            if not owners.has_rights(user, found, needed):
                whose = owners.name_of(found.st_uid)
                says = f"{owners.name_of(user)} cannot write {place} (SCIM_LOG_FILE), {whose}'s"
                yield Check("log file", False, says)
                return
    there = settings.log_file.parent.is_dir()
    says = "can be written" if there else f"{settings.log_file.parent} is not there"
    yield Check("log file", there, says)


def _rights(label: str, path: Path, settings: Settings) -> Iterator[Check]:
    """Check the owners and rights of a ledger's files, whether it can be opened or not."""
    if not path.parent.is_dir():
        return  # its key is all that is there
    try:
        more = [each for each in (settings.anchor_dir,) if each]
        found = list(wrong_rights(path, keys_of(path, settings), more))
        user = owners.name_of(service_user(path).st_uid)
    except OSError as error:
        yield Check(label, False, f"{error.filename} cannot be looked at: {error.strerror}")
        return
    for says in found:
        yield Check(label, False, says)
    if not found:
        yield Check(label, True, f"{user} owns every file and can use it")


def _heads_of_others(tenant: Tenant, settings: Settings) -> Iterator[tuple[bool, str]]:
    """Find heads in the folders of others of which the ledger knows nothing."""
    held = newest_trusted(
        head_sources(tenant.heads.keys, settings, ask=None), tenant.heads.identity()
    )
    yield from ((False, warning) for warning in held.warnings)


def _side_file(label: str, path: Path) -> Iterator[Check]:
    if not path.exists():
        return
    try:
        size = path.stat().st_size
        check_file(path, whole=size < QUICK)
    except (LedgerError, OSError) as error:
        yield Check(label, False, str(error))
    else:
        yield Check(label, True, f"readable, {size / 2**20:,.1f} MiB")


def _log(tenant: Tenant) -> Iterator[Finding]:
    """Check that the log of a ledger is written back."""
    size = f"{tenant.ledger.log_size() / 2**20:,.1f} MiB"
    try:
        tenant.ledger.check_log()
        yield True, size
    except LedgerError as error:
        yield False, f"{size}: {error}"


def _clock(last_at: str) -> Iterator[Finding]:
    ahead = (datetime.fromisoformat(last_at) - clock.now()).total_seconds()
    steady = ahead < 5 and time.time() > 1_700_000_000
    says = (
        f"the last event is {ahead:.0f} s in the future: this machine's clock went back. Events"
        " keep that last time until the clock has caught up; set the clock"
    )
    yield steady, "not behind any event" if steady else says


def _signing_key(tenant: Tenant) -> Iterator[Finding]:
    heads = tenant.heads
    try:
        says, trouble = f"signs for {heads.key().verifier}", heads.keys.rights()
    except LedgerError as error:
        says, trouble = "", str(error)
    yield not trouble, trouble or says


def _newest_head(tenant: Tenant, last: int) -> Iterator[Finding]:
    try:
        newest = tenant.heads.newest()
    except LedgerError as error:
        yield False, str(error)
        return
    signed = f"over {newest.size:,} of {last:,} events, at {newest.signed_at}" if newest else "none"
    yield newest is not None, signed


def _erasures(tenant: Tenant) -> Iterator[Finding]:
    """Find erasures that may have left traces in the files."""
    try:
        pending = tenant.ledger.unfinished_erasures()
    except LedgerError as error:  # the table of them is gone: verify says so
        yield False, str(error)
        return
    if pending:
        yield (
            False,
            f"not finished: those by the events at {', '.join(map(str, pending))}. The service"
            " finishes them by itself; so does scim-ledger erase ID with the same id",
        )


def _accounts(tenant: Tenant) -> Iterator[Finding]:
    """Find users who count as active because a PATCH once unassigned `active`."""
    with tenant.ledger.reading() as connection:
        count, found = tenant.resources.unassigned_active(connection, MOST_NAMED)
    if count:
        named = [f"{u.attributes['userName']} ({u.id}) at position {at}" for u, at in found]
        left = count - len(found)
        more = [f"and {left:,} more, named once these are settled"] if left else []
        yield False, f"{_UNASSIGNED}: {', '.join(named + more)}. {_SETTLE}"


def _shared_values(tenant: Tenant) -> Iterator[Finding]:
    """Find values of unique attributes that several resources have.

    An earlier version of this program could accept a second one; recorded events stay.
    """
    with tenant.ledger.reading() as connection:
        shared = tenant.resources.uniqueness.shared(connection)
    for key, ids in shared:
        named = ", ".join(ids[:MOST_NAMED])
        more = f" and {len(ids) - MOST_NAMED:,} more" if len(ids) > MOST_NAMED else ""
        says = f"{key} is unique, but these share a value of it: {named}{more}. Change all but one"
        yield False, says
