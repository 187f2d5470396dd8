"""What a connection remembers of a file holds as long as nobody commits."""

import threading
from collections.abc import Callable

import pytest

from ledger import events
from ledger.contract import NO_STREAM, Append, Ledger
from ledger.events import Event, Metadata
from ledger.sqlite.connection import MOST_REMEMBERED, remembered
from ledger.sqlite.ledger import SQLiteLedger
from ledger.sqlite.reads import FEW
from scim_api.tenants.tenants import Tenant
from tests.ledger.sqlite.test_concurrency import finish, start


def recall(ledger: Ledger) -> dict[str, int]:
    with ledger.reading() as connection:
        return remembered(connection)


def note(ledger: Ledger) -> None:
    recall(ledger)["noted"] = 1


def append(ledger: SQLiteLedger, metadata: Metadata, stream: str = "User-1") -> None:
    ledger.append([Append(stream, NO_STREAM, [Event(events.CREATED)])], metadata)


def test_what_was_noted_is_remembered(ledger: SQLiteLedger) -> None:
    note(ledger)
    assert recall(ledger) == recall(ledger) == {"noted": 1}


@pytest.mark.parametrize("category", ["Group", "Credential", "Settings", "Hold", "Users", "Urn"])
def test_it_is_forgotten_once_this_process_records_anything_not_about_a_user(
    ledger: SQLiteLedger, metadata: Metadata, category: str
) -> None:
    note(ledger)
    streams = "User-1", f"{category}-1", "User-2"
    ledger.append([Append(each, NO_STREAM, [Event(events.CREATED)]) for each in streams], metadata)
    assert recall(ledger) == {}


def test_events_about_users_change_nothing_that_is_remembered(
    ledger: SQLiteLedger, metadata: Metadata
) -> None:
    note(ledger)
    for number in range(3):
        append(ledger, metadata, f"User-{number}")
        assert recall(ledger) == {"noted": 1}
    append(ledger, metadata, "Group-1")
    assert recall(ledger) == {}


def test_it_is_forgotten_after_many_events_about_users(
    ledger: SQLiteLedger, metadata: Metadata
) -> None:
    note(ledger)
    users = [Append(f"User-{n}", NO_STREAM, [Event(events.CREATED)]) for n in range(FEW + 1)]
    ledger.append(users, metadata)
    assert recall(ledger) == {}


def test_it_is_forgotten_after_a_commit_without_an_event(ledger: SQLiteLedger) -> None:
    note(ledger)
    with ledger.writing() as connection:
        connection.execute("CREATE TABLE another (a)")
    assert recall(ledger) == {}


def test_what_another_process_commits_counts(tenant: Tenant) -> None:
    ledger = tenant.ledger
    note(ledger)
    finish(start("append", ledger.path, 1))
    assert recall(ledger) == {"noted": 1}
    finish(start("append", ledger.path, FEW + 1))
    assert recall(ledger) == {}


def test_what_was_read_before_a_commit_is_not_remembered_after_it(
    ledger: SQLiteLedger, metadata: Metadata
) -> None:
    memory = recall(ledger)
    append(ledger, metadata, "Group-1")
    recall(ledger)
    memory["noted"] = "before"
    assert recall(ledger) == {}


def test_a_connection_that_writes_remembers_nothing(ledger: SQLiteLedger) -> None:
    with ledger.writing() as connection:
        remembered(connection)["noted"] = 1
        assert remembered(connection) == {}


def _in_thread(work: Callable[[], None]) -> None:
    thread = threading.Thread(target=work)
    thread.start()
    thread.join()


def test_a_thread_remembers_only_what_it_noted_itself(ledger: SQLiteLedger) -> None:
    _in_thread(lambda: note(ledger))
    assert recall(ledger) == {}


def test_it_is_forgotten_with_the_connection(ledger: SQLiteLedger) -> None:
    note(ledger)
    ledger.leave()
    assert recall(ledger) == {}


def test_there_is_a_bound_to_what_is_remembered(ledger: SQLiteLedger) -> None:
    for number in range(MOST_REMEMBERED + 2):
        recall(ledger)[str(number)] = number
    assert len(recall(ledger)) <= MOST_REMEMBERED
