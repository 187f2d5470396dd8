"""What differs between two moments, as it stands in a table."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import click

from projections.audit.diff import Difference
from projections.audit.membership_diff import Span
from projections.audit.reasons import MOST_READ, Reasons
from scim_api.cli.lookup import (
    Inquiry,
    label,
    last_position_of,
    position_of,
    say_position,
    text,
    told,
)
from scim_api.protocol.schema.resource_types import KINDS


def span_of(inquiry: Inquiry, start: str, end: str | None) -> Span:
    """Read --from and --to; raises UsageError."""
    ledger = inquiry.tenant.ledger
    last = last_position_of(ledger, end, "--to") if end is not None else inquiry.archive.end()
    span = Span(position_of(ledger, start, "--from"), last)
    if span.start > span.end:
        raise click.UsageError("--from is later than --to.")
    say_position(ledger, span.start, "from")
    say_position(ledger, span.end, "to")
    return span


def headline(document: Mapping[str, Any]) -> str:
    """Say in a line what became of a resource, and who had a hand in it."""
    number = document["events"]
    head = f"{document['name']}: {document['how']}, {number} event{'' if number == 1 else 's'}"
    who = hands(document)["who"]
    return f"{head} by {who}" if who else head


def hands(document: Mapping[str, Any]) -> dict[str, str]:
    """Return the columns that name all who had a hand in a difference, and their clients."""
    more = "" if document["complete"] else f" (of the last {MOST_READ} events)"
    names = {key: _distinct([one[key] for one in document["by"]]) for key in ("who", "client")}
    return {"who": f"{', '.join(names['who'])}{more}", "client": ", ".join(names["client"])}


def _distinct(names: Sequence[str | None]) -> list[str]:
    return list(dict.fromkeys(filter(None, names)))


def change_lines(found: Difference, reasons: Reasons) -> Iterator[dict[str, str]]:
    """Yield a line for each value that differs, with the last cause of it."""
    for attribute, change in found.changes.items():
        yield _line(attribute, text(change.before), text(change.after), reasons)
    relation = str(KINDS[found.type].relation)
    for value in found.turnover.joined_values:
        yield _line(f"{relation}:{value['value']}", "", told(f"{relation}:", value), reasons)
    for value in found.turnover.left_values:
        yield _line(f"{relation}:{value['value']}", told(f"{relation}:", value), "", reasons)
    named = len(found.turnover.joined_values) + len(found.turnover.left_values)
    if more := found.turnover.joined + found.turnover.left - named:
        yield _line(relation, "", f"and {more} more", reasons)


def _line(key: str, before: str, after: str, reasons: Reasons) -> dict[str, str]:
    cause = reasons.causes.get(key)
    return {
        "attribute": label(key),
        "before": before,
        "after": after,
        "who": cause.who if cause else "",
        "client": text(cause.client) if cause else "",
    }
