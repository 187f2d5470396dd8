"""user and group: one resource now or then, its history, and who set its values."""

from collections.abc import Iterator
from itertools import chain
from typing import Any

import click

from projections.audit.archive import Change
from projections.audit.blame import BEGINNING, Blame, Row
from projections.audit.diff import Differences, reasons_of
from projections.audit.timeline import Entry, Timeline, Window
from scim_api.audit.documents import archive_of, difference_document
from scim_api.cli.console import Console, Group, command
from scim_api.cli.console import group as command_group
from scim_api.cli.diff import change_lines, headline, span_of
from scim_api.cli.lookup import PAGE, PastQuery, absent, cause_columns, label, shown, walk
from scim_api.cli.moments import at_option, from_option, position_before, to_option
from scim_api.cli.terminal import print_json, print_table, say
from scim_api.protocol.schema.resource_types import KINDS


def _commands(type_: str, word: str, sample: str, metavar: str) -> Group:
    """Return the commands about one resource of a type; `sample` is the name of one."""
    name_argument = click.argument("name", metavar=metavar)
    name_attribute = KINDS[type_].name_attribute
    commands = command_group(
        word,
        f"Show one {word}, now or then.\n\n"
        f"A {word} is found by id or by {name_attribute}, also by one that it had before.",
        word=word,
        relation=str(KINDS[type_].relation),
    )

    @command("show", sample, f"{sample} --at 2026-10-01 --json", group=commands)
    @name_argument
    @at_option
    def show(console: Console, name: str, at: str | None) -> None:
        """Show a {word} with its {relation}, now or then."""
        past = PastQuery(console.tenant())
        view = past.now() if at is None else past.at(past.position(at))
        console.record(view.document(type_, past.find(type_, name, view)))

    @command("history", sample, f"{sample} --since 7d --limit 20 --json", group=commands)
    @name_argument
    @click.option("--limit", type=click.IntRange(1), help="At most this many events, the newest.")
    @click.option("--since", metavar="MOMENT", help="Only events from this moment on.")
    def history(console: Console, name: str, limit: int | None, since: str | None) -> None:
        """Show every event of a {word}, each value before and after.

        The {relation} that came and went are among them. A deleted {word} is found by its id or
        its last name.
        """
        past = PastQuery(console.tenant())
        id_ = past.find(type_, name, past.now(), ever=True)
        ledger = past.tenant.ledger
        after = 0 if since is None else position_before(ledger, since, "--since")
        entries = _entries(Timeline(past.archive, type_, id_), after, limit)
        lines = chain.from_iterable(map(_lines, entries))
        console.rows(map(Entry.document, entries) if console.as_json else lines, "no events")

    @command("blame", sample, f"{sample} --at 2026-10-01", group=commands)
    @name_argument
    @at_option
    def blame(console: Console, name: str, at: str | None) -> None:
        """Show which event set each value of a {word}, and who caused it."""
        past = PastQuery(console.tenant())
        position = past.archive.end() if at is None else past.position(at)
        id_ = past.find(type_, name, past.at(position))
        found = Blame(archive_of(past.tenant), type_, id_, position)
        rows = walk(lambda begin: found.page(begin, PAGE), BEGINNING)
        console.rows(map(Row.document if console.as_json else _blame_row, rows), "no values")

    @command(
        "diff",
        f"{sample} --from 2026-10-01 --to 2026-11-01",
        f"{sample} --from 7d --json",
        group=commands,
    )
    @name_argument
    @from_option
    @to_option
    def diff(console: Console, name: str, start: str, end: str | None) -> None:
        """Show what differs in a {word} between two moments."""
        past = PastQuery(console.tenant())
        span = span_of(past, start, end)
        id_ = past.find(type_, name, past.at(span.end), past.at(span.start), ever=True)
        archive = archive_of(past.tenant)
        found = Differences(archive, span).of(type_, id_)
        if found.shown is None:
            raise absent(type_, name)
        reasons = reasons_of(archive, found)
        document = difference_document(found, reasons)
        if console.as_json:
            print_json(document)
            return
        say(headline(document))
        if not print_table(change_lines(found, reasons)):
            say("nothing differs", err=True)

    return commands


def _entries(timeline: Timeline, after: int, limit: int | None) -> list[Entry]:
    """Return entries oldest first: all after a position, or the newest of them."""
    window = Window(after=after, count=min(limit or PAGE, PAGE), newest_first=limit is not None)
    entries: list[Entry] = []
    while True:
        page = timeline.page(window)
        entries += page.entries
        if not page.more or (limit and len(entries) >= limit):
            break
        window = window.following(page.entries[-1].cause.position)
    return entries[:limit][::-1] if limit else entries


def _lines(entry: Entry) -> Iterator[dict[str, Any]]:
    """Yield a line for each value changed; the event's own columns stand on the first."""
    head = cause_columns(entry.cause)
    for attribute, change in (entry.changes or {"": Change(None, None)}).items():
        yield {
            **head,
            "attribute": label(attribute),
            "before": shown(attribute, change.before),
            "after": shown(attribute, change.after),
        }
        head = dict.fromkeys(head)


def _blame_row(row: Row) -> dict[str, Any]:
    value = shown(row.attribute, row.value)
    return {"attribute": label(row.attribute), "value": value, **cause_columns(row.cause)}


user = _commands("User", "user", "jane@example.com", "ID|USERNAME")
group = _commands("Group", "group", "Engineering", "ID|NAME")
