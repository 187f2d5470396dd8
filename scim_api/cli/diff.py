"""diff: what differs between two moments, of all resources or of one."""

from collections.abc import Iterator, Mapping
from typing import Any

import click

from projections.audit.diff import KINDS as DIFFERENCES
from projections.audit.diff import MOST_READ, Difference, Differences, Reasons
from projections.audit.membership_diff import Span
from scim_api.audit.documents import archive_of, difference_documents
from scim_api.cli.console import Console, command
from scim_api.cli.lookup import PAGE, TYPES, PastQuery, label, shown, walk
from scim_api.cli.moments import from_option, last_position_of, position_of, say_position, to_option
from scim_api.protocol.schema.resource_types import KINDS


@command("diff", "--from 2026-10-01 --to 2026-11-01", "--from 7d --kind left --type User --json")
@from_option
@to_option
@click.option("--kind", type=click.Choice(DIFFERENCES), help="Only differences of this kind.")
@click.option("--type", "type_", type=click.Choice(TYPES), help="Only resources of this type.")
def diff(
    console: Console, start: str, end: str | None, kind: str | None, type_: str | None
) -> None:
    """Show who and what differs between two moments.

    joined: not there before, there after. left: active before, deleted or inactive after.
    reactivated: inactive before, active after. passed: came and went in between. undone:
    changed and changed back, nothing differs. changed: the rest.

    position, at, event and by are those of the event that made the difference. joined: the
    creation. left: the deactivation or deletion, whichever came first. reactivated: the
    reactivation. changed: the last event that set a differing value. last is the time of the last
    change of any kind. who and client name all who took part, in order.
    """
    past = PastQuery(console.tenant())
    differences = Differences(past.archive, span_of(past, start, end))
    types, archive = [type_] if type_ else TYPES, archive_of(past.tenant)
    found = walk(lambda after: differences.page(after, PAGE, types=types, kind=kind), 0)
    documents = (d for each in found for d in difference_documents(archive, [each]))
    rows = documents if console.as_json else map(_row, documents)
    console.rows(rows, "nothing differs")


def span_of(past: PastQuery, start: str, end: str | None) -> Span:
    ledger = past.tenant.ledger
    last = past.archive.end() if end is None else last_position_of(ledger, end, "--to")
    span = Span(position_of(ledger, start, "--from"), last)
    if span.start > span.end:
        raise click.UsageError("--from is later than --to.")
    say_position(ledger, span.start, "from")
    say_position(ledger, span.end, "to")
    return span


def _row(document: dict[str, Any]) -> dict[str, Any]:
    event, last = document["event"] or {}, document["last"] or {}
    return {
        "kind": document["kind"],
        "how": document["how"],
        "type": document["resourceType"],
        "name": document["name"],
        "position": event.get("position"),
        "at": event.get("at"),
        "event": event.get("type"),
        "by": event.get("credential") or event.get("operator") or event.get("actor"),
        "changed": _changed(document),
        "last": last.get("at"),
        **_hands(document),
        "id": document["id"],
    }


def _changed(document: dict[str, Any]) -> str:
    """Name what changed: attributes without their long URN, members by number."""
    members = document.get("members", {})
    signs = (("joined", "+"), ("left", "-"))
    counts = [f"members {sign}{members[side]['count']}" for side, sign in signs if members]
    if document["kind"] in ("joined", "passed") or document["how"].startswith("deleted"):
        return ", ".join(counts)
    return ", ".join([*map(label, document["changes"]), *counts])


def _hands(document: Mapping[str, Any]) -> dict[str, str]:
    """Return the columns that name all who took part in a difference, and their clients."""
    more = "" if document["complete"] else f" (of the last {MOST_READ} events)"
    who, client = (
        ", ".join(dict.fromkeys(one[key] for one in document["by"] if one[key]))
        for key in ("who", "client")
    )
    return {"who": f"{who}{more}", "client": client}


# One resource


def headline(document: Mapping[str, Any]) -> str:
    """Return a line that says what became of a resource, and who took part."""
    number = document["events"]
    head = f"{document['name']}: {document['how']}, {number} event{'' if number == 1 else 's'}"
    who = _hands(document)["who"]
    return f"{head} by {who}" if who else head


def change_lines(found: Difference, reasons: Reasons) -> Iterator[dict[str, Any]]:
    """Yield a line for each value that differs, with the last cause of it."""
    relation, turnover = str(KINDS[found.type].relation), found.turnover
    joined, left = turnover.joined_values, turnover.left_values
    lines = [(key, *change) for key, change in found.changes.items()]
    lines += [(f"{relation}:{value['value']}", None, value) for value in joined]
    lines += [(f"{relation}:{value['value']}", value, None) for value in left]
    if more := turnover.joined + turnover.left - len(joined) - len(left):
        lines.append((relation, None, f"and {more} more"))
    for key, before, after in lines:
        cause = reasons.causes.get(key)
        yield {
            "attribute": label(key),
            "before": shown(key, before),
            "after": shown(key, after),
            "who": cause and cause.who,
            "client": cause and cause.client,
        }
