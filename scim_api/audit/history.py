"""Where events can be found by filters: the index of a ledger's events, up to date."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from weakref import WeakKeyDictionary

from ledger import events
from ledger.database import Connection, temporary
from ledger.events import Recorded
from ledger.sqlite import SQLiteLedger
from projections.entries import Entries, Entry, entry_of
from projections.sql import register
from scim_api.tenants import Tenant


class _Index:
    """A private index, made from the ledger as it is asked for."""

    def __init__(self, ledger: SQLiteLedger) -> None:
        self._ledger = ledger
        self._lock = threading.Lock()
        self._names: dict[str, str | None] = {}
        self._connection = temporary()
        register(self._connection)
        self._entries = Entries()
        self._entries.create_tables(self._connection)

    @contextmanager
    def caught_up(self) -> Iterator[Connection]:
        """Give a connection for reading in which entries reach the ledger's end."""
        with self._lock:
            after = self._entries.last_position(self._connection)
            rows = map(self._row, self._ledger.read_all(after))
            self._entries.add(self._connection, rows)
            yield self._connection

    def _row(self, recorded: Recorded) -> Entry:
        if recorded.category != "User":
            return entry_of(recorded, None)
        if recorded.type in (events.CREATED, events.UPDATED):
            name = recorded.effects.get("userName")
            if name is not None:
                self._names[recorded.stream] = name
        return entry_of(recorded, self._names.get(recorded.stream))


_lock = threading.Lock()
_indexes: WeakKeyDictionary[SQLiteLedger, _Index] = WeakKeyDictionary()


def history_of(tenant: Tenant) -> _Index:
    """Return the index of a ledger's events."""
    with _lock:
        index = _indexes.get(tenant.ledger)
        if index is None:
            index = _indexes[tenant.ledger] = _Index(tenant.ledger)
        return index
