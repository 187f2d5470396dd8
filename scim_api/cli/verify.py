"""The verify command: what is asked, and what is said of it."""

from collections.abc import Sequence
from pathlib import Path
from typing import Protocol

import click

from ledger import clock
from ledger.contract import LedgerBusy, LedgerError, NotMigrated
from ledger.findings import Finding, Kind
from ledger.signing.keys import HEAD_FILE, Keys
from ledger.signing.known_heads import HeadSources
from ledger.signing.note import KnownHead, MalformedNote, Note, TreeHead, VerifierKey
from ledger.verify.report import MEMORY_FILE, Compared, Options, Report, Verified
from ledger.verify.single import verify_position
from ledger.verify.verifier import verify
from scim_api.cli.terminal import (
    HELP,
    Exit,
    Failure,
    Progress,
    emit,
    examples,
    json_option,
    ledger_option,
    pass_site,
)
from scim_api.cli.verify_words import as_object, say, say_single, single_as_object


class Site(Protocol):
    """What the program gives this command."""

    def path(self, name: str) -> Path: ...

    def keys(self, name: str) -> Keys:
        """Return where the key of a ledger's tree heads is, and the head it signed last."""
        ...

    def places(self, name: str) -> HeadSources:
        """Return where others hold heads of a ledger."""
        ...

    def compare_projections(self, name: str, progress: Progress) -> Compared:
        """Compare a ledger's projections with a rebuild."""
        ...


_File = click.Path(path_type=Path, dir_okay=False)


@click.command("verify", context_settings=HELP)
@ledger_option
@json_option
@click.option(
    "--file", type=click.Path(path_type=Path), help="A ledger's file, such as a backup's, instead."
)
@click.option("--events-only", is_flag=True, help="Leave out what is made from the events.")
@click.option(
    "--since-last",
    is_flag=True,
    help="Read again only what came after the last such verification.",
)
@click.option(
    "--memory",
    type=click.Path(path_type=Path, dir_okay=False),
    help=f"What --since-last remembers itself by; else {MEMORY_FILE} beside the ledger.",
)
@click.option("--position", type=click.IntRange(1), metavar="N", help="Verify one event only.")
@click.option(
    "--head",
    "heads",
    multiple=True,
    type=_File,
    help="A tree head that you kept, or a witness; can be given again.",
)
@click.option(
    "--key",
    "keys",
    multiple=True,
    metavar="VKEY",
    help="A verifier key that you know from elsewhere; can be given again.",
)
@pass_site
@examples(
    "scim-ledger verify",
    "scim-ledger verify --since-last",
    "scim-ledger verify --head head-2026-11-25 --json",
    "scim-ledger verify --position 42",
    "scim-ledger verify --file backup.db",
)
def verify_command(
    site: Site,
    ledger: str,
    as_json: bool,
    file: Path | None,
    events_only: bool,
    since_last: bool,
    memory: Path | None,
    position: int | None,
    heads: Sequence[Path],
    keys: Sequence[str],
) -> None:
    """Re-read every byte of a ledger and check it against every other; exit 3 if one is wrong.

    Headers against their columns, leaf hashes, commitments, positions, versions, times, the tree
    and the heads signed over it, SQLite's own integrity, and whether what was made of the events is
    what a rebuild gives. Nothing is written, but for what --since-last remembers.
    """
    path = file or site.path(ledger)
    if path.is_dir():
        raise Failure(f"{path} is a folder, not the file of a ledger")
    if file and not file.exists():
        raise Failure(f"there is no file {file}", Exit.NOT_FOUND)
    if position is not None:
        _verify_one(path, position, as_json)
        return
    if file and since_last and memory is None:
        raise click.UsageError("--since-last with --file needs --memory: where to remember it")
    memory = (memory or path.with_name(MEMORY_FILE)) if since_last else None
    since = Verified.read(memory) if memory else None
    own = None if file else _own_head(site.keys(ledger))
    options = Options(
        brought=[_brought(each) for each in heads],
        own=own if isinstance(own, KnownHead) else None,
        keys=[_key(each) for each in keys],
        since=since,
        copy=file is not None,
        sources=HeadSources() if file else site.places(ledger),
    )
    progress = Progress("verifying")
    report = verify(path, progress, options)
    if isinstance(own, Finding):
        report.findings.append(own)
    unchecked = ""
    if report.good and not (file or events_only or since):
        unchecked = _compare_projections(site, ledger, report)
    progress.end()
    _tell(report, options, unchecked, as_json)
    if memory and report.good and report.root:
        _verified(report, since).write(memory)
    if report.findings:
        click.get_current_context().exit(Exit.NOT_VERIFIED)
    if unchecked:
        raise Failure(unchecked)


def _tell(report: Report, options: Options, unchecked: str, as_json: bool) -> None:
    if as_json:
        emit(as_object(report, options, ok=report.good and not unchecked))
    else:
        say(report, options)


def _verified(report: Report, since: Verified | None) -> Verified:
    head = report.newest.number if report.newest else since.head if since else 0
    assert report.root is not None
    return Verified(report.origin, report.size, report.root, head, clock.timestamp())


def _compare_projections(site: Site, ledger: str, report: Report) -> str:
    """Add how the projections differ from a rebuild; return why that could not be checked."""
    progress = Progress("rebuilding to compare")
    try:
        report.compared = site.compare_projections(ledger, progress)
        faults = report.compared.faults
        report.notes += report.compared.missing
    except NotMigrated as error:
        return f"{error}, then verify again: only the events were checked"
    except LedgerBusy:
        raise
    except Exception as error:  # whatever stops a rebuild is a finding too
        faults = [f"the current state cannot be rebuilt: {type(error).__name__}: {error}"]
    finally:
        progress.end()
    report.findings += [
        Finding(Kind.PROJECTION, None, "projection", "what a rebuild gives", f) for f in faults
    ]
    return ""


def _own_head(keys: Keys) -> KnownHead | Finding | None:
    """Return the head that the ledger's key signed last, as it lies outside the ledger's file."""
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
        brought = KnownHead(str(file), Note.parse(file.read_text(encoding="utf-8-sig")))
        TreeHead.of(brought.note)
    except (MalformedNote, UnicodeDecodeError, OSError) as error:
        raise click.UsageError(f"{file} is not a tree head: {error}") from error
    return brought


def _key(text: str) -> VerifierKey:
    try:
        return VerifierKey.parse(text)
    except MalformedNote as error:
        raise click.UsageError(f"--key: {error}; scim-ledger key show prints it") from error


def _verify_one(path: Path, position: int, as_json: bool) -> None:
    single = verify_position(path, position)
    if single is None:
        raise Failure(f"there is no event at position {position}", Exit.NOT_FOUND)
    if as_json:
        emit(single_as_object(single))
    else:
        say_single(single)
    if single.findings:
        click.get_current_context().exit(Exit.NOT_VERIFIED)
