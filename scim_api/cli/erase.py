"""erase: forget a user for ever."""

from collections.abc import Iterator
from typing import Any

import click

from ledger.contract import StreamErased
from ledger.erasure import Hold, Justification, erasure_of, is_short_form
from scim_api.cli.console import Console, command
from scim_api.cli.lookup import absent
from scim_api.cli.terminal import Exit, Failure, Progress
from scim_api.erasure import erase as erasing
from scim_api.erasure.erase import USER, ErasurePlan, ErasureResult, NoSuchPerson, SeveralPersons
from scim_api.erasure.purge import finish
from scim_api.tenants.tenants import Tenant

SHOWN = 20  # events that mention a person; JSON has all

RESIDUE = (
    "Backups, exports and other copies are not reached: see docs/operating.md, "
    '"What about backups and other copies?"'
)


def short_form(text: str) -> str:
    """Read a code or a ticket number: too short to name a person by accident."""
    if not is_short_form(text):
        raise click.BadParameter("is 1 to 64 letters, digits and . _ : # / -, without spaces")
    return text


def find_person(tenant: Tenant, user: str) -> str:
    """Return the id of a user, deleted or not; raises Failure."""
    try:
        return erasing.find(tenant, user)
    except SeveralPersons as error:
        raise Failure(f"{error}; choose one by its id") from None
    except NoSuchPerson:  # the userName of an erased user is in no file any more
        pending = tenant.ledger.unfinished_erasures().values()
        ids = ", ".join(stream.partition("-")[2] for stream in pending)
        hint = f"; an erasure is not finished: scim-ledger erase {ids} finishes it" if ids else ""
        raise Failure(f"{absent(USER, user).message}{hint}", Exit.NOT_FOUND) from None


def hold_document(each: Hold) -> dict[str, Any]:
    return {
        "id": each.subject,
        "ticket": each.why.ticket,
        "reason": each.why.reason,
        "since": each.at,
        "position": each.position,
    }


@command(
    "erase",
    "jane@example.com --reason gdpr-17 --ticket PRIV-42 --dry-run",
    "019ab6d3-... --reason gdpr-17 --ticket PRIV-42",
)
@click.argument("user", metavar="ID|USERNAME")
@click.option("--reason", type=short_form, required=True, metavar="CODE", help="Why: a code.")
@click.option(
    "--ticket", type=short_form, required=True, metavar="ID", help="Where it was decided."
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
    position = erasure_of(tenant.ledger, erasing.stream_of(id_))
    if position:
        why = None if dry_run else finish(tenant, wait)
        finished = not (why or tenant.ledger.unfinished_erasures())
        document = {"id": id_, "position": position, "already_erased": True, "finished": finished}
        console.document(document, f"{id_} was erased already, at position {position}")
        _must_be_finished(why)
        return
    with Progress("looking for mentions in other streams") as progress:
        found = erasing.plan(tenant, id_, progress)
    if dry_run:
        console.document(_document(found, None), *_lines(found, None))
        return
    try:
        order = Justification(reason, ticket)
        done = erasing.erase(tenant, id_, order, console.metadata(), wait)
    except StreamErased:  # by another, meanwhile
        raise Failure(f"{id_} is being erased by another command; try again", Exit.BUSY) from None
    console.document(_document(found, done), *_lines(found, done))
    _must_be_finished(done.unfinished)


def _must_be_finished(why: str | None) -> None:
    if why:
        raise Failure(
            f"{why}. The person is forgotten, but traces may still be in the files; the service"
            " removes them when it can, and so does the same command",
            Exit.BUSY,
        )


def _lines(found: ErasurePlan, done: ErasureResult | None) -> Iterator[str]:
    """Yield what an erasure forgets, and plainly what it does not reach."""
    verb, about = ("erased", done) if done else ("would erase", found)
    yield f"{verb} {found.id}, the payloads of its events (stream User-{found.id}): {about.events}"
    yield f"groups left: {', '.join(about.groups) or 'none'}"
    for hold in found.holds if done is None else ():
        yield f"refused because of a legal hold: {hold.why.ticket} since {hold.at}"
    for id_ in found.tokens:
        yield f"token {id_}, this user's own, no longer works: token revoke {id_}"
    streams = {mention.stream for mention in found.mentions}
    yield (
        f"NOT ERASED: {len(found.mentions)} events of {len(streams)} other streams contain the"
        " user's names; change or erase these too, if they have to go:"
        if streams
        else "no event of another stream contains the user's names"
    )
    for mention in found.mentions[:SHOWN]:
        attributes = ", ".join(mention.attributes)
        yield f"  position {mention.position}, {mention.stream}: {attributes}"
    if len(found.mentions) > SHOWN:
        yield f"  and {len(found.mentions) - SHOWN} more; --json has all"
    if done and not done.unfinished:
        yield f"erased by event {done.position}; the files were rewritten"
    yield RESIDUE


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
