"""A draft of a ledger: a backup's copy in a folder of its own, brought up to date and verified."""

import os
import shutil
from pathlib import Path

from ledger.atomic_files import make_folder, write_whole
from ledger.contract import LedgerError, LedgerMissing, Progress, no_progress
from ledger.create import migrate
from ledger.signing.keys import KEY_FILE, NEXT_FILE, Keys
from ledger.sqlite.backup import backup as copy
from ledger.sqlite.connection import how_to_make_whole
from ledger.sqlite.schema import look_at
from ledger.verify.report import Options, Report
from ledger.verify.verifier import verify
from scim_api.settings import Settings
from scim_api.tenants.tenants import LEDGER_FILE, Tenant, ledger_names, ledger_path
from scim_api.wiring import projections_of, wire

DRAFT = "restoring"  # the folder of the draft, in the ledger's folder
ROOM = 3  # times the size of a backup: the copy, its projections while they are built, its log


class NotRestored(LedgerError):
    """A backup cannot, or must not, be put in place; nothing was changed."""


def must_have_key_folder(settings: Settings) -> None:
    """Raise NotRestored where the folder of the keys is away: a new key would take their place."""
    folder = settings.key_dir
    if folder and not folder.is_dir():
        raise NotRestored(
            f"there is no folder {folder.absolute()}, which SCIM_KEY_DIR names. Nothing was"
            " changed. Put it back (is a disk not mounted?), or, if the keys are lost, make it:"
            f" mkdir {folder.absolute()}"
        )


def check_backup(backup: Path, path: Path) -> None:
    """Raise LedgerError unless a file can be the backup of a ledger: whole by itself."""
    if backup.is_dir():
        raise NotRestored(f"{backup} is a folder, not the file of a backup")
    if not backup.exists():
        raise LedgerMissing(f"there is no file {backup.absolute()}", backup, reason="no file")
    if path.exists() and os.path.samefile(backup, path):
        raise NotRestored(
            f"{backup} is the ledger that is in place. To go on with it, see `scim-ledger recover"
            " --help`"
        )
    with open(backup, "rb"):  # raises OSError, which names the file
        pass
    log = Path(f"{backup}-wal")
    if log.exists() and log.stat().st_size > 0:
        raise NotRestored(
            f"the backup may not be whole: {how_to_make_whole(backup, '-wal')}, and restore"
            " that. If the log is not the backup's, move it away"
        )
    look_at(backup, oldest=0)
    folder = path.parent
    while not folder.exists():
        folder = folder.parent
    needed, free = ROOM * backup.stat().st_size, shutil.disk_usage(folder).free
    if free < needed:
        raise NotRestored(
            f"there are {free // 2**20:,} MiB free under {folder}, and a restore needs"
            f" {needed // 2**20 + 1:,} MiB"
        )


def make_draft(
    backup: Path, path: Path, settings: Settings, progress: Progress = no_progress
) -> Tenant:
    """Copy a backup into the draft's folder and bring it up to date; return it open.

    The keys that are at hand are copied too: the draft is a ledger by itself.
    """
    folder = path.with_name(DRAFT)
    shutil.rmtree(folder, ignore_errors=True)  # of a restore that was cut off
    make_folder(folder)
    draft, keys = folder / LEDGER_FILE, Keys(folder, settings.signing_key)
    copy(backup, draft, progress)
    migrate(draft)
    tenant = wire(draft, settings, keys=keys)
    try:
        for projection in projections_of(tenant):  # all: a backup may have been changed
            projection.rebuild(progress)
        _must_be_only(tenant, path, settings)
    except BaseException:
        tenant.close()
        raise
    return tenant


def take_keys(real: Keys, folder: Path) -> None:
    """Copy the keys in use to the draft's folder."""
    for name in (KEY_FILE, NEXT_FILE):
        file = real.folder / name
        if not real.given and file.exists():
            write_whole(folder / name, file.read_bytes())


def _must_be_only(draft: Tenant, path: Path, settings: Settings) -> None:
    """Raise NotRestored where the data directory has this ledger under another name."""
    for name in ledger_names(settings.data_dir):
        other = ledger_path(settings.data_dir, name)
        if other == path or not other.exists():
            continue
        try:
            found = wire(other, settings, read_only=True)
        except LedgerError:
            continue
        with_id = found.ledger.tenant
        found.close()
        if with_id == draft.ledger.tenant:
            raise NotRestored(
                f"this is a backup of the ledger {name}: restore it with --ledger {name}, or move"
                f" {other.parent} out of the data directory first"
            )


def must_be_good(draft: Tenant, progress: Progress, options: Options, what: str) -> Report:
    """Verify a draft's events and heads; raises NotRestored and says what is wrong."""
    report = verify(draft.ledger.path, progress, options)
    if report.findings:
        [first, *more] = report.findings
        others = f" (and {len(more)} more findings)" if more else ""
        raise NotRestored(f"{what} is not as it was written: {first}{others}. Nothing was changed")
    return report
