"""Commands about the ledger itself: verify, backup, events."""

import json
import time
from collections import Counter, deque
from collections.abc import Iterator
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import click

from ledger import backup as backup_
from ledger import clock
from ledger.events import Recorded
from ledger.sqlite import SQLiteLedger
from ledger.store import LedgerBusy
from ledger.terminal import (
    HELP,
    Exit,
    Failure,
    Group,
    Progress,
    Site,
    emit,
    emit_record,
    emit_rows,
    examples,
    json_option,
    ledger_option,
    pass_site,
)
from ledger.verify import verify
from ledger.verify_events import Finding

POLL = 0.5  # seconds between two looks for new events


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
    findings = list(report.findings)
    if report.good and file is None:
        faults = _projection_faults(site, ledger, progress)
        findings += [Finding(None, "projection", "what a rebuild gives", f) for f in faults]
    progress.end()
    if as_json:
        emit(
            {
                "ledger": report.origin,
                "ok": not findings,
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


def _projection_faults(site: Site, ledger: str, progress: Progress) -> list[str]:
    try:
        return site.projection_faults(ledger, progress)
    except LedgerBusy:
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
    if findings:
        click.echo("NOT VERIFIED: the ledger or its file was changed or damaged.")
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


@click.group("events", cls=Group, context_settings=HELP)
@examples(
    "scim-ledger events list --since 7d --type Deactivated",
    "scim-ledger events tail -f",
    "scim-ledger events show 42",
)
def events_group() -> None:
    """Read the events of a ledger."""


@events_group.command("list")
@ledger_option
@json_option
@click.option("--since", help="A time (2026-11-01T10:00:00Z, 2026-11-01) or an age (7d, 12h).")
@click.option("--type", "type_", help="Only events of this type, such as Deactivated.")
@click.option("--stream", help="Only events of this stream, such as User-<id>.")
@click.option("--limit", type=click.IntRange(1), help="At most so many, the newest.")
@pass_site
@examples(
    "scim-ledger events list --limit 20",
    "scim-ledger events list --since 2026-11-01 --type Created --json",
    "scim-ledger events list --stream User-019ab6d3-0000-7000-8000-000000000000",
)
def list_events(
    site: Site,
    ledger: str,
    as_json: bool,
    since: str | None,
    type_: str | None,
    stream: str | None,
    limit: int | None,
) -> None:
    """List events, oldest first."""
    start = moment(since) if since else ""
    opened = site.ledger(ledger)
    found = opened.read_stream(stream) if stream else opened.read_all(opened.position_before(start))
    chosen = deque((e for e in found if e.at >= start and type_ in (None, e.type)), limit)
    emit_rows((_row(e, as_json) for e in chosen), as_json, "no such events")


@events_group.command("tail")
@ledger_option
@json_option
@click.option("-f", "--follow", is_flag=True, help="Go on with new events as they come.")
@click.option("-n", "count", type=click.IntRange(0), default=10, show_default=True)
@pass_site
@examples("scim-ledger events tail", "scim-ledger events tail -f --json")
def tail(site: Site, ledger: str, as_json: bool, follow: bool, count: int) -> None:
    """Show the newest events, one a line."""
    opened = site.ledger(ledger)
    position = max(0, opened.last_position() - count)
    with suppress(KeyboardInterrupt):  # how following ends
        _show_each(_follow(opened, position, follow), as_json)


def _show_each(events: Iterator[Recorded], as_json: bool) -> None:
    for recorded in events:
        if as_json:
            click.echo(json.dumps(_full(recorded), ensure_ascii=False))
        else:
            row = _row(recorded, False)
            click.echo("  ".join(str(value) for value in row.values()))


def _follow(ledger: SQLiteLedger, position: int, follow: bool) -> Iterator[Recorded]:
    while True:
        for recorded in ledger.read_all(position):
            position = recorded.position
            yield recorded
        if not follow:
            return
        time.sleep(POLL)


@events_group.command("show")
@click.argument("position", type=click.IntRange(1))
@ledger_option
@json_option
@pass_site
@examples("scim-ledger events show 42", "scim-ledger events show 42 --json")
def show(site: Site, position: int, ledger: str, as_json: bool) -> None:
    """Show one event with what it changed and the request that caused it."""
    found = list(site.ledger(ledger).read_all(position - 1, position))
    if not found:
        raise Failure(f"there is no event at position {position}", Exit.NOT_FOUND)
    emit_record(_full(found[0]), as_json)


def _row(recorded: Recorded, full: bool) -> dict[str, Any]:
    if full:
        return _full(recorded)
    return {
        "position": recorded.position,
        "at": recorded.at,
        "type": recorded.type,
        "stream": recorded.stream,
        "version": recorded.version,
        "via": recorded.via,
        "changed": _changed(recorded),
    }


def _changed(recorded: Recorded) -> str:
    """Name what changed: attributes of extensions without their long URN, members by number."""
    if recorded.payload is None:
        return "erased"
    kinds = {key: key.partition(":")[0] for key in recorded.effects}
    named = (key.rpartition(":")[2] if kind == "urn" else kind for key, kind in kinds.items())
    counts = Counter(named)
    return ", ".join(f"{name} ({n})" if n > 1 else name for name, n in sorted(counts.items()))


# Withheld wherever an event is shown: a token's hash is of no use to a reader.
_WITHHELD = frozenset({"sha256"})


def _full(recorded: Recorded) -> dict[str, Any]:
    return {
        "position": recorded.position,
        "id": recorded.id,
        "at": recorded.at,
        "type": recorded.type,
        "revision": recorded.revision,
        "stream": recorded.stream,
        "version": recorded.version,
        "txn": recorded.txn,
        "actor": recorded.actor,
        "via": recorded.via,
        "effects": None
        if recorded.payload is None
        else {k: v for k, v in recorded.effects.items() if k not in _WITHHELD},
        "request": recorded.request,
    }


_AGES = {"d": "days", "h": "hours", "m": "minutes", "s": "seconds"}


def moment(text: str) -> str:
    """Read a time or an age as the timestamp it stands for."""
    try:
        if text[-1:] in _AGES and text[:-1].isdigit():
            return clock.timestamp(clock.now() - timedelta(**{_AGES[text[-1]]: int(text[:-1])}))
        parsed = datetime.fromisoformat(text)
    except (ValueError, OverflowError):
        raise click.UsageError(
            f"{text!r} is neither a time such as 2026-11-01T10:00:00Z nor an age such as 7d"
        ) from None
    return clock.timestamp(parsed if parsed.tzinfo else parsed.replace(tzinfo=UTC))


COMMANDS: list[click.Command] = [verify_command, backup_command, events_group]
