"""Ledgers with tree heads, and one of a forger, for the tests of verification."""

import shutil
from contextlib import closing
from pathlib import Path

import pytest

from ledger.contract import Append
from ledger.events import ERASED, Event, Metadata
from ledger.sqlite.connection import connect
from ledger.sqlite.ledger import SQLiteLedger
from ledger.sqlite.schema import schema_sql
from tests.ledger import signed as ledgers


@pytest.fixture(scope="session")
def signed_template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return ledgers.make(tmp_path_factory.mktemp("signed"))


@pytest.fixture
def signed(signed_template: Path, data_dir: Path) -> Path:
    """Copy the ledger with its key, the head that was signed last, and its heads."""
    shutil.copytree(signed_template.parent, data_dir / "acme")
    return data_dir / "acme" / "ledger.db"


@pytest.fixture(scope="session")
def long_template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return ledgers.make_long(tmp_path_factory.mktemp("long"))


@pytest.fixture
def long(long_template: Path, tmp_path: Path) -> Path:
    """Copy a ledger of three ranges."""
    shutil.copytree(long_template.parent, tmp_path / "acme")
    return tmp_path / "acme" / "ledger.db"


@pytest.fixture
def hidden_note(history: Path, metadata: Metadata, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return a ledger in which somebody hid a stream that is not a user's, events 29 and 30.

    By a program that erases anything, whose Erased event, 31, is as it must be in all else.
    """
    guards = ("event_erases_a_user", "payload_is_only_erased")
    ledger = SQLiteLedger(history)
    monkeypatch.setattr("ledger.sqlite.ledger.ERASABLE", "Note-")
    with closing(connect(history)) as connection:
        for trigger in guards:
            connection.execute(f"DROP TRIGGER {trigger}")
        ledger.append([Append("Note-1", 2, [Event(ERASED)])], metadata)
        for trigger in guards:
            connection.execute(schema_sql()[trigger])
    ledger.close()
    return history
