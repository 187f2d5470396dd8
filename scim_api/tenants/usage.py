"""What each credential was used for, by which client, and what was forgiven: off the request path.

It is kept in memory and written down beside the ledger every few seconds, so a crash loses at most
those. Of a User-Agent it has what the request log has, and of each credential the newest clients.
"""

import threading
from collections.abc import Callable, Iterable, Mapping
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

from sqlite_utils import Database

from ledger.contract import LedgerError
from ledger.sqlite.connection import Connection, connect, connect_read_only, driver, speaking
from ledger.user_agents import family
from scim_api.later import later
from scim_api.request_log.user_agents import known_client

USAGE_FILE = "usage.db"
INTERVAL = 2.0  # seconds between two writes
MAX_PENDING = 5000  # keys in memory; more are not kept, as when the file cannot be written
MOST_CLIENTS = 50  # of a credential, the newest: anyone with a token can name new ones for ever

_TABLES = (
    "CREATE TABLE IF NOT EXISTS usage (credential TEXT, client TEXT, last_at TEXT,"
    " requests INTEGER, PRIMARY KEY (credential, client)) STRICT",
    "CREATE TABLE IF NOT EXISTS tolerance (credential TEXT, client TEXT, name TEXT, last_at TEXT,"
    " requests INTEGER, PRIMARY KEY (credential, client, name)) STRICT",
)

_Key = tuple[str, ...]  # (credential, client) of a use; and the name of a tolerance
_Pending = Mapping[_Key, tuple[str, int]]
_Row = TypeVar("_Row", bound="LastUse | ToleranceUse")


@dataclass(frozen=True, slots=True)
class LastUse:
    """The last request of a client with a credential."""

    credential: str
    client: str
    last_at: str
    requests: int


@dataclass(frozen=True, slots=True)
class ToleranceUse:
    """In how many requests of a client with a credential something was forgiven."""

    credential: str
    client: str
    name: str
    last_at: str
    requests: int


class Usage:
    """What a tenant's credentials were used for, in `usage.db` beside its ledger."""

    def __init__(self, path: Path) -> None:
        """`path` is the file; it is made when first written."""
        self._path = path
        self._lock = threading.Lock()
        self._pending: dict[_Key, tuple[str, int]] = {}
        self._timer: threading.Timer | None = None

    def note(self, credential: str, client: str, at: str) -> None:
        """Note a request at a time (a timestamp); costs it no input or output."""
        with self._lock:
            self._add((credential, client), at)

    def note_tolerances(self, credential: str, client: str, names: Iterable[str], at: str) -> None:
        """Note the tolerances that a request made use of; costs it no input or output."""
        with self._lock:
            for name in names:
                self._add((credential, client, name), at)

    def _add(self, key: _Key, at: str) -> None:
        _, requests = self._pending.get(key, ("", 0))
        if requests or len(self._pending) < MAX_PENDING:
            self._pending[key] = at, requests + 1
        if self._timer is None:
            self._timer = later(INTERVAL, self.flush)

    def flush(self) -> None:
        """Write down what is pending; what cannot be written is kept for the next time."""
        with self._lock:
            self._timer = None
            pending, self._pending = self._pending, {}
        if not pending:
            return
        try:
            self._write(pending)
        except (LedgerError, driver.Error, OSError):
            with self._lock:
                self._pending = {**pending, **self._pending}

    def _write(self, pending: _Pending) -> None:
        self._path.touch(mode=0o600)
        self._path.chmod(0o600)  # one of an earlier version; SQLite gives its WAL the same mode
        connection = connect(self._path)
        try:
            connection.create_function("known_client", 1, known_client)
            for table in _TABLES:
                connection.execute(table)
            connection.execute("PRAGMA synchronous=NORMAL")
            connection.execute("BEGIN IMMEDIATE")
            _insert(connection, "usage", 2, pending)
            _insert(connection, "tolerance", 3, pending)
            for table in ("usage", "tolerance"):
                _prune(connection, table)
            connection.execute("COMMIT")
        finally:
            connection.close()

    def coarsen(self, tells: Callable[[str], bool]) -> None:
        """Keep only the family of the clients that tell of somebody; raises as `last_uses` does."""
        self.flush()
        if not self._path.exists():
            return
        with speaking(self._path), closing(connect(self._path)) as connection:
            for table in ("usage", "tolerance"):
                found = connection.execute(f"SELECT DISTINCT client FROM {table}").fetchall()
                for client in (each for (each,) in found if tells(each)):
                    change = f"UPDATE OR IGNORE {table} SET client = ? WHERE client = ?"
                    connection.execute(change, (family(client), client))
                    connection.execute(f"DELETE FROM {table} WHERE client = ?", (client,))

    def last_uses(self) -> list[LastUse]:
        """Return the last request of each client with each credential, newest first.

        Raises BesideUnavailable, as does `tolerance_uses`.
        """
        return self._rows("usage", LastUse)

    def tolerance_uses(self) -> list[ToleranceUse]:
        """Return what was forgiven each client with each credential, newest first."""
        return self._rows("tolerance", ToleranceUse)

    def _rows(self, table: str, row_type: type[_Row]) -> list[_Row]:
        self.flush()
        if not self._path.exists():
            return []
        with speaking(self._path), closing(connect_read_only(self._path)) as connection:
            db = Database(connection, execute_plugins=False)
            if not db[table].exists():  # a file of an earlier version
                return []
            rows: list[dict[str, Any]] = list(db[table].rows_where(order_by="last_at desc"))
            return [row_type(**row) for row in rows]


def _insert(connection: Connection, table: str, width: int, pending: _Pending) -> None:
    """Add up the uses whose keys have so many parts."""
    connection.executemany(
        f"INSERT INTO {table} VALUES ({'?, ' * width}?, ?) ON CONFLICT DO UPDATE SET"
        " last_at = max(last_at, excluded.last_at),"
        " requests = requests + excluded.requests",
        [
            (key[0], known_client(key[1]), *key[2:], *use)
            for key, use in pending.items()
            if len(key) == width
        ],
    )


def _prune(connection: Connection, table: str) -> None:
    """Remove clients beyond the newest, and what an earlier version kept and should not have."""
    connection.execute(f"DELETE FROM {table} WHERE known_client(client) <> client")
    connection.execute(
        f"DELETE FROM {table} WHERE (credential, client) IN (SELECT credential, client FROM"
        " (SELECT credential, client, row_number() OVER"
        f" (PARTITION BY credential ORDER BY max(last_at) DESC, client) AS place FROM {table}"
        " GROUP BY credential, client) WHERE place > ?)",
        (MOST_CLIENTS,),
    )
