"""A running service keeps the history of its ledgers up to date by itself."""

import os
import signal

from ledger.contract import LedgerError
from ledger.sqlite.connection import connect_read_only
from projections.history.history import position_of
from tests.scim_api.client import user
from tests.scim_api.process import wait_until


def reached(server):
    try:
        connection = connect_read_only(server.data_dir / "default" / "history.db")
    except LedgerError:
        return 0
    try:
        return position_of(connection)
    except Exception:  # the tables are not there yet
        return 0
    finally:
        connection.close()


def created(server, number):
    """Create a user; a worker that was just killed may have had the connection."""
    try:
        return server.ask("POST", "/Users", user(f"user{number}@example.com")).status == 201
    except OSError:
        return False


def test_the_history_follows_without_being_asked_also_when_workers_are_killed(start):
    server = start()
    assert created(server, 1)
    assert wait_until(lambda: reached(server) == 3)

    for pid in server.workers():
        os.kill(pid, signal.SIGKILL)
    assert wait_until(lambda: created(server, 2))

    assert wait_until(lambda: reached(server) == 4)
    assert server.stop() == 0
