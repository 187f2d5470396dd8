"""Commands about the ledger itself: verify, backup."""

from pathlib import Path
from typing import Any

import click

from ledger import backup as backup_
from ledger.store import LedgerBusy, NotMigrated
from ledger.terminal import (
    HELP,
    Exit,
    Failure,
    Progress,
    Site,
    emit,
    examples,
    json_option,
    ledger_option,
    pass_site,
)
from ledger.verify import verify
from ledger.verify_events import Finding

PROJECTION = "projection"  # what a finding is about that no event is to blame for


@click.command("verify", context_settings=HELP)
@ledger_option
@json_option
@click.option(
    "--file", type=click.Path(path_type=Path), help="A ledger's file, such as a backup's, instead."
)
@pass_site
@examples("scim-ledger verify", "scim-ledger verify --json", "scim-ledger verify --file backup.db")
def verify_command(site: Site, ledger: str, as_json: bool, file: Path | None) -> None:
    """Re-read every byte of a ledger and check it against every other; exit 3 if one is wrong.

    Headers against their columns, leaf hashes, commitments, positions, versions, times, SQLite's
    own integrity, and whether the current state is what the events add up to. Nothing is written.
    A tail that was cut off whole cannot be seen in the file alone.
    """
    progress = Progress("verifying")
    report = verify(file or site.path(ledger), progress)
    findings, unchecked = list(report.findings), ""
    if report.good and file is None:
        try:
            faults = _projection_faults(site, ledger, progress)
        except NotMigrated as error:
            faults, unchecked = [], f"{error}, then verify again: only the events were checked"
        findings += [Finding(None, PROJECTION, "what a rebuild gives", f) for f in faults]
    progress.end()
    if as_json:
        emit(
            {
                "ledger": report.origin,
                "ok": not (findings or unchecked),
                "events": report.events,
                "payloads": report.payloads,
                "erased": report.erased,
                "first_bad_position": report.first_bad_position,
                "findings": [_finding(finding) for finding in findings],
            }
        )
    else:
        _say(findings, report.events, report.origin)
    if findings:
        click.get_current_context().exit(Exit.NOT_VERIFIED)
    if unchecked:
        raise Failure(unchecked)


def _projection_faults(site: Site, ledger: str, progress: Progress) -> list[str]:
    try:
        return site.projection_faults(ledger, progress)
    except (LedgerBusy, NotMigrated):
        raise
    except Exception as error:  # whatever stops a rebuild is a finding too
        return [f"the current state cannot be rebuilt: {type(error).__name__}: {error}"]


def _finding(finding: Finding) -> dict[str, Any]:
    return {
        "position": finding.position,
        "what": finding.what,
        "expected": finding.expected,
        "found": finding.found,
    }


def _say(findings: list[Finding], events: int, origin: str) -> None:
    for finding in findings:
        click.echo(str(finding))
    if any(finding.what != PROJECTION for finding in findings):
        click.echo("NOT VERIFIED: the ledger or its file was changed or damaged.")
    elif findings:
        click.echo(
            f"NOT VERIFIED: {events} events are all as they were written, but what was made of them"
            " is not; scim-ledger projections rebuild makes it anew."
        )
    else:
        click.echo(f"verified: {events} events of {origin}, all as they were written")


@click.command("backup", context_settings=HELP)
@click.argument("file", type=click.Path(path_type=Path))
@ledger_option
@pass_site
@examples("scim-ledger backup /backups/ledger-2026-11-24.db")
def backup_command(site: Site, file: Path, ledger: str) -> None:
    """Copy a ledger to FILE while the service runs.

    The database must not be copied by hand: part of it is in the log beside it. To restore, stop
    the service, put FILE in place of ledger.db, and remove ledger.db-wal and ledger.db-shm.
    """
    progress = Progress("copying pages")
    size = backup_.backup(site.path(ledger), file, progress)
    progress.end()
    click.echo(f"{file}: {size:,} bytes; check it with: scim-ledger verify --file {file}", err=True)


COMMANDS: list[click.Command] = [verify_command, backup_command]
