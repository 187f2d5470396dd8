"""Which ledger a request is for: every folder of the data directory that holds one is a tenant."""

import math
import os
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ledger.contract import UNUSABLE, Connection, Ledger, LedgerError, LedgerUnavailable
from ledger.create import may_name_a_ledger
from ledger.open_files import TOO_MANY, shortage_of
from ledger.signing.anchors import Anchor
from ledger.signing.keys import HEAD_FILE, KEY_FILE
from ledger.signing.tree_heads import TreeHeads
from projections.current.configuration import Configuration, Settings, settings_of, stream_of
from projections.current.credentials import Credential, Credentials
from projections.current.resources import Resources
from projections.history.history import History
from projections.state import is_active
from scim_api.request_log.store import RequestLog
from scim_api.tenants.catalogue import Catalogue, CatalogueCache
from scim_api.tenants.usage import USAGE_FILE, Usage

LEDGER_FILE = "ledger.db"
_TRACES = (LEDGER_FILE, USAGE_FILE, KEY_FILE, HEAD_FILE)
START = 20.0  # seconds that a process waits for its ledgers to be opened before it serves
COARSE = 50_000_000  # nanoseconds within which two changes may leave a file the same time
QUICK = 0.1  # seconds; what cannot be opened is tried at every look if that takes no longer,
SHARE = 20  # else after so many times as long as it took,
LONGEST = 10.0  # and so many seconds at most


def ledger_path(data_dir: Path, name: str) -> Path:
    """Return where the ledger of a name is kept."""
    return data_dir / name / LEDGER_FILE


def ledger_names(data_dir: Path) -> list[str]:
    """Return the names of all ledgers, also of those that are gone and left a key or a use.

    A folder that is closed to this process counts, too: whose ledger it is cannot be seen.
    """
    return _names_and_others(data_dir)[0]


def _names_and_others(data_dir: Path) -> tuple[list[str], list[Path]]:
    """Return the names of all ledgers, and where one may come to be in a folder without."""
    names, others = [], []
    with suppress(OSError), os.scandir(data_dir) as found:
        for each in found:
            held = any(os.path.exists(f"{each.path}/{name}") for name in _TRACES)
            if held or _may_hide_one(each):
                names.append(each.name)
            else:
                others.append(ledger_path(data_dir, each.name))
    return sorted(names), others


def _may_hide_one(folder: "os.DirEntry[str]") -> bool:
    """Return whether a folder may hold a ledger that this process has no right to see."""
    if not folder.is_dir() or not may_name_a_ledger(folder.name):
        return False
    return not os.access(folder.path, os.X_OK, effective_ids=True)


@dataclass(frozen=True)
class Tenant:
    """One ledger, its projections, what it serves, and its side files."""

    name: str
    ledger: Ledger
    resources: Resources
    credentials: Credentials
    configuration: Configuration
    history: History
    usage: Usage
    requests: RequestLog
    heads: TreeHeads
    anchors: Sequence[Anchor] = ()
    catalogues: CatalogueCache = field(default_factory=CatalogueCache, repr=False)
    noticed: dict[str, Any] = field(default_factory=dict, repr=False)  # see auth.notices

    def find_credential(
        self, sha256: str, memory: dict[Any, Any] | None = None
    ) -> tuple[Credential, Catalogue] | None:
        """Return the credential of a token's hash, and what the ledger serves now.

        `memory` is what is remembered of the ledger as it is now.
        """
        found: tuple[Credential, int] | None = memory.get(sha256) if memory else None
        if found is None:
            with self.ledger.reading() as connection:
                found = self.credentials.by_hash(connection, sha256)
            if found and memory is not None:
                memory[sha256] = found
        return (found[0], self.catalogues.at(found[1], self.settings)) if found else None

    def find_client(self, id_: str) -> Credential | None:
        """Return a client of this ledger as it is now, removed or not."""
        memory = self.ledger.remembered()
        if id_ not in memory:
            with self.ledger.reading() as connection:
                memory[id_] = self.credentials.get(connection, id_)
        found: Credential | None = memory[id_]
        return found

    def settings(self) -> Settings:
        """Read what the operator configured."""
        with self.ledger.reading() as connection:
            return self.configuration.read(connection)

    def catalogue(self) -> Catalogue:
        """Return what the ledger serves now."""
        with self.ledger.reading() as connection:
            version = self.configuration.version(connection)
        return self.catalogues.at(version, self.settings)

    def catalogue_at(self, position: int) -> Catalogue:
        """Return what the ledger served at a position."""
        changes = self.ledger.read_stream(stream_of(self.ledger.tenant))
        settings = settings_of(change for change in changes if change.position <= position)
        return self.catalogues.of(settings)

    def has_active_user(self, connection: Connection, id_: str) -> bool:
        """Return whether there is an active user of an id."""
        user = self.resources.get(connection, "User", id_)
        return user is not None and is_active(user.attributes)

    def leave(self) -> None:
        """Close what this thread holds open of it; see contract.Ledger."""
        self.ledger.leave()
        self.history.file.leave()

    def close(self) -> None:
        """Flush and close the files."""
        self.usage.close()
        self.history.close()
        self.requests.close()
        self.ledger.close()


class Tenants:
    """The ledgers of a data directory, opened when first asked for and found by their random id.

    Each that was opened once is known from then on; its files are open while they are used.
    """

    def __init__(self, data_dir: Path, open_tenant: Callable[[Path], Tenant]) -> None:
        """`open_tenant` turns a ledger's file into a tenant, or raises LedgerError."""
        self._data_dir = data_dir
        self._open = open_tenant
        self._lock = threading.Lock()
        self._by_id: dict[str, Tenant] = {}
        self._by_name: dict[str, Tenant] = {}
        self._folders = Folders(data_dir)
        self._next_try = 0.0  # monotonic seconds; to open what could not be opened
        self._tried: tuple[object, ...] = ()
        self._opener: threading.Thread | None = None
        self._wanted, self._closed = threading.Event(), threading.Event()
        self.errors: dict[str, LedgerError] = {}  # by name, of the ledgers that cannot be opened

    def open_in_background(self) -> None:
        """Open all ledgers in a separate thread, now and whenever there are new ones.

        This is for where opening asks the network: no request waits for that, and the start of
        the process only for a while.
        """
        self._wanted.set()
        begun = threading.Event()
        self._opener = threading.Thread(
            target=self._open_wanted, args=(begun,), name="opener", daemon=True
        )
        self._opener.start()
        begun.wait(START)

    def _open_wanted(self, begun: threading.Event) -> None:
        while not self._closed.is_set():
            self._wanted.wait()
            self._wanted.clear()
            if not self._closed.is_set():
                self._open_all()
            begun.set()
            self._closed.wait(1.0)  # once a second at most

    def find(self, id_: str) -> Tenant | None:
        """Return the tenant of an id; raises LedgerUnavailable when its ledger may be a broken one.

        A ledger made while the service runs is found too.
        """
        tenant = self._by_id.get(id_)
        if tenant is None:
            self.discover()
            tenant = self._by_id.get(id_)
        if tenant is None and self.errors:
            error = next(iter(self.errors.values()))
            raise LedgerUnavailable(str(error), reason=error.reason)
        return tenant

    def find_open(self, id_: str | None) -> Tenant | None:
        """Return the tenant of an id that no token proves yet, if it is known."""
        self.opened()
        return self._by_id.get(id_) if id_ else None

    def only(self) -> Tenant | None:
        """Return the only tenant, if there is but one ledger."""
        names = self._folders.names()
        return self._by_name.get(names[0]) if len(names) == 1 else None

    def names(self) -> list[str]:
        """Return the names of all ledgers, those that cannot be opened included."""
        return self._folders.names()

    def named(self, name: str) -> Tenant | None:
        """Return the tenant of a name, if it is known."""
        return self._by_name.get(name)

    def discover(self) -> None:
        """Open the ledgers that are not known yet, or have them opened; note which cannot be."""
        unopened = self._unopened()
        if self._opener is None:
            self._open_all()
            return
        begun = {
            path.parent.name: LedgerUnavailable(f"{path} is being opened", reason="being opened")
            for path in unopened
        }
        known = {name: error for name, error in self.errors.items() if name in begun}
        self.errors = begun | known  # another: threads may be looking through this one
        if self.errors:
            self._wanted.set()

    def _unopened(self) -> list[Path]:
        names = [name for name in self._folders.names() if name not in self._by_name]
        return [ledger_path(self._data_dir, name) for name in names]

    def _open_all(self) -> None:
        """Open what is not open; a second copy of a ledger is refused, for its writes get lost.

        What takes long and could not be opened is tried again when it changed, and now and then:
        a flood of tokens that nobody made asks all the time.
        """
        with self._lock:
            unopened = self._unopened()
            tried = tuple((path, _stamp(path), _rights(path.parent)) for path in unopened)
            started = time.monotonic()
            if tried == self._tried and started < self._next_try:
                return
            errors = self._open_each(unopened)
            self.errors, self._tried = errors, tried
            took = time.monotonic() - started
            pause = min(LONGEST, SHARE * took) if took > QUICK else 0.0
            self._next_try = started + took + pause

    def _open_each(self, paths: Sequence[Path]) -> dict[str, LedgerError]:
        """Open ledgers; return the errors of those that cannot be, by name."""
        errors: dict[str, LedgerError] = {}
        copies: list[Tenant] = []
        for path in paths:
            try:
                tenant = self._open(path)
                tenant.leave()  # whoever needs it opens it again
            except LedgerError as error:
                errors[path.parent.name] = error
            except OSError as error:  # of a side file, such as the key's
                says = f"{path} cannot be used: {shortage_of(error) or error}"
                reason = TOO_MANY if shortage_of(error) else UNUSABLE
                errors[path.parent.name] = LedgerUnavailable(says, reason=reason)
            else:
                copies.append(tenant)
        # one in a folder of another name than it was made with looks like the copy
        copies.sort(key=lambda each: each.ledger.origin.partition("/")[0] != each.name)
        for tenant in copies:
            other = self._by_id.setdefault(tenant.ledger.tenant, tenant)
            if other is tenant:
                self._by_name[tenant.name] = tenant
                continue
            tenant.close()
            errors[tenant.name] = LedgerUnavailable(
                f"{tenant.ledger.path} holds the same ledger as {other.ledger.path}, which is"
                " the one served; move the copy out of the data directory",
                reason="two files hold one ledger",
            )
        return errors

    def opened(self) -> list[Tenant]:
        """Return the ledgers that are known; at first, all there are."""
        if not self._by_name:
            self.discover()
        return list(self)

    def discovered(self) -> list[Tenant]:
        """Return the ledgers that are known, with those that are new."""
        self.discover()
        return list(self)

    def __iter__(self) -> Iterator[Tenant]:
        return iter(list(self._by_name.values()))

    def close(self) -> None:
        """Close every ledger."""
        if self._opener:
            self._closed.set()
            self._wanted.set()
            self._opener.join()
        for tenant in self:
            tenant.close()
        self._by_id.clear()
        self._by_name.clear()


class Folders:
    """The folders of a data directory: which hold ledgers, read again when that may have changed.

    A flood of tokens that nobody made asks all the time, and there may be a thousand.
    """

    def __init__(self, data_dir: Path) -> None:
        self._data_dir = data_dir
        self._read_at = -math.inf  # monotonic seconds
        self._next_look = -math.inf  # monotonic seconds; at the others, one by one
        self._stamp: object = None  # of the directory, when it was read; None if it just changed
        self._names: list[str] = []
        self._others: list[Path] = []  # where a ledger may come to be

    def names(self) -> list[str]:
        """Return the names of all ledgers."""
        stamp, now = _stamp(self._data_dir), time.monotonic()
        if (
            stamp is None
            or stamp != self._stamp
            or now > self._read_at + 1.0  # a ledger may be gone from its folder
            or self._has_another(now)
        ):
            self._names, self._others = _names_and_others(self._data_dir)
            recent = stamp and time.time_ns() - stamp[2] < COARSE
            self._stamp, self._read_at = None if recent else stamp, now
        return self._names

    def _has_another(self, now: float) -> bool:
        """Return whether a folder has come to hold a ledger.

        To look at a thousand takes as long as ten requests; a pause in proportion follows.
        """
        if now < self._next_look:
            return False
        found = any(os.path.exists(path) for path in self._others)
        then = time.monotonic()
        self._next_look = then + SHARE * (then - now)
        return found


def _stamp(path: Path) -> tuple[int, int, int] | None:
    try:
        found = os.stat(path)
    except OSError:
        return None
    return found.st_ino, found.st_size, found.st_ctime_ns


def _rights(folder: Path) -> tuple[int, int] | None:
    with suppress(OSError):
        found = os.stat(folder)
        return found.st_mode, found.st_uid
    return None
