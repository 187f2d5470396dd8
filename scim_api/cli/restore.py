"""restore: put a backup in place of a ledger."""

import sys
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import click

from ledger.events import CLIENT, GRANT, TOKEN
from scim_api.cli.console import Console, command
from scim_api.cli.terminal import Exit, Failure, Progress, note
from scim_api.recovery.losses import CREDENTIALS, MOST, in_words
from scim_api.recovery.restore import Restore, Restored, complete, finish_up, prepared
from scim_api.recovery.survey import Survey


@command(
    "restore",
    "/backups/ledger-2026-11-24.db",
    "/backups/ledger-2026-11-24.db --dry-run",
    "/backups/ledger-2026-11-24.db --ledger acme --yes --revoke-tokens",
)
@click.argument("backup", type=click.Path(path_type=Path))
@click.option("--yes", is_flag=True, help="Do not ask.")
@click.option("--dry-run", is_flag=True, help="Say what would be lost; change nothing.")
@click.option(
    "--revoke-tokens",
    is_flag=True,
    help="Revoke every token, client and consent that the backup has as live.",
)
def restore(console: Console, backup: Path, yes: bool, dry_run: bool, revoke_tokens: bool) -> None:
    """Put a backup in place of a ledger.

    It ends verified, or has changed nothing. Stop the service first. It says what is lost: what was
    recorded or signed after the backup, as far as the ledger in place, signing.head, anchors and
    witnesses show it; then it asks. The replaced files are kept. Unless it is proved that nothing
    followed the backup, the ledger goes on under a new origin and key, which a Restored event
    records.

    Legal holds, erasures and what happened to credentials after the backup are repeated where the
    replaced ledger shows them.
    """
    if not (yes or dry_run or sys.stdin.isatty()):
        raise click.UsageError("there is no terminal to ask at: give --yes, or --dry-run")
    path = console.path()
    if not dry_run and complete(path, console.settings):
        console.deliver()
        note("the restore that was cut off is finished")
        note(f"next: scim-ledger verify --ledger {console.name}")
        return
    with Progress("restoring") as progress:
        opened = prepared(backup, path, console.settings, console.metadata(), progress)
        with opened as found:
            document = _document(found)
            if not console.as_json or not (yes or dry_run):
                for line in _lines(found, revoke_tokens):
                    note(line)
            if dry_run:
                note("nothing was changed")
                if console.as_json:
                    console.record({**document, "dry_run": True})
                return
            if not (yes or click.confirm("Put the backup in place?", err=True)):
                raise Failure("nothing was changed", Exit.FAILED)
            done = found.carry_out(revoke_tokens=revoke_tokens)
    unfinished = finish_up(path, console.settings)
    console.deliver()
    result = {
        "origin": done.origin,
        "verifier_key": done.verifier_key,
        "events": done.events,
        "verified": done.verified,
        "replaced_files": str(done.kept_in) if done.kept_in else None,
        "repeated": list(done.repeated),
        "tokens_revoked": list(done.revoked),
        "unfinished": unfinished,
    }
    console.record({**document, "dry_run": False, **result} if console.as_json else result)
    for line in _next(console, found, done):
        note(line)


def _lines(found: Restore, revoke_tokens: bool) -> Iterator[str]:
    """Say what a restore would do, and what is lost."""
    survey, replaced = found.survey, found.survey.replaced
    yield f"the backup is verified: {survey.kept:,} events, the last one of {survey.kept_at}"
    yield f"compared with {survey.comparison}"
    for failure in survey.comparison.failures:
        yield f"warning: {failure}"
    if replaced.trouble:
        yield f"warning: the ledger in place does not show what is lost: {replaced.trouble}"
    yield from in_words(replaced.losses, _repeated(found))
    if survey.renewal is None:
        yield "nothing followed the backup: the ledger in place has the same events"
        return
    least, most = survey.lost
    if not replaced.losses.events or most is None:
        until = f"at most {most:,}" if most is not None else "at most: nobody can know"
        yield f"events lost after position {survey.kept:,}: at least {least:,}, {until}"
    if survey.agreed < survey.kept:
        yield _fork(survey)
    if not replaced.there or replaced.trouble:
        yield "erasures and legal holds that came after the backup are not known: repeat them"
    for each in found.living_again:
        will = "is revoked" if revoke_tokens else "lives (again), if it was revoked meanwhile"
        yield f"{CREDENTIALS[each.kind]} {each.name} ({each.id}) {will}"
    if found.living_again and not revoke_tokens:
        yield (
            "revoke them all with --revoke-tokens, or one by one with scim-ledger token revoke,"
            " client remove and client withdraw"
        )
    if any(each.kind == GRANT for each in found.living_again):
        yield (
            "an app that refreshed its tokens after the backup has to be connected again:"
            " scim-ledger connect"
        )
    yield "the ledger will go on under a new origin and key, for all to see"


def _repeated(found: Restore) -> Counter[str]:
    """Count the events of credentials that are repeated, by type."""
    return Counter(each.type for each in found.of_credentials)


def _fork(survey: Survey) -> str:
    """Say what the events of the backup are that the history which ended does not have."""
    other, replaced = survey.kept - survey.agreed, survey.replaced.identity
    if survey.comparison.agreed is not None:
        return (
            f"only the first {survey.agreed:,} events of the backup are of the history that was"
            " signed: it is of a copy that went on by itself"
        )
    if replaced and replaced.origin != survey.origin:
        return (
            f"{replaced.origin}, which ends, has the first {survey.agreed:,} events of the backup;"
            f" the {other:,} that follow are of {survey.origin}, and are back"
        )
    return (
        f"the ledger in place has the first {survey.agreed:,} events of the backup, and others in"
        f" place of the {other:,} that follow"
    )


def _document(found: Restore) -> dict[str, Any]:
    survey, lost = found.survey, found.survey.replaced.losses
    least, most = survey.lost if survey.renewal else (0, 0)
    return {
        "backup_events": survey.kept,
        "backup_last_event_at": survey.kept_at,
        "nothing_followed": survey.renewal is None,
        "agrees_up_to": survey.agreed,
        "lost_at_least": least,
        "lost_at_most": most,
        "lost_from": lost.first and {"position": lost.first[0], "at": lost.first[1]},
        "lost_to": lost.last and {"position": lost.last[0], "at": lost.last[1]},
        "concerned": [each.as_object() for each in list(lost.concerned.values())[:MOST]],
        "concerned_in_all": len(lost.concerned),
        **{
            f"{key}_gone": {id_: name for id_, (kind, name) in lost.gone.items() if kind == of}
            for of, key in ((TOKEN, "tokens"), (CLIENT, "clients"), (GRANT, "consents"))
        },
        "credential_events_repeated": dict(_repeated(found)),
        "tokens_living_again": {each.id: each.name for each in found.living_again},
        "compared_with": [
            {"source": each.source, "size": each.head.size} for each in survey.comparison.known
        ],
        "warnings": [*survey.comparison.failures, *filter(None, [survey.replaced.trouble])],
    }


def _next(console: Console, found: Restore, done: Restored) -> Iterator[str]:
    yield f"verified: {done.verified:,} events of {done.origin}"
    if done.kept_in:
        yield f"what was replaced is in {done.kept_in}: it holds personal data, delete it in time"
    if found.survey.renewal:
        yield f"give those who keep tree heads of it the new verifier key: {done.verifier_key}"
    if console.settings.signing_key and found.survey.renewal:
        yield "SCIM_SIGNING_KEY stays as it is"
    yield (
        "next: start the service, and use Import > Import Now in Okta: it does not resend what"
        " happened since the backup"
    )
