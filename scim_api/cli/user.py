"""user and group: a resource now or then, its history, what set its values, what differs."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, TypeVar

import click
import orjson

from projections.audit.archive import Change
from projections.audit.blame import BEGINNING, Blame, Row
from projections.audit.diff import Differences
from projections.audit.reasons import reasons_of
from projections.audit.timeline import Entry, Timeline, Window
from scim_api.audit.documents import archive_of, difference_document
from scim_api.cli.changes import change_lines, headline, span_of
from scim_api.cli.lookup import (
    Inquiry,
    Site,
    View,
    absent,
    at_option,
    cause_columns,
    label,
    related,
    span_options,
    start_of,
    text,
    told,
)
from scim_api.cli.terminal import (
    HELP,
    Group,
    emit,
    emit_record,
    emit_rows,
    examples,
    json_option,
    ledger_option,
    pass_site,
    say,
)
from scim_api.protocol.schema.resource_types import KINDS

F = TypeVar("F", bound=Callable[..., Any])

PAGE = 500  # entries read at once


def _saying(help_: str, *lines: str) -> Callable[[F], F]:
    """Give a command its help, with examples."""

    def with_help(function: F) -> F:
        function.__doc__ = help_
        return examples(*lines)(function)

    return with_help


@dataclass(frozen=True, slots=True)
class _Kind:
    """What the commands about one type say; `example` is a name of one."""

    type: str
    word: str
    example: str
    metavar: str

    def argument(self, command: F) -> F:
        """Add the argument that names one."""
        return click.argument("name", metavar=self.metavar)(command)


def _commands(kind: _Kind) -> click.Group:
    """Return the commands about resources of a type."""

    @click.group(kind.word, cls=Group, context_settings=HELP)
    @_saying(
        f"Look at a {kind.word}, by id or by {KINDS[kind.type].name_attribute}, now or then.",
        f"scim-ledger {kind.word} show {kind.example}",
        f"scim-ledger {kind.word} history {kind.example}",
    )
    def group() -> None: ...

    for command in (_show(kind), _history(kind), _blame(kind), _diff(kind)):
        group.add_command(command)
    return group


def _show(kind: _Kind) -> click.Command:
    @click.command("show", context_settings=HELP)
    @kind.argument
    @at_option
    @ledger_option
    @json_option
    @pass_site
    @_saying(
        f"Show a {kind.word} with its {KINDS[kind.type].relation}, as it is now or was then.",
        f"scim-ledger {kind.word} show {kind.example}",
        f"scim-ledger {kind.word} show {kind.example} --at 2026-10-01 --json",
    )
    def show(site: Site, name: str, at: str | None, ledger: str, as_json: bool) -> None:
        inquiry = Inquiry(site.tenant(ledger))
        view = inquiry.view(at)
        document = _shown(view, kind.type, inquiry.find(kind.type, name, view))
        emit(document) if as_json else emit_record(_texts(document), False)

    return show


def _history(kind: _Kind) -> click.Command:
    @click.command("history", context_settings=HELP)
    @kind.argument
    @click.option("--limit", type=click.IntRange(1), help="At most so many events, the newest.")
    @click.option("--since", metavar="MOMENT", help="Only events from this moment on.")
    @ledger_option
    @json_option
    @pass_site
    @_saying(
        f"Show every event of a {kind.word}: who did it, each value before and after.\n\n"
        f"{_JOINING[kind.type]} A deleted {kind.word} is found by its id or the name it had last.",
        f"scim-ledger {kind.word} history {kind.example}",
        f"scim-ledger {kind.word} history {kind.example} --since 7d --limit 20 --json",
    )
    def history(
        site: Site, name: str, limit: int | None, since: str | None, ledger: str, as_json: bool
    ) -> None:
        inquiry = Inquiry(site.tenant(ledger))
        id_ = inquiry.find(kind.type, name, inquiry.now(), ever=True)
        after = start_of(inquiry.tenant.ledger, since, "--since") if since is not None else 0
        entries = _entries(Timeline(inquiry.archive, kind.type, id_), after, limit)
        if as_json:
            emit([entry.document() for entry in entries])
        else:
            emit_rows((line for e in entries for line in _lines(e)), False, "no events")

    return history


def _blame(kind: _Kind) -> click.Command:
    @click.command("blame", context_settings=HELP)
    @kind.argument
    @at_option
    @ledger_option
    @json_option
    @pass_site
    @_saying(
        f"Show for every value of a {kind.word} the event that set it, and who caused that.",
        f"scim-ledger {kind.word} blame {kind.example}",
        f"scim-ledger {kind.word} blame {kind.example} --at 2026-10-01",
    )
    def blame(site: Site, name: str, at: str | None, ledger: str, as_json: bool) -> None:
        inquiry = Inquiry(site.tenant(ledger))
        position = inquiry.asked(at) if at is not None else inquiry.archive.end()
        id_ = inquiry.find(kind.type, name, inquiry.at(position))
        rows = _blamed(Blame(archive_of(inquiry.tenant), kind.type, id_, position))
        if as_json:
            emit([row.document() for row in rows])
        else:
            emit_rows(map(_blame_columns, rows), False, "no values")

    return blame


def _diff(kind: _Kind) -> click.Command:
    @click.command("diff", context_settings=HELP)
    @kind.argument
    @span_options
    @ledger_option
    @json_option
    @pass_site
    @_saying(
        f"Show what differs of a {kind.word} between two moments.",
        f"scim-ledger {kind.word} diff {kind.example} --from 2026-10-01 --to 2026-11-01",
        f"scim-ledger {kind.word} diff {kind.example} --from 7d --json",
    )
    def diff(
        site: Site, name: str, start: str, end: str | None, ledger: str, as_json: bool
    ) -> None:
        inquiry = Inquiry(site.tenant(ledger))
        span = span_of(inquiry, start, end)
        views = inquiry.at(span.end), inquiry.at(span.start)
        id_ = inquiry.find(kind.type, name, *views, ever=True)
        archive = archive_of(inquiry.tenant)
        found = Differences(archive, span).of(kind.type, id_)
        if found.shown is None:
            raise absent(kind.type, name)
        reasons = reasons_of(archive, found)
        document = difference_document(found, reasons)
        if as_json:
            emit(document)
            return
        say(headline(document))
        emit_rows(change_lines(found, reasons), False, "nothing differs")

    return diff


_JOINING = {
    "User": "The groups that the user joined and left are among them.",
    "Group": "Among them is who joined, and who left.",
}


def _shown(view: View, type_: str, id_: str) -> dict[str, Any]:
    """Return a resource's document with its members or groups."""
    with view.reading() as connection:
        row = view.readings.row(connection, type_, id_)
        if row is None:
            raise absent(type_, id_)
        found = view.readings.relations(connection, type_, [row.place])
    document: dict[str, Any] = orjson.loads(row.document)
    relations = [related(one) for one in found.get(row.position, ())]
    return document | {str(KINDS[type_].relation): relations}


def _texts(document: Mapping[str, Any]) -> dict[str, str]:
    return {key: text(value) for key, value in document.items()}


def _entries(timeline: Timeline, after: int, limit: int | None) -> list[Entry]:
    """Return entries oldest first: all behind a position, or the newest of them."""
    window = Window(after=after, count=min(limit or PAGE, PAGE), newest_first=limit is not None)
    entries: list[Entry] = []
    while True:
        page = timeline.page(window)
        entries += page.entries
        if not page.more or (limit and len(entries) >= limit):
            break
        window = window.behind(page.entries[-1].cause.position)
    return entries[:limit][::-1] if limit else entries


def _lines(entry: Entry) -> Iterator[dict[str, Any]]:
    """Yield a line for each value changed; the event's own columns stand on the first."""
    head = cause_columns(entry.cause)
    for attribute, change in (entry.changes or {"": Change(None, None)}).items():
        yield {
            **head,
            "attribute": label(attribute),
            "before": told(attribute, change.before),
            "after": told(attribute, change.after),
        }
        head = dict.fromkeys(head, "")


def _blamed(blame: Blame) -> Iterator[Row]:
    begin = BEGINNING
    while True:
        page = blame.page(begin, PAGE)
        yield from page.rows
        if page.next is None:
            return
        begin = page.next


def _blame_columns(row: Row) -> dict[str, Any]:
    value = told(row.attribute, row.value)
    return {"attribute": label(row.attribute), "value": value, **cause_columns(row.cause)}


COMMANDS: list[click.Command] = [
    _commands(_Kind("User", "user", "jane@example.com", "ID|USERNAME")),
    _commands(_Kind("Group", "group", "Engineering", "ID|NAME")),
]
