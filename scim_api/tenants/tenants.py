"""Which ledger a request is for: every folder of the data directory that holds one is a tenant."""

import threading
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from ledger.contract import UNUSABLE, Connection, Ledger, LedgerError, LedgerUnavailable
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


def ledger_path(data_dir: Path, name: str) -> Path:
    """Return where the ledger of a name is kept."""
    return data_dir / name / LEDGER_FILE


def ledger_names(data_dir: Path) -> list[str]:
    """Return the names of all ledgers, those that are gone and left a key or a use included."""
    files = (path for name in _TRACES for path in data_dir.glob(f"*/{name}"))
    return sorted({path.parent.name for path in files})


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

    def find_credential(self, sha256: str) -> tuple[Credential, Catalogue] | None:
        """Return the credential of a token's hash, and what the ledger serves now."""
        with self.ledger.reading() as connection:
            found = self.credentials.by_hash(connection, sha256)
        return (found[0], self.catalogues.at(found[1], self.settings)) if found else None

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

    def close(self) -> None:
        """Flush and close the files."""
        self.usage.close()
        self.history.close()
        self.requests.close()
        self.ledger.close()


class Tenants:
    """The ledgers of a data directory, opened when first asked for and found by their random id."""

    def __init__(self, data_dir: Path, open_tenant: Callable[[Path], Tenant]) -> None:
        """`open_tenant` turns a ledger's file into a tenant, or raises LedgerError."""
        self._data_dir = data_dir
        self._open = open_tenant
        self._lock = threading.Lock()
        self._by_id: dict[str, Tenant] = {}
        self._by_path: dict[Path, Tenant] = {}
        self._names: tuple[float, list[str]] = 0.0, []
        self._opener: threading.Thread | None = None
        self._wanted, self._closed = threading.Event(), threading.Event()
        self.errors: dict[str, LedgerError] = {}  # by name, of the ledgers that cannot be opened

    def open_in_background(self) -> None:
        """Open all ledgers now, and those that come later in a separate thread.

        This is for where opening asks the network: no request waits for that.
        """
        self._open_all()
        self._opener = threading.Thread(target=self._open_wanted, name="opener", daemon=True)
        self._opener.start()

    def _open_wanted(self) -> None:
        while not self._closed.wait(1.0):  # once a second at most
            self._wanted.wait()
            self._wanted.clear()
            if not self._closed.is_set():
                self._open_all()

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
        """Return the tenant of an id that no token proves yet, if it is open."""
        self.opened()
        return self._by_id.get(id_) if id_ else None

    def only(self) -> Tenant | None:
        """Return the only tenant, if there is but one ledger: a new one counts within a second."""
        now, (until, names) = time.monotonic(), self._names
        if now >= until:  # a flood asks all the time
            names = ledger_names(self._data_dir)
            self._names = now + 1.0, names
        return self._by_path.get(ledger_path(self._data_dir, names[0])) if len(names) == 1 else None

    def discover(self) -> None:
        """Open the ledgers that are not open yet, or have them opened; note which cannot be."""
        if self._opener is None:
            self._open_all()
            return
        begun = {
            path.parent.name: LedgerUnavailable(f"{path} is being opened", reason="being opened")
            for path in self._unopened()
        }
        self.errors = begun | self.errors  # another: threads may be looking through this one
        if self.errors:
            self._wanted.set()

    def _unopened(self) -> list[Path]:
        paths = (ledger_path(self._data_dir, name) for name in ledger_names(self._data_dir))
        return [path for path in paths if path not in self._by_path]

    def _open_all(self) -> None:
        """Open what is not open; a second copy of a ledger is refused, for its writes get lost."""
        with self._lock:
            errors: dict[str, LedgerError] = {}
            found: list[Tenant] = []
            for path in self._unopened():
                try:
                    found.append(self._open(path))
                except LedgerError as error:
                    errors[path.parent.name] = error
                except OSError as error:  # of a side file, such as the key's
                    says = f"{path} cannot be used: {error}"
                    errors[path.parent.name] = LedgerUnavailable(says, reason=UNUSABLE)
            # one in a folder of another name than it was made with looks like the copy
            found.sort(key=lambda each: each.ledger.origin.partition("/")[0] != each.name)
            for tenant in found:
                other = self._by_id.setdefault(tenant.ledger.tenant, tenant)
                if other is tenant:
                    self._by_path[tenant.ledger.path] = tenant
                    continue
                tenant.close()
                errors[tenant.name] = LedgerUnavailable(
                    f"{tenant.ledger.path} holds the same ledger as {other.ledger.path}, which is"
                    " the one served; move the copy out of the data directory",
                    reason="two files hold one ledger",
                )
            self.errors = errors

    def opened(self) -> list[Tenant]:
        """Return the ledgers that are open; at first, all there are."""
        if not self._by_path:
            self.discover()
        return list(self)

    def __iter__(self) -> Iterator[Tenant]:
        return iter(list(self._by_path.values()))

    def close(self) -> None:
        """Close every ledger."""
        if self._opener:
            self._closed.set()
            self._wanted.set()
            self._opener.join()
        for tenant in self:
            tenant.close()
        self._by_id.clear()
        self._by_path.clear()
