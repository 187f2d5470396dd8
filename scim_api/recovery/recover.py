"""A ledger that is in place goes on: under a new origin, or, where nothing was lost, as it is."""

from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from ledger.background import exclusive_lock
from ledger.contract import LedgerBusy, LedgerError, StoredHead
from ledger.events import Metadata
from ledger.signing import renewal
from ledger.signing.renewal import Comparison, NotRenewed
from ledger.signing.rollback import lacks_head
from ledger.verify.report import MEMORY_FILE
from scim_api.recovery.draft import must_have_key_folder
from scim_api.settings import Settings
from scim_api.tenants.tenants import Tenant
from scim_api.wiring import head_sources, wire_up_to_date


@dataclass(frozen=True, slots=True)
class Recovered:
    """What became of a ledger: its former name, and what it was compared with."""

    previous: str
    origin: str
    verifier_key: str
    kept: int
    compared: Comparison

    @property
    def agreed(self) -> int | None:
        """How many events are of the history that ended, None where nothing is known of it.

        A head of an origin that the ledger never had says nothing of what the two share.
        """
        lost = self.compared.lost(self.kept)
        if not any(each.head.origin == self.previous for each in lost):
            return None if lost else self.kept
        return self.kept if self.compared.agreed is None else self.compared.agreed

    @property
    def lost(self) -> int | None:
        """How many events were lost at least, None where nothing says so."""
        sizes = [each.head.size for each in self.compared.lost(self.kept)]
        shared = self.kept if self.agreed is None else self.agreed
        return max(max(sizes, default=0) - shared, 0) or None


def recover(
    path: Path, settings: Settings, metadata: Metadata, *, events_lost: bool, accept_changed: bool
) -> Recovered:
    """Continue a ledger under a new origin; raises NotRenewed, LedgerBusy."""
    with _alone(path, settings) as tenant:
        heads, kept = tenant.heads, tenant.ledger.last_position()
        previous = heads.ledger.origin
        compared = renewal.compare_in_place(heads, head_sources(tenant.heads.keys, settings))
        if not (compared.contradicting or heads.trouble() or lacks_head(heads)):
            with suppress(LedgerError):
                heads.sign()  # puts back a head over the same events, which a backup can lack
        decided = renewal.decide(
            heads, compared, events_lost=events_lost, accept_changed=accept_changed
        )
        origin = renewal.renew(heads, decided, metadata)
        path.with_name(MEMORY_FILE).unlink(missing_ok=True)  # it is of the history that ended
        return Recovered(previous, origin, str(heads.key().verifier), kept, compared)


def confirm(path: Path, settings: Settings) -> tuple[StoredHead, Comparison]:
    """Sign a head over a ledger of which the operator says that it has all its events.

    It is remembered next to the key. Raises NotRenewed where a known head says otherwise.
    """
    with _alone(path, settings) as tenant:
        heads = tenant.heads
        compared = renewal.compare_in_place(heads, head_sources(tenant.heads.keys, settings))
        if compared.contradicting:
            [first, *_] = compared.contradicting
            raise NotRenewed(
                f"events were lost: {first.source} knows a tree head over {first.head.size:,}"
                f" events, and {path} has {tenant.ledger.last_position():,}, or others. Nothing was"
                " signed; run `scim-ledger restore BACKUP`, or `scim-ledger recover"
                " --new-incarnation`"
            )
        if not lacks_head(heads):
            heads.key()  # raises KeyUnusable
            raise NotRenewed(f"nothing is missing next to the key. Compared with {compared}")
        return heads.sign(again=True), compared


@contextmanager
def _alone(path: Path, settings: Settings) -> Iterator[Tenant]:
    """Open a ledger that no service serves, its tables brought up to date; raises LedgerBusy."""
    must_have_key_folder(settings)
    if not path.exists():
        wire_up_to_date(path, settings)  # raises LedgerMissing
    with exclusive_lock(path) as alone:
        if not alone:
            raise LedgerBusy("the ledger is being served; stop the service first")
        tenant, _ = wire_up_to_date(path, settings)
        try:
            yield tenant
        finally:
            tenant.close()
