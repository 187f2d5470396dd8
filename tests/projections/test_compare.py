"""Comparing projections with a rebuild: several processes agree with one."""

from collections.abc import Callable
from functools import partial
from pathlib import Path

import pytest

from ledger.sqlite.connection import Connection
from projections.compare import compare
from scim_api import wiring

Foreign = Callable[[Path], Connection]


def faults(path: Path, *, few: int) -> list[str]:
    told: list[tuple[int, int]] = []
    opened = partial(wiring.stored_projections, path, read_only=True)
    return list(compare(opened, 30, lambda *each: told.append(each), few=few).faults)


@pytest.mark.parametrize("few", [0, 30], ids=["elsewhere", "here"])
def test_projections_as_a_rebuild_gives_them_have_no_faults(few: int, history: Path) -> None:
    assert faults(history, few=few) == []


def test_another_process_reports_the_same_differences(history: Path, foreign: Foreign) -> None:
    foreign(history).execute("UPDATE resource SET name_key = 'evil' WHERE position = 3")
    foreign(history).execute("UPDATE credential SET revoked_at = NULL")

    found = faults(history, few=0)

    assert len(found) == 2
    assert found == faults(history, few=30)


def test_an_error_in_another_process_is_raised_here(history: Path, foreign: Foreign) -> None:
    foreign(history).execute("DROP TABLE resource_email")

    with pytest.raises(RuntimeError, match="no such table"):
        faults(history, few=0)


def test_a_history_that_was_not_compared_is_said_to_be_none(history: Path) -> None:
    opened = partial(wiring.stored_projections, history, read_only=True)
    (history.parent / "history.db").unlink(missing_ok=True)

    compared = compare(opened, 30, lambda *each: None)

    assert sorted(compared.standing) == ["configuration", "credentials", "resources"]
    assert "the history was not compared" in compared.missing[0]
