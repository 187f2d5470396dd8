"""erase: forget a user for ever."""

from collections import Counter
from typing import Any

import click

from ledger.contract import StreamErased
from ledger.erasure import Justification
from scim_api.cli.console import Console, command
from scim_api.cli.persons import ShortForm, find_person, hold_document
from scim_api.cli.terminal import Exit, Failure, Progress, note, print_json, say
from scim_api.erasure import erase as erasing
from scim_api.erasure.erase import ErasurePlan, ErasureResult
from scim_api.erasure.mentions import Mention

SHOWN = 20  # streams that mention a person; JSON has all

RESIDUE = (
    "Backups, exports and other copies are not reached: see docs/operating.md, "
    '"What about backups and other copies?"'
)


@command(
    "erase",
    "jane@example.com --reason gdpr-17 --ticket PRIV-42 --dry-run",
    "019ab6d3-... --reason gdpr-17 --ticket PRIV-42",
)
@click.argument("user", metavar="ID|USERNAME")
@click.option("--reason", type=ShortForm(), required=True, metavar="CODE", help="Why: a code.")
@click.option(
    "--ticket", type=ShortForm(), required=True, metavar="ID", help="Where it was decided."
)
@click.option("--dry-run", is_flag=True, help="Show what would be erased; change nothing.")
@click.option(
    "--wait",
    type=click.FloatRange(min=0),
    default=30.0,
    show_default=True,
    metavar="SECONDS",
    help="How long to wait for the files to be rewritten.",
)
def erase(
    console: Console, user: str, reason: str, ticket: str, dry_run: bool, wait: float
) -> None:
    """Erase a user for ever: payloads and every trace.

    Positions, types and times of the events remain, so the ledger can still be verified. Reason
    and ticket remain too: put no names there. A user who is not deleted leaves its groups, and the
    userName is free again.

    Exit 75 with "not finished" if the files are not rewritten within --wait: the payloads are gone,
    and the service, or the same command again, removes the last traces.
    """
    tenant = console.tenant()
    id_ = find_person(tenant, user)
    position = erasing.erased_at(tenant, id_)
    if position:
        why = None if dry_run else erasing.finish(tenant, wait)
        finished = not (why or tenant.ledger.unfinished_erasures())
        document = {"id": id_, "position": position, "already_erased": True, "finished": finished}
        console.document(document, f"{id_} was erased already, at position {position}")
        _must_be_finished(why)
        return
    with Progress("looking for mentions in other streams") as progress:
        found = erasing.plan(tenant, id_, progress)
    if dry_run:
        _show(console, found, None)
        return
    try:
        order = Justification(reason, ticket)
        done = erasing.erase(tenant, id_, order, console.metadata(), wait)
    except StreamErased:  # by another, meanwhile
        raise Failure(f"{id_} is being erased by another command; try again", Exit.BUSY) from None
    _show(console, found, done)
    _must_be_finished(done.unfinished)


def _must_be_finished(why: str | None) -> None:
    if why:
        raise Failure(
            f"{why}. The person is forgotten, but traces may still be in the files; the service"
            " removes them when it can, and so does the same command",
            Exit.BUSY,
        )


def _show(console: Console, found: ErasurePlan, done: ErasureResult | None) -> None:
    if console.as_json:
        print_json(_document(found, done))
        return
    verb, about = ("erased", done) if done else ("would erase", found)
    say(f"{verb} {found.id}, the payloads of its events (stream User-{found.id}): {about.events}")
    say(f"groups left: {', '.join(about.groups) or 'none'}")
    for hold in found.holds if done is None else ():
        say(f"refused because of a legal hold: {hold.why.ticket} since {hold.at}")
    _show_mentions(found)
    if done and not done.unfinished:
        say(f"erased by event {done.position}; the files were rewritten")
    note(RESIDUE)


def _show_mentions(found: ErasurePlan) -> None:
    """Say plainly what an erasure does not reach: mentions of the person in other streams."""
    for id_ in found.tokens:
        say(f"token {id_}, this user's own, no longer works: token revoke {id_}")
    if not found.mentions:
        say("no event of another stream contains the user's names")
        return
    streams = Counter(mention.stream for mention in found.mentions)
    say(
        f"NOT ERASED: {len(found.mentions)} events of {len(streams)} other streams contain the"
        " user's names; change or erase these too, if they have to go:"
    )
    for stream in list(streams)[:SHOWN]:
        say(f"  {stream}: {_places([m for m in found.mentions if m.stream == stream])}")
    if len(streams) > SHOWN:
        say(f"  and {len(streams) - SHOWN} more; --json has all")


def _places(mentions: list[Mention]) -> str:
    attributes = sorted({attribute for each in mentions for attribute in each.attributes})
    positions = [str(each.position) for each in mentions]
    more = f" and {len(positions) - 5} more" if len(positions) > 5 else ""
    return f"{', '.join(attributes)} at position {', '.join(positions[:5])}{more}"


def _document(found: ErasurePlan, done: ErasureResult | None) -> dict[str, Any]:
    return {
        "id": found.id,
        "dry_run": done is None,
        "position": done and done.position,
        "events": (done or found).events,
        "groups": list((done or found).groups),
        "holds": [hold_document(hold) for hold in found.holds],
        "tokens": list(found.tokens),
        "mentioned": [
            {"position": m.position, "stream": m.stream, "attributes": list(m.attributes)}
            for m in found.mentions
        ],
        "written_anew": list(done.rewritten) if done else [],
        "finished": done is not None and not done.unfinished,
    }
