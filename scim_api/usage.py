"""When each credential was last used and by which client: beside the ledger, off the request path.

It is kept in memory and written down every few seconds, so a crash loses at most those.
"""

import threading
from dataclasses import dataclass
from pathlib import Path

from sqlite_utils import Database

from ledger.database import connect, connect_read_only, driver
from ledger.store import LedgerError

USAGE_FILE = "usage.db"
INTERVAL = 2.0  # seconds between two writes


@dataclass(frozen=True, slots=True)
class LastUse:
    """The last request of a client with a credential."""

    credential: str
    client: str
    last_at: str
    requests: int


class Usage:
    """What a tenant's credentials were used for, in `usage.db` beside its ledger."""

    def __init__(self, path: Path) -> None:
        """`path` is the file; it is made when first written."""
        self._path = path
        self._lock = threading.Lock()
        self._pending: dict[tuple[str, str], tuple[str, int]] = {}
        self._timer: threading.Timer | None = None

    def note(self, credential: str, client: str, at: str) -> None:
        """Note a request at a time (a timestamp); costs it no input or output."""
        key = credential, client
        with self._lock:
            _, requests = self._pending.get(key, ("", 0))
            self._pending[key] = at, requests + 1
            if self._timer is None:
                self._timer = threading.Timer(INTERVAL, self.flush)
                self._timer.daemon = True
                self._timer.start()

    def flush(self) -> None:
        """Write down what is pending; what cannot be written is kept for the next time."""
        with self._lock:
            self._timer = None
            pending, self._pending = self._pending, {}
        if not pending:
            return
        try:
            self._write(pending)
        except (LedgerError, driver.Error):
            with self._lock:
                self._pending = {**pending, **self._pending}

    def _write(self, pending: dict[tuple[str, str], tuple[str, int]]) -> None:
        connection = connect(self._path, create=True)
        try:
            connection.execute(
                "CREATE TABLE IF NOT EXISTS usage (credential TEXT, client TEXT, last_at TEXT,"
                " requests INTEGER, PRIMARY KEY (credential, client)) STRICT"
            )
            connection.execute("PRAGMA synchronous=NORMAL")
            connection.execute("BEGIN IMMEDIATE")
            connection.executemany(
                "INSERT INTO usage VALUES (?, ?, ?, ?) ON CONFLICT DO UPDATE SET"
                " last_at = max(last_at, excluded.last_at),"
                " requests = requests + excluded.requests",
                [(*key, *use) for key, use in pending.items()],
            )
            connection.execute("COMMIT")
        finally:
            connection.close()

    def last_uses(self) -> list[LastUse]:
        """Return the last request of each client with each credential, newest first."""
        self.flush()
        if not self._path.exists():
            return []
        db = Database(connect_read_only(self._path), execute_plugins=False)
        try:
            rows = db["usage"].rows_where(order_by="last_at desc")
            return [LastUse(**row) for row in rows]
        finally:
            db.close()
