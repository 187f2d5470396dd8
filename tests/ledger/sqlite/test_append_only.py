"""The database's own triggers keep the ledger append-only, whatever program has the file open.

Every statement here is tried twice: by another connection of our SQLite, and by another program
with the standard library's SQLite; both without our settings.
"""

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from ledger.sqlite.connection import Connection, driver
from ledger.sqlite.ledger import SQLiteLedger
from ledger.sqlite.schema import schema_sql
from ledger.verify.verifier import verify

STRANGER = Path(__file__).parents[1] / "stranger.py"

# The template: 30 events; 8 and 9 are User-erased's, 10 is its Erased event, which erased 8.
LAST, NEXT = 30, 31
COLUMNS = "id, stream, version, type, revision, recorded_at, txn, actor, header, leaf_hash"


def another(position: object, of: int = LAST, **changes: str) -> str:
    """Return the values of an event that may be appended, but for the position and the changes."""
    now = "(SELECT max(recorded_at) FROM event)"
    changes = {"id": "'new'", "stream": "'New-1'", "version": "1", "recorded_at": now, **changes}
    columns = (changes.get(name, name) for name in COLUMNS.split(", "))
    return f"SELECT {position}, {', '.join(columns)} FROM event WHERE position = {of}"


ERASED = "'Erased'"
EVENT_ATTACKS = {
    "update": "UPDATE event SET actor = 'nobody' WHERE position = 17",
    "update every row": "UPDATE event SET actor = 'nobody'",
    "update or replace": "UPDATE OR REPLACE event SET position = 16 WHERE position = 17",
    "update or ignore": "UPDATE OR IGNORE event SET type = 'Deleted' WHERE position = 17",
    "update the rowid": "UPDATE event SET rowid = 99 WHERE position = 30",
    "update to the same": "UPDATE event SET actor = actor WHERE position = 17",
    "delete": "DELETE FROM event WHERE position = 17",
    "delete the last": "DELETE FROM event WHERE position = 30",
    "delete all": "DELETE FROM event",
    "insert a gap": f"INSERT INTO event {another(NEXT + 1)}",
    "insert before": f"INSERT INTO event {another(0)}",
    "insert below": f"INSERT INTO event {another(-1)}",
    "insert at no position": f"INSERT INTO event {another('NULL')}",
    "insert at an old position": f"INSERT INTO event {another(17)}",
    "replace at an old position": f"INSERT OR REPLACE INTO event {another(17)}",
    "replace the last": f"INSERT OR REPLACE INTO event {another(LAST)}",
    "replace by an old id": f"INSERT OR REPLACE INTO event {another(NEXT, 17, id='id')}",
    "insert an old id": f"INSERT INTO event {another(NEXT, 17, id='id')}",
    "ignore an old id": f"INSERT OR IGNORE INTO event {another(NEXT, 17, id='id')}",
    "replace by an old version": "INSERT OR REPLACE INTO event "
    + another(NEXT, 17, stream="stream", version="version"),
    "upsert": f"INSERT INTO event {another(17)} ON CONFLICT DO UPDATE SET actor = 'nobody'",
    "skip a version": "INSERT INTO event " + another(NEXT, stream="stream", version="version + 2"),
    "begin at version 2": f"INSERT INTO event {another(NEXT, version='2')}",
    "begin at version 0": f"INSERT INTO event {another(NEXT, version='0')}",
    "repeat a version": "INSERT INTO event " + another(NEXT, stream="stream", version="version"),
    "go back in time": "INSERT INTO event "
    + another(NEXT, recorded_at="'2026-01-01T00:00:00.000000Z'"),
    **{
        f"erase {name}": f"INSERT INTO event {another(NEXT, type=ERASED, **of_stream)}"
        for name, of_stream in {
            "a credential": {"stream": "'Credential-1'", "version": "3"},
            "the ledger": {"stream": "(SELECT stream FROM event WHERE position = 1)"}
            | {"version": "2"},
            "another thing": {"stream": "'Note-1'", "version": "3"},
            "settings that are none yet": {"stream": "'Settings-1'"},
            "in lower case": {"stream": "'user-1'"},
            "what only begins like a user": {"stream": "'User'"},
            "what comes before users": {"stream": "'User,1'"},
            "what comes after users": {"stream": "'User.1'"},
        }.items()
    },
    "replace to erase": "INSERT OR REPLACE INTO event "
    + another(NEXT, type=ERASED, stream="'Settings-1'"),
    "go back to no time": f"INSERT INTO event {another(NEXT, recorded_at=chr(39) * 2)}",
}

FORGET = "UPDATE payload SET body = NULL, salt = NULL, erased_by ="
PAYLOAD_ATTACKS = {
    "change the body": "UPDATE payload SET body = x'7b7d' WHERE position = 17",
    "change the salt": "UPDATE payload SET salt = zeroblob(32) WHERE position = 17",
    "change both": "UPDATE payload SET body = x'7b7d', salt = zeroblob(32) WHERE position = 17",
    "change nothing": "UPDATE payload SET body = body WHERE position = 17",
    "move": "UPDATE payload SET position = 31 WHERE position = 17",
    "move over another": "UPDATE OR REPLACE payload SET position = 16 WHERE position = 17",
    "claim an erasure": "UPDATE payload SET erased_by = 10 WHERE position = 9",
    "forget the body only": "UPDATE payload SET body = NULL, erased_by = 10 WHERE position = 9",
    "forget the salt only": "UPDATE payload SET salt = NULL, erased_by = 10 WHERE position = 9",
    "forget by no event": f"{FORGET} NULL WHERE position = 17",
    "forget by an event to come": f"{FORGET} 31 WHERE position = 17",
    "forget by another type": f"{FORGET} 18 WHERE position = 17",
    "forget by another stream": f"{FORGET} 10 WHERE position = 17",
    "forget by an earlier erasure": f"{FORGET} 10 WHERE position = 10",
    "an erasure forgets itself": f"{FORGET} 10 WHERE position = 10",
    "forget and move": f"{FORGET} 10, position = 31 WHERE position = 9",
    "forget all": f"{FORGET} 10",
    "restore": "UPDATE payload SET body = x'7b7d', salt = zeroblob(32), erased_by = NULL"
    " WHERE position = 8",
    "erase again by another": f"{FORGET} 10 WHERE position = 8",
    "un-erase": "UPDATE payload SET erased_by = NULL WHERE position = 8",
    "delete": "DELETE FROM payload WHERE position = 17",
    "delete an erased one": "DELETE FROM payload WHERE position = 8",
    "delete all": "DELETE FROM payload",
    "insert again": "INSERT INTO payload VALUES (30, zeroblob(32), x'7b7d', NULL)",
    "replace the last": "INSERT OR REPLACE INTO payload VALUES (30, zeroblob(32), x'7b7d', NULL)",
    "replace an old one": "INSERT OR REPLACE INTO payload VALUES (17, zeroblob(32), x'7b7d', NULL)",
    "ignore the old one": "INSERT OR IGNORE INTO payload VALUES (17, zeroblob(32), x'7b7d', NULL)",
    "insert for no event": "INSERT INTO payload VALUES (31, zeroblob(32), x'7b7d', NULL)",
    "insert at no position": "INSERT INTO payload VALUES (NULL, zeroblob(32), x'7b7d', NULL)",
    "upsert": "INSERT INTO payload VALUES (17, zeroblob(32), x'7b7d', NULL)"
    " ON CONFLICT DO UPDATE SET body = excluded.body, salt = excluded.salt",
}

LEDGER_ATTACKS = {
    "update": "UPDATE ledger SET origin = 'evil/0000000000000000'",
    "update to the same": "UPDATE ledger SET origin = origin",
    "update or replace": "UPDATE OR REPLACE ledger SET format = 2",
    "delete": "DELETE FROM ledger",
    "double": "INSERT INTO ledger VALUES (2, 'evil/0', '', 1)",
    "insert again": "INSERT INTO ledger VALUES (1, 'evil/0', '', 1)",
    "replace": "INSERT OR REPLACE INTO ledger VALUES (1, 'evil/0', '', 1)",
    "ignore": "INSERT OR IGNORE INTO ledger VALUES (1, 'evil/0', '', 1)",
    "upsert": "INSERT INTO ledger VALUES (1, 'evil/0', '', 1)"
    " ON CONFLICT DO UPDATE SET origin = excluded.origin",
}

ATTACKS = [
    pytest.param(statement, id=f"{table}: {name}")
    for table, attacks in (
        ("event", EVENT_ATTACKS),
        ("payload", PAYLOAD_ATTACKS),
        ("ledger", LEDGER_ATTACKS),
    )
    for name, statement in attacks.items()
]


@pytest.mark.parametrize("statement", ATTACKS)
def test_another_connection_cannot(
    statement: str, history: Path, foreign: Callable[[Path], Connection]
) -> None:
    connection = foreign(history)
    connection.execute("PRAGMA foreign_keys=OFF")
    connection.execute("PRAGMA ignore_check_constraints=ON")
    before = contents(connection)

    with pytest.raises(driver.IntegrityError):
        connection.execute(statement)

    assert contents(connection) == before
    assert verify(history).findings == []


@pytest.mark.parametrize("statement", ATTACKS)
def test_another_program_cannot(
    statement: str, history: Path, foreign: Callable[[Path], Connection]
) -> None:
    before = contents(foreign(history))

    said = subprocess.run(
        [sys.executable, "-I", "-S", str(STRANGER), str(history), statement],
        capture_output=True,
        text=True,
        check=True,
    ).stdout

    assert said.startswith("refused")
    assert contents(foreign(history)) == before


def contents(connection: Connection) -> list[object]:
    return [
        connection.execute(f"SELECT * FROM {table} ORDER BY 1").fetchall()
        for table in ("ledger", "event", "payload")
    ]


@pytest.mark.parametrize(
    "change", [{"leaf_hash": "zeroblob(31)"}, {"header": "zeroblob(65536)"}], ids=str
)
def test_an_event_of_another_shape_is_refused(
    change: dict[str, str], history: Path, foreign: Callable[[Path], Connection]
) -> None:
    with pytest.raises(driver.IntegrityError, match="CHECK"):
        foreign(history).execute(f"INSERT INTO event {another(NEXT, **change)}")


def test_an_event_may_be_appended(history: Path, foreign: Callable[[Path], Connection]) -> None:
    inserted = foreign(history).execute(f"INSERT INTO event {another(NEXT)}")

    assert inserted.rowcount == 1  # so the attacks above fail for what they say


@pytest.mark.parametrize("statement", [*EVENT_ATTACKS.values()][:11])
def test_our_own_connection_cannot_either(statement: str, history: Path) -> None:
    ledger = SQLiteLedger(history)

    with pytest.raises(driver.IntegrityError), ledger.writing() as connection:
        connection.execute(statement)

    ledger.close()


def test_a_payload_may_be_forgotten_by_a_later_erased_event_of_its_stream(
    history: Path, foreign: Callable[[Path], Connection]
) -> None:
    foreign(history).execute(f"{FORGET} 10 WHERE position = 9")

    report = verify(history)
    assert report.findings == []
    assert report.erased == 2


def test_a_user_may_be_erased(history: Path, foreign: Callable[[Path], Connection]) -> None:
    erased = another(NEXT, type=ERASED, stream="'User-new'")

    assert foreign(history).execute(f"INSERT INTO event {erased}").rowcount == 1


def test_an_erased_event_of_another_stream_forgets_nothing_even_where_it_is(
    history: Path, foreign: Callable[[Path], Connection]
) -> None:
    connection = foreign(history)
    trigger = "event_erases_a_user"
    connection.execute(f"DROP TRIGGER {trigger}")
    forged = another(NEXT, type=ERASED, stream="'Note-1'", version="3")
    connection.execute(f"INSERT INTO event {forged}")
    connection.execute(schema_sql()[trigger])

    with pytest.raises(driver.IntegrityError, match="a payload is only ever erased"):
        connection.execute(f"{FORGET} {NEXT} WHERE position = 29")
