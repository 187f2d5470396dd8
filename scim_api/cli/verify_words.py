"""What is said of a verification: in words, and as an object for programs."""

from collections.abc import Iterator
from typing import Any

from ledger.findings import Finding, Kind
from ledger.signing.note import KnownHead
from ledger.verify import identity
from ledger.verify.report import NOT_SHOWN, Options, Report
from ledger.verify.single import EventResult
from scim_api.cli.terminal import say as print_line


def as_object(report: Report, options: Options, *, ok: bool) -> dict[str, Any]:
    """Return a verification as an object for programs."""
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
        "not_shown": list(not_shown(report, options)),
    }


def _finding(finding: Finding) -> dict[str, Any]:
    return {
        "position": finding.position,
        **({"last": finding.last} if finding.last else {}),
        "what": finding.what,
        "expected": finding.expected,
        "found": finding.found,
    }


def not_shown(report: Report, options: Options) -> Iterator[str]:
    """Return what this verification could not show, whatever it read."""
    yield from NOT_SHOWN
    if not (options.brought or report.held):
        yield (
            "that others were shown this history and no other: it was compared with heads of its"
            " own only; give a tree head of theirs, --head"
        )


def say(report: Report, options: Options) -> None:
    """Print what was found, or what was checked and what that does not show."""
    for finding in report.findings:
        print_line(str(finding))
    for restore in report.restores:
        print_line(identity.in_words(restore))
    if any(finding.kind is not Kind.PROJECTION for finding in report.findings):
        print_line("NOT VERIFIED: the ledger or its file was changed or damaged.")
    elif report.findings:
        print_line(
            f"NOT VERIFIED: {report.events} events are all as they were written, but what was made"
            " of them is not; scim-ledger projections rebuild makes it anew."
        )
    else:
        for line in _verified(report, options):
            print_line(line)


def _verified(report: Report, options: Options) -> Iterator[str]:
    yield _headline(report)
    yield (
        f"checked: {_counted(report.payloads, 'payload')}, {report.erased} forgotten,"
        f" {_counted(report.erasures, 'erasure')}; {_counted(report.heads, 'tree head')}"
        + _compared(report)
    )
    if report.newest:
        size = _counted(report.newest.size, "event")
        yield f"newest tree head: of {size}, {report.newest.signed_at}"
    for each in (*options.from_outside, *report.held):
        yield _in_keeping(report, each)
    if options.since:
        yield (
            f"not read again: {report.skipped} events, verified at {options.since.at}, of which the"
            " leaf hashes still give the same root; SQLite's own integrity check; the current state"
            " and the history"
        )
    yield from (f"note: {note}" for note in report.notes)
    yield "What no verification shows:"
    yield from (f"- {sentence}" for sentence in not_shown(report, options))


def _headline(report: Report) -> str:
    if not report.skipped:
        return f"verified: {report.events} events of {report.origin}, all as they were written"
    total = report.events + report.skipped
    return (
        f"verified: {report.events} of {total} events of {report.origin} read again, all as they"
        f" were written; {report.skipped} by their leaf hashes only"
    )


def _in_keeping(report: Report, each: KnownHead) -> str:
    size = _counted(each.head.size, "event")
    for restore in report.restores:
        if restore.previous == each.head.origin and each.head.size > restore.kept:
            return (
                f"{each.source} has a tree head of {size} of {restore.previous}: given up, as said"
            )
    return f"in keeping with {each.source}: of {size}"


def _compared(report: Report) -> str:
    standing = dict(report.compared.standing)
    if not standing:
        return ""
    at = standing.pop("history", None)
    parts = ["the current state"] if standing else []
    if at is not None:
        parts.append("the history" if at >= report.events else f"the history up to position {at}")
    return f"; {' and '.join(parts)} by a rebuild"


def _counted(number: int, noun: str) -> str:
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"


def single_as_object(single: EventResult) -> dict[str, Any]:
    """Return what was found of one event as an object for programs."""
    head = single.head
    return {
        "position": single.position,
        "ok": not single.findings,
        "type": single.type,
        "stream": single.stream,
        "recorded_at": single.recorded_at,
        "payload": "checked" if single.shown else "forgotten",
        "tree_head": head and {"size": head.size, "signed_at": head.signed_at},
        "proof": [each.hex() for each in single.proof],
        "first_bad_position": next(
            (f.position for f in single.findings if f.position is not None), None
        ),
        "findings": [_finding(finding) for finding in single.findings],
    }


def say_single(single: EventResult) -> None:
    """Print what was found of one event."""
    for finding in single.findings:
        print_line(str(finding))
    name = f"event {single.position}, {single.type} of {single.stream}, {single.recorded_at}"
    if single.findings:
        print_line(f"NOT VERIFIED: {name}")
        return
    payload = "payload" if single.shown else "an erasure in place of its payload"
    print_line(f"verified: {name}: header, leaf, {payload}")
    if single.head is None:
        print_line("No tree head stands over it yet: scim-ledger tree-head create")
    else:
        print_line(
            f"included in the tree head of {single.head.size} events of {single.head.signed_at},"
            f" by {len(single.proof)} hashes"
        )
