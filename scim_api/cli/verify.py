"""verify: read a ledger and say whether it is what was written."""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import click

from ledger import clock
from ledger.contract import LedgerBusy, LedgerError, NoScratchSpace, NotMigrated
from ledger.findings import Finding, Kind
from ledger.signing.keys import HEAD_FILE, Keys
from ledger.signing.known_heads import HeadSources
from ledger.signing.note import KnownHead, MalformedNote, Note, TreeHead, saved_text
from ledger.verify import identity
from ledger.verify.report import MEMORY_FILE, NOT_SHOWN, Options, Report, Verified
from ledger.verify.single import EventResult, verify_position
from ledger.verify.verifier import verify as verify_file
from projections.compare import differing
from scim_api.cli.console import Console, command
from scim_api.cli.key import key_given
from scim_api.cli.ledgers import ALL, Done, for_all, for_one, show
from scim_api.cli.terminal import Exit, Failure, Progress
from scim_api.wiring import compare_with_rebuild, head_sources, keys_of


@command(
    "verify",
    "",
    "--since-last",
    "--head head-2026-11-25 --json",
    "--position 42",
    "--file backup.db",
    "--all --since-last",
)
@click.option("--file", type=click.Path(path_type=Path), help="Verify this file, such as a backup.")
@ALL
@click.option("--events-only", is_flag=True, help="Do not compare the projections with a rebuild.")
@click.option(
    "--since-last", is_flag=True, help="Read only what came after the last such verification."
)
@click.option(
    "--memory",
    type=click.Path(path_type=Path, dir_okay=False),
    help=f"File that --since-last keeps, by default {MEMORY_FILE} next to the ledger.",
)
@click.option("--position", type=click.IntRange(1), metavar="N", help="Verify one event only.")
@click.option(
    "--head",
    "heads",
    multiple=True,
    type=click.Path(path_type=Path, dir_okay=False),
    help="A tree head that you or a witness kept; can be repeated.",
)
@click.option(
    "--key",
    "vkeys",
    multiple=True,
    metavar="VKEY",
    help="A verifier key that you know from elsewhere; can be repeated.",
)
def verify(
    console: Console,
    file: Path | None,
    every: bool,
    events_only: bool,
    since_last: bool,
    memory: Path | None,
    position: int | None,
    heads: Sequence[Path],
    vkeys: Sequence[str],
) -> None:
    """Check every byte of a ledger; exit 3 if one is wrong.

    Headers against their columns, leaf hashes, commitments, positions, versions, times, the tree
    and the heads signed over it, SQLite's own integrity, and whether the projections are what a
    rebuild gives. Nothing is written, except what --since-last keeps.
    """
    alone = [file, memory, position, *heads, *vkeys]
    if every and any(each is not None for each in alone):
        raise click.UsageError(
            "--all goes with none of --file, --memory, --position, --head and --key"
        )
    if file and since_last and memory is None:
        raise click.UsageError("--since-last with --file needs --memory: where to keep it")
    if file and not file.exists():
        raise Failure(f"there is no file {file}", Exit.NOT_FOUND)
    brought, trusted = [_brought(each) for each in heads], [key_given(each) for each in vkeys]

    def work(name: str) -> Done:
        path = file or console.path(name)
        if path.is_dir():
            raise Failure(f"{path} is a folder, not the file of a ledger")
        if position is not None:
            return _verify_one(path, position)
        kept = (memory or path.with_name(MEMORY_FILE)) if since_last else None
        own, sources = None, HeadSources()
        if not file:
            chosen, keys = console.settings, keys_of(path, console.settings)
            own = _own_head(keys)
            sources = head_sources(keys, chosen)
        options = Options(
            brought=brought,
            own=own if isinstance(own, KnownHead) else None,
            keys=trusted,
            since=Verified.read(kept) if kept else None,
            copy=file is not None,
            sources=sources,
        )
        found = [own] if isinstance(own, Finding) else []
        return _verify(name, path, options, found, memory=kept, events_only=events_only)

    if file:
        show(console, work(console.name))
    else:
        (for_all if every else for_one)(console, work, "verified")


def _verify(
    name: str,
    path: Path,
    options: Options,
    found: Sequence[Finding],
    *,
    memory: Path | None,
    events_only: bool,
) -> Done:
    """Verify a file, of which something was found already; keep in `memory` how far."""
    with Progress("verifying") as progress:
        report = verify_file(path, progress, options)
    report.findings += found
    if not (options.copy or options.own or found) and report.events + report.skipped > 1:
        report.notes.append(
            f"there is no {HEAD_FILE} next to the key: nothing here shows whether the newest events"
            " are missing; see scim-ledger recover --help"
        )
    if not report.migrated:
        report.notes.append(
            "an earlier version made this file; what it had no tables for was not checked"
        )
    unchecked = ""
    if report.sound and not options.copy:
        if not report.migrated:
            unchecked = f"{NotMigrated(path)}, then verify again: only the events were checked"
        elif not events_only and options.since is None:
            unchecked = _compare_projections(path, report)
    if memory and report.good and report.root:
        since = options.since
        head = report.newest.number if report.newest else since.head if since else 0
        Verified(report.origin, report.size, report.root, head, clock.timestamp()).write(memory)
    code = Exit.NOT_VERIFIED if report.findings else Exit.FAILED if unchecked else Exit.OK
    record = {"name": name, **_document(report, options, ok=not code)}
    if unchecked:
        record["error"] = unchecked
    return Done(record, list(_lines(report, options)), code=code, says=unchecked)


def _own_head(keys: Keys) -> KnownHead | Finding | None:
    """Return the head that the ledger's key signed last, as kept outside the ledger's file."""
    try:
        note = keys.remembered()
        if note is None:
            return None
        TreeHead.of(note)
    except LedgerError as error:
        expected = "the head that was signed last"
        return Finding(Kind.HEAD, None, HEAD_FILE, expected, str(error))
    return KnownHead(HEAD_FILE, note)


def _brought(file: Path) -> KnownHead:
    try:
        brought = KnownHead(str(file), Note.parse(saved_text(file)))
        TreeHead.of(brought.note)
    except OSError as error:
        raise click.UsageError(f"{file} cannot be read: {error.strerror}") from error
    except MalformedNote as error:
        failure = f"{file} cannot be read as a tree head: {error}. Nothing was verified"
        raise Failure(failure, Exit.UNREADABLE) from error
    return brought


def _compare_projections(path: Path, report: Report) -> str:
    """Add how the projections differ from a rebuild; return why that could not be checked."""
    try:
        with Progress("rebuilding to compare") as progress:
            report.compared = compare_with_rebuild(path, progress)
        report.findings += report.compared.faults
        report.notes += report.compared.missing
    except NotMigrated as error:
        return f"{error}, then verify again: only the events were checked"
    except NoScratchSpace as error:
        return f"{error}; only the events were checked"
    except LedgerBusy:
        raise
    except Exception as error:  # whatever stops a rebuild is a finding too
        says = f"the projections cannot be compared: {type(error).__name__}: {error}"
        report.findings.append(differing(says))
    return ""


def _verify_one(path: Path, position: int) -> Done:
    single = verify_position(path, position)
    if single is None:
        raise Failure(f"there is no event at position {position}", Exit.NOT_FOUND)
    code = Exit.NOT_VERIFIED if single.findings else Exit.OK
    return Done(_single_document(single), list(_single_lines(single)), code=code)


# What is said of a verification


def _document(report: Report, options: Options, *, ok: bool) -> dict[str, Any]:
    return {
        "ledger": report.origin,
        "ok": ok,
        "events": report.events,
        "payloads": report.payloads,
        "erased": report.erased,
        "erasures": report.erasures,
        "heads": report.heads,
        "incarnations": [identity.as_object(each) for each in report.restores],
        "newest_head": report.newest_head,
        "compared_with": [
            {"source": each.source, "size": each.head.size}
            for each in (*options.from_outside, *report.held)
        ],
        "root": report.root.hex() if report.root else None,
        "first_bad_position": report.first_bad_position,
        "findings": [_finding(finding) for finding in report.findings],
        "notes": report.notes,
        "not_read_again": report.skipped,
        "projections_rebuilt": bool(report.compared.standing),
        "projections": dict(report.compared.standing),
        "not_shown": list(_not_shown(report, options)),
    }


def _finding(finding: Finding) -> dict[str, Any]:
    return {
        "kind": finding.kind.value,
        "position": finding.position,
        **({"last": finding.last} if finding.is_stretch else {}),
        "what": finding.what,
        "expected": finding.expected,
        "found": finding.found,
    }


def _not_shown(report: Report, options: Options) -> Iterator[str]:
    """Return what this verification could not show, whatever it read."""
    yield from NOT_SHOWN
    if not (options.brought or report.held):
        yield (
            "that others were shown this history and no other: it was compared with heads of its"
            " own only; give a tree head of theirs, --head"
        )


def _lines(report: Report, options: Options) -> Iterator[str]:
    """Yield what was found, or what was checked and what that does not show."""
    yield from map(str, report.findings)
    yield from identity.in_words(report.restores)
    if report.findings:
        yield f"NOT VERIFIED: {_verdict(report)}"
        if not report.sound:
            yield from _way_out(report, options)
        return
    every = f" of {report.events + report.skipped}" if report.skipped else ""
    yield f"verified: {report.events}{every} events of {report.origin}, all as they were written"
    yield (
        f"checked: payloads {report.payloads}, forgotten {report.erased},"
        f" erasures {report.erasures}, tree heads {report.heads}"
    )
    for name, at in report.compared.standing.items():
        yield f"compared with a rebuild: {name} up to position {at}"
    if report.newest:
        yield f"newest tree head: size {report.newest.size}, {report.newest.signed_at}"
    kept = {each.previous: each.agreed for each in report.restores}
    for each in (*options.from_outside, *report.held):
        if each.head.size <= kept.get(each.head.origin, each.head.size):  # the rest is lost
            yield f"compared with {each.source}: size {each.head.size}, {each.head.origin}"
    if options.since:
        yield (
            f"not read again: {report.skipped} events, verified at {options.since.at}, whose leaf"
            " hashes still give the same root; SQLite's own integrity check; the current state and"
            " the history"
        )
    yield from (f"note: {note}" for note in report.notes)
    yield "What no verification shows:"
    yield from (f"- {sentence}" for sentence in _not_shown(report, options))


def _verdict(report: Report) -> str:
    """Say which is wrong: what was signed, what follows from it, or nothing but a loss."""
    kinds = {finding.kind for finding in report.findings}
    if kinds & {Kind.ROOT, Kind.MISSING}:
        return "the events are not those that were signed: the ledger was changed or damaged."
    if not report.sound:
        return "the ledger or its file was changed or damaged."
    events = report.events + report.skipped
    if kinds == {Kind.LOST}:
        return (
            f"all {events} events are as they were written, and nothing else was found; but the"
            " tree head is over events that were lost, as the ledger itself records. Ask the"
            " operator why it was restored, and what became of those events."
        )
    tiles, remedy = Kind.TILES in kinds, "scim-ledger projections rebuild"
    if Kind.PROJECTION not in kinds:
        wrong, remedy = "the tiles are wrong", f"{remedy} tree"
    else:
        wrong = f"the projections {'and the tiles ' if tiles else ''}are not what a rebuild gives"
    return f"all {events} events are as they were written, but {wrong}: {remedy}"


def _single_document(single: EventResult) -> dict[str, Any]:
    head = single.head
    return {
        "position": single.event.position,
        "ok": not single.findings,
        "type": single.event.type,
        "stream": single.event.stream,
        "recorded_at": single.event.at,
        "payload": "checked" if single.shown else "forgotten",
        "tree_head": head and {"size": head.size, "signed_at": head.signed_at},
        "proof": [each.hex() for each in single.proof],
        "first_bad_position": next(
            (f.position for f in single.findings if f.position is not None), None
        ),
        "findings": [_finding(finding) for finding in single.findings],
    }


def _way_out(report: Report, options: Options) -> Iterator[str]:
    """Say which command leads on, where one does."""
    kinds = {finding.kind for finding in report.findings} - {Kind.LOST}
    if options.copy:
        yield "Do not restore this file: take another backup."
    elif kinds == {Kind.HEAD}:
        yield (
            "If the file was put back and only lacks a tree head that is known elsewhere:"
            " scim-ledger tree-head create puts back the one in signing.head."
        )
    elif kinds <= {Kind.MISSING, Kind.ROOT, Kind.HEAD}:
        yield (
            "If a backup or a copy was put in place, stop the service and run scim-ledger restore"
            " BACKUP, or, to go on with what is here, scim-ledger recover --new-incarnation."
        )
    elif kinds & {Kind.EVENT, Kind.STORE, Kind.IDENTITY}:
        yield "Stop the service and put a true backup back: scim-ledger restore BACKUP."


def _single_lines(single: EventResult) -> Iterator[str]:
    yield from map(str, single.findings)
    verdict, event = "NOT VERIFIED" if single.findings else "verified", single.event
    yield f"{verdict}: event {event.position}, {event.type} of {event.stream}"
    payload = "here" if single.shown else "forgotten"
    yield f"recorded at {event.at}; its payload is {payload}"
    if single.head is None:
        yield "No tree head covers it yet: scim-ledger tree-head create"
    else:
        yield f"newest tree head over it: size {single.head.size}, {single.head.signed_at}"
