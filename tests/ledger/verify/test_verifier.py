"""Every change of a ledger's file is found, named by position, and left as it is."""

import hashlib
import json
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from click.testing import Result

from ledger import events
from ledger.codec import canonical, commitment
from ledger.contract import Append
from ledger.events import Event, Metadata
from ledger.merkle import leaf_hash
from ledger.sqlite.connection import Connection, driver
from ledger.sqlite.ledger import SQLiteLedger
from ledger.verify.verifier import MAX_FINDINGS, verify

Statement = str | tuple[str, tuple[object, ...]]
Run = Callable[..., Result]

FORGET = "UPDATE payload SET body = NULL, salt = NULL, erased_by ="


def tamper(path: Path, *statements: Statement) -> None:
    """Change a file behind its triggers' back: they are dropped and made again as they were."""
    connection = driver.connect(str(path), isolation_level=None)
    connection.execute("PRAGMA foreign_keys=OFF")
    connection.execute("PRAGMA ignore_check_constraints=ON")
    connection.execute("PRAGMA synchronous=OFF")
    connection.execute("BEGIN")
    triggers = connection.execute(
        "SELECT name, sql FROM sqlite_master WHERE type = 'trigger'"
    ).fetchall()
    for name, _ in triggers:
        connection.execute(f"DROP TRIGGER {name}")
    for statement in statements:
        connection.execute(*([statement] if isinstance(statement, str) else statement))
    for _, sql in triggers:
        connection.execute(sql)
    connection.execute("COMMIT")
    connection.close()


def digest(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


def value(path: Path, sql: str) -> Any:
    connection = driver.connect(str(path))
    found = connection.execute(sql).fetchone()[0]
    connection.close()
    return found


def flipped(found: Any) -> Any:
    """Return a value with one bit changed, of the same type."""
    if isinstance(found, bytes):
        return found[:5] + bytes([found[5] ^ 1]) + found[6:]
    if isinstance(found, str):
        return found[:3] + chr(ord(found[3]) ^ 1) + found[4:]
    return (found or 0) ^ 64


# What is as it must be


def test_a_ledger_nobody_touched_verifies(history: Path) -> None:
    report = verify(history)

    assert report.good
    assert (report.events, report.payloads, report.erased) == (30, 29, 1)
    assert report.origin.startswith("acme/")


def test_a_payload_erased_by_its_streams_erased_event_verifies(history: Path, run: Run) -> None:
    connection = driver.connect(str(history), isolation_level=None)
    connection.execute(f"{FORGET} 10 WHERE position = 9")
    connection.close()

    result = run("verify", "--json")

    assert (result.exit_code, json.loads(result.stdout)["erased"]) == (0, 2)


def test_a_ledger_in_use_verifies(ledger: SQLiteLedger, record: Callable[..., object]) -> None:
    record("User-1", Event(events.CREATED, {"userName": "jane"}))

    assert verify(ledger.path).events == 2


def test_progress_is_reported_up_to_the_last_event(history: Path) -> None:
    told: list[tuple[int, int]] = []

    verify(history, lambda done, total: told.append((done, total)))

    assert told[-1] == (30, 30)


def test_what_an_erased_event_of_no_user_hides_is_found(hidden_note: Path) -> None:
    assert [(each.position, each.what) for each in verify(hidden_note).findings] == [
        (29, "payload"),
        (30, "payload"),
        (31, "stream of Erased"),
    ]


# What is not: name -> first bad position (None: the file as a whole), statements

COLUMNS = "stream, 9, type, revision, recorded_at, txn, actor, header, leaf_hash"
TAMPERINGS: dict[str, tuple[int | None, list[Statement]]] = {
    "an event deleted": (17, ["DELETE FROM event WHERE position = 17"]),
    "an event and its payload deleted": (
        17,
        ["DELETE FROM event WHERE position = 17", "DELETE FROM payload WHERE position = 17"],
    ),
    "the first event deleted": (1, ["DELETE FROM event WHERE position = 1"]),
    "the last event deleted, but not its payload": (30, ["DELETE FROM event WHERE position = 30"]),
    "every event deleted": (1, ["DELETE FROM event"]),
    "two events swapped": (
        17,
        [
            "UPDATE event SET position = 99 WHERE position = 17",
            "UPDATE event SET position = 17 WHERE position = 18",
            "UPDATE event SET position = 18 WHERE position = 99",
        ],
    ),
    "two payloads swapped": (
        17,
        [
            "UPDATE payload SET position = 99 WHERE position = 17",
            "UPDATE payload SET position = 17 WHERE position = 18",
            "UPDATE payload SET position = 18 WHERE position = 99",
        ],
    ),
    "an event doubled at the end": (
        31,
        [f"INSERT INTO event SELECT 31, 'x', {COLUMNS} FROM event WHERE position = 17"],
    ),
    "an event put before the first": (
        0,
        [f"INSERT INTO event SELECT 0, 'x', {COLUMNS} FROM event WHERE position = 17"],
    ),
    "an event put at the lowest position there is": (
        -(2**63),
        [f"INSERT INTO event SELECT {-(2**63)}, 'x', {COLUMNS} FROM event WHERE position = 17"],
    ),
    "an event put at the highest position there is": (
        31,
        [f"INSERT INTO event SELECT {2**63 - 1}, 'x', {COLUMNS} FROM event WHERE position = 17"],
    ),
    "a payload deleted": (17, ["DELETE FROM payload WHERE position = 17"]),
    "a payload of no event": (
        40,
        ["INSERT INTO payload VALUES (40, zeroblob(32), x'7b7d', NULL)"],
    ),
    "a payload changed": (17, ["UPDATE payload SET body = x'7b7d' WHERE position = 17"]),
    "a payload written in another form": (
        17,
        ["UPDATE payload SET body = CAST(body || ' ' AS BLOB) WHERE position = 17"],
    ),
    "a payload that is no JSON": (17, ["UPDATE payload SET body = x'ff' WHERE position = 17"]),
    "a payload that is no object": (17, ["UPDATE payload SET body = x'5b5d' WHERE position = 17"]),
    "a payload nested very deep": (
        17,
        [("UPDATE payload SET body = ? WHERE position = 17", (b"[" * 100_000,))],
    ),
    "a salt changed": (17, ["UPDATE payload SET salt = zeroblob(32) WHERE position = 17"]),
    "a payload forgotten by no event": (17, [f"{FORGET} NULL WHERE position = 17"]),
    "a payload forgotten by an event to come": (17, [f"{FORGET} 31 WHERE position = 17"]),
    "a payload forgotten by another type": (17, [f"{FORGET} 18 WHERE position = 17"]),
    "a payload forgotten by another stream": (17, [f"{FORGET} 10 WHERE position = 17"]),
    "a payload forgotten by an earlier erasure": (10, [f"{FORGET} 10 WHERE position = 10"]),
    "an erasure that forgot itself": (10, [f"{FORGET} 10 WHERE position = 10"]),
    "an erasure claimed of a payload that is there": (
        9,
        ["UPDATE payload SET erased_by = 10 WHERE position = 9"],
    ),
    "a body forgotten without its salt": (
        9,
        ["UPDATE payload SET body = NULL, erased_by = 10 WHERE position = 9"],
    ),
    "a salt forgotten without its body": (
        9,
        ["UPDATE payload SET salt = NULL, erased_by = 10 WHERE position = 9"],
    ),
    "an erasure no longer named": (8, ["UPDATE payload SET erased_by = NULL WHERE position = 8"]),
    "an erasure named otherwise": (8, ["UPDATE payload SET erased_by = 9 WHERE position = 8"]),
    "time set back in the column": (
        17,
        ["UPDATE event SET recorded_at = '2026-01-01T00:00:00.000000Z' WHERE position = 17"],
    ),
    "the ledger's row deleted": (1, ["DELETE FROM ledger"]),
    "the ledger's row doubled": (
        None,
        ["INSERT INTO ledger SELECT 2, origin, opened_at, format FROM ledger"],
    ),
    "a trigger that is not ours": (
        None,
        ["CREATE TRIGGER evil AFTER INSERT ON event BEGIN DELETE FROM checkpoint; END"],
    ),
    "a column added": (None, ["ALTER TABLE payload ADD COLUMN note TEXT"]),
}


@pytest.mark.parametrize("name", TAMPERINGS)
def test_verify_finds(name: str, history: Path, run: Run) -> None:
    position, statements = TAMPERINGS[name]
    tamper(history, *statements)
    before = digest(history)

    result = run("verify", "--json")

    said = json.loads(result.stdout)
    assert result.exit_code == 3
    assert not said["ok"]
    assert said["findings"]
    assert said["first_bad_position"] == position
    assert digest(history) == before


def flips() -> list[Any]:
    columns = [("event", column, 17, 17) for column in EVENT_COLUMNS]
    columns += [("payload", column, 17, 17) for column in ("position", "salt", "body")]
    columns += [("payload", "erased_by", 17, 17), ("payload", "erased_by", 8, 8)]
    columns += [("ledger", "id", 1, None), ("ledger", "origin", 1, 1)]
    columns += [("ledger", "opened_at", 1, None), ("ledger", "format", 1, None)]
    return [pytest.param(*c, id=f"{c[0]}.{c[1]} of {c[2]}") for c in columns]


EVENT_COLUMNS = (
    "position id stream version type revision recorded_at txn actor header leaf_hash".split()
)


@pytest.mark.parametrize(("table", "column", "row", "position"), flips())
def test_verify_finds_a_bit_flipped_in(
    table: str, column: str, row: int, position: int | None, history: Path, run: Run
) -> None:
    key = "id" if table == "ledger" else "position"
    found = value(history, f"SELECT {column} FROM {table} WHERE {key} = {row}")
    statement = f"UPDATE {table} SET {column} = ? WHERE {key} = ?"
    tamper(history, (statement, (flipped(found), row)))
    before = digest(history)

    result = run("verify", "--json")

    assert result.exit_code == 3
    assert json.loads(result.stdout)["first_bad_position"] == position
    assert digest(history) == before


@pytest.mark.parametrize("column", ["header", "leaf_hash", "salt", "body"])
def test_verify_finds_a_bit_flipped_in_the_bytes_of_the_file(
    column: str, history: Path, run: Run
) -> None:
    found = value(
        history, f"SELECT {column} FROM event JOIN payload USING (position) WHERE position = 9"
    )
    file = history.read_bytes()
    assert file.count(found) == 1
    history.write_bytes(file.replace(found, flipped(found)))
    before = digest(history)

    result = run("verify", "--json")

    assert result.exit_code == 3
    assert json.loads(result.stdout)["first_bad_position"] == 9
    assert digest(history) == before


def test_verify_finds_a_bit_flipped_in_every_copy_of_an_id(history: Path) -> None:
    good = history.read_bytes()
    found = value(history, "SELECT id FROM event WHERE position = 17").encode()
    places = [match.start() for match in re.finditer(re.escape(found), good)]
    assert len(places) == 3  # the column, the header, the index

    for place in places:
        history.write_bytes(good[:place] + flipped(found) + good[place + len(found) :])

        assert not verify(history).good


def test_verify_finds_a_dropped_trigger(
    history: Path, foreign: Callable[[Path], Connection]
) -> None:
    foreign(history).execute("DROP TRIGGER event_is_not_updated")

    [finding] = verify(history).findings

    assert (finding.position, finding.what) == (None, "schema of event_is_not_updated")


def test_verify_finds_a_trigger_made_otherwise(
    history: Path, foreign: Callable[[Path], Connection]
) -> None:
    connection = foreign(history)
    connection.execute("DROP TRIGGER event_is_not_updated")
    connection.execute(
        "CREATE TRIGGER event_is_not_updated BEFORE UPDATE ON event WHEN 0"
        " BEGIN SELECT raise(ABORT, 'ledger: events are never changed'); END"
    )

    [finding] = verify(history).findings

    assert finding.found == "another definition"


# Forgeries: the header, the columns and the leaf changed so that they agree


def forge(path: Path, position: int, remake: Callable[[bytes], bytes], **changes: object) -> None:
    """Change an event's header, its columns likewise, and its leaf hash so that it fits."""
    header = value(path, f"SELECT header FROM event WHERE position = {position}")
    forged = remake(canonical({**json.loads(header), **changes}))
    columns = {"at": "recorded_at", "ledger": None, "v": None, "attributes": None, "note": None}
    statements: list[Statement] = [
        (
            "UPDATE event SET header = ?, leaf_hash = ? WHERE position = ?",
            (forged, leaf_hash(forged), position),
        )
    ]
    for name, new in changes.items():
        if column := columns.get(name, name):
            statements.append(
                (f"UPDATE event SET {column} = ? WHERE position = ?", (new, position))
            )
    tamper(path, *statements)


def as_it_is(header: bytes) -> bytes:
    return header


FORGERIES: dict[str, tuple[dict[str, object], str]] = {
    "an earlier time": ({"at": "2026-01-01T00:00:00.000000Z"}, "time"),
    "a time of another form": ({"at": "9999-01-01T00:00:00Z"}, "time"),
    "a version too high": ({"version": 9}, "version in its stream"),
    "a version of another stream": ({"stream": "User-0"}, "version in its stream"),
    "another ledger": ({"ledger": "evil/0000000000000000"}, "header's ledger"),
    "another format": ({"v": 2}, "header's v"),
    "another name in the header": ({"note": "x"}, "header names"),
    "an unknown type": ({"type": "Levitated"}, "event type"),
    "a newer revision": ({"revision": 2}, "event type"),
    "another number of entries": ({"attributes": 1}, "payload entries"),
}


@pytest.mark.parametrize("name", FORGERIES)
def test_verify_finds_a_forged_header_with(name: str, history: Path) -> None:
    changes, what = FORGERIES[name]
    forge(history, 17, as_it_is, **changes)

    report = verify(history)

    assert report.first_bad_position == 17
    assert what in {finding.what for finding in report.findings}


@pytest.mark.parametrize(
    "remake",
    [lambda header: header + b" ", lambda header: header.replace(b'"v":1', b'"v":1.0')],
    ids=["a space", "a decimal"],
)
def test_verify_finds_a_header_that_is_not_canonical(
    remake: Callable[[bytes], bytes], history: Path
) -> None:
    forge(history, 17, remake)

    assert verify(history).first_bad_position == 17


def test_verify_finds_that_the_first_event_is_not_the_opening(history: Path) -> None:
    forge(history, 1, as_it_is, type=events.CREATED)

    assert verify(history).first_bad_position == 1


# What the file alone cannot show: the documents say so


def cut_off(path: Path, position: int) -> None:
    tamper(
        path,
        f"DELETE FROM payload WHERE position >= {position}",
        f"DELETE FROM event WHERE position >= {position}",
    )


def test_a_tail_cut_off_whole_is_not_in_the_file_to_be_found(history: Path) -> None:
    cut_off(history, 25)

    assert verify(history).good


def test_a_tail_cut_off_is_found_where_the_current_state_remembers_it(
    history: Path, run: Run
) -> None:
    cut_off(history, 25)

    result = run("verify", "--json")

    [finding] = json.loads(result.stdout)["findings"]
    assert (result.exit_code, finding["what"]) == (3, "projection")


def rewrite(path: Path, position: int, payload: dict[str, object]) -> None:
    """Rewrite an event as the program would have written it."""
    salt = b"" * 32
    tamper(
        path,
        (
            "UPDATE payload SET body = ?, salt = ? WHERE position = ?",
            (canonical(payload), salt, position),
        ),
    )
    size = {"attributes": len(payload), "commitment": commitment(payload, salt).hex()}
    header = value(path, f"SELECT header FROM event WHERE position = {position}")
    forged = canonical({**json.loads(header), **size})
    tamper(
        path,
        (
            "UPDATE event SET header = ?, leaf_hash = ? WHERE position = ?",
            (forged, leaf_hash(forged), position),
        ),
    )


def test_a_completely_rewritten_event_is_found_only_by_a_tree_head(history: Path) -> None:
    rewrite(history, 17, {"title": "Queen"})

    assert verify(history).good


def test_a_rewritten_event_is_found_if_the_current_state_differs(history: Path, run: Run) -> None:
    rewrite(history, 17, {"title": "Queen"})

    assert run("verify").exit_code == 3


# The current state

STATE_CHANGES = {
    "a document": "UPDATE resource SET document = CAST(document || ' ' AS BLOB) WHERE position = 3",
    "a version": "UPDATE resource SET version = 9 WHERE position = 3",
    "a name": "UPDATE resource SET name_key = 'evil' WHERE position = 3",
    "a row gone": "DELETE FROM resource WHERE position = 3",
    "an e-mail": "UPDATE resource_email SET email_key = 'evil' WHERE position = 3",
    "a total": "UPDATE resource_census SET live = 99",
    "a token's hash": "UPDATE secret SET sha256 = 'evil' WHERE credential = '2'",
    "a token's end": "UPDATE secret SET expires_at = NULL WHERE credential = '2'",
    "a token no longer revoked": "UPDATE credential SET revoked_at = NULL",
    "a token that may do more": "UPDATE credential SET scopes = 'audit provision' WHERE id = '2'",
    "text that is no UTF-8": "UPDATE credential SET name = CAST(x'6fff' AS TEXT) WHERE id = '2'",
    "a table gone": "DROP TABLE credential",
}


@pytest.mark.parametrize("name", STATE_CHANGES)
def test_verify_finds_in_the_current_state(
    name: str, history: Path, run: Run, foreign: Callable[[Path], Connection]
) -> None:
    foreign(history).execute(STATE_CHANGES[name])

    result = run("verify", "--json")

    findings = json.loads(result.stdout)["findings"]
    assert result.exit_code == 3
    assert {finding["what"] for finding in findings} == {"projection"}


@pytest.mark.parametrize("effects", [{}, {"name": None, "sha256": "0"}, {"name": [], "sha256": 1}])
@pytest.mark.parametrize("few", [30, 0], ids=["here", "elsewhere"])
def test_verify_finds_an_event_that_the_current_state_cannot_follow(
    effects: dict[str, Any],
    few: int,
    history: Path,
    metadata: Metadata,
    run: Run,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("projections.compare.compare.__kwdefaults__", {"few": few})
    ledger = SQLiteLedger(history)  # without the projections, which would refuse it
    odd = Event(events.CREDENTIAL_ISSUED, effects)
    ledger.append([Append("Credential-9", 0, [odd])], metadata)
    ledger.close()

    result = run("verify", "--json")

    findings = json.loads(result.stdout)["findings"]
    assert (result.exit_code, json.loads(result.stdout)["first_bad_position"]) == (3, 31)
    assert {(each["kind"], each["position"]) for each in findings} == {("event", 31)}
    refused = run("projections", "rebuild", "credentials")
    assert (refused.exit_code, "Traceback" in refused.stderr) == (1, False)
    assert "cannot follow CredentialIssued at position 31" in refused.stderr


# What is said


def test_findings_name_position_expected_and_found(history: Path, run: Run) -> None:
    tamper(history, "UPDATE event SET actor = 'nobody' WHERE position = 17")

    [finding] = json.loads(run("verify", "--json").stdout)["findings"]

    assert finding == {
        "kind": "event",
        "position": 17,
        "what": "column actor",
        "expected": "operator",
        "found": "nobody",
    }


def test_findings_are_said_in_sentences(history: Path, run: Run) -> None:
    tamper(history, "UPDATE event SET actor = 'nobody' WHERE position = 17")

    result = run("verify")

    assert result.exit_code == 3
    assert result.stdout.splitlines() == [
        "position 17: column actor: expected operator, found nobody",
        "NOT VERIFIED: the ledger or its file was changed or damaged.",
        "Stop the service and put a true backup back: scim-ledger restore BACKUP.",
    ]


def test_a_good_ledger_is_said_to_be_verified(history: Path, run: Run) -> None:
    result = run("verify")

    assert result.exit_code == 0
    assert result.stdout.startswith("verified: 30 events of acme/")


def test_findings_are_cut_where_they_go_on_and_on(ledger_path: Path, metadata: Any) -> None:
    ledger = SQLiteLedger(ledger_path)
    ledger.append([Append("Note-1", 0, [Event(events.CREATED)] * 120)], metadata)
    ledger.close()
    tamper(ledger_path, "UPDATE event SET txn = 'x'")

    report = verify(ledger_path)

    assert len(report.findings) == MAX_FINDINGS
    assert report.first_bad_position == 1


@pytest.mark.slow
def test_the_program_itself_exits_with_3(history: Path) -> None:
    tamper(history, "UPDATE event SET actor = 'nobody' WHERE position = 17")

    done = subprocess.run(
        [sys.executable, "-c", "import app; app.main()", "verify", "--json", "--ledger", "acme"],
        capture_output=True,
        check=False,
    )

    assert (done.returncode, done.stderr) == (3, b"")
    assert json.loads(done.stdout)["first_bad_position"] == 17


def test_a_ledger_that_is_not_there_is_not_found(data_dir: Path, run: Run) -> None:
    result = run("verify")

    assert result.exit_code == 5
    assert "there is no ledger at" in result.stderr
