"""doctor: what could go wrong."""

import os
import shutil
import stat
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import closing
from dataclasses import asdict, dataclass
from datetime import datetime
from pathlib import Path

from ledger import clock
from ledger.contract import Ledger, LedgerError
from ledger.signing.anchors import Anchor
from ledger.signing.tree_heads import TreeHeads
from ledger.sqlite.connection import (
    SAFE_SQLITE,
    SIDE_FILES,
    connect_read_only,
    driver,
    safe_for_several_processes,
    sqlite_version,
    translate_errors,
    unavailable,
)
from scim_api import settings as settings_
from scim_api.cli.command import command
from scim_api.cli.console import Console
from scim_api.cli.terminal import Exit, end
from scim_api.server.health import MIN_FREE
from scim_api.settings import Settings, SettingsError
from scim_api.tenants.tenants import Tenant, ledger_names

MOST_NAMED = 1000  # accounts of a ledger that are named at once; all are counted
QUICK = 200 * 1024 * 1024  # bytes of a file beside a ledger that is read whole

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


@command("doctor", "", "--json", ledger=False)
def doctor(console: Console) -> None:
    """Check what could go wrong; exit 1 if something is.

    SQLite, permissions, disk, clock, settings and each ledger.
    """
    checks = list(examine(os.environ, console.tenant))
    lines = (f"{'ok  ' if c.ok else 'BAD '} {c.check}: {c.says}" for c in checks)
    console.document([asdict(check) for check in checks], *lines)
    if not all(check.ok for check in checks):
        end(Exit.FAILED)


def examine(
    environment: Mapping[str, str], open_ledger: Callable[[str], Tenant]
) -> Iterator[Check]:
    """Yield every check."""
    try:
        settings = settings_.load(environment)
    except SettingsError as error:
        yield Check("settings", False, str(error))
        return
    strange = settings_.unknown(environment)
    yield Check("settings", not strange, "; ".join(strange) or f"good for {settings.env}")
    yield from sqlite_check(settings)
    yield from _disk(settings.data_dir)
    names = ledger_names(settings.data_dir)
    if not names:
        yield Check("ledgers", False, "there is none yet; scim-ledger init makes one")
    for name in names:
        yield from _ledger(name, open_ledger)


def sqlite_check(settings: Settings) -> Iterator[Check]:
    """Check that this SQLite may be used by as many processes as are asked for."""
    version = ".".join(map(str, sqlite_version()))
    if safe_for_several_processes() or settings.workers == 1:
        yield Check("SQLite", True, f"version {version}")
    else:
        needed = ".".join(map(str, SAFE_SQLITE))
        yield Check(
            "SQLite",
            False,
            f"version {version} can damage a ledger that several processes write (fixed in"
            f" {needed}). Install the package pysqlite3, or set WEB_CONCURRENCY=1",
        )


def _disk(folder: Path) -> Iterator[Check]:
    if not folder.is_dir():
        yield Check("data directory", False, f"{folder} is not there yet")
        return
    free = shutil.disk_usage(folder).free
    yield Check("disk", free >= MIN_FREE, f"{free // 2**20:,} MiB free under {folder}")
    writable = os.access(folder, os.W_OK | os.X_OK)
    yield Check("data directory", writable, f"{folder} {'is' if writable else 'is not'} writable")


def _ledger(name: str, open_ledger: Callable[[str], Tenant]) -> Iterator[Check]:
    label = f"ledger {name}"
    try:
        tenant = open_ledger(name)
        last = tenant.ledger.end()
    except LedgerError as error:
        yield Check(label, False, str(error))
        return
    yield Check(label, True, f"{last[0]:,} events, origin {tenant.ledger.origin}")
    yield from _rights(label, tenant.ledger.path)
    yield from _log(label, tenant.ledger)
    yield from _clock(label, last[1])
    yield from _key(label, tenant.heads)
    yield from _erasures(label, tenant)
    yield from _accounts(label, tenant)
    yield from _shared_values(label, tenant)
    for anchor in tenant.anchors:
        yield _anchor(label, anchor)
    for file in sorted(SIDE_FILES):
        yield from _beside(f"{label} {file}", tenant.ledger.path.with_name(file))


def _erasures(label: str, tenant: Tenant) -> Iterator[Check]:
    """Look for erasures whose traces may yet be in the files."""
    pending = tenant.ledger.unfinished_erasures()
    if pending:
        places = ", ".join(map(str, pending))
        says = (
            f"not finished: those by the events at {places}. The service finishes them by itself;"
            " so does scim-ledger erase ID with the same id"
        )
        yield Check(f"{label} erasures", False, says)


def _accounts(label: str, tenant: Tenant) -> Iterator[Check]:
    """Look for users who count as active because a PATCH once unassigned `active`."""
    with tenant.ledger.reading() as connection:
        count, found = tenant.resources.unassigned_active(connection, MOST_NAMED)
    if count:
        named = [f"{one.user_name} ({one.id}) at position {one.position}" for one in found]
        left = count - len(found)
        more = [f"and {left:,} more, named once these are settled"] if left else []
        says = f"{_UNASSIGNED}: {', '.join(named + more)}. {_SETTLE}"
        yield Check(f"{label} accounts", False, says)


def _shared_values(label: str, tenant: Tenant) -> Iterator[Check]:
    """Look for values of unique attributes that several resources have.

    An earlier version of this program could let a second one in; recorded events stay.
    """
    with tenant.ledger.reading() as connection:
        shared = tenant.resources.shared_values(connection)
    for key, ids in shared:
        named = ", ".join(ids[:MOST_NAMED])
        more = f" and {len(ids) - MOST_NAMED:,} more" if len(ids) > MOST_NAMED else ""
        says = f"{key} is unique, but these share a value of it: {named}{more}. Change all but one"
        yield Check(f"{label} unique values", False, says)


def _beside(label: str, path: Path) -> Iterator[Check]:
    """Look at a file that lies beside a ledger, if it is there."""
    if not path.exists():
        return
    try:
        size = path.stat().st_size
        _look_through(path, whole=size < QUICK)
    except (LedgerError, OSError) as error:
        yield Check(label, False, str(error))
    else:
        yield Check(label, True, f"readable, {size / 2**20:,.1f} MiB")
    yield from _rights(label, path)


def _look_through(path: Path, *, whole: bool) -> None:
    """Read a file's tables, or all of it; raises LedgerError."""
    with translate_errors(path), closing(connect_read_only(path)) as connection:
        connection.execute("SELECT count(*) FROM sqlite_schema").fetchone()
        found = connection.execute("PRAGMA quick_check(1)").fetchone()[0] if whole else "ok"
    if found != "ok":
        raise unavailable(path, driver.SQLITE_CORRUPT, f"malformed: {found}")


def _log(label: str, ledger: Ledger) -> Iterator[Check]:
    """Look whether the log of a ledger is written back."""
    size = f"{ledger.log_size() / 2**20:,.1f} MiB"
    try:
        ledger.check_log()
    except LedgerError as error:
        yield Check(f"{label} log", False, f"{size}: {error}")
    else:
        yield Check(f"{label} log", True, size)


def _rights(label: str, path: Path) -> Iterator[Check]:
    for file in sorted(path.parent.glob(f"{path.name}*")):
        mode = stat.S_IMODE(file.stat().st_mode)
        if mode & 0o077:
            yield Check(f"{label} rights", False, f"others can open {file}: chmod 600 {file}")
        if not os.access(file, os.R_OK | os.W_OK):
            yield Check(f"{label} rights", False, f"{file} cannot be written by this user")


def _key(label: str, heads: TreeHeads) -> Iterator[Check]:
    """Check that tree heads can be signed, and lately were."""
    try:
        says, trouble = f"signs for {heads.key().verifier}", heads.keys.rights()
    except LedgerError as error:
        says, trouble = "", str(error)
    yield Check(f"{label} signing key", not trouble, trouble or says)
    newest, end = heads.newest(), heads.ledger.last_position()
    signed = f"over {newest.size:,} of {end:,} events, at {newest.signed_at}" if newest else "none"
    yield Check(f"{label} newest tree head", newest is not None, signed)


def _anchor(label: str, anchor: Anchor) -> Check:
    """Check that an anchor has every tree head."""
    behind = anchor.behind()
    says = f"{behind:,} tree heads behind" if behind else "has every tree head"
    return Check(f"{label} anchor {anchor.called}", not behind, says)


def _clock(label: str, last_at: str) -> Iterator[Check]:
    ahead = datetime.fromisoformat(last_at) - clock.now()
    steady = ahead.total_seconds() < 5 and time.time() > 1_700_000_000
    says = (
        f"the last event is {ahead.total_seconds():.0f} s in the future: this machine's clock went"
        " back. Events keep that last time until the clock has caught up; set the clock"
    )
    yield Check(f"{label} clock", steady, "behind no event" if steady else says)
