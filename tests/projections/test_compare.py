"""Comparing projections with a rebuild: several processes agree with one."""

from collections.abc import Callable
from contextlib import closing
from functools import partial
from pathlib import Path

import pytest

from ledger.sqlite.connection import Connection, driver
from projections.compare import compare
from scim_api import wiring

Foreign = Callable[[Path], Connection]


def faults(path: Path, *, few: int) -> list[str]:
    told: list[tuple[int, int]] = []
    opened = partial(wiring.stored_projections, path, read_only=True)
    found = compare(opened, 30, lambda *each: told.append(each), few=few).faults
    return [each.found for each in found]


@pytest.mark.parametrize("few", [0, 30], ids=["elsewhere", "here"])
def test_projections_as_a_rebuild_gives_them_have_no_faults(few: int, history: Path) -> None:
    assert faults(history, few=few) == []


def test_another_process_reports_the_same_differences(history: Path, foreign: Foreign) -> None:
    foreign(history).execute("UPDATE resource SET name_key = 'evil' WHERE position = 3")
    foreign(history).execute("UPDATE credential SET revoked_at = NULL")

    found = faults(history, few=0)

    assert len(found) == 2
    assert found == faults(history, few=30)


def test_what_cannot_be_compared_is_a_fault_of_its_projection(
    history: Path, foreign: Foreign
) -> None:
    foreign(history).execute("DROP TABLE resource_email")

    [fault] = faults(history, few=0)

    start = "projection resources: table resource_email cannot be read after its beginning: "
    assert fault.startswith(start)


@pytest.mark.parametrize("damage", ["a page", "the first page"])
def test_a_broken_history_is_called_the_history(damage: str, history: Path) -> None:
    tenant = wiring.wire(history)
    tenant.history.catch_up()
    tenant.close()
    file = history.parent / "history.db"
    raw = bytearray(file.read_bytes())
    if damage == "a page":
        [(root,)] = _rows(file, "SELECT rootpage FROM sqlite_master WHERE name='entry'")
        begin = (root - 1) * 4096
        raw[begin : begin + 100] = bytes(100)
    else:
        raw[:100] = bytes(100)
    file.write_bytes(raw)

    [fault] = faults(history, few=30)

    assert fault.startswith("projection history: ")
    assert ("table entry cannot be read after" in fault) == (damage == "a page")


def _rows(file: Path, statement: str) -> list[tuple[int]]:
    with closing(driver.connect(str(file))) as connection:
        return list(connection.execute(statement))


def test_a_history_that_was_not_compared_is_said_to_be_none(history: Path) -> None:
    opened = partial(wiring.stored_projections, history, read_only=True)
    (history.parent / "history.db").unlink(missing_ok=True)

    compared = compare(opened, 30, lambda *each: None)

    assert sorted(compared.standing) == ["configuration", "credentials", "indexes", "resources"]
    assert "the history was not compared" in compared.missing[0]
