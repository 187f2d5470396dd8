"""Commands that forget a person, and that keep one from being forgotten: erase, hold."""

from collections import Counter
from typing import Any, Protocol

import click

from ledger import erasure
from ledger.contract import StreamErased
from ledger.erasure import Hold, Justification, NotHeld, is_short_form
from ledger.events import Metadata
from scim_api.cli.lookup import absent
from scim_api.cli.terminal import (
    HELP,
    Exit,
    Failure,
    Progress,
    emit,
    emit_rows,
    examples,
    json_option,
    ledger_option,
    pass_site,
    say,
)
from scim_api.erasure import erase as forgetting
from scim_api.erasure.erase import (
    USER,
    ErasurePlan,
    ErasureResult,
    NoSuchPerson,
    SeveralPersons,
)
from scim_api.erasure.mentions import Mention
from scim_api.tenants.tenants import Tenant

SHOWN = 20  # streams that mention a person; JSON has all

RESIDUE = (
    "Backups, exports and other copies are not reached: see docs/operating.md, "
    '"What about backups and other copies?"'
)


class Site(Protocol):
    """What the program gives these commands."""

    def tenant(self, name: str) -> Tenant: ...
    def metadata(self, via: str) -> Metadata: ...


class _ShortForm(click.ParamType[str]):
    """A code or the number of a ticket: nothing in which a person could be named by accident."""

    name = "short form"

    def convert(self, value: Any, param: Any, ctx: Any) -> str:
        if not is_short_form(value):
            self.fail("is 1 to 64 letters, digits and . _ : # / -, without spaces", param, ctx)
        return str(value)


@click.command("erase", context_settings=HELP)
@click.argument("user", metavar="ID|USERNAME")
@click.option("--reason", type=_ShortForm(), required=True, metavar="CODE", help="Why: a code.")
@click.option(
    "--ticket", type=_ShortForm(), required=True, metavar="ID", help="Where it was decided."
)
@click.option("--dry-run", is_flag=True, help="Say what would be forgotten; change nothing.")
@click.option(
    "--wait",
    type=click.FloatRange(min=0),
    default=30.0,
    show_default=True,
    metavar="SECONDS",
    help="How long to wait for those who still read the files.",
)
@ledger_option
@json_option
@pass_site
@examples(
    "scim-ledger erase jane@example.com --reason gdpr-17 --ticket PRIV-42 --dry-run",
    "scim-ledger erase 019ab6d3-... --reason gdpr-17 --ticket PRIV-42",
)
def erase(
    site: Site,
    user: str,
    reason: str,
    ticket: str,
    dry_run: bool,
    wait: float,
    ledger: str,
    as_json: bool,
) -> None:
    """Forget a user for ever, deleted or not: what its events said, and every trace in our files.

    Positions, types and times of the events remain, so that the ledger still proves itself. Reason
    and ticket remain too: put no names there. A living user leaves its groups and the userName is
    free again.

    Exit 75 with "not finished" if somebody reads the files for longer than --wait: the person is
    forgotten, and the service, or the same command again, removes the last traces. Where SQLite
    left some, a file is written anew; writers wait for that.
    """
    tenant = site.tenant(ledger)
    id_ = _found(tenant, user)
    position = forgetting.erased_at(tenant, id_)
    if position:
        _finish(tenant, id_, position, wait, as_json, dry_run=dry_run)
        return
    progress = Progress("looking for mentions in other streams")
    found = forgetting.plan(tenant, id_, progress)
    progress.end()
    if dry_run:
        _tell(found, None, as_json)
        return
    try:
        done = forgetting.erase(
            tenant, id_, Justification(reason, ticket), site.metadata("cli"), wait
        )
    except StreamErased:  # by another, meanwhile
        raise Failure(f"{id_} is being erased by another command; try again", Exit.BUSY) from None
    _tell(found, done, as_json)
    _must_be_finished(done.unfinished)


def _found(tenant: Tenant, user: str) -> str:
    try:
        return forgetting.find(tenant, user)
    except NoSuchPerson:
        raise _nobody(tenant, user) from None
    except SeveralPersons as error:
        raise Failure(f"{error}; name one by its id") from None


def _nobody(tenant: Tenant, user: str) -> Failure:
    """Say that nobody is called so; the userName of who was erased is in no file any more."""
    pending = tenant.ledger.unfinished_erasures().values()
    ids = ", ".join(stream.partition("-")[2] for stream in pending)
    hint = f"; an erasure is not finished: scim-ledger erase {ids} finishes it" if ids else ""
    return Failure(f"{absent(USER, user).message}{hint}", Exit.NOT_FOUND)


def _finish(
    tenant: Tenant, id_: str, position: int, wait: float, as_json: bool, *, dry_run: bool
) -> None:
    """Say that somebody was erased already, and finish what is pending."""
    why = None if dry_run else forgetting.finish(tenant, wait)
    pending = bool(why) or bool(tenant.ledger.unfinished_erasures())
    if as_json:
        emit({"id": id_, "position": position, "already_erased": True, "finished": not pending})
    else:
        say(f"{id_} was erased already, at position {position}")
    _must_be_finished(why)


def _must_be_finished(why: str | None) -> None:
    if why:
        raise Failure(
            f"{why}. The person is forgotten, but traces may yet be in the files; the service"
            " removes them when it can, and so does the same command",
            Exit.BUSY,
        )


def _tell(found: ErasurePlan, done: ErasureResult | None, as_json: bool) -> None:
    if as_json:
        emit(_document(found, done))
        return
    groups = found.groups if done is None else done.groups
    verb = "would forget" if done is None else "forgot"
    events = found.events if done is None else done.events
    say(f"{verb} {found.id}, the payloads of its events (stream User-{found.id}): {events}")
    say(f"groups left: {', '.join(groups) or 'none'}")
    for hold in found.holds if done is None else ():
        say(f"under a legal hold, so it would be refused: {hold.why.ticket} since {hold.at}")
    _tell_of_others(found)
    if done and not done.unfinished:
        say(f"erased by event {done.position}; the files were rewritten")
    say(RESIDUE, err=True)


def _tell_of_others(found: ErasurePlan) -> None:
    """Say plainly what an erasure does not reach: what other streams say of the person."""
    for id_ in found.tokens:
        say(f"token {id_}, this user's own, opens nothing any more: token revoke {id_}")
    if not found.mentions:
        say("no event of another stream holds what the user was called")
        return
    streams = Counter(mention.stream for mention in found.mentions)
    say(
        f"NOT FORGOTTEN: {len(found.mentions)} events of {len(streams)} other streams hold what"
        " the user was called; change or erase these, if they are to go too:"
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
        "events": found.events if done is None else done.events,
        "groups": list(found.groups if done is None else done.groups),
        "holds": [_hold(hold) for hold in found.holds],
        "tokens": list(found.tokens),
        "mentioned": [
            {"position": m.position, "stream": m.stream, "attributes": list(m.attributes)}
            for m in found.mentions
        ],
        "written_anew": list(done.rewritten) if done else [],
        "finished": done is not None and not done.unfinished,
    }


@click.command("hold", context_settings=HELP)
@click.argument("user", metavar="ID|USERNAME", required=False)
@click.option("--reason", type=_ShortForm(), metavar="CODE", help="Why: a code.")
@click.option("--ticket", type=_ShortForm(), metavar="ID", help="What the hold is known by.")
@click.option("--release", is_flag=True, help="Lift the hold of this ticket.")
@ledger_option
@json_option
@pass_site
@examples(
    "scim-ledger hold jane@example.com --reason litigation --ticket CASE-7",
    "scim-ledger hold 019ab6d3-... --release --reason settled --ticket CASE-7",
    "scim-ledger hold --json",
)
def hold(
    site: Site,
    user: str | None,
    reason: str | None,
    ticket: str | None,
    release: bool,
    ledger: str,
    as_json: bool,
) -> None:
    """Keep a user from being erased (a legal hold); without one, list the holds in force.

    A user can be under holds of several tickets, and is erased only when each is released. Reason
    and ticket stay in the ledger for ever: put no names there.
    """
    tenant = site.tenant(ledger)
    if user is None:
        if reason or ticket or release:
            raise click.UsageError("whom to hold, or whose hold to release: ID or USERNAME")
        rows = [_hold(each) for each in erasure.all_holds(tenant.ledger)]
        emit_rows(rows, as_json, "no legal holds")
        return
    if reason is None or ticket is None:
        raise click.UsageError("--reason and --ticket say why, and what the hold is known by")
    id_ = _found(tenant, user)
    order = Justification(reason, ticket)
    said = (_release if release else _place)(site, tenant, id_, order)
    if as_json:
        emit({"id": id_, "holds": [_hold(h) for h in erasure.holds_on(tenant.ledger, id_)]})
    else:
        say(said)


def _place(site: Site, tenant: Tenant, id_: str, order: Justification) -> str:
    stream = forgetting.stream_of(id_)
    try:
        new = erasure.place_hold(tenant.ledger, stream, order, site.metadata("cli"))
    except StreamErased:
        raise Failure(f"{id_} was erased; there is nothing to hold any more") from None
    return f"{id_} is {'' if new else 'already '}under the hold {order.ticket}"


def _release(site: Site, tenant: Tenant, id_: str, order: Justification) -> str:
    try:
        erasure.release_hold(tenant.ledger, id_, order, site.metadata("cli"))
    except NotHeld as error:
        raise Failure(str(error), Exit.NOT_FOUND) from None
    return f"the hold {order.ticket} on {id_} is released"


def _hold(each: Hold) -> dict[str, Any]:
    return {
        "id": each.subject,
        "ticket": each.why.ticket,
        "reason": each.why.reason,
        "since": each.at,
        "position": each.position,
    }


COMMANDS: list[click.Command] = [erase, hold]
