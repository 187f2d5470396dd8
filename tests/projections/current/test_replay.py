"""All resources folded at once have the rows that following event by event gives."""

from collections.abc import Callable
from contextlib import closing, nullcontext
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pytest
from hypothesis import given, reject, settings
from hypothesis import strategies as st

from ledger import clock, events
from ledger.contract import NO_STREAM, Append, no_progress
from ledger.events import Event, Metadata
from ledger.sqlite.connection import Connection, temporary
from ledger.sqlite.ledger import SQLiteLedger
from projections.current import replay
from projections.current.memberships import StillMember
from projections.current.resources import Resources
from projections.runner import CannotFollow
from scim_api.protocol.schema.resource_types import KINDS
from tests.projections.told import TOLD, Told, maker

METADATA = Metadata("operator", "test", "txn", {"method": "POST"})


@pytest.fixture(scope="module")
def make(tmp_path_factory: pytest.TempPathFactory) -> Callable[[Path], Path]:
    return maker(tmp_path_factory.mktemp("template"))


def contents(connection: Connection) -> dict[str, list[tuple[Any, ...]]]:
    return {
        table: connection.execute(f"SELECT * FROM {table} ORDER BY {keys}").fetchall()
        for table, keys in Resources.tables.items()
    }


@settings(max_examples=40)
@given(TOLD, st.sampled_from([1, 3, 2000]))
def test_whatever_happened_the_rows_are_those_of_one_event_after_the_other(
    make: Callable[[Path], Path], history: list[Any], chunk: int
) -> None:
    twin = Resources(KINDS).twin("")
    with (
        TemporaryDirectory() as folder,
        closing(Told(make(Path(folder) / "told"), history)) as told,
        closing(temporary()) as followed,
        closing(temporary()) as folded,
        pytest.MonkeyPatch.context() as patch,
    ):
        patch.setattr(replay, "CHUNK", chunk)  # a stream may end in any of them
        for connection in (followed, folded):
            twin.prepare(connection)
        twin.create_tables(followed)
        try:
            twin.project_all(followed, list(told.ledger.read_all()))
        except StillMember:  # no service lets that happen
            reject()

        end = told.ledger.last_position()
        twin.build(lambda: nullcontext(folded), told.ledger, end, no_progress)

        assert contents(folded) == contents(followed)


def test_an_event_that_cannot_be_followed_is_named_by_its_position(ledger: SQLiteLedger) -> None:
    stream = f"User-{clock.uuid7()}"
    created, nameless = Event(events.CREATED, {"userName": "a"}), {"userName": None}
    ledger.append([Append(stream, NO_STREAM, [created])], METADATA)
    strange = [Event(events.UPDATED, nameless), Event(events.UPDATED, {"title": "x"})]
    position = ledger.append([Append(stream, 1, strange)], METADATA)[0].position

    with closing(temporary()) as connection, pytest.raises(CannotFollow) as raised:
        twin = Resources(KINDS).twin("")
        twin.build(lambda: nullcontext(connection), ledger, position + 1, no_progress)

    assert raised.value.position == position
