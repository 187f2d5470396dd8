"""The use of credentials: by which clients, when, how often, and which tolerances they needed.

A User-Agent is kept as the request log keeps it; of each credential only the newest clients are,
and of each of these the address of its last use, until somebody is erased.
"""

from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import NamedTuple

from ledger.contract import Ledger
from ledger.sqlite.connection import Connection, connect, connect_read_only
from ledger.user_agents import family
from projections.current.credentials import Credential
from scim_api.request_log.records import known_client
from scim_api.side_file import Erasures, SideFile

USAGE_FILE = "usage.db"
MAX_PENDING = 5000  # keys in memory; more are not kept, as when the file cannot be written
MOST_CLIENTS = 50  # of a credential, the newest: anyone with a token can name new ones for ever

# The keys of each table: of a use, and of the use of a tolerance.
_TABLES = {"usage": ("credential", "client"), "tolerance": ("credential", "client", "name")}

_Key = tuple[str, ...]
_Pending = dict[_Key, tuple[str, int, str]]  # when it was last, how often, and from where at last
_Row = tuple[_Key, str, int]


class Use(NamedTuple):
    """The requests of a client with a credential; with a name those that used this tolerance."""

    credential: str
    client: str
    last_at: str
    requests: int
    name: str = ""
    address: str = ""


class Usage(SideFile[_Pending]):
    """What a tenant's credentials were used for, in `usage.db` next to its ledger."""

    name = "usage file"
    interval = 2.0
    schema = (
        "CREATE TABLE IF NOT EXISTS usage (credential TEXT, client TEXT, last_at TEXT,"
        " requests INTEGER, PRIMARY KEY (credential, client)) STRICT",
        "CREATE TABLE IF NOT EXISTS tolerance (credential TEXT, client TEXT, name TEXT,"
        " last_at TEXT, requests INTEGER, PRIMARY KEY (credential, client, name)) STRICT",
        "CREATE TABLE IF NOT EXISTS address (credential TEXT, client TEXT, last_at TEXT,"
        " address TEXT, PRIMARY KEY (credential, client)) STRICT",  # an earlier version may write
    )

    def __init__(self, path: Path, ledger: Ledger) -> None:
        super().__init__(path, ledger, dict)

    def note(
        self, credential: str, client: str, tolerances: Iterable[str], at: str, address: str = ""
    ) -> None:
        """Note a request at a time (a timestamp), the tolerances that it used, and from where."""
        with self._lock:
            self._add((credential, client), at, address=address)
            for name in tolerances:
                self._add((credential, client, name), at)
            self._schedule()

    def _add(self, key: _Key, at: str, requests: int = 1, address: str = "") -> None:
        _, before, _ = self._pending.get(key, ("", 0, ""))
        if before or len(self._pending) < MAX_PENDING:
            self._pending[key] = at, before + requests, address

    def _merge(self, newer: _Pending) -> None:
        for key, use in newer.items():
            self._add(key, *use)

    def _insert(self, connection: Connection, pending: _Pending) -> None:
        connection.create_function("known_client", 1, known_client)
        erased = Erasures.since(self._ledger, min(at for at, *_ in pending.values()))
        rows = [
            _renamed((key, at, uses), family if at < erased.at else known_client)
            for key, (at, uses, _) in pending.items()
        ]
        for table in _TABLES:
            _add_up(connection, table, rows)
            _prune(connection, table)
        _keep_addresses(
            connection,
            (
                (key[0], known_client(key[1]), at, address)
                for key, (at, _, address) in pending.items()
                if address and at >= erased.at
            ),
        )

    def coarsen(self) -> None:
        """Keep only the family of every client, and no address; raises as `last_uses` does."""
        for table in _TABLES:
            with self._opened(table, connect) as connection:
                if connection:
                    connection.execute("BEGIN IMMEDIATE")
                    _coarsen(connection, table)
                    connection.execute("COMMIT")
        with self._opened("address", connect) as connection:
            if connection:
                connection.execute("DELETE FROM address")

    def last_uses(self) -> list[Use]:
        """Return the last request of each client with each credential, newest first.

        Raises SideFileUnavailable, as does `tolerance_uses`.
        """
        with self._opened("address", connect_read_only) as connection:
            found = connection.execute("SELECT * FROM address") if connection else ()
            addresses = {row[:3]: row[3] for row in found}  # by credential, client and time
        uses = self._uses("usage", "credential, client, last_at, requests")
        return [use._replace(address=addresses.get(use[:3], "")) for use in uses]

    def last_use_of_each(self) -> dict[str, Use]:
        """Return the last use of every credential that was used, by its id; raises as above."""
        return {use.credential: use for use in reversed(self.last_uses())}

    def tolerance_uses(self) -> list[Use]:
        """Return the tolerances that each client used with each credential, newest first."""
        return self._uses("tolerance", "credential, client, last_at, requests, name")

    def _uses(self, table: str, columns: str) -> list[Use]:
        with self._opened(table, connect_read_only) as connection:
            if connection is None:
                return []
            rows = connection.execute(f"SELECT {columns} FROM {table} ORDER BY last_at DESC")
            return [Use(*row) for row in rows]


def unused(
    credentials: Iterable[Credential], uses: Mapping[str, Use], now: str, since: str
) -> list[Credential]:
    """Return the live credentials that were neither issued nor used since a time.

    `uses` are the last ones, by credential. A client is used where one of its grants is.
    """
    every = list(credentials)
    used = {id_ for id_, use in uses.items() if use.last_at >= since}
    places = (each.client_place for each in every if each.id in used)
    used |= {place[1] for place in places if place}
    live = (each for each in every if each.state(now) == "live")
    return [each for each in live if each.issued_at < since and each.id not in used]


def _renamed(row: _Row, name: Callable[[str], str]) -> _Row:
    """Return a row with another name of its client."""
    (credential, client, *rest), at, uses = row
    return (credential, name(client), *rest), at, uses


def _add_up(connection: Connection, table: str, rows: Iterable[_Row]) -> None:
    """Add the uses that belong to a table to its counts."""
    width = len(_TABLES[table])
    connection.executemany(
        f"INSERT INTO {table} VALUES ({'?, ' * width}?, ?) ON CONFLICT DO UPDATE SET"
        " last_at = max(last_at, excluded.last_at),"
        " requests = requests + excluded.requests",
        [(*key, at, uses) for key, at, uses in rows if len(key) == width],
    )


def _keep_addresses(connection: Connection, rows: Iterable[tuple[str, str, str, str]]) -> None:
    """Keep from where each client last used a credential: other processes write too."""
    connection.executemany(
        "INSERT INTO address VALUES (?, ?, ?, ?) ON CONFLICT DO UPDATE SET"
        " last_at = excluded.last_at, address = excluded.address"
        " WHERE excluded.last_at >= last_at",
        rows,
    )
    connection.execute(
        "DELETE FROM address WHERE (credential, client) NOT IN"
        " (SELECT credential, client FROM usage)"
    )


def _coarsen(connection: Connection, table: str) -> None:
    """Let the clients of a credential that are of one family become one."""
    columns = ", ".join((*_TABLES[table], "last_at", "requests"))
    found = connection.execute(f"SELECT {columns} FROM {table}").fetchall()
    connection.execute(f"DELETE FROM {table}")
    _add_up(connection, table, [_renamed((key, at, n), family) for (*key, at, n) in found])


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
